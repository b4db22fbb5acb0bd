/* SPDX-License-Identifier: MIT */
/* The list of weight formats, which has a row for each file of gen/ops/formats. */
#include "gen/ops/format.h"

#include "gen/ops/buffers.h"

#include <string.h>

/* clang-format off */
#define FORMATS(ROW)                 \
    ROW(affine, KGEN_AFFINE)         \
    ROW(symmetric, KGEN_SYMMETRIC)   \
    ROW(zero_point, KGEN_ZERO_POINT) \
    ROW(q8_0, KGEN_Q8_0)
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

const struct kgen_format *kgen_problem_format(const struct kgen_problem *problem)
{
    return kgen_problem_has(problem, "scheme") ? kgen_format_find(kgen_problem_get(problem, "scheme")) : NULL;
}

void kgen_problem_matrix(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                         struct kgen_matrix *matrix)
{
    *matrix = (struct kgen_matrix){.format = kgen_problem_format(problem),
                                   .N = kgen_problem_get(problem, "N"),
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

int kgen_format_check(const struct kgen_problem *problem, const struct kgen_check_place *check)
{
    const struct kgen_format *format = kgen_problem_format(problem);
    if (check_fixed(problem, "bits", format->bits, check) != 0 ||
        check_fixed(problem, "group_size", format->group_size, check) != 0 ||
        check_fixed(problem, "scale_dtype", format->scale_dtype, check) != 0)
        return -1;
    if (!format->tiles && kgen_problem_get(problem, "layout") == KGEN_TILES16)
        return kgen_check_fail(check, "%s: the scheme %s has no layout tiles16", problem->op->name,
                               kgen_constant_name(format->scheme));
    const int64_t K = kgen_problem_get(problem, "K"), group_size = kgen_problem_get(problem, "group_size");
    if (K % group_size == 0)
        return 0;
    kgen_check_fail(check, "%s: K %lld is not a multiple of group_size %lld", problem->op->name, (long long)K,
                    (long long)group_size);
    kgen_error_hint(check->error, "%lld is", (long long)((K / group_size + 1) * group_size));
    return -1;
}
