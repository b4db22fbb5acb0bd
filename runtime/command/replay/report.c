/* SPDX-License-Identifier: MIT */
/* What kgen replay prints. */
#include "runtime/command/replay/replay.h"

#include <stdio.h>
#include <string.h>

#include "gen/ops/constant.h"
#include "runtime/command/json.h"
#include "runtime/command/table.h"

/* Lines of differences that are shown of one prompt; --json has all. */
enum { SHOWN = 4 };

/* ---- sums ---- */

void kgen_replay_sum(const struct kgen_replay *replay, struct kgen_replay_sums *sums)
{
    *sums = (struct kgen_replay_sums){0};
    for (size_t i = 0; i < replay->finished; i++) {
        const struct kgen_pack_prompt *prompt = &replay->pack.prompts[i];
        const struct kgen_replay_result *result = &replay->results[i];
        sums->tokens += prompt->tokens.count;
        sums->different += result->count;
        sums->explained += result->explained;
        sums->other_prompts += !result->same_prompt;
        sums->prompt_tokens += (double)prompt->prompt.count;
        sums->text_tokens += (double)(prompt->tokens.count - 1);
        sums->prompt_now += result->times.prompt_seconds;
        sums->prompt_then += prompt->times.prompt_seconds;
        sums->text_now += result->times.text_seconds;
        sums->text_then += prompt->times.text_seconds;
        sums->now += result->times.first_token_seconds + result->times.text_seconds;
        sums->then += prompt->times.first_token_seconds + prompt->times.text_seconds;
    }
}

bool kgen_replay_drifts(const struct kgen_replay_sums *sums)
{
    return sums->different > sums->explained || sums->other_prompts > 0;
}

double kgen_replay_ratio(double now, double then)
{
    return kgen_rate(then, now);
}

static const char *outcome(const struct kgen_replay_result *result)
{
    if (!result->same_prompt || result->count > result->explained)
        return "drift";
    return result->count > 0 ? "explained" : "same";
}

static bool same_machine(const struct kgen_replay *replay)
{
    return strcmp(replay->pack.machine.identity, replay->opened.context->machine.identity) == 0;
}

/* The entry of the pack's dispatch for that of this run, or NULL. */
static const json_t *entry_then(const struct kgen_replay *replay, const json_t *entry)
{
    for (size_t i = 0; i < json_array_size(replay->pack.dispatch); i++) {
        const json_t *then = json_array_get(replay->pack.dispatch, i);
        if (json_equal(json_object_get(then, "node"), json_object_get(entry, "node")) &&
            json_equal(json_object_get(then, "problem"), json_object_get(entry, "problem")))
            return then;
    }
    return NULL;
}

/* ---- JSON ---- */

static json_t *differences_json(const struct kgen_replay_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->count; i++) {
        const struct kgen_replay_difference *each = &result->differences[i];
        json_array_append_new(
            list, json_pack("{s:I, s:i, s:i, s:o, s:o, s:s}", "position", (json_int_t)each->position,
                            "stored_token", each->stored, "token", each->now, "stored_margin",
                            kgen_json_number(each->margin), "lead", kgen_json_number(each->lead), "judgement",
                            each->explained ? "explained" : "drift"));
    }
    return list;
}

static json_t *times_json(const struct kgen_pack_prompt *prompt, const struct kgen_pack_times *times)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "prompt_seconds", kgen_json_number(times->prompt_seconds),
                     "first_token_seconds", kgen_json_number(times->first_token_seconds), "text_seconds",
                     kgen_json_number(times->text_seconds), "prompt_tokens_per_second",
                     kgen_json_positive(kgen_rate((double)prompt->prompt.count, times->prompt_seconds)),
                     "text_tokens_per_second",
                     kgen_json_positive(kgen_rate((double)(prompt->tokens.count - 1), times->text_seconds)));
}

static json_t *prompt_json(const struct kgen_replay *replay, size_t index)
{
    const struct kgen_pack_prompt *prompt = &replay->pack.prompts[index];
    const struct kgen_replay_result *result = &replay->results[index];
    return json_pack(
        "{s:s, s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "text",
        prompt->text.data != NULL ? prompt->text.data : "", "result", outcome(result), "same_prompt_tokens",
        result->same_prompt, "prompt_token_count", (json_int_t)prompt->prompt.count, "token_count",
        (json_int_t)prompt->tokens.count, "differences", differences_json(result), "margin_shift",
        kgen_json_number(result->margin_shift), "now", times_json(prompt, &result->times), "then",
        times_json(prompt, &prompt->times), "prompt_speed_ratio",
        kgen_json_positive(kgen_replay_ratio(result->times.prompt_seconds, prompt->times.prompt_seconds)),
        "text_speed_ratio",
        kgen_json_positive(kgen_replay_ratio(result->times.text_seconds, prompt->times.text_seconds)));
}

/* The dispatch of this run, with the variants of the pack: null where the pack has no such node. */
static json_t *dispatch_json(const struct kgen_replay *replay)
{
    json_t *list = json_deep_copy(replay->dispatch);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *entry = json_array_get(list, i);
        json_t *then = json_object_get(entry_then(replay, entry), "variant");
        json_t *prompt_then = json_object_get(entry_then(replay, entry), "prompt_variant");
        json_object_set_new(entry, "variant_then", then != NULL ? json_incref(then) : json_null());
        json_object_set_new(entry, "prompt_variant_then",
                            prompt_then != NULL ? json_incref(prompt_then) : json_null());
    }
    return list;
}

static json_t *side_json(const char *version, const struct kgen_machine *machine,
                         const struct kgen_pack_settings *settings, double peak, double seconds)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "kgen", version, "machine", kgen_json_machine(machine),
                     "settings", kgen_pack_settings_json(settings), "peak_memory_megabytes",
                     kgen_json_positive(peak), "seconds", kgen_json_positive(seconds));
}

int kgen_replay_print_json(const struct kgen_replay *replay)
{
    const struct kgen_pack *pack = &replay->pack;
    struct kgen_replay_sums sums;
    json_t *prompts = json_array();
    kgen_replay_sum(replay, &sums);
    const double ratio = kgen_rate(sums.now, sums.then);
    for (size_t i = 0; i < replay->finished; i++)
        json_array_append_new(prompts, prompt_json(replay, i));
    return kgen_json_print(json_pack(
        "{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}",
        "pack", replay->path, "checkpoint", replay->opened.options->arguments[0], "drift",
        kgen_replay_drifts(&sums), "prompt_count", (json_int_t)pack->count, "tokens", (json_int_t)sums.tokens,
        "different_tokens", (json_int_t)sums.different, "explained_tokens", (json_int_t)sums.explained,
        "tolerance", kgen_json_number(replay->tolerance), "same_machine", same_machine(replay), "now",
        side_json(KGEN_VERSION, &replay->opened.context->machine, &replay->settings, kgen_peak_megabytes(),
                  sums.now),
        "then", side_json(pack->version, &pack->machine, &pack->settings, pack->peak_megabytes, sums.then),
        "prompt_speed_ratio", kgen_json_positive(kgen_replay_ratio(sums.prompt_now, sums.prompt_then)),
        "text_speed_ratio", kgen_json_positive(kgen_replay_ratio(sums.text_now, sums.text_then)),
        "time_ratio", kgen_json_positive(ratio), "slower_than",
        kgen_json_positive(replay->options.slower_than), "open_seconds",
        kgen_json_positive(replay->opened.seconds), "too_slow",
        replay->options.slower_than > 0 && ratio > replay->options.slower_than, "dispatch",
        dispatch_json(replay), "prompts", prompts));
}

/* ---- text ---- */

/* A text on one line. */
static void add_line(struct kgen_table *table, const struct kgen_text *text)
{
    struct kgen_text line = {0};
    for (size_t i = 0; i < text->length; i++)
        kgen_text_printf(&line, "%c", (unsigned char)text->data[i] < ' ' ? ' ' : text->data[i]);
    kgen_table_cell(table, "%s", line.data != NULL ? line.data : "");
    kgen_text_free(&line);
}

/* A rate now and then, and their ratio; "-" where there is none. */
static void add_rates(struct kgen_table *table, double count, double now, double then)
{
    const double rates[] = {kgen_rate(count, now), kgen_rate(count, then)};
    for (size_t i = 0; i < KGEN_COUNT_OF(rates); i++) {
        if (rates[i] > 0)
            kgen_table_cell(table, "%.1f", rates[i]);
        else
            kgen_table_cell(table, "-");
    }
    if (rates[0] > 0 && rates[1] > 0)
        kgen_table_cell(table, "%.2f", kgen_replay_ratio(now, then));
    else
        kgen_table_cell(table, "-");
}

static void print_prompts(const struct kgen_replay *replay)
{
    static const struct kgen_column columns[] = {
        {"#", true, 0},         {"prompt", false, 28},    {"result", false, 0}, {"tokens", true, 0},
        {"different", true, 0}, {"text/s", true, 0},      {"then", true, 0},    {"ratio", true, 0},
        {"prompt/s", true, 0},  {"then", true, 0},        {"ratio", true, 0},   {"first token ms", true, 0},
        {"then", true, 0},      {"margin shift", true, 0}};
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    for (size_t i = 0; i < replay->finished; i++) {
        const struct kgen_pack_prompt *prompt = &replay->pack.prompts[i];
        const struct kgen_replay_result *result = &replay->results[i];
        kgen_table_cell(&table, "%zu", i + 1);
        add_line(&table, &prompt->text);
        kgen_table_cell(&table, "%s", outcome(result));
        kgen_table_cell(&table, "%zu", prompt->tokens.count);
        kgen_table_cell(&table, "%zu", result->count);
        add_rates(&table, (double)(prompt->tokens.count - 1), result->times.text_seconds,
                  prompt->times.text_seconds);
        add_rates(&table, (double)prompt->prompt.count, result->times.prompt_seconds,
                  prompt->times.prompt_seconds);
        kgen_table_cell(&table, "%.2f", result->times.first_token_seconds * 1e3);
        kgen_table_cell(&table, "%.2f", prompt->times.first_token_seconds * 1e3);
        kgen_table_cell(&table, "%.2g", result->margin_shift);
    }
    if (replay->finished > 0)
        kgen_table_print(&table, stdout);
    kgen_table_free(&table);
}

/* Appends the text of a token in quotes, on one line. */
static void write_token(const struct kgen_replay *replay, int32_t token, struct kgen_text *text)
{
    struct kgen_text bytes = {0};
    kgen_text_printf(text, "%d", token);
    if (kgen_tokenizer_decode(replay->opened.tokenizer, token, true, &bytes, NULL) == 0 && bytes.length > 0) {
        kgen_text_puts(text, " '");
        for (size_t i = 0; i < bytes.length; i++)
            kgen_text_printf(text, (unsigned char)bytes.data[i] < ' ' ? "\\x%02x" : "%c",
                             (unsigned char)bytes.data[i]);
        kgen_text_puts(text, "'");
    }
    kgen_text_free(&bytes);
}

static void print_difference(const struct kgen_replay *replay, size_t index,
                             const struct kgen_replay_difference *each)
{
    struct kgen_text stored = {0}, now = {0};
    write_token(replay, each->stored, &stored);
    write_token(replay, each->now, &now);
    printf("prompt %zu, position %zu of the response: token %s then, %s now; margin %.4g then, lead %.4g "
           "now: %s\n",
           index + 1, each->position, stored.failed ? "?" : stored.data, now.failed ? "?" : now.data,
           each->margin, each->lead, each->explained ? "explained" : "drift");
    kgen_text_free(&stored);
    kgen_text_free(&now);
}

/* The first ones of a prompt, and the first drift, if it comes later. */
static void print_differences(const struct kgen_replay *replay)
{
    for (size_t i = 0; i < replay->finished; i++) {
        const struct kgen_replay_result *result = &replay->results[i];
        size_t shown = 0;
        bool drift = false;
        if (!result->same_prompt)
            printf("prompt %zu: the tokenizer gives other tokens for its text now: drift\n", i + 1);
        for (size_t j = 0; j < result->count; j++) {
            const bool first_drift = !result->differences[j].explained && !drift;
            if (shown >= SHOWN && !first_drift)
                continue;
            print_difference(replay, i, &result->differences[j]);
            drift = drift || first_drift;
            shown++;
        }
        if (shown < result->count)
            printf("prompt %zu: %zu more; --json lists them\n", i + 1, result->count - shown);
    }
}

static const char *string_of(const json_t *entry, const char *key, const char *otherwise)
{
    const char *string = json_string_value(json_object_get(entry, key));
    return string != NULL ? string : otherwise;
}

static void print_dispatch(const struct kgen_replay *replay)
{
    static const struct kgen_column columns[] = {{"node", false, 34},
                                                 {"count", true, 0},
                                                 {"variant", false, 60},
                                                 {"of several rows", false, 60},
                                                 {"then", false, 60}};
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    for (size_t i = 0; i < json_array_size(replay->dispatch); i++) {
        const json_t *entry = json_array_get(replay->dispatch, i), *then = entry_then(replay, entry);
        const bool same =
            json_equal(json_object_get(entry, "variant"), json_object_get(then, "variant")) &&
            json_equal(json_object_get(entry, "prompt_variant"), json_object_get(then, "prompt_variant"));
        kgen_table_cell(&table, "%s", string_of(entry, "node", "?"));
        kgen_table_cell(&table, "%lld", (long long)json_integer_value(json_object_get(entry, "count")));
        kgen_table_cell(&table, "%s", string_of(entry, "variant", "?"));
        kgen_table_cell(&table, "%s", string_of(entry, "prompt_variant", "row by row"));
        kgen_table_cell(&table, "%s%s%s", same ? "same" : string_of(then, "variant", "no such node"),
                        same || then == NULL ? "" : "; ",
                        same || then == NULL ? "" : string_of(then, "prompt_variant", "row by row"));
    }
    kgen_table_print(&table, stdout);
    kgen_table_free(&table);
}

static void write_settings(const struct kgen_pack_settings *settings, struct kgen_text *text)
{
    kgen_text_printf(text, "%s activations, layout %s, caches of %s, context %lld, %lld rows, %lld thread%s",
                     kgen_constant_name(settings->activation_dtype), kgen_constant_name(settings->layout),
                     kgen_constant_name(settings->cache_dtype), (long long)settings->context,
                     (long long)settings->prompt_rows, (long long)settings->threads,
                     kgen_plural((size_t)settings->threads));
}

static void print_settings(const struct kgen_replay *replay)
{
    struct kgen_text now = {0}, then = {0};
    write_settings(&replay->settings, &now);
    write_settings(&replay->pack.settings, &then);
    if (!now.failed && !then.failed) {
        printf("%s: %s", replay->opened.options->arguments[0], now.data);
        if (strcmp(now.data, then.data) != 0)
            printf("; other settings then: %s", then.data);
        putchar('\n');
    }
    kgen_text_free(&now);
    kgen_text_free(&then);
}

void kgen_replay_print(const struct kgen_replay *replay)
{
    const struct kgen_pack *pack = &replay->pack;
    const struct kgen_machine *machine = &replay->opened.context->machine;
    struct kgen_replay_sums sums;
    kgen_replay_sum(replay, &sums);
    print_prompts(replay);
    if (sums.different > 0 || sums.other_prompts > 0)
        putchar('\n');
    print_differences(replay);
    putchar('\n');
    print_dispatch(replay);
    putchar('\n');
    print_settings(replay);
    printf("measured now against then: prompts %.2f times as fast, text %.2f times; peak memory %.0f MB, "
           "%.0f MB then\n",
           kgen_replay_ratio(sums.prompt_now, sums.prompt_then),
           kgen_replay_ratio(sums.text_now, sums.text_then), kgen_peak_megabytes(), pack->peak_megabytes);
    if (same_machine(replay))
        printf("then: kgen %s on this machine, %s\n", pack->version, machine->name);
    else
        printf("then: kgen %s on another machine, %s (%s); now: kgen %s on %s (%s)\n", pack->version,
               pack->machine.name, pack->machine.identity, KGEN_VERSION, machine->name, machine->identity);
    printf("%zu of %zu prompts, %zu tokens: %zu other ones, %zu of them explained by margins below %g: %s\n",
           replay->finished, pack->count, sums.tokens, sums.different, sums.explained, replay->tolerance,
           kgen_replay_drifts(&sums) ? "drift" : "no drift");
}
