/* SPDX-License-Identifier: MIT */
#include "gguf_exercise.h"
#include "gen/spec/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t sum; /* so that no read is left out */

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "GGUF: %s\n", what);
    abort();
}

static void require_error(const struct kgen_error *error)
{
    require(error->code != KGEN_ERROR_NONE && error->message[0] != '\0', "an error says nothing");
}

static void read_values(const struct kgen_gguf *gguf)
{
    for (size_t i = 0; i < kgen_gguf_value_count(gguf); i++) {
        const struct kgen_gguf_value *value = kgen_gguf_value_at(gguf, i);
        char shown[16];
        sum += (unsigned char)kgen_gguf_show(value->key, shown, sizeof shown)[0];
        require(value->element == value->type || value->type == KGEN_GGUF_ARRAY,
                "an element has another type");
        if (value->element == KGEN_GGUF_STRING) {
            struct kgen_gguf_strings strings = kgen_gguf_strings_start(value);
            struct kgen_gguf_text text;
            uint64_t count = 0;
            for (; kgen_gguf_strings_next(&strings, &text); count++)
                sum = kgen_hash(sum, text.data, text.length);
            require(count == value->count, "an array of strings ends too early");
        }
        const bool number = value->element != KGEN_GGUF_STRING && value->element != KGEN_GGUF_ARRAY;
        for (uint64_t j = 0; number && j < value->count; j++) {
            const double real = kgen_gguf_real_at(value, j);
            sum = kgen_hash(sum, &real, sizeof real);
            if (value->element != KGEN_GGUF_F32 && value->element != KGEN_GGUF_F64)
                sum += (uint64_t)kgen_gguf_integer_at(value, j);
        }
    }
}

static void read_tensors(const struct kgen_gguf *gguf)
{
    for (size_t i = 0; i < kgen_gguf_tensor_count(gguf); i++) {
        const struct kgen_gguf_tensor *tensor = kgen_gguf_tensor_at(gguf, i);
        require(tensor->offset <= kgen_gguf_size(gguf) &&
                    tensor->bytes <= kgen_gguf_size(gguf) - tensor->offset,
                "a tensor ends beyond the file");
        sum = kgen_hash(sum, tensor->data, (size_t)tensor->bytes);
    }
}

static void read_matrix(const struct kgen_checkpoint *checkpoint, const struct kgen_checkpoint_tensor *tensor)
{
    struct kgen_matrix matrix = tensor->matrix;
    struct kgen_error error = {0};
    for (size_t i = 0; i < matrix.format->array_count; i++) {
        matrix.arrays[i] = malloc((size_t)(matrix.N * matrix.format->arrays[i].row_bytes(&matrix)));
        require(matrix.arrays[i] != NULL, "out of memory");
    }
    require(kgen_checkpoint_matrix(checkpoint, tensor->name, 0, matrix.N, &matrix, 0, &error) == 0,
            error.message);
    for (size_t i = 0; i < matrix.format->array_count; i++)
        free(matrix.arrays[i]);
}

static void read_weights(const struct kgen_checkpoint *checkpoint, const struct kgen_graph *graph)
{
    for (size_t i = 0; i < graph->weight_count; i++) {
        struct kgen_checkpoint_tensor tensor;
        struct kgen_error error = {0};
        require(kgen_checkpoint_find(checkpoint, graph->weights[i].name, &tensor), "a weight is not there");
        if (tensor.rank == 2) {
            read_matrix(checkpoint, &tensor);
            continue;
        }
        float *values = malloc((size_t)tensor.elements * sizeof *values);
        require(values != NULL, "out of memory");
        require(kgen_checkpoint_values(checkpoint, tensor.name, values, tensor.elements, &error) == 0,
                error.message);
        free(values);
    }
}

static enum kgen_test_exercised read_model(const struct kgen_checkpoint *checkpoint, struct kgen_error *error)
{
    struct kgen_text config = {0};
    struct kgen_spec *spec = NULL;
    if (kgen_checkpoint_config(checkpoint, &config, error) == 0)
        spec = kgen_spec_parse("config", config.data, config.length, NULL, error);
    kgen_text_free(&config);
    if (spec == NULL) {
        require_error(error);
        return KGEN_TEST_NO_MODEL;
    }
    struct kgen_checkpoint_mismatches mismatches = {0};
    require(kgen_checkpoint_check(checkpoint, spec->graph, &mismatches, error) == 0, error->message);
    const bool whole = mismatches.count == 0;
    if (whole)
        read_weights(checkpoint, spec->graph);
    for (size_t i = 0; i < mismatches.count; i++)
        require(mismatches.items[i].name[0] != '\0' && mismatches.items[i].what[0] != '\0',
                "a mismatch says nothing");
    kgen_checkpoint_mismatches_free(&mismatches);
    kgen_spec_free(spec);
    return whole ? KGEN_TEST_WHOLE : KGEN_TEST_MISMATCHED;
}

enum kgen_test_exercised kgen_test_exercise(const void *data, size_t size, struct kgen_error *error)
{
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_parse("hostile.gguf", data, size, error);
    if (checkpoint == NULL) {
        require_error(error);
        require(strncmp(error->message, "at byte ", 8) == 0, "an error does not name the byte");
        return KGEN_TEST_REFUSED;
    }
    read_values(kgen_checkpoint_gguf(checkpoint));
    read_tensors(kgen_checkpoint_gguf(checkpoint));
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        kgen_checkpoint_tensor_at(checkpoint, i, &tensor);
        sum += tensor.bytes;
    }
    const enum kgen_test_exercised result = read_model(checkpoint, error);
    kgen_checkpoint_free(checkpoint);
    return result;
}

enum kgen_test_exercised kgen_test_exercise_folder(const char *config, size_t config_length, const void *data,
                                                   size_t size, struct kgen_error *error)
{
    struct kgen_checkpoint *checkpoint =
        kgen_checkpoint_parse_folder("hostile", config, config_length, data, size, error);
    if (checkpoint == NULL) {
        require_error(error);
        return KGEN_TEST_REFUSED;
    }
    const unsigned char *begin = data;
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        kgen_checkpoint_tensor_at(checkpoint, i, &tensor);
        require(tensor.data >= begin && tensor.data <= begin + size, "a tensor is not in the file");
        sum += tensor.bytes;
    }
    const enum kgen_test_exercised result = read_model(checkpoint, error);
    kgen_checkpoint_free(checkpoint);
    return result;
}
