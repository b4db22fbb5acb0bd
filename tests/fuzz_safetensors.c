/* SPDX-License-Identifier: MIT */
/* libFuzzer target of the safetensors reader and of what a model's folder makes of it. The input is the
 * header of a file, whose data are those of a small packed model; input that begins with 'C' is its
 * config.json instead, and 'F' a whole file. */
#include "gguf_exercise.h"
#include "safetensors_fixture.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kgen_text model, config;
static size_t data_begin;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct kgen_test_tensors tensors;
    (void)argc;
    (void)argv;
    kgen_test_qwen3_tensors(&tensors, 4);
    kgen_test_safetensors_write(&tensors, 1, &model);
    kgen_test_qwen3_config("\"quantization\": {\"bits\": 4, \"group_size\": 32}, ", &config);
    data_begin = 8 + ((unsigned char)model.data[0] | (size_t)(unsigned char)model.data[1] << 8);
    return 0;
}

/* In memory of its own size. */
static void exercise(const struct kgen_text *text)
{
    struct kgen_error error = {0};
    char *copy = malloc(text->length + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, text->data, text->length);
    kgen_test_exercise_folder(config.data, config.length, copy, text->length, &error);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kgen_error error = {0};
    struct kgen_text text = {0};
    if (size > 0 && data[0] == 'C') {
        kgen_test_exercise_folder((const char *)data + 1, size - 1, model.data, model.length, &error);
        return 0;
    }
    if (size > 0 && data[0] == 'F') {
        kgen_test_exercise_folder(config.data, config.length, data + 1, size - 1, &error);
        return 0;
    }
    kgen_test_safetensors_put((const char *)data, size, model.data + data_begin, model.length - data_begin,
                              &text);
    exercise(&text);
    kgen_text_free(&text);
    return 0;
}
