/* SPDX-License-Identifier: MIT */
/* What the files of the tokenizer share. */
#ifndef KGEN_TOKENIZER_INTERNAL_H
#define KGEN_TOKENIZER_INTERNAL_H

#include "runtime/model/tokenizer/charsmap.h"
#include "runtime/model/tokenizer/pretokenizer.h"
#include "runtime/model/tokenizer/symbols.h"
#include "runtime/model/tokenizer/tokenizer.h"

/* A control or user-defined token may be as long as this. */
#define KGEN_SPECIAL_LENGTH_MAX 1024

struct kgen_token {
    size_t begin; /* what it decodes to, in the symbols' bytes */
    uint32_t length;
    uint8_t type;
    uint8_t strips; /* KGEN_STRIP_... */
};

/* Tokens whose text in a text stands for them, sorted by that text. */
struct kgen_specials {
    int32_t *ids;
    size_t count;
    bool first[256]; /* whether one begins with this byte */
};

/* Which characters stand side by side in a token: bits by a hash of two. Where two never do, no merge crosses
 * the place between them, so that text may be cut there. */
#define KGEN_JOINT_BITS 20
struct kgen_joints {
    uint64_t *bits; /* NULL: text is not cut */
};

/* Of a unigram model. Nodes of the tree of all tokens are numbers, 0 is the root; a pair of a node and a byte
 * has the next node. */
struct kgen_unigram {
    struct kgen_pairs nodes;
    int32_t *tokens; /* of a node the token that ends there, or -1 */
    double *scores;  /* one a token */
    double unknown_score;
};

struct kgen_tokenizer {
    enum kgen_tokenizer_kind kind;
    struct kgen_pretokenizer *pre;
    struct kgen_joints joints;
    uint32_t *ranks; /* of a SentencePiece vocabulary: one a token, 0 is the best score */
    struct kgen_unigram unigram;
    struct kgen_charsmap charsmap;
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

/* joints.c */
int kgen_joints_make(struct kgen_joints *joints);
/* Joins the last character of a string and the first of another, or all neighbours in one. */
void kgen_joints_add(struct kgen_joints *joints, const char *left, size_t left_length, const char *right,
                     size_t right_length);
void kgen_joints_add_all(struct kgen_joints *joints, const char *text, size_t length);
/* The length of the first piece of a text, at least one byte long, whose neighbours may all be joined. */
size_t kgen_joints_piece(const struct kgen_joints *joints, const char *text, size_t length);
/* Bytes of the character that a byte of UTF-8 begins, at most length. */
size_t kgen_character_length(const char *text, size_t length);

/* scores.c: the order in which a vocabulary with scores merges. */
int kgen_ranks_make(struct kgen_tokenizer *tokenizer, const struct kgen_vocabulary *vocabulary,
                    struct kgen_error *error);

/* unigram.c: memory for the words of one text. Zero-initialise it. */
struct kgen_best {
    double score;
    uint32_t begin; /* of the last token, in the word */
    int32_t token;
};
struct kgen_lattice {
    struct kgen_best *best; /* one for each place of the word */
    size_t capacity;
};
int kgen_unigram_make(struct kgen_tokenizer *tokenizer, const struct kgen_vocabulary *vocabulary,
                      struct kgen_error *error);
void kgen_unigram_free(struct kgen_unigram *unigram);
/* Appends what a text is to a unigram model: characters replaced, spaces as U+2581. first: it begins the
 * whole text. */
void kgen_unigram_normalize(const struct kgen_tokenizer *tokenizer, const char *text, size_t length,
                            bool first, struct kgen_text *normalized);
int kgen_unigram_word(const struct kgen_tokenizer *tokenizer, struct kgen_lattice *lattice, const char *word,
                      size_t length, struct kgen_token_ids *ids, struct kgen_error *error);
void kgen_lattice_free(struct kgen_lattice *lattice);

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
    bool gave_unknown; /* the last token of the word is the unknown one */
};
void kgen_merger_free(struct kgen_merger *merger);
/* Appends the tokens of a word, at least one byte long. */
int kgen_merge_word(const struct kgen_tokenizer *tokenizer, struct kgen_merger *merger, const char *word,
                    size_t length, struct kgen_token_ids *ids, struct kgen_error *error);

#endif
