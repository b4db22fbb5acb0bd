/* SPDX-License-Identifier: MIT */
/* attention_prefill: the attention of many positions at once, each over all positions up to it, with the
 * caches of attention_decode. */
#include "gen/ops/attention.h"

/* Timings have room for the typical position, of which these rows are a part. */
enum { ROWS_MAX = 512 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("M", "m", ROWS_MAX, "the most rows of a call, at most context"),
    KGEN_ATTENTION_SHAPE_FIELDS,
    KGEN_ATTENTION_CACHE_FIELDS,
    {"row_parts", NULL, KGEN_FIELD_INTEGER, false, 8, 1, KGEN_ATTENTION_PARTS_MAX, NULL,
     "parts of the rows, which threads share", "rp", false, false, NULL},
    KGEN_ATTENTION_MASK_FIELDS,
};

static const struct kgen_buffer buffers[] = {
    {"q", KGEN_INPUT, "f32", "M, heads, head_dim", KGEN_RUN, NULL, NULL},
    {"k", KGEN_INPUT, "f32", "M, kv_heads, head_dim", KGEN_PREPARE, NULL, NULL},
    {"v", KGEN_INPUT, "f32", "M, kv_heads, head_dim", KGEN_PREPARE, NULL, NULL},
    {"k_cache", KGEN_STATE, "cache_dtype", KGEN_ATTENTION_K_CACHE_SHAPE, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"v_cache", KGEN_STATE, "cache_dtype", KGEN_ATTENTION_V_CACHE_SHAPE, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    KGEN_ATTENTION_SINKS_BUFFER,
    KGEN_ATTENTION_PAGES_BUFFER,
    {"scratch", KGEN_SCRATCH, NULL, NULL, KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "M, heads, head_dim", KGEN_RUN, NULL, NULL},
};

enum { Y = 6 }; /* without sinks and pages */

static const struct kgen_scalar scalars[] = {
    {"position", 0, KGEN_ATTENTION_CONTEXT_MAX - 1, "context - M", KGEN_PREPARE | KGEN_RUN,
     "of the first row in its sequence", NULL},
    {"rows", 1, ROWS_MAX, "M", KGEN_PREPARE | KGEN_RUN, "of the call", "M"},
};

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t rows = kgen_problem_get(problem, "M"), context = kgen_problem_get(problem, "context");
    if (rows > context)
        return kgen_check_fail(place, "attention_prefill: M %lld is more than the context of %lld",
                               (long long)rows, (long long)context);
    return kgen_attention_check(problem, place);
}

/* A product and a sum for each element of a key and of a value, for each query head: of the last rows that
 * the context has room for. */
static double operations(const struct kgen_problem *problem)
{
    const double rows = (double)kgen_problem_get(problem, "M");
    return 4 * (double)kgen_problem_get(problem, "heads") * (double)kgen_problem_get(problem, "head_dim") *
           rows * kgen_attention_positions(problem, rows);
}

static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    kgen_attention_reference(problem, arguments, expected, kgen_attention_output(problem, Y));
}

const struct kgen_op kgen_op_attention_prefill = {
    .name = "attention_prefill",
    .summary = "Attends from many positions at once to all up to each, whose keys and values are in caches.",
    .formula =
        "_prepare appends the first `rows` rows of k and v to the caches, from position on, rounded to the\n"
        "caches' dtype. Then for the rows i below `rows` and the query heads h that share the heads kv of\n"
        "keys and values, kv = h * kv_heads / heads:\n"
        "y[i][h] = sum of w[j] * v_cache[j][kv] over j from 0 to position + i, with\n"
        "w = softmax(scale * q[i][h] . k_cache[j][kv]). Further rows of y are not written. The caches are\n"
        "those of attention_decode: element i of position j is k_cache[j / 16][kv][i][j % 16] and\n"
        "v_cache[j / 16][kv][j % 16][i], or bytes as that says. The range counts pairs: part p of the rows\n"
        "for the heads kv is kv * row_parts + p.\n"
        "With window, j begins at position + i + 1 - window, and nothing depends on elements that no row\n"
        "sees. With softcap, a score s becomes softcap * tanh(s / softcap). With sinks, sinks[h] is one "
        "more\n"
        "score of the softmax, whose value is 0. With page_size, the caches are pages as those of\n"
        "attention_decode.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .scalars = scalars,
    .scalar_count = KGEN_COUNT_OF(scalars),
    .range = "kv_heads",
    .range_inner = "row_parts",
    .range_name = "part",
    .fixed_range = true,
    .scattered = true,
    .room = "context",
    .room_read = "(window > 0) * (window + M)",
    .threaded = true,
    .complete = kgen_attention_complete,
    .check = check,
    .names = kgen_attention_names,
    .operations = operations,
    .reference = reference,
    .generators = kgen_attention_generators,
    .generator_count = KGEN_COUNT_OF(kgen_attention_generators),
};
