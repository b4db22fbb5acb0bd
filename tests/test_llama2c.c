/* SPDX-License-Identifier: MIT */
/* Checkpoints of llama2.c: small ones with random weights, read, refused, and run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_fixture.h"
#include "gen/base/file.h"
#include "gen/ops/random.h"
#include "llama_reference.h"
#include "runtime/api/model.h"
#include "runtime/model/llama2c.h"

#define SEED UINT64_C(76)
/* As in test_decoder.c. */
#define TOLERANCE 1.5e-4

enum { HEADER = 7, STEPS = 12 };

struct file_case {
    const char *name;
    int32_t header[HEADER]; /* dim, hidden_dim, layers, heads, KV heads, vocabulary, positions */
    int64_t padded;         /* hidden_dim */
};

static const struct file_case files[] = {
    {"tied", {64, 96, 2, 8, 4, 40, 16}, 96},
    {"with an output of its own", {64, 96, 1, 4, 4, -40, 16}, 96},
    {"hidden_dim 44", {32, 44, 2, 4, 2, 30, 20}, 64},
    {"hidden_dim 1", {32, 1, 1, 2, 1, 3, 1}, 32},
};

static int64_t float_count(const int32_t *header)
{
    const int64_t dim = header[0], hidden = header[1], layers = header[2], vocabulary = llabs(header[5]);
    const int64_t head = dim / header[3], kv = head * header[4];
    return (header[5] < 0 ? 2 : 1) * vocabulary * dim +
           layers * (2 * dim + 2 * dim * dim + 2 * kv * dim + 3 * hidden * dim) + dim + header[6] * head;
}

/* Norms are weights as the others are, but around 1: the reader does not care. */
static void make_file(const struct file_case *item, struct kgen_text *text)
{
    struct kgen_random random = {SEED};
    kgen_text_append(text, (const char *)item->header, sizeof item->header);
    for (int64_t i = 0; i < float_count(item->header); i++) {
        const float value = 0.2f * kgen_random_normal(&random);
        kgen_text_append(text, (const char *)&value, sizeof value);
    }
    assert_false(text->failed);
}

/* ---- what is read ---- */

struct tensor_case {
    const char *name;
    int64_t rows, columns, padded_rows, padded_columns; /* rows 0: a vector */
};

/* Compares a tensor with the floats at *at, and goes on behind them. */
static size_t check_tensor(const struct file_case *item, const struct kgen_checkpoint *checkpoint,
                           const char *name, const struct tensor_case *expected, const float **at)
{
    struct kgen_checkpoint_tensor tensor;
    struct kgen_error error = {0};
    const int64_t rows = expected->rows > 0 ? expected->rows : 1;
    const int64_t all = (expected->rows > 0 ? expected->padded_rows : 1) * expected->padded_columns;
    float *values = malloc((size_t)all * sizeof *values);
    if (!kgen_checkpoint_find(checkpoint, name, &tensor) || tensor.elements != all)
        fail_msg("%s: %s is not there, or has another size", item->name, name);
    assert_int_equal(tensor.rank, expected->rows > 0 ? 2 : 1);
    assert_int_equal(tensor.shape[tensor.rank - 1], expected->padded_columns);
    if (kgen_checkpoint_values(checkpoint, name, values, all, &error) != 0)
        fail_msg("%s: %s", name, error.message);
    for (int64_t i = 0; i < all; i++) {
        const int64_t row = i / expected->padded_columns, column = i % expected->padded_columns;
        const bool inside = row < rows && column < expected->columns;
        const float wanted = inside ? (*at)[row * expected->columns + column] : 0;
        if (memcmp(&values[i], &wanted, sizeof wanted) != 0)
            fail_msg("%s: element %lld of %s is %g, expected %g", item->name, (long long)i, name,
                     (double)values[i], (double)wanted);
    }
    free(values);
    *at += rows * expected->columns;
    return 1;
}

static size_t check_tensors(const struct file_case *item, const struct kgen_checkpoint *checkpoint,
                            const float *at)
{
    const int64_t dim = item->header[0], hidden = item->header[1], padded = item->padded;
    const int64_t kv = dim / item->header[3] * item->header[4], vocabulary = llabs(item->header[5]);
    const struct tensor_case embedding = {"model.embed_tokens", vocabulary, dim, vocabulary, dim};
    const struct tensor_case layered[] = {
        {"input_layernorm", 0, dim, 0, dim},         {"self_attn.q_proj", dim, dim, dim, dim},
        {"self_attn.k_proj", kv, dim, kv, dim},      {"self_attn.v_proj", kv, dim, kv, dim},
        {"self_attn.o_proj", dim, dim, dim, dim},    {"post_attention_layernorm", 0, dim, 0, dim},
        {"mlp.gate_proj", hidden, dim, padded, dim}, {"mlp.down_proj", dim, hidden, dim, padded},
        {"mlp.up_proj", hidden, dim, padded, dim},
    };
    const struct tensor_case norm = {"model.norm", 0, dim, 0, dim};
    size_t count = check_tensor(item, checkpoint, "model.embed_tokens.weight", &embedding, &at);
    for (size_t i = 0; i < KGEN_COUNT_OF(layered); i++) {
        for (int32_t layer = 0; layer < item->header[2]; layer++) {
            char name[96];
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", (int)layer, layered[i].name);
            count += check_tensor(item, checkpoint, name, &layered[i], &at);
        }
    }
    count += check_tensor(item, checkpoint, "model.norm.weight", &norm, &at);
    at += item->header[6] * (dim / item->header[3]);
    if (item->header[5] < 0)
        count += check_tensor(item, checkpoint, "lm_head.weight", &embedding, &at);
    return count;
}

static void check_config(const struct file_case *item, const struct kgen_checkpoint *checkpoint)
{
    const struct {
        const char *key;
        int64_t value;
    } integers[] = {
        {"hidden_size", item->header[0]},
        {"intermediate_size", item->padded},
        {"num_hidden_layers", item->header[2]},
        {"num_attention_heads", item->header[3]},
        {"num_key_value_heads", item->header[4]},
        {"vocab_size", llabs(item->header[5])},
        {"max_position_embeddings", item->header[6]},
    };
    struct kgen_text config = {0};
    struct kgen_error error = {0};
    if (kgen_checkpoint_config(checkpoint, &config, &error) != 0)
        fail_msg("%s: %s", item->name, error.message);
    json_t *root = json_loadb(config.data, config.length, 0, NULL);
    for (size_t i = 0; i < KGEN_COUNT_OF(integers); i++) {
        if (json_integer_value(json_object_get(root, integers[i].key)) != integers[i].value)
            fail_msg("%s: %s is not %lld:\n%s", item->name, integers[i].key, (long long)integers[i].value,
                     config.data);
    }
    assert_true(json_number_value(json_object_get(root, "rms_norm_eps")) == 1e-5);
    assert_true(json_number_value(json_object_get(root, "rope_theta")) == 10000);
    assert_string_equal(json_string_value(json_object_get(root, "rope_pairing")), "interleaved");
    assert_int_equal(json_is_true(json_object_get(root, "tie_word_embeddings")), item->header[5] > 0);
    json_decref(root);
    kgen_text_free(&config);
}

static void test_reads_all(void **state)
{
    const struct api_fixture *fixture = *state;
    size_t tensors = 0;
    char path[128];
    snprintf(path, sizeof path, "%s/model.bin", fixture->folder);
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(files); i++) {
        const struct file_case *item = &files[i / 2];
        struct kgen_text text = {0};
        struct kgen_error error = {0};
        make_file(item, &text);
        assert_true(kgen_llama2c_is(text.data, text.length));
        assert_int_equal(kgen_file_write(path, text.data, text.length, NULL), 0);
        struct kgen_checkpoint *checkpoint =
            i % 2 == 0 ? kgen_checkpoint_open(path, &error)
                       : kgen_checkpoint_parse("model.bin", text.data, text.length, &error);
        if (checkpoint == NULL)
            fail_msg("%s: %s", item->name, error.message);
        check_config(item, checkpoint);
        const size_t checked =
            check_tensors(item, checkpoint, (const float *)(const void *)(text.data + HEADER * 4));
        assert_int_equal(checked, kgen_checkpoint_tensor_count(checkpoint));
        tensors += checked;
        kgen_checkpoint_free(checkpoint);
        kgen_text_free(&text);
    }
    assert_int_equal(tensors, 2 * (20 + 12 + 20 + 11));
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        size_t place; /* of the header */
        int32_t value;
    } cases[] = {
        {0, 0}, {0, -64},       {0, 65},        {0, INT32_MAX}, {1, 0},  {1, 97}, {1, INT32_MIN}, {2, 0},
        {2, 3}, {2, INT32_MAX}, {3, 0},         {3, 7},         {3, 64}, {4, 0},  {4, 3},         {4, 16},
        {5, 0}, {5, -40},       {5, INT32_MIN}, {6, 0},         {6, 17}, {6, -1}, {6, INT32_MAX},
    };
    struct kgen_text text = {0};
    make_file(&files[0], &text);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        int32_t kept;
        struct kgen_error error = {0};
        memcpy(&kept, text.data + 4 * cases[i].place, 4);
        memcpy(text.data + 4 * cases[i].place, &cases[i].value, 4);
        if (kgen_llama2c_is(text.data, text.length))
            fail_msg("a header with %d at %zu is taken", (int)cases[i].value, cases[i].place);
        assert_null(kgen_checkpoint_parse("model.bin", text.data, text.length, &error));
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        memcpy(text.data + 4 * cases[i].place, &kept, 4);
    }
    for (size_t size = 0; size < 40; size++) {
        assert_false(kgen_llama2c_is(text.data, size));
        assert_false(kgen_llama2c_is(text.data, text.length - 1 - size));
    }
    struct kgen_text image = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_llama2c_convert("model.bin", text.data, text.length - 4, &image, &error), -1);
    assert_int_equal(error.code, KGEN_ERROR_SPEC);
    assert_int_equal(kgen_llama2c_read("/nowhere/model.bin", &image, &error), 0);
    kgen_text_append(&text, "\0\0\0\0", 4);
    assert_false(kgen_llama2c_is(text.data, text.length));
    kgen_text_free(&text);
}

/* ---- what runs ---- */

static void run_file(const struct api_fixture *fixture, const struct file_case *item, const char *path)
{
    struct kgen_settings settings = api_settings((struct api_fixture *)(uintptr_t)fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_status status = {0};
    struct kgen_error error = {0};
    const struct kgen_model_options options = {.cache_dtype = "f32"};
    struct kgen_model *model = kgen_model_of_checkpoint(context, path, &options, &status);
    char text[1024];
    if (model == NULL)
        fail_msg("%s: %s", item->name, kgen_status_format(&status, text, sizeof text));
    const int64_t vocabulary = llabs(item->header[5]);
    const struct kgen_test_llama shape = {.hidden = item->header[0],
                                          .intermediate = item->padded,
                                          .layers = item->header[2],
                                          .heads = item->header[3],
                                          .kv_heads = item->header[4],
                                          .head_dim = item->header[0] / item->header[3],
                                          .vocab = vocabulary,
                                          .tied = item->header[5] > 0};
    struct llama_reference *reference = llama_reference_new(model->checkpoint, &shape, STEPS);
    for (int64_t i = 0; i < STEPS && i < item->header[6]; i++) {
        const float *logits = kgen_decoder_step(model->decoder, i * 7 % vocabulary, i, &error);
        const double *expected = llama_reference_step(reference, i * 7 % vocabulary, i);
        double greatest = 0;
        assert_non_null(logits);
        for (int64_t j = 0; j < vocabulary; j++)
            greatest = fmax(greatest, fabs(expected[j]));
        for (int64_t j = 0; j < vocabulary; j++) {
            if (!(fabs((double)logits[j] - expected[j]) <= TOLERANCE * greatest))
                fail_msg("%s, seed %llu: logit %lld of step %lld is %.9g, expected %.9g", item->name,
                         (unsigned long long)SEED, (long long)j, (long long)i, (double)logits[j],
                         expected[j]);
        }
    }
    llama_reference_free(reference);
    kgen_model_close(model);
    kgen_close(context);
}

static void test_logits_are_right(void **state)
{
    const struct api_fixture *fixture = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/model.bin", fixture->folder);
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++) {
        struct kgen_text text = {0};
        struct kgen_error error = {0};
        struct kgen_checkpoint_tensor tensor;
        make_file(&files[i], &text);
        assert_int_equal(kgen_file_write(path, text.data, text.length, NULL), 0);
        kgen_text_free(&text);
        struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(path, &error);
        assert_true(kgen_checkpoint_find(checkpoint, "model.embed_tokens.weight", &tensor));
        kgen_checkpoint_free(checkpoint);
        if (tensor.matrix.format == NULL) {
            print_message("skipped: kgen has no weight format for matrices of F32\n");
            skip();
        }
        run_file(fixture, &files[i], path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_all, api_setup, api_teardown),
        cmocka_unit_test(test_refused),
        cmocka_unit_test_setup_teardown(test_logits_are_right, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
