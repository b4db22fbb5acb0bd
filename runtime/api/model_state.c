/* SPDX-License-Identifier: MIT */
/* States of models. */
#include "runtime/api/model.h"

#include <stdlib.h>
#include <string.h>

static size_t logits_bytes(const struct kgen_model *model)
{
    return (size_t)kgen_decoder_vocabulary(model->decoder) * sizeof(float);
}

struct kgen_model_state *kgen_model_state_new(struct kgen_model *model, int64_t context,
                                              struct kgen_status *status)
{
    struct kgen_error error = {0};
    const int64_t most = kgen_decoder_context(model->decoder);
    if (context < 0 || context > most) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "a state of %lld positions is asked for; the model was opened for %lld",
                       (long long)context, (long long)most);
        kgen_error_hint(&error, "kgen_model_settings.context says for how many");
        kgen_status_from(status, &error);
        return NULL;
    }
    struct kgen_model_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        kgen_status_set(status, KGEN_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    state->model = kgen_model_use(model);
    state->logits = malloc(logits_bytes(model));
    state->sequence = kgen_decoder_sequence_new(model->decoder, context > 0 ? context : most, &error);
    if (state->logits != NULL && state->sequence != NULL)
        return state;
    kgen_status_set(status, KGEN_OUT_OF_MEMORY, "no memory for a state of %lld positions",
                    (long long)(context > 0 ? context : most));
    kgen_model_state_free(state);
    return NULL;
}

void kgen_model_state_free(struct kgen_model_state *state)
{
    if (state == NULL)
        return;
    kgen_sequence_free(state->sequence);
    free(state->logits);
    kgen_model_close(state->model);
    free(state);
}

struct kgen_model_state *kgen_model_state_fork(const struct kgen_model_state *state,
                                               struct kgen_status *status)
{
    struct kgen_model_state *made = kgen_model_state_new(state->model, state->sequence->context, status);
    if (made == NULL)
        return NULL;
    kgen_sequence_copy(made->sequence, state->sequence);
    made->has_logits = state->has_logits;
    if (state->has_logits)
        memcpy(made->logits, state->logits, logits_bytes(state->model));
    return made;
}

int64_t kgen_model_state_position(const struct kgen_model_state *state)
{
    return state->sequence->filled;
}

int64_t kgen_model_state_context(const struct kgen_model_state *state)
{
    return state->sequence->context;
}

int kgen_model_state_truncate(struct kgen_model_state *state, int64_t position, struct kgen_status *status)
{
    if (position < 0 || position > state->sequence->filled)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT,
                               "a state of %lld tokens cannot be truncated to %lld",
                               (long long)state->sequence->filled, (long long)position);
    struct kgen_error error = {0};
    const bool is_other = position != state->sequence->filled;
    if (is_other && kgen_sequence_truncate(state->sequence, position, &error) != 0)
        return kgen_status_from(status, &error);
    state->has_logits = state->has_logits && !is_other;
    return 0;
}

const float *kgen_model_logits(const struct kgen_model_state *state)
{
    return state->has_logits ? state->logits : NULL;
}
