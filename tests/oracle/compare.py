#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the tokens of `kgen generate --json` with those of the oracle, llama.py.

    compare.py [--bound B] ORACLE.json KGEN.json...

A file holds one object or a list of objects with the keys prompt_tokens and tokens; ORACLE.json also has margins and top. Each object of
kgen is compared with the oracle's of the same prompt_tokens, and one line says that they are equal or where they differ first, with the
oracle's margin (best logit minus second best) there. Behind the first difference the contexts differ, so nothing is compared.
A text that ends where the oracle chose the end of text (eos) is equal. With --bound a first difference counts as explained if the
margin is at most B and kgen chose the oracle's second best id.

Exit status: 0 if all are equal or explained, else 1; 2 if a file cannot be read.
"""
import argparse
import json
import sys


def first_difference(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def prompt_message(oracles, prompt):
    if len(oracles) > 1:
        return "none of the oracle's prompts has these prompt_tokens"
    theirs = oracles[0]["prompt_tokens"]
    at = first_difference(theirs, prompt)
    ends = [str(ids[at]) if at < len(ids) else "the end" for ids in (theirs, prompt)]
    return f"the prompts differ at {at}: oracle {ends[0]}, kgen {ends[1]} ({len(theirs)} and {len(prompt)} ids)"


def compare(oracle, tokens, bound):
    """Whether tokens are as the oracle's, and a sentence."""
    expected, eos = oracle["tokens"], oracle.get("eos")
    at = first_difference(expected, tokens)
    if at == len(expected) == len(tokens):
        return True, f"equal, {at} tokens"
    if at == len(tokens) and eos is not None and eos in expected[max(at - 1, 0) : at + 1]:
        return True, f"equal up to the end of text, {at} tokens"
    if at == len(expected):
        return False, f"equal for the oracle's {at} tokens, kgen has {len(tokens)}: have the oracle make more"
    margin, (best, second) = oracle["margins"][at], oracle["top"][at]
    where = f"at {at}, oracle {best}, second best {second}, margin {margin:.6g}"
    if at == len(tokens):
        return False, f"kgen ends early {where}"
    if bound is not None and margin <= bound and tokens[at] == second:
        return True, f"explained: differs {where}, kgen {tokens[at]}"
    return False, f"differs {where}, kgen {tokens[at]}"


def read(path):
    with open(path, encoding="utf-8") as file:
        objects = json.load(file)
    objects = objects if isinstance(objects, list) else [objects]
    if not objects:
        raise ValueError("there is no object")
    for one in objects:
        if not isinstance(one, dict) or not isinstance(one.get("prompt_tokens"), list) or not isinstance(one.get("tokens"), list):
            raise ValueError("an object has no lists prompt_tokens and tokens")
    return objects


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bound", metavar="B", type=float)
    parser.add_argument("oracle", metavar="ORACLE.json")
    parser.add_argument("kgen", metavar="KGEN.json", nargs="+")
    options = parser.parse_args()
    objects = {}
    for path in [options.oracle, *options.kgen]:
        try:
            objects[path] = read(path)
        except (OSError, ValueError) as error:
            print(f"error: {path}: {error}", file=sys.stderr)
            return 2
    oracles = objects[options.oracle]
    bad = 0
    for path in options.kgen:
        for number, one in enumerate(objects[path]):
            oracle = next((o for o in oracles if o["prompt_tokens"] == one["prompt_tokens"]), None)
            good, sentence = (False, prompt_message(oracles, one["prompt_tokens"])) if oracle is None else \
                compare(oracle, one["tokens"], options.bound)
            name = f"{path}[{number}]" if len(objects[path]) > 1 else path
            print(f"{name}: {sentence}")
            bad += not good
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
