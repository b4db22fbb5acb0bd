#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the oracle's logits as the file that `kgen perplexity --kl-divergence` and llama-perplexity read.

    llama.py MODEL --score @IDS --window 512 --logits LOGITS.npy
    logits_file.py LOGITS.npy IDS [--window 512] -o FILE

IDS is the file of ids that the logits were made from, separated by commas or white space. Whole windows are written.
runtime/model/logits_file.h describes the format. It needs python3 with numpy.
"""
import argparse
import re
import struct

import numpy as np

SPAN = 16  # of log p, that a row tells apart


def row(logits):
    logits = logits.astype(np.float64)
    greatest = logits.max()
    least = max(logits.min(), greatest - SPAN)
    scale = np.float32((greatest - least) / 65535)
    log_of_sum = np.log(np.exp(logits - greatest).sum())
    steps = np.where(logits > least, np.rint((logits - least) / np.float64(scale)), 0).astype("<u2")
    padding = b"\0\0" if len(steps) % 2 else b""
    return np.array([scale, least - greatest - log_of_sum], "<f4").tobytes() + steps.tobytes() + padding


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logits", metavar="LOGITS.npy")
    parser.add_argument("ids", metavar="IDS")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("-o", dest="output", metavar="FILE", required=True)
    options = parser.parse_args()
    logits = np.load(options.logits, mmap_mode="r")
    with open(options.ids, encoding="utf-8") as file:
        ids = [int(word) for word in re.findall(r"\d+", file.read())]
    window, vocabulary = options.window, logits.shape[1]
    windows = min(len(ids), len(logits)) // window
    if windows == 0:
        raise SystemExit(f"error: the logits of a window of {window} tokens are not there")
    with open(options.output, "wb") as file:
        file.write(b"_logits_" + struct.pack("<3i", window, vocabulary, windows))
        file.write(np.array(ids[: windows * window], "<i4").tobytes())
        for begin in range(0, windows * window, window):
            for position in range(window // 2, window - 1):
                file.write(row(logits[begin + position]))


if __name__ == "__main__":
    main()
