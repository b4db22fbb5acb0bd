/* SPDX-License-Identifier: MIT */
/* Verification: each kind of broken kernel is caught and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "generic_kernels.h"
#include "prove.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void qmv_function(const void *weights, const void *scales, const void *biases, const void *workspace,
                          float *y, size_t row_begin, size_t row_end);
#define BROKEN(name)                                                                                         \
    static void name(const void *weights, const void *scales, const void *biases, const void *workspace,     \
                     float *y, size_t row_begin, size_t row_end)
#define RIGHT() generic_qmv(weights, scales, biases, workspace, y, row_begin, row_end)

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
    generic_qmv(weights, scales, biases, workspace, y, row_begin, whole);
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
    volatile uintptr_t nowhere = 64;
    RIGHT();
    if (row_end - row_begin == 17)
        sink = *(const volatile float *)nowhere;
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

static pthread_t first_thread; /* which fork() keeps */

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
        generic_qmv(row - n * BROKEN_ROW_BYTES, scales, biases, workspace, y, n, n + 1);
    }
}

static void changes_x(const float *x, void *workspace)
{
    generic_qmv_prepare(x, workspace);
    ((float *)(uintptr_t)x)[3] = 0;
}

static void overfills_workspace(const float *x, void *workspace)
{
    generic_qmv_prepare(x, workspace);
    ((float *)workspace)[BROKEN_K + 2 * BROKEN_GROUPS] = 1;
}

static void underfills_workspace(const float *x, void *workspace)
{
    static float whole[BROKEN_K + 2 * BROKEN_GROUPS];
    generic_qmv_prepare(x, whole);
    memcpy(workspace, whole, sizeof whole - sizeof(float));
}

static void reads_x_behind(const float *x, void *workspace)
{
    generic_qmv_prepare(x, workspace);
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
    {"reads x behind", generic_qmv, reads_x_behind, KGEN_READ_PAST_END, "read byte 1 past the end of x"},
    {"changes weights", changes_weights, NULL, KGEN_INPUT_CHANGED, "wrote to weights"},
    {"changes x", generic_qmv, changes_x, KGEN_INPUT_CHANGED, "wrote to x"},
    {"changes workspace", changes_workspace, NULL, KGEN_INPUT_CHANGED, "wrote to workspace"},
    {"overfills workspace", generic_qmv, overfills_workspace, KGEN_WRITE_PAST_END,
     "past the end of workspace"},
    {"underfills workspace", generic_qmv, underfills_workspace, KGEN_WRONG_ELEMENT, "nan, expected"},
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
    first_thread = pthread_self();
    struct kgen_problem problem = quantised_problem(kgen_op_find("qmv"), 64, BROKEN_K, 4, 64);
    size_t count = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(broken); i++, count++) {
        struct kgen_kernel kernel = generic_kernel(&problem);
        generic_replace(&kernel, (void (*)(void))broken[i].run, (void (*)(void))broken[i].prepare);
        struct kgen_verification v = prove(&kernel);
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
    struct kgen_problem problem = quantised_problem(kgen_op_find("qmv"), 64, BROKEN_K, 4, 64);
    struct kgen_kernel kernel = generic_kernel(&problem);
    generic_replace(&kernel, (void (*)(void))hangs, NULL);
    /* On a busy machine the time may be up before the kernel is called, so the limit grows until it is not.
     */
    const char *place = NULL;
    for (double seconds = 0.3; seconds < 100 && place == NULL; seconds *= 4) {
        struct kgen_verification v = prove_within(&kernel, seconds);
        assert_verdict("hangs", &v, KGEN_TIMED_OUT);
        place = strstr(v.detail, "in verify (case random, range 0-1");
    }
    assert_non_null(place);
}

static void test_great_offsets_are_right(void **state)
{
    (void)state;
    struct kgen_problem problem = quantised_problem(kgen_op_find("qmv"), INT64_C(1) << 25, BROKEN_K, 4, 64);
    struct kgen_kernel kernel = generic_kernel(&problem);
    assert_passes("8 GB of weights", &kernel);
    generic_replace(&kernel, (void (*)(void))wraps_offsets, NULL);
    struct kgen_verification v = prove(&kernel);
    assert_verdict("wraps offsets", &v, KGEN_CRASHED);
}

static void adds_elsewhere(const float *a, const float *b, float *y, size_t begin, size_t end)
{
    generic_add(a, b, y, begin, end);
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
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", 1000);
    struct kgen_kernel kernel = generic_kernel(&problem);
    generic_replace(&kernel, (void (*)(void))adds_elsewhere, NULL);
    struct kgen_verification v = prove(&kernel);
    assert_verdict("one unit in the last place", &v, KGEN_WRONG_ELEMENT);
    generic_replace(&kernel, (void (*)(void))adds_twice, NULL);
    v = prove(&kernel);
    assert_verdict("in place", &v, KGEN_WRONG_ELEMENT);
    assert_non_null(strstr(v.detail, "y = a,"));
}

/* Adds up the first `count` of 4096 elements, and is off by `factor`. */
static void bad_norm(const float *x, const float *w, float *y, size_t row_begin, size_t row_end, size_t count,
                     float factor)
{
    for (size_t row = row_begin; row < row_end; row++) {
        float squares = 0;
        for (size_t i = 0; i < count; i++)
            squares += x[row * 4096 + i] * x[row * 4096 + i];
        float r = factor / sqrtf(squares / 4096 + 1e-6f);
        for (size_t i = 0; i < 4096; i++)
            y[row * 4096 + i] = x[row * 4096 + i] * r * w[i];
    }
}

static void forgets_one(const float *x, const float *w, float *y, size_t row_begin, size_t row_end)
{
    bad_norm(x, w, y, row_begin, row_end, 4095, 1);
}

/* As the reciprocal root of an instruction with 12 bits would after one step of Newton's, badly done. */
static void approximates(const float *x, const float *w, float *y, size_t row_begin, size_t row_end)
{
    bad_norm(x, w, y, row_begin, row_end, 4096, 1.000002f);
}

static void test_broken_rms_norm_is_caught(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("rms_norm"));
    kgen_problem_set(&problem, "rows", 1);
    kgen_problem_set(&problem, "size", 4096);
    kgen_problem_set_real(&problem, "eps", 1e-6);
    struct kgen_kernel kernel = generic_kernel(&problem);
    generic_replace(&kernel, (void (*)(void))forgets_one, NULL);
    struct kgen_verification v = prove(&kernel);
    assert_verdict("one element left out of the mean", &v, KGEN_WRONG_ELEMENT);
    generic_replace(&kernel, (void (*)(void))approximates, NULL);
    v = prove(&kernel);
    assert_verdict("off by 2e-6", &v, KGEN_WRONG_ELEMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_kernels_are_caught), cmocka_unit_test(test_endless_loop_is_caught),
        cmocka_unit_test(test_great_offsets_are_right),   cmocka_unit_test(test_broken_add_is_caught),
        cmocka_unit_test(test_broken_rms_norm_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
