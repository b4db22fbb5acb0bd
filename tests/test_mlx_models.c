/* SPDX-License-Identifier: MIT */
/* Models as mlx-lm saves them, held against the logits that mlx-lm computes in float32. tests/models/ is what
 * tests/oracle/make_safetensors.py writes; other folders that it wrote may be named as arguments. */
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
#include "gen/base/file.h"
#include "runtime/api/model.h"

/* Of the greatest logit of a position. Both sides sum in float, in orders of their own: 2^-24 of some 30
 * terms after one another, in 12 products. At most 4e-6 was seen, with the larger models. */
#define TOLERANCE 2e-5

enum { POSITIONS = 32, LOGITS_BYTES_MAX = 64 << 20 };

static const char *const shipped[] = {
    "tests/models/qwen2-bf16",        "tests/models/qwen2-q4", "tests/models/qwen3-q3-mixed",
    "tests/models/qwen3-f32-shards",  "tests/models/llama-q6", "tests/models/llama-f16",
    "tests/models/qwen3-mxfp4-mixed",
};
static const char *const *folders = shipped;
static size_t folder_count = KGEN_COUNT_OF(shipped);

/* The greatest difference of a position, in parts of its greatest logit. */
static double compare(const float *logits, const float *expected, int64_t vocab)
{
    double greatest = 0, difference = 0;
    for (int64_t i = 0; i < vocab; i++) {
        greatest = fmax(greatest, fabs((double)expected[i]));
        difference = fmax(difference, fabs((double)logits[i] - (double)expected[i]));
        if (!isfinite(logits[i]))
            return INFINITY;
    }
    return difference / greatest;
}

static void read_expected(const char *folder, int64_t vocab, struct kgen_text *expected)
{
    char path[512];
    struct kgen_error error = {0};
    snprintf(path, sizeof path, "%s/logits.f32", folder);
    if (kgen_file_read(path, LOGITS_BYTES_MAX, expected, &error) != 0)
        fail_msg("%s: %s", path, error.message);
    assert_int_equal(expected->length, (size_t)vocab * POSITIONS * sizeof(float));
}

/* Position by position, or the first as a prompt of several rows. Returns the greatest difference. */
static double run_model(struct kgen_model *model, const char *folder, size_t prompt)
{
    const int64_t vocab = kgen_decoder_vocabulary(model->decoder);
    int32_t tokens[POSITIONS];
    struct kgen_text expected = {0};
    struct kgen_error error = {0};
    double worst = 0;
    read_expected(folder, vocab, &expected);
    for (int64_t i = 0; i < POSITIONS; i++)
        tokens[i] = (int32_t)((7919 * i + 13) % vocab);
    for (size_t i = prompt > 0 ? prompt - 1 : 0; i < POSITIONS; i++) {
        const float *logits = i + 1 == prompt
                                  ? kgen_decoder_prompt(model->decoder, tokens, prompt, 0, &error)
                                  : kgen_decoder_step(model->decoder, tokens[i], (int64_t)i, &error);
        if (logits == NULL)
            fail_msg("%s: %s", folder, error.message);
        float *wanted = malloc((size_t)vocab * sizeof *wanted);
        assert_non_null(wanted);
        memcpy(wanted, expected.data + i * (size_t)vocab * sizeof *wanted, (size_t)vocab * sizeof *wanted);
        worst = fmax(worst, compare(logits, wanted, vocab));
        free(wanted);
    }
    kgen_text_free(&expected);
    return worst;
}

static void check(struct api_fixture *fixture, const char *folder, const char *activation_dtype,
                  size_t prompt)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_status status = {0};
    char text[1024];
    settings.threads = 2;
    struct kgen_context *context = api_open(&settings);
    const struct kgen_model_options options = {.activation_dtype = activation_dtype,
                                               .cache_dtype = "f32",
                                               .context = POSITIONS,
                                               .prompt_rows = prompt > 0 ? 8 : 1};
    struct kgen_model *model = kgen_model_of_checkpoint(context, folder, &options, &status);
    if (model == NULL)
        fail_msg("%s: %s", folder, kgen_status_format(&status, text, sizeof text));
    const double worst = run_model(model, folder, prompt);
    print_message("%s, %s, prompt %zu: %.2g of the greatest logit\n", folder, activation_dtype, prompt,
                  worst);
    if (!(worst <= TOLERANCE))
        fail_msg("%s, %s: %g, more than %g", folder, activation_dtype, worst, TOLERANCE);
    kgen_model_close(model);
    kgen_close(context);
}

static void test_logits(void **state)
{
    size_t cases = 0;
    for (size_t i = 0; i < folder_count; i++, cases += 3) {
        check(*state, folders[i], "f32", 0);
        check(*state, folders[i], "i24", 0);
        check(*state, folders[i], "i24", 19);
    }
    assert_true(cases > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logits, api_setup, api_teardown),
    };
    if (argc > 1) {
        folders = (const char *const *)(argv + 1);
        folder_count = (size_t)argc - 1;
    }
    return cmocka_run_group_tests_name("models of mlx-lm", tests, NULL, NULL);
}
