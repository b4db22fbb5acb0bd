/* SPDX-License-Identifier: MIT */
/* GPT-2's characters for bytes: a byte that can be seen in Latin-1 is that character, the others are U+0100
 * and on, in order. */
#ifndef KGEN_TOKENIZER_ALPHABET_H
#define KGEN_TOKENIZER_ALPHABET_H

#include "gen/base/base.h"

/* Appends the bytes that a text stands for. Returns false, having appended nothing, where it has another
 * character. */
bool kgen_alphabet_decode(const char *text, size_t length, struct kgen_text *bytes);

#endif
