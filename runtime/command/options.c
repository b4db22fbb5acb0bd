/* SPDX-License-Identifier: MIT */
#include "gen/base/nearest.h"
#include "gen/base/strings.h"
#include "gen/target/target.h"
#include "runtime/command/command.h"
#include "runtime/command/missing.h"
#include "runtime/command/options_table.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILES 100000
/* Of a first run of kgen generate. */
#define TUNE_SECONDS 5

/* Bits of the commands that take an option. */
#define IN(command) (1u << KGEN_COMMAND_##command)
#define TUNING (IN(GENERATE) | IN(TUNE))
#define WITH_SPEC (TUNING | IN(EXPLAIN) | IN(REPORT))
/* Those for writing templates. */
#define OF_TEMPLATE (IN(EXPAND) | IN(RUN))
#define READING_SPEC (WITH_SPEC | IN(GRAPH) | OF_TEMPLATE | IN(TRY))
/* Those that run a checkpoint. */
#define RUNNING (IN(TEXT) | IN(BENCH) | IN(PERPLEXITY) | IN(REPLAY) | IN(PROFILE))
#define READING_MODEL (READING_SPEC | RUNNING)
/* Those that print texts about kgen. */
#define ABOUT_KGEN (IN(HELP) | IN(COMPLETION))
#define WITHOUT_KERNELS (IN(GRAPH) | IN(INSPECT) | IN(PACK) | ABOUT_KGEN)
#define EVERYWHERE ((1u << KGEN_COMMAND_COUNT) - 1)

#define FIELD(name) offsetof(struct kgen_options, name)

static const struct kgen_option_info option_infos[] = {
    {"prompt", NULL, 'p', "TEXT", IN(TEXT) | IN(PROFILE), NULL, FIELD(prompt), false,
     "the text to go on from; of profile a number of tokens: profile such a prompt, too"},
    {"file", NULL, 'f', "FILE", IN(TEXT) | IN(PERPLEXITY) | IN(REPLAY), NULL, FIELD(prompt_file), false,
     "read the prompt, or the text, from a file; of replay the prompts, one a line or a JSON list"},
    {"record", NULL, 0, NULL, IN(REPLAY), NULL, FIELD(record), false,
     "make a pack: run the prompts of -f, and write the file of -o"},
    {"slower-than", NULL, 0, "RATIO", IN(REPLAY), kgen_read_slower_than, 0, false,
     "exit status 1 where the run takes more than RATIO times the seconds of the pack"},
    {"replay", NULL, 0, "PACK", IN(TRY), NULL, FIELD(pack), false,
     "also run the prompts of a pack with the templates, which must not drift; needs a checkpoint"},
    {"keep", NULL, 0, NULL, IN(TRY), NULL, FIELD(keep), false,
     "where the verdict is keep, copy the changed templates to those of the user"},
    {"chat", NULL, 0, NULL, IN(TEXT) | IN(REPLAY), NULL, FIELD(chat), false,
     "the prompt is what a user says, in the chat template of the checkpoint"},
    {"tokenizer", NULL, 0, "FILE", (RUNNING & ~IN(PROFILE)) | IN(PACK) | IN(TRY), NULL, FIELD(tokenizer),
     false,
     "another tokenizer than that of the checkpoint: tokenizer.json, tokenizer.bin of llama2.c, or GGUF"},
    {"tokens", NULL, 'n', "N", IN(TEXT) | IN(REPLAY), kgen_read_tokens, 0, false,
     "at most so many tokens of text (default: 128)"},
    {"tune-seconds", NULL, 0, "S", RUNNING | IN(TRY), kgen_read_tune_seconds, 0, false,
     "seconds that a first run may tune (default: 5)"},
    {"mmap", NULL, 0, NULL, RUNNING, NULL, FIELD(mmap), false,
     "use weights in the file, as far as kernels can read them there (default of a package, and where free "
     "memory is short)"},
    {"no-mmap", NULL, 0, NULL, RUNNING, NULL, FIELD(no_mmap), false,
     "pack all weights into memory, also those of a package"},
    {"overrides", NULL, 0, "JSON", IN(PACK), NULL, FIELD(overrides), false,
     "the formats of tensors by pattern, as in specs: {\"*.down_proj\": {\"bits\": 6}}, or a file with that"},
    {"tests", NULL, 0, "LIST", IN(BENCH), NULL, FIELD(tests), false,
     "ppN: a prompt of N tokens; tgN: N tokens of text; @dD: with caches filled up to depth D (default: "
     "pp512,tg128,tg128@d4096)"},
    {"batch", NULL, 0, "N", IN(BENCH), kgen_read_batch, 0, false,
     "run each test of text for N sequences at once, too, in turns with one: 2 to 16"},
    {"repeats", NULL, 'r', "R", IN(BENCH) | IN(PROFILE), kgen_read_repeats, 0, false,
     "runs of each test, of which the median counts (default: 5; of profile 50 steps, 5 prompts)"},
    {"layers", NULL, 0, "N", IN(PROFILE), kgen_read_layers, 0, false,
     "only the first N layers of a spec, such as one whose weights need more memory than there is"},
    {"html", NULL, 0, "FILE", IN(PROFILE), NULL, FIELD(html), false,
     "write the result as an HTML page with charts, too"},
    {"window", NULL, 0, "W", IN(PERPLEXITY), kgen_read_window, 0, false,
     "cut the text into windows of W tokens, each from an empty cache (default: 512)"},
    {"skip", NULL, 0, "S", IN(PERPLEXITY), kgen_read_skip, 0, false,
     "positions at the beginning of a window that do not count (default: half of them)"},
    {"save-logits", NULL, 0, "FILE", IN(PERPLEXITY), NULL, FIELD(save_logits), false,
     "keep the logits in a file that llama-perplexity reads, too (its --kl-divergence-base)"},
    {"kl-divergence", NULL, 0, "FILE", IN(PERPLEXITY), NULL, FIELD(kl_divergence), false,
     "hold the logits against those of a file: their Kullback-Leibler divergence"},
    {"temperature", NULL, 0, "T", IN(TEXT), kgen_read_temperature, 0, false,
     "draw the tokens, with the logits divided by T (default: 0, always the most likely)"},
    {"top-k", NULL, 0, "K", IN(TEXT), kgen_read_top_k, 0, false,
     "draw among the K most likely (default: 40; 0: all)"},
    {"top-p", NULL, 0, "P", IN(TEXT), kgen_read_top_p, 0, false,
     "and the most likely whose probabilities reach P (default: 0.95; 1: all)"},
    {"min-p", NULL, 0, "P", IN(TEXT), kgen_read_min_p, 0, false,
     "and those with P times the greatest probability (default: 0.05; 0: all)"},
    {"repeat-penalty", NULL, 0, "X", IN(TEXT), kgen_read_repeat_penalty, 0, false,
     "make tokens that were there less likely (default: 1, no penalty)"},
    {"repeat-last-n", NULL, 0, "N", IN(TEXT), kgen_read_repeat_last, 0, false,
     "the last N tokens count as there (default: 64; -1: all)"},
    {"seed", NULL, 0, "N", IN(TEXT), kgen_read_seed, 0, false,
     "of the random numbers (default: another one each time, which --json gives)"},
    {"logit-bias", NULL, 0, "ID=X,...", IN(TEXT), kgen_read_logit_bias, 0, false,
     "add X to the logits of a token; may be repeated; -inf: never this token"},
    {"output", NULL, 'o', "PATH", IN(GENERATE) | IN(REPORT) | IN(REPLAY) | IN(PACK), NULL, FIELD(output),
     false,
     "the folder to write to (default: out/<spec name>); of report the file (<spec name>.html); of replay "
     "and pack the pack or package"},
    {"locked", NULL, 0, NULL, IN(GENERATE), NULL, FIELD(locked), false,
     "write what kgen.lock in that folder says, the same bytes on any machine, and tune nothing"},
    {"check", NULL, 0, NULL, IN(GENERATE) | IN(INSPECT), NULL, FIELD(check), false,
     "write nothing; exit status 1 where that folder is not what its kgen.lock makes now; of inspect, where "
     "a byte of a package is not as it was written"},
    {"force", NULL, 0, NULL, IN(GENERATE) | IN(REPLAY) | IN(PACK), NULL, FIELD(force), false,
     "replace files of that folder that kgen did not write; of replay and pack, a file that is no pack or "
     "package"},
    {"prefix", NULL, 0, "NAME", IN(GENERATE), NULL, FIELD(prefix), true,
     "begin the names of functions and files with NAME, not with the name of the spec"},
    {"with-quantiser", NULL, 0, NULL, IN(GENERATE), NULL, FIELD(quantiser), true,
     "also write C that quantises floats to affine weights, as MLX does"},
    {"emit", NULL, 0, "model", IN(GENERATE), kgen_read_emit, 0, true,
     "also write C that calls the kernels in the order of the model: its step, with the weights by name"},
    {"peers", NULL, 0, "FILE", IN(REPORT), NULL, FIELD(peers), false,
     "times of other programs to show beside: {\"peers\": [{\"name\", \"problem\", \"seconds\"}, ...]}"},
    {"target", NULL, 0, "NAME", WITH_SPEC | IN(LIST) | OF_TEMPLATE | IN(NEW_TEMPLATE), kgen_read_target, 0,
     false, "language of the kernels: c"},
    {"isa", NULL, 0, "NAME", TUNING | OF_TEMPLATE | RUNNING, kgen_read_isa, 0, true,
     "only this instruction set: avx512, avx2, neon, generic (default: auto)"},
    {"engine", NULL, 0, "NAME", WITH_SPEC | IN(RUN), kgen_read_engine, 0, true,
     "compile candidates with tcc in memory, or cc (default: tcc)"},
    {"effort", NULL, 0, "NAME", TUNING, kgen_read_effort, 0, true,
     "estimate, measure, patient or exhaustive (default: measure)"},
    {"time-limit", NULL, 0, "S", TUNING, kgen_read_time_limit, 0, false,
     "end after about S seconds, with a proven kernel for every problem (exit status 4 where the search was "
     "not over)"},
    {"retune", NULL, 0, NULL, TUNING, NULL, FIELD(retune), false,
     "time the best again, of all problems or of PROBLEM: a number, a tensor or a part of a name"},
    {"no-retune", NULL, 0, NULL, TUNING, NULL, FIELD(no_retune), false,
     "leave what was measured and chosen while the machine was busy as it is"},
    {"threads", NULL, 0, "N", WITH_SPEC | IN(MACHINE) | RUNNING | IN(RUN) | IN(PACK) | IN(TRY),
     kgen_read_threads, 0, true, "tune for N threads (default: all)"},
    {"bits", NULL, 0, "B", READING_SPEC | IN(PACK), kgen_read_bits, 0, true,
     "bits of a weight, for all that does not say its own"},
    {"group-size", NULL, 0, "G", READING_SPEC | IN(PACK), kgen_read_group_size, 0, true,
     "weights of a group: 32, 64, 128; 16 of q6_k, q3_k and q2_k"},
    {"activation-dtype", "activations", 0, "LIST", READING_MODEL | IN(PACK), kgen_read_activation_dtypes, 0,
     true, "precisions of activations, such as f32,i8"},
    {"output-activation-dtype", NULL, 0, "NAME", READING_MODEL, kgen_read_output_activation_dtype, 0, true,
     "that of the output projection (default of a checkpoint with i8: i24; else as the others)"},
    {"context", NULL, 0, "N", READING_MODEL, kgen_read_context, 0, true,
     "positions that caches have room for (default of a model: 4096, or its maximum; of profile 256)"},
    {"prompt-rows", NULL, 0, "N", READING_MODEL, kgen_read_prompt_rows, 0, true,
     "tokens of a prompt that run at once (default: 1 of a spec, 512 of a checkpoint)"},
    {"cache-type", NULL, 0, "NAME", READING_MODEL, kgen_read_cache_type, 0, true,
     "of the caches of keys and values: f32, f16, bf16, q8_0, q4_0 (default of a checkpoint: f16; else f32)"},
    {"layout", NULL, 0, "NAME", READING_MODEL | IN(PACK), kgen_read_layout, 0, true,
     "of weights, scales and biases: stored, or tiles16: 16 rows side by side (default of a checkpoint with "
     "integers; else stored)"},
    {"scale-dtype", "scales", 0, "NAME", READING_SPEC | IN(PACK), kgen_read_scale_dtype, 0, true,
     "of scales and biases: f16, bf16, f32"},
    {"templates", NULL, 0, "DIR", EVERYWHERE & ~WITHOUT_KERNELS, NULL, FIELD(templates), true,
     "read the templates from DIR/<target> instead of those built in and the user's"},
    {"cache", NULL, 0, "DIR", EVERYWHERE & ~(IN(LIST) | IN(EXPAND) | IN(NEW_TEMPLATE) | WITHOUT_KERNELS),
     NULL, FIELD(cache), false,
     "cache folder (default: $KGEN_CACHE_DIR, $XDG_CACHE_HOME/kgen, ~/.cache/kgen)"},
    {"no-cache", NULL, 0, NULL, IN(GENERATE) | IN(MACHINE) | RUNNING | IN(TRY), NULL, FIELD(no_cache), false,
     "neither use nor keep earlier results"},
    {"json", NULL, 0, NULL, EVERYWHERE & ~ABOUT_KGEN, NULL, FIELD(json), false, "print the result as JSON"},
    {"shard", NULL, 0, "I/N", IN(TUNE), kgen_read_shard, 0, false,
     "only share I of N of the candidates, and choose no winner"},
    {"machine", NULL, 0, "ID", IN(EXPLAIN) | IN(REPORT) | IN(CACHE), NULL, FIELD(machine), false,
     "records of this machine: the beginning of its identity"},
    {"problem", NULL, 0, "TEXT", IN(CACHE), NULL, FIELD(problem), false,
     "records whose problem, as kgen cache list shows it or by its name, holds TEXT"},
    {"all", NULL, 0, NULL, IN(GRAPH), NULL, FIELD(all_layers), false,
     "every layer, also those that agree with another"},
    {"lines", NULL, 0, NULL, IN(EXPAND), NULL, FIELD(lines), false,
     "before each line its number, and the file and line of the template that it comes from"},
    {"markdown", NULL, 0, NULL, IN(LIST), NULL, FIELD(markdown), false,
     "print the ops as the section of templates/README.md that describes them"},
    {"other-machines", NULL, 0, NULL, IN(CACHE), NULL, FIELD(other_machines), false,
     "prune the records of other machines, too"},
    {"dry-run", NULL, 'n', NULL, TUNING | IN(CACHE), NULL, FIELD(dry_run), false,
     "say what would be done, and do nothing"},
    {"quiet", NULL, 'q', NULL, EVERYWHERE & ~ABOUT_KGEN, NULL, FIELD(quiet), false,
     "no progress and no notes on stderr"},
    {"verbose", NULL, 'v', NULL, EVERYWHERE & ~ABOUT_KGEN, NULL, FIELD(verbose), false,
     "a line for each candidate on stderr"},
    {"man", NULL, 0, NULL, IN(HELP), NULL, FIELD(man), false, "print the man page kgen(1), in roff"},
    {"help", NULL, 'h', NULL, EVERYWHERE, NULL, FIELD(help), false, "print this help"},
    {"version", NULL, 0, NULL, EVERYWHERE, NULL, FIELD(version), false, "print the version"},
};
#define OPTION_COUNT KGEN_COUNT_OF(option_infos)

static const struct kgen_command_info command_infos[KGEN_COMMAND_COUNT] = {
    [KGEN_COMMAND_GENERATE] = {NULL, "SPEC [--retune [PROBLEM]] [options]",
                               "tune the kernels of a spec for this machine and write their sources", 1, 1},
    [KGEN_COMMAND_TUNE] =
        {"tune", "tune SPEC [--shard I/N | --retune [PROBLEM]] [options]",
         "tune the kernels of a spec, or a share of the work; keep records, write no sources", 1, 1},
    [KGEN_COMMAND_LIST] = {"list", "list [ops|templates] [options]", "show the ops or the templates", 0, 1},
    [KGEN_COMMAND_EXPLAIN] = {"explain", "explain SPEC [PROBLEM] [options]",
                              "show the candidates of an earlier run, and why the winner won", 1, 2},
    [KGEN_COMMAND_CACHE] = {"cache", "cache path|list|clear|... [options]",
                            "show, exchange, check or empty the cache", 1, MAX_FILES},
    [KGEN_COMMAND_MACHINE] = {"machine", "machine [options]",
                              "show what was detected of this machine, and measure its read bandwidth", 0, 0},
    [KGEN_COMMAND_REPORT] = {"report", "report SPEC [options]",
                             "write the results of an earlier run as one HTML page with charts", 1, 1},
    [KGEN_COMMAND_GRAPH] = {"graph", "graph SPEC [--all] [options]",
                            "print the graph of a decode step in Graphviz's DOT", 1, 1},
    [KGEN_COMMAND_TEXT] = {"generate", "generate CHECKPOINT -p TEXT [options]",
                           "generate text from a checkpoint (GGUF, or a folder of safetensors)", 1, 1},
    [KGEN_COMMAND_BENCH] = {"bench", "bench CHECKPOINT [options]",
                            "time prompts and text of a checkpoint, as llama-bench does", 1, 1},
    [KGEN_COMMAND_PERPLEXITY] = {"perplexity", "perplexity CHECKPOINT -f FILE [options]",
                                 "how well a checkpoint foretells a text, as llama-perplexity does", 1, 1},
    [KGEN_COMMAND_REPLAY] = {"replay",
                             "replay PACK.json CHECKPOINT | --record -o PACK.json CHECKPOINT -f FILE",
                             "hold the tokens and the speed of a checkpoint against a pack, or make one", 1,
                             2},
    [KGEN_COMMAND_PROFILE] = {"profile", "profile SPEC|CHECKPOINT [--context N] [--prompt N] [options]",
                              "where the time of a decode step goes: by op and weight, with waiting", 1, 1},
    [KGEN_COMMAND_PACK] = {"pack", "pack CHECKPOINT -o FILE.kgen [options]",
                           "quantise or repack a checkpoint into a file that kernels read in place", 1, 1},
    [KGEN_COMMAND_EXPAND] = {"expand", "expand TEMPLATE PROBLEM|SPEC [PROBLEM] [PARAM=VALUE ...] [options]",
                             "print the text of a template for a problem", 2, MAX_FILES},
    [KGEN_COMMAND_RUN] = {"run", "run PROBLEM|SPEC [PROBLEM] [TEMPLATE] [PARAM=VALUE ...] [options]",
                          "compile one variant, prove it and time it", 1, MAX_FILES},
    [KGEN_COMMAND_NEW_TEMPLATE] = {"new-template", "new-template OP NAME [--templates DIR] [options]",
                                   "write a template to begin with, which is right already", 2, 2},
    [KGEN_COMMAND_TRY] =
        {"try", "try DIR SPEC|CHECKPOINT [--replay PACK] [--keep] [options]",
         "prove and time the templates of a folder that differ from those in use; keep or revert", 2, 2},
    [KGEN_COMMAND_INSPECT] =
        {"inspect", "inspect CHECKPOINT [options]",
         "show what a checkpoint holds, and hold it against the model that it says it is", 1, 1},
    [KGEN_COMMAND_HELP] = {"help", "help [COMMAND | --man]",
                           "print this help, that of a command, or the man page", 0, 1},
    [KGEN_COMMAND_COMPLETION] = {"completion", "completion bash|zsh",
                                 "print a script that lets a shell complete command lines of kgen", 1, 1},
};

const struct kgen_option_info *kgen_option_at(size_t index)
{
    return index < OPTION_COUNT ? &option_infos[index] : NULL;
}

const struct kgen_command_info *kgen_command_info_of(enum kgen_command command)
{
    return &command_infos[command];
}

const char *kgen_command_label(enum kgen_command command)
{
    return command_infos[command].name != NULL ? command_infos[command].name : "SPEC";
}

/* The command that the first word names. Its options come first where two have one letter. */
static enum kgen_command first_command(int argc, char **argv)
{
    for (int i = 0; i < KGEN_COMMAND_COUNT && argc > 1; i++) {
        if (command_infos[i].name != NULL && strcmp(argv[1], command_infos[i].name) == 0)
            return (enum kgen_command)i;
    }
    return KGEN_COMMAND_GENERATE;
}

bool kgen_command_takes(enum kgen_command command, const struct kgen_option_info *info)
{
    return (info->commands >> command & 1) != 0;
}

/* The option that a letter means for a command: one that the command takes, where there is one. */
static size_t option_of_letter(enum kgen_command command, int letter)
{
    size_t found = OPTION_COUNT;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (option_infos[i].letter == letter &&
            (found == OPTION_COUNT || kgen_command_takes(command, &option_infos[i])))
            found = i;
    }
    return found;
}

/* The options for getopt, also by their former names: value 256 + index each. */
static void fill_getopt(enum kgen_command command, struct option long_options[2 * OPTION_COUNT + 1],
                        char letters[2 * OPTION_COUNT + 2])
{
    size_t at = 0, count = 0;
    letters[at++] = ':';
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct kgen_option_info *info = &option_infos[i];
        const char *const names[] = {info->name, info->former};
        for (size_t j = 0; j < KGEN_COUNT_OF(names) && names[j] != NULL; j++)
            long_options[count++] = (struct option){names[j], info->argument != NULL, NULL, 256 + (int)i};
        if (info->letter != 0 && option_of_letter(command, info->letter) == i) {
            letters[at++] = info->letter;
            if (info->argument != NULL)
                letters[at++] = ':';
        }
    }
    long_options[count] = (struct option){0};
    letters[at] = '\0';
}

static int store(const struct kgen_option_info *info, const char *value, struct kgen_options *options,
                 struct kgen_error *error)
{
    if (info->argument != NULL && value[0] == '\0')
        return kgen_option_error(error, info->name, value, "it must not be empty");
    if (info->read != NULL)
        return info->read(value, options, error);
    char *field = (char *)options + info->offset;
    if (info->argument != NULL)
        *(const char **)(void *)field = value;
    else
        *(bool *)field = true;
    return 0;
}

/* The last part of a path, which may end with a slash. */
static const char *base_name(const char *path)
{
    const char *name = path;
    for (const char *at = path; *at != '\0'; at++) {
        if (at[0] == '/' && at[1] != '/' && at[1] != '\0')
            name = at + 1;
    }
    return name;
}

/* The options given, in the order of the table, so that their order on the command line does not matter. */
static void write_reproduce(struct kgen_options *options, const char *const values[OPTION_COUNT])
{
    if (options->command != KGEN_COMMAND_GENERATE || options->argument_count == 0)
        return;
    const char *spec = base_name(options->arguments[0]);
    kgen_text_printf(&options->reproduce, "kgen %.*s", (int)strcspn(spec, "/"), spec);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (values[i] != NULL && option_infos[i].changes_output)
            kgen_text_printf(&options->reproduce, " --%s%s%s", option_infos[i].name,
                             values[i][0] != '\0' ? " " : "", base_name(values[i]));
    }
}

static void write_repeated(struct kgen_options *options, const char *const values[OPTION_COUNT])
{
    const unsigned both = IN(GENERATE) | IN(EXPLAIN);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct kgen_option_info *info = &option_infos[i];
        if (values[i] == NULL || info->argument == NULL || (info->commands & both) != both)
            continue;
        kgen_text_printf(&options->repeated, " --%s ", info->name);
        kgen_shell_word(values[i], &options->repeated);
    }
}

/* Whether the first word, which names no command, may be a spec. */
static int check_command(char *const *arguments, size_t count, struct kgen_error *error)
{
    if (count == 0 || strcmp(arguments[0], "-") == 0 || strpbrk(arguments[0], "./") != NULL ||
        access(arguments[0], F_OK) == 0)
        return 0;
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, arguments[0], strlen(arguments[0]));
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++) {
        if (command_infos[i].name != NULL)
            kgen_nearest_offer(&nearest, command_infos[i].name, strlen(command_infos[i].name));
    }
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "'%s' is neither a command nor a file", arguments[0]);
    if (kgen_op_find(arguments[0]) == NULL)
        kgen_nearest_hint(&nearest, error);
    kgen_hint_missing(arguments[0], error);
    kgen_error_hint(error, "kgen --help lists the commands");
    return -1;
}

/* Takes the command's name, if there is one, and its arguments from what is left of the command line. */
static int take_arguments(char **arguments, size_t count, struct kgen_options *options,
                          struct kgen_error *error)
{
    options->command = KGEN_COMMAND_GENERATE;
    for (int i = 0; i < KGEN_COMMAND_COUNT && count > 0; i++) {
        if (command_infos[i].name != NULL && strcmp(arguments[0], command_infos[i].name) == 0)
            options->command = (enum kgen_command)i;
    }
    if (options->command != KGEN_COMMAND_GENERATE) {
        arguments++;
        count--;
    }
    options->arguments = arguments;
    options->argument_count = count;
    if (options->help || options->version)
        return 0;
    if (options->command == KGEN_COMMAND_GENERATE && check_command(arguments, count, error) != 0)
        return -1;
    /* What is to be timed again. */
    const size_t more = options->retune && (1u << options->command & TUNING) != 0;
    if (count < command_infos[options->command].least)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "an argument is missing: kgen %s",
                       command_infos[options->command].usage);
    else if (count > command_infos[options->command].most + more)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "one argument too many: '%s'",
                       arguments[command_infos[options->command].most + more]);
    else
        return 0;
    if (options->command == KGEN_COMMAND_GENERATE)
        kgen_error_hint(error, "kgen --help shows how kgen is called");
    else
        kgen_error_hint(error, "kgen %s --help shows how it is called", kgen_command_label(options->command));
    return -1;
}

static int check_commands(const struct kgen_options *options, const char *const values[OPTION_COUNT],
                          struct kgen_error *error)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (values[i] == NULL || kgen_command_takes(options->command, &option_infos[i]))
            continue;
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "kgen %s takes no option --%s",
                       kgen_command_label(options->command), option_infos[i].name);
        kgen_error_hint(error, "kgen %s --help lists those it takes", kgen_command_label(options->command));
        return -1;
    }
    if (options->prompt != NULL && options->prompt_file != NULL)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "-p and -f exclude each other");
    if (options->mmap && options->no_mmap)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "--mmap and --no-mmap exclude each other");
    if (options->no_cache && options->cache != NULL)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "--cache and --no-cache exclude each other");
    if (options->retune && options->no_retune)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "--retune and --no-retune exclude each other");
    if (options->retune && options->shards > 0)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "--retune and --shard exclude each other: a share chooses no winner");
    if ((options->check || options->locked) &&
        (options->dry_run || options->retune || options->time_limit_seconds > 0))
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "--%s changes nothing with --locked and --check, which tune nothing",
                              options->dry_run  ? "dry-run"
                              : options->retune ? "retune"
                                                : "time-limit");
    if (options->check && options->force)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "--force changes nothing with --check, which writes nothing");
    if (options->quiet && options->verbose)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "-q and -v exclude each other");
    return 0;
}

/* Adds the hint that an option of the command is near a word such as "--btis=4". */
static void hint_option(enum kgen_command command, const char *word, struct kgen_error *error)
{
    if (strncmp(word, "--", 2) != 0)
        return;
    struct kgen_nearest nearest;
    const char *best = NULL;
    kgen_nearest_start(&nearest, word + 2, strcspn(word + 2, "="));
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (kgen_command_takes(command, &option_infos[i]))
            kgen_nearest_offer(&nearest, option_infos[i].name, strlen(option_infos[i].name));
        if (strcmp(nearest.best, option_infos[i].name) == 0)
            best = option_infos[i].name;
    }
    if (best != NULL)
        kgen_error_hint(error, "did you mean '--%s'?", best);
}

static int getopt_error(int code, char **argv, enum kgen_command command, struct kgen_error *error)
{
    const char *word = argv[optind - 1];
    if (code == ':')
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the option '%s' needs a value", word);
    else if (optopt >= 256)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the option '%s' takes no value", word);
    else if (optopt != 0)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no option '-%c'", optopt);
    else
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no option '%s'", word);
    if (code != ':' && optopt == 0)
        hint_option(command, word, error);
    kgen_error_hint(error, "kgen --help lists the options");
    return -1;
}

int kgen_options_parse(int argc, char **argv, struct kgen_options *options, struct kgen_error *error)
{
    *options = (struct kgen_options){.target = kgen_target_at(0)->name,
                                     .engine = KGEN_ENGINE_TCC,
                                     .effort = KGEN_EFFORT_MEASURE,
                                     .tune_seconds = TUNE_SECONDS,
                                     .skip = -1,
                                     .sampling = kgen_sampling_usual};
    struct option long_options[2 * OPTION_COUNT + 1];
    char letters[2 * OPTION_COUNT + 2];
    const enum kgen_command command = first_command(argc, argv);
    fill_getopt(command, long_options, letters);
    const char *values[OPTION_COUNT] = {0};
    opterr = 0;
    int code;
    while ((code = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        const size_t index = code >= 256 ? (size_t)code - 256 : option_of_letter(command, code);
        if (index == OPTION_COUNT)
            return getopt_error(code, argv, command, error);
        values[index] = option_infos[index].argument != NULL ? optarg : "";
        if (store(&option_infos[index], values[index], options, error) != 0)
            return -1;
    }
    if (take_arguments(argv + optind, (size_t)(argc - optind), options, error) != 0 ||
        check_commands(options, values, error) != 0)
        return -1;
    write_reproduce(options, values);
    write_repeated(options, values);
    if (options->reproduce.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    return 0;
}

void kgen_options_free(struct kgen_options *options)
{
    kgen_text_free(&options->reproduce);
    kgen_text_free(&options->repeated);
    free(options->biases);
}

const char *kgen_options_repeated(const struct kgen_options *options)
{
    return options->repeated.data != NULL && !options->repeated.failed ? options->repeated.data : "";
}
