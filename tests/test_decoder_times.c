/* SPDX-License-Identifier: MIT */
/* What a decoder has for measurements: the times of nodes, and random weights. And the memory of weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_fixture.h"
#include "gguf_fixture.h"
#include "runtime/api/model.h"
#include "runtime/model/slabs.h"

#define SEED UINT64_C(92)

enum { CONTEXT = 32, PROMPT_ROWS = 4, STEPS = 7 };

static const int32_t tokens[] = {3, 1, 4, 1, 5};

static struct kgen_context *open_context(struct api_fixture *fixture, int threads)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    settings.threads = threads;
    return api_open(&settings);
}

/* With a config the weights are random. */
static struct kgen_model *open_model(struct kgen_context *context, const char *path,
                                     const struct kgen_text *config)
{
    const struct kgen_model_options options = {
        .config = config, .context = CONTEXT, .prompt_rows = PROMPT_ROWS};
    struct kgen_status status = {0};
    struct kgen_model *model = kgen_model_of_checkpoint(context, path, &options, &status);
    char text[1024];
    if (model == NULL)
        fail_msg("%s: %s", path, kgen_status_format(&status, text, sizeof text));
    return model;
}

static void write_model(struct api_fixture *fixture, char path[128])
{
    snprintf(path, 128, "%s/model.gguf", fixture->folder);
    kgen_test_write_llama(path, &kgen_test_small_llama, SEED, &kgen_test_mixed_types);
}

/* Runs steps from position 0 on, and copies the last logits. */
static void run_steps(struct kgen_decoder *decoder, float *last)
{
    const int64_t vocab = kgen_decoder_vocabulary(decoder);
    struct kgen_error error = {0};
    for (int64_t i = 0; i < STEPS; i++) {
        const float *logits = kgen_decoder_step(decoder, (i * 7919 + 13) % vocab, i, &error);
        assert_non_null(logits);
        memcpy(last, logits, (size_t)vocab * sizeof *last);
    }
}

static void check_times(const struct kgen_graph *graph, const struct kgen_decoder_time *times, bool is_step,
                        int threads)
{
    size_t shared = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct kgen_decoder_time *time = &times[i];
        assert_true(time->seconds > 0);
        assert_true(time->prepare + time->finish <= time->seconds);
        assert_true(time->is_shared == (time->run > 0));
        assert_true(time->is_shared == (is_step && threads > 1 && graph->nodes[i].problem.op->threaded));
        shared += time->is_shared;
    }
    assert_true(shared > 0 || !is_step || threads == 1);
}

/* Times are taken of every node where they are asked for, and of none before and after. They change no bit of
 * the logits, and neither does the number of threads. */
static void test_times(void **state)
{
    struct api_fixture *fixture = *state;
    char path[128];
    float *plain = NULL, *watched = NULL;
    struct kgen_error error = {0};
    write_model(fixture, path);
    for (int threads = 1; threads <= 3; threads++) {
        struct kgen_context *context = open_context(fixture, threads);
        struct kgen_model *model = open_model(context, path, NULL);
        const struct kgen_graph *graph = model->spec->graph;
        const size_t bytes = (size_t)kgen_decoder_vocabulary(model->decoder) * sizeof *plain;
        struct kgen_decoder_time *times = calloc(graph->node_count, sizeof *times);
        watched = realloc(watched, bytes);
        if (plain == NULL)
            run_steps(model->decoder, plain = malloc(bytes));
        assert_int_equal(kgen_decoder_watch(model->decoder, times, &error), 0);
        run_steps(model->decoder, watched);
        assert_memory_equal(plain, watched, bytes);
        check_times(graph, times, true, threads);
        memset(times, 0, graph->node_count * sizeof *times);
        assert_non_null(kgen_decoder_prompt(model->decoder, tokens, PROMPT_ROWS, 0, &error));
        check_times(graph, times, false, threads);
        memset(times, 0, graph->node_count * sizeof *times);
        kgen_decoder_watch(model->decoder, NULL, NULL);
        run_steps(model->decoder, watched);
        assert_memory_equal(plain, watched, bytes);
        for (size_t i = 0; i < graph->node_count; i++)
            assert_true(times[i].seconds <= 0 && !times[i].is_shared);
        free(times);
        kgen_model_close(model);
        kgen_close(context);
    }
    free(plain);
    free(watched);
    remove(path);
}

/* Finite logits that differ, the same each time, from as many bytes as those of the checkpoint. */
static void test_random_weights(void **state)
{
    struct api_fixture *fixture = *state;
    char path[128];
    struct kgen_text config = {0};
    struct kgen_error error = {0};
    struct kgen_decoder_sizes sizes, expected;
    bool differ = false;
    write_model(fixture, path);
    struct kgen_context *context = open_context(fixture, 2);
    struct kgen_model *model = open_model(context, path, NULL);
    assert_int_equal(kgen_checkpoint_config(model->checkpoint, &config, &error), 0);
    struct kgen_model *random = open_model(context, "config", &config);
    assert_null(random->checkpoint);
    kgen_decoder_query(model->decoder, &expected);
    kgen_decoder_query(random->decoder, &sizes);
    assert_int_equal(sizes.weights, expected.weights);
    assert_int_equal(sizes.read_weights, expected.read_weights);
    const int64_t vocab = kgen_decoder_vocabulary(random->decoder);
    float *first = calloc((size_t)vocab, sizeof *first);
    for (int turn = 0; turn < 2; turn++) {
        const float *logits = kgen_decoder_prompt(random->decoder, tokens, KGEN_COUNT_OF(tokens), 0, &error);
        assert_non_null(logits);
        for (int64_t i = 0; i < vocab; i++) {
            assert_true(isfinite(logits[i]));
            differ = differ || logits[i] < logits[0] || logits[i] > logits[0];
        }
        if (turn > 0)
            assert_memory_equal(first, logits, (size_t)vocab * sizeof *first);
        memcpy(first, logits, (size_t)vocab * sizeof *first);
    }
    assert_true(differ);
    free(first);
    kgen_text_free(&config);
    kgen_model_close(random);
    kgen_model_close(model);
    kgen_close(context);
    remove(path);
}

/* Arrays are zeroed, aligned and apart, also those that are larger than a slab. */
static void test_slabs(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 64, 100, 3000000, (size_t)70 << 20, 5, (size_t)63 << 20, 4096};
    struct kgen_slabs slabs = {.device = kgen_device_cpu()};
    unsigned char *arrays[KGEN_COUNT_OF(sizes)];
    struct kgen_error error = {0};
    for (size_t i = 0; i < KGEN_COUNT_OF(sizes); i++) {
        arrays[i] = kgen_slabs_allocate(&slabs, sizes[i], &error);
        assert_non_null(arrays[i]);
        assert_int_equal((uintptr_t)arrays[i] % 64, 0);
        for (size_t j = 0; j < i; j++)
            assert_true(arrays[j] + sizes[j] <= arrays[i] || arrays[i] + sizes[i] <= arrays[j]);
        assert_int_equal(arrays[i][0] | arrays[i][sizes[i] - 1], 0);
        arrays[i][0] = arrays[i][sizes[i] - 1] = 255;
    }
    assert_null(kgen_slabs_allocate(&slabs, SIZE_MAX - 5, &error));
    assert_int_equal(error.code, KGEN_ERROR_MEMORY);
    kgen_slabs_free(&slabs);
    assert_int_equal(slabs.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_times, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_random_weights, api_setup, api_teardown),
        cmocka_unit_test(test_slabs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
