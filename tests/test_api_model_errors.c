/* SPDX-License-Identifier: MIT */
/* Every error code that kgen.h says of a function of models is seen to come from it, with its text; and what
 * such a call leaves behind. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_memory.h"
#include "model_fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SEED UINT64_C(76)

enum { CONTEXT = 16, SEQUENCES = 4 };

/* What the cases work on: a model, one of another checkpoint, one without a tokenizer, one whose template is
 * not known, and states of three tokens. */
struct scene {
    struct api_fixture *fixture;
    struct kgen_model *model, *other, *bare, *unknown;
    struct kgen_model_state *state, *second, *of_other;
    unsigned char saved[65536];
    size_t saved_size;
};

static const int32_t tokens[CONTEXT + 1] = {3, 4, 5};
static char text[256];

static void open_scene(struct scene *scene)
{
    struct kgen_model_settings settings = model_settings(CONTEXT, SEQUENCES);
    struct api_fixture *fixture = scene->fixture;
    scene->model = model_open(fixture, model_write(fixture, "model.gguf", &model_shape, SEED), 1, &settings);
    scene->other =
        model_open(fixture, model_write(fixture, "other.gguf", &model_shape, SEED + 1), 1, &settings);
    scene->bare = model_open(fixture, model_write(fixture, "bare.gguf", &model_shape_without_tokenizer, SEED),
                             1, &settings);
    scene->unknown =
        model_open(fixture, model_write(fixture, "unknown.gguf", &model_shape_with_unknown_template, SEED), 1,
                   &settings);
    scene->state = kgen_model_state_new(scene->model, 0, NULL);
    scene->second = kgen_model_state_new(scene->model, 4, NULL);
    scene->of_other = kgen_model_state_new(scene->other, 0, NULL);
    assert_non_null(kgen_model_step(scene->state, tokens, 3, NULL));
    assert_non_null(kgen_model_step(scene->second, tokens, 3, NULL));
    assert_non_null(kgen_model_step(scene->of_other, tokens, 3, NULL));
    scene->saved_size = kgen_model_state_size(scene->state);
    assert_true(scene->saved_size <= sizeof scene->saved);
    assert_int_equal(kgen_model_state_save(scene->state, scene->saved, sizeof scene->saved, NULL), 0);
}

static void close_scene(struct scene *scene)
{
    kgen_model_state_free(scene->state);
    kgen_model_state_free(scene->second);
    kgen_model_state_free(scene->of_other);
    kgen_model_close(scene->model);
    kgen_model_close(scene->other);
    kgen_model_close(scene->bare);
    kgen_model_close(scene->unknown);
}

/* ---- opening ---- */

/* Opens the fixture's file with settings, which must fail. */
static void fail_open(struct scene *scene, const struct kgen_settings *settings, const char *name,
                      const struct kgen_model_settings *of_model, struct kgen_status *status)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", scene->fixture->folder, name);
    struct kgen_context *context = api_open(settings);
    assert_null(kgen_model_open(context, path, of_model, status));
    assert_null(kgen_model_open(context, path, of_model, NULL));
    kgen_close(context);
}

static void fail_settings(struct scene *scene, const struct kgen_model_settings *of_model,
                          struct kgen_status *status)
{
    const struct kgen_settings settings = api_settings(scene->fixture, KGEN_ESTIMATE);
    fail_open(scene, &settings, "model.gguf", of_model, status);
}

#define OPEN_WITH(name, change)                                                                              \
    static void name(struct scene *scene, struct kgen_status *status)                                        \
    {                                                                                                        \
        struct kgen_model_settings settings = model_settings(CONTEXT, 0);                                    \
        change;                                                                                              \
        fail_settings(scene, &settings, status);                                                             \
    }
OPEN_WITH(open_no_size, settings.size = 0)
OPEN_WITH(open_bad_dtype, settings.activation_dtype = "i7")
OPEN_WITH(open_bad_layout, settings.layout = "a name that is much too long for a layout")
OPEN_WITH(open_bad_cache, settings.cache_dtype = "i24")
OPEN_WITH(open_bad_context, settings.context = -1)
OPEN_WITH(open_bad_rows, settings.prompt_rows = 5000)
OPEN_WITH(open_many_sequences, settings.sequences = 17)
OPEN_WITH(open_two_tokenizers, settings.tokenizer = "x"; settings.no_tokenizer = 1)
OPEN_WITH(open_no_tokenizer_file, settings.tokenizer = "/nowhere.json")

static void open_later(struct scene *scene, struct kgen_status *status)
{
    struct {
        struct kgen_model_settings settings;
        int more;
    } later = {model_settings(CONTEXT, 0), 1};
    later.settings.size = sizeof later;
    fail_settings(scene, &later.settings, status);
}

static void open_nowhere(struct scene *scene, struct kgen_status *status)
{
    const struct kgen_settings settings = api_settings(scene->fixture, KGEN_ESTIMATE);
    fail_open(scene, &settings, "nothing.gguf", NULL, status);
}

static void open_damaged(struct scene *scene, struct kgen_status *status)
{
    const struct kgen_settings settings = api_settings(scene->fixture, KGEN_ESTIMATE);
    char command[512];
    snprintf(command, sizeof command, "head -c 2000 %s/model.gguf >%s/damaged.gguf", scene->fixture->folder,
             scene->fixture->folder);
    assert_int_equal(system(command), 0);
    fail_open(scene, &settings, "damaged.gguf", NULL, status);
}

static void open_large_tokenizer(struct scene *scene, struct kgen_status *status)
{
    struct kgen_model_settings settings = model_settings(CONTEXT, 0);
    struct kgen_test_llama shape = model_shape_without_tokenizer;
    char path[160];
    snprintf(path, sizeof path, "%s/model.gguf", scene->fixture->folder);
    settings.tokenizer = path;
    shape.vocab = MODEL_TOKENS - 1;
    model_write(scene->fixture, "small.gguf", &shape, SEED);
    const struct kgen_settings of_context = api_settings(scene->fixture, KGEN_ESTIMATE);
    fail_open(scene, &of_context, "small.gguf", &settings, status);
}

static void open_cancelled(struct scene *scene, struct kgen_status *status)
{
    static const volatile int flag = 1;
    struct kgen_settings settings = api_settings(scene->fixture, KGEN_MEASURE);
    settings.cancel = &flag;
    fail_open(scene, &settings, "model.gguf", NULL, status);
}

static void open_with_templates(struct scene *scene, const char *change, struct kgen_status *status)
{
    struct kgen_settings settings = api_settings(scene->fixture, KGEN_ESTIMATE);
    char command[1024], folder[128];
    snprintf(folder, sizeof folder, "%s/t", scene->fixture->folder);
    snprintf(command, sizeof command, "rm -rf %s && mkdir %s && cp -r templates/c %s && cd %s/c && %s",
             folder, folder, folder, folder, change);
    assert_int_equal(system(command), 0);
    settings.templates_folder = folder;
    fail_open(scene, &settings, "model.gguf", NULL, status);
}

static void open_without_template(struct scene *scene, struct kgen_status *status)
{
    open_with_templates(scene, "rm swiglu*.c.in", status);
}

static void open_faulty_template(struct scene *scene, struct kgen_status *status)
{
    open_with_templates(
        scene, "sed -i 's/^.param unroll.*/&\\n$require 1 \\/ (size - size), \"no\"/' rms_norm.c.in", status);
}

/* Memory runs out at the first allocation, at later ones ever further apart, until it suffices. */
static void open_without_memory(struct scene *scene, struct kgen_status *status)
{
    const struct kgen_settings settings = api_settings(scene->fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_model_settings of_model = model_settings(CONTEXT, SEQUENCES);
    struct kgen_model *model = NULL;
    char path[160];
    snprintf(path, sizeof path, "%s/model.gguf", scene->fixture->folder);
    for (size_t n = 1; model == NULL; n += n / 4 + 1) {
        struct kgen_status now = {0};
        kgen_test_fail_memory(n);
        model = kgen_model_open(context, path, &of_model, &now);
        kgen_test_fail_memory(0);
        if (model == NULL && now.code != KGEN_OUT_OF_MEMORY)
            fail_msg("allocation %zu: code %d, \"%s\"", n, (int)now.code, now.message);
        if (model == NULL)
            *status = now;
    }
    kgen_model_close(model);
    kgen_close(context);
}

/* ---- text ---- */

static void encode_without(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_encode(scene->bare, "a", 1, 0, NULL, 0, status), -1);
}

static void encode_too_much(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_encode(scene->model, text, (size_t)1 << 30, 0, NULL, 0, status), -1);
}

static void decode_without(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_decode(scene->bare, tokens, 1, 0, text, sizeof text, status), -1);
}

static void decode_bad_token(struct scene *scene, struct kgen_status *status)
{
    const int32_t bad[] = {2, MODEL_TOKENS};
    assert_int_equal(kgen_model_decode(scene->model, bad, 2, 0, text, sizeof text, status), -1);
}

static const struct kgen_model_message message = {"user", "abc"}, odd_message = {"tool", "abc"};

static void chat_without(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_chat(scene->bare, &message, 1, 1, text, sizeof text, status), -1);
}

static void chat_unknown(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_chat(scene->unknown, &message, 1, 1, text, sizeof text, status), -1);
}

static void chat_odd_role(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_chat(scene->model, &odd_message, 1, 1, text, sizeof text, status), -1);
}

#define WITHOUT_MEMORY(name, call)                                                                           \
    static void name(struct scene *scene, struct kgen_status *status)                                        \
    {                                                                                                        \
        kgen_test_fail_memory(1);                                                                            \
        const bool failed = (call);                                                                          \
        kgen_test_fail_memory(0);                                                                            \
        assert_true(failed);                                                                                 \
    }
WITHOUT_MEMORY(encode_no_memory, kgen_model_encode(scene->model, "abc", 3, 0, NULL, 0, status) == -1)
WITHOUT_MEMORY(decode_no_memory,
               kgen_model_decode(scene->model, tokens, 3, 0, text, sizeof text, status) == -1)
WITHOUT_MEMORY(chat_no_memory, kgen_model_chat(scene->model, &message, 1, 1, text, sizeof text, status) == -1)
WITHOUT_MEMORY(new_no_memory, kgen_model_state_new(scene->model, 0, status) == NULL)
WITHOUT_MEMORY(fork_no_memory, kgen_model_state_fork(scene->state, status) == NULL)
WITHOUT_MEMORY(save_no_memory, kgen_model_state_save_file(scene->state, "/nowhere/state", status) == -1)
WITHOUT_MEMORY(restore_no_memory, kgen_model_state_restore_file(scene->state, "README.md", status) == -1)
WITHOUT_MEMORY(sampler_no_memory, kgen_model_sampler_new(scene->model, NULL, status) == NULL)

/* ---- states ---- */

static void new_negative(struct scene *scene, struct kgen_status *status)
{
    assert_null(kgen_model_state_new(scene->model, -1, status));
}

static void new_too_large(struct scene *scene, struct kgen_status *status)
{
    assert_null(kgen_model_state_new(scene->model, CONTEXT + 1, status));
}

static void truncate_ahead(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_state_truncate(scene->state, 4, status), -1);
}

static void truncate_negative(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_state_truncate(scene->state, -1, status), -1);
}

static void save_without_room(struct scene *scene, struct kgen_status *status)
{
    unsigned char memory[8] = {0};
    assert_int_equal(kgen_model_state_save(scene->state, memory, sizeof memory, status), -1);
    assert_int_equal(memory[0], 0);
}

static void save_nowhere(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_state_save_file(scene->state, "/nowhere/state", status), -1);
}

static void restore_nowhere(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_state_restore_file(scene->state, "/nowhere/state", status), -1);
}

static void restore_other_file(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_state_restore_file(scene->state, "README.md", status), -1);
}

static void restore_of_other(struct scene *scene, struct kgen_status *status)
{
    assert_int_equal(kgen_model_state_restore(scene->of_other, scene->saved, scene->saved_size, status), -1);
}

/* With byte `at` of what was saved changed by `change`, and `less` bytes left out. */
static void restore_changed(struct scene *scene, size_t at, unsigned char change, size_t less,
                            struct kgen_status *status)
{
    scene->saved[at] = (unsigned char)(scene->saved[at] ^ change);
    assert_int_equal(kgen_model_state_restore(scene->state, scene->saved, scene->saved_size - less, status),
                     -1);
    scene->saved[at] = (unsigned char)(scene->saved[at] ^ change);
}

#define RESTORE(name, at, change, less)                                                                      \
    static void name(struct scene *scene, struct kgen_status *status)                                        \
    {                                                                                                        \
        restore_changed(scene, at, change, less, status);                                                    \
    }
RESTORE(restore_version, 8, 1, 0)
RESTORE(restore_many_positions, 24, 64, 0)
RESTORE(restore_negative_positions, 31, 128, 0)
RESTORE(restore_cut, 0, 0, 1)
RESTORE(restore_header, 0, 0, scene->saved_size - 10)
RESTORE(restore_nothing, 0, 0, scene->saved_size)
RESTORE(restore_damaged, scene->saved_size - 7, 1, 0)

static void restore_without_room(struct scene *scene, struct kgen_status *status)
{
    struct kgen_model_state *small = kgen_model_state_new(scene->model, 2, NULL);
    assert_int_equal(kgen_model_state_restore(small, scene->saved, scene->saved_size, status), -1);
    assert_int_equal(kgen_model_state_position(small), 0);
    kgen_model_state_free(small);
}

/* ---- steps ---- */

static void step_nothing(struct scene *scene, struct kgen_status *status)
{
    assert_null(kgen_model_step(scene->state, tokens, 0, status));
}

static void step_bad_token(struct scene *scene, struct kgen_status *status)
{
    const int32_t bad[] = {2, MODEL_TOKENS};
    assert_null(kgen_model_step(scene->state, bad, 2, status));
}

static void step_negative_token(struct scene *scene, struct kgen_status *status)
{
    const int32_t bad = -1;
    assert_null(kgen_model_step(scene->state, &bad, 1, status));
}

static void step_full(struct scene *scene, struct kgen_status *status)
{
    assert_null(kgen_model_step(scene->second, tokens, 2, status));
}

static void step_all_full(struct scene *scene, struct kgen_status *status)
{
    static float logits[CONTEXT * MODEL_TOKENS];
    assert_int_equal(kgen_model_step_all(scene->state, tokens, CONTEXT - 2, logits, status), -1);
}

static void fail_batch(struct scene *scene, struct kgen_model_state *second, const int32_t *given,
                       size_t count, struct kgen_status *status)
{
    struct kgen_model_state *states[SEQUENCES + 1] = {scene->state, second};
    assert_int_equal(kgen_model_step_batch(states, given, count, status), -1);
}

static void batch_nothing(struct scene *scene, struct kgen_status *status)
{
    fail_batch(scene, NULL, tokens, 0, status);
}

static void batch_too_many(struct scene *scene, struct kgen_status *status)
{
    fail_batch(scene, scene->second, tokens, SEQUENCES + 1, status);
}

static void batch_same(struct scene *scene, struct kgen_status *status)
{
    fail_batch(scene, scene->state, tokens, 2, status);
}

static void batch_of_other(struct scene *scene, struct kgen_status *status)
{
    fail_batch(scene, scene->of_other, tokens, 2, status);
}

static void batch_bad_token(struct scene *scene, struct kgen_status *status)
{
    const int32_t bad[] = {2, MODEL_TOKENS};
    fail_batch(scene, scene->second, bad, 2, status);
}

static void batch_full(struct scene *scene, struct kgen_status *status)
{
    struct kgen_model_state *full = kgen_model_state_fork(scene->second, NULL);
    assert_non_null(kgen_model_step(full, tokens, 1, NULL));
    fail_batch(scene, full, tokens, 2, status);
    assert_int_equal(kgen_model_state_position(full), 4);
    kgen_model_state_free(full);
}

/* ---- sampling ---- */

static void sample_bad_temperature(struct scene *scene, struct kgen_status *status)
{
    struct kgen_model_sampling sampling;
    kgen_model_sampling_init(&sampling, sizeof sampling);
    sampling.temperature = -1;
    assert_null(kgen_model_sampler_new(scene->model, &sampling, status));
}

static void sample_no_size(struct scene *scene, struct kgen_status *status)
{
    const struct kgen_model_sampling sampling = {.top_p = 1};
    assert_null(kgen_model_sampler_new(scene->model, &sampling, status));
}

static void sample_bad_bias(struct scene *scene, struct kgen_status *status)
{
    const struct kgen_model_bias bias = {MODEL_TOKENS, 1};
    struct kgen_model_sampling sampling;
    kgen_model_sampling_init(&sampling, sizeof sampling);
    sampling.biases = &bias;
    sampling.bias_count = 1;
    assert_null(kgen_model_sampler_new(scene->model, &sampling, status));
}

static void sample_nan(struct scene *scene, struct kgen_status *status)
{
    float logits[MODEL_TOKENS] = {0, 0, NAN};
    struct kgen_model_sampler *sampler = kgen_model_sampler_new(scene->model, NULL, NULL);
    assert_int_equal(kgen_model_sampler_next(sampler, logits, status), -1);
    kgen_model_sampler_free(sampler);
}

/* ---- the tables ---- */

static const struct {
    const char *function;
    enum kgen_status_code code;
    const char *says; /* a part of the formatted status */
    void (*provoke)(struct scene *scene, struct kgen_status *status);
} errors[] = {
    {"kgen_model_open", KGEN_BAD_ARGUMENT, "kgen_model_settings_init: their size is 0", open_no_size},
    {"kgen_model_open", KGEN_BAD_ARGUMENT, "later version", open_later},
    {"kgen_model_open", KGEN_BAD_ARGUMENT, "activation_dtype cannot be \"i7\"", open_bad_dtype},
    {"kgen_model_open", KGEN_BAD_ARGUMENT, "layout cannot be \"a name that", open_bad_layout},
    {"kgen_model_open", KGEN_BAD_ARGUMENT, "cache_dtype cannot be \"i24\"; \"f32\", ", open_bad_cache},
    {"kgen_model_open", KGEN_BAD_ARGUMENT, "context must be 0 to 1048576, not -1", open_bad_context},
    {"kgen_model_open", KGEN_BAD_ARGUMENT, "prompt_rows must be 0 to 4096, not 5000", open_bad_rows},
    {"kgen_model_open", KGEN_BAD_ARGUMENT, "sequences must be 0 to 16, not 17", open_many_sequences},
    {"kgen_model_open", KGEN_BAD_ARGUMENT, "no_tokenizer wants none", open_two_tokenizers},
    {"kgen_model_open", KGEN_BAD_SPEC, "damaged.gguf", open_damaged},
    {"kgen_model_open", KGEN_BAD_SPEC, "has 30 tokens, and the model knows 29", open_large_tokenizer},
    {"kgen_model_open", KGEN_IO_FAILED, "nothing.gguf", open_nowhere},
    {"kgen_model_open", KGEN_IO_FAILED, "/nowhere.json", open_no_tokenizer_file},
    {"kgen_model_open", KGEN_NO_FUNCTION, "swiglu", open_without_template},
    {"kgen_model_open", KGEN_CANCELLED, "", open_cancelled},
    {"kgen_model_open", KGEN_INTERNAL, "rms_norm", open_faulty_template},
    {"kgen_model_open", KGEN_OUT_OF_MEMORY, "memory", open_without_memory},
    {"kgen_model_encode", KGEN_NOT_FOUND, "no tokenizer; kgen_model_settings.tokenizer", encode_without},
    {"kgen_model_encode", KGEN_BAD_ARGUMENT, "", encode_too_much},
    {"kgen_model_encode", KGEN_OUT_OF_MEMORY, "memory", encode_no_memory},
    {"kgen_model_decode", KGEN_NOT_FOUND, "no tokenizer", decode_without},
    {"kgen_model_decode", KGEN_BAD_ARGUMENT, "30", decode_bad_token},
    {"kgen_model_decode", KGEN_OUT_OF_MEMORY, "memory", decode_no_memory},
    {"kgen_model_chat", KGEN_NOT_FOUND, "no tokenizer", chat_without},
    {"kgen_model_chat", KGEN_NOT_FOUND, "unknown chat template; known ones", chat_unknown},
    {"kgen_model_chat", KGEN_BAD_ARGUMENT, "tool", chat_odd_role},
    {"kgen_model_chat", KGEN_OUT_OF_MEMORY, "memory", chat_no_memory},
    {"kgen_model_state_new", KGEN_BAD_ARGUMENT, "-1 positions", new_negative},
    {"kgen_model_state_new", KGEN_BAD_ARGUMENT, "opened for 16; kgen_model_settings.context", new_too_large},
    {"kgen_model_state_new", KGEN_OUT_OF_MEMORY, "memory", new_no_memory},
    {"kgen_model_state_fork", KGEN_OUT_OF_MEMORY, "memory", fork_no_memory},
    {"kgen_model_state_truncate", KGEN_BAD_ARGUMENT, "3 tokens cannot be truncated to 4", truncate_ahead},
    {"kgen_model_state_truncate", KGEN_BAD_ARGUMENT, "to -1", truncate_negative},
    {"kgen_model_state_save", KGEN_BAD_ARGUMENT, "there is room for 8", save_without_room},
    {"kgen_model_state_save_file", KGEN_IO_FAILED, "/nowhere/state", save_nowhere},
    {"kgen_model_state_save_file", KGEN_OUT_OF_MEMORY, "memory", save_no_memory},
    {"kgen_model_state_restore", KGEN_BAD_ARGUMENT, "another version", restore_version},
    {"kgen_model_state_restore", KGEN_BAD_ARGUMENT, "another model", restore_of_other},
    {"kgen_model_state_restore", KGEN_BAD_ARGUMENT, "more tokens", restore_many_positions},
    {"kgen_model_state_restore", KGEN_BAD_ARGUMENT, "more tokens", restore_negative_positions},
    {"kgen_model_state_restore", KGEN_BAD_ARGUMENT, "more tokens", restore_without_room},
    {"kgen_model_state_restore", KGEN_BAD_ARGUMENT, "not whole", restore_cut},
    {"kgen_model_state_restore", KGEN_BAD_ARGUMENT, "not whole", restore_header},
    {"kgen_model_state_restore", KGEN_BAD_ARGUMENT, "not whole", restore_nothing},
    {"kgen_model_state_restore", KGEN_BAD_ARGUMENT, "damaged", restore_damaged},
    {"kgen_model_state_restore_file", KGEN_BAD_ARGUMENT, "no saved state", restore_other_file},
    {"kgen_model_state_restore_file", KGEN_IO_FAILED, "/nowhere/state", restore_nowhere},
    {"kgen_model_state_restore_file", KGEN_OUT_OF_MEMORY, "memory", restore_no_memory},
    {"kgen_model_step", KGEN_BAD_ARGUMENT, "no tokens", step_nothing},
    {"kgen_model_step", KGEN_BAD_ARGUMENT, "token 30 is not below 30", step_bad_token},
    {"kgen_model_step", KGEN_BAD_ARGUMENT, "token -1 is not below 30", step_negative_token},
    {"kgen_model_step", KGEN_BAD_ARGUMENT, "room for 4 positions; ask for a larger context", step_full},
    {"kgen_model_step_all", KGEN_BAD_ARGUMENT, "room for 16 positions", step_all_full},
    {"kgen_model_step_batch", KGEN_BAD_ARGUMENT, "no states", batch_nothing},
    {"kgen_model_step_batch", KGEN_BAD_ARGUMENT, "opened for 4; kgen_model_settings.sequences",
     batch_too_many},
    {"kgen_model_step_batch", KGEN_BAD_ARGUMENT, "states 0 and 1 are the same", batch_same},
    {"kgen_model_step_batch", KGEN_BAD_ARGUMENT, "state 1 is of another model", batch_of_other},
    {"kgen_model_step_batch", KGEN_BAD_ARGUMENT, "token 30 is not below 30", batch_bad_token},
    {"kgen_model_step_batch", KGEN_BAD_ARGUMENT, "room for 4 positions", batch_full},
    {"kgen_model_sampler_new", KGEN_BAD_ARGUMENT, "temperature", sample_bad_temperature},
    {"kgen_model_sampler_new", KGEN_BAD_ARGUMENT, "kgen_model_sampling_init", sample_no_size},
    {"kgen_model_sampler_new", KGEN_BAD_ARGUMENT, "30", sample_bad_bias},
    {"kgen_model_sampler_new", KGEN_OUT_OF_MEMORY, "memory", sampler_no_memory},
    {"kgen_model_sampler_next", KGEN_BAD_ARGUMENT, "", sample_nan},
};

/* The functions that cannot fail. */
static const char *const sound[] = {
    "kgen_model_close",          "kgen_model_ends",          "kgen_model_logits",
    "kgen_model_plan",           "kgen_model_query",         "kgen_model_sampler_accept",
    "kgen_model_sampler_free",   "kgen_model_sampling_init", "kgen_model_settings_init",
    "kgen_model_special",        "kgen_model_state_context", "kgen_model_state_free",
    "kgen_model_state_position", "kgen_model_state_size",
};

/* Each error has its code and its text, does not replace one that is there, and leaves the states as they
 * were. */
static void test_errors(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    float logits[MODEL_TOKENS];
    assert_non_null(scene);
    scene->fixture = *state;
    open_scene(scene);
    memcpy(logits, kgen_model_logits(scene->state), sizeof logits);
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct kgen_status status = {0};
        char said[1024];
        errors[i].provoke(scene, &status);
        kgen_status_format(&status, said, sizeof said);
        if (status.code != errors[i].code || strstr(said, errors[i].says) == NULL || said[0] == '\0')
            fail_msg("case %zu, %s: code %d in place of %d: \"%s\"", i, errors[i].function, (int)status.code,
                     (int)errors[i].code, said);
        assert_int_equal(kgen_model_state_position(scene->state), 3);
        assert_int_equal(kgen_model_state_context(scene->state), CONTEXT);
        assert_int_equal(kgen_model_state_position(scene->second), 3);
        assert_int_equal(kgen_model_state_context(scene->second), 4);
        assert_memory_equal(kgen_model_logits(scene->state), logits, sizeof logits);
    }
    assert_int_equal(kgen_model_special(scene->bare, "a"), -1);
    assert_int_equal(kgen_model_ends(scene->bare, 1), 0);
    close_scene(scene);
    free(scene);
}

/* A new function of models comes here too. */
static void test_tables_are_complete(void **state)
{
    (void)state;
    FILE *file = fopen("tests/exported-symbols.txt", "r");
    char symbol[128];
    size_t count = 0;
    assert_non_null(file);
    while (fscanf(file, "%127s", symbol) == 1) {
        bool found = strncmp(symbol, "kgen_model_", 11) != 0;
        count += !found;
        for (size_t i = 0; i < COUNT_OF(errors); i++)
            found = found || strcmp(errors[i].function, symbol) == 0;
        for (size_t i = 0; i < COUNT_OF(sound); i++)
            found = found || strcmp(sound[i], symbol) == 0;
        if (!found)
            fail_msg("%s is in none of the tables", symbol);
    }
    fclose(file);
    assert_true(count > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_errors, api_setup, api_teardown),
        cmocka_unit_test(test_tables_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
