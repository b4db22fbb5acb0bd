/* SPDX-License-Identifier: MIT */
/* UTF-8 as it is and as it should be. */
#ifndef KGEN_TOKENIZER_UTF8_H
#define KGEN_TOKENIZER_UTF8_H

#include "gen/base/base.h"

/* Bytes of the character at the beginning of text, 1 to 4; 0 where there is none that is whole and right. Of
 * what is not, *skip is how many bytes count as one wrong character, and *whole whether more bytes could not
 * make it right. */
unsigned kgen_utf8_character(const char *text, size_t length, unsigned *skip, bool *whole);
bool kgen_utf8_valid(const char *text, size_t length);

/* Bytes of the code point at the beginning of text by its bits alone; 0 where it is none. */
unsigned kgen_utf8_loose(const char *text, size_t length);
/* Appends what llama.cpp reads in a text: see tokenizer.h. It may hold surrogates. */
void kgen_utf8_repair(const char *text, size_t length, struct kgen_text *repaired);
/* Puts U+E000, of which patterns say the same, in the place of surrogates in repaired text. */
void kgen_utf8_hide_surrogates(char *text, size_t length);

/* Appends a code point, as UTF-8. */
void kgen_utf8_put(uint32_t code, struct kgen_text *text);

#endif
