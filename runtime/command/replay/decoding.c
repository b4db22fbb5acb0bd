/* SPDX-License-Identifier: MIT */
/* Prompts and responses, free and along the tokens of a pack. */
#include "runtime/command/replay/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gen/base/clock.h"
#include "runtime/command/interrupt.h"
#include "runtime/model/tokenizer/chat.h"

/* In place of an infinite margin, which JSON cannot hold. */
#define MARGIN_MAX 1e30

int kgen_replay_encode(const struct kgen_opened_model *opened, const struct kgen_pack_prompt *prompt,
                       bool chat, struct kgen_token_ids *ids, struct kgen_error *error)
{
    struct kgen_text rendered = {0};
    const struct kgen_text *text = &prompt->text;
    int result = 0;
    if (chat) {
        const struct kgen_chat_message message = {"user", {text->data, text->length}};
        result = kgen_chat_render(opened->tokenizer, &message, 1, true, &rendered, error);
        text = &rendered;
    }
    if (result == 0)
        result =
            kgen_tokenizer_encode(opened->tokenizer, text->data, text->length,
                                  chat ? KGEN_ENCODE_PARSE_SPECIAL : KGEN_ENCODE_ADD_SPECIAL, ids, error);
    kgen_text_free(&rendered);
    return result;
}

const float *kgen_replay_prompt(const struct kgen_opened_model *opened, const struct kgen_token_ids *ids,
                                struct kgen_error *error)
{
    struct kgen_decoder *decoder = opened->model->decoder;
    const size_t most = (size_t)kgen_decoder_prompt_rows(decoder);
    const float *logits = NULL;
    for (size_t i = 0; i < ids->count; i += most) {
        if (kgen_interrupted)
            return NULL;
        const size_t rows = ids->count - i < most ? ids->count - i : most;
        logits = kgen_decoder_prompt(decoder, ids->ids + i, rows, (int64_t)i, error);
        if (logits == NULL)
            return NULL;
    }
    return kgen_interrupted ? NULL : logits;
}

int kgen_replay_warm_up(const struct kgen_opened_model *opened, const struct kgen_token_ids *ids,
                        struct kgen_error *error)
{
    struct kgen_decoder *decoder = opened->model->decoder;
    const size_t most = (size_t)kgen_decoder_prompt_rows(decoder);
    const size_t rows = ids->count < most ? ids->count : most;
    if (kgen_decoder_prompt(decoder, ids->ids, rows, 0, error) == NULL ||
        kgen_decoder_step(decoder, ids->ids[0], 0, error) == NULL)
        return -1;
    return 0;
}

int kgen_replay_greatest(const float *logits, int64_t vocabulary, int32_t token, int32_t *best,
                         double *margin, struct kgen_error *error)
{
    int32_t greatest = 0;
    for (int64_t i = 0; i < vocabulary; i++) {
        if (isnan(logits[i]) || logits[i] == INFINITY)
            return kgen_error_set(error, KGEN_ERROR_COMPILE, NULL, 0, 0,
                                  "the model gives a logit that is no number, of token %lld", (long long)i);
        if (logits[i] > logits[greatest])
            greatest = (int32_t)i;
    }
    const int32_t of = token >= 0 ? token : greatest;
    double others = -INFINITY;
    for (int64_t i = 0; i < vocabulary; i++) {
        if (i != of && logits[i] > others)
            others = (double)logits[i];
    }
    const double difference = (double)logits[of] - others;
    *best = greatest;
    *margin = difference < -MARGIN_MAX                       ? -MARGIN_MAX
              : difference > MARGIN_MAX || isnan(difference) ? MARGIN_MAX
                                                             : difference;
    return 0;
}

/* ---- recording ---- */

static int take_token(const struct kgen_opened_model *opened, struct kgen_pack_prompt *prompt,
                      const float *logits, struct kgen_error *error)
{
    int32_t token;
    double margin;
    const size_t count = prompt->tokens.count;
    if (kgen_replay_greatest(logits, kgen_decoder_vocabulary(opened->model->decoder), -1, &token, &margin,
                             error) != 0)
        return -1;
    if ((count & (count - 1)) == 0) {
        double *grown = realloc(prompt->margins, (count > 0 ? 2 * count : 1) * sizeof *grown);
        if (grown == NULL)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        prompt->margins = grown;
    }
    prompt->margins[count] = margin;
    prompt->ended = kgen_tokenizer_ends(opened->tokenizer, token);
    return kgen_token_ids_push(&prompt->tokens, token, error);
}

static int record_prompt(const struct kgen_opened_model *opened, struct kgen_pack_prompt *prompt,
                         int64_t tokens, struct kgen_error *error)
{
    struct kgen_decoder *decoder = opened->model->decoder;
    const double begin = kgen_clock();
    const float *logits = kgen_replay_prompt(opened, &prompt->prompt, error);
    if (logits == NULL)
        return kgen_interrupted ? 0 : -1;
    prompt->times.prompt_seconds = kgen_clock() - begin;
    if (take_token(opened, prompt, logits, error) != 0)
        return -1;
    const double first = kgen_clock();
    prompt->times.first_token_seconds = first - begin;
    while ((int64_t)prompt->tokens.count < tokens && !prompt->ended && !kgen_interrupted) {
        const int64_t position = (int64_t)(prompt->prompt.count + prompt->tokens.count) - 1;
        if (position >= kgen_decoder_context(decoder))
            break;
        logits = kgen_decoder_step(decoder, prompt->tokens.ids[prompt->tokens.count - 1], position, error);
        if (logits == NULL || take_token(opened, prompt, logits, error) != 0)
            return -1;
    }
    prompt->times.text_seconds = kgen_clock() - first;
    return 0;
}

int kgen_replay_record(const struct kgen_opened_model *opened, struct kgen_pack *pack, int64_t tokens,
                       struct kgen_error *error)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < pack->count && !kgen_interrupted; i++) {
        if (i == 0)
            result = kgen_replay_warm_up(opened, &pack->prompts[i].prompt, error);
        kgen_opened_model_show(opened, "prompt %zu of %zu", i + 1, pack->count);
        if (result == 0)
            result = record_prompt(opened, &pack->prompts[i], tokens, error);
    }
    kgen_opened_model_clear(opened);
    return result;
}

/* ---- replaying ---- */

/* Holds the logits of a position against the pack. */
static int judge(const struct kgen_replay *replay, const struct kgen_pack_prompt *prompt, size_t position,
                 const float *logits, struct kgen_replay_result *result, struct kgen_error *error)
{
    int32_t best;
    double margin;
    const int32_t stored = prompt->tokens.ids[position];
    const double then = prompt->margins[position];
    if (kgen_replay_greatest(logits, kgen_decoder_vocabulary(replay->opened.model->decoder), stored, &best,
                             &margin, error) != 0)
        return -1;
    result->margin_shift = fmax(result->margin_shift, fabs(margin - then));
    if (best == stored)
        return 0;
    struct kgen_replay_difference *grown = realloc(result->differences, (result->count + 1) * sizeof *grown);
    if (grown == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    const bool explained = then < replay->tolerance && -margin < replay->tolerance;
    result->differences = grown;
    grown[result->count++] =
        (struct kgen_replay_difference){position, stored, best, then, margin < 0 ? -margin : 0, explained};
    result->explained += explained;
    return 0;
}

static int replay_prompt(const struct kgen_replay *replay, const struct kgen_pack_prompt *prompt,
                         struct kgen_replay_result *result, struct kgen_error *error)
{
    struct kgen_decoder *decoder = replay->opened.model->decoder;
    const double begin = kgen_clock();
    const float *logits = kgen_replay_prompt(&replay->opened, &prompt->prompt, error);
    if (logits == NULL)
        return kgen_interrupted ? 0 : -1;
    result->times.prompt_seconds = kgen_clock() - begin;
    if (judge(replay, prompt, 0, logits, result, error) != 0)
        return -1;
    const double first = kgen_clock();
    result->times.first_token_seconds = first - begin;
    for (size_t i = 1; i < prompt->tokens.count && !kgen_interrupted; i++) {
        logits = kgen_decoder_step(decoder, prompt->tokens.ids[i - 1],
                                   (int64_t)(prompt->prompt.count + i) - 1, error);
        if (logits == NULL || judge(replay, prompt, i, logits, result, error) != 0)
            return -1;
    }
    result->times.text_seconds = kgen_clock() - first;
    return 0;
}

static int compare_prompt(const struct kgen_replay *replay, const struct kgen_pack_prompt *prompt,
                          struct kgen_replay_result *result, struct kgen_error *error)
{
    struct kgen_token_ids ids = {0};
    const int encoded = kgen_replay_encode(&replay->opened, prompt, replay->pack.settings.chat, &ids, error);
    result->same_prompt = ids.count == prompt->prompt.count &&
                          memcmp(ids.ids, prompt->prompt.ids, ids.count * sizeof *ids.ids) == 0;
    kgen_token_ids_free(&ids);
    return encoded;
}

int kgen_replay_run(struct kgen_replay *replay, struct kgen_error *error)
{
    const struct kgen_pack *pack = &replay->pack;
    int result = kgen_replay_warm_up(&replay->opened, &pack->prompts[0].prompt, error);
    for (size_t i = 0; result == 0 && i < pack->count && !kgen_interrupted; i++) {
        kgen_opened_model_show(&replay->opened, "prompt %zu of %zu", i + 1, pack->count);
        result = compare_prompt(replay, &pack->prompts[i], &replay->results[i], error);
        if (result == 0)
            result = replay_prompt(replay, &pack->prompts[i], &replay->results[i], error);
        if (result == 0 && !kgen_interrupted)
            replay->finished++;
    }
    kgen_opened_model_clear(&replay->opened);
    return result;
}
