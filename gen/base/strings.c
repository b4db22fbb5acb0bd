/* SPDX-License-Identifier: MIT */
#include "gen/base/strings.h"

#include <string.h>

bool kgen_string_begins(const char *text, size_t length, const char *prefix)
{
    const size_t prefix_length = strlen(prefix);
    return length >= prefix_length && memcmp(text, prefix, prefix_length) == 0;
}

bool kgen_string_ends(const char *text, size_t length, const char *suffix)
{
    const size_t suffix_length = strlen(suffix);
    return length >= suffix_length && memcmp(text + length - suffix_length, suffix, suffix_length) == 0;
}

int kgen_string_find(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return (int)i;
    }
    return -1;
}

void kgen_shell_word(const char *word, struct kgen_text *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%+,-./:=@_";
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        kgen_text_puts(text, word);
        return;
    }
    kgen_text_puts(text, "'");
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            kgen_text_puts(text, "'\\''");
        else
            kgen_text_append(text, word, 1);
    }
    kgen_text_puts(text, "'");
}
