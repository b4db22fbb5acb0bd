/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/alphabet.h"

/* The bytes of U+0100 to U+0143. */
static int byte_of_shifted(unsigned index)
{
    return index < 33 ? (int)index : index < 67 ? (int)(127 + index - 33) : index == 67 ? 173 : -1;
}

/* Reads one character. Returns its byte, or -1, and moves at. */
static int read_character(const char *text, size_t length, size_t *at)
{
    const unsigned char first = (unsigned char)text[(*at)++];
    if (first < 0x80)
        return first >= 0x21 && first <= 0x7E ? first : -1;
    if (first < 0xC2 || first > 0xC5 || *at == length || ((unsigned char)text[*at] & 0xC0) != 0x80)
        return -1;
    const unsigned code = (first & 0x1FU) << 6 | ((unsigned char)text[(*at)++] & 0x3FU);
    if (code >= 0x100)
        return byte_of_shifted(code - 0x100);
    return code >= 0xA1 && code != 0xAD ? (int)code : -1;
}

bool kgen_alphabet_decode(const char *text, size_t length, struct kgen_text *bytes)
{
    const size_t before = bytes->length;
    char some[64];
    size_t count = 0;
    for (size_t at = 0; at < length;) {
        const int byte = read_character(text, length, &at);
        if (byte < 0) {
            bytes->length = before;
            return false;
        }
        some[count++] = (char)byte;
        if (count == sizeof some || at == length) {
            kgen_text_append(bytes, some, count);
            count = 0;
        }
    }
    return true;
}
