/* SPDX-License-Identifier: MIT */
/* What the files that read tokenizer.json share. */
#ifndef KGEN_JSON_READER_H
#define KGEN_JSON_READER_H

#include <jansson.h>

#include "runtime/model/tokenizer/pretokenizer.h"
#include "runtime/model/tokenizer/tokenizer.h"

struct kgen_json_reader {
    const char *source;
    const json_t *root, *config; /* config may be NULL */
    const json_t *words;         /* model.vocab */
    struct kgen_vocabulary vocabulary;
    struct kgen_pretokenizer_row row;
    struct kgen_text patterns[KGEN_PRE_STAGES];
    unsigned pattern_count;
    bool byte_level, spaces; /* spaces: they become U+2581 */
    struct kgen_text charsmap;
    struct kgen_token_text *tokens, *merges;
    struct kgen_text joined; /* merges that are pairs */
    int32_t *types;
    float *scores;
    uint8_t *strips;
    struct kgen_error *error;
};

/* Fills the error: "KEY: message". Returns -1. */
int kgen_json_refuse(const struct kgen_json_reader *reader, const char *key, const char *format, ...)
    KGEN_PRINTF(3, 4);
int kgen_json_out_of_memory(const struct kgen_json_reader *reader);

/* The type of a normalizer and the like: "NFC"; "" where it has none. */
const char *kgen_json_type(const json_t *value);
/* A boolean of an object; what is no boolean counts as usual. */
bool kgen_json_flag(const json_t *object, const char *key, bool usual);
/* The id of a token by its text, or -1. */
int64_t kgen_json_id(const struct kgen_json_reader *reader, const char *text);

/* json_stages.c: normalizer, pre_tokenizer and decoder. Sets the row and the charsmap. */
int kgen_json_read_stages(struct kgen_json_reader *reader);
/* json_ends.c: post_processor and the special tokens of the config, and its chat template. */
int kgen_json_read_ends(struct kgen_json_reader *reader);

#endif
