/* SPDX-License-Identifier: MIT */
/* Makes the config.json of a model from the metadata of a GGUF file. */
#include "runtime/model/checkpoint_config.h"
#include "gen/ops/rope.h"
#include "runtime/model/checkpoint_folder.h"
#include "runtime/model/package.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Architectures, by "general.architecture", which is also what their keys begin with. */
static const struct kgen_architecture {
    const char *name, *config, *rope_pairing;
    const char *experts; /* NULL, or the config of files with experts */
} architectures[] = {
    /* Rows of q and k are stored in the order for interleaved pairs. */
    {"llama", "LlamaForCausalLM", "interleaved", "MixtralForCausalLM"},
    {"qwen2", "Qwen2ForCausalLM", "half", NULL},
    {"qwen3", "Qwen3ForCausalLM", "half", NULL},
    {"qwen3moe", "Qwen3MoeForCausalLM", "half", "Qwen3MoeForCausalLM"},
    {"gemma2", "Gemma2ForCausalLM", "half", NULL},
    {"gemma3", "Gemma3ForCausalLM", "half", NULL},
    {"phi3", "Phi3ForCausalLM", "half", NULL},
    {"glm4", "Glm4ForCausalLM", "interleaved", NULL},
    {"gpt-oss", "GptOssForCausalLM", "half", "GptOssForCausalLM"},
    {"deepseek2", "DeepseekV3ForCausalLM", "interleaved", "DeepseekV3ForCausalLM"},
};

static bool is_gemma(const struct kgen_architecture *architecture)
{
    return strncmp(architecture->name, "gemma", strlen("gemma")) == 0;
}

static bool is_glm4(const struct kgen_architecture *architecture)
{
    return strcmp(architecture->name, "glm4") == 0;
}

static bool is_deepseek(const struct kgen_architecture *architecture)
{
    return strcmp(architecture->name, "deepseek2") == 0;
}

/* Keys after the architecture's name, and those of the config that they become. */
static const struct {
    const char *key, *config;
    bool required;
} integers[] = {
    {"embedding_length", "hidden_size", true},
    {"feed_forward_length", "intermediate_size", true},
    {"block_count", "num_hidden_layers", true},
    {"attention.head_count", "num_attention_heads", true},
    {"attention.head_count_kv", "num_key_value_heads", false},
    {"attention.key_length", "head_dim", false},
    {"context_length", "max_position_embeddings", false},
    {"expert_used_count", "num_experts_per_tok", false},
    {"expert_feed_forward_length", "moe_intermediate_size", false},
};

static const struct {
    const char *key, *config;
} reals[] = {
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
    {"rope.freq_base", "rope_theta"},
};

/* Keys of some architectures, and those of the config that they become. */
static const struct {
    const char *architecture, *key, *config;
    bool integer;
} own_keys[] = {
    {"gemma2", "attention.sliding_window", "sliding_window", true},
    {"gemma2", "attn_logit_softcapping", "attn_logit_softcapping", false},
    {"gemma2", "final_logit_softcapping", "final_logit_softcapping", false},
    {"gemma2", "attention.sliding_window_pattern", "sliding_window_pattern", true},
    {"gemma3", "attention.sliding_window", "sliding_window", true},
    {"gemma3", "attention.sliding_window_pattern", "sliding_window_pattern", true},
    {"gemma3", "final_logit_softcapping", "final_logit_softcapping", false},
    {"gemma3", "rope.freq_base_swa", "rope_local_base_freq", false},
    {"phi3", "attention.sliding_window", "sliding_window", true},
    {"gpt-oss", "attention.sliding_window", "sliding_window", true},
    {"deepseek2", "attention.q_lora_rank", "q_lora_rank", true},
    {"deepseek2", "attention.kv_lora_rank", "kv_lora_rank", true},
    {"deepseek2", "attention.key_length_mla", KGEN_DEEPSEEK_HEAD_DIM, true},
    {"deepseek2", "attention.value_length_mla", "v_head_dim", true},
    {"deepseek2", "rope.dimension_count", "qk_rope_head_dim", true},
    {"deepseek2", "leading_dense_block_count", "first_k_dense_replace", true},
    {"deepseek2", "expert_shared_count", "n_shared_experts", true},
    {"deepseek2", "expert_group_count", "n_group", true},
    {"deepseek2", "expert_group_used_count", "topk_group", true},
    {"deepseek2", "expert_weights_scale", "routed_scaling_factor", false},
    {"deepseek2", "expert_gating_func", KGEN_DEEPSEEK_GATING, true},
    {"deepseek2", "rope.scaling.factor", KGEN_DEEPSEEK_YARN_FACTOR, false},
    {"deepseek2", "rope.scaling.yarn_log_multiplier", KGEN_DEEPSEEK_YARN_LOG, false},
    {"deepseek2", "rope.scaling.original_context_length", KGEN_DEEPSEEK_YARN_CONTEXT, true},
    {"deepseek2", "rope.scaling.yarn_beta_fast", KGEN_DEEPSEEK_YARN_FAST, false},
    {"deepseek2", "rope.scaling.yarn_beta_slow", KGEN_DEEPSEEK_YARN_SLOW, false},
};

/* Keys that change what is computed, and the values with which they do not. */
static const struct {
    const char *key;
    double neutral;
} neutral_keys[] = {
    {"expert_shared_count", 0},
    {"expert_group_count", 0},
    {"expert_gating_func", 1}, /* softmax */
    {"attention.sliding_window", 0},
    {"attention.scale", 0},
    {"attention.clamp_kqv", 0},
    {"attention.max_alibi_bias", 0},
    {"attention.causal", 1},
    {"attn_logit_softcapping", 0},
    {"final_logit_softcapping", 0},
    {"logit_scale", 0},
    {"residual_scale", 0},
    {"embedding_scale", 0},
    {"use_parallel_residual", 0},
    {"rope.scaling.attn_factor", 1},
    {"rope.scaling.yarn_log_multiplier", 0},
    {"rope.scaling.yarn_attn_factor", 1},
    {"rope.scaling.yarn_ext_factor", 1},
};

int kgen_config_fail(const struct kgen_config_maker *maker, const char *format, ...)
{
    char message[sizeof maker->error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return kgen_error_set(maker->error, KGEN_ERROR_SPEC, kgen_gguf_source(maker->gguf), 0, 0, "%s", message);
}

int kgen_config_set(const struct kgen_config_maker *maker, const char *key, json_t *value)
{
    if (value != NULL && json_object_set_new(maker->config, key, value) == 0)
        return 0;
    return kgen_error_set(maker->error, KGEN_ERROR_MEMORY, kgen_gguf_source(maker->gguf), 0, 0,
                          "out of memory");
}

const char *kgen_config_key(const struct kgen_config_maker *maker, const char *key,
                            char full[KGEN_CONFIG_KEY_MAX])
{
    snprintf(full, KGEN_CONFIG_KEY_MAX, "%s.%s", maker->name, key);
    return full;
}

/* ---- numbers ---- */

int kgen_config_integer(const struct kgen_config_maker *maker, const char *key, int64_t *value)
{
    char full[KGEN_CONFIG_KEY_MAX];
    return kgen_gguf_integer(maker->gguf, kgen_config_key(maker, key, full), value, maker->error);
}

/* The double of the shortest decimal that reads as this float: 1e-05 where 1e-05f was written. */
static double widen(float value)
{
    char text[40];
    for (int digits = 6; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        const float again = strtof(text, NULL);
        if (memcmp(&again, &value, sizeof value) == 0)
            return strtod(text, NULL);
    }
    return (double)value;
}

int kgen_config_real(const struct kgen_config_maker *maker, const char *key, double *real)
{
    char full[KGEN_CONFIG_KEY_MAX];
    const int found = kgen_gguf_real(maker->gguf, kgen_config_key(maker, key, full), real, maker->error);
    if (found == 1 && !isfinite(*real))
        return kgen_config_fail(maker, "\"%s\" is not a finite number", full);
    if (found == 1 && kgen_gguf_find(maker->gguf, full)->type == KGEN_GGUF_F32)
        *real = widen((float)*real);
    return found;
}

static int read_numbers(const struct kgen_config_maker *maker)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(integers); i++) {
        char full[KGEN_CONFIG_KEY_MAX];
        int64_t value;
        const int found = kgen_config_integer(maker, integers[i].key, &value);
        if (found < 0)
            return -1;
        if (found == 0 && integers[i].required)
            return kgen_config_fail(maker, "the metadata lack \"%s\"",
                                    kgen_config_key(maker, integers[i].key, full));
        if (found == 1 && kgen_config_set(maker, integers[i].config, json_integer(value)) != 0)
            return -1;
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(reals); i++) {
        double value;
        const int found = kgen_config_real(maker, reals[i].key, &value);
        if (found < 0 || (found == 1 && kgen_config_set(maker, reals[i].config, json_real(value)) != 0))
            return -1;
    }
    return 0;
}

static bool is_own(const struct kgen_config_maker *maker, const char *key)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(own_keys); i++) {
        if (strcmp(own_keys[i].architecture, maker->name) == 0 && strcmp(own_keys[i].key, key) == 0)
            return true;
    }
    return false;
}

static int read_own(const struct kgen_config_maker *maker)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(own_keys); i++) {
        int64_t integer = 0;
        double real = 0;
        if (strcmp(own_keys[i].architecture, maker->name) != 0)
            continue;
        const int found = own_keys[i].integer ? kgen_config_integer(maker, own_keys[i].key, &integer)
                                              : kgen_config_real(maker, own_keys[i].key, &real);
        if (found < 0 || (found == 1 && kgen_config_set(maker, own_keys[i].config,
                                                        own_keys[i].integer ? json_integer(integer)
                                                                            : json_real(real)) != 0))
            return -1;
    }
    return 0;
}

/* The number of experts, and what follows from the architecture. The files do not say that weights of experts
 * are normalised, which they are in both families. */
static int read_experts(const struct kgen_config_maker *maker)
{
    int64_t experts = 0;
    char full[KGEN_CONFIG_KEY_MAX];
    if (kgen_config_integer(maker, "expert_count", &experts) < 0)
        return -1;
    if (experts != 0 && maker->architecture->experts == NULL)
        return kgen_config_fail(maker, "\"%s\" is %lld, which is not supported",
                                kgen_config_key(maker, "expert_count", full), (long long)experts);
    const char *config = experts != 0 ? maker->architecture->experts : maker->architecture->config;
    if (kgen_config_set(maker, "architectures", json_pack("[s]", config)) != 0)
        return -1;
    if (experts == 0)
        return 0;
    return kgen_config_set(maker, "num_experts", json_integer(experts)) != 0 ||
                   kgen_config_set(maker, "num_local_experts", json_integer(experts)) != 0 ||
                   kgen_config_set(maker, "norm_topk_prob", json_true()) != 0
               ? -1
               : 0;
}

static int check_neutral(const struct kgen_config_maker *maker)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(neutral_keys); i++) {
        char full[KGEN_CONFIG_KEY_MAX];
        double value = neutral_keys[i].neutral;
        if (is_own(maker, neutral_keys[i].key))
            continue;
        const struct kgen_gguf_value *found =
            kgen_gguf_find(maker->gguf, kgen_config_key(maker, neutral_keys[i].key, full));
        if (found != NULL && found->type == KGEN_GGUF_BOOL)
            value = (double)kgen_gguf_integer_at(found, 0);
        else if (kgen_config_real(maker, neutral_keys[i].key, &value) < 0)
            return -1;
        if (value < neutral_keys[i].neutral || value > neutral_keys[i].neutral)
            return kgen_config_fail(maker, "\"%s\" is %g, which is not supported", full, value);
    }
    return 0;
}

/* ---- rope ---- */

int64_t kgen_config_value(const struct kgen_config_maker *maker, const char *key)
{
    return json_integer_value(json_object_get(maker->config, key));
}

/* head_dim, and what rotates and what values have of it. */
static int read_head(const struct kgen_config_maker *maker)
{
    const int64_t heads = kgen_config_value(maker, "num_attention_heads"),
                  hidden = kgen_config_value(maker, "hidden_size");
    if (heads < 1 || hidden < 1)
        return kgen_config_fail(maker, "the metadata say %lld attention heads and an embedding of %lld",
                                (long long)heads, (long long)hidden);
    int64_t head_dim = hidden / heads;
    if (json_object_get(maker->config, "head_dim") != NULL)
        head_dim = kgen_config_value(maker, "head_dim");
    else if (hidden % heads != 0)
        return kgen_config_fail(maker, "an embedding of %lld is not a multiple of %lld attention heads",
                                (long long)hidden, (long long)heads);
    else if (kgen_config_set(maker, "head_dim", json_integer(head_dim)) != 0)
        return -1;
    int64_t rotary = head_dim, values = head_dim;
    if (kgen_config_integer(maker, "rope.dimension_count", &rotary) < 0 ||
        kgen_config_integer(maker, "attention.value_length", &values) < 0)
        return -1;
    if (values != head_dim)
        return kgen_config_fail(maker,
                                "heads have values of %lld elements and keys of %lld, which is not supported",
                                (long long)values, (long long)head_dim);
    if (rotary == head_dim && !is_glm4(maker->architecture)) /* whose config has another standard */
        return 0;
    const double part = (double)rotary / (double)head_dim;
    if (rotary < 1 || rotary > head_dim || (int64_t)((double)head_dim * part) != rotary)
        return kgen_config_fail(
            maker, "\"%s.rope.dimension_count\" is %lld of a head of %lld, which is not supported",
            maker->name, (long long)rotary, (long long)head_dim);
    return kgen_config_set(maker, "partial_rotary_factor", json_real(part));
}

/* ---- tensors ---- */

static int read_vocabulary(const struct kgen_config_maker *maker)
{
    struct kgen_checkpoint_tensor embedding;
    const struct kgen_gguf_value *tokens = NULL;
    const int found =
        kgen_gguf_array(maker->gguf, "tokenizer.ggml.tokens", KGEN_GGUF_STRING, &tokens, maker->error);
    if (found < 0)
        return -1;
    int64_t size = tokens != NULL ? (int64_t)tokens->count : 0;
    if (kgen_checkpoint_find(maker->checkpoint, "model.embed_tokens.weight", &embedding) &&
        embedding.rank == 2) {
        if (size > embedding.shape[0])
            return kgen_config_fail(maker, "there are %lld tokens and embeddings of %lld", (long long)size,
                                    (long long)embedding.shape[0]);
        size = embedding.shape[0];
    }
    if (size == 0)
        return kgen_config_fail(maker,
                                "the file has neither token_embd.weight nor \"tokenizer.ggml.tokens\"");
    struct kgen_checkpoint_tensor head;
    const bool tied = !kgen_checkpoint_find(maker->checkpoint, "lm_head.weight", &head);
    const bool biased =
        kgen_checkpoint_find(maker->checkpoint,
                             is_glm4(maker->architecture) ? "model.layers.0.self_attn.q_proj.bias"
                                                          : "model.layers.0.self_attn.o_proj.bias",
                             &head);
    return kgen_config_set(maker, "vocab_size", json_integer(size)) != 0 ||
                   kgen_config_set(maker, "tie_word_embeddings", json_boolean(tied)) != 0 ||
                   kgen_config_set(maker, "attention_bias", json_boolean(biased)) != 0
               ? -1
               : 0;
}

/* ---- the whole ---- */

/* What the files of Gemma do not say: the weights of norms are whole, and the scale of scores is that of
 * head_dim but in the models of 27 billion parameters, which their layers tell. */
static int set_gemma(const struct kgen_config_maker *maker)
{
    if (!is_gemma(maker->architecture))
        return 0;
    const bool second = strcmp(maker->name, "gemma2") == 0;
    const bool large = kgen_config_value(maker, "num_hidden_layers") == (second ? 46 : 62);
    const int64_t hidden = kgen_config_value(maker, "hidden_size"),
                  heads = kgen_config_value(maker, "num_attention_heads");
    const int64_t scalar = large ? hidden / heads : kgen_config_value(maker, "head_dim");
    return kgen_config_set(maker, "norm_weights_less_one", json_false()) != 0
               ? -1
               : kgen_config_set(maker, "query_pre_attn_scalar", json_integer(scalar));
}

static int find_architecture(struct kgen_config_maker *maker)
{
    struct kgen_gguf_text name;
    char shown[60];
    const int found = kgen_gguf_string(maker->gguf, "general.architecture", &name, maker->error);
    if (found < 0)
        return -1;
    if (found == 0)
        return kgen_config_fail(maker, "the metadata lack \"general.architecture\"");
    for (size_t i = 0; i < KGEN_COUNT_OF(architectures); i++) {
        if (kgen_gguf_text_is(name, architectures[i].name)) {
            maker->architecture = &architectures[i];
            maker->name = architectures[i].name;
            return 0;
        }
    }
    kgen_config_fail(maker, "the architecture \"%s\" is not supported",
                     kgen_gguf_show(name, shown, sizeof shown));
    kgen_error_hint(maker->error,
                    "llama, qwen2, qwen3, qwen3moe, gemma2, gemma3, phi3, glm4, gpt-oss and deepseek2 are");
    return -1;
}

/* Without what a spec's name may not have. */
void kgen_checkpoint_spec_name(const char *file, char name[KGEN_CHECKPOINT_SPEC_NAME_MAX])
{
    snprintf(name, KGEN_CHECKPOINT_SPEC_NAME_MAX, "%s", file[0] != '\0' ? file : "model");
    for (char *c = name; *c != '\0'; c++) {
        const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!letter && (c == name || strchr("-_.", *c) == NULL))
            *c = '_';
    }
}

/* That of the file. */
static int set_name(const struct kgen_config_maker *maker)
{
    const char *source = kgen_gguf_source(maker->gguf), *slash = strrchr(source, '/');
    char file[KGEN_CHECKPOINT_SPEC_NAME_MAX], name[KGEN_CHECKPOINT_SPEC_NAME_MAX];
    snprintf(file, sizeof file, "%s", slash != NULL ? slash + 1 : source);
    char *dot = strrchr(file, '.');
    if (dot != NULL && strcmp(dot, ".gguf") == 0)
        *dot = '\0';
    kgen_checkpoint_spec_name(file, name);
    return kgen_config_set(maker, "name", json_string(name));
}

static int check_version(const struct kgen_config_maker *maker)
{
    int64_t version = 2;
    if (kgen_gguf_integer(maker->gguf, "general.quantization_version", &version, maker->error) < 0)
        return -1;
    return version == 2
               ? 0
               : kgen_config_fail(maker, "\"general.quantization_version\" is %lld; only 2 is supported",
                                  (long long)version);
}

static int make(struct kgen_config_maker *maker)
{
    if (find_architecture(maker) != 0 || set_name(maker) != 0 || check_version(maker) != 0 ||
        read_numbers(maker) != 0 || read_experts(maker) != 0 || check_neutral(maker) != 0 ||
        read_own(maker) != 0 ||
        (is_deepseek(maker->architecture)
             ? kgen_checkpoint_deepseek_config(maker->checkpoint, maker->config, maker->error)
             : read_head(maker)) != 0 ||
        set_gemma(maker) != 0 || kgen_config_rope(maker) != 0 || read_vocabulary(maker) != 0)
        return -1;
    return kgen_config_set(maker, "rope_pairing", json_string(maker->architecture->rope_pairing)) != 0 ||
                   kgen_config_set(maker, "torch_dtype", json_string("float16")) != 0 ||
                   kgen_config_set(maker, "scale_dtype", json_string("f16")) != 0
               ? -1
               : kgen_checkpoint_formats_write(maker->checkpoint, maker->config, maker->error);
}

static int config_of_package(const struct kgen_checkpoint *checkpoint, struct kgen_text *config,
                             struct kgen_error *error)
{
    struct kgen_package_facts facts;
    kgen_package_query(checkpoint->package, &facts);
    kgen_text_clear(config);
    kgen_text_append(config, facts.config.data, facts.config.length);
    return config->failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_checkpoint_source(checkpoint), 0, 0,
                                           "out of memory")
                          : 0;
}

int kgen_checkpoint_config(const struct kgen_checkpoint *checkpoint, struct kgen_text *config,
                           struct kgen_error *error)
{
    if (checkpoint->folder != NULL)
        return kgen_checkpoint_folder_config(checkpoint, config, error);
    if (checkpoint->package != NULL)
        return config_of_package(checkpoint, config, error);
    struct kgen_error ignored = {0};
    struct kgen_config_maker maker = {.checkpoint = checkpoint,
                                      .gguf = checkpoint->gguf,
                                      .config = json_object(),
                                      .error = error != NULL ? error : &ignored};
    kgen_text_clear(config);
    int result = maker.config == NULL ? -1 : make(&maker);
    if (result == 0) {
        char *text = json_dumps(maker.config, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
        kgen_text_puts(config, text != NULL ? text : "");
        result = text == NULL || config->failed ? -1 : 0;
        free(text);
    }
    json_decref(maker.config);
    if (result != 0)
        kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_gguf_source(maker.gguf), 0, 0, "out of memory");
    return result;
}
