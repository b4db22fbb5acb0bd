/* SPDX-License-Identifier: MIT */
/* The recurrent states of a model with linear attention: they begin anew, are copied, saved and batched as
 * caches are, and do not go back. The model is tests/models/qwen3_5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api_fixture.h"

#include "runtime/api/model.h"

enum { CONTEXT = 32, SEQUENCES = 4, VOCABULARY = 24, TOKENS = 13 };

static const int32_t tokens[TOKENS] = {3, 17, 5, 5, 0, 23, 11, 8, 2, 19, 14, 1, 6};

struct opened {
    struct kgen_context *context;
    struct kgen_model *model;
};

static struct opened open_model(struct api_fixture *fixture)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_status status = {0};
    char text[1024];
    settings.threads = 2;
    struct opened opened = {.context = api_open(&settings)};
    const struct kgen_model_options options = {.activation_dtype = "f32",
                                               .cache_dtype = "f32",
                                               .context = CONTEXT,
                                               .prompt_rows = 8,
                                               .sequences = SEQUENCES};
    opened.model = kgen_model_of_checkpoint(opened.context, "tests/models/qwen3_5", &options, &status);
    if (opened.model == NULL)
        fail_msg("%s", kgen_status_format(&status, text, sizeof text));
    assert_int_equal(kgen_decoder_vocabulary(opened.model->decoder), VOCABULARY);
    return opened;
}

static void close_model(struct opened opened)
{
    kgen_model_close(opened.model);
    kgen_close(opened.context);
}

static struct kgen_sequence *new_sequence(struct opened opened)
{
    struct kgen_error error = {0};
    struct kgen_sequence *sequence = kgen_sequence_new(opened.model->spec->graph, NULL, CONTEXT, &error);
    if (sequence == NULL)
        fail_msg("%s", error.message);
    return sequence;
}

/* Runs tokens of a sequence. Writes the logits after the last. */
static void run(struct opened opened, struct kgen_sequence *sequence, const int32_t *ids, size_t count,
                float logits[VOCABULARY])
{
    struct kgen_error error = {0};
    const float *found = kgen_decoder_sequence(opened.model->decoder, sequence, ids, count, NULL, &error);
    if (found == NULL)
        fail_msg("%s", error.message);
    memcpy(logits, found, VOCABULARY * sizeof *logits);
}

/* Rows at once and one by one are off by roundings, and by nothing where the same is run. */
static void assert_near(const char *what, const float *logits, const float *expected, double tolerance)
{
    for (int i = 0; i < VOCABULARY; i++) {
        if (!(fabs((double)logits[i] - (double)expected[i]) <= tolerance))
            fail_msg("%s: logit %d is %.9g, not %.9g", what, i, (double)logits[i], (double)expected[i]);
    }
}

static void test_sizes(void **state)
{
    struct opened opened = open_model(*state);
    const struct kgen_graph *graph = opened.model->spec->graph;
    size_t recurrent = 0, bytes = 0;
    for (size_t i = 0; i < graph->state_count; i++) {
        if (!graph->states[i].is_recurrent)
            continue;
        recurrent++;
        size_t elements = 1;
        for (size_t j = 0; j < graph->states[i].rank; j++)
            elements *= (size_t)graph->states[i].shape[j];
        bytes += elements * sizeof(float);
    }
    assert_int_equal(recurrent, 2); /* of the first layer */
    assert_int_equal(bytes, (3 * 80 + 4 * 12 * 8) * sizeof(float));
    assert_int_equal(kgen_sequence_most(graph), CONTEXT);
    assert_int_equal(kgen_sequence_bytes(graph, 0), 0);
    /* A tile of 16 positions of keys and values, one head of 16 elements. */
    assert_int_equal(kgen_sequence_bytes(graph, 1), bytes + 2 * 16 * 16 * sizeof(float));
    assert_int_equal(kgen_sequence_bytes(graph, 17), bytes + 4 * 16 * 16 * sizeof(float));
    close_model(opened);
}

static void test_begins_anew(void **state)
{
    struct opened opened = open_model(*state);
    struct kgen_sequence *sequence = new_sequence(opened);
    struct kgen_error error = {0};
    float first[VOCABULARY], again[VOCABULARY];
    run(opened, sequence, tokens, TOKENS, first);
    assert_int_equal(kgen_sequence_truncate(sequence, 0, &error), 0);
    run(opened, sequence, tokens, TOKENS, again);
    assert_near("again", again, first, 0);
    /* One by one, from a position that the decoder is given. */
    for (int64_t i = 0; i < TOKENS; i++)
        assert_non_null(kgen_decoder_step(opened.model->decoder, tokens[i], i, &error));
    const float *logits = kgen_decoder_step(opened.model->decoder, tokens[0], 0, &error);
    assert_non_null(logits);
    for (int64_t i = 1; i < TOKENS; i++)
        logits = kgen_decoder_step(opened.model->decoder, tokens[i], i, &error);
    assert_non_null(logits);
    assert_near("one by one", logits, first, 1e-5);
    kgen_sequence_free(sequence);
    close_model(opened);
}

static void test_does_not_go_back(void **state)
{
    struct opened opened = open_model(*state);
    struct kgen_sequence *sequence = new_sequence(opened);
    struct kgen_error error = {0};
    float logits[VOCABULARY];
    run(opened, sequence, tokens, 5, logits);
    assert_int_equal(kgen_sequence_truncate(sequence, 3, &error), -1);
    assert_int_equal(error.code, KGEN_ERROR_USAGE);
    assert_non_null(strstr(error.message, "3 of 5 positions are asked for"));
    assert_int_equal(sequence->filled, 5);
    assert_int_equal(kgen_sequence_truncate(sequence, 5, &error), 0);
    error = (struct kgen_error){0};
    for (int64_t i = 0; i < 3; i++)
        assert_non_null(kgen_decoder_step(opened.model->decoder, tokens[i], i, &error));
    assert_null(kgen_decoder_step(opened.model->decoder, tokens[1], 1, &error));
    assert_non_null(strstr(error.message, "cannot go back"));
    kgen_sequence_free(sequence);
    close_model(opened);
}

/* Through a copy, and through memory. */
static void test_copies(void **state)
{
    struct opened opened = open_model(*state);
    struct kgen_sequence *all = new_sequence(opened), *part = new_sequence(opened),
                         *copy = new_sequence(opened);
    float expected[VOCABULARY], found[VOCABULARY];
    run(opened, all, tokens, 6, found);
    run(opened, all, tokens + 6, TOKENS - 6, expected);
    run(opened, part, tokens, 6, found);
    run(opened, copy, tokens + 3, 9, found); /* something else before */
    kgen_sequence_copy(copy, part);
    unsigned char *memory = malloc(kgen_sequence_bytes(opened.model->spec->graph, part->filled));
    assert_non_null(memory);
    kgen_sequence_write(part, memory);
    run(opened, part, tokens + 2, 3, found); /* the copy is no part of it */
    run(opened, copy, tokens + 6, TOKENS - 6, found);
    assert_near("copied", found, expected, 0);
    assert_int_equal(kgen_sequence_read(part, memory, 6, 0, NULL), 0);
    run(opened, part, tokens + 6, TOKENS - 6, found);
    assert_near("read", found, expected, 0);
    free(memory);
    kgen_sequence_free(all);
    kgen_sequence_free(part);
    kgen_sequence_free(copy);
    close_model(opened);
}

/* Sequences of different lengths at once, the last of which is new. */
static void test_batches(void **state)
{
    static const size_t lengths[SEQUENCES] = {5, 1, 9, 0};
    struct opened opened = open_model(*state);
    struct kgen_sequence *batch[SEQUENCES], *alone[SEQUENCES];
    struct kgen_error error = {0};
    float logits[VOCABULARY];
    int32_t next[SEQUENCES];
    for (size_t i = 0; i < SEQUENCES; i++) {
        batch[i] = new_sequence(opened);
        alone[i] = new_sequence(opened);
        if (lengths[i] > 0) {
            run(opened, batch[i], tokens, lengths[i], logits);
            run(opened, alone[i], tokens, lengths[i], logits);
        }
    }
    for (size_t step = 0; step < 3; step++) {
        for (size_t i = 0; i < SEQUENCES; i++)
            next[i] = tokens[lengths[i] + step];
        const float *found = kgen_decoder_batch(opened.model->decoder, batch, next, SEQUENCES, &error);
        if (found == NULL)
            fail_msg("%s", error.message);
        float kept[SEQUENCES * VOCABULARY];
        memcpy(kept, found, sizeof kept);
        for (size_t i = 0; i < SEQUENCES; i++) {
            run(opened, alone[i], &next[i], 1, logits);
            assert_near("in a batch", kept + i * VOCABULARY, logits, 1e-5);
        }
    }
    for (size_t i = 0; i < SEQUENCES; i++) {
        kgen_sequence_free(batch[i]);
        kgen_sequence_free(alone[i]);
    }
    close_model(opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_begins_anew, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_does_not_go_back, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_copies, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_batches, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
