/* SPDX-License-Identifier: MIT */
/* kgen replay: a model's tokens and speed, held against a baseline. */
#include "runtime/command/replay/replay.h"

#include <stdio.h>
#include <stdlib.h>

#include "gen/ops/constant.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/json.h"

/* The default of -n. */
enum { USUAL_TOKENS = 128 };

/* runtime/text.md says what was seen. What rounds most decides: a value beside the middle of two integers, or
 * of two numbers of the caches, becomes the other one. */
double kgen_replay_tolerance(const struct kgen_pack_settings *settings)
{
    const double of_activations = settings->activation_dtype == KGEN_I8    ? 0.5
                                  : settings->activation_dtype == KGEN_I16 ? 0.05
                                                                           : 0.001;
    const double of_caches = settings->cache_dtype == KGEN_Q4_0   ? 1
                             : settings->cache_dtype == KGEN_Q8_0 ? 0.1
                             : settings->cache_dtype == KGEN_BF16 ? 0.1
                             : settings->cache_dtype == KGEN_F16  ? 0.02
                                                                  : 0;
    return of_activations > of_caches ? of_activations : of_caches;
}

void kgen_replay_settings(const struct kgen_opened_model *opened, struct kgen_pack_settings *settings)
{
    const struct kgen_model *model = opened->model;
    *settings =
        (struct kgen_pack_settings){.activation_dtype = (int64_t)kgen_constant_find(model->activation_dtype),
                                    .layout = (int64_t)kgen_constant_find(model->layout),
                                    .cache_dtype = (int64_t)kgen_constant_find(model->cache_dtype),
                                    .context = kgen_decoder_context(model->decoder),
                                    .prompt_rows = kgen_decoder_prompt_rows(model->decoder),
                                    .threads = opened->context->settings.threads,
                                    .chat = opened->options->chat};
}

static int identify(const char *path, struct kgen_pack_identity *identity, struct kgen_error *error)
{
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(path, error);
    const int result = checkpoint != NULL ? kgen_pack_identify(checkpoint, identity, error) : -1;
    kgen_checkpoint_free(checkpoint);
    return result;
}

/* ---- kgen replay --record ---- */

static int check_record(const struct kgen_options *options, struct kgen_error *error)
{
    const char *missing = options->output == NULL ? "-o PACK.json" : "-f PROMPTS";
    if (options->argument_count == 1 && options->output != NULL && options->prompt_file != NULL &&
        options->slower_than == 0)
        return kgen_pack_check_output(options->output, options->force, error);
    if (options->argument_count > 1)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "one argument too many: '%s'",
                       options->arguments[1]);
    else if (options->slower_than > 0)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "--record and --slower-than exclude each other: there is no time to compare with");
    else
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "--record needs %s", missing);
    kgen_error_hint(error, "kgen replay --record -o PACK.json CHECKPOINT -f PROMPTS");
    return -1;
}

/* The tokens of the prompts, which must fit into the caches. */
static int encode_prompts(const struct kgen_opened_model *opened, struct kgen_pack *pack,
                          struct kgen_error *error)
{
    for (size_t i = 0; i < pack->count; i++) {
        struct kgen_token_ids *ids = &pack->prompts[i].prompt;
        const char *path = opened->options->prompt_file;
        const int64_t context = kgen_decoder_context(opened->model->decoder);
        if (kgen_replay_encode(opened, &pack->prompts[i], opened->options->chat, ids, error) != 0)
            return -1;
        if (ids->count == 0)
            return kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0, "prompt %zu has no tokens", i + 1);
        if ((int64_t)ids->count <= context)
            continue;
        kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0,
                       "prompt %zu has %zu tokens, and the caches have room for %lld positions", i + 1,
                       ids->count, (long long)context);
        kgen_error_hint(error, "--context N gives them more");
        return -1;
    }
    return 0;
}

static int say_recorded(const struct kgen_options *options, const struct kgen_pack *pack)
{
    size_t tokens = 0;
    for (size_t i = 0; i < pack->count; i++)
        tokens += pack->prompts[i].tokens.count;
    if (options->json)
        return kgen_json_print(json_pack("{s:s, s:s, s:I, s:I, s:o}", "kgen", KGEN_VERSION, "pack",
                                         options->output, "prompt_count", (json_int_t)pack->count, "tokens",
                                         (json_int_t)tokens, "settings",
                                         kgen_pack_settings_json(&pack->settings)));
    printf("%s: %zu prompt%s, %zu tokens\n", options->output, pack->count, kgen_plural(pack->count), tokens);
    return 0;
}

static int record(struct kgen_replay *replay)
{
    const struct kgen_options *options = &replay->options;
    struct kgen_pack *pack = &replay->pack;
    struct kgen_error error = {0};
    if (check_record(options, &error) != 0 ||
        kgen_pack_read_prompts(options->prompt_file, pack, &error) != 0 ||
        identify(options->arguments[0], &pack->identity, &error) != 0)
        return kgen_fail(&error);
    const int opened = kgen_opened_model_open(&replay->opened, options, 0);
    if (opened != KGEN_EXIT_DONE)
        return opened;
    if (encode_prompts(&replay->opened, pack, &error) != 0 ||
        kgen_replay_record(&replay->opened, pack, options->tokens > 0 ? options->tokens : USUAL_TOKENS,
                           &error) != 0)
        return kgen_fail(&error);
    if (kgen_interrupted)
        return KGEN_EXIT_INTERRUPTED;
    snprintf(pack->version, sizeof pack->version, "%s", KGEN_VERSION);
    pack->machine = replay->opened.context->machine;
    pack->dispatch = kgen_replay_dispatch(replay->opened.model);
    pack->peak_megabytes = kgen_peak_megabytes();
    kgen_replay_settings(&replay->opened, &pack->settings);
    if (kgen_pack_write(pack, options->output, &error) != 0)
        return kgen_fail(&error);
    return say_recorded(options, pack) == 0 ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
}

/* ---- kgen replay PACK.json ---- */

static int check_replay(const struct kgen_options *options, struct kgen_error *error)
{
    const char *given = options->prompt_file != NULL ? "-f"
                        : options->output != NULL    ? "-o"
                        : options->tokens > 0        ? "-n"
                        : options->chat              ? "--chat"
                        : options->force             ? "--force"
                                                     : NULL;
    if (given != NULL)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "%s changes nothing without --record", given);
    else if (options->argument_count < 2)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "an argument is missing: the %s",
                       "pack or the checkpoint");
    else
        return 0;
    kgen_error_hint(error, "kgen replay PACK.json CHECKPOINT; kgen replay --help says more");
    return -1;
}

void kgen_replay_take_settings(const struct kgen_pack_settings *settings, struct kgen_options *options)
{
    struct kgen_spec_options *spec = &options->spec;
    if (spec->activation_dtypes[0] == KGEN_CONSTANT_NONE)
        spec->activation_dtypes[0] = settings->activation_dtype;
    if (spec->layout == KGEN_CONSTANT_NONE)
        spec->layout = settings->layout;
    if (spec->cache_dtype == KGEN_CONSTANT_NONE)
        spec->cache_dtype = settings->cache_dtype;
    if (spec->context == 0)
        spec->context = settings->context;
    if (spec->prompt_rows == 0)
        spec->prompt_rows = settings->prompt_rows;
    if (options->threads == 0)
        options->threads = (int)settings->threads;
    options->chat = settings->chat;
}

/* The positions that the longest prompt and its response take. */
static int64_t positions_needed(const struct kgen_pack *pack)
{
    size_t most = 1;
    for (size_t i = 0; i < pack->count; i++) {
        const size_t count = pack->prompts[i].prompt.count + pack->prompts[i].tokens.count - 1;
        most = count > most ? count : most;
    }
    return (int64_t)most;
}

static int check_ids(const struct kgen_replay *replay, const struct kgen_token_ids *ids, size_t prompt,
                     const char *key, struct kgen_error *error)
{
    const int64_t vocabulary = kgen_decoder_vocabulary(replay->opened.model->decoder);
    for (size_t i = 0; i < ids->count; i++) {
        if (ids->ids[i] >= vocabulary)
            return kgen_error_set(error, KGEN_ERROR_USAGE, replay->path, 0, 0,
                                  "\"prompts[%zu].%s[%zu]\" is %d, and the model knows %lld tokens", prompt,
                                  key, i, ids->ids[i], (long long)vocabulary);
    }
    return 0;
}

static int check_tokens(const struct kgen_replay *replay, struct kgen_error *error)
{
    for (size_t i = 0; i < replay->pack.count; i++) {
        const struct kgen_pack_prompt *prompt = &replay->pack.prompts[i];
        if (check_ids(replay, &prompt->prompt, i, "prompt_tokens", error) != 0 ||
            check_ids(replay, &prompt->tokens, i, "tokens", error) != 0)
            return -1;
    }
    return 0;
}

/* Prints the result, and makes the exit status of it. */
static int finish(const struct kgen_replay *replay)
{
    struct kgen_replay_sums sums;
    kgen_replay_sum(replay, &sums);
    const double ratio = kgen_rate(sums.now, sums.then);
    const bool too_slow = replay->options.slower_than > 0 && ratio > replay->options.slower_than;
    if (!replay->options.json)
        kgen_replay_print(replay);
    else if (kgen_replay_print_json(replay) != 0)
        return KGEN_EXIT_FAILED;
    if (too_slow && !replay->options.json)
        printf("slower: %.2f times the seconds of the pack, more than --slower-than %g\n", ratio,
               replay->options.slower_than);
    if (kgen_interrupted)
        return KGEN_EXIT_INTERRUPTED;
    return kgen_replay_drifts(&sums) || too_slow ? KGEN_EXIT_FAILED : KGEN_EXIT_DONE;
}

int kgen_replay_open_and_run(struct kgen_replay *replay)
{
    struct kgen_options *options = &replay->options;
    struct kgen_pack *pack = &replay->pack;
    struct kgen_pack_identity identity;
    struct kgen_error error = {0};
    if (kgen_pack_read(replay->path, pack, &error) != 0 ||
        identify(options->arguments[0], &identity, &error) != 0 ||
        kgen_pack_check_identity(pack, replay->path, &identity, options->arguments[0], &error) != 0)
        return kgen_fail(&error);
    kgen_replay_take_settings(&pack->settings, options);
    const int opened = kgen_opened_model_open(&replay->opened, options, positions_needed(pack));
    if (opened != KGEN_EXIT_DONE)
        return opened;
    kgen_replay_settings(&replay->opened, &replay->settings);
    const double now = kgen_replay_tolerance(&replay->settings),
                 then = kgen_replay_tolerance(&pack->settings);
    replay->tolerance = now > then ? now : then;
    replay->results = calloc(pack->count, sizeof *replay->results);
    replay->dispatch = kgen_replay_dispatch(replay->opened.model);
    if (replay->results == NULL || replay->dispatch == NULL)
        kgen_error_set(&error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    if (replay->results == NULL || replay->dispatch == NULL || check_tokens(replay, &error) != 0 ||
        kgen_replay_run(replay, &error) != 0)
        return kgen_fail(&error);
    return KGEN_EXIT_DONE;
}

void kgen_replay_close(struct kgen_replay *replay)
{
    for (size_t i = 0; replay->results != NULL && i < replay->pack.count; i++)
        free(replay->results[i].differences);
    free(replay->results);
    json_decref(replay->dispatch);
    kgen_pack_free(&replay->pack);
    kgen_opened_model_close(&replay->opened);
}

static int replay_pack(struct kgen_replay *replay)
{
    struct kgen_options *options = &replay->options;
    struct kgen_error error = {0};
    if (check_replay(options, &error) != 0)
        return kgen_fail(&error);
    replay->path = options->arguments[0];
    options->arguments++;
    options->argument_count--;
    const int status = kgen_replay_open_and_run(replay);
    return status == KGEN_EXIT_DONE ? finish(replay) : status;
}

int kgen_command_replay(const struct kgen_options *options)
{
    struct kgen_replay replay = {.options = *options};
    kgen_interrupt_catch();
    const int status = options->record ? record(&replay) : replay_pack(&replay);
    kgen_replay_close(&replay);
    return kgen_finish_output(status);
}
