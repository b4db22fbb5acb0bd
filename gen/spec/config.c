/* SPDX-License-Identifier: MIT */
/* Reads a Hugging Face config.json into the numbers that a decode step depends on. Keys that do not matter
 * are ignored. */
#include "gen/spec/reader.h"

#include <stdio.h>
#include <string.h>

/* Far above any model, and low enough that one spec is read in well under a second. */
#define LAYERS_MAX 1024
#define EXPERTS_MAX 65536

static const struct kgen_spec_architecture architectures[] = {
    {.name = "LlamaForCausalLM", .model_type = "llama", .attention_bias_key = true, .mlp_bias_key = true},
    {.name = "MistralForCausalLM", .model_type = "mistral"},
    {.name = "Qwen2ForCausalLM", .model_type = "qwen2", .qkv_bias = true},
    {.name = "Qwen3ForCausalLM",
     .model_type = "qwen3",
     .default_head_dim = 128,
     .qk_norm = true,
     .attention_bias_key = true},
    {.name = "Qwen3MoeForCausalLM",
     .model_type = "qwen3_moe",
     .qk_norm = true,
     .attention_bias_key = true,
     .experts = true},
};

/* Looks a name up among the architectures, or among the model types. */
static int find_architecture(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                             const char *name, bool by_type, struct kgen_spec_model *model)
{
    const char *names[KGEN_COUNT_OF(architectures)];
    for (size_t i = 0; i < KGEN_COUNT_OF(architectures); i++) {
        names[i] = by_type ? architectures[i].model_type : architectures[i].name;
        if (strcmp(names[i], name) == 0) {
            model->architecture = &architectures[i];
            return 0;
        }
    }
    kgen_spec_fail(reader, path, "%s \"%s\" is not supported",
                   by_type ? "the model type" : "the architecture", name);
    struct kgen_text list = {0};
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++)
        kgen_text_printf(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
    if (!list.failed)
        kgen_error_hint(reader->error, "supported are %s", list.data);
    kgen_text_free(&list);
    return -1;
}

static int read_architecture(const struct kgen_spec_reader *reader, json_t *config,
                             struct kgen_spec_model *model)
{
    json_t *list = json_object_get(config, "architectures");
    struct kgen_json_path path = {NULL, "architectures", 0}, first = {&path, NULL, 0};
    if (list != NULL && !json_is_null(list)) {
        json_t *name = json_array_get(list, 0);
        if (!json_is_string(name))
            return kgen_spec_fail(reader, &path, "\"architectures\" must be an array with a name");
        return find_architecture(reader, &first, json_string_value(name), false, model);
    }
    const char *type = NULL;
    int found = kgen_spec_string(reader, NULL, config, "model_type", &type);
    if (found < 0)
        return -1;
    if (found == 0) {
        kgen_spec_fail(reader, NULL,
                       "a spec needs \"problems\", or \"architectures\" or \"model_type\" of a model");
        kgen_error_hint(reader->error,
                        "a model is a Hugging Face config.json; specs/README.md describes both");
        return -1;
    }
    struct kgen_json_path member = {NULL, "model_type", 0};
    return find_architecture(reader, &member, type, true, model);
}

/* A size the model must have. */
static int need_size(const struct kgen_spec_reader *reader, json_t *config,
                     const struct kgen_spec_model *model, const char *key, int64_t maximum, int64_t *value)
{
    int found = kgen_spec_integer(reader, NULL, config, key, 1, maximum, value);
    if (found == 0)
        kgen_spec_fail(reader, NULL, "%s needs \"%s\"", model->architecture->name, key);
    return found == 1 ? 0 : -1;
}

static int read_heads(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    int64_t head_dim_max = (int64_t)kgen_spec_find_field(KGEN_OP_ROPE, "head_dim")->maximum;
    if (need_size(reader, config, model, "num_attention_heads", KGEN_SIZE_MAX, &model->heads) != 0)
        return -1;
    model->kv_heads = model->heads;
    model->head_dim = model->architecture->default_head_dim;
    if (kgen_spec_integer(reader, NULL, config, "num_key_value_heads", 1, KGEN_SIZE_MAX, &model->kv_heads) <
            0 ||
        kgen_spec_integer(reader, NULL, config, "head_dim", 1, head_dim_max, &model->head_dim) < 0)
        return -1;
    struct kgen_json_path kv_path = {NULL, "num_key_value_heads", 0}, path = {NULL, "num_attention_heads", 0};
    if (model->heads % model->kv_heads != 0)
        return kgen_spec_fail(reader, &kv_path,
                              "num_attention_heads %lld is not a multiple of "
                              "num_key_value_heads %lld",
                              (long long)model->heads, (long long)model->kv_heads);
    if (model->head_dim != 0)
        return 0;
    if (model->hidden_size % model->heads != 0) {
        kgen_spec_fail(reader, &path, "hidden_size %lld is not a multiple of num_attention_heads %lld",
                       (long long)model->hidden_size, (long long)model->heads);
        kgen_error_hint(reader->error, "give \"head_dim\"");
        return -1;
    }
    model->head_dim = model->hidden_size / model->heads;
    if (model->head_dim > head_dim_max)
        return kgen_spec_fail(reader, &path, "hidden_size / num_attention_heads is %lld; %lld is the most",
                              (long long)model->head_dim, (long long)head_dim_max);
    return 0;
}

/* ---- rope ---- */

/* A number of rope's, checked against its field. Returns as kgen_spec_real. */
static int rope_number(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       json_t *object, const char *key, const char *field_name, struct kgen_problem *rope)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        return 0;
    struct kgen_json_path member = {path, key, 0};
    const struct kgen_field *field = kgen_spec_find_field(KGEN_OP_ROPE, field_name);
    return kgen_spec_field(reader, &member, value, "rope", field, rope) == 0 ? 1 : -1;
}

static int need_rope_numbers(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                             json_t *object, const char *type, const char *const *keys, size_t count,
                             struct kgen_problem *rope)
{
    for (size_t i = 0; i < count; i++) {
        int found = rope_number(reader, path, object, keys[i], keys[i], rope);
        if (found == 0)
            kgen_spec_fail(reader, path, "\"%s\" of type %s needs \"%s\"", path->key, type, keys[i]);
        if (found != 1)
            return -1;
    }
    return 0;
}

/* rope_scaling, or the same keys within rope_parameters of newer configs. */
static int read_scaling(struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                        struct kgen_spec_model *model)
{
    static const char *const keys[] = {"factor", "low_freq_factor", "high_freq_factor",
                                       "original_max_position_embeddings"};
    const char *type = NULL;
    int found = kgen_spec_string(reader, path, object, "rope_type", &type);
    if (found == 0)
        found = kgen_spec_string(reader, path, object, "type", &type);
    if (found < 0)
        return -1;
    if (found == 0)
        return kgen_spec_fail(reader, path, "\"%s\" needs \"rope_type\"", path->key);
    if (strcmp(type, "default") == 0)
        return 0;
    if (strcmp(type, "linear") == 0) {
        model->rope.scaling = KGEN_LINEAR;
        return need_rope_numbers(reader, path, object, type, keys, 1, &model->rope);
    }
    if (strcmp(type, "llama3") == 0) {
        model->rope.scaling = KGEN_LLAMA3;
        return need_rope_numbers(reader, path, object, type, keys, KGEN_COUNT_OF(keys), &model->rope);
    }
    model->has_rope = false;
    return kgen_spec_warn(
        reader,
        "rope scaling of type \"%s\" is not supported yet (default, linear and llama3 are): "
        "rope is not derived.",
        type);
}

static int read_rotary_dim(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                           json_t *object, struct kgen_spec_model *model)
{
    double part = 1;
    int found = kgen_spec_real(reader, path, object, "partial_rotary_factor", &part);
    if (found != 1)
        return found;
    struct kgen_json_path member = {path, "partial_rotary_factor", 0};
    if (!(part > 0 && part <= 1))
        return kgen_spec_fail(reader, &member, "\"partial_rotary_factor\" must be more than 0 and at most 1");
    model->rope.rotary_dim = (int64_t)((double)model->head_dim * part);
    return 0;
}

static int read_rope(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    struct kgen_problem *rope = &model->rope;
    kgen_problem_init(rope, KGEN_OP_ROPE);
    rope->head_dim = model->head_dim;
    rope->rotary_dim = model->head_dim;
    model->has_rope = true;
    json_t *pairing = json_object_get(config, "rope_pairing"), *parameters = NULL, *scaling = NULL;
    struct kgen_json_path pairing_path = {NULL, "rope_pairing", 0};
    struct kgen_json_path parameters_path = {NULL, "rope_parameters", 0},
                          scaling_path = {NULL, "rope_scaling", 0};
    if (pairing != NULL && kgen_spec_field(reader, &pairing_path, pairing, "rope",
                                           kgen_spec_find_field(KGEN_OP_ROPE, "pairing"), rope) != 0)
        return -1;
    if (rope_number(reader, NULL, config, "rope_theta", "theta", rope) < 0 ||
        read_rotary_dim(reader, NULL, config, model) != 0 ||
        kgen_spec_object(reader, NULL, config, "rope_parameters", &parameters) < 0 ||
        kgen_spec_object(reader, NULL, config, "rope_scaling", &scaling) < 0)
        return -1;
    if (parameters != NULL)
        return rope_number(reader, &parameters_path, parameters, "rope_theta", "theta", rope) < 0 ||
                       read_rotary_dim(reader, &parameters_path, parameters, model) != 0
                   ? -1
                   : read_scaling(reader, &parameters_path, parameters, model);
    return scaling == NULL ? 0 : read_scaling(reader, &scaling_path, scaling, model);
}

/* ---- the rest ---- */

static int read_experts(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    model->sparse_step = 1;
    if (need_size(reader, config, model, "num_experts", EXPERTS_MAX, &model->experts) != 0 ||
        need_size(reader, config, model, "num_experts_per_tok", EXPERTS_MAX, &model->experts_per_token) !=
            0 ||
        need_size(reader, config, model, "moe_intermediate_size", KGEN_SIZE_MAX, &model->expert_size) != 0 ||
        kgen_spec_integer(reader, NULL, config, "decoder_sparse_step", 1, LAYERS_MAX, &model->sparse_step) <
            0)
        return -1;
    json_t *dense = json_object_get(config, "mlp_only_layers");
    struct kgen_json_path path = {NULL, "mlp_only_layers", 0};
    if (dense == NULL || json_is_null(dense))
        return 0;
    if (!json_is_array(dense) || json_array_size(dense) > LAYERS_MAX)
        return kgen_spec_fail(reader, &path, "\"mlp_only_layers\" must be an array of layers");
    for (size_t i = 0; i < json_array_size(dense); i++) {
        struct kgen_json_path element = {&path, NULL, i};
        if (!json_is_integer(json_array_get(dense, i)))
            return kgen_spec_fail(reader, &element, "a layer must be an integer");
    }
    model->dense_layers = dense;
    return 0;
}

static int read_flags(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    const struct kgen_spec_architecture *architecture = model->architecture;
    const char *activation = "silu";
    if ((architecture->attention_bias_key &&
         kgen_spec_boolean(reader, NULL, config, "attention_bias", &model->attention_bias) < 0) ||
        (architecture->mlp_bias_key &&
         kgen_spec_boolean(reader, NULL, config, "mlp_bias", &model->mlp_bias) < 0) ||
        kgen_spec_boolean(reader, NULL, config, "tie_word_embeddings", &model->tied) < 0 ||
        kgen_spec_string(reader, NULL, config, "hidden_act", &activation) < 0)
        return -1;
    model->has_swiglu = strcmp(activation, "silu") == 0 || strcmp(activation, "swish") == 0;
    if (!model->has_swiglu)
        return kgen_spec_warn(reader,
                              "the activation \"%s\" is not supported yet (silu is): the gating of the mlp "
                              "is not derived.",
                              activation);
    return 0;
}

int kgen_spec_config_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    *model = (struct kgen_spec_model){.eps = 1e-6};
    const struct kgen_field *eps = kgen_spec_find_field(KGEN_OP_RMS_NORM, "eps");
    struct kgen_problem norm;
    kgen_problem_init(&norm, KGEN_OP_RMS_NORM);
    struct kgen_json_path eps_path = {NULL, "rms_norm_eps", 0};
    json_t *eps_value = json_object_get(config, "rms_norm_eps");
    if (read_architecture(reader, config, model) != 0 ||
        need_size(reader, config, model, "hidden_size", KGEN_SIZE_MAX, &model->hidden_size) != 0 ||
        need_size(reader, config, model, "intermediate_size", KGEN_SIZE_MAX, &model->intermediate_size) !=
            0 ||
        need_size(reader, config, model, "vocab_size", KGEN_SIZE_MAX, &model->vocab_size) != 0 ||
        need_size(reader, config, model, "num_hidden_layers", LAYERS_MAX, &model->layers) != 0 ||
        read_heads(reader, config, model) != 0 || read_rope(reader, config, model) != 0 ||
        read_flags(reader, config, model) != 0)
        return -1;
    if (eps_value != NULL && kgen_spec_field(reader, &eps_path, eps_value, "rms_norm", eps, &norm) != 0)
        return -1;
    model->eps = norm.eps;
    return model->architecture->experts ? read_experts(reader, config, model) : 0;
}
