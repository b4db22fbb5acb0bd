/* SPDX-License-Identifier: MIT */
#include "runtime/api/model.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_PROMPT_ROWS = 512 };

void kgen_model_close(struct kgen_model *model)
{
    if (model == NULL)
        return;
    kgen_decoder_free(model->decoder);
    kgen_plan_free(model->plan);
    kgen_spec_free(model->spec);
    kgen_checkpoint_free(model->checkpoint);
    free(model);
}

static const char *activation_dtype_of(const struct kgen_model_options *options)
{
    return options->activation_dtype != NULL ? options->activation_dtype : "i24";
}

static const char *layout_of(const struct kgen_model_options *options)
{
    if (options->layout != NULL)
        return options->layout;
    return strcmp(activation_dtype_of(options), "f32") == 0 ? "stored" : "tiles16";
}

static const char *cache_dtype_of(const struct kgen_model_options *options)
{
    return options->cache_dtype != NULL ? options->cache_dtype : "f16";
}

int kgen_model_write_config(const struct kgen_checkpoint *checkpoint,
                            const struct kgen_model_options *options, struct kgen_text *text,
                            struct kgen_error *error)
{
    struct kgen_text stored = {0};
    if (kgen_checkpoint_config(checkpoint, &stored, error) != 0) {
        kgen_text_free(&stored);
        return -1;
    }
    json_t *config = json_loadb(stored.data, stored.length, 0, NULL);
    const int64_t prompt_rows = options->prompt_rows > 0 ? options->prompt_rows : USUAL_PROMPT_ROWS;
    char *written = NULL;
    if (config != NULL &&
        json_object_set_new(config, "activation_dtype", json_string(activation_dtype_of(options))) == 0 &&
        json_object_set_new(config, "layout", json_string(layout_of(options))) == 0 &&
        json_object_set_new(config, "cache_dtype", json_string(cache_dtype_of(options))) == 0 &&
        (options->context == 0 ||
         json_object_set_new(config, "context", json_integer(options->context)) == 0) &&
        json_object_set_new(config, "prompt_rows", json_integer(prompt_rows)) == 0)
        written = json_dumps(config, JSON_INDENT(1));
    if (written != NULL)
        kgen_text_puts(text, written);
    free(written);
    json_decref(config);
    kgen_text_free(&stored);
    return written == NULL || text->failed
               ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory")
               : 0;
}

/* Fails where the file does not hold what the graph asks for. */
static int check(const struct kgen_model *model, struct kgen_error *error)
{
    struct kgen_checkpoint_mismatches mismatches = {0};
    int result = kgen_checkpoint_check(model->checkpoint, model->spec->graph, &mismatches, error);
    if (result == 0 && mismatches.count > 0) {
        result = kgen_error_set(error, KGEN_ERROR_SPEC, kgen_checkpoint_source(model->checkpoint), 0, 0,
                                "%s: %s", mismatches.items[0].name, mismatches.items[0].what);
        if (mismatches.count > 1)
            kgen_error_hint(error, "%zu more; kgen inspect lists them", mismatches.count - 1);
    }
    kgen_checkpoint_mismatches_free(&mismatches);
    return result;
}

static int load(struct kgen_model *model, const struct kgen_context *context,
                const struct kgen_model_options *options, struct kgen_error *error)
{
    const struct kgen_kernel **kernels = calloc(model->plan->count + 1, sizeof *kernels);
    bool *plain = calloc(model->plan->count + 1, sizeof *plain);
    if (kernels == NULL || plain == NULL) {
        free(kernels);
        free(plain);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    for (size_t i = 0; i < model->plan->count; i++) {
        kernels[i] = &model->plan->functions[i].kernel;
        plain[i] = model->plan->functions[i].isa == KGEN_ISA_GENERIC;
    }
    const struct kgen_decoder_parts parts = {.graph = model->spec->graph,
                                             .kernels = kernels,
                                             .plain = plain,
                                             .checkpoint = model->checkpoint,
                                             .threads = context->settings.threads,
                                             .progress = options->progress,
                                             .progress_context = options->progress_context};
    model->decoder = kgen_decoder_new(&parts, error);
    free(kernels);
    free(plain);
    return model->decoder != NULL ? 0 : -1;
}

/* Returns 0, or -1 with the error, or with the status set. */
static int open_parts(struct kgen_model *model, struct kgen_context *context, const char *path,
                      const struct kgen_model_options *options, struct kgen_status *status,
                      struct kgen_error *error)
{
    model->checkpoint = kgen_checkpoint_open(path, error);
    if (model->checkpoint == NULL)
        return -1;
    struct kgen_text config = {0};
    model->activation_dtype = activation_dtype_of(options);
    model->layout = layout_of(options);
    model->cache_dtype = cache_dtype_of(options);
    if (kgen_model_write_config(model->checkpoint, options, &config, error) == 0)
        model->spec = kgen_spec_parse(path, config.data, config.length, NULL, error);
    if (model->spec != NULL && check(model, error) == 0)
        model->plan = kgen_plan_text(context, path, config.data, config.length, status);
    kgen_text_free(&config);
    return model->plan == NULL ? -1 : load(model, context, options, error);
}

struct kgen_model *kgen_model_open(struct kgen_context *context, const char *path,
                                   const struct kgen_model_options *options, struct kgen_status *status)
{
    static const struct kgen_model_options defaults = {0};
    struct kgen_error error = {0};
    struct kgen_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        kgen_status_set(status, KGEN_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    if (open_parts(model, context, path, options != NULL ? options : &defaults, status, &error) == 0)
        return model;
    if (error.code != KGEN_ERROR_NONE)
        kgen_status_from(status, &error);
    kgen_model_close(model);
    return NULL;
}
