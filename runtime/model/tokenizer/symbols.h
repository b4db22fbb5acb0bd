/* SPDX-License-Identifier: MIT */
/* The strings that merging makes, and which two of them merge to which. */
#ifndef KGEN_TOKENIZER_SYMBOLS_H
#define KGEN_TOKENIZER_SYMBOLS_H

#include "gen/base/base.h"

#define KGEN_NO_SYMBOL UINT32_MAX
#define KGEN_NO_RANK UINT32_MAX

struct kgen_symbol {
    size_t begin; /* in bytes */
    uint32_t length;
    int32_t token; /* the first of this text, or -1 */
};

/* A place of a hash table. A short string is told by its slot alone. */
struct kgen_symbol_slot {
    uint64_t head; /* the first eight bytes, zeros behind a shorter string */
    uint32_t length;
    uint32_t number; /* or KGEN_NO_SYMBOL: the slot is empty */
};

/* A set of strings, numbered in the order in which they came. Zero-initialise it. */
struct kgen_symbols {
    struct kgen_text bytes;
    struct kgen_symbol *list;
    struct kgen_symbol_slot *slots;
    size_t count, capacity, slot_count;
};

/* Makes room for so many strings. Returns -1 where memory runs out, or there are too many. */
int kgen_symbols_reserve(struct kgen_symbols *symbols, size_t count);

/* The number of a string, or KGEN_NO_SYMBOL. */
uint32_t kgen_symbols_find(const struct kgen_symbols *symbols, const char *data, size_t length);
/* The same; adds it where it is not there. KGEN_NO_SYMBOL where memory runs out. */
uint32_t kgen_symbols_add(struct kgen_symbols *symbols, const char *data, size_t length);
/* Whether a number is that of a string. */
bool kgen_symbols_is(const struct kgen_symbols *symbols, size_t number, const char *data, size_t length);
void kgen_symbols_free(struct kgen_symbols *symbols);

struct kgen_pair {
    uint64_t symbols; /* the left one in the upper half; UINT64_MAX: the slot is empty */
    uint32_t rank;
    uint32_t result;
};

/* A hash table of pairs, for at most as many as it was made for. */
struct kgen_pairs {
    struct kgen_pair *slots;
    unsigned shift; /* slots are 2^(64 - shift) */
};

int kgen_pairs_make(struct kgen_pairs *pairs, size_t count);
/* Adds a pair unless it is there. */
void kgen_pairs_add(struct kgen_pairs *pairs, uint32_t left, uint32_t right, uint32_t rank, uint32_t result);
/* NULL where the two do not merge. */
const struct kgen_pair *kgen_pairs_find(const struct kgen_pairs *pairs, uint32_t left, uint32_t right);
void kgen_pairs_free(struct kgen_pairs *pairs);

#endif
