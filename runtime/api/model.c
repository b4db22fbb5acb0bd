/* SPDX-License-Identifier: MIT */
#include "runtime/api/model.h"

#include "gen/ops/constant.h"
#include "runtime/machine/memory.h"
#include "runtime/model/package.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_PROMPT_ROWS = 512 };

struct kgen_model *kgen_model_use(struct kgen_model *model)
{
    atomic_fetch_add(&model->uses, 1);
    return model;
}

void kgen_model_close(struct kgen_model *model)
{
    if (model == NULL || atomic_fetch_sub(&model->uses, 1) > 1)
        return;
    kgen_tokenizer_free(model->tokenizer);
    kgen_decoder_free(model->decoder);
    kgen_plan_free(model->plan);
    kgen_spec_free(model->spec);
    kgen_checkpoint_free(model->checkpoint);
    pthread_mutex_destroy(&model->lock);
    free(model);
}

/* Writes the config of the checkpoint with what the options and the model say. */
static int write_config(const struct kgen_model *model, const struct kgen_model_options *options,
                        struct kgen_text *text, struct kgen_error *error)
{
    struct kgen_text stored = {0};
    if (options->config != NULL)
        kgen_text_append(&stored, options->config->data, options->config->length);
    else if (kgen_checkpoint_config(model->checkpoint, &stored, error) != 0) {
        kgen_text_free(&stored);
        return -1;
    }
    json_t *config = json_loadb(stored.data, stored.length, 0, NULL);
    const int64_t prompt_rows = options->prompt_rows > 0 ? options->prompt_rows : USUAL_PROMPT_ROWS;
    char *written = NULL;
    if (config != NULL &&
        json_object_set_new(config, "activation_dtype", json_string(model->activation_dtype)) == 0 &&
        json_object_set_new(config, "output_activation_dtype", json_string(model->output_activation_dtype)) ==
            0 &&
        json_object_set_new(config, "layout", json_string(model->layout)) == 0 &&
        json_object_set_new(config, "cache_dtype", json_string(model->cache_dtype)) == 0 &&
        (options->context == 0 ||
         json_object_set_new(config, "context", json_integer(options->context)) == 0) &&
        (!model->separate || json_object_set_new(config, "fuse_products", json_false()) == 0) &&
        (options->sequences == 0 ||
         json_object_set_new(config, "sequences", json_integer(options->sequences)) == 0) &&
        (options->page_size == 0 ||
         json_object_set_new(config, "page_size", json_integer(options->page_size)) == 0) &&
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
                                             .pages = options->pages,
                                             .in_place = model->in_place,
                                             .progress = options->progress,
                                             .progress_context = options->progress_context};
    model->decoder = kgen_decoder_new(&parts, error);
    free(kernels);
    free(plain);
    return model->decoder != NULL ? 0 : -1;
}

/* ---- where weights are ---- */

static uint64_t megabytes(uint64_t bytes)
{
    return bytes >> 20;
}

/* Whether most weights lie in the file as kernels read them in the layout "stored". */
static bool stored_is_read(const struct kgen_checkpoint *checkpoint)
{
    uint64_t readable = 0, others = 0;
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        kgen_checkpoint_tensor_at(checkpoint, i, &tensor);
        const char *names[] = {tensor.name};
        struct kgen_matrix matrix = tensor.matrix;
        const bool in_place = tensor.matrix.format != NULL &&
                              kgen_checkpoint_in_place(checkpoint, names, 1, KGEN_STORED, &matrix);
        *(in_place ? &readable : &others) += tensor.bytes;
    }
    return readable > others;
}

/* Whether weights packed into memory of their own would take more of it than is free. */
static bool memory_is_short(const struct kgen_model *model, const struct kgen_context *context,
                            const struct kgen_model_options *options)
{
    struct kgen_checkpoint_facts facts;
    kgen_checkpoint_query(model->checkpoint, &facts);
    const uint64_t available =
        options->available_memory != 0 ? options->available_memory : kgen_memory_available();
    if (available == 0 || facts.bytes < available)
        return false;
    kgen_context_log(context, KGEN_LOG_WARNING,
                     "%llu MB of memory are free, and the weights take %llu: they are used in the file where "
                     "that is possible",
                     (unsigned long long)megabytes(available), (unsigned long long)megabytes(facts.bytes));
    return true;
}

/* NULL where the checkpoint is none, or there is no checkpoint. */
static const struct kgen_package *package_of(const struct kgen_model *model)
{
    return model->checkpoint != NULL ? kgen_checkpoint_package(model->checkpoint) : NULL;
}

/* Copies a name that a spec may have. A longer one is none: the spec says so. */
static const char *keep_name(char name[KGEN_MODEL_NAME_MAX], const char *given, const char *usual)
{
    snprintf(name, KGEN_MODEL_NAME_MAX, "%s", given != NULL ? given : usual);
    return name;
}

/* Sets what the options leave open: the precision of products, the layout of weights, and where they are.
 * The context is for a warning where memory is short, which packed weights, and those of a package, never
 * say. */
static void choose(struct kgen_model *model, const struct kgen_context *context,
                   const struct kgen_model_options *options)
{
    const struct kgen_package *package = package_of(model);
    struct kgen_package_facts facts = {.activation_dtype = KGEN_I24, .layout = KGEN_CONSTANT_NONE};
    if (package != NULL)
        kgen_package_query(package, &facts);
    model->activation_dtype =
        keep_name(model->names[0], options->activation_dtype, kgen_constant_name(facts.activation_dtype));
    /* The next token is chosen by the output projection, of which the time is that of reading its weights. */
    const bool coarse = strcmp(model->activation_dtype, kgen_constant_name(KGEN_I8)) == 0;
    model->output_activation_dtype =
        keep_name(model->names[3], options->output_activation_dtype,
                  coarse ? kgen_constant_name(KGEN_I24) : model->activation_dtype);
    model->cache_dtype = keep_name(model->names[2], options->cache_dtype, "f16");
    model->in_place = options->weights == KGEN_MODEL_WEIGHTS_IN_PLACE;
    if (model->checkpoint != NULL && options->weights == KGEN_MODEL_WEIGHTS_AUTO)
        model->in_place = package != NULL || memory_is_short(model, context, options);
    if (model->checkpoint == NULL)
        model->in_place = false;
    if (package == NULL && model->in_place && stored_is_read(model->checkpoint))
        facts.layout = KGEN_STORED;
    const bool stored =
        options->layout != NULL ? strcmp(options->layout, "stored") == 0 : facts.layout == KGEN_STORED;
    /* The matrices that one product would take together lie apart. */
    model->separate = package == NULL && model->in_place && stored;
    if (facts.layout == KGEN_CONSTANT_NONE)
        facts.layout = strcmp(model->activation_dtype, "f32") == 0 ? KGEN_STORED : KGEN_TILES16;
    model->layout = keep_name(model->names[1], options->layout, kgen_constant_name(facts.layout));
}

/* Says where weights are not used in the file that were to be. */
static void say_packed(const struct kgen_model *model, const struct kgen_context *context,
                       const struct kgen_model_options *options)
{
    const struct kgen_package *package = package_of(model);
    struct kgen_decoder_sizes sizes;
    kgen_decoder_query(model->decoder, &sizes);
    if (!model->in_place || sizes.packed == 0)
        return;
    if (package != NULL) {
        struct kgen_package_facts facts;
        kgen_package_query(package, &facts);
        kgen_context_log(context, KGEN_LOG_WARNING,
                         "%zu of %zu matrices of the package are packed again: it has the layout %s, and the "
                         "kernels read %s",
                         sizes.packed, sizes.packed + sizes.in_place, kgen_constant_name(facts.layout),
                         model->layout);
    } else if (options->weights == KGEN_MODEL_WEIGHTS_IN_PLACE || sizes.in_place == 0) {
        kgen_context_log(
            context, KGEN_LOG_WARNING,
            "%zu of %zu matrices do not lie in the file as kernels read them, and are packed into "
            "memory; kgen pack makes a file of which all can be used",
            sizes.packed, sizes.packed + sizes.in_place);
    }
}

int kgen_model_write_config(struct kgen_checkpoint *checkpoint, const struct kgen_model_options *options,
                            struct kgen_text *text, struct kgen_error *error)
{
    struct kgen_model model = {.checkpoint = checkpoint};
    struct kgen_model_options packed = *options;
    if (package_of(&model) == NULL)
        packed.weights = KGEN_MODEL_WEIGHTS_PACKED;
    choose(&model, NULL, &packed);
    return write_config(&model, &packed, text, error);
}

/* Returns 0, or -1 with the error, or with the status set. */
static int open_parts(struct kgen_model *model, struct kgen_context *context, const char *path,
                      const struct kgen_model_options *options, struct kgen_status *status,
                      struct kgen_error *error)
{
    if (options->config == NULL && (model->checkpoint = kgen_checkpoint_open(path, error)) == NULL)
        return -1;
    struct kgen_text config = {0};
    choose(model, context, options);
    if (write_config(model, options, &config, error) == 0)
        model->spec = kgen_spec_parse(path, config.data, config.length, NULL, error);
    if (model->spec != NULL && (model->checkpoint == NULL || check(model, error) == 0))
        model->plan = kgen_plan_text(context, path, config.data, config.length, status);
    kgen_text_free(&config);
    if (model->plan == NULL || load(model, context, options, error) != 0)
        return -1;
    say_packed(model, context, options);
    return 0;
}

struct kgen_model *kgen_model_of_checkpoint(struct kgen_context *context, const char *path,
                                            const struct kgen_model_options *options,
                                            struct kgen_status *status)
{
    static const struct kgen_model_options defaults = {0};
    struct kgen_error error = {0};
    struct kgen_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        kgen_status_set(status, KGEN_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    atomic_init(&model->uses, 1);
    pthread_mutex_init(&model->lock, NULL);
    model->threads = context->settings.threads;
    if (open_parts(model, context, path, options != NULL ? options : &defaults, status, &error) == 0)
        return model;
    if (error.code != KGEN_ERROR_NONE)
        kgen_status_from(status, &error);
    kgen_model_close(model);
    return NULL;
}
