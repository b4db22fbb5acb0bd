/* SPDX-License-Identifier: MIT */
/* Models of libkgen: steps, states, batches, text and sampling, with small random checkpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/base/base.h"
#include "llama_reference.h"
#include "model_fixture.h"
#include "runtime/model/sampler.h"

#define SEED UINT64_C(75)
/* Of the greatest logit, as in test_decoder.c. */
#define TOLERANCE 1.5e-4

enum { CONTEXT = 32, SEQUENCES = 16, ROUNDS = 8 };

static int32_t token_at(int64_t sequence, int64_t position, int64_t vocabulary)
{
    return (int32_t)((position * 7919 + sequence * 104729 + 13) % vocabulary);
}

static struct kgen_model_state *new_state(struct kgen_model *model)
{
    struct kgen_status status = {0};
    struct kgen_model_state *state = kgen_model_state_new(model, 0, &status);
    if (state == NULL)
        fail_msg("%s", status.message);
    return state;
}

/* Runs tokens of a sequence, count of them after those that the state holds, which must succeed. */
static const float *run(struct kgen_model_state *state, int64_t sequence, size_t count, int64_t vocabulary)
{
    int32_t tokens[CONTEXT];
    struct kgen_status status = {0};
    const int64_t position = kgen_model_state_position(state);
    for (size_t i = 0; i < count; i++)
        tokens[i] = token_at(sequence, position + (int64_t)i, vocabulary);
    const float *logits = kgen_model_step(state, tokens, count, &status);
    if (logits == NULL)
        fail_msg("%zu tokens from %lld on: %s", count, (long long)position, status.message);
    assert_ptr_equal(logits, kgen_model_logits(state));
    return logits;
}

static void copy(float *to, const float *from, int64_t count)
{
    memcpy(to, from, (size_t)count * sizeof *to);
}

static size_t assert_near(const char *what, const float *logits, const float *expected, int64_t count)
{
    double greatest = 0;
    for (int64_t i = 0; i < count; i++)
        greatest = fmax(greatest, fabs((double)expected[i]));
    for (int64_t i = 0; i < count; i++) {
        if (!(fabs((double)logits[i] - (double)expected[i]) <= TOLERANCE * greatest))
            fail_msg("%s, seed %llu: logit %lld is %.9g, expected %.9g", what, (unsigned long long)SEED,
                     (long long)i, (double)logits[i], (double)expected[i]);
    }
    return (size_t)count;
}

/* ---- steps ---- */

/* The logits of each token in turn, from the reference in double precision. */
static float *expect(const struct kgen_model *model, const char *path, const struct kgen_test_llama *shape,
                     int64_t sequence)
{
    struct kgen_error error = {0};
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(path, &error);
    assert_non_null(checkpoint);
    struct llama_reference *reference = llama_reference_new(checkpoint, shape, CONTEXT);
    float *all = calloc((size_t)(CONTEXT * shape->vocab), sizeof *all);
    struct kgen_model_facts facts;
    assert_non_null(all);
    kgen_model_query(model, &facts, sizeof facts);
    assert_int_equal(facts.vocabulary, shape->vocab);
    assert_int_equal(facts.context, CONTEXT);
    for (int64_t i = 0; i < CONTEXT; i++) {
        const double *logits = llama_reference_step(reference, token_at(sequence, i, shape->vocab), i);
        for (int64_t j = 0; j < shape->vocab; j++)
            all[i * shape->vocab + j] = (float)logits[j];
    }
    llama_reference_free(reference);
    kgen_checkpoint_free(checkpoint);
    return all;
}

/* Single tokens, prompts in pieces, and the logits of all tokens. */
static void test_steps_are_right(void **state)
{
    static const size_t pieces[] = {1, 7, 1, 2, 12};
    const struct kgen_model_settings settings = model_settings(CONTEXT, 0);
    const char *path = model_write(*state, "model.gguf", &model_shape, SEED);
    struct kgen_model *model = model_open(*state, path, 2, &settings);
    float *expected = expect(model, path, &model_shape, 3);
    float all[CONTEXT * MODEL_TOKENS];
    int32_t tokens[CONTEXT];
    size_t compared = 0;
    struct kgen_model_state *first = new_state(model), *second = new_state(model);
    assert_null(kgen_model_logits(first));
    for (size_t i = 0; i < KGEN_COUNT_OF(pieces); i++) {
        const float *logits = run(first, 3, pieces[i], MODEL_TOKENS);
        const int64_t last = kgen_model_state_position(first) - 1;
        compared += assert_near("a piece", logits, expected + last * MODEL_TOKENS, MODEL_TOKENS);
    }
    for (int64_t i = 0; i < CONTEXT; i++)
        tokens[i] = token_at(3, i, MODEL_TOKENS);
    assert_int_equal(kgen_model_step_all(second, tokens, 1, all, NULL), 0);
    assert_int_equal(kgen_model_step_all(second, tokens + 1, CONTEXT - 1, all + MODEL_TOKENS, NULL), 0);
    for (int64_t i = 0; i < CONTEXT; i++)
        compared += assert_near("all", all + i * MODEL_TOKENS, expected + i * MODEL_TOKENS, MODEL_TOKENS);
    assert_memory_equal(kgen_model_logits(second), all + (CONTEXT - 1) * MODEL_TOKENS,
                        MODEL_TOKENS * sizeof *all);
    assert_true(compared == (KGEN_COUNT_OF(pieces) + CONTEXT) * MODEL_TOKENS);
    kgen_model_state_free(first);
    kgen_model_close(model);
    kgen_model_state_free(second);
    free(expected);
}

/* ---- batches ---- */

static const struct batch_case {
    const char *name;
    struct kgen_test_llama shape;
    struct kgen_test_llama_types types;
    const char *activation_dtype, *layout;
    int threads;
} batches[] = {
    {"mixed types",
     {.hidden = 64, .intermediate = 96, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16, .vocab = 50},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32},
     "i24",
     NULL,
     2},
    {"tied, stored",
     {.hidden = 96,
      .intermediate = 160,
      .layers = 2,
      .heads = 3,
      .kv_heads = 1,
      .head_dim = 32,
      .vocab = 61,
      .tied = true},
     {KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1,
      KGEN_GGUF_TENSOR_F32},
     "f32",
     NULL,
     1},
    {"qwen2: biases, which run row by row",
     {.hidden = 96,
      .intermediate = 160,
      .layers = 2,
      .heads = 3,
      .kv_heads = 1,
      .head_dim = 32,
      .vocab = 50,
      .tied = true,
      .architecture = "qwen2"},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32},
     "i24",
     NULL,
     2},
    {"qwen3: norms of q and k, not quantised",
     {.hidden = 64,
      .intermediate = 96,
      .layers = 1,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 32,
      .vocab = 50,
      .architecture = "qwen3"},
     {KGEN_GGUF_TENSOR_F16, KGEN_GGUF_TENSOR_BF16, KGEN_GGUF_TENSOR_F32, KGEN_GGUF_TENSOR_F16,
      KGEN_GGUF_TENSOR_F32},
     "f32",
     NULL,
     2},
};

/* Runs a token of each of count states at once, from positions that differ, and holds the logits against
 * those of the same tokens one by one. */
static size_t check_batch(struct kgen_model *model, const struct batch_case *item, size_t count)
{
    struct kgen_model_state *states[SEQUENCES], *alone[SEQUENCES];
    int32_t tokens[SEQUENCES];
    struct kgen_status status = {0};
    size_t compared = 0;
    for (size_t i = 0; i < count; i++) {
        states[i] = new_state(model);
        run(states[i], (int64_t)i, 1 + i * 5 % 9, item->shape.vocab);
        alone[i] = kgen_model_state_fork(states[i], NULL);
        assert_non_null(alone[i]);
    }
    for (int step = 0; step < 3; step++) {
        for (size_t i = 0; i < count; i++)
            tokens[i] = token_at((int64_t)i, kgen_model_state_position(states[i]), item->shape.vocab);
        if (kgen_model_step_batch(states, tokens, count, &status) != 0)
            fail_msg("%s, %zu states: %s", item->name, count, status.message);
        for (size_t i = 0; i < count; i++) {
            const float *logits = run(alone[i], (int64_t)i, 1, item->shape.vocab);
            compared += assert_near(item->name, kgen_model_logits(states[i]), logits, item->shape.vocab);
            assert_int_equal(kgen_model_state_position(states[i]), kgen_model_state_position(alone[i]));
        }
    }
    for (size_t i = 0; i < count; i++) {
        kgen_model_state_free(states[i]);
        kgen_model_state_free(alone[i]);
    }
    return compared;
}

static void test_batches_are_right(void **state)
{
    static const size_t counts[] = {1, 2, 3, 4, 7, 8, 11, 16};
    const struct api_fixture *fixture = *state;
    size_t compared = 0;
    char path[128];
    snprintf(path, sizeof path, "%s/batch.gguf", fixture->folder);
    for (size_t i = 0; i < KGEN_COUNT_OF(batches); i++) {
        struct kgen_model_settings settings = model_settings(CONTEXT, SEQUENCES);
        settings.activation_dtype = batches[i].activation_dtype;
        settings.layout = batches[i].layout;
        kgen_test_write_llama(path, &batches[i].shape, SEED, &batches[i].types);
        struct kgen_model *model = model_open(*state, path, batches[i].threads, &settings);
        for (size_t j = 0; j < KGEN_COUNT_OF(counts); j++)
            compared += check_batch(model, &batches[i], counts[j]);
        kgen_model_close(model);
    }
    assert_true(compared > 20000);
}

/* ---- states ---- */

/* A state, its forks and what was truncated go their own ways, and are freed in any order, the model first.
 */
static void test_states(void **state)
{
    const struct kgen_model_settings settings = model_settings(CONTEXT, 0);
    struct kgen_model *model =
        model_open(*state, model_write(*state, "model.gguf", &model_shape, SEED), 2, &settings);
    float at_9[MODEL_TOKENS], at_20[MODEL_TOKENS];
    for (int order = 0; order < 6; order++) {
        struct kgen_model_state *states[3];
        states[0] = new_state(model);
        copy(at_9, run(states[0], 1, 9, MODEL_TOKENS), MODEL_TOKENS);
        states[1] = kgen_model_state_fork(states[0], NULL);
        states[2] = kgen_model_state_fork(states[1], NULL);
        assert_non_null(states[1]);
        assert_non_null(states[2]);
        assert_memory_equal(kgen_model_logits(states[2]), at_9, sizeof at_9);
        copy(at_20, run(states[0], 1, 11, MODEL_TOKENS), MODEL_TOKENS);
        run(states[1], 2, 11, MODEL_TOKENS);
        assert_memory_not_equal(kgen_model_logits(states[1]), at_20, sizeof at_20);
        assert_memory_equal(run(states[2], 1, 11, MODEL_TOKENS), at_20, sizeof at_20);
        assert_int_equal(kgen_model_state_truncate(states[1], 20, NULL), 0);
        assert_non_null(kgen_model_logits(states[1]));
        assert_int_equal(kgen_model_state_truncate(states[1], 8, NULL), 0);
        assert_null(kgen_model_logits(states[1]));
        run(states[1], 1, 1, MODEL_TOKENS);
        assert_near("truncated", run(states[1], 1, 11, MODEL_TOKENS), at_20, MODEL_TOKENS);
        if (order == 5)
            kgen_model_close(model);
        for (int i = 0; i < 3; i++) {
            kgen_model_state_free(states[(order + (order < 3 ? i : 2 * i)) % 3]);
            if (i < 2)
                assert_int_equal(kgen_model_state_position(states[(order + (order < 3 ? 2 : 4)) % 3]), 20);
        }
    }
    kgen_model_state_free(NULL);
}

/* What is saved gives the same logits in another state, of another model of the same checkpoint with other
 * settings, too. */
static void test_saved_states(void **state)
{
    static const size_t filled[] = {0, 1, 15, 16, 17, 20};
    const struct api_fixture *fixture = *state;
    struct kgen_model_settings settings = model_settings(CONTEXT, 0);
    const char *path = model_write(*state, "model.gguf", &model_shape, SEED);
    struct kgen_model *model = model_open(*state, path, 2, &settings);
    settings.context = 24;
    settings.prompt_rows = 1;
    struct kgen_model *other = model_open(*state, path, 1, &settings);
    char file[128];
    snprintf(file, sizeof file, "%s/state", fixture->folder);
    for (size_t i = 0; i < KGEN_COUNT_OF(filled); i++) {
        struct kgen_model_state *from = new_state(model), *to = new_state(other);
        if (filled[i] > 0)
            run(from, 1, filled[i], MODEL_TOKENS);
        run(to, 2, 3, MODEL_TOKENS);
        const size_t size = kgen_model_state_size(from);
        unsigned char *memory = malloc(size);
        assert_non_null(memory);
        assert_int_equal(kgen_model_state_save(from, memory, size, NULL), 0);
        assert_int_equal(kgen_model_state_save_file(from, file, NULL), 0);
        for (int way = 0; way < 2; way++) {
            assert_int_equal(way == 0 ? kgen_model_state_restore(to, memory, size, NULL)
                                      : kgen_model_state_restore_file(to, file, NULL),
                             0);
            assert_int_equal(kgen_model_state_position(to), filled[i]);
            assert_true((kgen_model_logits(to) != NULL) == (filled[i] > 0));
            if (filled[i] > 0)
                assert_memory_equal(kgen_model_logits(to), kgen_model_logits(from),
                                    MODEL_TOKENS * sizeof(float));
            run(to, 1, 2, MODEL_TOKENS);
        }
        run(from, 1, 2, MODEL_TOKENS);
        assert_near("restored", kgen_model_logits(to), kgen_model_logits(from), MODEL_TOKENS);
        free(memory);
        kgen_model_state_free(from);
        kgen_model_state_free(to);
    }
    kgen_model_close(model);
    kgen_model_close(other);
}

/* ---- threads ---- */

struct worker {
    struct kgen_model *model;
    int64_t sequence;
    float logits[MODEL_TOKENS];
};

static void *work(void *context)
{
    struct worker *worker = context;
    struct kgen_model_state *state = kgen_model_state_new(worker->model, 0, NULL);
    const float *logits = NULL;
    for (int64_t i = 0; state != NULL && i < ROUNDS * CONTEXT; i++) {
        const int32_t token = token_at(worker->sequence, i % CONTEXT, MODEL_TOKENS);
        if (i % CONTEXT == 0)
            kgen_model_state_truncate(state, 0, NULL);
        logits = kgen_model_step(state, &token, 1, NULL);
    }
    if (logits != NULL)
        copy(worker->logits, logits, MODEL_TOKENS);
    kgen_model_state_free(state);
    return logits != NULL ? worker : NULL;
}

/* States of one model in several threads at once give what each gives alone. */
static void test_threads(void **state)
{
    const struct kgen_model_settings settings = model_settings(CONTEXT, 0);
    struct kgen_model *model =
        model_open(*state, model_write(*state, "model.gguf", &model_shape, SEED), 2, &settings);
    struct worker workers[4], alone;
    pthread_t threads[KGEN_COUNT_OF(workers)];
    for (size_t i = 0; i < KGEN_COUNT_OF(workers); i++) {
        workers[i] = (struct worker){.model = model, .sequence = (int64_t)i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(workers); i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, &workers[i]);
        alone = (struct worker){.model = model, .sequence = (int64_t)i};
        assert_ptr_equal(work(&alone), &alone);
        assert_memory_equal(workers[i].logits, alone.logits, sizeof alone.logits);
    }
    kgen_model_close(model);
}

/* ---- text ---- */

static void test_text(void **state)
{
    static const struct kgen_model_message messages[] = {{"system", "abc"}, {"user", "he"}};
    static const char rendered[] = "<|im_start|>system\nabc<|im_end|>\n<|im_start|>user\nhe<|im_end|>\n"
                                   "<|im_start|>assistant\n";
    const struct kgen_model_settings settings = model_settings(CONTEXT, 0);
    struct kgen_model *model =
        model_open(*state, model_write(*state, "model.gguf", &model_shape, SEED), 1, &settings);
    struct kgen_model_facts facts;
    int32_t tokens[8] = {0};
    char text[256];
    kgen_model_query(model, &facts, sizeof facts);
    assert_int_equal(facts.tokens, MODEL_TOKENS);
    assert_int_equal(facts.bos, 0);
    assert_int_equal(facts.eos, 1);
    assert_string_equal(facts.chat_template, "chatml");
    assert_int_equal(facts.sequences, 1);
    assert_int_equal(facts.prompt_rows, 5);
    assert_string_equal(facts.cache_dtype, "f32");
    assert_int_equal(facts.state_bytes, 2 * 2 * CONTEXT * 2 * 16 * 4);
    assert_true(facts.step_bytes > 0 && facts.step_bytes <= facts.weight_bytes);
    assert_true(kgen_plan_count(kgen_model_plan(model)) > 5);

    assert_int_equal(kgen_model_encode(model, "user abc", 8, 0, NULL, 0, NULL), 3);
    assert_int_equal(kgen_model_encode(model, "user abc", 8, 0, tokens, 2, NULL), 3);
    assert_int_equal(tokens[0], 26);
    assert_int_equal(tokens[1], 20);
    assert_int_equal(tokens[2], 0);
    assert_int_equal(kgen_model_encode(model, "<|im_end|>", 10, KGEN_MODEL_PARSE_SPECIAL, tokens, 8, NULL),
                     1);
    assert_int_equal(tokens[0], 1);
    const int32_t words[] = {0, 26, 27, 3, 1};
    assert_int_equal(kgen_model_decode(model, words, 5, 0, text, sizeof text, NULL), 7);
    assert_string_equal(text, "user ab");
    assert_int_equal(kgen_model_decode(model, words, 5, 1, text, sizeof text, NULL), 29);
    assert_string_equal(text, "<|im_start|>user ab<|im_end|>");
    assert_int_equal(kgen_model_decode(model, words, 5, 0, text, 4, NULL), 7);
    assert_string_equal(text, "use");
    assert_int_equal(kgen_model_decode(model, words, 5, 0, NULL, 0, NULL), 7);
    assert_int_equal(kgen_model_special(model, "<|im_end|>"), 1);
    assert_int_equal(kgen_model_special(model, "abc"), -1);
    assert_int_equal(kgen_model_ends(model, 1), 1);
    assert_int_equal(kgen_model_ends(model, 2), 0);
    assert_int_equal(kgen_model_chat(model, messages, 2, 1, text, sizeof text, NULL), strlen(rendered));
    assert_string_equal(text, rendered);
    kgen_model_close(model);
}

/* ---- sampling ---- */

/* The sampler is that of the command: the same settings give the same tokens. */
static void test_sampling(void **state)
{
    const struct kgen_model_settings settings = model_settings(CONTEXT, 0);
    const struct kgen_model_bias biases[] = {{4, -INFINITY}, {5, 2}};
    const struct kgen_logit_bias same[] = {{4, -INFINITY}, {5, 2}};
    const int32_t prompt[] = {3, 4, 5};
    struct kgen_model *model =
        model_open(*state, model_write(*state, "model.gguf", &model_shape, SEED), 1, &settings);
    struct kgen_model_state *sequence = new_state(model);
    const float *logits = run(sequence, 1, 4, MODEL_TOKENS);
    size_t different = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct kgen_model_sampling sampling;
        struct kgen_sampling inner = kgen_sampling_usual;
        kgen_model_sampling_init(&sampling, sizeof sampling);
        sampling.temperature = inner.temperature = seed % 4 == 0 ? 0 : 1.5;
        sampling.repeat_penalty = inner.repeat_penalty = 1.2;
        sampling.top_k = inner.top_k = 20;
        sampling.seed = inner.seed = seed;
        sampling.biases = biases;
        inner.biases = same;
        sampling.bias_count = inner.bias_count = 2;
        struct kgen_model_sampler *sampler = kgen_model_sampler_new(model, &sampling, NULL);
        struct kgen_sampler *expected = kgen_sampler_new(&inner, MODEL_TOKENS, NULL);
        assert_non_null(sampler);
        assert_non_null(expected);
        kgen_model_sampler_accept(sampler, prompt, 3);
        for (size_t i = 0; i < 3; i++)
            kgen_sampler_accept(expected, prompt[i]);
        int32_t first = -1;
        for (int i = 0; i < 10; i++) {
            int32_t token;
            assert_int_equal(kgen_sampler_next(expected, logits, &token, NULL), 0);
            kgen_sampler_accept(expected, token);
            assert_int_equal(kgen_model_sampler_next(sampler, logits, NULL), token);
            assert_int_not_equal(token, 4);
            first = i == 0 ? token : first;
            different += token != first;
        }
        kgen_sampler_free(expected);
        kgen_model_sampler_free(sampler);
    }
    assert_true(different > 20);
    kgen_model_sampler_free(NULL);
    kgen_model_state_free(sequence);
    kgen_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_steps_are_right, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_batches_are_right, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_states, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_saved_states, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_threads, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_text, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_sampling, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
