/* SPDX-License-Identifier: MIT */
/* Running the tokens of sequences: one by one, as rows of a prompt, or one of each of several sequences. */
#include "runtime/model/decoder_internal.h"

#include <string.h>

/* ---- what can be run ---- */

static int check_token(const struct kgen_decoder *decoder, int64_t token, struct kgen_error *error)
{
    if (token >= 0 && token < decoder->vocabulary)
        return 0;
    return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "token %lld is not below %lld",
                          (long long)token, (long long)decoder->vocabulary);
}

static int check_room(const struct kgen_sequence *sequence, int64_t position, int64_t count,
                      struct kgen_error *error)
{
    if (position < 0 || count > sequence->context || position > sequence->context - count) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the caches have room for %lld positions",
                       (long long)sequence->context);
        kgen_error_hint(error, "ask for a larger context");
        return -1;
    }
    if (position > sequence->filled)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "position %lld is asked for, %lld are filled", (long long)position,
                              (long long)sequence->filled);
    return 0;
}

static int check(const struct kgen_decoder *decoder, const struct kgen_sequence *sequence,
                 const int32_t *tokens, size_t count, int64_t position, struct kgen_error *error)
{
    if (count == 0)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there are no tokens to run");
    for (size_t i = 0; i < count; i++) {
        if (check_token(decoder, tokens[i], error) != 0)
            return -1;
    }
    return check_room(sequence, position, count > INT64_MAX ? INT64_MAX : (int64_t)count, error);
}

/* ---- one sequence ---- */

static void bind(struct kgen_decoder *decoder, const struct kgen_sequence *sequence)
{
    for (size_t i = 0; i < decoder->graph->node_count; i++)
        kgen_decoder_bind(decoder, i, sequence, &decoder->calls[i].arguments);
    kgen_decoder_batch_bind(decoder, sequence);
}

static int run_one(struct kgen_decoder *decoder, int32_t token, int64_t position, float *all,
                   struct kgen_error *error)
{
    if (kgen_decoder_jobs_run(decoder, token, position, error) != 0)
        return -1;
    if (all != NULL)
        memcpy(all, decoder->logits, (size_t)decoder->vocabulary * sizeof *all);
    return 0;
}

/* Runs tokens after those that the sequence holds. */
static int run_rows(struct kgen_decoder *decoder, struct kgen_sequence *sequence, const int32_t *tokens,
                    size_t count, float *all, struct kgen_error *error)
{
    const size_t most = (size_t)kgen_decoder_prompt_rows(decoder);
    const int64_t position = sequence->filled;
    bind(decoder, sequence);
    for (size_t i = 0; i < count;) {
        const size_t rows = count - i < most ? count - i : most;
        float *of_rows = all != NULL ? all + i * (size_t)decoder->vocabulary : NULL;
        const struct kgen_decoder_rows at_hand = {.tokens = tokens + i,
                                                  .count = (int64_t)rows,
                                                  .position = position + (int64_t)i,
                                                  .is_last = i + rows == count,
                                                  .all = of_rows};
        if (kgen_sequence_reserve(sequence, at_hand.position, at_hand.count, error) != 0)
            return -1;
        const int result = rows == 1 ? run_one(decoder, tokens[i], at_hand.position, of_rows, error)
                                     : kgen_decoder_batch_run(decoder->batch, &at_hand, error);
        if (result != 0)
            return -1;
        i += rows;
    }
    return 0;
}

/* Runs tokens from a position on, which the sequence holds or comes next. */
static const float *run(struct kgen_decoder *decoder, struct kgen_sequence *sequence, const int32_t *tokens,
                        size_t count, int64_t position, float *all, struct kgen_error *error)
{
    if (check(decoder, sequence, tokens, count, position, error) != 0 ||
        (position < sequence->filled && kgen_sequence_truncate(sequence, position, error) != 0) ||
        kgen_sequence_begin(sequence, (int64_t)count, kgen_decoder_prompt_rows(decoder), error) != 0)
        return NULL;
    const int result = run_rows(decoder, sequence, tokens, count, all, error);
    kgen_sequence_end(sequence, result == 0 ? (int64_t)count : -1);
    return result == 0 ? decoder->logits : NULL;
}

const float *kgen_decoder_sequence(struct kgen_decoder *decoder, struct kgen_sequence *sequence,
                                   const int32_t *tokens, size_t count, float *all, struct kgen_error *error)
{
    return run(decoder, sequence, tokens, count, sequence->filled, all, error);
}

const float *kgen_decoder_prompt(struct kgen_decoder *decoder, const int32_t *tokens, size_t count,
                                 int64_t position, struct kgen_error *error)
{
    if (decoder->own == NULL)
        decoder->own = kgen_decoder_sequence_new(decoder, decoder->context, error);
    return decoder->own != NULL ? run(decoder, decoder->own, tokens, count, position, NULL, error) : NULL;
}

const float *kgen_decoder_step(struct kgen_decoder *decoder, int64_t token, int64_t position,
                               struct kgen_error *error)
{
    const int32_t one = (int32_t)token;
    return check_token(decoder, token, error) == 0 ? kgen_decoder_prompt(decoder, &one, 1, position, error)
                                                   : NULL;
}

int64_t kgen_decoder_prompt_rows(const struct kgen_decoder *decoder)
{
    return decoder->batch != NULL ? kgen_decoder_batch_rows(decoder->batch) : 1;
}

/* ---- several sequences ---- */

static int check_batch(const struct kgen_decoder *decoder, struct kgen_sequence *const *sequences,
                       const int32_t *tokens, size_t count, struct kgen_error *error)
{
    if (count == 0 || count > (size_t)kgen_decoder_sequences(decoder))
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "%zu sequences are to run at once; the model runs 1 to %lld", count,
                              (long long)kgen_decoder_sequences(decoder));
    for (size_t i = 0; i < count; i++) {
        if (check(decoder, sequences[i], &tokens[i], 1, sequences[i]->filled, error) != 0)
            return -1;
    }
    return 0;
}

const float *kgen_decoder_batch(struct kgen_decoder *decoder, struct kgen_sequence *const *sequences,
                                const int32_t *tokens, size_t count, struct kgen_error *error)
{
    if (check_batch(decoder, sequences, tokens, count, error) != 0)
        return NULL;
    if (count == 1)
        return run(decoder, sequences[0], tokens, 1, sequences[0]->filled, NULL, error);
    struct kgen_decoder_batch *batch = decoder->sequence_batches[kgen_graph_buckets((int64_t)count) - 1];
    const struct kgen_decoder_rows rows = {
        .tokens = tokens, .count = (int64_t)count, .is_last = true, .sequences = sequences};
    bool has_room = true;
    for (size_t i = 0; has_room && i < count; i++)
        has_room = kgen_sequence_begin(sequences[i], 1, 1, error) == 0 &&
                   kgen_sequence_reserve(sequences[i], sequences[i]->filled, 1, error) == 0;
    const bool done = has_room && kgen_decoder_batch_run(batch, &rows, error) == 0;
    for (size_t i = 0; i < count; i++)
        kgen_sequence_end(sequences[i], done ? 1 : has_room ? -1 : 0);
    return done ? kgen_decoder_batch_logits(batch) : NULL;
}

int64_t kgen_decoder_sequences(const struct kgen_decoder *decoder)
{
    return decoder->graph->sequences > 1 ? decoder->graph->sequences : 1;
}
