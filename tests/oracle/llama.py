#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An oracle in double precision for decoders of the Llama family.

Reads a GGUF file of the architecture "llama" or a llama2.c checkpoint of version 0 (*.bin), turns all weights into float64 and
computes the model in float64. It is for checks during development: `make check` does not run it. It needs python3 with the packages
numpy and gguf (gguf only for GGUF files), and 8 bytes of memory for each weight.

    llama.py MODEL --tokens IDS [--tokens IDS ...] [-n N] [--logits OUT.npy] [--json]
        Greedy generation of N tokens after the prompt IDS. Prints one object, or a list of them where --tokens stands more than once:
            prompt_tokens   the ids of the prompt
            tokens          the N generated ids; generation does not stop at the end of text
            margins         for each generated id its logit minus the second best one
            top             for each generated id the best two ids, [first, second]
            eos             the id that the file names as the end of text, or null
        Of equal logits the lowest id wins. OUT.npy has the logits that each id was chosen by, [N, vocab]; one prompt only.

    llama.py MODEL --score IDS [--window W] [--skip S] [--logits OUT.npy] [--json]
        The logits at every position of IDS, [positions, vocab], and in the object:
            positions       how many ids there are
            counted         over how many positions nll and perplexity go
            nll             the mean of -log p(next id), natural logarithm
            perplexity      exp(nll)
        W cuts the ids into windows, each from an empty cache (default: one window). A position counts if its window has a next id
        and it is at least the S-th of its window, from 0 (default 0). W = 512 with S = 256 is the usual way for long texts.

IDS are separated by commas or white space; @FILE reads them from a file. --float32 stores OUT.npy as float32 instead of float64.
Without --json the object is followed by times on stderr. Exit status 1: the model or the ids cannot be used; the reason is on stderr.
"""
import argparse
import json
import re
import sys
import time

import numpy as np

BLOCK = 256  # positions that are computed at once


class Unusable(Exception):
    pass


class Model:
    """The hyperparameters as attributes. A weight [N, K] multiplies a row of K values; layers is a list of dicts."""

    def __init__(self, **fields):
        self.__dict__.update(fields)
        if self.heads % self.kv_heads:
            raise Unusable(f"{self.heads} heads are not a multiple of {self.kv_heads} KV heads")

    def check_ids(self, ids, positions):
        if not ids:
            raise Unusable("there are no ids")
        for i in ids:
            if not 0 <= i < self.vocab:
                raise Unusable(f"the id {i} is not in the vocabulary of {self.vocab}")
        if positions > self.context:
            raise Unusable(f"{positions} positions are needed, the model has {self.context}")


# Readers

# The places of the two f16 factors d and m in blocks whose values are (integer * d) + (integer * m). Each product is exact in
# float32, their sum is not.
SUMS = {"Q4_1": (0, 2), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q4_K": (0, 2), "Q5_K": (0, 2)}


def exact(tensor):
    """The values of a tensor of a GGUF file as float64, without rounding."""
    from gguf import GGML_QUANT_SIZES
    from gguf.quants import dequantize

    kind = tensor.tensor_type
    if kind.name == "F64":
        return np.array(tensor.data, dtype=np.float64)
    if kind.name not in SUMS:
        return dequantize(tensor.data, kind).astype(np.float64)
    total = 0
    for place in SUMS[kind.name]:
        part = np.array(tensor.data)
        part.reshape(-1, GGML_QUANT_SIZES[kind][1])[:, place : place + 2] = 0
        total = total + dequantize(part, kind).astype(np.float64)
    return total


LAYER_TENSORS = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")


def read_gguf(path):
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
    except ValueError as error:
        raise Unusable(f"{path} cannot be read as a GGUF file: {error}") from None
    required = object()

    def field(name, default=required):
        found = reader.get_field(name)
        if found is None and default is required:
            raise Unusable(f"{path} has no field {name}")
        return default if found is None else found.contents()

    if field("general.architecture") != "llama":
        raise Unusable(f"{path} is of the architecture {field('general.architecture')}, this oracle is for llama")
    if field("llama.rope.scaling.type", "none") != "none":
        raise Unusable(f"{path} scales its positions by {field('llama.rope.scaling.type')}, which is not known here")
    tensors = {t.name: t for t in reader.tensors}

    def take(name, *shape):
        if name not in tensors:
            raise Unusable(f"{path} has no tensor {name}")
        t = tensors.pop(name)
        have = tuple(int(n) for n in reversed(t.shape))
        if have != shape:
            raise Unusable(f"{name} has the shape {have}, not {shape}")
        return exact(t).reshape(shape)

    hidden, ffn = field("llama.embedding_length"), field("llama.feed_forward_length")
    heads = field("llama.attention.head_count")
    kv_heads = field("llama.attention.head_count_kv", heads)
    head_dim = field("llama.attention.key_length", hidden // heads)
    if field("llama.attention.value_length", head_dim) != head_dim:
        raise Unusable(f"{path} has keys and values of different lengths")
    shapes = dict(attn_norm=(hidden,), attn_q=(heads * head_dim, hidden), attn_k=(kv_heads * head_dim, hidden),
                  attn_v=(kv_heads * head_dim, hidden), attn_output=(hidden, heads * head_dim), ffn_norm=(hidden,),
                  ffn_gate=(ffn, hidden), ffn_up=(ffn, hidden), ffn_down=(hidden, ffn))
    if "token_embd.weight" not in tensors:
        raise Unusable(f"{path} has no tensor token_embd.weight")
    vocab = int(tensors["token_embd.weight"].shape[1])
    embedding = take("token_embd.weight", vocab, hidden)
    layers = [{name: take(f"blk.{i}.{name}.weight", *shapes[name]) for name in LAYER_TENSORS}
              for i in range(field("llama.block_count"))]
    rotated = field("llama.rope.dimension_count", head_dim)
    frequencies = field("llama.rope.freq_base", 10000.0) ** (-np.arange(0, rotated, 2, dtype=np.float64) / rotated)
    if "rope_freqs.weight" in tensors:
        frequencies = frequencies / take("rope_freqs.weight", rotated // 2)
    model = Model(hidden=hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim, vocab=vocab,
                  context=field("llama.context_length"), epsilon=field("llama.attention.layer_norm_rms_epsilon"),
                  eos=field("tokenizer.ggml.eos_token_id", None), frequencies=frequencies, embedding=embedding, layers=layers,
                  norm=take("output_norm.weight", hidden),
                  head=take("output.weight", vocab, hidden) if "output.weight" in tensors else embedding)
    if tensors:
        raise Unusable(f"{path} has tensors that are not known here: {', '.join(sorted(tensors))}")
    return model


def read_llama2c(path):
    """Version 0: 7 int32, then float32. The tables of cosines and sines in the file are passed over."""
    header = np.fromfile(path, dtype="<i4", count=7)
    if len(header) < 7 or min(*header[:5], abs(header[5]), header[6]) < 1:
        raise Unusable(f"{path} has no header of a llama2.c checkpoint of version 0")
    hidden, ffn, count, heads, kv_heads, vocab, context = (int(n) for n in header)
    tied, vocab, head_dim = vocab > 0, abs(vocab), hidden // heads
    if hidden % heads:
        raise Unusable(f"hidden {hidden} is not a multiple of {heads} heads")
    values = np.fromfile(path, dtype="<f4", offset=28).astype(np.float64)
    at = 0

    def take(*shape):
        nonlocal at
        size = int(np.prod(shape))
        if at + size > len(values):
            raise Unusable(f"{path} ends early: {len(values)} weights, at least {at + size} are due")
        at += size
        return values[at - size : at].reshape(shape)

    embedding = take(vocab, hidden)
    order = (("attn_norm", (hidden,)), ("attn_q", (heads * head_dim, hidden)), ("attn_k", (kv_heads * head_dim, hidden)),
             ("attn_v", (kv_heads * head_dim, hidden)), ("attn_output", (hidden, heads * head_dim)), ("ffn_norm", (hidden,)),
             ("ffn_gate", (ffn, hidden)), ("ffn_down", (hidden, ffn)), ("ffn_up", (ffn, hidden)))
    stacks = {name: take(count, *shape) for name, shape in order}
    norm = take(hidden)
    take(2, context, head_dim // 2)
    head = embedding if tied else take(vocab, hidden)
    if at != len(values):
        raise Unusable(f"{path} has {len(values)} weights, {at} are due")
    return Model(hidden=hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim, vocab=vocab, context=context, epsilon=1e-5, eos=None,
                 frequencies=10000.0 ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim), embedding=embedding,
                 layers=[{name: stack[i] for name, stack in stacks.items()} for i in range(count)], norm=norm, head=head)


# The model

class Cache:
    """Keys (rotated) and values of each layer: [kv_heads, positions, head_dim]. length positions are filled."""

    def __init__(self, model, positions):
        shape = (len(model.layers), model.kv_heads, positions, model.head_dim)
        self.keys, self.values, self.length = np.zeros(shape), np.zeros(shape), 0


def rms_norm(x, weight, epsilon):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def rope(x, angles):
    """Rotates the pairs (2i, 2i+1) of x, [positions, heads, head_dim], by angles, [positions, pairs]; what is behind them stays."""
    out = x.copy()
    n = 2 * angles.shape[1]
    cosine, sine = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
    even, odd = x[..., 0:n:2], x[..., 1:n:2]
    out[..., 0:n:2] = even * cosine - odd * sine
    out[..., 1:n:2] = even * sine + odd * cosine
    return out


def attention(query, keys, values, first):
    """query [T, heads, head_dim] at the positions from first on; keys and values [kv_heads, first + T, head_dim]."""
    t, heads, head_dim = query.shape
    kv_heads, positions, _ = keys.shape
    # Head h has the keys of KV head h / (heads / kv_heads).
    query = query.transpose(1, 0, 2).reshape(kv_heads, heads // kv_heads, t, head_dim)
    scores = query @ keys[:, None].transpose(0, 1, 3, 2) / np.sqrt(head_dim)
    scores[..., np.arange(positions)[None, :] > first + np.arange(t)[:, None]] = -np.inf
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    out = scores / scores.sum(axis=-1, keepdims=True) @ values[:, None]
    return out.reshape(heads, t, head_dim).transpose(1, 0, 2).reshape(t, heads * head_dim)


def block(model, cache, ids):
    """The normalised states behind the last layer, [len(ids), hidden]; their keys and values enter the cache."""
    t, first = len(ids), cache.length
    end = first + t
    angles = np.arange(first, end, dtype=np.float64)[:, None] * model.frequencies
    x = model.embedding[ids]
    for w, keys, values in zip(model.layers, cache.keys, cache.values):
        a = rms_norm(x, w["attn_norm"], model.epsilon)
        query = rope((a @ w["attn_q"].T).reshape(t, model.heads, model.head_dim), angles)
        key = rope((a @ w["attn_k"].T).reshape(t, model.kv_heads, model.head_dim), angles)
        value = (a @ w["attn_v"].T).reshape(t, model.kv_heads, model.head_dim)
        keys[:, first:end], values[:, first:end] = key.transpose(1, 0, 2), value.transpose(1, 0, 2)
        x = x + attention(query, keys[:, :end], values[:, :end], first) @ w["attn_output"].T
        a = rms_norm(x, w["ffn_norm"], model.epsilon)
        gate = a @ w["ffn_gate"].T
        # x * sigmoid(x), by the hyperbolic tangent, which does not overflow.
        x = x + (gate * (0.5 + 0.5 * np.tanh(0.5 * gate)) * (a @ w["ffn_up"].T)) @ w["ffn_down"].T
    cache.length = end
    return rms_norm(x, model.norm, model.epsilon)


def blocks(model, cache, ids):
    """Yields the states of ids in pieces of at most BLOCK positions."""
    for at in range(0, len(ids), BLOCK):
        yield block(model, cache, ids[at : at + BLOCK])


def generate(model, prompt, count, keep):
    """The object of one prompt, and the logits, [count, vocab], where keep is true."""
    model.check_ids(prompt, len(prompt) + max(count - 1, 0))
    cache = Cache(model, len(prompt) + count)
    tokens, margins, top, kept = [], [], [], []
    pending = prompt
    for _ in range(count):
        for states in blocks(model, cache, pending):
            pass
        logits = model.head @ states[-1]
        best = int(np.argmax(logits))
        others = logits.copy()
        others[best] = -np.inf
        second = int(np.argmax(others))
        tokens.append(best)
        margins.append(float(logits[best] - logits[second]))
        top.append([best, second])
        if keep:
            kept.append(logits)
        pending = [best]
    return {"prompt_tokens": prompt, "tokens": tokens, "margins": margins, "top": top, "eos": model.eos}, kept


def score(model, ids, window, skip, out):
    """The object of a sequence; out takes the logits of all positions where it is not None."""
    window = window or len(ids)
    model.check_ids(ids, min(window, len(ids)))
    total, counted = 0.0, 0
    for start in range(0, len(ids), window):
        end = min(start + window, len(ids))
        at = start
        for states in blocks(model, Cache(model, end - start), ids[start:end]):
            logits = states @ model.head.T
            if out is not None:
                out[at : at + len(logits)] = logits
            high = logits.max(axis=-1, keepdims=True)
            log_p = logits - high - np.log(np.exp(logits - high).sum(axis=-1, keepdims=True))
            for row, position in enumerate(range(at, at + len(logits))):
                if position + 1 < end and position - start >= skip:
                    total -= log_p[row, ids[position + 1]]
                    counted += 1
            at += len(logits)
    nll = float(total / counted) if counted else None
    return {"positions": len(ids), "counted": counted, "nll": nll, "perplexity": float(np.exp(nll)) if counted else None}


# The command

def ids_of(text):
    if text.startswith("@"):
        with open(text[1:], encoding="ascii") as file:
            text = file.read()
    try:
        return [int(word) for word in re.split(r"[\s,]+", text.strip(" \t\r\n,[]")) if word]
    except ValueError as error:
        raise Unusable(f"ids are decimal numbers: {error}") from None


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     usage="llama.py MODEL (--tokens IDS [-n N] | --score IDS) [options]")
    parser.add_argument("model")
    parser.add_argument("--tokens", metavar="IDS", action="append")
    parser.add_argument("-n", metavar="N", type=int, default=32)
    parser.add_argument("--score", metavar="IDS")
    parser.add_argument("--window", metavar="W", type=int, default=0)
    parser.add_argument("--skip", metavar="S", type=int, default=0)
    parser.add_argument("--logits", metavar="OUT.npy")
    parser.add_argument("--float32", action="store_true")
    parser.add_argument("--json", action="store_true", help="nothing but the object")
    options = parser.parse_args()
    if bool(options.tokens) == bool(options.score):
        parser.error("one of --tokens and --score is needed")
    if options.tokens and len(options.tokens) > 1 and options.logits:
        parser.error("--logits is for one prompt")
    if min(options.n, options.window, options.skip) < 0:
        parser.error("a number is negative")
    return options


def run(options):
    begin = time.monotonic()
    model = read_llama2c(options.model) if options.model.endswith(".bin") else read_gguf(options.model)
    loaded = time.monotonic()
    dtype = np.float32 if options.float32 else np.float64
    if options.score:
        ids = ids_of(options.score)
        out = None
        if options.logits:
            out = np.lib.format.open_memmap(options.logits, mode="w+", dtype=dtype, shape=(len(ids), model.vocab))
        result = score(model, ids, options.window, options.skip, out)
        positions = len(ids)
    else:
        prompts = [ids_of(text) for text in options.tokens]
        result, positions = [], 0
        for prompt in prompts:
            one, kept = generate(model, prompt, options.n, options.logits is not None)
            result.append(one)
            positions += len(prompt) + options.n - 1
        if options.logits:
            np.save(options.logits, np.array(kept, dtype=dtype).reshape(options.n, model.vocab))
        if len(result) == 1:
            result = result[0]
    print(json.dumps(result))
    if not options.json:
        spent = time.monotonic() - loaded
        print(f"load {loaded - begin:.1f} s; {positions} positions in {spent:.1f} s, {1000 * spent / max(positions, 1):.0f} ms each",
              file=sys.stderr)


def main():
    options = arguments()
    try:
        run(options)
    except (Unusable, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
