/* SPDX-License-Identifier: MIT */
/* kgen --help, kgen COMMAND --help, kgen help. */
#include "gen/base/nearest.h"
#include "runtime/command/command.h"
#include "runtime/command/man_page.h"
#include "runtime/command/options_table.h"

#include <stdio.h>
#include <string.h>

static const struct kgen_exit_info exits[] = {
    {KGEN_EXIT_DONE, "done"},
    {KGEN_EXIT_FAILED, "verification or tuning failed, or --check or kgen replay found a difference"},
    {KGEN_EXIT_USAGE, "wrong usage or spec"},
    {KGEN_EXIT_NO_CANDIDATE, "no candidate for this machine"},
    {KGEN_EXIT_TIME_LIMIT, "done, with a search that the time limit ended early"},
    {KGEN_EXIT_REVERT, "kgen try: the templates are not kept"},
    {KGEN_EXIT_INTERRUPTED, "interrupted"},
};

const struct kgen_exit_info *kgen_exit_info_at(size_t index)
{
    return index < KGEN_COUNT_OF(exits) ? &exits[index] : NULL;
}

static const struct kgen_variable_info variables[] = {
    {"KGEN_CACHE_DIR", "folder of the cache, where --cache does not name one"},
    {"XDG_CACHE_HOME", "the cache is its folder kgen, where KGEN_CACHE_DIR is not set; else ~/.cache/kgen"},
    {"KGEN_SYSTEM_CACHE_DIR",
     "folder with records that are read only, in place of /usr/share/kgen/cache and that "
     "beside the installed kgen"},
    {"KGEN_VERBOSE", "1: programs that use the library get a line on stderr for each kernel chosen"},
    {"CC", "the C compiler that --engine cc and the proof of written kernels use, in place of cc"},
    {"TMPDIR", "where the C compiler's files lie for a moment, in place of /tmp"},
    {"NO_COLOR", "where it is set, progress is printed in plain lines"},
};

const struct kgen_variable_info *kgen_variable_info_at(size_t index)
{
    return index < KGEN_COUNT_OF(variables) ? &variables[index] : NULL;
}

static void print_options(enum kgen_command command)
{
    const struct kgen_option_info *info;
    printf("\noptions:\n");
    for (size_t i = 0; (info = kgen_option_at(i)) != NULL; i++) {
        if (!kgen_command_takes(command, info))
            continue;
        char left[64], letter[8] = "    ";
        if (info->letter != 0)
            snprintf(letter, sizeof letter, "-%c, ", info->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, info->name, info->argument != NULL ? " " : "",
                 info->argument != NULL ? info->argument : "");
        printf("  %-28s %s\n", left, info->help);
    }
}

void kgen_options_help(enum kgen_command command)
{
    if (command != KGEN_COMMAND_COUNT) {
        const struct kgen_command_info *info = kgen_command_info_of(command);
        printf("usage: kgen %s\n\nkgen %s: %s.\n", info->usage, kgen_command_label(command), info->summary);
        if (command == KGEN_COMMAND_CACHE)
            kgen_command_cache_help();
        print_options(command);
        return;
    }
    printf(
        "kgen %s: from the shapes of a model to the fastest kernels for this machine, each proven right.\n\n",
        KGEN_VERSION);
    printf("usage:\n");
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++) {
        const struct kgen_command_info *info = kgen_command_info_of((enum kgen_command)i);
        printf("  kgen %-32s %s\n", info->usage, info->summary);
    }
    printf("\nSPEC is a list of problems, a model's config.json or its folder, a GGUF file, or - for "
           "standard input; see "
           "specs/README.md. A spec that is "
           "called as a\n"
           "command is: kgen ./list. Options of kgen SPEC follow; kgen COMMAND --help shows those of a "
           "command.\n");
    print_options(KGEN_COMMAND_GENERATE);
    printf("\nexit status:\n");
    const struct kgen_exit_info *status;
    for (size_t i = 0; (status = kgen_exit_info_at(i)) != NULL; i++)
        printf("  %-4d %s\n", status->status, status->meaning);
}

/* The command of that name; KGEN_COMMAND_COUNT and an error where there is none. */
static enum kgen_command find_command(const char *name, struct kgen_error *error)
{
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, name, strlen(name));
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++) {
        const char *known = kgen_command_label((enum kgen_command)i);
        if (strcmp(known, name) == 0)
            return (enum kgen_command)i;
        kgen_nearest_offer(&nearest, known, strlen(known));
    }
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no command '%s'", name);
    kgen_nearest_hint(&nearest, error);
    kgen_error_hint(error, "kgen help lists the commands");
    return KGEN_COMMAND_COUNT;
}

int kgen_command_help(const struct kgen_options *options)
{
    struct kgen_error error = {0};
    enum kgen_command command = KGEN_COMMAND_COUNT;
    if (options->argument_count > 0 && options->man) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "--man prints the page of all commands");
        return kgen_fail(&error);
    }
    if (options->argument_count > 0) {
        command = find_command(options->arguments[0], &error);
        if (command == KGEN_COMMAND_COUNT)
            return kgen_fail(&error);
    }
    if (!options->man) {
        kgen_options_help(command);
        return kgen_finish_output(KGEN_EXIT_DONE);
    }
    struct kgen_text page = {0};
    kgen_man_page(&page);
    if (page.failed)
        kgen_error_set(&error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else
        fputs(page.data, stdout);
    const int status = page.failed ? kgen_fail(&error) : KGEN_EXIT_DONE;
    kgen_text_free(&page);
    return kgen_finish_output(status);
}
