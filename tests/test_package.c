/* SPDX-License-Identifier: MIT */
/* Packages: what is packed is what the checkpoint has, and kernels read it in place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_fixture.h"
#include "gen/ops/layout.h"
#include "gen/ops/random.h"
#include "gguf_fixture.h"
#include "package_fixture.h"
#include "runtime/api/model.h"
#include "runtime/model/package.h"

#define SEED UINT64_C(73)

enum { CONTEXT = 32, STEPS = 6 };

/* The paths of a checkpoint and a package of the fixture. */
static void name_files(const struct api_fixture *fixture, char model[128], char package[128])
{
    snprintf(model, 128, "%s/model.gguf", fixture->folder);
    snprintf(package, 128, "%s/model.kgen", fixture->folder);
}

struct shape_case {
    const char *name;
    struct kgen_test_llama shape;
    struct kgen_test_llama_types types;
};

static const struct shape_case shapes[] = {
    {"mixed types, a last tile that is not whole",
     {.hidden = 64, .intermediate = 96, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16, .vocab = 50},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q5_1,
      KGEN_GGUF_TENSOR_F32}},
    {"tied, more rows than are packed at once",
     {.hidden = 64,
      .intermediate = 1056,
      .layers = 1,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 16,
      .vocab = 2100,
      .tied = true},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F16}},
    {"blocks of 256",
     {.hidden = 256,
      .intermediate = 256,
      .layers = 1,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 64,
      .vocab = 60},
     {KGEN_GGUF_TENSOR_Q6_K, KGEN_GGUF_TENSOR_Q3_K, KGEN_GGUF_TENSOR_Q4_K, KGEN_GGUF_TENSOR_F16,
      KGEN_GGUF_TENSOR_BF16}},
    {"qwen2: biases",
     {.hidden = 96,
      .intermediate = 160,
      .layers = 2,
      .heads = 3,
      .kv_heads = 1,
      .head_dim = 32,
      .vocab = 70,
      .tied = true,
      .architecture = "qwen2"},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32}},
    {"qwen3moe: experts",
     {.hidden = 64,
      .intermediate = 96,
      .layers = 2,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 16,
      .vocab = 50,
      .architecture = "qwen3moe",
      .experts = 5,
      .experts_per_token = 2},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q5_1,
      KGEN_GGUF_TENSOR_F32}},
    {"experts with more rows than are packed at once",
     {.hidden = 32,
      .intermediate = 1056,
      .layers = 1,
      .heads = 2,
      .kv_heads = 2,
      .head_dim = 16,
      .vocab = 50,
      .experts = 3,
      .experts_per_token = 2},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32}},
};

/* ---- the tensors ---- */

/* Reads all rows of a matrix, as checkpoints have them. */
static void read_matrix(const struct kgen_checkpoint *checkpoint, const char *name,
                        struct kgen_matrix *matrix)
{
    struct kgen_checkpoint_tensor tensor;
    struct kgen_error error = {0};
    assert_true(kgen_checkpoint_find(checkpoint, name, &tensor));
    *matrix = tensor.matrix;
    for (size_t i = 0; i < matrix->format->array_count; i++)
        matrix->arrays[i] = calloc(1, (size_t)(matrix->format->arrays[i].row_bytes(matrix) * matrix->N) + 1);
    if (kgen_checkpoint_matrix(checkpoint, name, 0, matrix->N, matrix, 0, &error) != 0)
        fail_msg("%s: %s", name, error.message);
}

static void free_matrix(struct kgen_matrix *matrix)
{
    for (size_t i = 0; i < matrix->format->array_count; i++)
        free(matrix->arrays[i]);
}

static void compare_matrices(const char *name, const struct kgen_matrix *one, const struct kgen_matrix *other)
{
    assert_ptr_equal(one->format, other->format);
    assert_int_equal(one->N, other->N);
    for (size_t i = 0; i < one->format->array_count; i++) {
        const size_t bytes = (size_t)(one->format->arrays[i].row_bytes(one) * one->N);
        if (memcmp(one->arrays[i], other->arrays[i], bytes) != 0)
            fail_msg("seed %llu: array %zu of %s differs", (unsigned long long)SEED, i, name);
    }
}

static void compare_tensor(const struct kgen_checkpoint *original, const struct kgen_checkpoint *packed,
                           const struct kgen_checkpoint_tensor *tensor)
{
    struct kgen_error error = {0};
    if (tensor->rank >= 2) {
        struct kgen_matrix one, other;
        read_matrix(original, tensor->name, &one);
        read_matrix(packed, tensor->name, &other);
        compare_matrices(tensor->name, &one, &other);
        free_matrix(&one);
        free_matrix(&other);
        return;
    }
    float *one = calloc((size_t)tensor->elements, sizeof *one);
    float *other = calloc((size_t)tensor->elements, sizeof *other);
    assert_int_equal(kgen_checkpoint_values(original, tensor->name, one, tensor->elements, &error), 0);
    assert_int_equal(kgen_checkpoint_values(packed, tensor->name, other, tensor->elements, &error), 0);
    assert_memory_equal(one, other, (size_t)tensor->elements * sizeof *one);
    free(one);
    free(other);
}

/* Every tensor of a package, in each layout, has the bytes of the checkpoint's; also that of a package of a
 * package. */
static void test_tensors(void **state)
{
    char model[128], package[128];
    size_t compared = 0;
    name_files(*state, model, package);
    for (size_t i = 0; i < 3 * KGEN_COUNT_OF(shapes); i++) {
        const struct shape_case *item = &shapes[i / 3];
        kgen_test_write_llama(model, &item->shape, SEED, &item->types);
        if (i % 3 != 0)
            kgen_test_pack_well(model, package, &kgen_test_as_stored);
        if (i % 3 != 1)
            kgen_test_pack_well(i % 3 == 0 ? model : package, package, &kgen_test_in_tiles);
        struct kgen_checkpoint *original = kgen_test_open_checkpoint(model),
                               *packed = kgen_test_open_checkpoint(package);
        assert_null(kgen_checkpoint_package(original));
        assert_non_null(kgen_checkpoint_package(packed));
        const size_t count = kgen_checkpoint_tensor_count(original);
        assert_int_equal(kgen_checkpoint_tensor_count(packed), count);
        for (size_t j = 0; j < count; j++, compared++) {
            struct kgen_checkpoint_tensor tensor;
            kgen_checkpoint_tensor_at(original, j, &tensor);
            compare_tensor(original, packed, &tensor);
        }
        kgen_checkpoint_free(original);
        kgen_checkpoint_free(packed);
    }
    assert_true(compared > 100);
}

/* Rows of matrices of experts whose last tiles are not whole come back from either layout as they were. */
static void test_rows_of_experts(void **state)
{
    (void)state;
    enum { EXPERTS = 3, N = 21, K = 64, ROW = K / 2 };
    static const int64_t layouts[] = {KGEN_STORED, KGEN_TILES16};
    const struct kgen_graph_weight format = {
        .bits = 4, .group_size = 32, .scheme = KGEN_AFFINE, .scale_dtype = KGEN_F16};
    unsigned char stored[EXPERTS * N * ROW], packed[EXPERTS * 2 * KGEN_TILE_ROWS * ROW], row[ROW];
    struct kgen_random random = {SEED};
    size_t rows = 0;
    for (size_t i = 0; i < sizeof stored; i++)
        stored[i] = (unsigned char)kgen_random_next(&random);
    for (size_t i = 0; i < KGEN_COUNT_OF(layouts); i++) {
        struct kgen_problem problem;
        kgen_package_problem(&problem, &format, EXPERTS, (int64_t)EXPERTS * N, K, layouts[i]);
        kgen_layout_pack(&problem, 0, stored, packed);
        for (int64_t j = 0; j < (int64_t)EXPERTS * N; j++, rows++) {
            kgen_layout_unpack_row(&problem, 0, packed, j, row);
            if (memcmp(row, stored + j * ROW, ROW) != 0)
                fail_msg("seed %llu, layout %zu: row %lld differs", (unsigned long long)SEED, i,
                         (long long)j);
        }
    }
    assert_int_equal(rows, 2 * EXPERTS * N);
}

/* ---- models ---- */

static struct kgen_model *open_model(struct kgen_context *context, const char *path,
                                     const struct kgen_model_options *given)
{
    struct kgen_model_options options = *given;
    struct kgen_status status = {0};
    char text[1024];
    options.context = CONTEXT;
    options.prompt_rows = 4;
    struct kgen_model *model = kgen_model_of_checkpoint(context, path, &options, &status);
    if (model == NULL)
        fail_msg("%s: %s", path, kgen_status_format(&status, text, sizeof text));
    return model;
}

/* A prompt and some steps of both give the same logits to the last bit. */
static void compare_models(struct kgen_model *one, struct kgen_model *other)
{
    const int64_t vocab = kgen_decoder_vocabulary(one->decoder);
    struct kgen_error error = {0};
    int32_t prompt[5];
    for (int i = 0; i < 5; i++)
        prompt[i] = (int32_t)((i * 7919 + 13) % vocab);
    const float *a = kgen_decoder_prompt(one->decoder, prompt, 5, 0, &error);
    const float *b = kgen_decoder_prompt(other->decoder, prompt, 5, 0, &error);
    for (int64_t i = 5; i < 5 + STEPS; i++) {
        assert_non_null(a);
        assert_non_null(b);
        assert_memory_equal(a, b, (size_t)vocab * sizeof *a);
        a = kgen_decoder_step(one->decoder, i * 31 % vocab, i, &error);
        b = kgen_decoder_step(other->decoder, i * 31 % vocab, i, &error);
    }
}

struct placement_case {
    const char *name;
    const struct kgen_test_packing *packing; /* of the package; NULL: the checkpoint itself */
    struct kgen_model_options options;
    bool packs, in_place; /* whether there are matrices that are packed, or used in place */
    const char *message;
};

static const struct placement_case placements[] = {
    {"in place", &kgen_test_in_tiles, {0}, false, true, NULL},
    {"in place as stored", &kgen_test_as_stored, {0}, false, true, NULL},
    {"packed, as is asked for",
     &kgen_test_in_tiles,
     {.weights = KGEN_MODEL_WEIGHTS_PACKED},
     true,
     false,
     NULL},
    {"another layout",
     &kgen_test_in_tiles,
     {.layout = "stored"},
     true,
     false,
     "of the package are packed again"},
    {"a checkpoint is packed", NULL, {0}, true, false, NULL},
    {"other blocks than those of kernels",
     NULL,
     {.weights = KGEN_MODEL_WEIGHTS_IN_PLACE},
     true,
     false,
     "do not lie in the file as kernels read them"},
    {"memory is short",
     NULL,
     {.available_memory = 1000},
     true,
     false,
     "0 MB of memory are free, and the weights take"},
    {"memory is not", NULL, {.available_memory = UINT64_C(1) << 40}, true, false, NULL},
};

static void check_placement(struct api_fixture *fixture, const struct placement_case *item, const char *model,
                            const char *package)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    settings.threads = 2;
    struct kgen_context *context = api_open(&settings);
    api_forget_messages(fixture);
    if (item->packing != NULL)
        kgen_test_pack_well(model, package, item->packing);
    struct kgen_model *placed = open_model(context, item->packing != NULL ? package : model, &item->options);
    struct kgen_decoder_sizes sizes;
    kgen_decoder_query(placed->decoder, &sizes);
    if ((sizes.packed > 0) != item->packs || (sizes.in_place > 0) != item->in_place)
        fail_msg("%s: %zu matrices packed, %zu in place", item->name, sizes.packed, sizes.in_place);
    if (item->in_place && sizes.in_place_weights < 10000)
        fail_msg("%s: only %zu bytes in place", item->name, sizes.in_place_weights);
    if (item->message != NULL ? strstr(fixture->messages, item->message) == NULL
                              : strstr(fixture->messages, "atrices") != NULL)
        fail_msg("%s: the messages are: %s", item->name, fixture->messages);
    const struct kgen_model_options same = {.activation_dtype = placed->activation_dtype,
                                            .layout = placed->layout,
                                            .weights = KGEN_MODEL_WEIGHTS_PACKED};
    struct kgen_model *original = open_model(context, model, &same);
    compare_models(placed, original);
    kgen_model_close(placed);
    kgen_model_close(original);
    kgen_close(context);
}

static void test_placements(void **state)
{
    char model[128], package[128];
    name_files(*state, model, package);
    for (size_t i = 0; i < KGEN_COUNT_OF(shapes); i++) {
        if (i == 2)
            continue; /* has blocks that kernels read as they are: below */
        kgen_test_write_llama(model, &shapes[i].shape, SEED, &shapes[i].types);
        for (size_t j = 0; j < (i == 0 ? KGEN_COUNT_OF(placements) : 2); j++)
            check_placement(*state, &placements[j], model, package);
    }
}

/* Matrices of a checkpoint whose bytes are those of a format of kgen are used in its file. */
static void test_checkpoints_in_place(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    static const char *const folders[] = {"tests/models/qwen2-q4", "tests/models/llama-f16"};
    static const struct kgen_model_options mapped[] = {{.weights = KGEN_MODEL_WEIGHTS_IN_PLACE},
                                                       {.available_memory = 1000}};
    size_t executed = 0;
    struct kgen_context *context = api_open(&settings);
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(folders); i++, executed++) {
        struct kgen_model *placed = open_model(context, folders[i / 2], &mapped[i % 2]);
        struct kgen_decoder_sizes sizes;
        kgen_decoder_query(placed->decoder, &sizes);
        assert_string_equal(placed->layout, "stored");
        if (sizes.packed != 0 || sizes.in_place == 0)
            fail_msg("%s: %zu matrices packed, %zu in place", folders[i / 2], sizes.packed, sizes.in_place);
        const struct kgen_model_options same = {.layout = "stored", .weights = KGEN_MODEL_WEIGHTS_PACKED};
        struct kgen_model *original = open_model(context, folders[i / 2], &same);
        compare_models(placed, original);
        kgen_model_close(placed);
        kgen_model_close(original);
    }
    kgen_close(context);
    assert_int_equal(executed, 4);
}

/* ---- quantising ---- */

/* The matrix as the format's reference quantises the plain one. */
static void check_quantised(const struct kgen_checkpoint *plain, const struct kgen_checkpoint *packed,
                            const char *name, int64_t bits)
{
    struct kgen_matrix from, to, expected;
    read_matrix(plain, name, &from);
    read_matrix(packed, name, &to);
    assert_int_equal(to.format->scheme, KGEN_AFFINE);
    assert_int_equal(to.bits, bits);
    expected = to;
    double *values = malloc((size_t)from.K * 2 * sizeof *values);
    float *row = malloc((size_t)from.K * sizeof *row);
    for (size_t i = 0; i < to.format->array_count; i++)
        expected.arrays[i] = calloc(1, (size_t)(to.format->arrays[i].row_bytes(&to) * to.N) + 1);
    for (int64_t i = 0; i < from.N; i++) {
        from.format->decode(&from, i, 0, from.K, values, values + from.K);
        for (int64_t k = 0; k < from.K; k++)
            row[k] = (float)values[k];
        expected.format->quantise(&expected, i, row);
    }
    compare_matrices(name, &expected, &to);
    free(values);
    free(row);
    free_matrix(&from);
    free_matrix(&to);
    free_matrix(&expected);
}

static void test_quantising(void **state)
{
    char model[128], package[128];
    name_files(*state, model, package);
    const struct kgen_test_packing packing = {
        .formats = {.bits = 4, .group_size = 32, .overrides = "{\"*.down_proj\": {\"bits\": 6}}"},
        .activation_dtype = KGEN_I24,
        .layout = KGEN_TILES16};
    const struct kgen_package_summary summary =
        kgen_test_pack_well("tests/models/llama-f16", package, &packing);
    assert_int_equal(summary.matrices, 8);
    assert_int_equal(summary.quantised, 8);
    struct kgen_checkpoint *plain = kgen_test_open_checkpoint("tests/models/llama-f16"),
                           *packed = kgen_test_open_checkpoint(package);
    check_quantised(plain, packed, "model.embed_tokens.weight", 4);
    check_quantised(plain, packed, "model.layers.0.self_attn.k_proj.weight", 4);
    check_quantised(plain, packed, "model.layers.0.mlp.down_proj.weight", 6);
    kgen_checkpoint_free(plain);
    kgen_checkpoint_free(packed);
}

/* Experts that the folder has apart are one stack of matrices in the package. */
static void test_quantising_experts(void **state)
{
    char model[128], package[128];
    name_files(*state, model, package);
    const struct kgen_test_packing packing = {
        .formats = {.bits = 4, .group_size = 32}, .activation_dtype = KGEN_I24, .layout = KGEN_TILES16};
    kgen_test_pack_well("tests/models/mixtral-bf16", package, &packing);
    struct kgen_checkpoint *plain = kgen_test_open_checkpoint("tests/models/mixtral-bf16"),
                           *packed = kgen_test_open_checkpoint(package);
    static const char *const names[] = {"gate_proj", "up_proj", "down_proj"};
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        char name[128];
        struct kgen_checkpoint_tensor tensor;
        snprintf(name, sizeof name, "model.layers.0.block_sparse_moe.switch_mlp.%s.weight", names[i]);
        check_quantised(plain, packed, name, 4);
        assert_true(kgen_checkpoint_find(packed, name, &tensor));
        assert_int_equal(tensor.rank, 3);
    }
    kgen_checkpoint_free(plain);
    kgen_checkpoint_free(packed);
}

static const struct {
    const char *checkpoint;
    struct kgen_package_formats formats;
    const char *message;
} wrong_formats[] = {
    {"tests/models/llama-q6", {.bits = 4}, "every matrix is quantised already"},
    {"tests/models/llama-q6",
     {.overrides = "{\"*.down_proj\": {\"bits\": 4}}"},
     "down_proj.weight is quantised already, and wanted in another format"},
    {"tests/models/llama-f16", {.overrides = "[]"}, "this is not a JSON object"},
    {"tests/models/llama-f16", {.overrides = "{\"no.such\": {\"bits\": 4}}"}, "no.such"},
    {"tests/models/llama-f16", {.bits = 4, .group_size = 64}, "not a multiple of group_size 64"},
};

static void test_wrong_formats(void **state)
{
    char model[128], package[128];
    name_files(*state, model, package);
    for (size_t i = 0; i < KGEN_COUNT_OF(wrong_formats); i++) {
        struct kgen_test_packing packing = kgen_test_in_tiles;
        struct kgen_package_summary summary;
        struct kgen_error error = {0};
        packing.formats = wrong_formats[i].formats;
        assert_int_equal(kgen_test_pack(wrong_formats[i].checkpoint, package, &packing, &summary, &error),
                         -1);
        if (strstr(error.message, wrong_formats[i].message) == NULL)
            fail_msg("case %zu: %s", i, error.message);
        assert_int_not_equal(access(package, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tensors, api_setup, api_teardown),
        cmocka_unit_test(test_rows_of_experts),
        cmocka_unit_test_setup_teardown(test_placements, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_checkpoints_in_place, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_quantising, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_quantising_experts, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_formats, api_setup, api_teardown),
    };
    return cmocka_run_group_tests_name("packages", tests, NULL, NULL);
}
