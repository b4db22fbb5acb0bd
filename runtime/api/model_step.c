/* SPDX-License-Identifier: MIT */
/* Steps of models. The decoder of a model, with its team and its activations, runs one call at a time. */
#include "runtime/api/model.h"

#include <string.h>

static void keep_logits(struct kgen_model_state *state, const float *logits)
{
    memcpy(state->logits, logits,
           (size_t)kgen_decoder_vocabulary(state->model->decoder) * sizeof *state->logits);
    state->has_logits = true;
}

static int step(struct kgen_model_state *state, const int32_t *tokens, size_t count, float *all,
                struct kgen_status *status)
{
    struct kgen_error error = {0};
    pthread_mutex_lock(&state->model->lock);
    const float *logits =
        kgen_decoder_sequence(state->model->decoder, state->sequence, tokens, count, all, &error);
    if (logits != NULL)
        keep_logits(state, logits);
    pthread_mutex_unlock(&state->model->lock);
    return logits != NULL ? 0 : kgen_status_from(status, &error);
}

const float *kgen_model_step(struct kgen_model_state *state, const int32_t *tokens, size_t count,
                             struct kgen_status *status)
{
    return step(state, tokens, count, NULL, status) == 0 ? state->logits : NULL;
}

int kgen_model_step_all(struct kgen_model_state *state, const int32_t *tokens, size_t count, float *logits,
                        struct kgen_status *status)
{
    return step(state, tokens, count, logits, status);
}

/* Fails where the states cannot run at once. */
static int check_states(struct kgen_model_state *const *states, size_t count, struct kgen_status *status)
{
    struct kgen_error error = {0};
    if (count == 0)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "there are no states to run");
    const int64_t most = kgen_decoder_sequences(states[0]->model->decoder);
    if (count > (size_t)most) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "%zu states are to run at once; the model was opened for %lld", count,
                       (long long)most);
        kgen_error_hint(&error, "kgen_model_settings.sequences says for how many");
        return kgen_status_from(status, &error);
    }
    for (size_t i = 0; i < count; i++) {
        if (states[i]->model != states[0]->model)
            return kgen_status_set(status, KGEN_BAD_ARGUMENT, "state %zu is of another model than state 0",
                                   i);
        for (size_t j = 0; j < i; j++) {
            if (states[i] == states[j])
                return kgen_status_set(status, KGEN_BAD_ARGUMENT, "states %zu and %zu are the same", j, i);
        }
    }
    return 0;
}

int kgen_model_step_batch(struct kgen_model_state *const *states, const int32_t *tokens, size_t count,
                          struct kgen_status *status)
{
    struct kgen_sequence *sequences[KGEN_GRAPH_SEQUENCES_MAX];
    struct kgen_error error = {0};
    if (check_states(states, count, status) != 0)
        return -1;
    struct kgen_model *model = states[0]->model;
    for (size_t i = 0; i < count; i++)
        sequences[i] = states[i]->sequence;
    pthread_mutex_lock(&model->lock);
    const float *logits = kgen_decoder_batch(model->decoder, sequences, tokens, count, &error);
    for (size_t i = 0; logits != NULL && i < count; i++)
        keep_logits(states[i], logits + i * (size_t)kgen_decoder_vocabulary(model->decoder));
    pthread_mutex_unlock(&model->lock);
    return logits != NULL ? 0 : kgen_status_from(status, &error);
}
