/* SPDX-License-Identifier: MIT */
/* Derives the problems of one decode step of a Llama-like model. */
#include "gen/spec/reader.h"

#include <stdio.h>
#include <string.h>

struct derivation {
    struct kgen_spec_reader *reader;
    struct kgen_spec_model model;
    struct kgen_spec_formats formats;
    struct kgen_spec_uses unquantised, expert_layers;
};

#define LABEL_MAX 64

/* One matrix of several that share their input, and may be one product. */
struct part {
    const char *name; /* "q_proj" */
    int64_t rows;
    struct kgen_spec_format format;
};

static bool formats_equal(const struct kgen_spec_format *a, const struct kgen_spec_format *b)
{
    return a->quantised == b->quantised && a->bits == b->bits && a->group_size == b->group_size &&
           a->mode == b->mode;
}

static int add_weight(struct derivation *derivation, enum kgen_op op, int64_t N, int64_t K, const char *key,
                      const struct kgen_spec_format *format, const char *label, int64_t layer)
{
    struct kgen_spec_reader *reader = derivation->reader;
    if (!format->quantised)
        return kgen_spec_use(&derivation->unquantised, label, layer) == 0 ? 0 : kgen_spec_fail_memory(reader);
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    problem.N = N;
    problem.K = K;
    problem.bits = format->bits;
    problem.group_size = format->group_size;
    problem.mode = format->mode;
    problem.scales = reader->scales;
    if (op == KGEN_OP_QMV)
        problem.layout = reader->layout;
    struct kgen_json_path path = {NULL, key, 0};
    return op == KGEN_OP_QMV ? kgen_spec_add_each(reader, &path, &problem, label, layer)
                             : kgen_spec_add(reader, &path, &problem, label, layer, 1);
}

static int add_norm(struct derivation *derivation, int64_t rows, int64_t size, bool residual,
                    const char *label, int64_t layer)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, KGEN_OP_RMS_NORM);
    problem.rows = rows;
    problem.size = size;
    problem.residual = residual;
    problem.eps = derivation->model.eps;
    return kgen_spec_add(derivation->reader, NULL, &problem, label, layer, 1);
}

static int add_elements(struct derivation *derivation, enum kgen_op op, int64_t size, const char *label,
                        int64_t layer)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    problem.size = size;
    return kgen_spec_add(derivation->reader, NULL, &problem, label, layer, 1);
}

/* Writes "mlp.down_proj", or "mlp.{gate,up}_proj" for several parts; their names all end in "_proj". */
static void write_label(char label[LABEL_MAX], const char *block, const struct part *const *parts,
                        size_t count)
{
    int length = snprintf(label, LABEL_MAX, "%s.%s", block, count > 1 ? "{" : "");
    for (size_t i = 0; i < count; i++)
        length += snprintf(label + length, LABEL_MAX - (size_t)length, "%s%.*s", i == 0 ? "" : ",",
                           (int)(strlen(parts[i]->name) - strlen("_proj")), parts[i]->name);
    snprintf(label + length, LABEL_MAX - (size_t)length, "%s_proj", count > 1 ? "}" : "");
}

/* Adds the products of a layer's matrices that share their input of K elements: those of one format as one.
 */
static int add_matrices(struct derivation *derivation, int64_t layer, const char *block, struct part *parts,
                        size_t count, int64_t K, const char *key, bool bias)
{
    bool done[3] = {false};
    for (size_t i = 0; i < count; i++) {
        char tensor[LABEL_MAX + 32];
        snprintf(tensor, sizeof tensor, "model.layers.%lld.%s.%s", (long long)layer, block, parts[i].name);
        if (kgen_spec_formats_find(derivation->reader, &derivation->formats, tensor, &parts[i].format) != 0)
            return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (done[i])
            continue;
        const struct part *fused[3];
        size_t fused_count = 0;
        int64_t rows = 0;
        for (size_t j = i; j < count; j++) {
            if (!formats_equal(&parts[i].format, &parts[j].format))
                continue;
            done[j] = true;
            fused[fused_count++] = &parts[j];
            rows += parts[j].rows;
        }
        char label[LABEL_MAX], bias_label[LABEL_MAX + 8];
        write_label(label, block, fused, fused_count);
        snprintf(bias_label, sizeof bias_label, "%s.bias", label);
        if (add_weight(derivation, KGEN_OP_QMV, rows, K, key, &parts[i].format, label, layer) != 0)
            return -1;
        if (bias && add_elements(derivation, KGEN_OP_ADD, rows, bias_label, layer) != 0)
            return -1;
    }
    return 0;
}

static int add_rope(struct derivation *derivation, int64_t heads, const char *label, int64_t layer)
{
    if (!derivation->model.has_rope)
        return 0;
    struct kgen_problem problem = derivation->model.rope;
    problem.heads = heads;
    return kgen_spec_add(derivation->reader, NULL, &problem, label, layer, 1);
}

static int add_attention(struct derivation *derivation, int64_t layer)
{
    const struct kgen_spec_model *model = &derivation->model;
    int64_t q_rows = model->heads * model->head_dim, kv_rows = model->kv_heads * model->head_dim;
    struct part qkv[] = {{.name = "q_proj", .rows = q_rows},
                         {.name = "k_proj", .rows = kv_rows},
                         {.name = "v_proj", .rows = kv_rows}};
    struct part o = {.name = "o_proj", .rows = model->hidden_size};
    bool qkv_bias = model->architecture->qkv_bias || model->attention_bias;
    if (add_matrices(derivation, layer, "self_attn", qkv, 3, model->hidden_size, "hidden_size", qkv_bias) !=
        0)
        return -1;
    if (model->architecture->qk_norm &&
        (add_norm(derivation, model->heads, model->head_dim, false, "self_attn.q_norm", layer) != 0 ||
         add_norm(derivation, model->kv_heads, model->head_dim, false, "self_attn.k_norm", layer) != 0))
        return -1;
    if (add_rope(derivation, model->heads, "self_attn.q_rope", layer) != 0 ||
        add_rope(derivation, model->kv_heads, "self_attn.k_rope", layer) != 0)
        return -1;
    return add_matrices(derivation, layer, "self_attn", &o, 1, q_rows, "num_attention_heads",
                        model->attention_bias);
}

/* Whether the mlp of a layer is made of experts. */
static bool is_sparse(const struct kgen_spec_model *model, int64_t layer)
{
    if (!model->architecture->experts || (layer + 1) % model->sparse_step != 0)
        return false;
    for (size_t i = 0; i < json_array_size(model->dense_layers); i++) {
        if (json_integer_value(json_array_get(model->dense_layers, i)) == layer)
            return false;
    }
    return true;
}

static int add_mlp(struct derivation *derivation, int64_t layer)
{
    const struct kgen_spec_model *model = &derivation->model;
    if (is_sparse(model, layer))
        return kgen_spec_use(&derivation->expert_layers, "mlp", layer) == 0
                   ? 0
                   : kgen_spec_fail_memory(derivation->reader);
    struct part gate_up[] = {{.name = "gate_proj", .rows = model->intermediate_size},
                             {.name = "up_proj", .rows = model->intermediate_size}};
    struct part down = {.name = "down_proj", .rows = model->hidden_size};
    if (add_matrices(derivation, layer, "mlp", gate_up, 2, model->hidden_size, "hidden_size",
                     model->mlp_bias) != 0)
        return -1;
    if (model->has_swiglu &&
        add_elements(derivation, KGEN_OP_SWIGLU, model->intermediate_size, "mlp.swiglu", layer) != 0)
        return -1;
    return add_matrices(derivation, layer, "mlp", &down, 1, model->intermediate_size, "intermediate_size",
                        model->mlp_bias);
}

static int add_layer(struct derivation *derivation, int64_t layer)
{
    /* The residual of a layer's end is added in the norm that follows it; the first norm follows none. */
    int64_t hidden = derivation->model.hidden_size;
    if (add_norm(derivation, 1, hidden, layer > 0, "input_layernorm", layer) != 0 ||
        add_attention(derivation, layer) != 0 ||
        add_norm(derivation, 1, hidden, true, "post_attention_layernorm", layer) != 0)
        return -1;
    return add_mlp(derivation, layer);
}

static int add_model(struct derivation *derivation)
{
    const struct kgen_spec_model *model = &derivation->model;
    struct kgen_spec_format embedding, head;
    if (kgen_spec_formats_find(derivation->reader, &derivation->formats, "model.embed_tokens", &embedding) !=
        0)
        return -1;
    head = embedding;
    if (model->tied)
        kgen_spec_formats_ignore(&derivation->formats, "lm_head");
    else if (kgen_spec_formats_find(derivation->reader, &derivation->formats, "lm_head", &head) != 0)
        return -1;
    /* A decode step looks one row of the table up. */
    if (add_weight(derivation, KGEN_OP_DEQUANTIZE, 1, model->hidden_size, "hidden_size", &embedding,
                   "embed_tokens", -1) != 0)
        return -1;
    for (int64_t layer = 0; layer < model->layers; layer++) {
        if (add_layer(derivation, layer) != 0)
            return -1;
    }
    if (add_norm(derivation, 1, model->hidden_size, true, "norm", -1) != 0)
        return -1;
    return add_weight(derivation, KGEN_OP_QMV, model->vocab_size, model->hidden_size, "hidden_size", &head,
                      model->tied ? "lm_head (embed_tokens)" : "lm_head", -1);
}

/* ---- what is not derived, and the summary ---- */

static int warn(struct derivation *derivation)
{
    struct kgen_spec_reader *reader = derivation->reader;
    const struct kgen_spec_model *model = &derivation->model;
    struct kgen_text unquantised = {0}, sparse = {0};
    kgen_spec_uses_write(&derivation->unquantised, model->layers, &unquantised);
    kgen_spec_uses_write(&derivation->expert_layers, model->layers, &sparse);
    int result = unquantised.failed || sparse.failed ? kgen_spec_fail_memory(reader) : 0;
    if (result == 0 && unquantised.length > 0)
        result = kgen_spec_warn(reader, "not quantised, which no op serves yet: %s.", unquantised.data);
    if (result == 0 && sparse.length > 0) {
        result = kgen_spec_warn(
            reader,
            "the routed experts of %s (%lld experts of %lld, %lld for a token) are not derived: "
            "there is no op for them yet.",
            sparse.data, (long long)model->experts, (long long)model->expert_size,
            (long long)model->experts_per_token);
        if (result == 0)
            result = kgen_spec_warn(reader,
                                    "the router of %s (%lld scores from %lld elements, the best %lld) is not "
                                    "derived: there is no op for it yet.",
                                    sparse.data, (long long)model->experts, (long long)model->hidden_size,
                                    (long long)model->experts_per_token);
    }
    if (result == 0)
        result =
            kgen_spec_warn(reader,
                           "attention itself (sdpa: %lld query heads, %lld key and value heads, head_dim "
                           "%lld) is not derived: there is no op for it yet.",
                           (long long)model->heads, (long long)model->kv_heads, (long long)model->head_dim);
    kgen_text_free(&unquantised);
    kgen_text_free(&sparse);
    return result;
}

static int summarise(struct derivation *derivation)
{
    const struct kgen_spec_model *model = &derivation->model;
    const struct kgen_spec_formats *formats = &derivation->formats;
    struct kgen_text summary = {0};
    kgen_text_printf(&summary, "%s, %lld layers, hidden %lld", model->architecture->name,
                     (long long)model->layers, (long long)model->hidden_size);
    if (formats->base.bits != 0)
        kgen_text_printf(&summary, ", %lld bit%s, group %lld", (long long)formats->base.bits,
                         formats->base.bits == 1 ? "" : "s", (long long)formats->base.group_size);
    if (formats->mixed)
        kgen_text_puts(&summary, ", mixed");
    derivation->reader->spec->summary = summary.data;
    return summary.failed ? kgen_spec_fail_memory(derivation->reader) : 0;
}

/* The dtype of the scales follows that of the checkpoint, as in MLX. */
static int choose_scales(struct kgen_spec_reader *reader, json_t *config)
{
    static const struct {
        const char *name;
        int64_t word;
    } types[] = {{"bfloat16", KGEN_BF16}, {"float16", KGEN_F16}, {"float32", KGEN_F32}};
    if (reader->scales != KGEN_WORD_NONE)
        return 0;
    const char *type = "float16";
    int found = kgen_spec_string(reader, NULL, config, "torch_dtype", &type);
    if (found == 0)
        found = kgen_spec_string(reader, NULL, config, "dtype", &type);
    if (found < 0)
        return -1;
    reader->scales = KGEN_F16;
    for (size_t i = 0; i < KGEN_COUNT_OF(types); i++) {
        if (strcmp(types[i].name, type) == 0)
            reader->scales = types[i].word;
    }
    return 0;
}

int kgen_spec_read_model(struct kgen_spec_reader *reader, json_t *root)
{
    struct derivation derivation = {.reader = reader};
    const char *experts = "model.layers.*.mlp.*";
    int result = -1;
    if (kgen_spec_config_read(reader, root, &derivation.model) == 0 && choose_scales(reader, root) == 0 &&
        kgen_spec_formats_read(reader, root, &derivation.formats) == 0) {
        reader->layers = derivation.model.layers;
        result =
            add_model(&derivation) != 0 ||
                    kgen_spec_formats_finish(reader, &derivation.formats,
                                             derivation.model.architecture->experts ? experts : NULL) != 0 ||
                    warn(&derivation) != 0 || summarise(&derivation) != 0
                ? -1
                : 0;
    }
    kgen_spec_formats_free(&derivation.formats);
    kgen_spec_uses_free(&derivation.unquantised);
    kgen_spec_uses_free(&derivation.expert_layers);
    return result;
}
