/* SPDX-License-Identifier: MIT */
/* The text of the kernels, as people read it in emitted sources: no line is longer than 120 characters, and
 * no address has a term of 0. */
#include "gen/ops/format.h"
#include "gen/spec/spec.h"
#include "gen/target/variant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LINE_MAX_LENGTH = 120 };

static void add_problems(struct kgen_text *text)
{
    static const int all_bits[] = {1, 2, 3, 4, 5, 6, 8};
    static const char *const formats[] = {"\"mode\": \"affine\", \"scales\": \"bf16\"",
                                          "\"mode\": \"zero_point\", \"scales\": \"f32\"",
                                          "\"mode\": \"symmetric\", \"scales\": \"f16\""};
    static const char *const activations[] = {"f32", "i24", "i16", "i8"}, *const layouts[] = {"stored",
                                                                                              "tiles16"};
    for (size_t i = 0; i < KGEN_COUNT_OF(all_bits) * 6; i++) {
        const int bits = all_bits[i / 6];
        kgen_text_printf(
            text,
            "{\"op\": \"qmv\", \"N\": 151936, \"K\": 14336, \"bits\": %d, \"group_size\": %d, %s, "
            "\"activations\": \"%s\", \"layout\": \"%s\"},\n",
            bits, 32 << i % 3, formats[i % 3], activations[i / 2 % 3], layouts[i % 2]);
        kgen_text_printf(
            text, "{\"op\": \"dequantize\", \"N\": 1, \"K\": 4096, \"bits\": %d, \"group_size\": 64, %s},\n",
            bits, formats[i % 3]);
    }
    for (size_t i = 0; i < kgen_format_count(); i++) {
        const struct kgen_format *format = kgen_format_at(i);
        const char *scheme = kgen_constant_name(format->scheme),
                   *dtype = kgen_constant_name(format->scale_dtype);
        if (format->block_values == 0)
            continue;
        kgen_text_printf(
            text,
            "{\"op\": \"qmv\", \"N\": 151936, \"K\": 14336, \"scheme\": \"%s\", \"scale_dtype\": \"%s\"},\n"
            "{\"op\": \"dequantize\", \"N\": 1, \"K\": 4096, \"scheme\": \"%s\", \"scale_dtype\": "
            "\"%s\"},\n",
            scheme, dtype, scheme, dtype);
    }
    kgen_text_puts(text,
                   "{\"op\": \"rms_norm\", \"size\": 4100, \"residual\": true},\n"
                   "{\"op\": \"rms_norm\", \"size\": 4100, \"weight_plus_one\": true},\n"
                   "{\"op\": \"rope\", \"heads\": 5, \"head_dim\": 128, \"rotary_dim\": 80},\n"
                   "{\"op\": \"rope\", \"heads\": 5, \"head_dim\": 128, \"pairing\": \"interleaved\"},\n"
                   "{\"op\": \"swiglu\", \"size\": 12288}, {\"op\": \"add\", \"size\": 4096},\n"
                   "{\"op\": \"softmax\", \"size\": 4100}, {\"op\": \"softmax\", \"size\": 3},\n"
                   "{\"op\": \"attention_decode\", \"heads\": 32, \"kv_heads\": 8, \"head_dim\": 128, "
                   "\"context\": 4096},\n"
                   "{\"op\": \"attention_decode\", \"heads\": 7, \"kv_heads\": 1, \"head_dim\": 72, "
                   "\"context\": 10}");
}

/* Whether `+ 0` stands in the line, where it is no part of a longer number. */
static bool adds_zero(const char *line, size_t length)
{
    for (size_t i = 0; i + 3 < length; i++) {
        if (memcmp(line + i, "+ 0", 3) == 0 && strchr("0123456789.xX", line[i + 3]) == NULL)
            return true;
    }
    return false;
}

static size_t check_text(const struct kgen_variant *variant, const char *text)
{
    struct kgen_text name = {0};
    size_t lines = 0;
    kgen_variant_name(variant, &name);
    for (const char *line = text; *line != '\0'; lines++) {
        const size_t length = strcspn(line, "\n");
        if (length > LINE_MAX_LENGTH)
            fail_msg("%s: %zu characters: %.*s", name.data, length, (int)length, line);
        if (adds_zero(line, length + 1))
            fail_msg("%s: adds 0: %.*s", name.data, (int)length, line);
        line += length + (line[length] == '\n');
    }
    kgen_text_free(&name);
    return lines;
}

static void test_lines(void **state)
{
    (void)state;
    struct kgen_text spec_text = {0}, text = {0};
    struct kgen_error error = {0};
    kgen_text_puts(&spec_text, "{\"kgen_schema\": 1, \"name\": \"lines\", \"problems\": [\n");
    add_problems(&spec_text);
    kgen_text_puts(&spec_text, "]}");
    struct kgen_spec *spec = kgen_spec_parse("lines.json", spec_text.data, spec_text.length, NULL, &error);
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    if (spec == NULL || templates == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    size_t lines = 0, texts = 0;
    for (size_t i = 0; i < spec->count; i++) {
        struct kgen_variants variants = {0};
        assert_int_equal(kgen_variants_list(templates, &spec->entries[i].problem, (1u << KGEN_ISA_COUNT) - 1,
                                            &variants, &error),
                         0);
        /* One in seven, which meets every value of every parameter. */
        for (size_t j = i % 7; j < variants.count; j += 7, texts++) {
            kgen_text_clear(&text);
            assert_int_equal(
                kgen_variant_text(&variants.items[j], &spec->entries[i].problem, "kernel", &text, &error), 0);
            lines += check_text(&variants.items[j], text.data);
        }
        kgen_variants_free(&variants);
    }
    print_message("%zu lines of %zu texts\n", lines, texts);
    assert_true(texts > spec->count);
    kgen_templates_free(templates);
    kgen_spec_free(spec);
    kgen_text_free(&spec_text);
    kgen_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};
    return cmocka_run_group_tests_name("kernel_text", tests, NULL, NULL);
}
