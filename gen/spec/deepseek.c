/* SPDX-License-Identifier: MIT */
#include "gen/spec/deepseek.h"
#include "gen/spec/rope_yarn.h"

#include <math.h>
#include <string.h>

static int read_attention(const struct kgen_spec_reader *reader, json_t *config,
                          struct kgen_spec_model *model)
{
    int64_t nope = 0, rope = 0, rank = 0;
    double factor = 1;
    bool interleaved = true;
    struct kgen_json_path path = {NULL, "rope_interleave", 0};
    if (kgen_spec_evaluate(reader, model, -1, "qk_nope_head_dim", &nope) != 0 ||
        kgen_spec_evaluate(reader, model, -1, "head_dim", &rope) != 0 ||
        kgen_spec_evaluate(reader, model, -1, "kv_lora_rank", &rank) != 0 ||
        kgen_spec_boolean(reader, NULL, config, path.key, &interleaved) < 0 ||
        kgen_spec_yarn_score_factor(reader, config, &factor) != 0)
        return -1;
    if (!interleaved)
        return kgen_spec_fail(reader, &path, "\"rope_interleave\" false is not supported");
    kgen_problem_set_real(kgen_spec_prototype(model, "mla_decode", NULL), "scale",
                          factor / sqrt((double)(nope + rope)));
    return kgen_spec_add_quantity(reader, model, "qk_head_dim", "qk_nope_head_dim", nope + rope) != 0
               ? -1
               : kgen_spec_add_quantity(reader, model, "cache_row", "kv_lora_rank", rank + rope);
}

/* A word of the config that chooses one of a table's rows. Returns its index, or -1 with an error set. */
static int read_word(const struct kgen_spec_reader *reader, json_t *config, const char *key,
                     const char *const *words, size_t count)
{
    struct kgen_json_path path = {NULL, key, 0};
    const char *word = words[0];
    if (kgen_spec_string(reader, NULL, config, key, &word) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0)
            return (int)i;
    }
    kgen_spec_fail(reader, &path, "\"%s\" \"%s\" is not supported", key, word);
    kgen_spec_hint_nearest(reader, word, words, count);
    return -1;
}

/* How experts are chosen: by the bias and in groups, in groups, or without them. */
static int read_router(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    static const char *const scorings[] = {"sigmoid", "softmax"};
    static const char *const methods[] = {"noaux_tc", "group_limited_greedy", "greedy"};
    static const char *const keys[] = {"n_group", "topk_group", "routed_scaling_factor"};
    static const char *const fields[] = {"groups", "groups_per_token", "factor"};
    struct kgen_problem *router = kgen_spec_prototype(model, "router", NULL);
    const int scoring = read_word(reader, config, "scoring_func", scorings, KGEN_COUNT_OF(scorings));
    const int method = read_word(reader, config, "topk_method", methods, KGEN_COUNT_OF(methods));
    if (scoring < 0 || method < 0)
        return -1;
    kgen_problem_set(router, "scoring", scoring == 0 ? KGEN_SIGMOID : KGEN_SOFTMAX);
    kgen_problem_set(router, "corrected", method == 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(keys); i++) {
        struct kgen_json_path path = {NULL, keys[i], 0};
        json_t *value = json_object_get(config, keys[i]);
        const bool of_groups = i < 2;
        if (value != NULL && !json_is_null(value) && !(of_groups && method == 2) &&
            kgen_spec_field(reader, &path, value, "router", kgen_spec_find_field("router", fields[i]),
                            router) != 0)
            return -1;
    }
    return 0;
}

/* The layers with experts: those from one on, of which every so manieth. */
static int read_sparse_layers(const struct kgen_spec_reader *reader, json_t *config,
                              struct kgen_spec_model *model)
{
    int64_t layers = 0, first = 0, step = 1;
    if (kgen_spec_evaluate(reader, model, -1, "layers", &layers) != 0 ||
        kgen_spec_integer(reader, NULL, config, "first_k_dense_replace", 0, KGEN_LAYERS_MAX, &first) < 0 ||
        kgen_spec_integer(reader, NULL, config, "moe_layer_freq", 1, KGEN_LAYERS_MAX, &step) < 0)
        return -1;
    if (model->layer_flag_count == KGEN_COUNT_OF(model->layer_flags))
        return kgen_spec_fail(reader, NULL, "%s has more than %zu quantities of layers",
                              model->family->architecture, KGEN_COUNT_OF(model->layer_flags));
    struct kgen_layer_flag *sparse = &model->layer_flags[model->layer_flag_count++];
    sparse->quantity = "sparse";
    for (int64_t i = 0; i < layers; i++)
        sparse->set[i] = i >= first && i % step == 0;
    return 0;
}

int kgen_spec_deepseek_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    if (kgen_spec_quantity(model, "kv_lora_rank") == NULL)
        return 0;
    return read_attention(reader, config, model) != 0 || read_router(reader, config, model) != 0
               ? -1
               : read_sparse_layers(reader, config, model);
}
