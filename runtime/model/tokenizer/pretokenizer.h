/* SPDX-License-Identifier: MIT */
/* Splitting text into the words in which tokens are merged. */
#ifndef KGEN_PRETOKENIZER_H
#define KGEN_PRETOKENIZER_H

#include "gen/base/base.h"

#define KGEN_PRE_STAGES 6

enum {
    KGEN_PRE_WHOLE_WORDS = 1,       /* a word that is a token is not split, whatever the merges are */
    KGEN_PRE_WHOLE_LINES = 2,       /* the same of words of newlines alone */
    KGEN_PRE_PLAIN = 4,             /* tokens are plain text, with U+2581 for the space */
    KGEN_PRE_BOS = 8,               /* these models begin with bos unless the file says otherwise */
    KGEN_PRE_ALWAYS_BOS = 16,       /* these models begin with bos, whatever the file says */
    KGEN_PRE_EOS = 32,              /* these models end with eos unless the file says otherwise */
    KGEN_PRE_UNKNOWN = 64,          /* plain text: a character that no tokens cover is the unknown token */
    KGEN_PRE_ONE_UNKNOWN = 128,     /* and so are several in a row */
    KGEN_PRE_PREFIX = 256,          /* a piece of text between special tokens gets a space in front */
    KGEN_PRE_PREFIX_FIRST = 512,    /* only the piece that begins the text does */
    KGEN_PRE_PREFIX_MISSING = 1024, /* only a piece that does not begin with a space does */
    KGEN_PRE_ONE_SPACE = 2048,      /* unigram: a word gets one space in front, and no other spaces stay */
    KGEN_PRE_BYTES = 4096 /* unigram: an unknown character is the tokens of its bytes, if there are such */
};

struct kgen_pretokenizer_row {
    const char *names; /* separated by blanks */
    unsigned flags;    /* KGEN_PRE_... */
    /* In PCRE2's language. Each splits the pieces of the one before into its matches and what lies between.
     */
    const char *patterns[KGEN_PRE_STAGES];
};

/* patterns.c: all that are known. */
const struct kgen_pretokenizer_row *kgen_pretokenizer_rows(size_t *count);

struct kgen_pretokenizer;

/* Returns NULL and fills error: KGEN_ERROR_SPEC for a name that is not known, KGEN_ERROR_MEMORY. source is
 * for errors, and may be NULL. It never changes: threads may share it. */
struct kgen_pretokenizer *kgen_pretokenizer_new(const char *source, const char *name, size_t length,
                                                struct kgen_error *error);
/* The same of a row whose patterns a file says. The names of the row are not used. Fails with KGEN_ERROR_SPEC
 * for a pattern that PCRE2 does not take. Matching such a pattern has a limit, and fails with
 * KGEN_ERROR_SPEC beyond it. */
struct kgen_pretokenizer *kgen_pretokenizer_from_row(const char *source,
                                                     const struct kgen_pretokenizer_row *row,
                                                     struct kgen_error *error);
void kgen_pretokenizer_free(struct kgen_pretokenizer *pretokenizer);
unsigned kgen_pretokenizer_flags(const struct kgen_pretokenizer *pretokenizer);
/* How many patterns it has. */
unsigned kgen_pretokenizer_stages(const struct kgen_pretokenizer *pretokenizer);

/* Takes a word of length bytes at begin. Returns 0, or -1 to stop. */
typedef int kgen_word_function(void *context, size_t begin, size_t length);
/* Calls function for every word of a text, in order; together they are the text, which is UTF-8 without
 * surrogates. Returns -1 where function does, or with KGEN_ERROR_MEMORY or
 * KGEN_ERROR_SPEC. */
int kgen_pretokenizer_split(const struct kgen_pretokenizer *pretokenizer, const char *text, size_t length,
                            kgen_word_function *function, void *context, struct kgen_error *error);

#endif
