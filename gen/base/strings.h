/* SPDX-License-Identifier: MIT */
/* Comparing strings and looking them up. */
#ifndef KGEN_STRINGS_H
#define KGEN_STRINGS_H

#include "gen/base/base.h"

/* Whether text, of length bytes and not necessarily terminated, begins or ends with a string. */
bool kgen_string_begins(const char *text, size_t length, const char *prefix);
bool kgen_string_ends(const char *text, size_t length, const char *suffix);

/* The index of the first of count names that is equal to name, or -1. */
int kgen_string_find(const char *const *names, size_t count, const char *name);

/* Appends a word as a shell takes it: in quotes where it holds more than letters, digits and "%+,-./:=@_". */
void kgen_shell_word(const char *word, struct kgen_text *text);

#endif
