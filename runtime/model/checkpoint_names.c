/* SPDX-License-Identifier: MIT */
/* The names of tensors: Hugging Face's, and those of GGUF files. */
#include "runtime/model/checkpoint_internal.h"

#include <stdio.h>
#include <string.h>

/* "%" stands for the number of a layer. ".weight" or ".bias" follows. */
static const struct {
    const char *name, *stored;
} names[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
    {"model.layers.%.input_layernorm", "blk.%.attn_norm"},
    {"model.layers.%.post_attention_layernorm", "blk.%.ffn_norm"},
    {"model.layers.%.self_attn.q_proj", "blk.%.attn_q"},
    {"model.layers.%.self_attn.k_proj", "blk.%.attn_k"},
    {"model.layers.%.self_attn.v_proj", "blk.%.attn_v"},
    {"model.layers.%.self_attn.o_proj", "blk.%.attn_output"},
    {"model.layers.%.self_attn.q_norm", "blk.%.attn_q_norm"},
    {"model.layers.%.self_attn.k_norm", "blk.%.attn_k_norm"},
    {"model.layers.%.mlp.gate_proj", "blk.%.ffn_gate"},
    {"model.layers.%.mlp.up_proj", "blk.%.ffn_up"},
    {"model.layers.%.mlp.down_proj", "blk.%.ffn_down"},
    {"model.layers.%.mlp.gate", "blk.%.ffn_gate_inp"},
    {"model.layers.%.mlp.switch_mlp.gate_proj", "blk.%.ffn_gate_exps"},
    {"model.layers.%.mlp.switch_mlp.up_proj", "blk.%.ffn_up_exps"},
    {"model.layers.%.mlp.switch_mlp.down_proj", "blk.%.ffn_down_exps"},
    /* Of the architecture llama; see kgen_checkpoint_name_of_mixtral. */
    {"model.layers.%.block_sparse_moe.gate", "blk.%.ffn_gate_inp"},
    {"model.layers.%.block_sparse_moe.switch_mlp.gate_proj", "blk.%.ffn_gate_exps"},
    {"model.layers.%.block_sparse_moe.switch_mlp.up_proj", "blk.%.ffn_up_exps"},
    {"model.layers.%.block_sparse_moe.switch_mlp.down_proj", "blk.%.ffn_down_exps"},
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

static bool translate(struct kgen_gguf_text text, bool to_gguf, char result[KGEN_CHECKPOINT_NAME_MAX])
{
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        for (size_t j = 0; j < KGEN_COUNT_OF(endings); j++) {
            struct kgen_gguf_text layer;
            if (!matches(text, to_gguf ? names[i].name : names[i].stored, endings[j], &layer))
                continue;
            fill_in(to_gguf ? names[i].stored : names[i].name, layer, endings[j], result);
            return true;
        }
    }
    result[0] = '\0';
    return false;
}

bool kgen_checkpoint_name_to_gguf(const char *name, char stored[KGEN_CHECKPOINT_NAME_MAX])
{
    return translate((struct kgen_gguf_text){name, strlen(name)}, true, stored);
}

bool kgen_checkpoint_name_from_gguf(struct kgen_gguf_text stored, char name[KGEN_CHECKPOINT_NAME_MAX])
{
    return translate(stored, false, name);
}

void kgen_checkpoint_name_of_mixtral(char name[KGEN_CHECKPOINT_NAME_MAX])
{
    static const char block[] = ".mlp.";
    char *at = strstr(name, block), rest[KGEN_CHECKPOINT_NAME_MAX];
    if (at == NULL)
        return;
    snprintf(rest, sizeof rest, "%s", at + strlen(block));
    if (strcmp(rest, "gate.weight") == 0 || strncmp(rest, "switch_mlp.", 11) == 0)
        snprintf(at, KGEN_CHECKPOINT_NAME_MAX - (size_t)(at - name), ".block_sparse_moe.%s", rest);
}

bool kgen_checkpoint_is_of_rope(struct kgen_gguf_text stored)
{
    static const char ending[] = ".rotary_emb.inv_freq";
    const size_t size = sizeof ending - 1;
    return kgen_gguf_text_is(stored, "rope_freqs.weight") ||
           (stored.length > size && memcmp(stored.data + stored.length - size, ending, size) == 0);
}
