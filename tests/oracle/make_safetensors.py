#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes small random models as mlx-lm saves them, with the logits that mlx-lm computes.

    make_safetensors.py OUT [--large] [--only NAME...]

OUT gets a folder for each model: config.json, model.safetensors (or shards and model.safetensors.index.json), and logits.f32, the logits
of POSITIONS tokens in float32, [positions, vocab]; token i is (7919 i + 13) modulo the vocabulary. tests/test_mlx_models.c holds kgen's
logits against these; the folders tests/models/* come from a run without --large. With --large the models are larger, for a check by
hand: build/tests/test_mlx_models OUT/*.

It needs python3 with numpy and mlx-lm (and "mlx[cpu]" where there is no GPU), and is not part of `make check`. All seeds are fixed.
"""
import argparse
import copy
import importlib
import json
import pathlib

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_map_with_path
from mlx_lm.utils import quantize_model

POSITIONS = 32

# What every model has, unless it says otherwise.
SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
         "rms_norm_eps": 1e-6, "vocab_size": 24, "max_position_embeddings": 64, "rope_theta": 10000.0, "tie_word_embeddings": True}
LARGE = {"hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2,
         "vocab_size": 3000}

# mlx-lm rounds the root of Gemma 3's hidden_size to bfloat16, which holds 8.
GEMMA = {"hidden_size": 64, "head_dim": 16, "hidden_activation": "gelu_pytorch_tanh"}
TWO_LAYERS = {"num_hidden_layers": 2}
# Of models with experts. With mlp_only_layers and decoder_sparse_step some layers have none.
QWEN3_MOE = {"num_hidden_layers": 2, "head_dim": 16, "num_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 32,
             "decoder_sparse_step": 1, "mlp_only_layers": [0], "norm_topk_prob": True}
MIXTRAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
# The first layer has no experts.
DEEPSEEK = {**TWO_LAYERS, "num_key_value_heads": 2, "q_lora_rank": 32, "kv_lora_rank": 32, "qk_nope_head_dim": 32, "qk_rope_head_dim": 8,
            "v_head_dim": 16, "moe_intermediate_size": 32, "n_routed_experts": 6, "n_shared_experts": 1, "num_experts_per_tok": 3,
            "n_group": 3, "topk_group": 2, "routed_scaling_factor": 2.5, "first_k_dense_replace": 1, "moe_layer_freq": 1,
            "norm_topk_prob": True, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "tie_word_embeddings": False,
            "rope_scaling": {"type": "yarn", "factor": 4.0, "mscale": 0.8, "mscale_all_dim": 0.8, "beta_fast": 4, "beta_slow": 1,
                             "original_max_position_embeddings": 16}}

# mlx-lm always truncates the limits of YaRN, and GGUF files of gpt-oss never: they are 0 and, nearly, 2 here.
GPT_OSS = {"num_hidden_layers": 2, "head_dim": 16, "num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 4,
           "num_experts_per_tok": 2, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"], "swiglu_limit": 7.0,
           "attention_bias": True, "tie_word_embeddings": False,
           "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "beta_fast": 16.0,
                            "beta_slow": 1.018592}}
GEMMA4 = {"num_hidden_layers": 2, "head_dim": 16, "global_head_dim": 32, "num_attention_heads": 4,
          "num_key_value_heads": 2, "num_global_key_value_heads": 1, "attention_k_eq_v": True, "enable_moe_block": True,
          "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32, "hidden_size_per_layer_input": 0,
          "num_kv_shared_layers": 0, "use_double_wide_mlp": False, "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 8,
          "layer_types": ["sliding_attention", "full_attention"], "final_logit_softcapping": 3.0,
          "rope_parameters": {"full_attention": {"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.25},
                              "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}}

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}


# Linear attention in the first of two layers.
QWEN3_5 = {**TWO_LAYERS, "head_dim": 16, "full_attention_interval": 2, "linear_num_value_heads": 4, "linear_num_key_heads": 2,
           "linear_key_head_dim": 12, "linear_value_head_dim": 8, "linear_conv_kernel_dim": 4, "attn_output_gate": True,
           "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.25, "mrope_section": [1, 1, 0]}}


MODULES = {"mistral": "llama", "qwen3_5_text": "qwen3_5"}


def eight_bits(path, module):
    """down_proj with 8 bits in groups of 32, o_proj not quantised, the others with the default."""
    if path.endswith("down_proj"):
        return {"bits": 8, "group_size": 32}
    return hasattr(module, "to_quantized") and not path.endswith("o_proj")


def floating_modes(path, module):
    """down_proj in mxfp8, o_proj in nvfp4, q_proj with 8 bits of affine, the others with the default."""
    if path.endswith("down_proj"):
        return {"bits": 8, "group_size": 32, "mode": "mxfp8"}
    if path.endswith("o_proj"):
        return {"bits": 4, "group_size": 16, "mode": "nvfp4"}
    if path.endswith("q_proj"):
        return {"bits": 8, "group_size": 32}
    return hasattr(module, "to_quantized")


def router_of_eight_bits(path, module):
    """The router with 8 bits in groups of 32, as mlx-lm quantises it; the others with the default."""
    if path.endswith("mlp.gate"):
        return {"bits": 8, "group_size": 32}
    return hasattr(module, "to_quantized")


def experts_only(path, module):
    """The experts with the default, the others not quantised, as in gpt-oss."""
    return ".experts." in path and hasattr(module, "to_quantized")


def make_weights(model, norm):
    """Random weights, of which outputs are about as great as inputs; norms near a number; biases."""
    def make(name, weight):
        if "scal" in name:
            return 1 + 0.1 * mx.random.normal(weight.shape)
        if "norm" in name:
            return norm + 0.1 * mx.random.normal(weight.shape)
        if name.endswith("e_score_correction_bias"):
            # Not below 0: mlx-lm puts 0 in the place of the scores of groups that are not taken, which must be the least.
            return 0.5 * mx.random.uniform(shape=weight.shape)
        if name.endswith(".bias"):
            return 0.3 * mx.random.normal(weight.shape)
        return mx.random.normal(weight.shape) / weight.shape[-1] ** 0.5
    model.update(tree_map_with_path(make, model.parameters()))


def store_apart(weights):
    """The matrices of experts one by one, and kv_b_proj whole, as Hugging Face's library has them, in place of mlx-lm's stacks."""
    letters = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}
    result = {}
    for name, weight in weights.items():
        if ".embed_q." in name:
            values = weights[name.replace("embed_q", "unembed_out")]
            whole = mx.concatenate([weight.swapaxes(-1, -2), values], axis=1)
            result[name.replace("embed_q", "kv_b_proj")] = whole.reshape(-1, whole.shape[-1])
            continue
        if ".unembed_out." in name:
            continue
        if ".switch_mlp." not in name:
            result[name] = weight
            continue
        block, leaf = name.split(".switch_mlp.")
        matrix = leaf.split(".")[0]
        for expert in range(weight.shape[0]):
            own = letters[matrix] if block.endswith("block_sparse_moe") else matrix
            result[f"{block}.experts.{expert}.{own}.weight"] = weight[expert]
    return result


def store_blocks(weights):
    """The experts of gpt-oss as Hugging Face's library has them: rows of gate and up in turn, blocks of 16 bytes."""
    result = {name: weight for name, weight in weights.items() if ".experts." not in name}
    endings = {"weight": "_blocks", "scales": "_scales", "bias": "_bias"}
    for name, weight in weights.items():
        if ".experts." not in name or ".up_proj." in name:
            continue
        block, matrix, kind = name.rsplit(".", 2)
        if matrix == "gate_proj":
            both = mx.stack([weight, weights[f"{block}.up_proj.{kind}"]], axis=2)
            weight = both.reshape(weight.shape[0], -1, *weight.shape[2:])
            matrix = "gate_up_proj"
        if kind == "weight":
            weight = weight.view(mx.uint8).reshape(*weight.shape[:2], -1, 16)
        result[f"{block}.{matrix}{endings[kind]}"] = weight
    return result


NORMS = ("layernorm.weight", "model.norm.weight", "q_norm.weight", "k_norm.weight")


def store_with_images(weights):
    """As Hugging Face's library has a model of text and images: most norms less one, the taps of convolutions in the last dimension,
    names with a prefix, and tensors of the other parts."""
    result = {"model.visual.merger.norm.weight": mx.ones((4,), mx.bfloat16), "mtp.norm.weight": mx.ones((4,), mx.bfloat16)}
    for name, weight in weights.items():
        if name.endswith("conv1d.weight"):
            weight = weight.moveaxis(1, 2)
        if name.endswith(NORMS):
            weight = weight - 1
        result[name.replace("model.", "model.language_model.", 1)] = weight
    return result


def with_images(config):
    """The config of such a model."""
    outer = {"architectures", "model_type", "torch_dtype"}
    text = {key: value for key, value in config.items() if key not in outer}
    return {"architectures": config["architectures"], "model_type": "qwen3_5", "torch_dtype": config["torch_dtype"],
            "text_config": {**text, "model_type": config["model_type"]}, "vision_config": {"model_type": "qwen3_5", "depth": 1}}


MODELS = [
    # name, family, class, keys of the config, dtype of what is stored, bits, group_size, predicate, shards; a mode other than affine;
    # what makes of the weights those that are stored
    ("qwen2-bf16", "qwen2", "Qwen2ForCausalLM", {}, mx.bfloat16, 0, 0, None, 1),
    ("qwen2-q4", "qwen2", "Qwen2ForCausalLM", {"hidden_size": 64, "intermediate_size": 64, "tie_word_embeddings": False}, mx.bfloat16, 4, 64,
     None, 1),
    ("qwen3-q3-mixed", "qwen3", "Qwen3ForCausalLM", {"head_dim": 32, "rope_theta": 1e6}, mx.float16, 3, 32, eight_bits, 1),
    ("qwen3-f32-shards", "qwen3", "Qwen3ForCausalLM", {"head_dim": 16, "tie_word_embeddings": False}, mx.float32, 0, 0, None, 2),
    ("llama-q6", "llama", "LlamaForCausalLM", {"rope_scaling": LLAMA3}, mx.float32, 6, 32, None, 1),
    ("llama-f16", "llama", "LlamaForCausalLM", {"attention_bias": True, "mlp_bias": True}, mx.float16, 0, 0, None, 1),
    ("qwen3-mxfp4-mixed", "qwen3", "Qwen3ForCausalLM", {"head_dim": 16}, mx.bfloat16, 4, 32, floating_modes, 1, "mxfp4"),
    # A window in the first layer.
    ("mistral-window", "mistral", "MistralForCausalLM", {**TWO_LAYERS, "layer_types": ["sliding_attention", "full_attention"],
     "sliding_window": 8}, mx.bfloat16, 0, 0, None, 1),
    ("gemma3", "gemma3_text", "Gemma3ForCausalLM", {**TWO_LAYERS, **GEMMA, "query_pre_attn_scalar": 24, "sliding_window": 8, "sliding_window_pattern": 2,
     "rope_theta": 1e6, "rope_local_base_freq": 100.0, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}, mx.bfloat16, 0, 0, None, 1),
    # mlx-lm gives Gemma 2 no window.
    ("gemma2", "gemma2", "Gemma2ForCausalLM", {**TWO_LAYERS, **GEMMA, "query_pre_attn_scalar": 16, "sliding_window": 64, "attn_logit_softcapping": 2.0,
     "final_logit_softcapping": 3.0}, mx.bfloat16, 0, 0, None, 1),
    ("phi3", "phi3", "Phi3ForCausalLM", {"head_dim": 16, "partial_rotary_factor": 0.75, "tie_word_embeddings": False}, mx.bfloat16, 0, 0, None, 1),
    ("glm4", "glm4", "Glm4ForCausalLM", {**TWO_LAYERS, "head_dim": 16, "attention_bias": True, "partial_rotary_factor": 0.5,
     "tie_word_embeddings": False}, mx.bfloat16, 0, 0, None, 1),
    ("qwen3-moe-q4", "qwen3_moe", "Qwen3MoeForCausalLM", QWEN3_MOE, mx.float16, 4, 32, router_of_eight_bits, 1),
    ("qwen3-moe-f16", "qwen3_moe", "Qwen3MoeForCausalLM", {**QWEN3_MOE, "norm_topk_prob": False}, mx.float16, 0, 0, None, 1),
    ("mixtral-bf16", "mixtral", "MixtralForCausalLM", MIXTRAL, mx.bfloat16, 0, 0, None, 1, "affine", store_apart),
    ("gpt-oss-mxfp4", "gpt_oss", "GptOssForCausalLM", GPT_OSS, mx.bfloat16, 4, 32, experts_only, 1, "mxfp4"),
    ("gemma4", "gemma4_text", "Gemma4ForCausalLM", GEMMA4, mx.bfloat16, 0, 0, None, 1),
    ("gpt-oss-blocks", "gpt_oss", "GptOssForCausalLM", GPT_OSS, mx.bfloat16, 4, 32, experts_only, 1, "mxfp4", store_blocks),
    ("deepseek-v3", "deepseek_v3", "DeepseekV3ForCausalLM", DEEPSEEK, mx.bfloat16, 0, 0, None, 1),
    # Without q_lora_rank, and with experts in the only layer.
    ("deepseek-v3-hf", "deepseek_v3", "DeepseekV3ForCausalLM", {**DEEPSEEK, "num_hidden_layers": 1, "q_lora_rank": None,
     "rope_scaling": None, "first_k_dense_replace": 0, "n_routed_experts": 4, "n_group": 2, "rms_norm_eps": 1e-2}, mx.float16, 0, 0, None, 1, "affine", store_apart),
    ("qwen3_5", "qwen3_5_text", "Qwen3_5ForCausalLM", QWEN3_5, mx.bfloat16, 0, 0, None, 1),
    ("qwen3_5-hf", "qwen3_5_text", "Qwen3_5ForConditionalGeneration", QWEN3_5, mx.bfloat16, 0, 0, None, 1, "affine", store_with_images),
]



def save(folder, weights, shards):
    names = sorted(weights)
    if shards == 1:
        mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
        return
    files = {}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = names[i::shards]
        mx.save_safetensors(str(folder / file), {name: weights[name] for name in part}, metadata={"format": "mlx"})
        files.update({name: file for name in part})
    index = {"metadata": {"total_size": sum(w.nbytes for w in weights.values())}, "weight_map": dict(sorted(files.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def embed_in_float32():
    """MLX decodes embeddings of its floating-point modes as bfloat16, which holds them, and goes on in it; logits are to be float32."""
    call = nn.QuantizedEmbedding.__call__
    nn.QuantizedEmbedding.__call__ = lambda self, x: call(self, x).astype(mx.float32)


def make_model(out, large, seed, name, family, architecture, keys, dtype, bits, group_size, predicate, shards, mode="affine",
               stored=None):
    config = {"architectures": [architecture], "model_type": family, **SMALL, **keys, **(LARGE if large else {})}
    module = importlib.import_module(f"mlx_lm.models.{MODULES.get(family, family)}")
    mx.random.seed(seed)
    if family == "qwen3_5_text":
        model = module.TextModel(module.TextModelArgs.from_dict(copy.deepcopy(config)))
    else:
        model = module.Model(module.ModelArgs.from_dict(config))
    if family == "gemma3_text":
        model.sanitize({})  # without an lm_head
    make_weights(model, 0 if family in ("gemma2", "gemma3_text") else 1)
    model.set_dtype(dtype)
    if stored == store_with_images:  # norms that are 1 and more, exactly
        model.update(tree_map_with_path(lambda name, weight: 1 + mx.round(64 * (weight - 1)) / 64 if name.endswith(NORMS) else weight,
                                        model.parameters()))
        model.set_dtype(dtype)
    if bits:
        model, config = quantize_model(model, config, group_size, bits, mode=mode, quant_predicate=predicate)
        config["quantization_config"] = config["quantization"]
    config["torch_dtype"] = {mx.bfloat16: "bfloat16", mx.float16: "float16", mx.float32: "float32"}[dtype]
    weights = dict(tree_flatten(model.parameters()))
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    save(folder, stored(weights) if stored else weights, shards)
    written = with_images(config) if stored == store_with_images else config
    if stored == store_blocks:
        del written["quantization"]
        written["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}
    (folder / "config.json").write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")
    # The same weights, and all else in float32.
    model.set_dtype(mx.float32)
    tokens = [(7919 * i + 13) % config["vocab_size"] for i in range(POSITIONS)]
    logits = model(mx.array([tokens]))[0].astype(mx.float32)
    np.array(logits).tofile(folder / "logits.f32")
    print(f"{name}: {sum(w.nbytes for w in weights.values())} bytes of weights, logits of {logits.shape}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", nargs="*", help="the names of the models to make")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)
    embed_in_float32()
    for seed, model in enumerate(MODELS):
        if options.only and model[0] not in options.only:
            continue
        make_model(options.out, options.large, seed + 1, *model)


main()
