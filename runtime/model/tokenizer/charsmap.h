/* SPDX-License-Identifier: MIT */
/* SentencePiece's precompiled charsmap: which sequences of bytes a normaliser replaces by which. It is 4
 * bytes with the size of a trie, the trie as a double array of 32-bit units, and the replacements, each ended
 * by a zero; all little-endian.
 *
 * A unit has in bits 0 to 7 and 31 the byte that leads to it, in bit 8 whether a replacement ends there, from
 * bit 10 on the offset to the units behind it, of which bit 9 says that it counts in units of 256. Behind a
 * node with a replacement, the unit at its offset has the place of that in bits 0 to 30. */
#ifndef KGEN_CHARSMAP_H
#define KGEN_CHARSMAP_H

#include "gen/base/base.h"

/* Zero-initialised it replaces nothing. */
struct kgen_charsmap {
    struct kgen_text data;
    size_t units, texts; /* how many units; where the replacements begin in data */
};

/* Copies the bytes; none are an empty map. Fails with KGEN_ERROR_SPEC where they cannot be one, or with
 * KGEN_ERROR_MEMORY. */
int kgen_charsmap_make(struct kgen_charsmap *map, const char *data, size_t length, const char *source,
                       struct kgen_error *error);
void kgen_charsmap_free(struct kgen_charsmap *map);

/* The longest sequence at the beginning of text that is replaced: returns its length and sets replacement, a
 * terminated string; 0 where there is none. */
size_t kgen_charsmap_match(const struct kgen_charsmap *map, const char *text, size_t length,
                           const char **replacement);

#endif
