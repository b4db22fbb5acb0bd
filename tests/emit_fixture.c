/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "emit_fixture.h"

#include <string.h>

const char emit_spec_text[] = "{\"kgen_schema\": 1, \"name\": \"m\", \"problems\": [\n"
                              "{\"op\": \"qmv\", \"N\": 48, \"K\": 256, \"bits\": 4, \"group_size\": 32},\n"
                              "{\"op\": \"qmv\", \"N\": 80, \"K\": 256, \"bits\": 4, \"group_size\": 32},\n"
                              "{\"op\": \"qmv\", \"N\": 48, \"K\": 512, \"bits\": 4, \"group_size\": 32},\n"
                              "{\"op\": \"add\", \"size\": 77}, {\"op\": \"add\", \"size\": 78}]}\n";

struct kgen_templates *emit_templates;
struct kgen_spec *emit_spec;

void emit_check(const struct kgen_error *error)
{
    char text[1200];
    if (error->code != KGEN_ERROR_NONE)
        fail_msg("%s", kgen_error_format(error, text, sizeof text));
}

struct kgen_variant emit_variant(size_t entry, enum kgen_isa isa, size_t number)
{
    struct kgen_error error = {0};
    struct kgen_variants variants = {0};
    kgen_variants_list(emit_templates, &emit_spec->entries[entry].problem, 1u << isa, &variants, &error);
    emit_check(&error);
    assert_true(number < variants.count);
    const struct kgen_variant variant = variants.items[number];
    kgen_variants_free(&variants);
    return variant;
}

void emit_tune(struct kgen_variant *tuned, enum kgen_isa isa, size_t number)
{
    for (size_t i = 0; i < emit_spec->count; i++)
        tuned[i] = emit_variant(i, isa, i < 3 ? number : 0);
}

struct kgen_emission *emit_prefixed(const char *prefix, const struct kgen_variant *tuned,
                                    unsigned machine_isas, unsigned isas)
{
    struct kgen_error error = {0};
    const struct kgen_emit_input input = {.spec = emit_spec,
                                          .templates = emit_templates,
                                          .tuned = tuned,
                                          .prefix = prefix,
                                          .command = "kgen m.json",
                                          .machine = "a test",
                                          .machine_isas = machine_isas,
                                          .isas = isas};
    struct kgen_emission *emission = kgen_emission_new(&input, &error);
    emit_check(&error);
    assert_non_null(emission);
    return emission;
}

struct kgen_emission *emit_new(const struct kgen_variant *tuned, unsigned machine_isas, unsigned isas)
{
    return emit_prefixed(NULL, tuned, machine_isas, isas);
}

const char *emit_file(const struct kgen_emission *emission, const char *name)
{
    for (size_t i = 0; i < emission->files->count; i++) {
        if (strcmp(emission->files->items[i].name.data, name) == 0)
            return emission->files->items[i].text.data;
    }
    return NULL;
}

int emit_set_up(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    if (kgen_test_command_setup() != 0)
        return -1;
    emit_templates = kgen_templates_open(NULL, "c", &error);
    emit_check(&error);
    emit_spec = kgen_spec_parse("m.json", emit_spec_text, strlen(emit_spec_text), NULL, &error);
    emit_check(&error);
    return 0;
}

int emit_tear_down(void **state)
{
    (void)state;
    kgen_spec_free(emit_spec);
    kgen_templates_free(emit_templates);
    return kgen_test_command_teardown();
}
