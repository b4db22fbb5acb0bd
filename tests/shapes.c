/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shapes.h"

#include "runtime/machine/machine.h"

#include <stdio.h>
#include <string.h>

void shapes_add(struct kgen_text *list, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    kgen_text_puts(list, list->length > 0 ? ",\n" : "");
    kgen_text_vprintf(list, format, arguments);
    va_end(arguments);
}

struct kgen_spec *shapes_spec(const struct kgen_text *list)
{
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    kgen_text_printf(&text, "{\"kgen_schema\": 1, \"name\": \"shapes\", \"problems\": [\n%s\n]}", list->data);
    assert_false(list->failed || text.failed);
    struct kgen_spec *spec = kgen_spec_parse("shapes.json", text.data, text.length, NULL, &error);
    if (spec == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    kgen_text_free(&text);
    return spec;
}

void shapes_need(enum kgen_isa isa)
{
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    if ((machine.isas & (1u << isa)) != 0)
        return;
    printf("skipped: this machine lacks %s\n", kgen_isa_info(isa)->needs);
    skip();
}

struct kgen_verification shapes_verdict(const struct kgen_outcome *outcome, const void *result)
{
    struct kgen_verification verification;
    memcpy(&verification, result, sizeof verification);
    if (outcome->kind != KGEN_OUTCOME_DONE)
        kgen_outcome_verdict(outcome, &verification);
    return verification;
}

void shapes_fail(const struct kgen_problem *problem, const struct kgen_variant *variant, const char *compiler,
                 unsigned seed, const struct kgen_verification *result)
{
    struct kgen_text problem_text = {0}, name = {0};
    kgen_problem_write(problem, &problem_text);
    kgen_variant_name(variant, &name);
    fail_msg("%s\n%s through %s, seed %u: %s: %s", problem_text.data, name.data, compiler, seed,
             kgen_verdict_name(result->verdict), result->detail);
}
