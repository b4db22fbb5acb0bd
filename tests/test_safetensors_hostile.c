/* SPDX-License-Identifier: MIT */
/* Models of safetensors that were damaged: cut short, with bits turned over, with great numbers in the
 * header, and with configs that say something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/random.h"
#include "gguf_exercise.h"
#include "safetensors_fixture.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 5, PLACES = 200, FLIPS = 3000, NUMBERS = 2000, CONFIGS = 2000 };

static struct kgen_text model, config;
static size_t header; /* bytes before the data */

static int setup(void **state)
{
    struct kgen_test_tensors tensors;
    (void)state;
    kgen_test_qwen3_tensors(&tensors, 4);
    kgen_test_safetensors_write(&tensors, SEED, &model);
    kgen_test_qwen3_config("\"quantization\": {\"bits\": 4, \"group_size\": 32}, ", &config);
    header = 8 + ((unsigned char)model.data[0] | (size_t)(unsigned char)model.data[1] << 8);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kgen_text_free(&model);
    kgen_text_free(&config);
    return 0;
}

/* A copy in memory of its own size, so that a sanitizer sees what is read beyond it. */
static char *copy_of(const struct kgen_text *text, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text->data, size);
    return copy;
}

static void test_whole(void **state)
{
    struct kgen_error error = {0};
    (void)state;
    if (kgen_test_exercise_folder(config.data, config.length, model.data, model.length, &error) !=
        KGEN_TEST_WHOLE)
        fail_msg("%s", error.message);
}

/* Every byte of the header, and places all over the data. */
static void test_truncation(void **state)
{
    size_t cases = 0;
    (void)state;
    for (size_t i = 0; i < header + PLACES; i++, cases++) {
        const size_t size = i < header ? i : header + (i - header) * (model.length - header) / PLACES;
        struct kgen_error error = {0};
        char *copy = copy_of(&model, size);
        if (kgen_test_exercise_folder(config.data, config.length, copy, size, &error) != KGEN_TEST_REFUSED)
            fail_msg("the first %zu of %zu bytes were accepted", size, model.length);
        free(copy);
    }
    assert_true(cases > PLACES);
}

static void test_bit_flips(void **state)
{
    struct kgen_random random = {SEED};
    size_t outcomes[4] = {0};
    (void)state;
    for (int i = 0; i < FLIPS; i++) {
        struct kgen_error error = {0};
        char *copy = copy_of(&model, model.length);
        for (int64_t flips = 1 + kgen_random_below(&random, 2); flips > 0; flips--) {
            const int64_t bit = kgen_random_below(&random, 8 * (int64_t)header);
            copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        }
        outcomes[kgen_test_exercise_folder(config.data, config.length, copy, model.length, &error)]++;
        free(copy);
    }
    assert_true(outcomes[KGEN_TEST_REFUSED] > 0);
    assert_true(outcomes[KGEN_TEST_MISMATCHED] > 0);
}

/* Replaces a run of digits of a text by a number. Returns the length, at most room. */
static size_t replace_number(char *text, size_t length, size_t room, size_t place, const char *number)
{
    size_t begin = place;
    while (begin < length && !isdigit((unsigned char)text[begin]))
        begin++;
    size_t end = begin;
    while (end < length && isdigit((unsigned char)text[end]))
        end++;
    const size_t size = strlen(number);
    if (begin == end || length - (end - begin) + size > room)
        return length;
    memmove(text + begin + size, text + end, length - end);
    memcpy(text + begin, number, size);
    return length - (end - begin) + size;
}

static const char *const numbers[] = {"0",
                                      "1",
                                      "-1",
                                      "9223372036854775807",
                                      "9223372036854775808",
                                      "4294967295",
                                      "4294967296",
                                      "2147483648",
                                      "1152921504606846976",
                                      "1e300",
                                      "4",
                                      "64",
                                      "1.5",
                                      "\"1\"",
                                      "null"};

/* Numbers of the header: of shapes and places. Its length says what it has then. */
static void test_numbers(void **state)
{
    struct kgen_random random = {SEED};
    enum { ROOM = 24 };
    size_t refused = 0;
    (void)state;
    for (int i = 0; i < NUMBERS; i++) {
        struct kgen_error error = {0};
        struct kgen_text text = {0};
        const size_t length = header - 8;
        char *copy = malloc(length + ROOM);
        assert_non_null(copy);
        memcpy(copy, model.data + 8, length);
        const size_t changed =
            replace_number(copy, length, length + ROOM, (size_t)kgen_random_below(&random, (int64_t)length),
                           numbers[kgen_random_below(&random, (int64_t)KGEN_COUNT_OF(numbers))]);
        kgen_test_safetensors_put(copy, changed, model.data + header, model.length - header, &text);
        char *exact = copy_of(&text, text.length);
        refused += kgen_test_exercise_folder(config.data, config.length, exact, text.length, &error) ==
                   KGEN_TEST_REFUSED;
        free(exact);
        free(copy);
        kgen_text_free(&text);
    }
    assert_true(refused > NUMBERS / 2);
}

/* Configs with other numbers, and with bits turned over. */
static void test_configs(void **state)
{
    struct kgen_random random = {SEED};
    enum { ROOM = 24 };
    size_t outcomes[4] = {0};
    (void)state;
    for (int i = 0; i < CONFIGS; i++) {
        struct kgen_error error = {0};
        char *copy = malloc(config.length + ROOM);
        size_t length = config.length;
        assert_non_null(copy);
        memcpy(copy, config.data, length);
        const size_t place = (size_t)kgen_random_below(&random, (int64_t)length);
        if (i % 2 == 0)
            length = replace_number(copy, length, length + ROOM, place,
                                    numbers[kgen_random_below(&random, (int64_t)KGEN_COUNT_OF(numbers))]);
        else
            copy[place] = (char)(copy[place] ^ 1 << kgen_random_below(&random, 7));
        outcomes[kgen_test_exercise_folder(copy, length, model.data, model.length, &error)]++;
        free(copy);
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(outcomes); i++) {
        if (outcomes[i] == 0)
            fail_msg("seed %d: no config ended with outcome %zu", SEED, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_truncation), cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_configs),
    };
    return cmocka_run_group_tests_name("hostile safetensors", tests, setup, teardown);
}
