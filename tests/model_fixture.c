/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model_fixture.h"

#include <stdio.h>

/* U+0120, which stands for a blank, begins the words. */
static const char *const tokens[MODEL_TOKENS] = {"<|im_start|>",
                                                 "<|im_end|>",
                                                 "a",
                                                 "b",
                                                 "c",
                                                 "d",
                                                 "e",
                                                 "f",
                                                 "g",
                                                 "h",
                                                 "i",
                                                 "m",
                                                 "n",
                                                 "o",
                                                 "p",
                                                 "r",
                                                 "s",
                                                 "t",
                                                 "u",
                                                 "y",
                                                 "\304\240",
                                                 "\304\212",
                                                 "ab",
                                                 "abc",
                                                 "us",
                                                 "er",
                                                 "user",
                                                 "\304\240a",
                                                 "he",
                                                 "z"};
static const int32_t types[MODEL_TOKENS] = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const char *const merges[] = {"a b", "ab c", "u s", "e r", "us er", "\304\240 a", "h e"};

#define TOKENIZER(program)                                                                                   \
    {                                                                                                        \
        .model = "gpt2", .pre = "smollm", .tokens = tokens, .types = types, .count = MODEL_TOKENS,           \
        .merges = merges, .merge_count = sizeof merges / sizeof merges[0], .bos = 0, .eos = 1,               \
        .chat_template = program                                                                             \
    }

static const struct kgen_test_tokenizer tokenizer =
    TOKENIZER("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
              "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
              "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
static const struct kgen_test_tokenizer unknown = TOKENIZER("{{ messages }}");

#define SHAPE(text)                                                                                          \
    {                                                                                                        \
        .hidden = 64, .intermediate = 96, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16,            \
        .vocab = MODEL_TOKENS, .context = 64, .tied = true, .tokenizer = text                                \
    }

const struct kgen_test_llama model_shape = SHAPE(&tokenizer), model_shape_without_tokenizer = SHAPE(NULL),
                             model_shape_with_unknown_template = SHAPE(&unknown);

struct kgen_model_settings model_settings(int64_t context, int64_t sequences)
{
    struct kgen_model_settings settings;
    kgen_model_settings_init(&settings, sizeof settings);
    settings.cache_dtype = "f32";
    settings.context = context;
    settings.prompt_rows = 5;
    settings.sequences = sequences;
    return settings;
}

struct kgen_model *model_open(struct api_fixture *fixture, const char *path, int threads,
                              const struct kgen_model_settings *settings)
{
    struct kgen_settings of_context = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_status status = {0};
    char text[1024];
    of_context.threads = threads;
    struct kgen_context *context = api_open(&of_context);
    struct kgen_model *model = kgen_model_open(context, path, settings, &status);
    if (model == NULL)
        fail_msg("%s: %s", path, kgen_status_format(&status, text, sizeof text));
    kgen_close(context);
    return model;
}

const char *model_write(const struct api_fixture *fixture, const char *name,
                        const struct kgen_test_llama *shape, uint64_t seed)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    kgen_test_write_llama(path, shape, seed, &kgen_test_mixed_types);
    return path;
}
