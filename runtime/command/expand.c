/* SPDX-License-Identifier: MIT */
/* kgen expand: the text of a template for a problem. */
#include <stdio.h>
#include <string.h>

#include "runtime/command/arguments.h"
#include "runtime/command/json.h"

struct expansion {
    const struct kgen_options *options;
    struct kgen_session session;
    struct kgen_named_template named;
    const struct kgen_problem *problem;
    struct kgen_variant variant;
    struct kgen_text text;
    struct kgen_line_map lines;
};

/* Prints the text with the place of each line before it. */
static void print_lines(const struct expansion *expansion)
{
    size_t width = 0;
    for (int pass = 0; pass < 2; pass++) {
        const struct kgen_text_origin *origin;
        const char *at = expansion->text.data;
        for (int line = 1; (origin = kgen_line_map_find(&expansion->lines, line)) != NULL; line++) {
            const char *slash = strrchr(origin->source, '/');
            char place[160];
            const int length = snprintf(place, sizeof place, "%s:%d",
                                        slash != NULL ? slash + 1 : origin->source, origin->line);
            const size_t end = strcspn(at, "\n");
            if (pass == 0)
                width = length > 0 && (size_t)length > width ? (size_t)length : width;
            else
                printf("%5d %-*s %s%.*s\n", line, (int)width, place, end > 0 ? "| " : "|", (int)end, at);
            at += end + (at[end] == '\n');
        }
    }
}

static int print_json(const struct expansion *expansion)
{
    struct kgen_text name = {0};
    const struct kgen_text_origin *origin;
    json_t *lines = json_array();
    kgen_variant_name(&expansion->variant, &name);
    for (int line = 1; (origin = kgen_line_map_find(&expansion->lines, line)) != NULL; line++) {
        json_t *place =
            json_pack("{s:o, s:i}", "source", kgen_json_string(origin->source), "line", origin->line);
        if (origin->outer_line > 0)
            json_object_set_new(place, "included_at", json_integer(origin->outer_line));
        json_array_append_new(lines, place);
    }
    json_t *root = json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o}", "template",
                             kgen_template_name(expansion->variant.tmpl), "source",
                             kgen_json_string(kgen_template_source(expansion->variant.tmpl)), "problem",
                             kgen_json_problem(expansion->problem), "variant", name.failed ? "" : name.data,
                             "parameters", kgen_json_parameters(&expansion->variant), "text",
                             kgen_json_string(expansion->text.data), "lines", lines);
    kgen_text_free(&name);
    return kgen_json_print(root);
}

/* Reads TEMPLATE PROBLEM [NAME] [PARAM=VALUE ...]. */
static int read_arguments(struct expansion *expansion, struct kgen_error *error)
{
    const struct kgen_options *options = expansion->options;
    const struct kgen_session *session = &expansion->session;
    const char *source = options->arguments[1];
    const char *wanted = NULL;
    size_t first = 2;
    if (kgen_session_open_problem(&expansion->session, options, source, error) != 0 ||
        kgen_named_template_open(&expansion->named, session, options, options->arguments[0], error) != 0)
        return -1;
    if (options->argument_count > 2 && !kgen_is_problem_text(source) &&
        strchr(options->arguments[2], '=') == NULL)
        wanted = options->arguments[first++];
    /* The problem text of one op and a template of another are told by the template. */
    const struct kgen_op *op =
        wanted == NULL && session->spec->count == 1 ? NULL : kgen_template_op(expansion->named.tmpl);
    expansion->problem = kgen_session_find_problem(session, source, wanted, op, error);
    if (expansion->problem == NULL)
        return -1;
    return kgen_variant_of_words(expansion->named.tmpl, expansion->problem, options,
                                 options->arguments + first, options->argument_count - first,
                                 session->machine.isas, true, &expansion->variant, error);
}

static int expand(struct expansion *expansion, struct kgen_error *error)
{
    if (read_arguments(expansion, error) != 0 ||
        kgen_variant_text_lines(&expansion->variant, expansion->problem, "kernel", &expansion->text,
                                &expansion->lines, error) != 0)
        return -1;
    if (expansion->options->json)
        return print_json(expansion);
    if (expansion->options->lines)
        print_lines(expansion);
    else
        fwrite(expansion->text.data, 1, expansion->text.length, stdout);
    return 0;
}

int kgen_command_expand(const struct kgen_options *options)
{
    struct expansion expansion = {.options = options};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    if (expand(&expansion, &error) != 0) {
        status = kgen_fail(&error);
        if (error.code == KGEN_ERROR_CANDIDATE)
            status = KGEN_EXIT_NO_CANDIDATE;
    }
    kgen_text_free(&expansion.text);
    kgen_line_map_free(&expansion.lines);
    kgen_named_template_free(&expansion.named);
    kgen_session_close(&expansion.session);
    return kgen_finish_output(status);
}
