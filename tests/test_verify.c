/* SPDX-License-Identifier: MIT */
/* Verification: right kernels of every op pass, and the bounds are sharp enough for one wrong bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "generic_kernels.h"
#include "prove.h"

#include <stdio.h>
#include <time.h>

static const int64_t all_bits[] = {1, 2, 3, 4, 5, 6, 8};
static const int64_t all_modes[] = {KGEN_AFFINE, KGEN_SYMMETRIC, KGEN_ZERO_POINT};
static const int64_t all_scales[] = {KGEN_F16, KGEN_BF16, KGEN_F32};
static const int64_t all_activations[] = {KGEN_F32, KGEN_I24, KGEN_I16, KGEN_I8};

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
                struct kgen_problem problem = quantised_problem(kgen_op_find("qmv"), shapes[s].N, shapes[s].K,
                                                                all_bits[b], shapes[s].group_size);
                kgen_problem_set(&problem, "scheme", all_modes[m]);
                kgen_problem_set(&problem, "scale_dtype", all_scales[(b + a) % KGEN_COUNT_OF(all_scales)]);
                kgen_problem_set(&problem, "activation_dtype", all_activations[a]);
                char what[96];
                snprintf(what, sizeof what, "qmv N=%d K=%d bits=%d group=%d mode=%s scales=%s activations=%s",
                         (int)kgen_problem_get(&problem, "N"), (int)kgen_problem_get(&problem, "K"),
                         (int)kgen_problem_get(&problem, "bits"),
                         (int)kgen_problem_get(&problem, "group_size"),
                         m == 0   ? "affine"
                         : m == 1 ? "symmetric"
                                  : "zero_point",
                         kgen_problem_get(&problem, "scale_dtype") == KGEN_F16    ? "f16"
                         : kgen_problem_get(&problem, "scale_dtype") == KGEN_BF16 ? "bf16"
                                                                                  : "f32",
                         kgen_constant_name(all_activations[a]));
                struct kgen_kernel kernel = generic_kernel(&problem);
                assert_passes(what, &kernel);
                count++;
            }
        }
    }
    assert_int_equal(count, 84);
}

static void test_right_dequantize_passes(void **state)
{
    (void)state;
    for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
        struct kgen_problem problem = quantised_problem(kgen_op_find("dequantize"), 5, 288, all_bits[b], 32);
        kgen_problem_set(&problem, "scheme", all_modes[b % 3]);
        kgen_problem_set(&problem, "scale_dtype", all_scales[b / 2 % 3]);
        struct kgen_kernel kernel = generic_kernel(&problem);
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
            kgen_problem_init(&problem, kgen_op_find("rms_norm"));
            kgen_problem_set(&problem, "rows", 1 + flags);
            kgen_problem_set(&problem, "size", sizes[i]);
            kgen_problem_set_real(&problem, "eps", 1e-6);
            kgen_problem_set(&problem, "residual", flags & 1);
            kgen_problem_set(&problem, "weight_plus_one", flags >> 1);
            struct kgen_kernel kernel = generic_kernel(&problem);
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
        kgen_problem_init(&problem, kgen_op_find("rope"));
        kgen_problem_set(&problem, "heads", table[i].heads);
        kgen_problem_set(&problem, "head_dim", table[i].head_dim);
        kgen_problem_set(&problem, "rotary_dim", table[i].rotary_dim);
        kgen_problem_set(&problem, "pairing", table[i].pairing);
        kgen_problem_set_real(&problem, "theta", 1e6);
        struct kgen_kernel kernel = generic_kernel(&problem);
        assert_passes("rope", &kernel);
    }
}

static void test_right_elementwise_passes(void **state)
{
    const struct kgen_op *const ops[] = {kgen_op_find("swiglu"), kgen_op_find("add")};
    static const int64_t sizes[] = {1, 3, 16, 12288, 50001};
    (void)state;
    for (size_t o = 0; o < KGEN_COUNT_OF(ops); o++) {
        for (size_t i = 0; i < KGEN_COUNT_OF(sizes); i++) {
            struct kgen_problem problem;
            kgen_problem_init(&problem, ops[o]);
            kgen_problem_set(&problem, "size", sizes[i]);
            struct kgen_kernel kernel = generic_kernel(&problem);
            assert_passes(o == 0 ? "swiglu" : "add", &kernel);
        }
    }
}

/* --- how sharp the bounds are
 * ------------------------------------------------------------------------------- */

static void assert_flip_is_caught(const struct kgen_problem *problem, size_t row, int64_t k)
{
    struct kgen_kernel kernel = generic_kernel(problem);
    generic_flip = 1;
    generic_flip_row = row;
    generic_flip_k = k;
    struct kgen_verification v = prove(&kernel);
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
            struct kgen_problem problem = quantised_problem(kgen_op_find("qmv"), 4096, K, all_bits[b], 32);
            kgen_problem_set(&problem, "activation_dtype", all_activations[a]);
            kgen_problem_set(&problem, "scheme", all_modes[b % 3]);
            assert_flip_is_caught(&problem, (b * 5) % 9, (int64_t)(b * 7919 + a * 104729) % K);
            count++;
        }
    }
    assert_int_equal(count, 28);
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

/* One pair of neighbours in a whole row: in two bytes, and at its end. */
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
    static generic_place *const places[] = {swap_neighbours, swap_nibbles_far, swap_one_pair, swap_last_pair};
    (void)state;
    size_t count = 0;
    for (size_t p = 0; p < KGEN_COUNT_OF(places); p++) {
        for (size_t a = 0; a < KGEN_COUNT_OF(all_activations); a++) {
            struct kgen_problem problem = quantised_problem(kgen_op_find("qmv"), 4096, 4096, 4, 64);
            kgen_problem_set(&problem, "activation_dtype", all_activations[a]);
            struct kgen_kernel kernel = generic_kernel(&problem);
            generic_misplace = places[p];
            struct kgen_verification v = prove(&kernel);
            assert_verdict("misplaced values", &v, KGEN_WRONG_ELEMENT);
            count++;
        }
    }
    assert_int_equal(count, 16);
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
    struct kgen_problem problem = quantised_problem(kgen_op_find("qmv"), 4096, 4096, 4, 64);
    struct kgen_kernel kernel = generic_kernel(&problem);
    const struct kgen_verify_options options = {.seed = PROVE_SEED, .threads = 1};
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
        cmocka_unit_test(test_one_wrong_bit_is_caught),
        cmocka_unit_test(test_misplaced_values_are_caught),
        cmocka_unit_test(test_verdict_names),
        cmocka_unit_test(test_in_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
