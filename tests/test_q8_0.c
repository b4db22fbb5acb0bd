/* SPDX-License-Identifier: MIT */
/* The weight format q8_0: by hand, against a decoder that knows the bytes and nothing of kgen, and in specs.
 */
#include "gen/ops/buffers.h"
#include "gen/ops/format.h"
#include "gen/spec/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

enum { SEED = 17 };

static struct kgen_matrix matrix_of(int64_t N, int64_t K, void *weights)
{
    return (struct kgen_matrix){kgen_format_find(KGEN_Q8_0), N, K, 8, 32, KGEN_F16, {weights}};
}

/* ---- bytes ---- */

static void test_quantise_by_hand(void **state)
{
    static const struct {
        const char *what;
        float values[4]; /* the first of 32; the others are 0 */
        unsigned scale;
        int8_t q[4];
    } table[] = {
        {"zeros", {0, 0, 0, 0}, 0x0000, {0, 0, 0, 0}},
        {"the scale 1", {127, -127, 64, -1}, 0x3c00, {127, -127, 64, -1}},
        {"halves go away from zero", {127, 0.5f, -0.5f, 2.5f}, 0x3c00, {127, 1, -1, 3}},
        {"the greatest is negative", {-254, 254, 3, -5}, 0x4000, {-127, 127, 2, -3}},
        /* 1 / 127 is 0x2008 after rounding to f16; the integers are those of 1 / 127 itself. */
        {"a scale that f16 rounds", {1, -0.5f, 0.25f, 0.003f}, 0x2008, {127, -64, 32, 0}},
        {"a scale below what f16 holds", {1e-7f, -1e-7f, 5e-8f, 0}, 0x0000, {127, -127, 64, 0}},
    };
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        float values[32] = {0};
        _Alignas(2) unsigned char block[34];
        memset(block, 0x5a, sizeof block);
        memcpy(values, table[i].values, sizeof table[i].values);
        const struct kgen_matrix matrix = matrix_of(1, 32, block);
        matrix.format->quantise(&matrix, 0, values);
        const unsigned scale = block[0] | (unsigned)block[1] << 8;
        if (scale != table[i].scale)
            fail_msg("%s: the scale is %04x, not %04x", table[i].what, scale, table[i].scale);
        for (int k = 0; k < 32; k++) {
            const int q = (int8_t)block[2 + k], expected = k < 4 ? table[i].q[k] : 0;
            if (q != expected)
                fail_msg("%s: value %d is %d, not %d", table[i].what, k, q, expected);
        }
    }
}

/* An f16 by its definition. */
static double slow_f16(unsigned bits)
{
    const int exponent = (int)(bits >> 10 & 31);
    const double fraction = (double)(bits & 1023) / 1024;
    const double value = exponent == 0 ? ldexp(fraction, -14) : ldexp(1 + fraction, exponent - 15);
    return bits >> 15 ? -value : value;
}

static double slow_weight(const unsigned char *weights, size_t K, size_t row, size_t k)
{
    const unsigned char *block = weights + row * (K / 32 * 34) + k / 32 * 34;
    const int q = block[2 + k % 32] < 128 ? block[2 + k % 32] : block[2 + k % 32] - 256;
    return slow_f16(block[0] | (unsigned)block[1] << 8) * q;
}

/* Any bytes, but for scales that are infinite or NaN. */
static void test_decode(void **state)
{
    enum { N = 5, K = 160, BLOCKS = N * K / 32 };
    (void)state;
    _Alignas(2) unsigned char weights[BLOCKS * 34];
    struct kgen_random random = {SEED};
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < BLOCKS * 34; i++) {
            weights[i] = (unsigned char)kgen_random_next(&random);
            if (i % 34 == 1 && (weights[i] & 0x7c) == 0x7c)
                weights[i] ^= 0x40;
        }
        const struct kgen_matrix matrix = matrix_of(N, K, weights);
        double values[K], magnitudes[K];
        for (int row = 0; row < N; row++) {
            const int first = (int)kgen_random_below(&random, K);
            matrix.format->decode(&matrix, row, first, K - first, values, magnitudes);
            for (int k = first; k < K; k++) {
                const double expected = slow_weight(weights, K, (size_t)row, (size_t)k);
                if (values[k - first] < expected || values[k - first] > expected ||
                    magnitudes[k - first] < fabs(expected) || magnitudes[k - first] > fabs(expected))
                    fail_msg("seed %d, round %d: [%d][%d] is %a, not %a", SEED, round, row, k,
                             values[k - first], expected);
            }
        }
    }
}

/* ---- specs ---- */

static void test_buffers(void **state)
{
    (void)state;
    struct kgen_problem problem;
    struct kgen_buffers buffers;
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    kgen_problem_set(&problem, "N", 3);
    kgen_problem_set(&problem, "K", 96);
    kgen_problem_set(&problem, "scheme", KGEN_Q8_0);
    kgen_problem_complete(&problem);
    kgen_problem_buffers(&problem, &buffers);
    const int weights = kgen_buffers_find(&buffers, "weights");
    assert_int_equal(kgen_problem_get(&problem, "bits"), 8);
    assert_int_equal(kgen_problem_get(&problem, "group_size"), 32);
    assert_int_equal(buffers.items[weights].bytes, 3 * 3 * 34);
    assert_int_equal(buffers.items[weights].range_bytes, 3 * 34);
    assert_int_equal(kgen_buffers_find(&buffers, "scales"), -1);
    assert_int_equal(kgen_buffers_find(&buffers, "biases"), -1);
}

#define LIST(members)                                                                                        \
    "{\"kgen_schema\": 1, \"name\": \"list\", \"problems\": [{\"op\": \"qmv\", \"N\": 3, \"K\": 96, "        \
    "\"scheme\": \"q8_0\"" members "}]}"
#define MODEL(members)                                                                                       \
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 256, "          \
    "\"intermediate_size\": 512, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "                     \
    "\"num_key_value_heads\": 2, \"vocab_size\": 1000, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000, "      \
    "\"max_position_embeddings\": 2048, \"torch_dtype\": \"bfloat16\", \"tie_word_embeddings\": false, "     \
    "\"hidden_act\": \"silu\", " members "}"

static void test_specs(void **state)
{
    static const struct {
        const char *text, *name, *error; /* of a problem that it has, or the error's */
    } table[] = {
        {LIST(""), "qmv_n3_k96_b8_g32_q8_0_f16_f32", NULL},
        {LIST(", \"bits\": 8, \"group_size\": 32, \"scales\": \"f16\""), "qmv_n3_k96_b8_g32_q8_0_f16_f32",
         NULL},
        {LIST(", \"bits\": 4"), NULL, "\"bits\" of the scheme q8_0 is 8, not 4"},
        {LIST(", \"group_size\": 64"), NULL, "\"group_size\" of the scheme q8_0 is 32, not 64"},
        {LIST(", \"scale_dtype\": \"bf16\""), NULL, "the scheme q8_0 has scales of f16, not bf16"},
        {LIST(", \"layout\": \"tiles16\""), NULL, "the scheme q8_0 has no layout tiles16"},
        /* The scales of other weights have the checkpoint's dtype. */
        {MODEL("\"quantization\": {\"mode\": \"q8_0\"}"), "qmv_n1000_k256_b8_g32_q8_0_f16_f32", NULL},
        {MODEL("\"quantization\": {\"bits\": 4, \"group_size\": 64, \"lm_head\": {\"mode\": \"q8_0\"}}"),
         "qmv_n1000_k256_b8_g32_q8_0_f16_f32", NULL},
        {MODEL("\"quantization\": {\"mode\": \"q8_0\"}, \"overrides\": {\"lm_head\": {\"mode\": \"affine\", "
               "\"bits\": 6}}"),
         "qmv_n1000_k256_b6_g32_bf16_f32", NULL},
        {MODEL("\"quantization\": {\"mode\": \"q8_0\"}, \"overrides\": {\"lm_head\": {\"bits\": 6}}"), NULL,
         "\"bits\" of the scheme q8_0 is 8, not 6"},
        {MODEL("\"quantization\": {\"mode\": \"q8_0\"}, \"scale_dtype\": \"bf16\""), NULL,
         "the scheme q8_0 has scales of f16, not bf16"},
    };
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        struct kgen_error error = {0};
        struct kgen_spec *spec =
            kgen_spec_parse("q8.json", table[i].text, strlen(table[i].text), NULL, &error);
        if ((spec == NULL) != (table[i].error != NULL) ||
            (spec == NULL && strstr(error.message, table[i].error) == NULL))
            fail_msg("%s: %s", table[i].text, spec == NULL ? error.message : "no error");
        bool found = spec == NULL;
        for (size_t j = 0; spec != NULL && j < spec->count; j++) {
            struct kgen_text name = {0};
            kgen_problem_name(&spec->entries[j].problem, &name);
            found = found || strcmp(name.data, table[i].name) == 0;
            kgen_text_free(&name);
        }
        if (!found)
            fail_msg("%s: no problem is %s", table[i].text, table[i].name);
        kgen_spec_free(spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quantise_by_hand), cmocka_unit_test(test_decode),
                                       cmocka_unit_test(test_buffers), cmocka_unit_test(test_specs)};
    return cmocka_run_group_tests_name("q8_0", tests, NULL, NULL);
}
