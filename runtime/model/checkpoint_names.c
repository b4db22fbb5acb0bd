/* SPDX-License-Identifier: MIT */
/* The names of tensors: Hugging Face's, and those of GGUF files. */
#include "runtime/model/checkpoint_internal.h"

#include <stdio.h>
#include <string.h>

/* "%" stands for the number of a layer. ".weight" or ".bias" follows, or nothing. Of the rows that are for an
 * architecture, the first counts. */
static const struct {
    const char *name, *stored;
    const char *only; /* NULL, or the architectures of GGUF that the row is for */
    bool whole;       /* nothing follows */
} names[] = {
    {"model.layers.%.post_attention_layernorm", "blk.%.post_attention_norm", "gemma2 gemma3", false},
    {"model.layers.%.pre_feedforward_layernorm", "blk.%.ffn_norm", "gemma2 gemma3", false},
    {"model.layers.%.post_feedforward_layernorm", "blk.%.post_ffw_norm", "gemma2 gemma3", false},
    {"model.layers.%.post_self_attn_layernorm", "blk.%.post_attention_norm", "glm4", false},
    {"model.layers.%.post_mlp_layernorm", "blk.%.post_ffw_norm", "glm4", false},
    {"model.layers.%.post_attention_layernorm", "blk.%.post_attention_norm", "gpt-oss", false},
    {"model.layers.%.mlp.gate_up_proj", "blk.%.ffn_up", "phi3 glm4", false},
    {"model.layers.%.self_attn.qkv_proj", "blk.%.attn_qkv", "phi3", false},
    {"model.embed_tokens", "token_embd", NULL, false},
    {"model.norm", "output_norm", NULL, false},
    {"lm_head", "output", NULL, false},
    {"model.layers.%.input_layernorm", "blk.%.attn_norm", NULL, false},
    {"model.layers.%.post_attention_layernorm", "blk.%.ffn_norm", NULL, false},
    {"model.layers.%.self_attn.q_proj", "blk.%.attn_q", NULL, false},
    {"model.layers.%.self_attn.k_proj", "blk.%.attn_k", NULL, false},
    {"model.layers.%.self_attn.v_proj", "blk.%.attn_v", NULL, false},
    {"model.layers.%.self_attn.o_proj", "blk.%.attn_output", NULL, false},
    {"model.layers.%.self_attn.q_norm", "blk.%.attn_q_norm", NULL, false},
    {"model.layers.%.self_attn.k_norm", "blk.%.attn_k_norm", NULL, false},
    {"model.layers.%.mlp.gate_proj", "blk.%.ffn_gate", NULL, false},
    {"model.layers.%.mlp.up_proj", "blk.%.ffn_up", NULL, false},
    {"model.layers.%.mlp.down_proj", "blk.%.ffn_down", NULL, false},
    {"model.layers.%.mlp.gate", "blk.%.ffn_gate_inp", "qwen3moe deepseek2", false},
    {"model.layers.%.mlp.switch_mlp.gate_proj", "blk.%.ffn_gate_exps", "qwen3moe deepseek2", false},
    {"model.layers.%.mlp.switch_mlp.up_proj", "blk.%.ffn_up_exps", "qwen3moe deepseek2", false},
    {"model.layers.%.mlp.switch_mlp.down_proj", "blk.%.ffn_down_exps", "qwen3moe deepseek2", false},
    {"model.layers.%.self_attn.q_a_proj", "blk.%.attn_q_a", "deepseek2", false},
    {"model.layers.%.self_attn.q_a_layernorm", "blk.%.attn_q_a_norm", "deepseek2", false},
    {"model.layers.%.self_attn.q_b_proj", "blk.%.attn_q_b", "deepseek2", false},
    {"model.layers.%.self_attn.kv_a_proj_with_mqa", "blk.%.attn_kv_a_mqa", "deepseek2", false},
    {"model.layers.%.self_attn.kv_a_layernorm", "blk.%.attn_kv_a_norm", "deepseek2", false},
    {"model.layers.%.self_attn.embed_q", "blk.%.attn_k_b", "deepseek2", false},
    {"model.layers.%.self_attn.unembed_out", "blk.%.attn_v_b", "deepseek2", false},
    {"model.layers.%.mlp.shared_experts.gate_proj", "blk.%.ffn_gate_shexp", "deepseek2", false},
    {"model.layers.%.mlp.shared_experts.up_proj", "blk.%.ffn_up_shexp", "deepseek2", false},
    {"model.layers.%.mlp.shared_experts.down_proj", "blk.%.ffn_down_shexp", "deepseek2", false},
    {"model.layers.%.mlp.gate.e_score_correction_bias", "blk.%.exp_probs_b.bias", "deepseek2", true},
    {"model.layers.%.mlp.router", "blk.%.ffn_gate_inp", "gpt-oss", false},
    {"model.layers.%.mlp.experts.gate_proj", "blk.%.ffn_gate_exps", "gpt-oss", false},
    {"model.layers.%.mlp.experts.up_proj", "blk.%.ffn_up_exps", "gpt-oss", false},
    {"model.layers.%.mlp.experts.down_proj", "blk.%.ffn_down_exps", "gpt-oss", false},
    {"model.layers.%.router.proj", "blk.%.ffn_gate_inp", "gemma4", false},
    {"model.layers.%.experts.switch_glu.gate_proj", "blk.%.ffn_gate_exps", "gemma4", false},
    {"model.layers.%.experts.switch_glu.up_proj", "blk.%.ffn_up_exps", "gemma4", false},
    {"model.layers.%.experts.switch_glu.down_proj", "blk.%.ffn_down_exps", "gemma4", false},
    /* Mixtral's. */
    {"model.layers.%.block_sparse_moe.gate", "blk.%.ffn_gate_inp", "llama", false},
    {"model.layers.%.block_sparse_moe.switch_mlp.gate_proj", "blk.%.ffn_gate_exps", "llama", false},
    {"model.layers.%.block_sparse_moe.switch_mlp.up_proj", "blk.%.ffn_up_exps", "llama", false},
    {"model.layers.%.block_sparse_moe.switch_mlp.down_proj", "blk.%.ffn_down_exps", "llama", false},
};

static const char *const endings[] = {".weight", ".bias"};

/* Whether text is pattern and then ending. layer gets the digits that "%" stands for. */
static bool matches(struct kgen_gguf_text text, const char *pattern, const char *ending,
                    struct kgen_gguf_text *layer)
{
    size_t at = 0;
    *layer = (struct kgen_gguf_text){"", 0};
    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '%') {
            if (at == text.length || text.data[at++] != *pattern)
                return false;
            continue;
        }
        const size_t begin = at;
        while (at < text.length && text.data[at] >= '0' && text.data[at] <= '9')
            at++;
        *layer = (struct kgen_gguf_text){text.data + begin, at - begin};
        /* One way to write each number. */
        if (layer->length == 0 || layer->length > 9 || (layer->length > 1 && layer->data[0] == '0'))
            return false;
    }
    return kgen_gguf_text_is((struct kgen_gguf_text){text.data + at, text.length - at}, ending);
}

static void fill_in(const char *pattern, struct kgen_gguf_text layer, const char *ending,
                    char name[KGEN_CHECKPOINT_NAME_MAX])
{
    const size_t before = strcspn(pattern, "%");
    const char *after = pattern[before] == '%' ? pattern + before + 1 : "";
    snprintf(name, KGEN_CHECKPOINT_NAME_MAX, "%.*s%.*s%s%s", (int)before, pattern, (int)layer.length,
             layer.data, after, ending);
}

/* Whether a row is for an architecture; without data it stands for any. */
static bool is_for(const char *only, struct kgen_gguf_text architecture)
{
    for (const char *at = only; at != NULL && architecture.data != NULL && *at != '\0';
         at += strspn(at, " ")) {
        const size_t length = strcspn(at, " ");
        if (length == architecture.length && memcmp(at, architecture.data, length) == 0)
            return true;
        at += length;
    }
    return only == NULL || architecture.data == NULL;
}

/* Sinks have no ending in Hugging Face's name. */
static const char sinks[] = "model.layers.%.self_attn.sinks", stored_sinks[] = "blk.%.attn_sinks.weight";

static bool translate(struct kgen_gguf_text text, struct kgen_gguf_text architecture, bool to_gguf,
                      char result[KGEN_CHECKPOINT_NAME_MAX])
{
    struct kgen_gguf_text number;
    if (is_for("gpt-oss", architecture) && matches(text, to_gguf ? sinks : stored_sinks, "", &number)) {
        fill_in(to_gguf ? stored_sinks : sinks, number, "", result);
        return true;
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        if (!is_for(names[i].only, architecture))
            continue;
        for (size_t j = 0; j < (names[i].whole ? 1 : KGEN_COUNT_OF(endings)); j++) {
            const char *ending = names[i].whole ? "" : endings[j];
            struct kgen_gguf_text layer;
            if (!matches(text, to_gguf ? names[i].name : names[i].stored, ending, &layer))
                continue;
            fill_in(to_gguf ? names[i].stored : names[i].name, layer, ending, result);
            return true;
        }
    }
    result[0] = '\0';
    return false;
}

/* Empty where the metadata do not say it. */
static struct kgen_gguf_text architecture_of(const struct kgen_gguf *gguf)
{
    struct kgen_gguf_text name = {"", 0};
    if (gguf == NULL)
        return (struct kgen_gguf_text){NULL, 0};
    kgen_gguf_string(gguf, "general.architecture", &name, NULL);
    return name;
}

bool kgen_checkpoint_name_to_gguf(const struct kgen_gguf *gguf, const char *name,
                                  char stored[KGEN_CHECKPOINT_NAME_MAX])
{
    return translate((struct kgen_gguf_text){name, strlen(name)}, architecture_of(gguf), true, stored);
}

bool kgen_checkpoint_name_from_gguf(const struct kgen_gguf *gguf, struct kgen_gguf_text stored,
                                    char name[KGEN_CHECKPOINT_NAME_MAX])
{
    return translate(stored, architecture_of(gguf), false, name);
}

bool kgen_checkpoint_is_of_rope(struct kgen_gguf_text stored)
{
    static const char ending[] = ".rotary_emb.inv_freq";
    const size_t size = sizeof ending - 1;
    return kgen_gguf_text_is(stored, "rope_freqs.weight") ||
           (stored.length > size && memcmp(stored.data + stored.length - size, ending, size) == 0);
}
