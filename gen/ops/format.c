/* SPDX-License-Identifier: MIT */
/* The list of weight formats, which has a row for each file of gen/ops/formats. */
#include "gen/ops/format.h"

#include "gen/ops/buffers.h"

#include <string.h>

/* What the kernels for groups take. */
enum { BITS_MAX = 8, GROUP_MIN = 32 };

/* clang-format off */
#define FORMATS(ROW)                 \
    ROW(affine, KGEN_AFFINE)         \
    ROW(symmetric, KGEN_SYMMETRIC)   \
    ROW(zero_point, KGEN_ZERO_POINT) \
    ROW(q8_0, KGEN_Q8_0)             \
    ROW(q6_k, KGEN_Q6_K)             \
    ROW(q3_k, KGEN_Q3_K)             \
    ROW(q2_k, KGEN_Q2_K)             \
    ROW(iq4_nl, KGEN_IQ4_NL)         \
    ROW(ggml_mxfp4, KGEN_GGML_MXFP4) \
    ROW(mxfp4, KGEN_MXFP4)           \
    ROW(mxfp8, KGEN_MXFP8)           \
    ROW(nvfp4, KGEN_NVFP4)           \
    ROW(f32, KGEN_F32)               \
    ROW(f16, KGEN_F16)               \
    ROW(bf16, KGEN_BF16)
/* clang-format on */

#define DECLARE(name, constant) extern const struct kgen_format kgen_format_##name;
#define ADDRESS(name, constant) &kgen_format_##name,
#define CONSTANT(name, constant) constant,

FORMATS(DECLARE)
static const struct kgen_format *const formats[] = {FORMATS(ADDRESS)};
const int kgen_format_constants[] = {FORMATS(CONSTANT) - 1};

size_t kgen_format_count(void)
{
    return KGEN_COUNT_OF(formats);
}

const struct kgen_format *kgen_format_at(size_t index)
{
    return formats[index];
}

const struct kgen_format *kgen_format_find(int64_t scheme)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(formats); i++) {
        if ((int64_t)formats[i]->scheme == scheme)
            return formats[i];
    }
    return NULL;
}

int64_t kgen_matrix_unit_greatest(const struct kgen_matrix *matrix)
{
    return matrix->format->unit_greatest != 0 ? matrix->format->unit_greatest : INT64_C(2) << matrix->bits;
}

const struct kgen_format *kgen_problem_format(const struct kgen_problem *problem)
{
    return kgen_problem_has(problem, "scheme") ? kgen_format_find(kgen_problem_get(problem, "scheme")) : NULL;
}

int64_t kgen_problem_matrices(const struct kgen_problem *problem)
{
    return kgen_problem_has(problem, "experts") ? kgen_problem_get(problem, "experts") : 1;
}

void kgen_problem_matrix(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                         struct kgen_matrix *matrix)
{
    *matrix = (struct kgen_matrix){.format = kgen_problem_format(problem),
                                   .N = kgen_problem_get(problem, "N") * kgen_problem_matrices(problem),
                                   .K = kgen_problem_get(problem, "K"),
                                   .bits = kgen_problem_get(problem, "bits"),
                                   .group_size = kgen_problem_get(problem, "group_size"),
                                   .scale_dtype = kgen_problem_get(problem, "scale_dtype")};
    for (size_t i = 0; arguments != NULL && i < matrix->format->array_count; i++)
        matrix->arrays[i] = kgen_argument(problem, arguments, matrix->format->arrays[i].name);
}

void kgen_format_complete(struct kgen_problem *problem)
{
    const struct kgen_format *format = kgen_problem_format(problem);
    if (format == NULL)
        return;
    if (format->bits != 0 && kgen_problem_get(problem, "bits") == 0)
        kgen_problem_set(problem, "bits", format->bits);
    if (format->group_size != 0 && kgen_problem_get(problem, "group_size") == 0)
        kgen_problem_set(problem, "group_size", format->group_size);
}

/* A property of which the format has one value only. */
static int check_fixed(const struct kgen_problem *problem, const char *name, int64_t only,
                       const struct kgen_check_place *check)
{
    const int64_t value = kgen_problem_get(problem, name);
    if (only == 0 || value == only)
        return 0;
    const char *scheme = kgen_constant_name(kgen_problem_get(problem, "scheme"));
    if (strcmp(name, "scale_dtype") == 0)
        return kgen_check_fail(check, "%s: the scheme %s has scales of %s, not %s", problem->op->name, scheme,
                               kgen_constant_name(only), kgen_constant_name(value));
    return kgen_check_fail(check, "%s: \"%s\" of the scheme %s is %lld, not %lld", problem->op->name, name,
                           scheme, (long long)only, (long long)value);
}

/* A property that the problem says, within what formats of any bits have kernels for. */
static int check_said(const struct kgen_problem *problem, const struct kgen_format *format,
                      const struct kgen_check_place *check)
{
    const int64_t bits = kgen_problem_get(problem, "bits");
    const int64_t group_size = kgen_problem_get(problem, "group_size");
    const char *scheme = kgen_constant_name(format->scheme);
    if (format->bits == 0 && bits > BITS_MAX)
        return kgen_check_fail(check, "%s: \"bits\" of the scheme %s is at most %d, not %lld",
                               problem->op->name, scheme, BITS_MAX, (long long)bits);
    if (format->group_size == 0 && group_size < GROUP_MIN)
        return kgen_check_fail(check, "%s: \"group_size\" of the scheme %s is at least %d, not %lld",
                               problem->op->name, scheme, GROUP_MIN, (long long)group_size);
    return 0;
}

int kgen_format_check(const struct kgen_problem *problem, const struct kgen_check_place *check)
{
    const struct kgen_format *format = kgen_problem_format(problem);
    if (check_fixed(problem, "bits", format->bits, check) != 0 ||
        check_fixed(problem, "group_size", format->group_size, check) != 0 ||
        check_fixed(problem, "scale_dtype", format->scale_dtype, check) != 0 ||
        check_said(problem, format, check) != 0)
        return -1;
    if (!format->tiles && kgen_problem_get(problem, "layout") == KGEN_TILES16)
        return kgen_check_fail(check, "%s: the scheme %s has no layout tiles16", problem->op->name,
                               kgen_constant_name(format->scheme));
    const int64_t K = kgen_problem_get(problem, "K"), group_size = kgen_problem_get(problem, "group_size");
    const bool blocks = format->block_values > group_size;
    const int64_t step = blocks ? format->block_values : group_size;
    if (K % step == 0)
        return 0;
    kgen_check_fail(check, "%s: K %lld is not a multiple of %s %lld", problem->op->name, (long long)K,
                    blocks ? "the scheme's blocks of" : "group_size", (long long)step);
    kgen_error_hint(check->error, "%lld is", (long long)((K / step + 1) * step));
    return -1;
}
