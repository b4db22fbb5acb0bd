/* SPDX-License-Identifier: MIT */
/* The kgen command. */
#include "runtime/command/command.h"

#include <stdio.h>

static int (*const commands[KGEN_COMMAND_COUNT])(const struct kgen_options *options) = {
    [KGEN_COMMAND_GENERATE] = kgen_command_generate,
    [KGEN_COMMAND_TUNE] = kgen_command_generate,
    [KGEN_COMMAND_LIST] = kgen_command_list,
    [KGEN_COMMAND_EXPLAIN] = kgen_command_explain,
    [KGEN_COMMAND_CACHE] = kgen_command_cache,
    [KGEN_COMMAND_MACHINE] = kgen_command_machine,
    [KGEN_COMMAND_REPORT] = kgen_command_report,
    [KGEN_COMMAND_GRAPH] = kgen_command_graph,
    [KGEN_COMMAND_INSPECT] = kgen_command_inspect,
    [KGEN_COMMAND_TEXT] = kgen_command_text,
    [KGEN_COMMAND_BENCH] = kgen_command_bench,
    [KGEN_COMMAND_PERPLEXITY] = kgen_command_perplexity,
    [KGEN_COMMAND_REPLAY] = kgen_command_replay,
    [KGEN_COMMAND_PACK] = kgen_command_pack,
    [KGEN_COMMAND_EXPAND] = kgen_command_expand,
    [KGEN_COMMAND_RUN] = kgen_command_run,
    [KGEN_COMMAND_PROFILE] = kgen_command_profile,
    [KGEN_COMMAND_NEW_TEMPLATE] = kgen_command_new_template,
    [KGEN_COMMAND_TRY] = kgen_command_try,
    [KGEN_COMMAND_HELP] = kgen_command_help,
    [KGEN_COMMAND_COMPLETION] = kgen_command_completion,
};

int main(int argc, char **argv)
{
    struct kgen_options options;
    struct kgen_error error = {0};
    int status;
    if (kgen_options_parse(argc, argv, &options, &error) != 0) {
        status = kgen_fail(&error);
    } else if (options.version) {
        printf("kgen %s\n", KGEN_VERSION);
        status = kgen_finish_output(KGEN_EXIT_DONE);
    } else if (options.help) {
        const bool all = options.command == KGEN_COMMAND_GENERATE;
        kgen_options_help(all ? KGEN_COMMAND_COUNT : options.command);
        status = kgen_finish_output(KGEN_EXIT_DONE);
    } else {
        status = commands[options.command](&options);
    }
    kgen_options_free(&options);
    return status;
}
