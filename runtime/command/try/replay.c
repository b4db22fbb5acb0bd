/* SPDX-License-Identifier: MIT */
/* The replay of a pack with the changed templates among those in use. */
#include <string.h>

#include "runtime/cache/exchange.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/replay/replay.h"
#include "runtime/command/try/try.h"

/* Gives the context the templates with the change, and what is known of their variants, in memory alone. */
static int arrange(void *arrange_context, struct kgen_context *context, struct kgen_error *error)
{
    const struct kgen_try *trial = arrange_context;
    const char *target = trial->options.target;
    struct kgen_templates *with =
        kgen_templates_lay(kgen_templates_open(trial->folder, target, error),
                           kgen_templates_open_used(trial->options.templates, target, error), error);
    if (with == NULL)
        return -1;
    kgen_templates_free(context->templates);
    context->templates = with;
    struct kgen_text lines = {0};
    struct kgen_import counts = {0};
    int result = kgen_cache_export(trial->cache, NULL, NULL, &lines, error) < 0 ? -1 : 0;
    if (result == 0)
        result = kgen_cache_import(context->cache, lines.data != NULL ? lines.data : "", lines.length, NULL,
                                   NULL, &counts, error);
    kgen_text_free(&lines);
    return result;
}

/* The nodes that a changed template runs, of a token or of a prompt. */
static size_t count_nodes(const struct kgen_try *trial, const json_t *dispatch)
{
    size_t nodes = 0;
    for (size_t i = 0; i < json_array_size(dispatch); i++) {
        const json_t *entry = json_array_get(dispatch, i);
        const char *variants[] = {json_string_value(json_object_get(entry, "variant")),
                                  json_string_value(json_object_get(entry, "prompt_variant"))};
        bool changed = false;
        for (size_t j = 0; j < trial->changed_count; j++) {
            const char *name = kgen_template_name(trial->changed[j]);
            for (size_t k = 0; k < KGEN_COUNT_OF(variants); k++)
                changed = changed || (variants[k] != NULL && strcspn(variants[k], " ") == strlen(name) &&
                                      strncmp(variants[k], name, strlen(name)) == 0);
        }
        nodes += changed ? (size_t)json_integer_value(json_object_get(entry, "count")) : 0;
    }
    return nodes;
}

static void judge(struct kgen_try *trial, const struct kgen_replay *replay)
{
    struct kgen_replay_sums sums;
    kgen_replay_sum(replay, &sums);
    trial->replay = (struct kgen_try_replay){.ran = true,
                                             .drifts = kgen_replay_drifts(&sums),
                                             .tokens = sums.tokens,
                                             .different = sums.different,
                                             .explained = sums.explained,
                                             .time_ratio = kgen_rate(sums.now, sums.then),
                                             .nodes = count_nodes(trial, replay->dispatch)};
    if (!trial->replay.drifts)
        return;
    trial->keep = false;
    kgen_try_because(trial, "replay: the tokens drift: %zu of %zu differ, %zu of them explained",
                     sums.different, sums.tokens, sums.explained);
}

int kgen_try_replay(struct kgen_try *trial, int *status)
{
    struct kgen_replay replay = {.options = trial->options, .path = trial->options.pack};
    replay.options.arguments++;
    replay.options.argument_count--;
    replay.options.no_cache = true;
    replay.opened.arrange = arrange;
    replay.opened.arrange_context = trial;
    *status = kgen_replay_open_and_run(&replay);
    const bool ran = *status == KGEN_EXIT_DONE && !kgen_interrupted;
    if (ran)
        judge(trial, &replay);
    kgen_replay_close(&replay);
    return ran ? 0 : 1;
}
