/* SPDX-License-Identifier: MIT */
/* Text to tokens and back: BPE over bytes, or over characters with spaces as U+2581, whose order is that of
 * merges or of scores; and unigram models.
 *
 * A tokenizer is made from a vocabulary, whichever file that comes from. It never changes once it is made:
 * threads may share it. Text is bytes. Where they are not UTF-8, encoding reads what llama.cpp reads: a
 * sequence with the bits of UTF-8 is taken even where it is too long or a surrogate, and every other byte
 * counts as U+FFFD. */
#ifndef KGEN_TOKENIZER_H
#define KGEN_TOKENIZER_H

#include "gen/base/base.h"

struct kgen_tokenizer;

/* Bytes, not terminated. */
struct kgen_token_text {
    const char *data;
    size_t length;
};

/* The numbers of tokenizer.ggml.token_type. Others count as undefined. */
enum kgen_token_type {
    KGEN_TOKEN_UNDEFINED = 0,
    KGEN_TOKEN_NORMAL = 1,
    KGEN_TOKEN_UNKNOWN = 2,
    KGEN_TOKEN_CONTROL = 3,
    KGEN_TOKEN_USER_DEFINED = 4,
    KGEN_TOKEN_UNUSED = 5,
    KGEN_TOKEN_BYTE = 6
};

enum kgen_token_add {
    KGEN_TOKEN_ADD_DEFAULT, /* the file does not say: as models of this pre-tokenizer do */
    KGEN_TOKEN_ADD_NO,
    KGEN_TOKEN_ADD_YES
};

enum kgen_tokenizer_kind {
    KGEN_TOKENIZER_BPE,           /* by merges, the first of the list first */
    KGEN_TOKENIZER_SENTENCEPIECE, /* two parts merge where that makes a token, that of the best score first */
    KGEN_TOKENIZER_UNIGRAM        /* the tokens whose scores have the greatest sum */
};

/* White space beside a special token that belongs to it. */
enum { KGEN_STRIP_LEFT = 1, KGEN_STRIP_RIGHT = 2 };

struct kgen_pretokenizer_row;

struct kgen_vocabulary {
    const char *source; /* for errors: the file; may be NULL */
    enum kgen_tokenizer_kind kind;
    /* As stored: bytes as GPT-2's characters, or plain text where the pre-tokenizer wants that. A token's id
     * is its index. Of equal tokens encoding gives the first. Empty ones are never given. */
    const struct kgen_token_text *tokens;
    const int32_t *types;  /* one a token; NULL: all are normal */
    const float *scores;   /* one a token, of the kinds that have them; NULL: all are 0 */
    const uint8_t *strips; /* one a token, KGEN_STRIP_...; NULL: none */
    size_t token_count;
    const struct kgen_token_text *merges; /* "a b", the first to be merged first */
    size_t merge_count;
    struct kgen_token_text pre; /* the pre-tokenizer's name, "smollm" */
    /* NULL, or the pre-tokenizer itself, in place of pre. The kinds with scores need one, with
     * KGEN_PRE_PLAIN.
     */
    const struct kgen_pretokenizer_row *pre_row;
    struct kgen_token_text charsmap;    /* of a unigram model: see charsmap.h; may be empty */
    int64_t bos, eos, unknown, padding; /* -1: there is none */
    enum kgen_token_add add_bos, add_eos;
    struct kgen_token_text chat_template; /* may be empty */
};

/* Makes a tokenizer. What the vocabulary points to is read during the call only. Returns NULL and fills
 * error: KGEN_ERROR_SPEC for a vocabulary that cannot be right or a pre-tokenizer that is not known, whose
 * hint lists those that are; KGEN_ERROR_MEMORY. Merges that can never apply are left out. */
struct kgen_tokenizer *kgen_tokenizer_new(const struct kgen_vocabulary *vocabulary, struct kgen_error *error);
/* NULL is fine. */
void kgen_tokenizer_free(struct kgen_tokenizer *tokenizer);

/* Ids that grow. Zero-initialise it. */
struct kgen_token_ids {
    int32_t *ids;
    size_t count;
    size_t capacity;
};
/* Appends an id. Returns 0, or -1 with KGEN_ERROR_MEMORY. */
int kgen_token_ids_push(struct kgen_token_ids *ids, int32_t id, struct kgen_error *error);
void kgen_token_ids_free(struct kgen_token_ids *ids);

enum {
    KGEN_ENCODE_ADD_SPECIAL = 1,  /* the beginning and end that the vocabulary asks for */
    KGEN_ENCODE_PARSE_SPECIAL = 2 /* the text of control tokens stands for them */
};
/* Appends the ids of a text. flags are KGEN_ENCODE_..., or 0. Texts of user-defined tokens always stand for
 * them; of several at one place the longest counts. A byte that no token has is left out, or is the unknown
 * token. The time grows as length * log(length) at worst, times the length of the longest token where there
 * are scores. Fails with KGEN_ERROR_MEMORY, KGEN_ERROR_USAGE for 1 GiB of text and more, or KGEN_ERROR_SPEC
 * where a pattern that comes from the file takes too long. */
int kgen_tokenizer_encode(const struct kgen_tokenizer *tokenizer, const char *text, size_t length,
                          unsigned flags, struct kgen_token_ids *ids, struct kgen_error *error);

/* Appends the bytes of a token, which may be a part of a character. Control and unknown tokens have their
 * text where special is true and else none; unused ones have none. Fails with KGEN_ERROR_USAGE for an id out
 * of range, or KGEN_ERROR_MEMORY. */
int kgen_tokenizer_decode(const struct kgen_tokenizer *tokenizer, int64_t id, bool special,
                          struct kgen_text *text, struct kgen_error *error);

/* Tokens that come one by one may end within a character. This holds its bytes until the rest comes, so that
 * what is appended is always UTF-8. Zero-initialise it. */
struct kgen_utf8_stream {
    char held[4];
    unsigned count;
};
/* Appends the characters that are whole, with U+FFFD for bytes that belong to none. */
void kgen_utf8_stream_put(struct kgen_utf8_stream *stream, const char *bytes, size_t length,
                          struct kgen_text *text);
/* At the end: appends U+FFFD for a character that stayed incomplete, and makes the stream as new. */
void kgen_utf8_stream_end(struct kgen_utf8_stream *stream, struct kgen_text *text);

size_t kgen_tokenizer_count(const struct kgen_tokenizer *tokenizer);
/* -1 where there is none. */
int32_t kgen_tokenizer_bos(const struct kgen_tokenizer *tokenizer);
int32_t kgen_tokenizer_eos(const struct kgen_tokenizer *tokenizer);
int32_t kgen_tokenizer_unknown(const struct kgen_tokenizer *tokenizer);
int32_t kgen_tokenizer_padding(const struct kgen_tokenizer *tokenizer);
/* Whether KGEN_ENCODE_ADD_SPECIAL adds them. */
bool kgen_tokenizer_adds_bos(const struct kgen_tokenizer *tokenizer);
bool kgen_tokenizer_adds_eos(const struct kgen_tokenizer *tokenizer);
/* KGEN_TOKEN_UNDEFINED for an id out of range. */
enum kgen_token_type kgen_tokenizer_type(const struct kgen_tokenizer *tokenizer, int64_t id);
/* The control or user-defined token of a text, or -1. */
int32_t kgen_tokenizer_special(const struct kgen_tokenizer *tokenizer, const char *text);
/* Whether a model that gives this token has said all: the vocabulary's eos, and those that end a turn by
 * their text, as "<|im_end|>". */
bool kgen_tokenizer_ends(const struct kgen_tokenizer *tokenizer, int64_t id);
/* Empty where there is none. Valid for the tokenizer's life. */
struct kgen_token_text kgen_tokenizer_chat_template(const struct kgen_tokenizer *tokenizer);

#endif
