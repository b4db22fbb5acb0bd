/* SPDX-License-Identifier: MIT */
/* kgen new-template: a template to begin with. It is the plain C of an op, with comments that teach, and is
 * right as it stands. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gen/base/file.h"
#include "gen/base/nearest.h"
#include "gen/base/strings.h"
#include "gen/ops/example.h"
#include "gen/ops/signature.h"
#include "gen/target/variant.h"
#include "runtime/command/command.h"
#include "runtime/command/json.h"

#define USUAL_FOLDER "templates"

struct skeleton {
    const struct kgen_options *options;
    const struct kgen_op *op;
    const char *name, *folder;
    struct kgen_problem problem; /* an example */
    struct kgen_templates *templates;
    const struct kgen_template *model; /* the template whose text it takes */
    struct kgen_text path, text, run, expand;
};

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

/* ---- what to begin with ---- */

static int find_op(struct skeleton *skeleton, const char *name, struct kgen_error *error)
{
    skeleton->op = kgen_op_find(name);
    if (skeleton->op == NULL) {
        struct kgen_nearest nearest;
        kgen_nearest_start(&nearest, name, strlen(name));
        for (size_t i = 0; i < kgen_op_count(); i++)
            kgen_nearest_offer(&nearest, kgen_op_at(i)->name, strlen(kgen_op_at(i)->name));
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no op '%s'", name);
        kgen_nearest_hint(&nearest, error);
        kgen_error_hint(error, "kgen list ops shows them");
        return -1;
    }
    return kgen_problem_example(skeleton->op, &skeleton->problem) == 0
               ? 0
               : kgen_error_set(error, KGEN_ERROR_CANDIDATE, NULL, 0, 0, "no small problem of %s is known",
                                name);
}

static int check_name(const char *name, struct kgen_error *error)
{
    bool is_name = isalpha((unsigned char)name[0]) && strlen(name) <= 63;
    for (const char *at = name; *at != '\0'; at++)
        is_name = is_name && (isalnum((unsigned char)*at) || *at == '_');
    if (is_name)
        return 0;
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "a template cannot be called '%s'", name);
    kgen_error_hint(error, "letters, digits and _, a letter first, at most 63");
    return -1;
}

/* The template of plain C that solves the example. */
static int find_model(struct skeleton *skeleton, struct kgen_error *error)
{
    skeleton->templates = kgen_templates_open(NULL, skeleton->options->target, error);
    for (size_t i = 0; skeleton->templates != NULL && i < kgen_templates_count(skeleton->templates); i++) {
        const struct kgen_template *tmpl = kgen_templates_at(skeleton->templates, i);
        struct kgen_variants variants;
        if (!kgen_template_serves(tmpl, skeleton->op) || kgen_template_isas(tmpl) != 1u << KGEN_ISA_GENERIC)
            continue;
        if (kgen_variants_of_template(tmpl, &skeleton->problem, 1u << KGEN_ISA_GENERIC, &variants, error) !=
            0)
            return -1;
        if (variants.count > 0 && skeleton->model == NULL)
            skeleton->model = tmpl;
        kgen_variants_free(&variants);
    }
    if (skeleton->templates != NULL && skeleton->model == NULL)
        kgen_error_set(error, KGEN_ERROR_CANDIDATE, NULL, 0, 0,
                       "there is no template of %s in plain C to begin with", skeleton->op->name);
    return skeleton->model != NULL ? 0 : -1;
}

/* ---- the text ---- */

/* Appends lines, each behind "$# ", in which no ${...} is replaced. */
static void put_comment(struct kgen_text *text, const char *lines)
{
    while (*lines != '\0') {
        const size_t length = strcspn(lines, "\n");
        kgen_text_printf(text, "$#%s%.*s\n", length > 0 ? " " : "", (int)length, lines);
        lines += length + (lines[length] == '\n');
    }
}

static void put_head(struct skeleton *skeleton)
{
    const struct kgen_op *op = skeleton->op;
    struct kgen_text *text = &skeleton->text, arguments = {0};
    kgen_text_printf(text, "$# A template of the op %s. %s\n$#\n", op->name, op->summary);
    put_comment(
        text,
        "A line that begins with a dollar and a word is a directive; in all other lines ${...} is replaced.\n"
        "These lines are comments, which leave no trace. templates/README.md describes the language and, "
        "for\n"
        "each op, what a template of it defines. What this one becomes for a problem; whether it is right, "
        "and\n"
        "how fast:\n");
    kgen_text_printf(text, "$#     %s\n$#     %s\n$#\n", skeleton->expand.data, skeleton->run.data);
    put_comment(text, op->formula);
    put_comment(text, "\nThe arguments of its functions:\n");
    kgen_signature_describe(op, "    ", &arguments);
    put_comment(text, arguments.failed ? "" : arguments.data);
    kgen_text_puts(text, "$# Names that have a value here:");
    for (size_t i = 0; i < op->field_count; i++)
        kgen_text_printf(text, "%s %s", i > 0 ? "," : "", op->fields[i].name);
    kgen_text_puts(text, "\n\n");
    kgen_text_free(&arguments);
}

static void put_declarations(struct skeleton *skeleton)
{
    struct kgen_text *text = &skeleton->text;
    kgen_text_printf(text, "$template %s \"%s, a beginning in plain C\"\n$op %s\n", skeleton->name,
                     skeleton->op->name, skeleton->op->name);
    put_comment(
        text,
        "Plain C is generic. A template in vector C names the vectors that it is for: avx512 avx2 neon.");
    kgen_text_puts(text, "$isa generic\n");
    put_comment(
        text,
        "A parameter. kgen tries every value, and keeps the one that is fastest on the machine. Such are\n"
        "how often a loop is unrolled, how many rows are taken at once, how far ahead is prefetched.");
    kgen_text_puts(text, "$param attempt = 0, 1\n");
}

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* The text of the model, without the declarations that the skeleton makes itself. */
static void put_body(struct skeleton *skeleton)
{
    static const char main_function[] = "void ${function}(${parameters})";
    struct kgen_text *text = &skeleton->text;
    const char *line = kgen_template_file_text(skeleton->model);
    while (*line != '\0') {
        const size_t length = strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n');
        if (begins(line, main_function))
            kgen_text_puts(
                text,
                "$if attempt == 1\n"
                "/* Attempt 1 is the same text as attempt 0 as yet. What is to be tried goes between such "
                "lines, here or in\n   the function. */\n"
                "$end\n");
        if (!begins(line, "$template ") && !begins(line, "$op ") && !begins(line, "$isa "))
            kgen_text_append(text, line, length);
        line += length;
    }
}

static void put_commands(struct skeleton *skeleton)
{
    struct kgen_text problem = {0}, word = {0}, folder = {0};
    kgen_problem_write_required(&skeleton->problem, &problem);
    kgen_shell_word(problem.failed ? "" : problem.data, &word);
    kgen_shell_word(skeleton->folder, &folder);
    kgen_text_printf(&skeleton->run, "kgen run %s %s --templates %s", word.data, skeleton->name, folder.data);
    kgen_text_printf(&skeleton->expand, "kgen expand %s %s --templates %s", skeleton->name, word.data,
                     folder.data);
    skeleton->run.failed = skeleton->run.failed || problem.failed || word.failed || folder.failed;
    kgen_text_free(&problem);
    kgen_text_free(&word);
    kgen_text_free(&folder);
}

static int make_text(struct skeleton *skeleton, struct kgen_error *error)
{
    put_commands(skeleton);
    if (skeleton->run.failed || skeleton->expand.failed)
        return fail_memory(error);
    put_head(skeleton);
    put_declarations(skeleton);
    put_body(skeleton);
    kgen_text_printf(&skeleton->path, "%s/%s/%s.c.in", skeleton->folder, skeleton->options->target,
                     skeleton->name);
    if (skeleton->text.failed || skeleton->path.failed)
        return fail_memory(error);
    struct kgen_template *parsed = kgen_template_parse(skeleton->path.data, skeleton->text.data,
                                                       skeleton->text.length, skeleton->templates, error);
    kgen_template_free(parsed);
    return parsed != NULL ? 0 : -1;
}

/* ---- the file ---- */

/* Makes a file that was not there. */
static int create(const char *path, const struct kgen_text *text, struct kgen_error *error)
{
    const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0 && errno == EEXIST) {
        kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "this file is there already, and stays as it is");
        kgen_error_hint(error, "choose another name, or remove it");
        return -1;
    }
    if (file < 0)
        return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "cannot write the template: %s",
                              strerror(errno));
    size_t written = 0;
    ssize_t count = 0;
    while (written < text->length && count >= 0) {
        count = write(file, text->data + written, text->length - written);
        if (count > 0)
            written += (size_t)count;
        else if (errno == EINTR)
            count = 0;
    }
    if (close(file) == 0 && written == text->length)
        return 0;
    kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "cannot write the template: %s", strerror(errno));
    unlink(path);
    return -1;
}

static int write_file(const struct skeleton *skeleton, struct kgen_error *error)
{
    struct kgen_text folder = {0};
    kgen_text_printf(&folder, "%s/%s", skeleton->folder, skeleton->options->target);
    int result = folder.failed ? fail_memory(error) : kgen_folder_make(folder.data, error);
    if (result == 0)
        result = create(skeleton->path.data, &skeleton->text, error);
    kgen_text_free(&folder);
    return result;
}

static int print_result(const struct skeleton *skeleton)
{
    if (!skeleton->options->json) {
        printf("%s\n  what it becomes:     %s\n  is it right, and fast: %s\n", skeleton->path.data,
               skeleton->expand.data, skeleton->run.data);
        return 0;
    }
    return kgen_json_print(
        json_pack("{s:o, s:s, s:o, s:o, s:o}", "file", kgen_json_string(skeleton->path.data), "op",
                  skeleton->op->name, "problem", kgen_json_problem(&skeleton->problem), "run",
                  kgen_json_string(skeleton->run.data), "expand", kgen_json_string(skeleton->expand.data)));
}

int kgen_command_new_template(const struct kgen_options *options)
{
    struct skeleton skeleton = {.options = options,
                                .name = options->arguments[1],
                                .folder = options->templates != NULL ? options->templates : USUAL_FOLDER};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    if (find_op(&skeleton, options->arguments[0], &error) != 0 || check_name(skeleton.name, &error) != 0 ||
        find_model(&skeleton, &error) != 0 || make_text(&skeleton, &error) != 0 ||
        write_file(&skeleton, &error) != 0)
        status = kgen_fail(&error);
    else if (print_result(&skeleton) != 0)
        status = KGEN_EXIT_FAILED;
    kgen_templates_free(skeleton.templates);
    kgen_text_free(&skeleton.path);
    kgen_text_free(&skeleton.text);
    kgen_text_free(&skeleton.run);
    kgen_text_free(&skeleton.expand);
    return kgen_finish_output(status);
}
