/* SPDX-License-Identifier: MIT */
/* Text from a checkpoint: text MODEL.gguf "Once upon a time" 64 */
#include <kgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct kgen_status status = {0};
    struct kgen_settings settings;
    kgen_settings_init(&settings, sizeof settings);
    settings.seconds = 1; /* of tuning at each start, until the search is over */
    struct kgen_context *context = argc == 4 ? kgen_open(&settings, &status) : NULL;
    struct kgen_model *model = context ? kgen_model_open(context, argv[1], NULL, &status) : NULL;
    struct kgen_model_state *state = model ? kgen_model_state_new(model, 0, &status) : NULL;
    struct kgen_model_sampler *sampler = state ? kgen_model_sampler_new(model, NULL, &status) : NULL;
    int32_t tokens[4096];
    int64_t count = sampler ? kgen_model_encode(model, argv[2], strlen(argv[2]), KGEN_MODEL_ADD_SPECIAL,
                                                tokens, 4096, &status)
                            : -1;
    const float *logits =
        count > 0 && count <= 4096 ? kgen_model_step(state, tokens, (size_t)count, &status) : NULL;
    for (int left = logits ? atoi(argv[3]) : 0; left > 0 && logits; left--) {
        char text[256];
        int32_t token = kgen_model_sampler_next(sampler, logits, &status);
        if (token < 0 || kgen_model_ends(model, token))
            break;
        kgen_model_decode(model, &token, 1, 0, text, sizeof text, &status);
        fputs(text, stdout);
        fflush(stdout);
        logits = left > 1 ? kgen_model_step(state, &token, 1, &status) : NULL;
    }
    puts("");
    if (status.code != KGEN_OK)
        fprintf(stderr, "%s\n", kgen_status_format(&status, (char[1024]){0}, 1024));
    kgen_model_sampler_free(sampler);
    kgen_model_state_free(state);
    kgen_model_close(model);
    kgen_close(context);
    return status.code == KGEN_OK && argc == 4 ? 0 : 1;
}
