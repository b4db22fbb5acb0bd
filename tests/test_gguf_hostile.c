/* SPDX-License-Identifier: MIT */
/* Whole models that were damaged: cut short, with bits turned over, with great numbers in any place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/random.h"
#include "gguf_exercise.h"
#include "gguf_fixture.h"

#include <stdlib.h>
#include <string.h>

enum { SEED = 4, PLACES = 200, LAST = 64, FLIPS = 3000, NUMBERS = 2000 };

static struct kgen_text model;
static size_t header; /* bytes before the data */

static int setup(void **state)
{
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "a", "b", "ab"};
    static const char *const merges[] = {"a b"};
    static const float scores[] = {0, 0, 0, -1, -2, -3};
    static const int32_t types[] = {2, 3, 3, 1, 1, 1};
    static const struct kgen_test_tokenizer tokenizer = {.model = "gpt2",
                                                         .tokens = tokens,
                                                         .scores = scores,
                                                         .types = types,
                                                         .count = 6,
                                                         .merges = merges,
                                                         .merge_count = 1,
                                                         .bos = 1,
                                                         .eos = 2};
    struct kgen_test_llama shape = kgen_test_small_llama;
    (void)state;
    shape.tokenizer = &tokenizer;
    kgen_test_make_llama(&shape, SEED, &kgen_test_mixed_types, &model);
    struct kgen_gguf *gguf = kgen_gguf_parse("model", model.data, model.length, NULL);
    if (gguf == NULL)
        return -1;
    header = kgen_gguf_data_begin(gguf);
    kgen_gguf_close(gguf);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kgen_text_free(&model);
    return 0;
}

/* A copy in memory of its own size, so that a sanitizer sees what is read beyond it. */
static char *copy_of(size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, model.data, size);
    return copy;
}

static void test_whole(void **state)
{
    struct kgen_error error = {0};
    (void)state;
    assert_int_equal(kgen_test_exercise(model.data, model.length, &error), KGEN_TEST_WHOLE);
}

/* Every byte of the header, places all over the file, and each of the last bytes. */
static void test_truncation(void **state)
{
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < header + PLACES + LAST; i++, cases++) {
        const size_t size = i < header            ? i
                            : i < header + PLACES ? (i - header) * model.length / PLACES
                                                  : model.length - 1 - (i - header - PLACES);
        struct kgen_error error = {0};
        char *copy = copy_of(size);
        if (kgen_test_exercise(copy, size, &error) != KGEN_TEST_REFUSED)
            fail_msg("the first %zu of %zu bytes were accepted", size, model.length);
        free(copy);
    }
    assert_true(cases >= PLACES);
}

static void test_bit_flips(void **state)
{
    struct kgen_random random = {SEED};
    size_t outcomes[4] = {0};
    (void)state;
    for (int i = 0; i < FLIPS; i++) {
        struct kgen_error error = {0};
        char *copy = copy_of(model.length);
        for (int64_t flips = 1 + kgen_random_below(&random, 3); flips > 0; flips--) {
            const int64_t bit = kgen_random_below(&random, 8 * (int64_t)header);
            copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        }
        outcomes[kgen_test_exercise(copy, model.length, &error)]++;
        free(copy);
    }
    /* Each way to end is met. */
    for (size_t i = 0; i < KGEN_COUNT_OF(outcomes); i++) {
        if (outcomes[i] == 0)
            fail_msg("seed %d: no file ended with outcome %zu", SEED, i);
    }
}

/* Great and odd numbers, at every fourth byte of the header and anywhere. */
static void test_numbers(void **state)
{
    static const uint64_t numbers[] = {
        0,          UINT64_C(1) << 63, (UINT64_C(1) << 63) - 1, UINT64_MAX,        UINT64_MAX - 31,
        UINT32_MAX, 1u << 31,          UINT64_C(1) << 32,       UINT64_C(1) << 61, UINT64_C(1) << 58,
        1};
    struct kgen_random random = {SEED};
    size_t cases = 0;
    (void)state;
    for (size_t i = 0; i < header / 4 + NUMBERS; i++, cases++) {
        const size_t place = i < header / 4 ? 4 * i : (size_t)kgen_random_below(&random, (int64_t)header);
        const uint64_t number = numbers[kgen_random_below(&random, (int64_t)KGEN_COUNT_OF(numbers))];
        const size_t bytes = kgen_random_below(&random, 2) == 0 ? 4 : 8;
        struct kgen_error error = {0};
        char *copy = copy_of(model.length);
        for (size_t j = 0; j < bytes && place + j < model.length; j++)
            copy[place + j] = (char)(number >> 8 * j & 0xff);
        kgen_test_exercise(copy, model.length, &error);
        free(copy);
    }
    assert_true(cases > NUMBERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests_name("hostile GGUF", tests, setup, teardown);
}
