/* SPDX-License-Identifier: MIT */
/* attention_decode: the attention of one position over all positions up to it, with caches of keys and
 * values. */
#include "gen/ops/attention.h"

static const struct kgen_field fields[] = {
    KGEN_ATTENTION_SHAPE_FIELDS,
    KGEN_ATTENTION_CACHE_FIELDS,
    {"key_parts", NULL, KGEN_FIELD_INTEGER, false, 4, 1, KGEN_ATTENTION_PARTS_MAX, NULL,
     "parts of the positions, which threads share", "kp", false, false, NULL},
    KGEN_ATTENTION_MASK_FIELDS,
};

static const struct kgen_buffer buffers[] = {
    {"q", KGEN_INPUT, "f32", "heads, head_dim", KGEN_RUN, NULL, NULL},
    {"k", KGEN_INPUT, "f32", "kv_heads, head_dim", KGEN_PREPARE, NULL, NULL},
    {"v", KGEN_INPUT, "f32", "kv_heads, head_dim", KGEN_PREPARE, NULL, NULL},
    {"k_cache", KGEN_STATE, "cache_dtype", KGEN_ATTENTION_K_CACHE_SHAPE, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"v_cache", KGEN_STATE, "cache_dtype", KGEN_ATTENTION_V_CACHE_SHAPE, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    KGEN_ATTENTION_SINKS_BUFFER,
    KGEN_ATTENTION_PAGES_BUFFER,
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_RUN | KGEN_FINISH, NULL, NULL},
    {"scratch", KGEN_SCRATCH, NULL, NULL, KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "heads, head_dim", KGEN_FINISH, NULL, NULL},
};

enum { Y = 7 }; /* without sinks and pages */

static const struct kgen_scalar scalars[] = {
    {"position", 0, KGEN_ATTENTION_CONTEXT_MAX - 1, "context - 1", KGEN_PREPARE | KGEN_RUN | KGEN_FINISH,
     "of the token in its sequence", NULL},
};

/* A product and a sum for each element of a key and of a value, for each query head. */
static double operations(const struct kgen_problem *problem)
{
    return 4 * (double)kgen_problem_get(problem, "heads") * (double)kgen_problem_get(problem, "head_dim") *
           kgen_attention_positions(problem, 1);
}

static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    kgen_attention_reference(problem, arguments, expected, kgen_attention_output(problem, Y));
}

static bool batched(const struct kgen_problem *problem, int64_t rows, struct kgen_problem *batch)
{
    kgen_problem_init(batch, kgen_op_find("attention_prefill"));
    for (size_t i = 0; i < KGEN_COUNT_OF(fields); i++) {
        const struct kgen_field *field = kgen_op_field(batch->op, fields[i].name);
        if (field != NULL) /* both divide their work in parts of their own */
            *kgen_problem_value(batch, field) = problem->values[i];
    }
    kgen_problem_set(batch, "M", rows);
    return true;
}

const struct kgen_op kgen_op_attention_decode = {
    .name = "attention_decode",
    .summary = "Attends from one position to all up to it, whose keys and values are in caches.",
    .formula =
        "_prepare appends k and v to the caches, as the row of position, rounded to the caches' dtype.\n"
        "Then for the query heads h that share the heads kv of keys and values, kv = h * kv_heads / heads:\n"
        "y[h] = sum of w[j] * v_cache[j][kv] over j from 0 to position, with\n"
        "w = softmax(scale * q[h] . k_cache[j][kv]). Positions lie in tiles of 16: element i of position j\n"
        "is k_cache[j / 16][kv][i][j % 16] and v_cache[j / 16][kv][j % 16][i]. Nothing depends on elements\n"
        "beyond position. The range counts pairs: part p of the positions of the heads kv is\n"
        "kv * key_parts + p. _finish puts the parts together.\n"
        "Caches of q8_0 and q4_0 are bytes: for a tile, the heads kv and 32 elements 16 scales of f16, then\n"
        "words of 4 bytes. Element i of the 32, of place p = j % 16, is scale p times a signed number: byte\n"
        "i % 4 of word i / 4 * 16 + p of k_cache, byte p % 4 of word p / 4 * 32 + i of v_cache. With q4_0\n"
        "such a byte of an i below 16 has the numbers of i and i + 16 in its lower and upper half, and\n"
        "v_cache has 16 words in the place of 32.\n"
        "With window, j begins at position + 1 - window, and nothing depends on elements before. With\n"
        "softcap, a score s becomes softcap * tanh(s / softcap). With sinks, sinks[h] is one more score of\n"
        "the softmax, whose value is 0.\n"
        "With page_size, the caches are pages of so many positions in any order: position j lies where\n"
        "pages[j / page_size] * page_size + j % page_size does without. Pages with no position that counts\n"
        "may have any number.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .scalars = scalars,
    .scalar_count = KGEN_COUNT_OF(scalars),
    .range = "kv_heads",
    .range_inner = "key_parts",
    .range_name = "part",
    .fixed_range = true,
    .room = "context",
    .room_read = "window",
    .threaded = true,
    .batched = batched,
    .complete = kgen_attention_complete,
    .check = kgen_attention_check,
    .names = kgen_attention_names,
    .operations = operations,
    .reference = reference,
    .generators = kgen_attention_generators,
    .generator_count = KGEN_COUNT_OF(kgen_attention_generators),
};
