/* SPDX-License-Identifier: MIT */
/* libFuzzer target of the GGUF reader and of what checkpoints make of it. Input that begins with 'P' is a
 * list of patches of a small model: two bytes of a place, one of a count up to 8, and as many bytes. Other
 * input is the file itself. */
#include "gguf_exercise.h"
#include "gguf_fixture.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kgen_text model;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const tokens[] = {"<unk>", "a", "b", "ab"};
    static const struct kgen_test_tokenizer tokenizer = {.model = "gpt2", .tokens = tokens, .count = 4};
    static const struct kgen_test_llama shape = {.hidden = 32,
                                                 .intermediate = 32,
                                                 .layers = 1,
                                                 .heads = 1,
                                                 .kv_heads = 1,
                                                 .head_dim = 32,
                                                 .vocab = 4,
                                                 .tied = true,
                                                 .tokenizer = &tokenizer};
    (void)argc;
    (void)argv;
    kgen_test_make_llama(&shape, 1, &kgen_test_mixed_types, &model);
    return 0;
}

static void patch(char *copy, const uint8_t *data, size_t size)
{
    while (size >= 3) {
        const size_t place = (data[0] | (size_t)data[1] << 8) % model.length;
        size_t count = data[2] % 9;
        data += 3;
        size -= 3;
        count = count < size ? count : size;
        memcpy(copy + place, data, count < model.length - place ? count : model.length - place);
        data += count;
        size -= count;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kgen_error error = {0};
    if (size == 0 || data[0] != 'P') {
        kgen_test_exercise(data, size, &error);
        return 0;
    }
    char *copy = malloc(model.length);
    if (copy == NULL)
        abort();
    memcpy(copy, model.data, model.length);
    patch(copy, data + 1, size - 1);
    kgen_test_exercise(copy, model.length, &error);
    free(copy);
    return 0;
}
