/* SPDX-License-Identifier: MIT */
#include "runtime/command/json.h"

#include <math.h>
#include <stdio.h>

json_t *kgen_json_number(double value)
{
    return isfinite(value) ? json_real(value == 0 ? 0.0 : value) : json_null();
}

json_t *kgen_json_positive(double value)
{
    return isfinite(value) && value > 0 ? json_real(value) : json_null();
}

json_t *kgen_json_machine(const struct kgen_machine *machine)
{
    struct kgen_text text = {0};
    json_t *object = kgen_machine_write(machine, &text) == 0 ? json_loads(text.data, 0, NULL) : NULL;
    kgen_text_free(&text);
    return object;
}

json_t *kgen_json_bandwidth(const struct kgen_bandwidth *bandwidth)
{
    if (bandwidth == NULL)
        return json_null();
    return json_pack("{s:i, s:o, s:o, s:f}", "threads", bandwidth->threads, "one_thread_gb_per_s",
                     kgen_json_positive(bandwidth->one_thread * 1e-9), "all_threads_gb_per_s",
                     kgen_json_positive(bandwidth->all_threads * 1e-9), "noise", bandwidth->noise);
}

json_t *kgen_json_warnings(const struct kgen_spec *spec)
{
    json_t *list = json_array();
    for (size_t i = 0; i < spec->warning_count; i++)
        json_array_append_new(list, kgen_json_string(spec->warnings[i]));
    return list;
}

json_t *kgen_json_problem(const struct kgen_problem *problem)
{
    struct kgen_text text = {0};
    kgen_problem_write(problem, &text);
    json_t *object = text.failed ? NULL : json_loads(text.data, 0, NULL);
    kgen_text_free(&text);
    return object;
}

json_t *kgen_json_parameters(const struct kgen_variant *variant)
{
    json_t *object = json_object();
    for (size_t i = 0; i < kgen_template_param_count(variant->tmpl); i++) {
        if ((variant->unused >> i & 1) == 0)
            json_object_set_new(object, kgen_template_param(variant->tmpl, i)->name,
                                json_integer(variant->values[i]));
    }
    return object;
}

json_t *kgen_json_record(const struct kgen_record *record)
{
    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:b}", "variant",
                     kgen_json_string(record->variant), "engine", kgen_json_string(record->engine), "effort",
                     kgen_json_string(record->effort), "verdict", kgen_verdict_name(record->verdict),
                     "detail", kgen_json_string(record->detail), "error_of_bound",
                     kgen_json_number(record->error_of_bound), "cases", (json_int_t)record->cases,
                     "compile_us", kgen_json_positive(record->compile_seconds * 1e6), "cold_us",
                     kgen_json_positive(record->cold_seconds * 1e6), "hot_us",
                     kgen_json_positive(record->hot_seconds * 1e6), "final_us",
                     kgen_json_positive(record->final_seconds * 1e6), "read_us",
                     kgen_json_positive(record->read_seconds * 1e6), "repeats", (json_int_t)record->repeats,
                     "noise", kgen_json_positive(record->noise), "chosen", record->chosen);
}

int kgen_json_print(json_t *root)
{
    const bool written =
        root != NULL && json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n';
    json_decref(root);
    if (!written)
        fputs("kgen: error: cannot write the result as JSON\n", stderr);
    return written ? 0 : -1;
}
