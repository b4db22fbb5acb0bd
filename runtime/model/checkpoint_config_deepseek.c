/* SPDX-License-Identifier: MIT */
/* What the config of a GGUF file of the architecture deepseek2 has besides. */
#include "runtime/model/checkpoint_internal.h"

#include <stdio.h>

static int fail(const struct kgen_checkpoint *checkpoint, const char *what, const char *hint,
                struct kgen_error *error)
{
    kgen_error_set(error, KGEN_ERROR_SPEC, kgen_checkpoint_source(checkpoint), 0, 0, "%s", what);
    kgen_error_hint(error, "%s", hint);
    return -1;
}

static int64_t take_integer(json_t *config, const char *key, int64_t absent)
{
    const json_t *value = json_object_get(config, key);
    const int64_t integer = value != NULL ? json_integer_value(value) : absent;
    json_object_del(config, key);
    return integer;
}

static double take_real(json_t *config, const char *key, double absent)
{
    const json_t *value = json_object_get(config, key);
    const double real = value != NULL ? json_number_value(value) : absent;
    json_object_del(config, key);
    return real;
}

/* YaRN's numbers. mscale and mscale_all_dim are equal in these files. */
static json_t *make_scaling(json_t *config)
{
    const double factor = take_real(config, KGEN_DEEPSEEK_YARN_FACTOR, 1);
    const double all = 10 * take_real(config, KGEN_DEEPSEEK_YARN_LOG, 0);
    const int64_t context = take_integer(config, KGEN_DEEPSEEK_YARN_CONTEXT, 4096);
    const double fast = take_real(config, KGEN_DEEPSEEK_YARN_FAST, 32);
    const double slow = take_real(config, KGEN_DEEPSEEK_YARN_SLOW, 1);
    return json_pack("{s:s, s:f, s:I, s:f, s:f, s:f, s:f}", "type", "yarn", "factor", factor,
                     "original_max_position_embeddings", (json_int_t)context, "mscale", all, "mscale_all_dim",
                     all, "beta_fast", fast, "beta_slow", slow);
}

/* How experts are chosen: without a gating function the files mean softmax. */
static int set_router(const struct kgen_checkpoint *checkpoint, json_t *config, struct kgen_error *error)
{
    enum { SOFTMAX = 1, SIGMOID = 2 };
    char bias[KGEN_CHECKPOINT_NAME_MAX];
    struct kgen_checkpoint_tensor tensor;
    const int64_t gating = take_integer(config, KGEN_DEEPSEEK_GATING, SOFTMAX);
    const struct kgen_gguf_value *normalised =
        kgen_gguf_find(checkpoint->gguf, "deepseek2.expert_weights_norm");
    if (gating != SOFTMAX && gating != SIGMOID)
        return fail(checkpoint, "\"deepseek2.expert_gating_func\" is not supported",
                    "1, softmax, and 2, sigmoid, are", error);
    snprintf(bias, sizeof bias, "model.layers.%lld.mlp.gate.e_score_correction_bias",
             (long long)json_integer_value(json_object_get(config, "num_hidden_layers")) - 1);
    const bool corrected = kgen_checkpoint_find(checkpoint, bias, &tensor);
    const int64_t groups = json_integer_value(json_object_get(config, "n_group"));
    const char *method = corrected ? "noaux_tc" : groups > 1 ? "group_limited_greedy" : "greedy";
    return json_object_set_new(config, "scoring_func",
                               json_string(gating == SIGMOID ? "sigmoid" : "softmax")) |
           json_object_set_new(config, "topk_method", json_string(method)) |
           json_object_set_new(config, "norm_topk_prob",
                               json_boolean(normalised != NULL && normalised->type == KGEN_GGUF_BOOL &&
                                            kgen_gguf_integer_at(normalised, 0) != 0));
}

int kgen_checkpoint_deepseek_config(const struct kgen_checkpoint *checkpoint, json_t *config,
                                    struct kgen_error *error)
{
    const int64_t head_dim = take_integer(config, KGEN_DEEPSEEK_HEAD_DIM, 0);
    const int64_t rope = json_integer_value(json_object_get(config, "qk_rope_head_dim"));
    json_t *experts = json_object_get(config, "num_experts");
    if (head_dim <= rope)
        return fail(checkpoint,
                    "the metadata lack \"deepseek2.attention.key_length_mla\", of more than "
                    "\"deepseek2.rope.dimension_count\" elements",
                    "files whose attn_kv_b is not split into attn_k_b and attn_v_b must be converted again",
                    error);
    struct kgen_gguf_text type = {"", 0};
    if (kgen_gguf_string(checkpoint->gguf, "deepseek2.rope.scaling.type", &type, error) < 0)
        return -1;
    json_t *scaling = make_scaling(config);
    const bool scaled = kgen_gguf_text_is(type, "yarn");
    if (set_router(checkpoint, config, error) != 0) {
        json_decref(scaling);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_checkpoint_source(checkpoint), 0, 0,
                              "out of memory");
    }
    if (json_object_set_new(config, "qk_nope_head_dim", json_integer(head_dim - rope)) != 0 ||
        (experts != NULL && json_object_set(config, "n_routed_experts", experts) != 0) ||
        (scaled && json_object_set(config, "rope_scaling", scaling) != 0)) {
        json_decref(scaling);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_checkpoint_source(checkpoint), 0, 0,
                              "out of memory");
    }
    json_decref(scaling);
    return 0;
}
