/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"

#include <stdlib.h>

struct proof {
    struct kgen_kernel kernel;
    struct kgen_verify_cases *cases;
    double limit_seconds;
    struct kgen_verification verification;
};

static void proof_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    struct proof *proof = context;
    (void)index;
    kgen_worker_stage(worker, "verify", proof->limit_seconds);
    const struct kgen_verify_options options = {
        .seed = PROVE_SEED, .threads = 3, .guards = kgen_worker_guards(worker)};
    struct kgen_error error = {0};
    if (kgen_verify_with(proof->cases, &proof->kernel, &options, result, &error) != 0)
        exit(99);
}

static int proof_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    struct proof *proof = context;
    (void)index;
    proof->verification = *(const struct kgen_verification *)result;
    kgen_outcome_verdict(outcome, &proof->verification);
    return 0;
}

struct kgen_verification prove_within(const struct kgen_kernel *kernel, double limit_seconds)
{
    struct kgen_error error = {0};
    struct proof proof = {.kernel = *kernel, .limit_seconds = limit_seconds};
    proof.cases = kgen_verify_cases_new(&kernel->problem, PROVE_SEED, &error);
    assert_non_null(proof.cases);
    const struct kgen_worker_options options = {.limit_seconds = 60};
    assert_int_equal(
        kgen_workers_run(&options, 1, sizeof proof.verification, proof_job, proof_report, &proof, &error), 0);
    kgen_verify_cases_free(proof.cases);
    return proof.verification;
}

struct kgen_verification prove(const struct kgen_kernel *kernel)
{
    return prove_within(kernel, 60);
}

void assert_verdict(const char *what, const struct kgen_verification *v, enum kgen_verdict expected)
{
    if (v->verdict != expected)
        fail_msg("%s: %s, expected %s: %s", what, kgen_verdict_name(v->verdict), kgen_verdict_name(expected),
                 v->detail);
}

void assert_passes(const char *what, const struct kgen_kernel *kernel)
{
    struct kgen_verification v = prove(kernel);
    assert_verdict(what, &v, KGEN_PASSED);
    assert_true(v.error_of_bound >= 0 && v.error_of_bound <= 1);
    assert_true(v.cases >= 5);
    assert_string_equal(v.detail, "");
}

struct kgen_problem quantised_problem(const struct kgen_op *op, int64_t N, int64_t K, int64_t bits,
                                      int64_t group_size)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    kgen_problem_set(&problem, "N", N);
    kgen_problem_set(&problem, "K", K);
    kgen_problem_set(&problem, "bits", bits);
    kgen_problem_set(&problem, "group_size", group_size);
    kgen_problem_set(&problem, "scheme", KGEN_AFFINE);
    kgen_problem_set(&problem, "scale_dtype", KGEN_F16);
    kgen_problem_set(&problem, "activation_dtype", KGEN_F32);
    return problem;
}
