/* SPDX-License-Identifier: MIT */
/* Small vocabularies for the tests of tokenizers. */
#ifndef TOKENIZER_FIXTURE_H
#define TOKENIZER_FIXTURE_H

#include "runtime/model/tokenizer/tokenizer.h"

/* A vocabulary whose tokens 0 to 255 are the bytes. Zero-initialise it. Running out of memory or of room
 * aborts. */
struct small_vocabulary {
    struct kgen_vocabulary vocabulary;
    struct kgen_token_text tokens[1024], merges[1024];
    int32_t types[1024];
    char *owned[2048];
    size_t owned_count;
};

/* Makes the bytes, as GPT-2 writes them; bos and the like are -1. */
void small_start(struct small_vocabulary *small, const char *pre);
void small_free(struct small_vocabulary *small);
/* Both return the id. The text is stored as it is. */
int32_t small_token(struct small_vocabulary *small, const char *text, enum kgen_token_type type);
int32_t small_token_of(struct small_vocabulary *small, const char *text, size_t length,
                       enum kgen_token_type type);
void small_merge(struct small_vocabulary *small, const char *merge);
/* A merge and, as a token, what it makes. Returns the token's id. */
int32_t small_merge_to_token(struct small_vocabulary *small, const char *left, const char *right);
/* Makes the tokenizer; fails the test where that fails. */
struct kgen_tokenizer *small_new(const struct small_vocabulary *small);

/* The ids of a text, as "1 2 3"; valid until the next call. */
const char *ids_of(const struct kgen_tokenizer *tokenizer, const char *text, size_t length, unsigned flags);
/* What the ids of a text decode to. The caller frees it. */
struct kgen_text round_trip(const struct kgen_tokenizer *tokenizer, const char *text, size_t length);

/* xorshift64, from a seed that is not 0. */
uint64_t next_random(uint64_t *state);

#endif
