#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What MLX makes of weights in its floating-point modes mxfp4, mxfp8 and nvfp4.

    mlx_modes.py header | clang-format --assume-filename=mlx_modes.h > tests/mlx_modes.h
    mlx_modes.py quantise MODE N K VALUES OUT

The first writes the cases of tests/test_mlx_modes.c. The second, which that test calls where MLX is installed, quantises the [N, K]
float32 numbers of the file VALUES and writes to OUT, one after the other, the weights, the scales and the float32 numbers that MLX
decodes them to.

It needs python3 with numpy and mlx ("mlx[cpu]" where there is no GPU), and is not part of `make check`. The seed is fixed.
"""
import argparse
import pathlib
import sys

import mlx.core as mx
import numpy as np

MODES = ["mxfp4", "mxfp8", "nvfp4"]
VALUES = 32
SEED = 23


def quantise(mode, values):
    """Weights and scales as bytes, and the decoded numbers."""
    parts = mx.quantize(mx.array(values), mode=mode)
    decoded = mx.dequantize(*parts, mode=mode, dtype=mx.float32)
    weights, scales, decoded = (np.array(part) for part in (*parts, decoded))
    assert weights.dtype == np.uint32 and scales.dtype == np.uint8
    return weights.view(np.uint8), scales, decoded.astype(np.float32)


def make_values():
    """Rows of 32 numbers, with a word for each."""
    random = np.random.default_rng(SEED)
    normal = lambda scale: (random.standard_normal(VALUES) * scale).astype(np.float32)
    steps = np.arange(VALUES, dtype=np.float32)
    numbers = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
    halves = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 6], np.float32)
    signs = np.where(steps % 3 == 1, -1, 1).astype(np.float32)
    at_scale = lambda greatest: np.concatenate([normal(0.1)[:15], [greatest], normal(0.1)[:15], [greatest]]).astype(np.float32)
    return [
        ("ordinary", normal(0.02)),
        ("great", normal(1e4)),
        ("tiny", normal(1e-6)),
        ("a group of zeros", np.where(steps < 16, 0, normal(1)).astype(np.float32)),
        ("all zeros", np.where(steps % 2 == 0, 0.0, -0.0).astype(np.float32)),
        ("the numbers of E2M1", np.tile(numbers, 4) * signs),
        ("halfway between them", np.tile(halves, 4) * signs),
        ("halfway between numbers of e4m3", (17 + 2 * (steps % 8)) * np.exp2(np.floor(steps / 8) - 4).astype(np.float32) * signs),
        ("below the least of e4m3", np.concatenate([[448], steps[1:] * 2.0**-11]).astype(np.float32) * signs),
        ("a scale at a power of two", at_scale(np.float32(6))),
        ("a scale above a power of two", at_scale(np.nextafter(np.float32(6), np.float32(7)))),
        ("a scale above 2^60 of mxfp8", at_scale(np.nextafter(np.float32(448 * 2.0**60), np.float32(2.0**70)))),
        ("scales of nvfp4 of nothing", normal(1e-3)),
    ]


def bytes_of(array):
    return ", ".join(f"0x{byte:02x}" for byte in array.flatten())


def header():
    rows = make_values()
    print("/* SPDX-License-Identifier: MIT */")
    print("/* Written by tests/oracle/mlx_modes.py with mlx " + mx.__version__ + ". */")
    print("#ifndef MLX_MODES_H\n#define MLX_MODES_H\n\n#include <stdint.h>\n")
    print("static const struct {\n    const char *what;\n    uint32_t values[32]; /* bits of floats */")
    print("    struct {\n        unsigned char weights[32], scales[2]; /* of mxfp4, mxfp8, nvfp4 */")
    print("        uint32_t decoded[32];\n    } modes[3];\n} mlx_cases[] = {")
    for what, values in rows:
        words = lambda array: ", ".join(f"0x{word:08x}" for word in array.astype(np.float32).view(np.uint32).flatten())
        print(f'    {{"{what}",\n     {{{words(values)}}},\n     {{')
        for mode in MODES:
            weights, scales, decoded = quantise(mode, values.reshape(1, VALUES).astype(np.float32))
            print(f"      {{{{{bytes_of(weights)}}},\n       {{{bytes_of(scales)}}},\n       {{{words(decoded)}}}}},")
        print("     }},")
    print("};\n\n#endif")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("header")
    run = commands.add_parser("quantise")
    run.add_argument("mode", choices=MODES)
    run.add_argument("rows", type=int)
    run.add_argument("columns", type=int)
    run.add_argument("values", type=pathlib.Path)
    run.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()
    mx.set_default_device(mx.cpu)
    if arguments.command == "header":
        header()
        return 0
    values = np.fromfile(arguments.values, np.float32).reshape(arguments.rows, arguments.columns)
    arguments.out.write_bytes(b"".join(part.tobytes() for part in quantise(arguments.mode, values)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
