/* SPDX-License-Identifier: MIT */
/* Models whose caches have pages: logits to the last bit those of a model without, windows that give pages
 * back, full caches, forks, saved states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/base/file.h"
#include "model_fixture.h"

enum { VOCABULARY = 24, WINDOW = 96 };

/* Appends text with one part of it replaced. */
static void replace(struct kgen_text *to, const char *text, const char *old, const char *with)
{
    const char *place = strstr(text, old);
    assert_non_null(place);
    kgen_text_printf(to, "%.*s%s%s", (int)(place - text), text, with, place + strlen(old));
}

/* A shipped model of two layers, the first of which has a window, of WINDOW positions, or both. */
static void write_layers(const struct api_fixture *fixture, bool both, char path[128])
{
    char file[256], target[512], window[40];
    struct kgen_text config = {0}, wider = {0}, changed = {0};
    struct kgen_error error = {0};
    snprintf(path, 128, "%s/%s", fixture->folder, both ? "windows" : "model");
    snprintf(window, sizeof window, "\"sliding_window\": %d", WINDOW);
    assert_int_equal(kgen_folder_make(path, &error), 0);
    assert_int_equal(kgen_file_read("tests/models/mistral-window/config.json", 1 << 16, &config, &error), 0);
    replace(&wider, config.data, "\"sliding_window\": 8", window);
    replace(&changed, wider.data, "full_attention", both ? "sliding_attention" : "full_attention");
    snprintf(file, sizeof file, "%s/config.json", path);
    assert_int_equal(kgen_file_write(file, changed.data, changed.length, &error), 0);
    assert_non_null(getcwd(target, sizeof target - 64));
    strcat(target, "/tests/models/mistral-window/model.safetensors");
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    assert_int_equal(symlink(target, file), 0);
    kgen_text_free(&config);
    kgen_text_free(&wider);
    kgen_text_free(&changed);
}

static void write_model(const struct api_fixture *fixture, char path[128])
{
    write_layers(fixture, false, path);
}

static struct kgen_model *open_pages(struct api_fixture *fixture, const char *path, int64_t context,
                                     int64_t sequences, const char *cache_dtype, int64_t page_size,
                                     int64_t pages)
{
    struct kgen_model_settings settings = model_settings(context, sequences);
    settings.cache_dtype = cache_dtype;
    settings.prompt_rows = 64;
    settings.page_size = page_size;
    settings.pages = pages;
    return model_open(fixture, path, 2, &settings);
}

static int64_t pages_left(const struct kgen_model *model)
{
    struct kgen_model_facts facts;
    kgen_model_query(model, &facts, sizeof facts);
    return facts.pages_left;
}

static struct kgen_model_state *new_state(struct kgen_model *model)
{
    struct kgen_status status = {0};
    struct kgen_model_state *made = kgen_model_state_new(model, 0, &status);
    if (made == NULL)
        fail_msg("%s", status.message);
    return made;
}

/* Runs count tokens of a sequence after those that the state holds; NULL where that fails. */
static const float *try(struct kgen_model_state *state, int64_t sequence, size_t count,
                        struct kgen_status *status)
{
    int32_t tokens[512];
    const int64_t position = kgen_model_state_position(state);
    assert_true(count <= KGEN_COUNT_OF(tokens));
    for (size_t i = 0; i < count; i++)
        tokens[i] = (int32_t)(((position + (int64_t)i) * 7919 + sequence * 104729 + 13) % VOCABULARY);
    return kgen_model_step(state, tokens, count, status);
}

static const float *run(struct kgen_model_state *state, int64_t sequence, size_t count)
{
    struct kgen_status status = {0};
    const float *logits = try(state, sequence, count, &status);
    if (logits == NULL)
        fail_msg("%s", status.message);
    return logits;
}

static void assert_same(const struct kgen_model_state *a, const struct kgen_model_state *b)
{
    assert_int_equal(kgen_model_state_position(a), kgen_model_state_position(b));
    assert_memory_equal(kgen_model_logits(a), kgen_model_logits(b), VOCABULARY * sizeof(float));
}

/* ---- logits ---- */

/* Prompts in pieces and single tokens, 4,096 of them, with as many pages as the layers need and no more.
 * Where both see a window these are few, for the window and the rows of a prompt that run at once; elsewhere
 * the layer with a window never asks for a page that the other does not leave. */
static void check_long(struct api_fixture *fixture, bool both, const char *cache_dtype, int64_t page_size)
{
    enum { TOKENS = 4096 };
    static const size_t pieces[] = {300, 1, 64, 1, 129, 7};
    const int64_t pages = both ? (2 * WINDOW + 64) / page_size + 4 : TOKENS / page_size;
    char path[128];
    write_layers(fixture, both, path);
    struct kgen_model *plain = open_pages(fixture, path, TOKENS, 0, cache_dtype, 0, 0);
    struct kgen_model *paged = open_pages(fixture, path, TOKENS, 0, cache_dtype, page_size, pages);
    struct kgen_model_state *expected = new_state(plain), *state = new_state(paged);
    struct kgen_status status = {0};
    size_t compared = 0;
    for (size_t i = 0; kgen_model_state_position(state) < TOKENS; i++, compared++) {
        const size_t room = (size_t)(TOKENS - kgen_model_state_position(state));
        const size_t piece = pieces[i % KGEN_COUNT_OF(pieces)];
        run(expected, 1, piece < room ? piece : room);
        run(state, 1, piece < room ? piece : room);
        assert_same(state, expected);
        const int64_t position = kgen_model_state_position(state);
        const int64_t seen = both && position >= WINDOW ? (position + 1 - WINDOW) / page_size : 0;
        assert_int_equal(pages_left(paged), pages - ((position + page_size - 1) / page_size - seen));
    }
    assert_true(compared > 40);
    /* Nothing is there for another state; the caches of this one are gone with it. */
    struct kgen_model_state *other = new_state(paged);
    if (!both) {
        assert_null(try(other, 2, 1, &status));
        assert_int_equal(status.code, KGEN_OUT_OF_MEMORY);
        assert_non_null(strstr(status.message, "the caches are full"));
    }
    kgen_model_state_free(state);
    assert_int_equal(pages_left(paged), pages);
    run(other, 2, 300);
    kgen_model_state_free(other);
    assert_int_equal(pages_left(paged), pages);
    kgen_model_state_free(expected);
    kgen_model_close(plain);
    kgen_model_close(paged);
}

static void test_logits_are_those_without_pages(void **state)
{
    static const struct {
        const char *cache_dtype;
        int64_t page_size;
        bool both;
    } cases[] = {{"f16", 16, true}, {"f32", 64, false}};
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++)
        check_long(*state, cases[i].both, cases[i].cache_dtype, cases[i].page_size);
    assert_int_equal(executed, 2);
}

/* ---- states ---- */

/* A full cache refuses a step and changes nothing; where a state gives pages back the step goes through. */
static void test_full_caches(void **state)
{
    char path[128];
    struct kgen_status status = {0};
    write_model(*state, path);
    struct kgen_model *plain = open_pages(*state, path, 512, 0, "f16", 0, 0);
    struct kgen_model *paged = open_pages(*state, path, 512, 2, "f16", 32, 12);
    struct kgen_model_state *a = new_state(paged), *b = new_state(paged), *expected = new_state(plain);
    run(a, 1, 200);
    run(b, 2, 150);
    run(expected, 1, 200);
    assert_int_equal(pages_left(paged), 0);
    assert_same(a, expected);
    for (int i = 0; i < 2; i++) {
        assert_null(try(a, 1, 100, &status));
        assert_int_equal(status.code, KGEN_OUT_OF_MEMORY);
        assert_string_equal(status.message,
                            "the caches are full: 3 pages of 32 positions are asked for, 0 of 12 are free");
        assert_int_equal(kgen_model_state_position(a), 200);
        assert_same(a, expected);
        assert_int_equal(pages_left(paged), 0);
    }
    run(a, 1, 10); /* the last page has room */
    run(expected, 1, 10);
    assert_int_equal(kgen_model_state_truncate(b, 128, &status), 0);
    assert_int_equal(pages_left(paged), 1);
    assert_null(try(a, 1, 100, &status));
    assert_int_equal(kgen_model_state_truncate(b, 0, &status), 0);
    assert_int_equal(pages_left(paged), 5);
    run(a, 1, 100);
    run(expected, 1, 100);
    assert_same(a, expected);
    kgen_model_state_free(a);
    kgen_model_close(paged); /* a state may outlive it */
    kgen_model_state_free(b);
    kgen_model_state_free(expected);
    kgen_model_close(plain);
}

/* A batch that has too few pages for one of its states leaves all of them, and their pages, as they are. */
static void test_full_batch(void **state)
{
    static const int32_t tokens[2] = {3, 4};
    char path[128];
    struct kgen_status status = {0};
    write_model(*state, path);
    struct kgen_model *paged = open_pages(*state, path, 512, 2, "f16", 32, 3);
    struct kgen_model_state *states[2] = {new_state(paged), new_state(paged)};
    run(states[0], 1, 32);
    run(states[1], 2, 32);
    assert_int_equal(kgen_model_step_batch(states, tokens, 2, &status), -1);
    assert_int_equal(status.code, KGEN_OUT_OF_MEMORY);
    assert_int_equal(pages_left(paged), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(kgen_model_state_position(states[i]), 32);
    run(states[1], 2, 1);
    assert_int_equal(pages_left(paged), 0);
    kgen_model_state_free(states[0]);
    kgen_model_state_free(states[1]);
    kgen_model_close(paged);
}

/* Back to where windows still have what they show, and not to before. */
static void test_truncate(void **state)
{
    char path[128];
    struct kgen_status status = {0};
    write_model(*state, path);
    struct kgen_model *plain = open_pages(*state, path, 512, 0, "f16", 0, 0);
    struct kgen_model *paged = open_pages(*state, path, 512, 0, "f16", 16, 0);
    struct kgen_model_state *a = new_state(paged), *expected = new_state(plain);
    run(a, 1, 300);
    run(expected, 1, 300);
    /* Position 300 sees 205 and later: page 12 begins at 192. */
    assert_int_equal(kgen_model_state_truncate(a, 286, &status), -1);
    assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
    assert_string_equal(status.message,
                        "the caches of layers with windows no longer have what comes before position 286");
    assert_string_equal(status.hint, "go back to 0, or to 287 and later");
    assert_same(a, expected);
    assert_int_equal(kgen_model_state_truncate(a, 287, &status), 0);
    assert_int_equal(kgen_model_state_truncate(expected, 287, &status), 0);
    assert_null(kgen_model_logits(a));
    run(a, 3, 40);
    run(expected, 3, 40);
    assert_same(a, expected);
    assert_int_equal(kgen_model_state_truncate(a, 0, &status), 0);
    assert_int_equal(kgen_model_state_truncate(expected, 0, &status), 0);
    run(a, 4, 20);
    run(expected, 4, 20);
    assert_same(a, expected);
    kgen_model_state_free(a);
    kgen_model_state_free(expected);
    kgen_model_close(paged);
    kgen_model_close(plain);
}

/* Forks share the pages of a prompt, and each goes on as if it were alone; also as a batch. */
static void test_forks(void **state)
{
    enum { FORKS = 4 };
    char path[128];
    write_model(*state, path);
    struct kgen_model *plain = open_pages(*state, path, 512, FORKS, "f16", 0, 0);
    struct kgen_model *paged = open_pages(*state, path, 512, FORKS, "f16", 64, 8);
    struct kgen_model_state *states[2][FORKS];
    struct kgen_status status = {0};
    for (int m = 0; m < 2; m++) {
        states[m][0] = new_state(m == 0 ? plain : paged);
        run(states[m][0], 1, 200);
        for (size_t i = 1; i < FORKS; i++)
            states[m][i] = kgen_model_state_fork(states[m][i - 1], &status);
    }
    assert_int_equal(pages_left(paged), 4);
    for (size_t i = 0; i < FORKS; i++) {
        assert_non_null(states[1][i]);
        assert_same(states[1][i], states[0][i]);
        run(states[0][i], (int64_t)i, 5);
        run(states[1][i], (int64_t)i, 5);
        assert_same(states[1][i], states[0][i]);
        /* All but the last have a last page of their own now. */
        assert_int_equal(pages_left(paged), 4 - (i + 1 < FORKS ? (int64_t)i + 1 : FORKS - 1));
    }
    for (int32_t step = 0; step < 20; step++) {
        const int32_t tokens[FORKS] = {step, 2 * step % VOCABULARY, 5, 23 - step};
        assert_int_equal(kgen_model_step_batch(states[0], tokens, FORKS, &status), 0);
        assert_int_equal(kgen_model_step_batch(states[1], tokens, FORKS, &status), 0);
        for (size_t i = 0; i < FORKS; i++)
            assert_same(states[1][i], states[0][i]);
    }
    static const size_t order[] = {1, 0, 3, 2};
    for (size_t i = 0; i < FORKS; i++) {
        kgen_model_state_free(states[1][order[i]]);
        kgen_model_state_free(states[0][i]);
    }
    assert_int_equal(pages_left(paged), 8);
    kgen_model_close(plain);
    kgen_model_close(paged);
}

/* A saved state fits models with pages of any size, and without. */
static void test_saved_states(void **state)
{
    static const int64_t sizes[] = {0, 16, 64};
    char path[128];
    struct kgen_status status = {0};
    size_t executed = 0;
    write_model(*state, path);
    for (size_t i = 0; i < KGEN_COUNT_OF(sizes) * KGEN_COUNT_OF(sizes); i++, executed++) {
        struct kgen_model *from = open_pages(*state, path, 512, 0, "f16", sizes[i / 3], 0);
        struct kgen_model *to = open_pages(*state, path, 512, 0, "f16", sizes[i % 3], 0);
        struct kgen_model_state *saved = new_state(from), *restored = new_state(to);
        run(saved, 1, 250);
        run(restored, 2, 70);
        const size_t size = kgen_model_state_size(saved);
        char *bytes = malloc(size);
        assert_non_null(bytes);
        assert_int_equal(kgen_model_state_save(saved, bytes, size, &status), 0);
        if (kgen_model_state_restore(restored, bytes, size, &status) != 0)
            fail_msg("%s", status.message);
        assert_same(restored, saved);
        run(saved, 3, 30);
        run(restored, 3, 30);
        assert_same(restored, saved);
        /* What windows gave back before is in none of them. */
        const bool lost = sizes[i / 3] > 0 || sizes[i % 3] > 0;
        assert_int_equal(kgen_model_state_truncate(restored, 10, &status), lost ? -1 : 0);
        free(bytes);
        kgen_model_state_free(saved);
        kgen_model_state_free(restored);
        kgen_model_close(from);
        kgen_model_close(to);
    }
    assert_int_equal(executed, 9);
}

static void test_settings(void **state)
{
    static const struct {
        int64_t page_size, pages;
        const char *message;
    } cases[] = {
        {24, 0, "settings: page_size 24 is not a multiple of 16"},
        {272, 0, "settings: page_size must be 0 to 256, not 272"},
        {-16, 0, "settings: page_size must be 0 to 256, not -16"},
        {16, -1, "settings: pages must be 0 to 16777216, not -1"},
        {0, 10, "settings: pages says how many there are, and page_size that there are none"},
    };
    struct kgen_settings of_context = api_settings(*state, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&of_context);
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        struct kgen_model_settings settings = model_settings(64, 1);
        struct kgen_status status = {0};
        settings.page_size = cases[i].page_size;
        settings.pages = cases[i].pages;
        assert_null(kgen_model_open(context, "tests/models/gemma3", &settings, &status));
        assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
        assert_string_equal(status.message, cases[i].message);
    }
    assert_int_equal(executed, 5);
    kgen_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logits_are_those_without_pages, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_full_caches, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_full_batch, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_truncate, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_forks, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_saved_states, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_settings, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
