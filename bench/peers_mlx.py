# SPDX-License-Identifier: MIT
# Times MLX's quantized_matmul on the processor: x [M, K] with a matrix [N, K] of B bits, groups of G, everything else in
# float32. The same matrix is read in each call. Prints the version and the seconds of one call (median).
#     python3 bench/peers_mlx.py M N K B G
import statistics
import sys
import time
from importlib.metadata import version

import mlx.core as mx

M, N, K, bits, group = map(int, sys.argv[1:6])
mx.set_default_device(mx.cpu)
mx.random.seed(1)
weights = mx.quantize(mx.random.normal((N, K)), group_size=group, bits=bits)
x = mx.random.normal((M, K))
mx.eval(weights, x)
times = []
begin = time.perf_counter()
while len(times) < 4 or time.perf_counter() - begin < 1:
    at = time.perf_counter()
    mx.eval(mx.quantized_matmul(x, *weights, transpose=True, group_size=group, bits=bits))
    times.append(time.perf_counter() - at)
print(version("mlx"), statistics.median(times[1:]))
