/* SPDX-License-Identifier: MIT */
/* Finding a function by the name of what it computes. */
#include "runtime/api/plan.h"

#include "gen/spec/tensors.h"

#include <stdlib.h>
#include <string.h>

/* The rank of a function's precision where the caller names none: the more exact, the higher. */
static int exactness(const struct kgen_function *function)
{
    switch (kgen_problem_get(&function->kernel.problem, "activation_dtype")) {
    case KGEN_I24:
        return 2;
    case KGEN_I16:
        return 1;
    case KGEN_I8:
        return 0;
    default:
        return 3;
    }
}

/* Whether two functions differ in the precision of the activations only. */
static bool differ_in_precision(const struct kgen_function *a, const struct kgen_function *b)
{
    return kgen_problem_get(&a->kernel.problem, "activation_dtype") !=
               kgen_problem_get(&b->kernel.problem, "activation_dtype") &&
           strcmp(a->tensors.data, b->tensors.data) == 0;
}

static bool has_precision(const struct kgen_function *function, const char *activation_dtype)
{
    const struct kgen_problem *problem = &function->kernel.problem;
    return activation_dtype == NULL || !kgen_problem_has(problem, "activation_dtype") ||
           strcmp(kgen_constant_name(kgen_problem_get(problem, "activation_dtype")), activation_dtype) == 0;
}

static const struct kgen_function *fail_missing(const struct kgen_plan *plan, const char *name,
                                                const char *activation_dtype, struct kgen_status *status)
{
    struct kgen_error error = {0};
    struct kgen_nearest nearest;
    kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "the plan has no function for \"%.200s\"%s%s", name,
                   activation_dtype != NULL ? " with activation_dtype " : "",
                   activation_dtype != NULL ? activation_dtype : "");
    kgen_nearest_start(&nearest, name, strlen(name));
    for (size_t i = 0; i < plan->count; i++) {
        kgen_tensors_offer(plan->functions[i].tensors.data, &nearest);
        kgen_nearest_offer(&nearest, plan->functions[i].name.data, plan->functions[i].name.length);
    }
    kgen_nearest_hint(&nearest, &error);
    if (status != NULL && status->code == KGEN_OK) {
        kgen_status_from(status, &error);
        status->code = KGEN_NOT_FOUND;
    }
    return NULL;
}

static const struct kgen_function *fail_ambiguous(const char *name, const struct kgen_function *a,
                                                  const struct kgen_function *b, struct kgen_status *status)
{
    struct kgen_error error = {0};
    kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "\"%.200s\" may be %s or %s", name, a->name.data,
                   b->name.data);
    kgen_error_hint(&error, "name the layer, as in layers.0.mlp.down_proj, or the function");
    if (status != NULL && status->code == KGEN_OK) {
        kgen_status_from(status, &error);
        status->code = KGEN_NOT_FOUND;
    }
    return NULL;
}

const struct kgen_function *kgen_plan_find(const struct kgen_plan *plan, const char *name,
                                           const char *activation_dtype, struct kgen_status *status)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (strcmp(plan->functions[i].name.data, name) == 0 &&
            has_precision(&plan->functions[i], activation_dtype))
            return &plan->functions[i];
    }
    const struct kgen_function *found = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        const struct kgen_function *function = &plan->functions[i];
        if (!has_precision(function, activation_dtype) || !kgen_tensors_have(function->tensors.data, name))
            continue;
        if (found != NULL && !differ_in_precision(found, function))
            return fail_ambiguous(name, found, function, status);
        if (found == NULL || exactness(function) > exactness(found))
            found = function;
    }
    return found != NULL ? found : fail_missing(plan, name, activation_dtype, status);
}
