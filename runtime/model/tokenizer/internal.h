/* SPDX-License-Identifier: MIT */
/* What the files of the tokenizer share. */
#ifndef KGEN_TOKENIZER_INTERNAL_H
#define KGEN_TOKENIZER_INTERNAL_H

#include "runtime/model/tokenizer/pretokenizer.h"
#include "runtime/model/tokenizer/symbols.h"
#include "runtime/model/tokenizer/tokenizer.h"

/* A control or user-defined token may be as long as this. */
#define KGEN_SPECIAL_LENGTH_MAX 1024

struct kgen_token {
    size_t begin; /* what it decodes to, in the symbols' bytes */
    uint32_t length;
    uint8_t type;
};

/* Tokens whose text in a text stands for them, sorted by that text. */
struct kgen_specials {
    int32_t *ids;
    size_t count;
    bool first[256]; /* whether one begins with this byte */
};

struct kgen_tokenizer {
    struct kgen_pretokenizer *pre;
    struct kgen_symbols symbols;
    struct kgen_pairs pairs;
    struct kgen_token *tokens;
    size_t token_count;
    uint32_t byte_symbol[256];    /* over bytes: the symbol that a byte begins as */
    int32_t byte_token[256];      /* what stands for a byte that no other token covers, or -1 */
    struct kgen_specials always;  /* user-defined tokens */
    struct kgen_specials special; /* these, control and unknown tokens */
    int32_t bos, eos, unknown, padding;
    bool add_bos, add_eos, turn_goes_on; /* the last: "<|end|>" ends a message, not a turn */
    struct kgen_text chat_template;
};

/* special.c */
int kgen_specials_make(const struct kgen_tokenizer *tokenizer, bool control, struct kgen_specials *specials,
                       const char *source, struct kgen_error *error);
/* Finds the first special token in text from at on, the longest of those that begin there. Returns its id and
 * sets at to its beginning, or -1 and sets at to length. */
int32_t kgen_specials_find(const struct kgen_tokenizer *tokenizer, const struct kgen_specials *specials,
                           const char *text, size_t length, size_t *at);

/* merge.c: memory for the words of one text. Zero-initialise it. */
struct kgen_part {
    uint32_t symbol; /* or KGEN_NO_SYMBOL */
    uint32_t begin;  /* in the word, bytes */
    uint32_t length;
    uint32_t rank;   /* of it and the part behind it; KGEN_NO_RANK: they do not merge */
    uint32_t result; /* what they merge to */
    uint32_t before, behind;
};
struct kgen_merger {
    struct kgen_part *parts;
    size_t part_capacity;
    uint64_t *queue;
    size_t queue_count, queue_capacity;
};
void kgen_merger_free(struct kgen_merger *merger);
/* Appends the tokens of a word, at least one byte long. */
int kgen_merge_word(const struct kgen_tokenizer *tokenizer, struct kgen_merger *merger, const char *word,
                    size_t length, struct kgen_token_ids *ids, struct kgen_error *error);

#endif
