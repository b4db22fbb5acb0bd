/* SPDX-License-Identifier: MIT */
#include "gen/ops/signature.h"

static const struct kgen_signature signatures[KGEN_OP_COUNT] = {
    [KGEN_OP_QMV] =
        {"const void *weights, const void *scales, const void *biases, const void *workspace, float *y,\n"
         "    size_t row_begin, size_t row_end",
         "weights, scales, biases, workspace, y, row_begin, row_end", "const float *x, void *workspace",
         "x, workspace",
         " * y = W x, for rows row_begin to row_end of W [N, K]; y[row] is written.\n"
         " * weights: N rows of K * bits / 8 bytes, each one little-endian bit stream, lowest bits first.\n"
         " * scales, biases: [N, K / group_size]. Affine: w = scale * q + bias. Symmetric: w = scale *\n"
         " * (q - 2^(bits-1)), biases is not used. Zero point: w = scale * (q - zero), biases holds the "
         "zeros.\n"
         " * Functions with tiles16 in their names take all three with 16 rows side by side: see "
         "_pack_tiles16.\n"
         " * Call the _prepare function once for each x [K], on _workspace_size() bytes aligned to 64; then "
         "any\n"
         " * number of threads may work on ranges of rows.\n"},
    [KGEN_OP_DEQUANTIZE] =
        {"const void *weights, const void *scales, const void *biases, float *y,\n"
         "    size_t row_begin, size_t row_end",
         "weights, scales, biases, y, row_begin, row_end", NULL, NULL,
         " * Row r of W, for rows row_begin to row_end, to y + r * K. The layout is that of qmv:\n"
         " * weights: N rows of K * bits / 8 bytes, each one little-endian bit stream, lowest bits first;\n"
         " * scales, biases: [N, K / group_size].\n"},
    [KGEN_OP_RMS_NORM] =
        {"const float *x, const float *weight, float *y, size_t row_begin, size_t row_end",
         "x, weight, y, row_begin, row_end", NULL, NULL,
         " * y = x / sqrt(mean(x^2) + eps) * weight, for rows row_begin to row_end. y may be x.\n"
         " * With residual: residual += x first, and the sum is what is normalised.\n"},
    [KGEN_OP_ROPE] =
        {"const float *x, const void *workspace, float *y, size_t head_begin, size_t head_end",
         "x, workspace, y, head_begin, head_end", "int64_t position, void *workspace", "position, workspace",
         " * Rotary position embedding of heads head_begin to head_end of x [heads, head_dim]. y may be x.\n"
         " * Call the _prepare function once for each position, on _workspace_size() bytes aligned to 64.\n"},
    [KGEN_OP_SWIGLU] =
        {"const float *gate, const float *up, float *y, size_t begin, size_t end", "gate, up, y, begin, end",
         NULL, NULL,
         " * y = gate / (1 + exp(-gate)) * up, for elements begin to end. y may be gate or up.\n"},
    [KGEN_OP_ADD] = {"const float *a, const float *b, float *y, size_t begin, size_t end",
                     "a, b, y, begin, end", NULL, NULL,
                     " * y = a + b, for elements begin to end. y may be a or b.\n"},
};

static const struct kgen_signature rms_norm_residual = {
    "const float *x, const float *weight, float *residual, float *y,\n    size_t row_begin, size_t row_end",
    "x, weight, residual, y, row_begin, row_end", NULL, NULL, ""};

const struct kgen_signature *kgen_signature(const struct kgen_problem *problem)
{
    if (problem->op == KGEN_OP_RMS_NORM && problem->residual)
        return &rms_norm_residual;
    return &signatures[problem->op];
}
