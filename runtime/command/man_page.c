/* SPDX-License-Identifier: MIT */
#include "runtime/command/man_page.h"
#include "runtime/command/options_table.h"

#include <ctype.h>
#include <string.h>

/* Appends text as roff prints it unchanged; it stands behind something else on its line. */
static void put(const char *text, size_t length, struct kgen_text *page)
{
    static const struct {
        char from;
        const char *to;
    } escapes[] = {{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"}, {'"', "\\(dq"},
                   {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"}};
    for (size_t i = 0; i < length; i++) {
        const char *written = NULL;
        for (size_t j = 0; j < KGEN_COUNT_OF(escapes); j++) {
            if (text[i] == escapes[j].from)
                written = escapes[j].to;
        }
        if (written != NULL)
            kgen_text_puts(page, written);
        else
            kgen_text_append(page, &text[i], 1);
    }
}

/* Appends text as a line, or lines, of a paragraph: "\&" keeps a leading dot from being a request. */
static void put_line(const char *text, struct kgen_text *page)
{
    kgen_text_puts(page, "\\&");
    put(text, strlen(text), page);
    kgen_text_puts(page, "\n");
}

static void put_section(const char *name, struct kgen_text *page)
{
    kgen_text_printf(page, ".SH %s\n", name);
}

/* Appends text between two fonts: "\fB" or "\fI", and back. */
static void put_font(char font, const char *text, size_t length, struct kgen_text *page)
{
    kgen_text_printf(page, "\\f%c", font);
    put(text, length, page);
    kgen_text_puts(page, "\\fR");
}

/* Appends a usage: words that are typed as they are in bold, what they stand for in italics. */
static void put_usage(const char *usage, struct kgen_text *page)
{
    put_font('B', "kgen", 4, page);
    kgen_text_puts(page, " ");
    for (const char *at = usage; *at != '\0';) {
        const size_t length = strcspn(at, " []|.=/");
        if (length == 0) {
            put(at++, 1, page);
            continue;
        }
        put_font(isupper((unsigned char)at[0]) || strncmp(at, "options", 7) == 0 ? 'I' : 'B', at, length,
                 page);
        at += length;
    }
    kgen_text_puts(page, "\n");
}

static void put_commands(struct kgen_text *page)
{
    put_section("COMMANDS", page);
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++) {
        const struct kgen_command_info *info = kgen_command_info_of((enum kgen_command)i);
        kgen_text_puts(page, ".TP\n");
        put_usage(info->usage, page);
        put_line(info->summary, page);
        if (i != KGEN_COMMAND_CACHE)
            continue;
        struct kgen_command_info part;
        kgen_text_puts(page, ".RS\n");
        for (size_t j = 0; kgen_cache_part_at(j, &part); j++) {
            struct kgen_text usage = {0};
            kgen_text_printf(&usage, "cache %s", part.usage);
            kgen_text_puts(page, ".TP\n");
            put_usage(usage.failed ? part.usage : usage.data, page);
            put_line(part.summary, page);
            kgen_text_free(&usage);
        }
        kgen_text_puts(page, ".RE\n");
    }
}

/* Appends the commands that take an option, where not all do. */
static void put_takers(const struct kgen_option_info *info, struct kgen_text *page)
{
    size_t count = 0, left = 0;
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++)
        count += kgen_command_takes((enum kgen_command)i, info);
    if (count == KGEN_COMMAND_COUNT)
        return;
    left = count;
    kgen_text_puts(page, ".br\nCommands: ");
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++) {
        if (!kgen_command_takes((enum kgen_command)i, info))
            continue;
        const char *label = kgen_command_label((enum kgen_command)i);
        put_font(isupper((unsigned char)label[0]) ? 'I' : 'B', label, strlen(label), page);
        kgen_text_puts(page, --left > 0 ? ", " : ".\n");
    }
}

static void put_options(struct kgen_text *page)
{
    put_section("OPTIONS", page);
    const struct kgen_option_info *info;
    for (size_t i = 0; (info = kgen_option_at(i)) != NULL; i++) {
        kgen_text_puts(page, ".TP\n");
        if (info->letter != 0) {
            const char letter[] = {'-', info->letter, '\0'};
            put_font('B', letter, 2, page);
            kgen_text_puts(page, ", ");
        }
        kgen_text_puts(page, "\\fB\\-\\-");
        put(info->name, strlen(info->name), page);
        kgen_text_puts(page, "\\fR");
        if (info->argument != NULL) {
            kgen_text_puts(page, " ");
            put_font('I', info->argument, strlen(info->argument), page);
        }
        kgen_text_puts(page, "\n");
        put_line(info->help, page);
        struct kgen_text words = {0};
        kgen_option_words(info, &words);
        if (words.length > 0 && !words.failed) {
            kgen_text_puts(page, ".br\nValues: ");
            put(words.data, words.length, page);
            kgen_text_puts(page, kgen_option_is_list(info) ? ", several with commas between.\n" : ".\n");
        }
        kgen_text_free(&words);
        put_takers(info, page);
    }
}

static void put_tables(struct kgen_text *page)
{
    put_section("EXIT STATUS", page);
    const struct kgen_exit_info *status;
    for (size_t i = 0; (status = kgen_exit_info_at(i)) != NULL; i++) {
        kgen_text_printf(page, ".TP\n\\fB%d\\fR\n", status->status);
        put_line(status->meaning, page);
    }
    put_section("ENVIRONMENT", page);
    const struct kgen_variable_info *variable;
    for (size_t i = 0; (variable = kgen_variable_info_at(i)) != NULL; i++) {
        kgen_text_puts(page, ".TP\n");
        put_font('B', variable->name, strlen(variable->name), page);
        kgen_text_puts(page, "\n");
        put_line(variable->meaning, page);
    }
}

static void put_examples(struct kgen_text *page)
{
    static const struct {
        const char *line, *meaning;
    } examples[] = {
        {"kgen path/to/Qwen3-8B --bits 4 --group-size 64",
         "tunes the kernels of a model with a config.json, and writes C to out/Qwen3-8B"},
        {"kgen generate model.gguf --chat -p \"What is the capital of France?\"", "text from a checkpoint"},
        {"kgen explain specs/qwen.json 4", "all candidates of the fourth problem, and why the winner won"},
        {"kgen run '{\"op\": \"add\", \"size\": 4096}'", "proves and times one kernel"},
    };
    put_section("EXAMPLES", page);
    for (size_t i = 0; i < KGEN_COUNT_OF(examples); i++) {
        kgen_text_puts(page, ".TP\n");
        put_font('B', examples[i].line, strlen(examples[i].line), page);
        kgen_text_puts(page, "\n");
        put_line(examples[i].meaning, page);
    }
}

void kgen_man_page(struct kgen_text *page)
{
    kgen_text_printf(page,
                     ".\\\" Made by kgen help --man.\n"
                     ".TH KGEN 1 \"\" \"kgen %s\" \"User Commands\"\n",
                     KGEN_VERSION);
    put_section("NAME", page);
    kgen_text_puts(
        page, "kgen \\- the fastest kernels for the shapes of a model and this machine, each proven right\n");
    put_section("SYNOPSIS", page);
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++) {
        if (i > 0)
            kgen_text_puts(page, ".br\n");
        put_usage(kgen_command_info_of((enum kgen_command)i)->usage, page);
    }
    put_section("DESCRIPTION", page);
    put_line(
        "kgen reads the shapes, bits and group sizes of a model, makes kernels for them from templates, "
        "compiles the "
        "candidates in memory, proves each right against a reference in double precision, times those that "
        "passed, "
        "remembers the winners, and writes them as C that needs nothing of kgen. It also runs whole models.",
        page);
    kgen_text_puts(page, ".PP\n");
    put_line(
        "SPEC is a list of problems, the config.json of a model or its folder, or - for standard input. "
        "CHECKPOINT "
        "is a GGUF file, a folder of safetensors, or a checkpoint of llama2.c. A PROBLEM is JSON text, or "
        "one of a "
        "spec: its number, its tensor or a part of its name. The documents that are installed with kgen, in "
        "share/doc/kgen, describe them.",
        page);
    put_commands(page);
    put_options(page);
    put_tables(page);
    put_examples(page);
    put_section("FILES", page);
    kgen_text_puts(page, ".TP\n\\fI\\(ti/.cache/kgen\\fR\nthe cache: records of what was proven and timed\n");
}
