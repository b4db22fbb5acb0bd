/* SPDX-License-Identifier: MIT */
/* Reads what a config says of attention: the room and the dtype of the caches, and what the op cannot do. */
#include "gen/spec/reader.h"

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

/* Whether attention reaches back over all positions, as the op does. */
static int read_window(struct kgen_spec_reader *reader, json_t *config, int64_t context, bool *whole)
{
    bool used = true;
    int64_t window = 0;
    if (kgen_spec_boolean(reader, NULL, config, "use_sliding_window", &used) < 0)
        return -1;
    *whole = true;
    if (!used)
        return 0;
    if (kgen_spec_integer(reader, NULL, config, "sliding_window", 1, INT64_MAX, &window) < 0)
        return -1;
    if (window == 0 || window >= context)
        return 0;
    *whole = false;
    return kgen_spec_warn(reader,
                          "a sliding window (%lld positions, less than the context of %lld) is not supported "
                          "yet: attention is not derived.",
                          (long long)window, (long long)context);
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
    bool fits = false, whole = false;
    if (read_context(reader, config, &context) != 0 || read_cache_dtype(reader, config, &cache_dtype) != 0 ||
        check_heads(reader, model, context, &fits) != 0 || read_window(reader, config, context, &whole) != 0)
        return -1;
    return kgen_spec_add_quantity(reader, model, "context", "context", context) != 0 ||
                   kgen_spec_add_quantity(reader, model, "cache_dtype", "cache_dtype", cache_dtype) != 0
               ? -1
               : kgen_spec_add_quantity(reader, model, "attention_supported", NULL, fits && whole);
}
