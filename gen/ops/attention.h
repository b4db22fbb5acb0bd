/* SPDX-License-Identifier: MIT */
/* What attention_decode and attention_prefill share: caches, reference, inputs. */
#ifndef KGEN_OPS_ATTENTION_H
#define KGEN_OPS_ATTENTION_H

#include "gen/ops/problem.h"

enum {
    KGEN_ATTENTION_HEADS_MAX = 4096,
    KGEN_ATTENTION_HEAD_DIM_MAX = 576,
    KGEN_ATTENTION_CONTEXT_MAX = 1 << 20,
    KGEN_ATTENTION_PARTS_MAX = 64,
    KGEN_ATTENTION_PAGE_MAX = 256,
    KGEN_ATTENTION_GENERATORS = 7
};

/* The buffers of both ops, in the order of their tables. The sinks are there where the field is not 0, and
 * the pages, which follow them or stand in their place, where page_size is not. */
enum {
    KGEN_ATTENTION_Q,
    KGEN_ATTENTION_K,
    KGEN_ATTENTION_V,
    KGEN_ATTENTION_K_CACHE,
    KGEN_ATTENTION_V_CACHE,
    KGEN_ATTENTION_SINKS
};
#define KGEN_ATTENTION_SINKS_BUFFER                                                                          \
    {                                                                                                        \
        "sinks", KGEN_INPUT, "f32", "heads", KGEN_RUN, "sinks", NULL                                         \
    }

#define KGEN_ATTENTION_PAGES_BUFFER                                                                          \
    {                                                                                                        \
        "pages", KGEN_INPUT, "i32", "(context + page_size - 1) / page_size", KGEN_PREPARE | KGEN_RUN,        \
            "page_size", NULL                                                                                \
    }
/* The index of an output that follows them, `first` where there is neither. */
int kgen_attention_output(const struct kgen_problem *problem, int first);

/* Positions lie in tiles of 16. In a tile, each head of keys has 16 positions side by side for each element,
 * and each head of values has its rows one after the other. For each element, q8_0 has 17 bytes and q4_0 has
 * 9, with the scales of the blocks: gen/ops/attention_cache.h. Caches with pages have whole ones. */
#define KGEN_ATTENTION_TILE_SHAPE "16 + (cache_dtype == q8_0) - 7 * (cache_dtype == q4_0)"
#define KGEN_ATTENTION_TILES                                                                                 \
    "(context + 15) / 16 * (page_size == 0) + (context + page_size - 1) / page_size * page_size / 16"
#define KGEN_ATTENTION_K_CACHE_SHAPE KGEN_ATTENTION_TILES ", kv_heads, head_dim, " KGEN_ATTENTION_TILE_SHAPE
#define KGEN_ATTENTION_V_CACHE_SHAPE                                                                         \
    KGEN_ATTENTION_TILES ", kv_heads, " KGEN_ATTENTION_TILE_SHAPE ", head_dim"

/* The fields of both ops that say the shape and the caches; those of decode and prefill alone stand between
 * and after them. */
#define KGEN_ATTENTION_SHAPE_FIELDS                                                                          \
    KGEN_SIZE_FIELD("heads", "h", KGEN_ATTENTION_HEADS_MAX, "query heads, a multiple of kv_heads"),          \
        KGEN_SIZE_FIELD("kv_heads", "kv", KGEN_ATTENTION_HEADS_MAX, "heads of keys and values"),             \
        KGEN_SIZE_FIELD("head_dim", "d", KGEN_ATTENTION_HEAD_DIM_MAX,                                        \
                        "elements of a head, a multiple of 8; of 32 with caches of q8_0 and q4_0"),          \
        KGEN_SIZE_FIELD("context", "c", KGEN_ATTENTION_CONTEXT_MAX,                                          \
                        "positions that the caches have room for")
#define KGEN_ATTENTION_CACHE_FIELDS                                                                          \
    {"scale", NULL,  KGEN_FIELD_REAL,                                                                        \
     false,   0,     0,                                                                                      \
     1e6,     NULL,  "factor of the scores; 0: 1 / sqrt(head_dim)",                                          \
     "s",     false, true,                                                                                   \
     NULL},                                                                                                  \
        KGEN_CONSTANT_FIELD("cache_dtype", NULL, KGEN_F32, kgen_attention_cache_dtypes,                      \
                            "of the caches: floats, or ggml's blocks of 32", false, false)
extern const int kgen_attention_cache_dtypes[];

/* The fields of both ops that say which positions count, how much, and where they lie. They come last. */
#define KGEN_ATTENTION_MASK_FIELDS                                                                           \
    {"window", NULL,  KGEN_FIELD_INTEGER,                                                                    \
     false,    0,     0,                                                                                     \
     1 << 20,  NULL,  "positions up to its own that a query sees; 0: all",                                   \
     "w",      false, false,                                                                                 \
     NULL},                                                                                                  \
        {"softcap", NULL,  KGEN_FIELD_REAL,                                                                  \
         false,     0,     0,                                                                                \
         1e6,       NULL,  "scores s become softcap * tanh(s / softcap); 0: they do not",                    \
         "sc",      false, false,                                                                            \
         NULL},                                                                                              \
        {"sinks", NULL,  KGEN_FIELD_BOOLEAN,                                                                 \
         false,   0,     0,                                                                                  \
         1,       NULL,  "each query head has a score of its own without a value",                           \
         "sinks", false, false,                                                                              \
         NULL},                                                                                              \
    {                                                                                                        \
        "page_size", NULL, KGEN_FIELD_INTEGER, false, 0, 0, KGEN_ATTENTION_PAGE_MAX, NULL,                   \
            "positions of a page of the caches, a multiple of 16; 0: the caches have no pages", "pg", false, \
            false, NULL                                                                                      \
    }

/* The positions that a row sees on average, of so many rows, the last that there is room for. */
double kgen_attention_positions(const struct kgen_problem *problem, double rows);

/* kgen_op's complete, check and names. The names are score_scale, group, cache_type, softcapped and, where
 * that is not 0, score_cap: the cap and -2 divided by it. */
void kgen_attention_complete(struct kgen_problem *problem);
int kgen_attention_check(const struct kgen_problem *problem, const struct kgen_check_place *place);
void kgen_attention_names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver);

/* kgen_op's reference: appends rows of keys and values from a position on, then attends from each of them to
 * the positions up to its own that it sees. attention_decode has one row, attention_prefill as many as its
 * scalar `rows` says. y is the index of the output. Elements of y of further rows are NaNs. Writes nothing to
 * values of caches that are NULL. */
void kgen_attention_reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                              struct kgen_expected *expected, int y);

/* The inputs that both ops are proven on. */
extern const struct kgen_generator kgen_attention_generators[KGEN_ATTENTION_GENERATORS];

#endif
