/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "llama_reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct layer {
    double *input_norm, *q, *k, *v, *o, *post_norm, *gate, *up, *down;
    double *q_bias, *k_bias, *v_bias, *q_norm, *k_norm; /* NULL: none */
    double *router; /* NULL: none; else gate, up and down are those of all experts, one below the other */
    double *keys, *values; /* [positions][kv_heads][head_dim] */
};

struct llama_reference {
    struct kgen_test_llama shape;
    double *embedding, *norm, *head;
    struct layer *layers;
    double *hidden, *normed, *q, *k, *v, *attended, *branch, *gate, *up, *logits, *scores, *chances, *output;
};

static double *numbers(int64_t count)
{
    double *memory = calloc((size_t)count, sizeof *memory);
    assert_non_null(memory);
    return memory;
}

static void read_plain(const struct kgen_checkpoint *checkpoint, const char *name, int64_t count, double *to)
{
    float *values = malloc((size_t)count * sizeof *values);
    struct kgen_error error = {0};
    assert_non_null(values);
    if (kgen_checkpoint_values(checkpoint, name, values, count, &error) != 0)
        fail_msg("%s: %s", name, error.message);
    for (int64_t i = 0; i < count; i++)
        to[i] = (double)values[i];
    free(values);
}

static void read_quantised(const struct kgen_checkpoint *checkpoint, const char *name,
                           const struct kgen_checkpoint_tensor *tensor, double *to)
{
    struct kgen_matrix matrix = tensor->matrix;
    struct kgen_error error = {0};
    double *magnitudes = numbers(matrix.K);
    for (size_t i = 0; i < matrix.format->array_count; i++) {
        matrix.arrays[i] = calloc((size_t)(matrix.format->arrays[i].row_bytes(&matrix) * matrix.N) + 1, 1);
        assert_non_null(matrix.arrays[i]);
    }
    if (kgen_checkpoint_matrix(checkpoint, name, 0, matrix.N, &matrix, 0, &error) != 0)
        fail_msg("%s: %s", name, error.message);
    for (int64_t row = 0; row < matrix.N; row++)
        matrix.format->decode(&matrix, row, 0, matrix.K, to + row * matrix.K, magnitudes);
    for (size_t i = 0; i < matrix.format->array_count; i++)
        free(matrix.arrays[i]);
    free(magnitudes);
}

static double *load(const struct kgen_checkpoint *checkpoint, const char *name, int64_t rows, int64_t columns)
{
    struct kgen_checkpoint_tensor tensor;
    double *to = numbers(rows * columns);
    if (!kgen_checkpoint_find(checkpoint, name, &tensor))
        fail_msg("the checkpoint has no %s", name);
    assert_int_equal(tensor.elements, rows * columns);
    if (tensor.plain)
        read_plain(checkpoint, name, rows * columns, to);
    else
        read_quantised(checkpoint, name, &tensor, to);
    return to;
}

/* A matrix of the mlp; of experts those of all. */
static double *load_mlp(const struct kgen_checkpoint *checkpoint, const struct kgen_test_llama *shape,
                        int64_t layer, const char *what, int64_t rows, int64_t columns)
{
    char name[128];
    const bool mixtral = shape->experts > 0 && shape->architecture == NULL;
    snprintf(name, sizeof name, "model.layers.%lld.%s%s.weight", (long long)layer,
             shape->experts == 0 ? "mlp."
             : mixtral           ? "block_sparse_moe.switch_mlp."
                                 : "mlp.switch_mlp.",
             what);
    return load(checkpoint, name, (shape->experts > 0 ? shape->experts : 1) * rows, columns);
}

static double *load_router(const struct kgen_checkpoint *checkpoint, const struct kgen_test_llama *shape,
                           int64_t layer)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%lld.%s.gate.weight", (long long)layer,
             shape->architecture == NULL ? "block_sparse_moe" : "mlp");
    return shape->experts > 0 ? load(checkpoint, name, shape->experts, shape->hidden) : NULL;
}

static double *load_layer(const struct kgen_checkpoint *checkpoint, int64_t layer, const char *what,
                          int64_t rows, int64_t columns)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%lld.%s.weight", (long long)layer, what);
    return load(checkpoint, name, rows, columns);
}

/* A vector that not all families have. */
static double *load_optional(const struct kgen_checkpoint *checkpoint, int64_t layer, const char *what,
                             int64_t size)
{
    char name[128];
    struct kgen_checkpoint_tensor tensor;
    snprintf(name, sizeof name, "model.layers.%lld.self_attn.%s", (long long)layer, what);
    return kgen_checkpoint_find(checkpoint, name, &tensor) ? load(checkpoint, name, size, 1) : NULL;
}

struct llama_reference *llama_reference_new(const struct kgen_checkpoint *checkpoint,
                                            const struct kgen_test_llama *shape, int64_t positions)
{
    struct llama_reference *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->shape = *shape;
    const int64_t hidden = shape->hidden, mlp = shape->intermediate, q = shape->heads * shape->head_dim,
                  kv = shape->kv_heads * shape->head_dim;
    r->embedding = load(checkpoint, "model.embed_tokens.weight", shape->vocab, hidden);
    r->norm = load(checkpoint, "model.norm.weight", hidden, 1);
    r->head = shape->tied ? NULL : load(checkpoint, "lm_head.weight", shape->vocab, hidden);
    r->layers = calloc((size_t)shape->layers, sizeof *r->layers);
    assert_non_null(r->layers);
    for (int64_t i = 0; i < shape->layers; i++)
        r->layers[i] = (struct layer){
            .input_norm = load_layer(checkpoint, i, "input_layernorm", hidden, 1),
            .q = load_layer(checkpoint, i, "self_attn.q_proj", q, hidden),
            .k = load_layer(checkpoint, i, "self_attn.k_proj", kv, hidden),
            .v = load_layer(checkpoint, i, "self_attn.v_proj", kv, hidden),
            .o = load_layer(checkpoint, i, "self_attn.o_proj", hidden, q),
            .post_norm = load_layer(checkpoint, i, "post_attention_layernorm", hidden, 1),
            .gate = load_mlp(checkpoint, shape, i, "gate_proj", mlp, hidden),
            .up = load_mlp(checkpoint, shape, i, "up_proj", mlp, hidden),
            .down = load_mlp(checkpoint, shape, i, "down_proj", hidden, mlp),
            .router = load_router(checkpoint, shape, i),
            .q_bias = load_optional(checkpoint, i, "q_proj.bias", q),
            .k_bias = load_optional(checkpoint, i, "k_proj.bias", kv),
            .v_bias = load_optional(checkpoint, i, "v_proj.bias", kv),
            .q_norm = load_optional(checkpoint, i, "q_norm.weight", shape->head_dim),
            .k_norm = load_optional(checkpoint, i, "k_norm.weight", shape->head_dim),
            .keys = numbers(positions * kv),
            .values = numbers(positions * kv),
        };
    double **const vectors[] = {&r->hidden,   &r->normed,  &r->q,     &r->k,  &r->v,
                                &r->attended, &r->branch,  &r->gate,  &r->up, &r->logits,
                                &r->scores,   &r->chances, &r->output};
    const int64_t sizes[] = {
        hidden, hidden, q, kv, kv, q, hidden, mlp, mlp, shape->vocab, positions, shape->experts + 1, hidden};
    for (size_t i = 0; i < KGEN_COUNT_OF(vectors); i++)
        *vectors[i] = numbers(sizes[i]);
    return r;
}

void llama_reference_free(struct llama_reference *r)
{
    for (int64_t i = 0; i < r->shape.layers; i++) {
        const struct layer *layer = &r->layers[i];
        double *const owned[] = {
            layer->input_norm, layer->q,      layer->k,    layer->v,      layer->o,      layer->post_norm,
            layer->gate,       layer->up,     layer->down, layer->q_bias, layer->k_bias, layer->v_bias,
            layer->q_norm,     layer->k_norm, layer->keys, layer->values, layer->router};
        for (size_t j = 0; j < KGEN_COUNT_OF(owned); j++)
            free(owned[j]);
    }
    double *const owned[] = {r->embedding, r->norm,   r->head,     r->hidden, r->normed, r->q,
                             r->k,         r->v,      r->attended, r->branch, r->gate,   r->up,
                             r->logits,    r->scores, r->chances,  r->output};
    for (size_t j = 0; j < KGEN_COUNT_OF(owned); j++)
        free(owned[j]);
    free(r->layers);
    free(r);
}

static void multiply(const double *matrix, int64_t rows, int64_t columns, const double *x, double *y)
{
    for (int64_t row = 0; row < rows; row++) {
        y[row] = 0;
        for (int64_t i = 0; i < columns; i++)
            y[row] += matrix[row * columns + i] * x[i];
    }
}

static void add(double *to, const double *x, int64_t size)
{
    for (int64_t i = 0; x != NULL && i < size; i++)
        to[i] += x[i];
}

static void normalise(const double *x, const double *weight, int64_t size, double eps, double *y)
{
    double sum = 0;
    for (int64_t i = 0; i < size; i++)
        sum += x[i] * x[i];
    for (int64_t i = 0; i < size; i++)
        y[i] = x[i] / sqrt(sum / (double)size + eps) * weight[i];
}

static void rotate(const struct kgen_test_llama *shape, double *x, int64_t heads, double theta,
                   int64_t position)
{
    const int64_t d = shape->head_dim, half = d / 2;
    const bool interleaved = shape->architecture == NULL || strcmp(shape->architecture, "llama") == 0;
    for (int64_t i = 0; i < heads * half; i++) {
        const int64_t pair = i % half;
        double *head = x + i / half * d;
        double *first = head + (interleaved ? 2 * pair : pair),
               *second = head + (interleaved ? 2 * pair + 1 : pair + half);
        const double frequency = pow(theta, -2 * (double)pair / (double)d),
                     angle = (double)position * frequency / kgen_test_rope_factor(shape, pair);
        const double a = *first, b = *second;
        *first = a * cos(angle) - b * sin(angle);
        *second = a * sin(angle) + b * cos(angle);
    }
}

static void normalise_heads(double *x, const double *weight, int64_t heads, int64_t head_dim, double eps)
{
    for (int64_t head = 0; weight != NULL && head < heads; head++)
        normalise(x + head * head_dim, weight, head_dim, eps, x + head * head_dim);
}

static void attend(struct llama_reference *r, const struct layer *layer, int64_t head, int64_t position)
{
    const int64_t d = r->shape.head_dim, kv_head = head / (r->shape.heads / r->shape.kv_heads);
    const int64_t row = r->shape.kv_heads * d;
    double greatest = -INFINITY, sum = 0;
    for (int64_t p = 0; p <= position; p++) {
        multiply(layer->keys + p * row + kv_head * d, 1, d, r->q + head * d, &r->scores[p]);
        r->scores[p] /= sqrt((double)d);
        greatest = fmax(greatest, r->scores[p]);
    }
    double *y = r->attended + head * d;
    memset(y, 0, (size_t)d * sizeof *y);
    for (int64_t p = 0; p <= position; p++) {
        const double weight = exp(r->scores[p] - greatest);
        sum += weight;
        for (int64_t i = 0; i < d; i++)
            y[i] += weight * layer->values[p * row + kv_head * d + i];
    }
    for (int64_t i = 0; i < d; i++)
        y[i] /= sum;
}

/* The gated mlp, or that of an expert. */
static void run_mlp(struct llama_reference *r, const struct layer *layer, int64_t expert, double *y)
{
    const int64_t hidden = r->shape.hidden, size = r->shape.intermediate, at = expert * hidden * size;
    multiply(layer->gate + at, size, hidden, r->normed, r->gate);
    multiply(layer->up + at, size, hidden, r->normed, r->up);
    for (int64_t i = 0; i < size; i++)
        r->gate[i] = r->gate[i] / (1 + exp(-r->gate[i])) * r->up[i];
    multiply(layer->down + at, hidden, size, r->gate, y);
}

/* The experts with the greatest scores, weighted by the softmax of these. */
static void run_experts(struct llama_reference *r, const struct layer *layer)
{
    const struct kgen_test_llama *shape = &r->shape;
    double sum = 0, greatest = -INFINITY;
    multiply(layer->router, shape->experts, shape->hidden, r->normed, r->chances);
    for (int64_t i = 0; i < shape->experts; i++)
        greatest = fmax(greatest, r->chances[i]);
    memset(r->branch, 0, (size_t)shape->hidden * sizeof *r->branch);
    for (int64_t j = 0; j < shape->experts_per_token; j++) {
        int64_t best = 0;
        for (int64_t i = 1; i < shape->experts; i++)
            best = r->chances[i] > r->chances[best] ? i : best;
        const double weight = exp(r->chances[best] - greatest);
        r->chances[best] = -INFINITY;
        run_mlp(r, layer, best, r->output);
        for (int64_t i = 0; i < shape->hidden; i++)
            r->branch[i] += weight * r->output[i];
        sum += weight;
    }
    for (int64_t i = 0; i < shape->hidden; i++)
        r->branch[i] /= sum;
}

static void run_layer(struct llama_reference *r, const struct layer *layer, int64_t position, double eps,
                      double theta)
{
    const struct kgen_test_llama *shape = &r->shape;
    const int64_t d = shape->head_dim, hidden = shape->hidden, kv = shape->kv_heads * d;
    double *k = layer->keys + position * kv, *v = layer->values + position * kv;
    normalise(r->hidden, layer->input_norm, hidden, eps, r->normed);
    multiply(layer->q, shape->heads * d, hidden, r->normed, r->q);
    multiply(layer->k, kv, hidden, r->normed, k);
    multiply(layer->v, kv, hidden, r->normed, v);
    add(r->q, layer->q_bias, shape->heads * d);
    add(k, layer->k_bias, kv);
    add(v, layer->v_bias, kv);
    normalise_heads(r->q, layer->q_norm, shape->heads, d, eps);
    normalise_heads(k, layer->k_norm, shape->kv_heads, d, eps);
    rotate(shape, r->q, shape->heads, theta, position);
    rotate(shape, k, shape->kv_heads, theta, position);
    for (int64_t head = 0; head < shape->heads; head++)
        attend(r, layer, head, position);
    multiply(layer->o, hidden, shape->heads * d, r->attended, r->branch);
    add(r->hidden, r->branch, hidden);
    normalise(r->hidden, layer->post_norm, hidden, eps, r->normed);
    if (layer->router != NULL)
        run_experts(r, layer);
    else
        run_mlp(r, layer, 0, r->branch);
    add(r->hidden, r->branch, hidden);
}

const double *llama_reference_step(struct llama_reference *r, int64_t token, int64_t position)
{
    const struct kgen_test_llama *shape = &r->shape;
    const double eps = shape->eps != 0 ? (double)shape->eps : (double)1e-5f;
    const double theta = shape->theta != 0 ? (double)shape->theta : 10000;
    memcpy(r->hidden, r->embedding + token * shape->hidden, (size_t)shape->hidden * sizeof *r->hidden);
    for (int64_t i = 0; i < shape->layers; i++)
        run_layer(r, &r->layers[i], position, eps, theta);
    normalise(r->hidden, r->norm, shape->hidden, eps, r->normed);
    multiply(r->head != NULL ? r->head : r->embedding, shape->vocab, shape->hidden, r->normed, r->logits);
    return r->logits;
}
