/* SPDX-License-Identifier: MIT */
/* Folders of safetensors: the config, packed matrices byte by byte, files that do not fit one another, and
 * every mismatch with the model. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/base/file.h"
#include "gen/ops/formats/grouped.h"
#include "gen/spec/spec.h"
#include "runtime/model/checkpoint.h"
#include "safetensors_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOUR "\"quantization\": {\"bits\": 4, \"group_size\": 32}, "
#define Q_PROJ "model.layers.0.self_attn.q_proj"

enum { SEED = 6 };

/* A change of a model, and what comes of it. */
struct change {
    const char *more; /* of the config */
    int64_t bits;
    const char *edited; /* a tensor, or NULL */
    char kind;          /* '-': it is left out, '+': added, 'd': its dtype, 's': its shape */
    const char *dtype;
    size_t rank;
    int64_t shape[2];
    const char *message; /* of the error, or of the only mismatch; NULL: none */
};

static void apply(const struct change *change, struct kgen_test_tensors *tensors)
{
    kgen_test_qwen3_tensors(tensors, change->bits);
    if (change->edited == NULL)
        return;
    if (change->kind == '+') {
        kgen_test_tensor_add(tensors, change->edited, change->dtype, change->rank, change->shape[0],
                             change->shape[1]);
    } else if (change->kind == '-') {
        kgen_test_tensor_remove(tensors, change->edited);
    } else {
        struct kgen_test_tensor *tensor = kgen_test_tensor_find(tensors, change->edited);
        if (change->kind == 'd')
            tensor->dtype = change->dtype;
        else
            memcpy(tensor->shape, change->shape, sizeof tensor->shape);
    }
}

/* Makes the packed matrices those of a floating-point mode, of bits in groups of so many: scales are bytes,
 * and there are no biases. */
static void make_floating(struct kgen_test_tensors *tensors, int64_t bits, int64_t group_size)
{
    kgen_test_qwen3_tensors(tensors, bits);
    for (size_t i = tensors->count; i-- > 0;) {
        struct kgen_test_tensor *tensor = &tensors->items[i];
        if (strstr(tensor->name, ".scales") != NULL) {
            tensor->dtype = "U8";
            tensor->shape[1] = 32 / group_size;
        } else if (strstr(tensor->name, ".biases") != NULL) {
            kgen_test_tensor_remove(tensors, tensor->name);
        }
    }
}

/* Opens the model, and appends the error or the mismatches to said. */
static void open_changed(const struct change *change, const struct kgen_test_tensors *tensors,
                         struct kgen_text *said)
{
    struct kgen_text config = {0}, data = {0}, written = {0};
    struct kgen_error error = {0};
    struct kgen_spec *spec = NULL;
    struct kgen_checkpoint_mismatches mismatches = {0};
    kgen_test_qwen3_config(change->more, &config);
    kgen_test_safetensors_write(tensors, SEED, &data);
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_parse_folder(
        "dir/Tiny model", config.data, config.length, data.data, data.length, &error);
    if (checkpoint != NULL && kgen_checkpoint_config(checkpoint, &written, &error) == 0)
        spec = kgen_spec_parse("config", written.data, written.length, NULL, &error);
    if (spec != NULL)
        assert_int_equal(kgen_checkpoint_check(checkpoint, spec->graph, &mismatches, &error), 0);
    if (spec == NULL)
        kgen_text_printf(said, "%s", error.message);
    for (size_t i = 0; i < mismatches.count; i++)
        kgen_text_printf(said, "%s: %s; ", mismatches.items[i].name, mismatches.items[i].what);
    kgen_checkpoint_mismatches_free(&mismatches);
    kgen_spec_free(spec);
    kgen_checkpoint_free(checkpoint);
    kgen_text_free(&config);
    kgen_text_free(&data);
    kgen_text_free(&written);
}

static void test_changes(void **state)
{
    static const struct change table[] = {
        {"", 0, NULL, 0, NULL, 0, {0}, NULL},
        {FOUR, 4, NULL, 0, NULL, 0, {0}, NULL},
        {"\"quantization_config\": {\"bits\": 8, \"group_size\": 32}, ", 8, NULL, 0, NULL, 0, {0}, NULL},
        {"", 0, Q_PROJ ".weight", 'd', "F32", 0, {0}, NULL},
        {"", 0, Q_PROJ ".weight", 'd', "F16", 0, {0}, NULL},
        {"", 0, "model.norm.weight", 'd', "F32", 0, {0}, NULL},
        {"\"tie_word_embeddings\": false, ", 0, "lm_head.weight", '+', "BF16", 2, {20, 32}, NULL},
        {"", 0, "lm_head.weight", '+', "BF16", 2, {20, 32}, NULL},
        {"", 0, "model.layers.0.self_attn.rotary_emb.inv_freq", '+', "F32", 1, {8, 1}, NULL},
        /* Mismatches. */
        {"\"tie_word_embeddings\": true, ",
         0,
         "lm_head.weight",
         '+',
         "BF16",
         2,
         {20, 32},
         "lm_head.weight: is in the file, and nothing in the model uses it; "},
        {"\"tie_word_embeddings\": false, ",
         0,
         NULL,
         0,
         NULL,
         0,
         {0},
         "lm_head.weight: is not in the file; "},
        {"", 0, "model.norm.weight", '-', NULL, 0, {0}, "model.norm.weight: is not in the file; "},
        {"", 0, "model.norm.weight", 's', NULL, 0, {33, 1}, "has the shape [33], and the model wants [32]"},
        {"",
         0,
         Q_PROJ ".weight",
         's',
         NULL,
         0,
         {16, 32},
         "has the shape [16, 32], and the model wants [32, 32]"},
        {"", 0, Q_PROJ ".weight", 'd', "I8", 0, {0}, Q_PROJ ".weight: is a matrix of type I8"},
        {"", 0, "model.norm.weight", 'd', "F64", 0, {0}, "model.norm.weight: is F64"},
        {"", 0, "model.layers.0.mlp.extra.weight", '+', "BF16", 2, {4, 4}, "nothing in the model uses it"},
        {"", 0, "lone.scales", '+', "F16", 2, {4, 4}, "lone.scales: is in the file"},
        {FOUR, 4, Q_PROJ ".scales", '-', NULL, 0, {0}, Q_PROJ ".weight: has the shape [32, 4]"},
        {"\"quantization\": {\"bits\": 4, \"group_size\": 32, \"mode\": \"mxfp6\"}, ",
         4,
         NULL,
         0,
         NULL,
         0,
         {0},
         Q_PROJ ".weight: is a matrix of type U32"},
        /* What cannot be read. */
        {"",
         4,
         NULL,
         0,
         NULL,
         0,
         {0},
         "model.embed_tokens.weight is packed, and config.json does not say how many bits"},
        {"\"quantization\": {\"bits\": 40}, ", 4, NULL, 0, NULL, 0, {0}, "does not say how many bits"},
        {"\"quantization\": {\"bits\": 3, \"group_size\": 32}, ",
         4,
         NULL,
         0,
         NULL,
         0,
         {0},
         "has rows of 4 words, which are not groups of 32 values of 3 bits"},
        {"\"quantization\": {\"bits\": 2, \"group_size\": 32}, ",
         4,
         NULL,
         0,
         NULL,
         0,
         {0},
         "model.embed_tokens.scales has the shape [20, 1], and the weight, with 2 bits in groups of 32, "
         "wants [20, 2]"},
        {FOUR,
         4,
         Q_PROJ ".biases",
         '-',
         NULL,
         0,
         {0},
         Q_PROJ ".weight is packed, and has no biases beside it"},
        {FOUR, 4, Q_PROJ ".biases", 'd', "BF16", 0, {0}, Q_PROJ ".biases is BF16, and the scales are F16"},
        {FOUR, 4, Q_PROJ ".scales", 'd', "U8", 0, {0}, Q_PROJ ".scales is U8 of 2 dimensions"},
        {FOUR, 4, Q_PROJ ".biases", 's', NULL, 0, {31, 1}, Q_PROJ ".biases has the shape [31, 1]"},
        {"\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4}, ",
         0,
         NULL,
         0,
         NULL,
         0,
         {0},
         "the quantisation method \"gptq\", whose weights are not read"},
        {"",
         0,
         "model.layers.0.mlp.experts.gate_up_proj_blocks",
         '+',
         "U8",
         2,
         {4, 4},
         "the tensor model.layers.0.mlp.experts.gate_up_proj_blocks has no scales beside it"},
        {"5", 0, NULL, 0, NULL, 0, {0}, "string or '}' expected"},
        {"\"hidden_act\": 4, ", 0, NULL, 0, NULL, 0, {0}, "hidden_act"},
    };
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++) {
        struct kgen_test_tensors tensors;
        struct kgen_text said = {0};
        apply(&table[i], &tensors);
        open_changed(&table[i], &tensors, &said);
        const char *got = said.data != NULL ? said.data : "";
        if (table[i].message == NULL ? got[0] != '\0' : strstr(got, table[i].message) == NULL)
            fail_msg("case %zu: \"%s\", expected \"%s\"", i, got,
                     table[i].message != NULL ? table[i].message : "");
        kgen_text_free(&said);
    }
    assert_int_equal(cases, KGEN_COUNT_OF(table));
}

/* Matrices of experts, each apart, are one tensor, which this model has no use for. */
static void test_experts(void **state)
{
#define EXPERT "model.layers.0.mlp.experts."
    static const struct {
        const char *names[3];
        int64_t columns[3];
        const char *message;
    } table[] = {
        {{EXPERT "0.gate_proj.weight", EXPERT "1.gate_proj.weight", EXPERT "2.gate_proj.weight"},
         {32, 32, 32},
         "model.layers.0.mlp.switch_mlp.gate_proj.weight: is in the file, and nothing in the model uses "
         "it; "},
        {{EXPERT "1.w2.weight", EXPERT "0.w2.weight"},
         {32, 32},
         "model.layers.0.mlp.switch_mlp.down_proj.weight: is in the file, and nothing in the model uses "
         "it; "},
        {{EXPERT "0.up_proj.weight", EXPERT "1.up_proj.weight"},
         {32, 64},
         EXPERT "1.up_proj.weight has another shape or format than that of the first expert"},
        {{EXPERT "0.up_proj.weight", EXPERT "2.up_proj.weight"},
         {32, 32},
         "2 experts in all, of which 1 have others of lower numbers missing"},
        {{EXPERT "1.up_proj.weight"}, {32}, "of which 1 have others of lower numbers missing"},
        {{EXPERT "01.up_proj.weight"}, {32}, EXPERT "01.up_proj.weight: is in the file"},
        {{EXPERT "0.bias_proj.weight"}, {32}, EXPERT "0.bias_proj.weight: is in the file"},
    };
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        const struct change change = {.more = ""};
        struct kgen_test_tensors tensors;
        struct kgen_text said = {0};
        kgen_test_qwen3_tensors(&tensors, 0);
        for (size_t j = 0; j < 3 && table[i].names[j] != NULL; j++)
            kgen_test_tensor_add(&tensors, table[i].names[j], "BF16", 2, 4, table[i].columns[j]);
        open_changed(&change, &tensors, &said);
        if (said.data == NULL || strstr(said.data, table[i].message) == NULL)
            fail_msg("case %zu: \"%s\", expected \"%s\"", i, said.data != NULL ? said.data : "",
                     table[i].message);
        kgen_text_free(&said);
    }
}

/* A folder with the matrices apart: the rows of the stack are those of one expert after the other. */
static void test_rows_of_experts(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open("tests/models/mixtral-bf16", &error);
    if (checkpoint == NULL)
        fail_msg("%s", error.message);
    struct kgen_checkpoint_tensor tensor;
    const char *name = "model.layers.0.block_sparse_moe.switch_mlp.up_proj.weight";
    assert_true(kgen_checkpoint_find(checkpoint, name, &tensor));
    assert_int_equal(tensor.rank, 3);
    assert_int_equal(tensor.shape[0], 4);
    assert_int_equal(tensor.matrix.N, tensor.shape[0] * tensor.shape[1]);
    enum { ROWS = 5 };
    const int64_t begin = tensor.shape[1] - 2; /* the last two rows of an expert, and three of the next */
    uint16_t rows[ROWS * 32], apart[ROWS * 32];
    assert_int_equal(tensor.matrix.K, 32);
    struct kgen_matrix matrix = tensor.matrix;
    matrix.N = ROWS;
    matrix.arrays[0] = rows;
    assert_int_equal(kgen_checkpoint_matrix(checkpoint, name, begin, begin + ROWS, &matrix, 0, &error), 0);
    for (int i = 0; i < 2; i++)
        memcpy(apart + (i == 0 ? 0 : 2 * 32), tensor.experts[i]->data + (i == 0 ? (size_t)begin * 64 : 0),
               (i == 0 ? 2 : 3) * 64);
    assert_memory_equal(rows, apart, sizeof rows);
    kgen_checkpoint_free(checkpoint);
}

#define MODE(mode, more) "\"quantization\": {\"mode\": \"" mode "\"" more "}, "

/* MLX's floating-point modes. */
static void test_modes(void **state)
{
    static const struct {
        const char *more;
        int64_t bits, group_size;
        const char *edited, *dtype; /* another dtype of a tensor; "": another shape, NULL: one more */
        const char *message;        /* NULL: all is there */
    } table[] = {
        {MODE("mxfp4", ", \"bits\": 4, \"group_size\": 32"), 4, 32, NULL, NULL, NULL},
        {MODE("mxfp8", ", \"bits\": 8, \"group_size\": 32"), 8, 32, NULL, NULL, NULL},
        {MODE("nvfp4", ", \"bits\": 4, \"group_size\": 16"), 4, 16, NULL, NULL, NULL},
        {MODE("mxfp8", ""), 8, 32, NULL, NULL, NULL},
        {MODE("mxfp4", ", \"bits\": 4, \"group_size\": 16"), 4, 16, NULL, NULL,
         "is mxfp4 with 4 bits in groups of 16"},
        {MODE("mxfp4", ""), 4, 32, Q_PROJ ".scales", "F16",
         "is F16 of 2 dimensions; scales are matrices of U8"},
        {MODE("mxfp4", ""), 4, 32, Q_PROJ ".scales", "", "has the shape [32, 2], and the weight"},
        {MODE("mxfp4", ""), 4, 32, Q_PROJ ".biases", NULL, "is beside weights of the mode mxfp4"},
        {MODE("mxfp4", ", \"" Q_PROJ "\": {\"group_size\": 32}"), 4, 32, NULL, NULL,
         Q_PROJ ".scales is U8 of 2 dimensions; scales are matrices of F16"},
    };
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        const struct change change = {.more = table[i].more};
        struct kgen_test_tensors tensors;
        struct kgen_text said = {0};
        make_floating(&tensors, table[i].bits, table[i].group_size);
        if (table[i].edited != NULL && table[i].dtype == NULL)
            kgen_test_tensor_add(&tensors, table[i].edited, "U8", 2, 32, 1);
        else if (table[i].edited != NULL && table[i].dtype[0] == '\0')
            kgen_test_tensor_find(&tensors, table[i].edited)->shape[1] = 2;
        else if (table[i].edited != NULL)
            kgen_test_tensor_find(&tensors, table[i].edited)->dtype = table[i].dtype;
        open_changed(&change, &tensors, &said);
        const char *got = said.data != NULL ? said.data : "";
        if (table[i].message == NULL ? got[0] != '\0' : strstr(got, table[i].message) == NULL)
            fail_msg("case %zu: \"%s\", expected \"%s\"", i, got,
                     table[i].message != NULL ? table[i].message : "");
        kgen_text_free(&said);
    }
}

/* A head beside tied embeddings may only be the same. */
static void test_the_same_head(void **state)
{
    static const struct change change = {
        "\"tie_word_embeddings\": true, ", 0, "lm_head.weight", '+', "BF16", 2, {20, 32}, NULL};
    struct kgen_test_tensors tensors;
    struct kgen_text said = {0};
    (void)state;
    apply(&change, &tensors);
    kgen_test_tensor_find(&tensors, "lm_head.weight")->seed = 1;
    kgen_test_tensor_find(&tensors, "model.embed_tokens.weight")->seed = 1;
    open_changed(&change, &tensors, &said);
    assert_int_equal(said.length, 0);
    kgen_text_free(&said);
}

/* Each array of a packed matrix has the bytes of its tensor; an override of a tensor counts. */
static void test_packed_bytes(void **state)
{
    static const char more[] = "\"quantization\": {\"bits\": 2, \"group_size\": 64, \"" Q_PROJ
                               "\": {\"bits\": 5, \"group_size\": 32}}, ";
    struct kgen_test_tensors tensors = {.count = 0};
    struct kgen_text config = {0}, data = {0};
    struct kgen_error error = {0};
    struct kgen_checkpoint_tensor tensor;
    (void)state;
    kgen_test_tensor_add(&tensors, Q_PROJ ".weight", "U32", 2, 6, 15);
    kgen_test_tensor_add(&tensors, Q_PROJ ".scales", "F32", 2, 6, 3);
    kgen_test_tensor_add(&tensors, Q_PROJ ".biases", "F32", 2, 6, 3);
    kgen_test_qwen3_config(more, &config);
    kgen_test_safetensors_write(&tensors, SEED, &data);
    struct kgen_checkpoint *checkpoint =
        kgen_checkpoint_parse_folder("m", config.data, config.length, data.data, data.length, &error);
    if (checkpoint == NULL)
        fail_msg("%s", error.message);
    assert_int_equal(kgen_checkpoint_tensor_count(checkpoint), 1);
    assert_true(kgen_checkpoint_find(checkpoint, Q_PROJ ".weight", &tensor));
    assert_string_equal(tensor.type, "affine 5-bit");
    assert_int_equal(tensor.shape[1], 96);
    assert_int_equal(tensor.matrix.bits, 5);
    assert_int_equal(tensor.matrix.scale_dtype, KGEN_F32);
    assert_int_equal(tensor.bytes, 6 * (60 + 12 + 12));
    unsigned char arrays[3][4 * 60];
    struct kgen_matrix matrix = tensor.matrix;
    matrix.N = 4;
    for (size_t i = 0; i < 3; i++)
        matrix.arrays[i] = arrays[i];
    assert_int_equal(kgen_checkpoint_matrix(checkpoint, Q_PROJ ".weight", 2, 5, &matrix, 1, &error), 0);
    const char *begin = data.data + data.length - 6 * (60 + 12 + 12);
    assert_memory_equal(arrays[KGEN_GROUPED_WEIGHTS] + 60, begin + 2 * 60, 3 * 60);
    assert_memory_equal(arrays[KGEN_GROUPED_SCALES] + 12, begin + 6 * 60 + 2 * 12, 3 * 12);
    assert_memory_equal(arrays[KGEN_GROUPED_BIASES] + 12, begin + 6 * 72 + 2 * 12, 3 * 12);
    kgen_checkpoint_free(checkpoint);
    kgen_text_free(&config);
    kgen_text_free(&data);
}

/* ---- files ---- */

#define MAP(a, b) "{\"weight_map\": {\"a\": \"" a "\", \"b\": \"" b "\"}}"

static void put(const char *folder, const char *name, const char *data, size_t length)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(kgen_file_write(path, data, length, NULL), 0);
}

static void put_tensors(const char *folder, const char *name, const char *first, const char *second)
{
    struct kgen_test_tensors tensors = {.count = 0};
    struct kgen_text text = {0};
    kgen_test_tensor_add(&tensors, first, "F32", 1, 3, 1);
    if (second != NULL)
        kgen_test_tensor_add(&tensors, second, "F32", 1, 2, 1);
    kgen_test_safetensors_write(&tensors, SEED, &text);
    put(folder, name, text.data, text.length);
    kgen_text_free(&text);
}

static void test_files(void **state)
{
    static const struct {
        const char *config, *index;  /* NULL: no such file */
        const char *one[2], *two[2]; /* the tensors of one.safetensors and two.safetensors */
        const char *single;          /* that of model.safetensors */
        size_t tensors;
        const char *message, *source; /* NULL: opened */
    } table[] = {
        {"{}", MAP("one.safetensors", "two.safetensors"), {"a", NULL}, {"b", NULL}, NULL, 2, NULL, NULL},
        {"{}", MAP("one.safetensors", "one.safetensors"), {"a", "b"}, {NULL, NULL}, NULL, 2, NULL, NULL},
        {"{}", "no JSON", {NULL, NULL}, {NULL, NULL}, "a", 1, NULL, NULL},
        {NULL, NULL, {NULL, NULL}, {NULL, NULL}, "a", 0, "this is a folder without a config.json", ""},
        {"[]", NULL, {NULL, NULL}, {NULL, NULL}, "a", 0, "this is not a JSON object", "config.json"},
        {"{\"a\": 1, \"a\": 2}",
         NULL,
         {NULL, NULL},
         {NULL, NULL},
         "a",
         0,
         "duplicate object key",
         "config.json"},
        {"{}", NULL, {"a", NULL}, {NULL, NULL}, NULL, 0, "has neither model.safetensors nor", ""},
        {"{}", "no JSON", {"a", NULL}, {NULL, NULL}, NULL, 0, "expected near 'no'", ".index.json"},
        {"{}", "{}", {"a", NULL}, {NULL, NULL}, NULL, 0, "there is no \"weight_map\"", ".index.json"},
        {"{}",
         "{\"weight_map\": {\"a\": 1}}",
         {"a", NULL},
         {NULL, NULL},
         NULL,
         0,
         "the file of the tensor a is not a string",
         ".index.json"},
        {"{}",
         MAP("../one.safetensors", "x"),
         {"a", NULL},
         {NULL, NULL},
         NULL,
         0,
         "\"../one.safetensors\" is not the name of a file beside the index",
         ".index.json"},
        {"{}",
         MAP("one.safetensors", "two.safetensors"),
         {"a", NULL},
         {NULL, NULL},
         NULL,
         0,
         "the file is missing: model.safetensors.index.json names it",
         "two.safetensors"},
        {"{}",
         MAP("one.safetensors", "two.safetensors"),
         {"b", NULL},
         {"a", NULL},
         NULL,
         0,
         "the tensor a is not in one.safetensors",
         ".index.json"},
        {"{}",
         MAP("one.safetensors", "two.safetensors"),
         {"a", NULL},
         {"c", NULL},
         NULL,
         0,
         "the tensor b is not in two.safetensors",
         ".index.json"},
        {"{}",
         "{\"weight_map\": {\"b\": \"one.safetensors\", \"c\": \"two.safetensors\", \"a\": "
         "\"two.safetensors\"}}",
         {"a", "b"},
         {"c", "a"},
         NULL,
         0,
         "one.safetensors as well",
         "two.safetensors"},
    };
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++) {
        static const char *const names[] = {"config.json", "model.safetensors.index.json", "one.safetensors",
                                            "two.safetensors", "model.safetensors"};
        char folder[] = "/tmp/kgen-folder-XXXXXX", path[128];
        struct kgen_error error = {0};
        assert_non_null(mkdtemp(folder));
        if (table[i].config != NULL)
            put(folder, names[0], table[i].config, strlen(table[i].config));
        if (table[i].index != NULL)
            put(folder, names[1], table[i].index, strlen(table[i].index));
        if (table[i].one[0] != NULL)
            put_tensors(folder, names[2], table[i].one[0], table[i].one[1]);
        if (table[i].two[0] != NULL)
            put_tensors(folder, names[3], table[i].two[0], table[i].two[1]);
        if (table[i].single != NULL)
            put_tensors(folder, names[4], table[i].single, NULL);
        struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(folder, &error);
        if (table[i].message == NULL) {
            if (checkpoint == NULL)
                fail_msg("case %zu: %s", i, error.message);
            assert_int_equal(kgen_checkpoint_tensor_count(checkpoint), table[i].tensors);
        } else if (checkpoint != NULL || strstr(error.message, table[i].message) == NULL ||
                   strstr(error.source, table[i].source) == NULL) {
            fail_msg("case %zu: %s: %s", i, error.source, checkpoint != NULL ? "opened" : error.message);
        }
        kgen_checkpoint_free(checkpoint);
        for (size_t j = 0; j < KGEN_COUNT_OF(names); j++) {
            snprintf(path, sizeof path, "%s/%s", folder, names[j]);
            unlink(path);
        }
        assert_int_equal(rmdir(folder), 0);
    }
    assert_int_equal(cases, KGEN_COUNT_OF(table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),         cmocka_unit_test(test_experts),
        cmocka_unit_test(test_rows_of_experts), cmocka_unit_test(test_modes),
        cmocka_unit_test(test_the_same_head),   cmocka_unit_test(test_packed_bytes),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests_name("folders of safetensors", tests, NULL, NULL);
}
