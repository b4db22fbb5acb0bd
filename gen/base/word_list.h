/* SPDX-License-Identifier: MIT */
/* Lists of words separated by blanks, as rows of tables hold them: "avx2 fma f16c". */
#ifndef KGEN_WORD_LIST_H
#define KGEN_WORD_LIST_H

#include "gen/base/base.h"

/* Moves *list behind its next word. Returns that word and its length, or NULL at the end. */
const char *kgen_word_next(const char **list, size_t *length);
bool kgen_word_list_has(const char *list, const char *word, size_t length);
/* Whether every word of wanted is in list. */
bool kgen_word_list_has_all(const char *list, const char *wanted);

#endif
