/* SPDX-License-Identifier: MIT */
/* Verification: right kernels of every op pass, and each kind of broken one is caught and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../runtime/verify.h"
#include "plain_kernels.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEED = 42 };

/* --- running a proof in a worker ------------------------------------------------------------------------ */

static pthread_t first_thread; /* of the child */

struct proof {
    struct kgen_kernel kernel;
    struct kgen_verify_cases *cases;
    struct kgen_verification verification;
};

static void proof_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    struct proof *proof = context;
    (void)index;
    first_thread = pthread_self();
    kgen_worker_stage(worker, "verify", 5);
    const struct kgen_verify_options options = {SEED, 3, kgen_worker_guards(worker)};
    struct kgen_error error = {0};
    if (kgen_verify_with(proof->cases, &proof->kernel, &options, result, &error) != 0)
        exit(99);
}

static void endless_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    struct proof *proof = context;
    (void)index;
    kgen_worker_stage(worker, "verify", 0.3);
    const struct kgen_verify_options options = {SEED, 1, kgen_worker_guards(worker)};
    if (kgen_verify_with(proof->cases, &proof->kernel, &options, result, NULL) != 0)
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

static struct kgen_verification prove(const struct kgen_kernel *kernel, kgen_job *job)
{
    struct kgen_error error = {0};
    struct proof proof = {.kernel = *kernel};
    proof.cases = kgen_verify_cases_new(&kernel->problem, SEED, &error);
    assert_non_null(proof.cases);
    const struct kgen_worker_options options = {.limit_seconds = 5};
    assert_int_equal(
        kgen_workers_run(&options, 1, sizeof proof.verification, job, proof_report, &proof, &error), 0);
    kgen_verify_cases_free(proof.cases);
    return proof.verification;
}

static void assert_verdict(const char *what, const struct kgen_verification *v, enum kgen_verdict expected)
{
    if (v->verdict != expected)
        fail_msg("%s: %s, expected %s: %s", what, kgen_verdict_name(v->verdict), kgen_verdict_name(expected),
                 v->detail);
}

static void assert_passes(const char *what, const struct kgen_kernel *kernel)
{
    struct kgen_verification v = prove(kernel, proof_job);
    assert_verdict(what, &v, KGEN_PASSED);
    assert_true(v.error_of_bound >= 0 && v.error_of_bound <= 1);
    assert_true(v.cases >= 5);
    assert_string_equal(v.detail, "");
}

/* --- problems ----------------------------------------------------------------------------------------------
 */

static struct kgen_problem quantised(enum kgen_op op, int64_t N, int64_t K, int64_t bits, int64_t group_size)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    problem.N = N;
    problem.K = K;
    problem.bits = bits;
    problem.group_size = group_size;
    problem.mode = KGEN_AFFINE;
    problem.scales = KGEN_F16;
    problem.activations = KGEN_F32;
    return problem;
}

static const int64_t all_bits[] = {1, 2, 3, 4, 5, 6, 8};
static const int64_t all_modes[] = {KGEN_AFFINE, KGEN_SYMMETRIC, KGEN_ZERO_POINT};
static const int64_t all_scales[] = {KGEN_F16, KGEN_BF16, KGEN_F32};
static const int64_t all_activations[] = {KGEN_F32, KGEN_I16, KGEN_I8};

static void test_right_qmv_passes(void **state)
{
    static const struct {
        int64_t N, K, group_size;
    } shapes[] = {{4096, 1024, 64}, {1, 32, 32}, {7, 288, 32}, {4097, 128, 128}, {64, 4864, 128}};
    (void)state;
    size_t count = 0;
    for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
        for (size_t m = 0; m < KGEN_COUNT_OF(all_modes); m++) {
            for (size_t a = 0; a < KGEN_COUNT_OF(all_activations); a++) {
                size_t s = (b + m + a) % KGEN_COUNT_OF(shapes);
                struct kgen_problem problem =
                    quantised(KGEN_OP_QMV, shapes[s].N, shapes[s].K, all_bits[b], shapes[s].group_size);
                problem.mode = all_modes[m];
                problem.scales = all_scales[(b + a) % KGEN_COUNT_OF(all_scales)];
                problem.activations = all_activations[a];
                char what[96];
                snprintf(what, sizeof what, "qmv N=%d K=%d bits=%d group=%d mode=%s scales=%s activations=%s",
                         (int)problem.N, (int)problem.K, (int)problem.bits, (int)problem.group_size,
                         m == 0   ? "affine"
                         : m == 1 ? "symmetric"
                                  : "zero_point",
                         problem.scales == KGEN_F16    ? "f16"
                         : problem.scales == KGEN_BF16 ? "bf16"
                                                       : "f32",
                         a == 0   ? "f32"
                         : a == 1 ? "i16"
                                  : "i8");
                struct kgen_kernel kernel = plain_kernel(&problem);
                assert_passes(what, &kernel);
                count++;
            }
        }
    }
    assert_int_equal(count, 63);
}

static void test_right_dequantize_passes(void **state)
{
    (void)state;
    for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
        struct kgen_problem problem = quantised(KGEN_OP_DEQUANTIZE, 5, 288, all_bits[b], 32);
        problem.mode = all_modes[b % 3];
        problem.scales = all_scales[b / 2 % 3];
        struct kgen_kernel kernel = plain_kernel(&problem);
        assert_passes("dequantize", &kernel);
    }
}

static void test_right_rms_norm_passes(void **state)
{
    static const int64_t sizes[] = {1, 7, 128, 4096};
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(sizes); i++) {
        for (int flags = 0; flags < 4; flags++) {
            struct kgen_problem problem;
            kgen_problem_init(&problem, KGEN_OP_RMS_NORM);
            problem.rows = 1 + flags;
            problem.size = sizes[i];
            problem.eps = 1e-6;
            problem.residual = flags & 1;
            problem.weight_plus_one = flags >> 1;
            struct kgen_kernel kernel = plain_kernel(&problem);
            assert_passes("rms_norm", &kernel);
        }
    }
}

static void test_right_rope_passes(void **state)
{
    static const struct {
        int64_t heads, head_dim, rotary_dim, pairing;
    } table[] = {{32, 128, 128, KGEN_HALF_SPLIT},
                 {1, 64, 64, KGEN_INTERLEAVED},
                 {8, 96, 32, KGEN_HALF_SPLIT},
                 {3, 10, 6, KGEN_INTERLEAVED}};
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        struct kgen_problem problem;
        kgen_problem_init(&problem, KGEN_OP_ROPE);
        problem.heads = table[i].heads;
        problem.head_dim = table[i].head_dim;
        problem.rotary_dim = table[i].rotary_dim;
        problem.pairing = table[i].pairing;
        problem.theta = 1e6;
        struct kgen_kernel kernel = plain_kernel(&problem);
        assert_passes("rope", &kernel);
    }
}

static void test_right_elementwise_passes(void **state)
{
    static const enum kgen_op ops[] = {KGEN_OP_SWIGLU, KGEN_OP_ADD};
    static const int64_t sizes[] = {1, 3, 16, 12288, 50001};
    (void)state;
    for (size_t o = 0; o < KGEN_COUNT_OF(ops); o++) {
        for (size_t i = 0; i < KGEN_COUNT_OF(sizes); i++) {
            struct kgen_problem problem;
            kgen_problem_init(&problem, ops[o]);
            problem.size = sizes[i];
            struct kgen_kernel kernel = plain_kernel(&problem);
            assert_passes(o == 0 ? "swiglu" : "add", &kernel);
        }
    }
}

/* --- broken kernels ----------------------------------------------------------------------------------------
 */

typedef void qmv_function(const void *weights, const void *scales, const void *biases, const void *workspace,
                          float *y, size_t row_begin, size_t row_end);
#define BROKEN(name)                                                                                         \
    static void name(const void *weights, const void *scales, const void *biases, const void *workspace,     \
                     float *y, size_t row_begin, size_t row_end)
#define RIGHT() plain_qmv(weights, scales, biases, workspace, y, row_begin, row_end)

enum { BROKEN_K = 512, BROKEN_ROW_BYTES = 256, BROKEN_GROUPS = 8 };

static volatile float sink;

BROKEN(wrong_last)
{
    RIGHT();
    if (row_end - row_begin == 33)
        y[row_end - 1] *= 1.001f;
}

BROKEN(not_a_number)
{
    RIGHT();
    if (row_end > row_begin && row_begin == 0)
        y[0] = NAN;
}

BROKEN(unwritten_remainder)
{
    size_t whole = row_begin + (row_end - row_begin) / 4 * 4;
    plain_qmv(weights, scales, biases, workspace, y, row_begin, whole);
}

BROKEN(writes_behind)
{
    RIGHT();
    y[row_end] = 0;
}

BROKEN(writes_before)
{
    RIGHT();
    (y + row_begin)[-1] = 0;
}

/* Beyond the guard at once, and only where a canary can see it. */
BROKEN(writes_far_before)
{
    RIGHT();
    if (row_begin == 0 && row_end == 3)
        (y + row_begin)[-9] = 0;
}

/* A tile that is stored whole, and put right by the next: right in one call, wrong where the range ends. */
BROKEN(writes_whole_tiles)
{
    RIGHT();
    for (size_t n = row_end; n % 4 != 0 && row_end == 11; n++)
        y[n] = 1;
}

BROKEN(reads_weights_behind)
{
    RIGHT();
    sink = ((const volatile unsigned char *)weights)[row_end * BROKEN_ROW_BYTES + 3];
}

BROKEN(reads_scales_behind)
{
    RIGHT();
    sink = ((const volatile unsigned short *)scales)[row_end * BROKEN_GROUPS];
}

BROKEN(reads_biases_before)
{
    RIGHT();
    sink = ((const volatile unsigned short *)biases + row_begin * BROKEN_GROUPS)[-1];
}

BROKEN(changes_weights)
{
    RIGHT();
    ((unsigned char *)(uintptr_t)weights)[row_begin * BROKEN_ROW_BYTES] ^= 1;
}

BROKEN(changes_workspace)
{
    RIGHT();
    *(float *)(uintptr_t)workspace = 1;
}

BROKEN(reads_nowhere)
{
    RIGHT();
    if (row_end - row_begin == 17)
        sink = *(const volatile float *)(uintptr_t)64;
}

BROKEN(traps)
{
    RIGHT();
    __builtin_trap();
}

BROKEN(hangs)
{
    RIGHT();
    while (row_begin == 0)
        sink = 1;
}

BROKEN(leaves)
{
    RIGHT();
    exit(3);
}

static unsigned calls;

BROKEN(differs_next_time)
{
    RIGHT();
    if (row_end > row_begin && ++calls % 2 == 0)
        y[row_begin] = nextafterf(y[row_begin], INFINITY);
}

BROKEN(differs_by_range)
{
    RIGHT();
    if (row_end > row_begin && row_begin % 16 != 0)
        y[row_begin] = nextafterf(y[row_begin], INFINITY);
}

BROKEN(differs_in_threads)
{
    RIGHT();
    if (row_end > row_begin && !pthread_equal(pthread_self(), first_thread))
        y[row_begin] = nextafterf(y[row_begin], INFINITY);
}

/* The offset of a row computed in 32 bits: right until the matrix exceeds 4 GB. */
BROKEN(wraps_offsets)
{
    const unsigned char *base = (const unsigned char *)weights;
    for (size_t n = row_begin; n < row_end; n++) {
        const unsigned char *row = base + (uint32_t)(n * BROKEN_ROW_BYTES);
        plain_qmv(row - n * BROKEN_ROW_BYTES, scales, biases, workspace, y, n, n + 1);
    }
}

static void changes_x(const float *x, void *workspace)
{
    plain_qmv_prepare(x, workspace);
    ((float *)(uintptr_t)x)[3] = 0;
}

static void overfills_workspace(const float *x, void *workspace)
{
    plain_qmv_prepare(x, workspace);
    ((float *)workspace)[BROKEN_K + 2 * BROKEN_GROUPS] = 1;
}

static void underfills_workspace(const float *x, void *workspace)
{
    static float whole[BROKEN_K + 2 * BROKEN_GROUPS];
    plain_qmv_prepare(x, whole);
    memcpy(workspace, whole, sizeof whole - sizeof(float));
}

static void reads_x_behind(const float *x, void *workspace)
{
    plain_qmv_prepare(x, workspace);
    sink = ((const volatile float *)x)[BROKEN_K];
}

static const struct {
    const char *name;
    qmv_function *run;
    void (*prepare)(const float *x, void *workspace);
    enum kgen_verdict verdict;
    const char *detail; /* a part of it */
} broken[] = {
    {"wrong last", wrong_last, NULL, KGEN_WRONG_ELEMENT, "y[32] = "},
    {"not a number", not_a_number, NULL, KGEN_WRONG_ELEMENT, "nan, expected"},
    {"unwritten remainder", unwritten_remainder, NULL, KGEN_UNWRITTEN_ELEMENT, "y[0] was not written"},
    {"writes behind", writes_behind, NULL, KGEN_WRITE_PAST_END, "wrote byte 1 past the end of y"},
    {"writes before", writes_before, NULL, KGEN_WRITE_PAST_END, "wrote outside of y: at byte -1 of its 4"},
    {"writes far before", writes_far_before, NULL, KGEN_WRITE_PAST_END, "at byte -33 of its 12"},
    {"writes whole tiles", writes_whole_tiles, NULL, KGEN_WRITE_PAST_END,
     "y[11] is outside of the range and was written"},
    {"reads weights behind", reads_weights_behind, NULL, KGEN_READ_PAST_END,
     "read byte 4 past the end of weights"},
    {"reads scales behind", reads_scales_behind, NULL, KGEN_READ_PAST_END,
     "read byte 1 past the end of scales"},
    {"reads biases before", reads_biases_before, NULL, KGEN_READ_PAST_END, "before the start of biases"},
    {"reads x behind", plain_qmv, reads_x_behind, KGEN_READ_PAST_END, "read byte 1 past the end of x"},
    {"changes weights", changes_weights, NULL, KGEN_INPUT_CHANGED, "wrote to weights"},
    {"changes x", plain_qmv, changes_x, KGEN_INPUT_CHANGED, "wrote to x"},
    {"changes workspace", changes_workspace, NULL, KGEN_INPUT_CHANGED, "wrote to workspace"},
    {"overfills workspace", plain_qmv, overfills_workspace, KGEN_WRITE_PAST_END, "past the end of workspace"},
    {"underfills workspace", plain_qmv, underfills_workspace, KGEN_WRONG_ELEMENT, "nan, expected"},
    {"reads nowhere", reads_nowhere, NULL, KGEN_CRASHED, "SIGSEGV: a read at 0x40"},
    {"traps", traps, NULL, KGEN_CRASHED, "SIGILL"},
    {"leaves", leaves, NULL, KGEN_WORKER_EXITED, "exit status 3"},
    {"differs next time", differs_next_time, NULL, KGEN_NOT_REPEATABLE, "in the first run"},
    {"differs by range", differs_by_range, NULL, KGEN_THREADS_DIFFER, "divided"},
    {"differs in threads", differs_in_threads, NULL, KGEN_THREADS_DIFFER, "several threads"},
};

static void test_broken_kernels_are_caught(void **state)
{
    (void)state;
    struct kgen_problem problem = quantised(KGEN_OP_QMV, 64, BROKEN_K, 4, 64);
    size_t count = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(broken); i++, count++) {
        struct kgen_kernel kernel = plain_kernel(&problem);
        kernel.run = (void *)broken[i].run;
        if (broken[i].prepare != NULL)
            kernel.prepare = (void *)broken[i].prepare;
        struct kgen_verification v = prove(&kernel, proof_job);
        print_message("# %s: %s: %s\n", broken[i].name, kgen_verdict_name(v.verdict), v.detail);
        assert_verdict(broken[i].name, &v, broken[i].verdict);
        if (strstr(v.detail, broken[i].detail) == NULL || strstr(v.detail, "case random") == NULL ||
            strstr(v.detail, "seed 42") == NULL)
            fail_msg("%s: the detail does not say \"%s\" or how to get there: %s", broken[i].name,
                     broken[i].detail, v.detail);
        assert_true(v.cases > 0);
    }
    assert_int_equal(count, KGEN_COUNT_OF(broken));
}

static void test_endless_loop_is_caught(void **state)
{
    (void)state;
    struct kgen_problem problem = quantised(KGEN_OP_QMV, 64, BROKEN_K, 4, 64);
    struct kgen_kernel kernel = plain_kernel(&problem);
    kernel.run = (void *)hangs;
    struct kgen_verification v = prove(&kernel, endless_job);
    assert_verdict("hangs", &v, KGEN_TIMED_OUT);
    assert_non_null(strstr(v.detail, "in verify (case random, range 0-1"));
}

static void test_great_offsets_are_right(void **state)
{
    (void)state;
    struct kgen_problem problem = quantised(KGEN_OP_QMV, INT64_C(1) << 25, BROKEN_K, 4, 64);
    struct kgen_kernel kernel = plain_kernel(&problem);
    assert_passes("8 GB of weights", &kernel);
    kernel.run = (void *)wraps_offsets;
    struct kgen_verification v = prove(&kernel, proof_job);
    assert_verdict("wraps offsets", &v, KGEN_CRASHED);
}

/* --- how sharp the bounds are
 * ------------------------------------------------------------------------------- */

static void assert_flip_is_caught(const struct kgen_problem *problem, size_t row, int64_t k)
{
    struct kgen_kernel kernel = plain_kernel(problem);
    plain_flip = 1;
    plain_flip_row = row;
    plain_flip_k = k;
    struct kgen_verification v = prove(&kernel, proof_job);
    assert_verdict("one flipped bit", &v, KGEN_WRONG_ELEMENT);
}

static void test_one_wrong_bit_is_caught(void **state)
{
    static const int64_t sizes[] = {32, 4096, 29568};
    (void)state;
    size_t count = 0;
    for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
        for (size_t a = 0; a < KGEN_COUNT_OF(all_activations); a++) {
            int64_t K = sizes[(b + a) % 3];
            struct kgen_problem problem = quantised(KGEN_OP_QMV, 4096, K, all_bits[b], 32);
            problem.activations = all_activations[a];
            problem.mode = all_modes[b % 3];
            assert_flip_is_caught(&problem, (b * 5) % 9, (int64_t)(b * 7919 + a * 104729) % K);
            count++;
        }
    }
    assert_int_equal(count, 21);
}

static int64_t swap_neighbours(size_t row, int64_t i)
{
    return row == 6 ? i ^ 1 : i;
}

static int64_t swap_nibbles_far(size_t row, int64_t i)
{
    (void)row;
    return i % 64 == 5 ? i + 32 : i % 64 == 37 ? i - 32 : i;
}

/* One pair of neighbours in all the matrix's row, on either side of a byte, and near its end. */
static int64_t swap_one_pair(size_t row, int64_t i)
{
    (void)row;
    return i == 1001 ? 1002 : i == 1002 ? 1001 : i;
}

static int64_t swap_last_pair(size_t row, int64_t i)
{
    (void)row;
    return i >= 4094 ? i ^ 1 : i;
}

static void test_misplaced_values_are_caught(void **state)
{
    static plain_place *const places[] = {swap_neighbours, swap_nibbles_far, swap_one_pair, swap_last_pair};
    (void)state;
    size_t count = 0;
    for (size_t p = 0; p < KGEN_COUNT_OF(places); p++) {
        for (size_t a = 0; a < KGEN_COUNT_OF(all_activations); a++) {
            struct kgen_problem problem = quantised(KGEN_OP_QMV, 4096, 4096, 4, 64);
            problem.activations = all_activations[a];
            struct kgen_kernel kernel = plain_kernel(&problem);
            plain_misplace = places[p];
            struct kgen_verification v = prove(&kernel, proof_job);
            assert_verdict("misplaced values", &v, KGEN_WRONG_ELEMENT);
            count++;
        }
    }
    assert_int_equal(count, 12);
}

static void adds_elsewhere(const float *a, const float *b, float *y, size_t begin, size_t end)
{
    plain_add(a, b, y, begin, end);
    if (end - begin > 2)
        y[begin + 1] = nextafterf(y[begin + 1], 100.0f);
}

/* Writes before it has read: wrong where y = a. */
static void adds_twice(const float *a, const float *b, float *y, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        y[i] = b[i];
    for (size_t i = begin; i < end; i++)
        y[i] = a[i] + y[i];
}

static void test_broken_add_is_caught(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, KGEN_OP_ADD);
    problem.size = 1000;
    struct kgen_kernel kernel = plain_kernel(&problem);
    kernel.run = (void *)adds_elsewhere;
    struct kgen_verification v = prove(&kernel, proof_job);
    assert_verdict("one unit in the last place", &v, KGEN_WRONG_ELEMENT);
    kernel.run = (void *)adds_twice;
    v = prove(&kernel, proof_job);
    assert_verdict("in place", &v, KGEN_WRONG_ELEMENT);
    assert_non_null(strstr(v.detail, "y = x,"));
}

static void forgets_one(const float *x, const float *w, float *y, size_t row_begin, size_t row_end)
{
    for (size_t row = row_begin; row < row_end; row++) {
        float squares = 0;
        for (size_t i = 0; i < 4095; i++)
            squares += x[row * 4096 + i] * x[row * 4096 + i];
        float r = 1 / sqrtf(squares / 4096 + 1e-6f);
        for (size_t i = 0; i < 4096; i++)
            y[row * 4096 + i] = x[row * 4096 + i] * r * w[i];
    }
}

static void test_broken_rms_norm_is_caught(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, KGEN_OP_RMS_NORM);
    problem.rows = 1;
    problem.size = 4096;
    problem.eps = 1e-6;
    struct kgen_kernel kernel = plain_kernel(&problem);
    kernel.run = (void *)forgets_one;
    struct kgen_verification v = prove(&kernel, proof_job);
    assert_verdict("one element left out of the mean", &v, KGEN_WRONG_ELEMENT);
}

/* --- the rest
 * ------------------------------------------------------------------------------------------------- */

static void test_verdict_names(void **state)
{
    (void)state;
    for (int i = 0; i < KGEN_VERDICT_COUNT; i++) {
        enum kgen_verdict verdict = KGEN_VERDICT_COUNT;
        assert_int_equal(kgen_verdict_parse(kgen_verdict_name((enum kgen_verdict)i), &verdict), 0);
        assert_int_equal(verdict, i);
    }
    enum kgen_verdict verdict;
    assert_int_equal(kgen_verdict_parse("fine", &verdict), -1);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* In this process and with one call; says what it costs. */
static void test_in_one_call(void **state)
{
    (void)state;
    struct kgen_problem problem = quantised(KGEN_OP_QMV, 4096, 4096, 4, 64);
    struct kgen_kernel kernel = plain_kernel(&problem);
    const struct kgen_verify_options options = {SEED, 1, NULL};
    struct kgen_verification v, again;
    struct kgen_error error = {0};
    double begin = seconds_now();
    assert_int_equal(kgen_verify(&kernel, &options, &v, &error), 0);
    double whole = seconds_now() - begin;
    assert_verdict("in one call", &v, KGEN_PASSED);
    assert_int_equal(kgen_verify(&kernel, &options, &again, &error), 0);
    assert_memory_equal(&v, &again, sizeof v);
    print_message("# %u cases, %.1f ms, error %.3f of its bound\n", v.cases, whole * 1e3, v.error_of_bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_qmv_passes),
        cmocka_unit_test(test_right_dequantize_passes),
        cmocka_unit_test(test_right_rms_norm_passes),
        cmocka_unit_test(test_right_rope_passes),
        cmocka_unit_test(test_right_elementwise_passes),
        cmocka_unit_test(test_broken_kernels_are_caught),
        cmocka_unit_test(test_endless_loop_is_caught),
        cmocka_unit_test(test_great_offsets_are_right),
        cmocka_unit_test(test_one_wrong_bit_is_caught),
        cmocka_unit_test(test_misplaced_values_are_caught),
        cmocka_unit_test(test_broken_add_is_caught),
        cmocka_unit_test(test_broken_rms_norm_is_caught),
        cmocka_unit_test(test_verdict_names),
        cmocka_unit_test(test_in_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
