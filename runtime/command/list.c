/* SPDX-License-Identifier: MIT */
/* kgen list: the ops with their fields, and the templates with their parameters. */
#include <stdio.h>
#include <string.h>

#include "gen/ops/signature.h"
#include "runtime/command/json.h"
#include "runtime/command/list_markdown.h"

/* Appends a value of a field as a spec writes it. */
static void write_value(const struct kgen_field *field, double value, struct kgen_text *text)
{
    if (field->kind == KGEN_FIELD_BOOLEAN)
        kgen_text_puts(text, value > 0 ? "true" : "false");
    else if (field->kind == KGEN_FIELD_CONSTANT)
        kgen_text_puts(text, kgen_constant_name((int64_t)value));
    else
        kgen_text_printf(text, "%g", value);
}

static void write_allowed(const struct kgen_field *field, struct kgen_text *text)
{
    for (const int *value = field->allowed; value != NULL && *value != -1; value++) {
        kgen_text_puts(text, value == field->allowed ? "" : ", ");
        write_value(field, *value, text);
    }
}

static void print_field(const struct kgen_field *field)
{
    struct kgen_text value = {0}, allowed = {0};
    write_value(field, field->default_value, &value);
    write_allowed(field, &allowed);
    printf("  %-32s %s", field->name, field->meaning);
    if (allowed.length > 0)
        printf(": %s", allowed.data);
    if (field->required)
        printf(" (required)\n");
    else
        printf(" (default %s)\n", value.failed ? "?" : value.data);
    kgen_text_free(&value);
    kgen_text_free(&allowed);
}

static void print_buffer(const struct kgen_buffer *buffer)
{
    printf("  %-32s %s", buffer->name, kgen_role_name(buffer->role));
    if (buffer->shape != NULL)
        printf(" [%s]", buffer->shape);
    if (buffer->dtype != NULL)
        printf(" of %s", buffer->dtype);
    if (buffer->when != NULL)
        printf(", where %s", buffer->when);
    if (buffer->may_alias != NULL)
        printf(", may be the same memory as %s", buffer->may_alias);
    putchar('\n');
}

static void print_ops(void)
{
    for (size_t op = 0; op < kgen_op_count(); op++) {
        const struct kgen_op *info = kgen_op_at(op);
        printf("%s%s\n  %s\n", op > 0 ? "\n" : "", info->name, info->summary);
        for (size_t i = 0; i < info->field_count; i++)
            print_field(&info->fields[i]);
        for (size_t i = 0; i < info->buffer_count; i++)
            print_buffer(&info->buffers[i]);
        for (size_t i = 0; i < info->scalar_count; i++)
            printf("  %-32s scalar of a call: %s\n", info->scalars[i].name, info->scalars[i].meaning);
    }
}

static void print_template(const struct kgen_template *tmpl)
{
    struct kgen_text isas = {0};
    kgen_isas_write(kgen_template_isas(tmpl), &isas);
    const struct kgen_op *op = kgen_template_op(tmpl);
    const struct kgen_op *other = kgen_template_other_op(tmpl);
    printf("%s\n  %s\n  op %s%s%s; for %s\n", kgen_template_name(tmpl), kgen_template_summary(tmpl),
           op != NULL ? op->name : "none", other != NULL ? " and " : "", other != NULL ? other->name : "",
           isas.failed ? "?" : isas.data);
    for (size_t i = 0; i < kgen_template_param_count(tmpl); i++) {
        const struct kgen_param *param = kgen_template_param(tmpl, i);
        printf("  %s =", param->name);
        for (size_t j = 0; j < param->count; j++)
            printf("%s %lld", j > 0 ? "," : "", (long long)param->values[j]);
        putchar('\n');
    }
    kgen_text_free(&isas);
}

/* Those of ops; the support texts are not for choosing. */
static bool is_listed(const struct kgen_template *tmpl)
{
    return kgen_template_op(tmpl) != NULL;
}

static void print_templates(const struct kgen_templates *templates)
{
    const char *gap = "";
    for (size_t i = 0; i < kgen_templates_count(templates); i++) {
        const struct kgen_template *tmpl = kgen_templates_at(templates, i);
        if (is_listed(tmpl)) {
            fputs(gap, stdout);
            print_template(tmpl);
            gap = "\n";
        }
    }
}

static json_t *value_json(const struct kgen_field *field, double value)
{
    if (field->kind == KGEN_FIELD_BOOLEAN)
        return json_boolean(value > 0);
    if (field->kind == KGEN_FIELD_CONSTANT)
        return json_string(kgen_constant_name((int64_t)value));
    return field->kind == KGEN_FIELD_INTEGER ? json_integer((json_int_t)value) : kgen_json_number(value);
}

static json_t *field_json(const struct kgen_field *field)
{
    json_t *object = json_pack("{s:s, s:b, s:s}", "name", field->name, "required", field->required, "meaning",
                               field->meaning);
    if (!field->required)
        json_object_set_new(object, "default", value_json(field, field->default_value));
    if (field->allowed != NULL) {
        json_t *allowed = json_array();
        for (const int *value = field->allowed; *value != -1; value++)
            json_array_append_new(allowed, value_json(field, *value));
        json_object_set_new(object, "allowed", allowed);
    }
    return object;
}

static json_t *buffer_json(const struct kgen_buffer *buffer)
{
    return json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s*}", "name", buffer->name, "role",
                     kgen_role_name(buffer->role), "shape", buffer->shape, "dtype", buffer->dtype, "when",
                     buffer->when, "may_alias", buffer->may_alias);
}

static json_t *ops_json(void)
{
    json_t *list = json_array();
    for (size_t op = 0; op < kgen_op_count(); op++) {
        const struct kgen_op *info = kgen_op_at(op);
        json_t *fields = json_array();
        for (size_t i = 0; i < info->field_count; i++)
            json_array_append_new(fields, field_json(&info->fields[i]));
        json_t *buffers = json_array();
        for (size_t i = 0; i < info->buffer_count; i++)
            json_array_append_new(buffers, buffer_json(&info->buffers[i]));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o}", "name", info->name, "summary",
                                              info->summary, "fields", fields, "buffers", buffers));
    }
    return list;
}

static json_t *templates_json(const struct kgen_templates *templates)
{
    json_t *list = json_array();
    for (size_t i = 0; i < kgen_templates_count(templates); i++) {
        const struct kgen_template *tmpl = kgen_templates_at(templates, i);
        if (!is_listed(tmpl))
            continue;
        json_t *params = json_object();
        for (size_t j = 0; j < kgen_template_param_count(tmpl); j++) {
            const struct kgen_param *param = kgen_template_param(tmpl, j);
            json_t *values = json_array();
            for (size_t k = 0; k < param->count; k++)
                json_array_append_new(values, json_integer(param->values[k]));
            json_object_set_new(params, param->name, values);
        }
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o, s:o}", "name", kgen_template_name(tmpl), "op",
                            kgen_template_op(tmpl)->name, "summary", kgen_template_summary(tmpl), "isas",
                            kgen_json_isas(kgen_template_isas(tmpl)), "parameters", params));
    }
    return list;
}

static int print_markdown(const struct kgen_options *options)
{
    struct kgen_error error = {0};
    struct kgen_text text = {0};
    if (options->json || options->argument_count == 0 || strcmp(options->arguments[0], "ops") != 0) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "--markdown goes with kgen list ops, and not with --json");
        return kgen_fail(&error);
    }
    kgen_list_markdown(&text);
    if (text.failed)
        kgen_error_set(&error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else
        fputs(text.data, stdout);
    const int status = text.failed ? kgen_fail(&error) : KGEN_EXIT_DONE;
    kgen_text_free(&text);
    return kgen_finish_output(status);
}

int kgen_command_list(const struct kgen_options *options)
{
    if (options->markdown)
        return print_markdown(options);
    const char *what = options->argument_count > 0 ? options->arguments[0] : "";
    const bool ops = strcmp(what, "templates") != 0, templates = strcmp(what, "ops") != 0;
    struct kgen_session session = {0};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    if (ops && templates && what[0] != '\0') {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no list of '%s'", what);
        kgen_error_hint(&error, "kgen list ops, or kgen list templates");
        return kgen_fail(&error);
    }
    if (templates && (kgen_session_open(&session, options, NULL, &error) != 0 ||
                      kgen_templates_parse(session.templates, &error) != 0)) {
        status = kgen_fail(&error);
    } else if (options->json) {
        json_t *root = json_object();
        if (ops)
            json_object_set_new(root, "ops", ops_json());
        if (templates)
            json_object_set_new(root, "templates", templates_json(session.templates));
        status = kgen_json_print(root) == 0 ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
    } else {
        if (ops && templates)
            printf("OPS\n\n");
        if (ops)
            print_ops();
        if (ops && templates)
            printf("\nTEMPLATES\n\n");
        if (templates)
            print_templates(session.templates);
    }
    kgen_session_close(&session);
    return kgen_finish_output(status);
}
