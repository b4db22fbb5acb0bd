/* SPDX-License-Identifier: MIT */
#include "gen/base/word_list.h"

#include <string.h>

const char *kgen_word_next(const char **list, size_t *length)
{
    const char *word = *list + strspn(*list, " ");
    *length = strcspn(word, " ");
    *list = word + *length;
    return *length > 0 ? word : NULL;
}

bool kgen_word_list_has(const char *list, const char *word, size_t length)
{
    const char *here;
    size_t here_length;
    while ((here = kgen_word_next(&list, &here_length)) != NULL) {
        if (here_length == length && memcmp(here, word, length) == 0)
            return true;
    }
    return false;
}

bool kgen_word_list_has_all(const char *list, const char *wanted)
{
    const char *word;
    size_t length;
    while ((word = kgen_word_next(&wanted, &length)) != NULL) {
        if (!kgen_word_list_has(list, word, length))
            return false;
    }
    return true;
}
