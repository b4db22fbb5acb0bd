/* SPDX-License-Identifier: MIT */
/* Reading tensors of checkpoints: matrices hold the values of ggml's blocks exactly, plain tensors those of
 * their dtype, and what cannot be read is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/dtype.h"
#include "gen/ops/random.h"
#include "ggml_blocks.h"
#include "gguf_fixture.h"
#include "runtime/model/checkpoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 11 };

static struct kgen_checkpoint *parse(const struct kgen_text *text)
{
    struct kgen_error error = {0};
    struct kgen_checkpoint *checkpoint =
        kgen_checkpoint_parse("dir/Tiny model.gguf", text->data, text->length, &error);
    if (checkpoint == NULL)
        fail_msg("%s", error.message);
    return checkpoint;
}

/* ---- values ---- */

static void check_matrix(const struct kgen_checkpoint *checkpoint, uint32_t type, struct kgen_random *random)
{
    const char *name = "model.layers.0.mlp.up_proj.weight";
    struct kgen_checkpoint_tensor tensor;
    struct kgen_error error = {0};
    assert_true(kgen_checkpoint_find(checkpoint, name, &tensor));
    assert_non_null(tensor.matrix.format);
    const int64_t rows = tensor.matrix.N, begin = kgen_random_below(random, rows),
                  end = begin + 1 + kgen_random_below(random, rows - begin),
                  at = kgen_random_below(random, 3);
    struct kgen_matrix matrix = tensor.matrix;
    matrix.N = at + end - begin + 1;
    size_t bytes[KGEN_FORMAT_ARRAYS_MAX] = {0};
    for (size_t i = 0; i < matrix.format->array_count; i++) {
        bytes[i] = (size_t)(matrix.N * matrix.format->arrays[i].row_bytes(&matrix));
        matrix.arrays[i] = malloc(bytes[i]);
        memset(matrix.arrays[i], 0x5a, bytes[i]);
    }
    if (kgen_checkpoint_matrix(checkpoint, name, begin, end, &matrix, at, &error) != 0)
        fail_msg("%s", error.message);
    const int64_t block_bytes = kgen_gguf_tensor_type(type)->block_bytes,
                  block_values = kgen_gguf_tensor_type(type)->block_values, blocks = matrix.K / block_values;
    double *values = malloc((size_t)matrix.K * sizeof *values), *magnitudes = malloc((size_t)matrix.K * 8);
    for (int64_t row = begin; row < end; row++) {
        matrix.format->decode(&matrix, at + row - begin, 0, matrix.K, values, magnitudes);
        for (int64_t k = 0; k < matrix.K; k++) {
            const double wanted = ggml_slow_value(
                type, tensor.data + (row * blocks + k / block_values) * block_bytes, (int)(k % block_values));
            if (values[k] < wanted || values[k] > wanted)
                fail_msg("seed %d, %s: [%lld][%lld] is %a, not %a", SEED, tensor.type, (long long)row,
                         (long long)k, values[k], wanted);
        }
    }
    /* Rows before and after are left alone. */
    for (size_t i = 0; i < matrix.format->array_count; i++) {
        const unsigned char *array = matrix.arrays[i];
        const size_t row = bytes[i] / (size_t)matrix.N;
        for (size_t j = 0; j < row; j++) {
            assert_int_equal(array[bytes[i] - row + j], 0x5a);
            if (at > 0)
                assert_int_equal(array[j], 0x5a);
        }
        free(matrix.arrays[i]);
    }
    free(values);
    free(magnitudes);
}

static void test_exact(void **state)
{
    static const struct {
        uint32_t type;
        enum kgen_constant scheme;
        int64_t bits, scale_dtype;
    } table[] = {
        {KGEN_GGUF_TENSOR_Q4_0, KGEN_SYMMETRIC, 4, KGEN_F16},
        {KGEN_GGUF_TENSOR_Q4_1, KGEN_AFFINE, 4, KGEN_F16},
        {KGEN_GGUF_TENSOR_Q5_0, KGEN_SYMMETRIC, 5, KGEN_F16},
        {KGEN_GGUF_TENSOR_Q5_1, KGEN_AFFINE, 5, KGEN_F16},
        {KGEN_GGUF_TENSOR_Q8_0, KGEN_SYMMETRIC, 8, KGEN_F16},
        /* d * scale and dmin * minimum are exact in f32. */
        {KGEN_GGUF_TENSOR_Q4_K, KGEN_AFFINE, 4, KGEN_F32},
        {KGEN_GGUF_TENSOR_Q5_K, KGEN_AFFINE, 5, KGEN_F32},
        {KGEN_GGUF_TENSOR_Q6_K, KGEN_Q6_K, 6, KGEN_F16},
        {KGEN_GGUF_TENSOR_Q3_K, KGEN_Q3_K, 3, KGEN_F16},
        {KGEN_GGUF_TENSOR_Q2_K, KGEN_Q2_K, 2, KGEN_F16},
        {KGEN_GGUF_TENSOR_IQ4_NL, KGEN_IQ4_NL, 4, KGEN_F16},
        {KGEN_GGUF_TENSOR_MXFP4, KGEN_GGML_MXFP4, 4, KGEN_F32},
        {KGEN_GGUF_TENSOR_F32, KGEN_F32, 32, KGEN_F32},
        {KGEN_GGUF_TENSOR_F16, KGEN_F16, 16, KGEN_F16},
        {KGEN_GGUF_TENSOR_BF16, KGEN_BF16, 16, KGEN_BF16},
    };
    (void)state;
    struct kgen_random random = {SEED};
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        for (int round = 0; round < 50; round++, cases++) {
            const struct kgen_gguf_tensor_type *type = kgen_gguf_tensor_type(table[i].type);
            const int64_t blocks = (1 + kgen_random_below(&random, 5)) * (type->block_values == 1 ? 32 : 1);
            const int64_t dims[] = {type->block_values * blocks, 1 + kgen_random_below(&random, 7)};
            const size_t bytes = (size_t)(blocks * dims[1] * type->block_bytes);
            unsigned char *data = malloc(bytes);
            ggml_fill_random(table[i].type, data, bytes, &random);
            struct kgen_test_gguf file = {.alignment = 1};
            struct kgen_text text = {0};
            kgen_test_gguf_tensor(&file, "blk.0.ffn_up.weight", table[i].type, 2, dims, data);
            kgen_test_gguf_finish(&file, &text);
            struct kgen_checkpoint *checkpoint = parse(&text);
            struct kgen_checkpoint_tensor tensor;
            kgen_checkpoint_tensor_at(checkpoint, 0, &tensor);
            assert_int_equal(tensor.matrix.format->scheme, table[i].scheme);
            assert_int_equal(tensor.matrix.bits, table[i].bits);
            assert_int_equal(tensor.matrix.scale_dtype, table[i].scale_dtype);
            check_matrix(checkpoint, table[i].type, &random);
            kgen_checkpoint_free(checkpoint);
            kgen_text_free(&text);
            free(data);
        }
    }
    assert_true(cases > 0);
}

static void test_plain(void **state)
{
    static const uint32_t types[] = {KGEN_GGUF_TENSOR_F32, KGEN_GGUF_TENSOR_F16, KGEN_GGUF_TENSOR_BF16};
    static const int64_t dtypes[] = {KGEN_F32, KGEN_F16, KGEN_BF16};
    enum { COUNT = 37 };
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(types); i++, cases++) {
        const int64_t dims[] = {COUNT};
        struct kgen_test_gguf file = {.alignment = 1};
        struct kgen_text text = {0};
        struct kgen_error error = {0};
        float values[COUNT];
        _Alignas(4) unsigned char data[4 * COUNT];
        kgen_test_gguf_string(&file, "odd", "odd"); /* so that the data begins at an odd byte */
        kgen_test_gguf_random(&file, "output_norm.weight", types[i], 1, dims, 0.1f, true, SEED);
        kgen_test_gguf_finish(&file, &text);
        struct kgen_checkpoint *checkpoint = parse(&text);
        struct kgen_checkpoint_tensor tensor;
        assert_true(kgen_checkpoint_find(checkpoint, "model.norm.weight", &tensor));
        assert_true(tensor.plain && tensor.matrix.format == NULL);
        memcpy(data, tensor.data, tensor.bytes);
        assert_int_equal(kgen_checkpoint_values(checkpoint, "model.norm.weight", values, COUNT, &error), 0);
        for (int k = 0; k < COUNT; k++) {
            const double wanted = kgen_dtype_value(data, dtypes[i], k);
            if ((double)values[k] < wanted || (double)values[k] > wanted)
                fail_msg("%s: value %d is %a, not %a", tensor.type, k, (double)values[k], wanted);
        }
        assert_int_equal(kgen_checkpoint_values(checkpoint, "model.norm.weight", values, COUNT - 1, &error),
                         -1);
        assert_string_equal(error.message, "model.norm.weight has 37 elements, not 36");
        kgen_checkpoint_free(checkpoint);
        kgen_text_free(&text);
    }
    assert_int_equal(cases, KGEN_COUNT_OF(types));
}

/* Kernels read plain numbers 32 at a time. */
static void test_odd_columns(void **state)
{
    static const uint32_t types[] = {KGEN_GGUF_TENSOR_F32, KGEN_GGUF_TENSOR_F16, KGEN_GGUF_TENSOR_BF16};
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(types); i++) {
        struct kgen_test_gguf file = {0};
        struct kgen_text text = {0};
        struct kgen_checkpoint_tensor tensor;
        kgen_test_gguf_tensor(&file, "output.weight", types[i], 2, (int64_t[]){48, 3}, NULL);
        kgen_test_gguf_tensor(&file, "token_embd.weight", types[i], 2, (int64_t[]){64, 3}, NULL);
        kgen_test_gguf_finish(&file, &text);
        struct kgen_checkpoint *checkpoint = parse(&text);
        assert_true(kgen_checkpoint_find(checkpoint, "lm_head.weight", &tensor));
        assert_null(tensor.matrix.format);
        assert_true(kgen_checkpoint_find(checkpoint, "model.embed_tokens.weight", &tensor));
        assert_non_null(tensor.matrix.format);
        kgen_checkpoint_free(checkpoint);
        kgen_text_free(&text);
    }
}

static void test_reading_errors(void **state)
{
    static const struct {
        const char *name;
        int64_t begin, end, N, at, K, bits;
        const char *message;
    } table[] = {
        {"model.layers.7.mlp.up_proj.weight", 0, 1, 2, 0, 64, 4, "there is no tensor model.layers.7"},
        {"nothing", 0, 1, 2, 0, 64, 4, "there is no tensor nothing"},
        {"model.norm.weight", 0, 1, 2, 0, 64, 4, "model.norm.weight has 1 dimensions; a matrix has 2"},
        {"lm_head.weight", 0, 1, 2, 0, 64, 4, "lm_head.weight is a matrix of type I8"},
        {"model.layers.0.mlp.up_proj.weight", 0, 1, 2, 0, 32, 4, "is wanted in another format"},
        {"model.layers.0.mlp.up_proj.weight", 0, 1, 2, 0, 64, 8, "is wanted in another format"},
        {"model.layers.0.self_attn.q_proj.weight", 0, 1, 2, 0, 64, 4, "is wanted in another format"},
        {"model.layers.0.mlp.up_proj.weight", 0, 97, 200, 0, 64, 4,
         "has 96 rows, and rows 0 to 97 are wanted"},
        {"model.layers.0.mlp.up_proj.weight", -1, 1, 2, 0, 64, 4, "rows -1 to 1"},
        {"model.layers.0.mlp.up_proj.weight", 2, 1, 2, 0, 64, 4, "rows 2 to 1"},
        {"model.layers.0.mlp.up_proj.weight", 0, 2, 2, 1, 64, 4, "as rows of 2 from 1 on"},
        {"model.layers.0.mlp.up_proj.weight", 0, 1, 2, -1, 64, 4, "as rows of 2 from -1 on"},
        {"model.layers.0.mlp.up_proj.weight", 0, 1, 2, INT64_MAX, 64, 4, "as rows of 2 from"},
    };
    (void)state;
    struct kgen_test_llama_types types = kgen_test_mixed_types;
    struct kgen_text text = {0};
    types.output = 24; /* I8 */
    kgen_test_make_llama(&kgen_test_small_llama, SEED, &types, &text);
    struct kgen_checkpoint *checkpoint = parse(&text);
    unsigned char weights[64], scales[8], biases[8];
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++) {
        const struct kgen_matrix matrix = {
            kgen_format_find(KGEN_AFFINE), table[i].N, table[i].K, table[i].bits, 32, KGEN_F16,
            {weights, scales, biases}};
        struct kgen_error error = {0};
        if (kgen_checkpoint_matrix(checkpoint, table[i].name, table[i].begin, table[i].end, &matrix,
                                   table[i].at, &error) == 0 ||
            strstr(error.message, table[i].message) == NULL || error.code != KGEN_ERROR_SPEC)
            fail_msg("case %zu: %s; expected %s", i, error.message, table[i].message);
    }
    struct kgen_error error = {0};
    float values[64];
    assert_int_equal(
        kgen_checkpoint_values(checkpoint, "model.layers.0.mlp.up_proj.weight", values, 64, &error), -1);
    assert_non_null(strstr(error.message, "is Q4_1, and is wanted as plain numbers"));
    assert_int_equal(cases, KGEN_COUNT_OF(table));
    kgen_checkpoint_free(checkpoint);
    kgen_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_odd_columns),
        cmocka_unit_test(test_reading_errors),
    };
    return cmocka_run_group_tests_name("checkpoint matrices", tests, NULL, NULL);
}
