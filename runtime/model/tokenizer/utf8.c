/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/utf8.h"

#include "runtime/model/tokenizer/tokenizer.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

/* The bytes of the character that a byte begins, and the range of the second of them; 0 where it begins none.
 */
static unsigned begin(unsigned char byte, unsigned char *low, unsigned char *high)
{
    *low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    *high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    if (byte < 0x80)
        return 1;
    if (byte < 0xC2 || byte > 0xF4)
        return 0;
    return byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

unsigned kgen_utf8_character(const char *text, size_t length, unsigned *skip, bool *whole)
{
    unsigned char low, high;
    const unsigned bytes = begin((unsigned char)text[0], &low, &high);
    *skip = 1;
    *whole = true;
    for (unsigned i = 1; i < bytes; i++) {
        if (i == length) {
            *whole = false;
            return 0;
        }
        const unsigned char byte = (unsigned char)text[i];
        if (byte < low || byte > high)
            return 0;
        *skip = i + 1;
        low = 0x80;
        high = 0xBF;
    }
    return bytes;
}

bool kgen_utf8_valid(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length) {
        uint64_t eight;
        if (length - i >= sizeof eight) {
            memcpy(&eight, text + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        unsigned skip;
        bool whole;
        const unsigned bytes = kgen_utf8_character(text + i, length - i, &skip, &whole);
        if (bytes == 0)
            return false;
        i += bytes;
    }
    return true;
}

void kgen_utf8_put(uint32_t code, struct kgen_text *text)
{
    char bytes[4];
    size_t count = 0;
    if (code < 0x80) {
        bytes[count++] = (char)code;
    } else if (code < 0x800) {
        bytes[count++] = (char)(0xC0 | code >> 6);
    } else if (code < 0x10000) {
        bytes[count++] = (char)(0xE0 | code >> 12);
        bytes[count++] = (char)(0x80 | (code >> 6 & 0x3F));
    } else {
        bytes[count++] = (char)(0xF0 | code >> 18);
        bytes[count++] = (char)(0x80 | (code >> 12 & 0x3F));
        bytes[count++] = (char)(0x80 | (code >> 6 & 0x3F));
    }
    if (code >= 0x80)
        bytes[count++] = (char)(0x80 | (code & 0x3F));
    kgen_text_append(text, bytes, count);
}

/* Reads a code point by its bits alone. Returns its bytes, 0 where it is none. */
static unsigned read_loosely(const unsigned char *text, size_t length, uint32_t *code)
{
    const unsigned char byte = text[0];
    const unsigned bytes = byte < 0x80   ? 1
                           : byte < 0xC0 ? 0
                           : byte < 0xE0 ? 2
                           : byte < 0xF0 ? 3
                           : byte < 0xF8 ? 4
                                         : 0;
    if (bytes == 0 || bytes > length)
        return 0;
    *code = bytes == 1 ? byte : byte & (0x7FU >> bytes);
    for (unsigned i = 1; i < bytes; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        *code = *code << 6 | (text[i] & 0x3F);
    }
    return *code > 0x10FFFF ? 0 : bytes;
}

unsigned kgen_utf8_loose(const char *text, size_t length)
{
    uint32_t code;
    return read_loosely((const unsigned char *)text, length, &code);
}

void kgen_utf8_repair(const char *text, size_t length, struct kgen_text *repaired)
{
    size_t i = 0;
    while (i < length) {
        uint32_t code;
        const unsigned bytes = read_loosely((const unsigned char *)text + i, length - i, &code);
        kgen_utf8_put(bytes > 0 ? code : 0xFFFD, repaired);
        i += bytes > 0 ? bytes : 1;
    }
}

void kgen_utf8_hide_surrogates(char *text, size_t length)
{
    for (size_t i = 0; i + 2 < length; i++) {
        if (text[i] == '\xED' && (unsigned char)text[i + 1] >= 0xA0)
            memcpy(text + i, "\xEE\x80\x80", 3);
    }
}

void kgen_utf8_stream_put(struct kgen_utf8_stream *stream, const char *bytes, size_t length,
                          struct kgen_text *text)
{
    for (size_t i = 0; i < length; i++) {
        stream->held[stream->count++] = bytes[i];
        unsigned skip;
        bool whole = true;
        while (stream->count > 0 && whole) {
            const unsigned right = kgen_utf8_character(stream->held, stream->count, &skip, &whole);
            if (right == 0 && !whole)
                break;
            if (right > 0)
                kgen_text_append(text, stream->held, right);
            else
                kgen_text_puts(text, REPLACEMENT);
            stream->count -= skip;
            memmove(stream->held, stream->held + skip, stream->count);
        }
    }
}

void kgen_utf8_stream_end(struct kgen_utf8_stream *stream, struct kgen_text *text)
{
    if (stream->count > 0)
        kgen_text_puts(text, REPLACEMENT);
    stream->count = 0;
}
