/* SPDX-License-Identifier: MIT */
/* Reads what a config says of attention: the room and the dtype of the caches, and what the op cannot do. */
#include "gen/ops/attention_cache.h"
#include "gen/spec/reader.h"

#include <math.h>
#include <string.h>

enum { CONTEXT_DEFAULT = 4096 };

/* The option, kgen's own key, or what the model was made for, unless that is more than the default. */
static int read_context(const struct kgen_spec_reader *reader, json_t *config, int64_t *context)
{
    struct kgen_problem problem;
    struct kgen_json_path path = {NULL, "context", 0};
    json_t *own = json_object_get(config, "context");
    int64_t most = CONTEXT_DEFAULT;
    kgen_problem_init(&problem, kgen_op_find("attention_decode"));
    if (own != NULL && kgen_spec_field(reader, &path, own, "the spec",
                                       kgen_spec_find_field("attention_decode", "context"), &problem) != 0)
        return -1;
    if (kgen_spec_integer(reader, NULL, config, "max_position_embeddings", 1, INT64_MAX, &most) < 0)
        return -1;
    *context = most < CONTEXT_DEFAULT ? most : CONTEXT_DEFAULT;
    if (own != NULL)
        *context = kgen_problem_get(&problem, "context");
    if (reader->options->context != 0)
        *context = reader->options->context;
    return 0;
}

/* The option, kgen's own key, or the default of the op. */
static int read_cache_dtype(const struct kgen_spec_reader *reader, json_t *config, int64_t *dtype)
{
    struct kgen_problem problem;
    struct kgen_json_path path = {NULL, "cache_dtype", 0};
    json_t *own = json_object_get(config, "cache_dtype");
    kgen_problem_init(&problem, kgen_op_find("attention_decode"));
    if (own != NULL &&
        kgen_spec_field(reader, &path, own, "the spec",
                        kgen_spec_find_field("attention_decode", "cache_dtype"), &problem) != 0)
        return -1;
    *dtype = kgen_problem_get(&problem, "cache_dtype");
    if (reader->options->cache_dtype != KGEN_CONSTANT_NONE)
        *dtype = reader->options->cache_dtype;
    return 0;
}

/* The layers that have attention over all positions, in models where others have linear attention; or NULL.
 */
static struct kgen_layer_flag *find_full_layers(struct kgen_spec_model *model)
{
    for (size_t i = 0; i < model->layer_flag_count; i++) {
        if (strcmp(model->layer_flags[i].quantity, "full_attention") == 0)
            return &model->layer_flags[i];
    }
    return NULL;
}

/* kgen's own key, or no pages. */
static int read_page_size(const struct kgen_spec_reader *reader, json_t *config,
                          struct kgen_problem *attention)
{
    struct kgen_json_path path = {NULL, "page_size", 0};
    json_t *own = json_object_get(config, "page_size");
    if (own == NULL)
        return 0;
    if (kgen_spec_field(reader, &path, own, "the spec", kgen_spec_find_field("attention_decode", "page_size"),
                        attention) != 0)
        return -1;
    return kgen_problem_get(attention, "page_size") % KGEN_ATTENTION_TILE == 0
               ? 0
               : kgen_spec_fail(reader, &path, "\"page_size\" must be a multiple of %d", KGEN_ATTENTION_TILE);
}

/* The kind of each layer, as newer configs list them. */
static int read_layer_types(const struct kgen_spec_reader *reader, json_t *list, int64_t layers,
                            struct kgen_spec_model *model, struct kgen_layer_flag *sliding)
{
    struct kgen_json_path path = {NULL, "layer_types", 0};
    struct kgen_layer_flag *full = find_full_layers(model);
    if (!json_is_array(list) || (int64_t)json_array_size(list) != layers)
        return kgen_spec_fail(reader, &path,
                              "\"layer_types\" must be an array with the kind of each of %lld layers",
                              (long long)layers);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct kgen_json_path element = {&path, NULL, i};
        const char *type = json_string_value(json_array_get(list, i));
        sliding->set[i] = full == NULL && type != NULL && strcmp(type, "sliding_attention") == 0;
        const bool linear = full != NULL && type != NULL && strcmp(type, "linear_attention") == 0;
        if (full != NULL)
            full->set[i] = !linear;
        if (!sliding->set[i] && !linear && (type == NULL || strcmp(type, "full_attention") != 0)) {
            char found[KGEN_SPEC_EXCERPT];
            kgen_spec_fail(reader, &element, "the kind of layer %s is not supported",
                           kgen_spec_excerpt(reader, &element, found));
            kgen_error_hint(reader->error, "full_attention and %s are",
                            full != NULL ? "linear_attention" : "sliding_attention");
            return -1;
        }
    }
    return 0;
}

/* Which layers have a window, if there is one: those that a list names; all but every so manieth; those from
 * one on; or all. */
static int read_sliding_layers(const struct kgen_spec_reader *reader, json_t *config,
                               struct kgen_spec_model *model, bool used)
{
    json_t *list = json_object_get(config, "layer_types");
    int64_t layers = 0, pattern = 0, from = 0;
    if (kgen_spec_evaluate(reader, model, -1, "layers", &layers) != 0 ||
        kgen_spec_integer(reader, NULL, config, "sliding_window_pattern", 1, KGEN_LAYERS_MAX, &pattern) < 0 ||
        kgen_spec_integer(reader, NULL, config, "max_window_layers", 0, INT64_MAX, &from) < 0)
        return -1;
    if (model->layer_flag_count == KGEN_COUNT_OF(model->layer_flags))
        return kgen_spec_fail(reader, NULL, "%s has more than %zu quantities of layers",
                              model->family->architecture, KGEN_COUNT_OF(model->layer_flags));
    struct kgen_layer_flag *sliding = &model->layer_flags[model->layer_flag_count++];
    sliding->quantity = "sliding";
    if (list != NULL && !json_is_null(list))
        return read_layer_types(reader, list, layers, model, sliding);
    for (int64_t i = 0; i < layers; i++)
        sliding->set[i] = used && (pattern > 0 ? (i + 1) % pattern != 0 : i >= from);
    return 0;
}

/* The window, 0 where there is none or the caches have no more positions. */
static int read_window(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model,
                       int64_t context)
{
    bool used = true;
    int64_t window = 0;
    if (kgen_spec_boolean(reader, NULL, config, "use_sliding_window", &used) < 0 ||
        read_sliding_layers(reader, config, model, used) != 0)
        return -1;
    if (used && kgen_spec_integer(reader, NULL, config, "sliding_window", 1, INT64_MAX, &window) < 0)
        return -1;
    return kgen_spec_add_quantity(reader, model, "window", "sliding_window", window < context ? window : 0);
}

/* Reads a number into a real field of the problems of attention. */
static int read_real_field(const struct kgen_spec_reader *reader, json_t *config, const char *key,
                           const char *field, struct kgen_problem *attention)
{
    struct kgen_json_path path = {NULL, key, 0};
    json_t *value = json_object_get(config, key);
    return value == NULL || json_is_null(value)
               ? 0
               : kgen_spec_field(reader, &path, value, "attention_decode",
                                 kgen_spec_find_field("attention_decode", field), attention);
}

/* The factor and the cap of the scores, whether there are sinks, and the pages of the caches. */
static int read_scores(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    static const char scalar[] = "query_pre_attn_scalar";
    struct kgen_problem *attention = kgen_spec_prototype(model, "attention_decode", NULL);
    struct kgen_json_path path = {NULL, scalar, 0};
    double size = 0;
    int64_t sinks = 0;
    const int found = kgen_spec_real(reader, NULL, config, scalar, &size);
    if (found < 0 || read_real_field(reader, config, "attn_logit_softcapping", "softcap", attention) != 0 ||
        kgen_spec_evaluate(reader, model, -1, "sinks", &sinks) != 0 ||
        read_page_size(reader, config, attention) != 0)
        return -1;
    if (found > 0 && !(size >= 1e-6 && size <= 1e9))
        return kgen_spec_fail(reader, &path, "\"%s\" must be from 1e-6 to 1e9", scalar);
    if (found > 0)
        kgen_problem_set_real(attention, "scale", 1 / sqrt(size));
    kgen_problem_set(attention, "sinks", sinks);
    return 0;
}

/* Whether the op can have the heads of the model. */
static int check_heads(struct kgen_spec_reader *reader, const struct kgen_spec_model *model, int64_t context,
                       bool *fits)
{
    static const char *const names[] = {"heads", "kv_heads", "head_dim"};
    struct kgen_problem problem;
    struct kgen_error error = {0};
    kgen_problem_init(&problem, kgen_op_find("attention_decode"));
    kgen_problem_set(&problem, "context", context);
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        int64_t value = 0;
        if (kgen_spec_evaluate(reader, model, -1, names[i], &value) != 0)
            return -1;
        kgen_problem_set(&problem, names[i], value);
    }
    *fits = kgen_problem_check(&problem, NULL, 0, 0, &error) == 0;
    if (*fits)
        return 0;
    if (error.code == KGEN_ERROR_MEMORY)
        return kgen_spec_fail_memory(reader);
    return kgen_spec_warn(reader, "attention is not derived: %s.", error.message);
}

int kgen_spec_attention_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    int64_t context = 0, cache_dtype = KGEN_CONSTANT_NONE;
    bool fits = false;
    if (read_context(reader, config, &context) != 0 || read_cache_dtype(reader, config, &cache_dtype) != 0 ||
        check_heads(reader, model, context, &fits) != 0 || read_window(reader, config, model, context) != 0 ||
        read_scores(reader, config, model) != 0)
        return -1;
    return kgen_spec_add_quantity(reader, model, "context", "context", context) != 0 ||
                   kgen_spec_add_quantity(reader, model, "cache_dtype", "cache_dtype", cache_dtype) != 0
               ? -1
               : kgen_spec_add_quantity(reader, model, "attention_supported", NULL, fits);
}
