/* SPDX-License-Identifier: MIT */
/* The graph of a decode step: nodes, tensors, lifetimes, weights and state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/buffers.h"
#include "gen/spec/families/family.h"
#include "spec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD(type, layers)                                                                                   \
    "{\"model_type\": \"" type "\", \"hidden_size\": 256, \"intermediate_size\": 512, \"vocab_size\": 1000," \
    "\"num_hidden_layers\": " layers ", \"num_attention_heads\": 4, \"num_key_value_heads\": 2,"             \
    "\"quantization\": {\"bits\": 4, \"group_size\": 64}"

/* ---- what a node is bound to, as text ---- */

static void write_node(const struct kgen_graph *graph, size_t index, struct kgen_text *text)
{
    static const char *const marks[] = {"", ">", "!"};
    const struct kgen_graph_node *node = &graph->nodes[index];
    kgen_text_printf(text, "%s: %s", node->name, node->op);
    if (node->status != KGEN_GRAPH_DERIVED)
        kgen_text_printf(text, " (%s)", kgen_graph_status_name(node->status));
    for (size_t i = 0; i < node->tensor_count; i++)
        kgen_text_printf(text, " %s%s=%s", marks[node->tensors[i].access], node->tensors[i].buffer,
                         graph->tensors[node->tensors[i].index].name);
    for (size_t i = 0; i < node->weight_count; i++)
        kgen_text_printf(text, " %s=%s", node->weights[i].buffer,
                         graph->weights[node->weights[i].index].name);
}

static void compare_nodes(const struct kgen_graph *graph, const char *const *expected, size_t count)
{
    for (size_t i = 0; i < graph->node_count && i < count; i++) {
        struct kgen_text text = {0};
        write_node(graph, i, &text);
        if (strcmp(text.data, expected[i]) != 0)
            fail_msg("node %zu is\n%s\nexpected\n%s", i, text.data, expected[i]);
        kgen_text_free(&text);
    }
    assert_int_equal(graph->node_count, count);
}

static void test_nodes(void **state)
{
    (void)state;
    /* The format of k differs in layer 1: two products, of which one has views. */
    static const char text[] = HEAD(
        "qwen2", "2") ", \"tie_word_embeddings\": true, \"overrides\": {\"*.1.*.k_proj\": {\"bits\": 8}}}";
#define L0 "layers.0."
#define L1 "layers.1."
#define W0 "model.layers.0."
#define W1 "model.layers.1."
    static const char *const expected[] = {
        "embed_tokens: dequantize row=token >y=embed_tokens weights=model.embed_tokens.weight",
        L0 "input_layernorm: rms_norm x=embed_tokens >y=" L0 "input_layernorm weight=" W0
           "input_layernorm.weight",
        L0 "self_attn.qkv_proj: qmv x=" L0 "input_layernorm >y=" L0 "self_attn.qkv_proj weights=" W0
           "self_attn.q_proj.weight weights=" W0 "self_attn.k_proj.weight weights=" W0
           "self_attn.v_proj.weight",
        L0 "self_attn.qkv_proj.bias: add a=" L0 "self_attn.qkv_proj >y=" L0 "self_attn.qkv_proj.bias b=" W0
           "self_attn.q_proj.bias b=" W0 "self_attn.k_proj.bias b=" W0 "self_attn.v_proj.bias",
        L0 "self_attn.q_rope: rope x=" L0 "self_attn.qkv_proj.bias.q position=position >y=" L0
           "self_attn.q_rope",
        L0 "self_attn.k_rope: rope x=" L0 "self_attn.qkv_proj.bias.k position=position >y=" L0
           "self_attn.k_rope",
        L0 "self_attn.attention: attention_decode q=" L0 "self_attn.q_rope k=" L0 "self_attn.k_rope v=" L0
           "self_attn.qkv_proj.bias.v position=position >y=" L0 "self_attn.attention",
        L0 "self_attn.o_proj: qmv x=" L0 "self_attn.attention >y=" L0 "self_attn.o_proj weights=" W0
           "self_attn.o_proj.weight",
        L0 "post_attention_layernorm: rms_norm x=" L0 "self_attn.o_proj !residual=embed_tokens >y=" L0
           "post_attention_layernorm weight=" W0 "post_attention_layernorm.weight",
        L0 "mlp.gate_up_proj: qmv x=" L0 "post_attention_layernorm >y=" L0 "mlp.gate_up_proj weights=" W0
           "mlp.gate_proj.weight weights=" W0 "mlp.up_proj.weight",
        L0 "mlp.swiglu: swiglu gate=" L0 "mlp.gate_up_proj.gate up=" L0 "mlp.gate_up_proj.up >y=" L0
           "mlp.swiglu",
        L0 "mlp.down_proj: qmv x=" L0 "mlp.swiglu >y=" L0 "mlp.down_proj weights=" W0 "mlp.down_proj.weight",
        L1 "input_layernorm: rms_norm x=" L0 "mlp.down_proj !residual=embed_tokens >y=" L1
           "input_layernorm weight=" W1 "input_layernorm.weight",
        L1 "self_attn.qv_proj: qmv x=" L1 "input_layernorm >y=" L1 "self_attn.qv_proj weights=" W1
           "self_attn.q_proj.weight weights=" W1 "self_attn.v_proj.weight",
        L1 "self_attn.qv_proj.bias: add a=" L1 "self_attn.qv_proj >y=" L1 "self_attn.qv_proj.bias b=" W1
           "self_attn.q_proj.bias b=" W1 "self_attn.v_proj.bias",
        L1 "self_attn.k_proj: qmv x=" L1 "input_layernorm >y=" L1 "self_attn.k_proj weights=" W1
           "self_attn.k_proj.weight",
        L1 "self_attn.k_proj.bias: add a=" L1 "self_attn.k_proj >y=" L1 "self_attn.k_proj.bias b=" W1
           "self_attn.k_proj.bias",
        L1 "self_attn.q_rope: rope x=" L1 "self_attn.qv_proj.bias.q position=position >y=" L1
           "self_attn.q_rope",
        L1 "self_attn.k_rope: rope x=" L1 "self_attn.k_proj.bias position=position >y=" L1 "self_attn.k_rope",
        L1 "self_attn.attention: attention_decode q=" L1 "self_attn.q_rope k=" L1 "self_attn.k_rope v=" L1
           "self_attn.qv_proj.bias.v position=position >y=" L1 "self_attn.attention",
        L1 "self_attn.o_proj: qmv x=" L1 "self_attn.attention >y=" L1 "self_attn.o_proj weights=" W1
           "self_attn.o_proj.weight",
        L1 "post_attention_layernorm: rms_norm x=" L1 "self_attn.o_proj !residual=embed_tokens >y=" L1
           "post_attention_layernorm weight=" W1 "post_attention_layernorm.weight",
        L1 "mlp.gate_up_proj: qmv x=" L1 "post_attention_layernorm >y=" L1 "mlp.gate_up_proj weights=" W1
           "mlp.gate_proj.weight weights=" W1 "mlp.up_proj.weight",
        L1 "mlp.swiglu: swiglu gate=" L1 "mlp.gate_up_proj.gate up=" L1 "mlp.gate_up_proj.up >y=" L1
           "mlp.swiglu",
        L1 "mlp.down_proj: qmv x=" L1 "mlp.swiglu >y=" L1 "mlp.down_proj weights=" W1 "mlp.down_proj.weight",
        "norm: rms_norm x=" L1 "mlp.down_proj !residual=embed_tokens >y=norm weight=model.norm.weight",
        "lm_head: qmv x=norm >y=lm_head weights=model.embed_tokens.weight",
    };
    struct kgen_spec *spec = spec_parse(text, NULL);
    compare_nodes(spec->graph, expected, KGEN_COUNT_OF(expected));
    assert_int_equal(spec->graph->layers, 2);
    kgen_spec_free(spec);
}

/* ---- what holds of every graph ---- */

static size_t find_tensor(const struct kgen_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->tensor_count; i++) {
        if (strcmp(graph->tensors[i].name, name) == 0)
            return i;
    }
    fail_msg("there is no tensor %s", name);
    return 0;
}

static void check_tensors(const struct kgen_graph *graph, const char *source)
{
    size_t results = 0;
    for (size_t i = 0; i < graph->tensor_count; i++) {
        const struct kgen_graph_tensor *tensor = &graph->tensors[i];
        results += tensor->result;
        if (tensor->use_count == 0 && tensor->view_of == KGEN_GRAPH_NONE)
            fail_msg("%s: no node uses %s", source, tensor->name);
        if (tensor->view_of != KGEN_GRAPH_NONE) {
            const struct kgen_graph_tensor *whole = &graph->tensors[tensor->view_of];
            assert_int_equal(whole->view_of, KGEN_GRAPH_NONE);
            if (tensor->offset * 4 + tensor->bytes > whole->bytes)
                fail_msg("%s: %s reaches beyond %s", source, tensor->name, whole->name);
            assert_true(whole->first <= tensor->first && whole->last >= tensor->last);
        }
        for (size_t j = 0; j < tensor->use_count; j++) {
            size_t node = tensor->uses[j].node;
            assert_true(node >= tensor->first && node <= tensor->last && node < graph->node_count);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(graph->tensors[j].name, tensor->name) == 0)
                fail_msg("%s: two tensors are named %s", source, tensor->name);
        }
    }
    assert_int_equal(results, 1);
}

/* Marks the nodes that a node needs, directly or not. */
static void mark(const struct kgen_graph *graph, size_t node, bool *needed)
{
    if (needed[node])
        return;
    needed[node] = true;
    for (size_t i = 0; i < graph->nodes[node].tensor_count; i++) {
        const struct kgen_graph_operand *operand = &graph->nodes[node].tensors[i];
        if (operand->access == KGEN_GRAPH_WRITE)
            continue;
        size_t writer = kgen_graph_writer(graph, operand->index, node);
        if (writer != KGEN_GRAPH_NONE) {
            assert_true(writer < node);
            mark(graph, writer, needed);
        } else if (strcmp(graph->tensors[operand->index].dtype, "i32") != 0) {
            fail_msg("%s reads %s, which nothing writes", graph->nodes[node].name,
                     graph->tensors[operand->index].name);
        }
    }
}

/* Bytes of what a buffer of a node is bound to as f32, or -1 where it is bound to nothing or to several
 * tensors. */
static int64_t bound_bytes(const struct kgen_graph *graph, const struct kgen_graph_node *node,
                           const char *buffer)
{
    int64_t tensor = -1, weights = 0;
    for (size_t i = 0; i < node->tensor_count; i++) {
        if (strcmp(node->tensors[i].buffer, buffer) == 0)
            tensor = tensor == -1 ? graph->tensors[node->tensors[i].index].bytes : -2;
    }
    for (size_t i = 0; i < node->weight_count; i++) {
        const struct kgen_graph_weight *weight = &graph->weights[node->weights[i].index];
        if (strcmp(node->weights[i].buffer, buffer) == 0)
            weights += 4 * weight->shape[0] * (weight->rank > 1 ? weight->shape[1] : 1);
    }
    return weights == 0 ? tensor : tensor == -1 ? weights : -1;
}

/* The same of a state: those of all positions. */
static int64_t state_bytes(const struct kgen_graph *graph, size_t node, const char *buffer)
{
    const int64_t context = kgen_problem_get(&graph->nodes[node].problem, "context");
    int64_t bytes = -1;
    for (size_t i = 0; i < graph->state_count; i++) {
        const struct kgen_graph_state *state = &graph->states[i];
        assert_true(state->rank == 2 || state->is_recurrent);
        int64_t elements = state->is_recurrent ? 1 : context;
        for (size_t j = 0; j < state->rank; j++)
            elements *= state->shape[j];
        if (state->node == node && strcmp(state->buffer, buffer) == 0)
            bytes = bytes == -1 ? 4 * elements : -2;
    }
    return bytes;
}

/* What the op of a node declares is bound, once, to what has its size, and the scalars are. */
static void check_buffers(const struct kgen_graph *graph, const struct kgen_graph_node *node)
{
    static const enum kgen_graph_access accesses[] = {
        [KGEN_INPUT] = KGEN_GRAPH_READ, [KGEN_UPDATED] = KGEN_GRAPH_UPDATE, [KGEN_OUTPUT] = KGEN_GRAPH_WRITE};
    struct kgen_buffers buffers;
    kgen_problem_buffers(&node->problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const struct kgen_problem_buffer *buffer = &buffers.items[i];
        if (buffer->role == KGEN_WORKSPACE || buffer->role == KGEN_SCRATCH)
            continue;
        const char *name = buffer->declared->name;
        int64_t bytes = buffer->role == KGEN_STATE ? state_bytes(graph, (size_t)(node - graph->nodes), name)
                                                   : bound_bytes(graph, node, name);
        if (buffer->role == KGEN_WEIGHTS ? bytes <= 0 : bytes != (int64_t)buffer->bytes)
            fail_msg("%s: %s has %zu bytes and is bound to %lld", node->name, buffer->declared->name,
                     buffer->bytes, (long long)bytes);
        for (size_t j = 0; j < node->tensor_count; j++) {
            if (strcmp(node->tensors[j].buffer, buffer->name) != 0)
                continue;
            /* An output may be the memory of its input, which is updated then. */
            if (buffer->role == KGEN_OUTPUT && node->tensors[j].access == KGEN_GRAPH_UPDATE)
                assert_non_null(buffer->declared->may_alias);
            else
                assert_int_equal(node->tensors[j].access, accesses[buffer->role]);
        }
    }
    /* Others follow from the fields. */
    for (size_t i = 0; i < node->problem.op->scalar_count; i++) {
        if (node->problem.op->scalars[i].typical == NULL)
            assert_int_equal(bound_bytes(graph, node, node->problem.op->scalars[i].name), 4);
    }
}

/* Every node leads to the result, and from it every node is reached: the graph is complete and has no loose
 * ends. */
static void check_graph(const struct kgen_spec *spec, const char *source)
{
    const struct kgen_graph *graph = spec->graph;
    check_tensors(graph, source);
    bool *needed = calloc(graph->node_count, sizeof *needed);
    assert_non_null(needed);
    mark(graph, graph->node_count - 1, needed);
    int64_t calls = 0, served = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct kgen_graph_node *node = &graph->nodes[i];
        if (!needed[i])
            fail_msg("%s: %s leads to nothing", source, node->name);
        assert_int_equal(node->entry_count == 0, node->status != KGEN_GRAPH_DERIVED);
        served += (int64_t)node->entry_count;
        if (node->status == KGEN_GRAPH_DERIVED)
            check_buffers(graph, node);
        for (size_t j = 0; j < node->entry_count; j++)
            assert_true(spec->entries[node->entries[j]].problem.op == node->problem.op);
    }
    for (size_t i = 0; i < spec->count; i++)
        calls += spec->entries[i].calls;
    assert_int_equal(served, calls);
    free(needed);
}

static void test_files(void **state)
{
    (void)state;
    static const char *const files[] = {
        "specs/qwen.json",          "specs/qwen3-0.6b.json",        "specs/llama-3.1-8b.json",
        "specs/bonsai-8b.json",     "tests/specs/mixed.json",       "tests/specs/experts.json",
        "tests/specs/mistral.json", "tests/specs/unsupported.json", "tests/specs/unquantised_embedding.json",
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++) {
        struct kgen_error error = {0};
        struct kgen_spec *spec = kgen_spec_read(files[i], NULL, &error);
        if (spec == NULL)
            fail_msg("%s", error.message);
        check_graph(spec, files[i]);
        kgen_spec_free(spec);
    }
}

/* A config that has every key which the tables of the family read. */
static void write_config(const struct kgen_family *family, struct kgen_text *text)
{
    static const struct {
        const char *quantity;
        int value;
    } sizes[] = {{"hidden_size", 256},
                 {"intermediate_size", 512},
                 {"vocab_size", 1000},
                 {"layers", 3},
                 {"heads", 4},
                 {"kv_heads", 2},
                 {"head_dim", 64},
                 {"expert_size", 128},
                 {"global_head_dim", 64},
                 {"global_kv_heads", 1},
                 {"q_lora_rank", 64},
                 {"kv_lora_rank", 128},
                 {"qk_nope_head_dim", 64},
                 {"v_head_dim", 64},
                 {"linear_value_dim", 64}};
    const struct kgen_config_key *lists[] = {family->shared, family->own};
    kgen_text_printf(text, "{\"architectures\": [\"%s\"], \"quantization\": {\"bits\": 4}",
                     family->architecture);
    for (size_t i = 0; i < KGEN_COUNT_OF(lists); i++) {
        for (const struct kgen_config_key *row = lists[i]; row != NULL && row->kind != KGEN_CONFIG_END;
             row++) {
            int value = 2;
            for (size_t j = 0; j < KGEN_COUNT_OF(sizes); j++)
                value = strcmp(sizes[j].quantity, row->quantity) == 0 ? sizes[j].value : value;
            char key[80];
            snprintf(key, sizeof key, "\"%s\":", row->key != NULL ? row->key : "");
            if (row->key == NULL || strstr(text->data, key) != NULL)
                continue;
            kgen_text_printf(text, ", %s ", key);
            value = row->kind == KGEN_CONFIG_COUNT ? 0 : value;
            if (row->kind == KGEN_CONFIG_FLAG)
                kgen_text_puts(text, "true");
            else
                kgen_text_printf(text, "%d", value);
        }
    }
    kgen_text_puts(text, "}");
}

/* The tables of every family hold together: no quantity, symbol or field that is not there. */
static void test_families(void **state)
{
    (void)state;
    size_t count = 0;
    for (; kgen_families[count] != NULL; count++) {
        struct kgen_text text = {0};
        write_config(kgen_families[count], &text);
        struct kgen_spec *spec = spec_parse(text.data, NULL);
        check_graph(spec, kgen_families[count]->architecture);
        assert_int_equal(spec->graph->layers, 3);
        kgen_spec_free(spec);
        kgen_text_free(&text);
    }
    assert_true(count >= 5);
}

/* ---- weights and state ---- */

static void test_weights(void **state)
{
    (void)state;
    struct kgen_spec *spec = spec_parse(
        HEAD("qwen3_moe", "2") ", \"num_experts\": 8, \"num_experts_per_tok\": 2,"
                               "\"moe_intermediate_size\": 64, \"mlp_only_layers\": [0], \"head_dim\": 64,"
                               "\"overrides\": {\"*.v_proj\": {\"bits\": 6, \"mode\": \"symmetric\"},"
                               "\"*.o_proj\": false}}",
        NULL);
    static const struct {
        const char *name;
        size_t rank;
        int64_t shape[3];
        enum kgen_graph_format format;
        int64_t bits, scheme;
    } cases[] = {
        {"model.embed_tokens.weight", 2, {1000, 256}, KGEN_GRAPH_QUANTISED, 4, KGEN_AFFINE},
        {"model.layers.0.input_layernorm.weight", 1, {256}, KGEN_GRAPH_PLAIN, 0, 0},
        {"model.layers.0.self_attn.q_proj.weight", 2, {256, 256}, KGEN_GRAPH_QUANTISED, 4, KGEN_AFFINE},
        {"model.layers.1.self_attn.k_proj.weight", 2, {128, 256}, KGEN_GRAPH_QUANTISED, 4, KGEN_AFFINE},
        {"model.layers.1.self_attn.v_proj.weight", 2, {128, 256}, KGEN_GRAPH_QUANTISED, 6, KGEN_SYMMETRIC},
        {"model.layers.1.self_attn.q_norm.weight", 1, {64}, KGEN_GRAPH_PLAIN, 0, 0},
        {"model.layers.1.self_attn.o_proj.weight", 2, {256, 256}, KGEN_GRAPH_PLAIN, 0, 0},
        {"model.layers.0.mlp.down_proj.weight", 2, {256, 512}, KGEN_GRAPH_QUANTISED, 4, KGEN_AFFINE},
        {"model.layers.1.mlp.gate.weight", 2, {8, 256}, KGEN_GRAPH_QUANTISED, 4, KGEN_AFFINE},
        {"model.layers.1.mlp.switch_mlp.down_proj.weight",
         3,
         {8, 256, 64},
         KGEN_GRAPH_QUANTISED,
         4,
         KGEN_AFFINE},
        {"lm_head.weight", 2, {1000, 256}, KGEN_GRAPH_QUANTISED, 4, KGEN_AFFINE},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        size_t index = kgen_graph_find_weight(spec->graph, cases[i].name);
        if (index == KGEN_GRAPH_NONE)
            fail_msg("there is no weight %s", cases[i].name);
        const struct kgen_graph_weight *weight = &spec->graph->weights[index];
        if (weight->rank != cases[i].rank || weight->format != cases[i].format ||
            weight->bits != cases[i].bits || weight->scheme != cases[i].scheme ||
            memcmp(weight->shape, cases[i].shape, weight->rank * sizeof *weight->shape) != 0)
            fail_msg("%s: rank %zu, shape %lld x %lld, format %d, %lld bits", weight->name, weight->rank,
                     (long long)weight->shape[0], (long long)weight->shape[1], (int)weight->format,
                     (long long)weight->bits);
    }
    assert_int_equal(kgen_graph_find_weight(spec->graph, "model.layers.1.mlp.down_proj.weight"),
                     KGEN_GRAPH_NONE);
    assert_int_equal(spec->graph->state_count, 4);
    assert_string_equal(spec->graph->states[3].name, "layers.1.self_attn.v_cache");
    assert_string_equal(spec->graph->states[2].buffer, "k_cache");
    assert_string_equal(spec->graph->states[3].buffer, "v_cache");
    assert_int_equal(spec->graph->states[3].shape[0], 2);
    assert_int_equal(spec->graph->states[3].shape[1], 64);
    assert_string_equal(spec->graph->nodes[spec->graph->states[3].node].name, "layers.1.self_attn.attention");
    kgen_spec_free(spec);
}

/* ---- lifetimes ---- */

static void test_lifetimes(void **state)
{
    (void)state;
    struct kgen_spec *spec = spec_parse(HEAD("llama", "2") "}", NULL);
    const struct kgen_graph *graph = spec->graph;
    static const struct {
        const char *tensor, *first, *last;
    } cases[] = {
        {"token", "embed_tokens", "embed_tokens"},
        {"position", "embed_tokens", "layers.1.self_attn.attention"},
        {"embed_tokens", "embed_tokens", "norm"}, /* the residual */
        {"layers.0.self_attn.qkv_proj", "layers.0.self_attn.qkv_proj", "layers.0.self_attn.attention"},
        {"layers.0.self_attn.qkv_proj.k", "layers.0.self_attn.k_rope", "layers.0.self_attn.k_rope"},
        {"layers.0.mlp.down_proj", "layers.0.mlp.down_proj", "layers.1.input_layernorm"},
        {"lm_head", "lm_head", "lm_head"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const struct kgen_graph_tensor *tensor = &graph->tensors[find_tensor(graph, cases[i].tensor)];
        if (strcmp(graph->nodes[tensor->first].name, cases[i].first) != 0 ||
            strcmp(graph->nodes[tensor->last].name, cases[i].last) != 0)
            fail_msg("%s lives from %s to %s", tensor->name, graph->nodes[tensor->first].name,
                     graph->nodes[tensor->last].name);
    }
    /* position, the residual, the norm's output and 1000 logits; elsewhere at most position, the residual,
     * gate and up, and the 512 that are gated. */
    size_t node;
    assert_int_equal(kgen_graph_peak(graph, &node), 4 * (1 + 256 + 1024 + 512));
    assert_string_equal(graph->nodes[node].name, "layers.0.mlp.swiglu");
    kgen_spec_free(spec);
}

/* A graph by hand: a -> b (in two views), b.left -> c, a updated, b.right and c -> d. */
static void test_hand_made(void **state)
{
    (void)state;
    struct kgen_graph *graph = kgen_graph_new();
    const int64_t ten = 10, five = 5;
    size_t node[4], tensor[4];
    for (size_t i = 0; i < 4; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        node[i] = kgen_graph_add_node(graph, name, name, "op", -1);
        tensor[i] = kgen_graph_add_tensor(graph, name, "f32", &ten, 1);
    }
    size_t left = kgen_graph_add_view(graph, "b.left", tensor[1], 0, &five, 1);
    size_t right = kgen_graph_add_view(graph, "b.right", tensor[1], 5, &five, 1);
    assert_int_equal(kgen_graph_bind(graph, node[0], "y", tensor[0], KGEN_GRAPH_WRITE), 0);
    assert_int_equal(kgen_graph_bind(graph, node[1], "x", tensor[0], KGEN_GRAPH_READ), 0);
    assert_int_equal(kgen_graph_bind(graph, node[1], "y", tensor[1], KGEN_GRAPH_WRITE), 0);
    assert_int_equal(kgen_graph_bind(graph, node[2], "x", left, KGEN_GRAPH_READ), 0);
    assert_int_equal(kgen_graph_bind(graph, node[2], "z", tensor[0], KGEN_GRAPH_UPDATE), 0);
    assert_int_equal(kgen_graph_bind(graph, node[2], "y", tensor[2], KGEN_GRAPH_WRITE), 0);
    assert_int_equal(kgen_graph_bind(graph, node[3], "x", right, KGEN_GRAPH_READ), 0);
    assert_int_equal(kgen_graph_bind(graph, node[3], "z", tensor[2], KGEN_GRAPH_READ), 0);
    kgen_graph_finish(graph);
    assert_int_equal(graph->tensors[tensor[0]].last, node[2]);
    assert_int_equal(graph->tensors[tensor[1]].first, node[1]);
    assert_int_equal(graph->tensors[tensor[1]].last, node[3]);
    assert_int_equal(graph->tensors[tensor[3]].first, KGEN_GRAPH_NONE); /* unused */
    assert_int_equal(kgen_graph_writer(graph, tensor[0], node[2]), node[0]);
    assert_int_equal(kgen_graph_writer(graph, tensor[0], node[3]), node[2]);
    assert_int_equal(kgen_graph_writer(graph, right, node[3]), node[1]);
    size_t at;
    assert_int_equal(kgen_graph_peak(graph, &at), 120);
    assert_int_equal(at, node[2]);
    kgen_graph_free(graph);
    kgen_graph_free(NULL);
}

static void test_list(void **state)
{
    (void)state;
    struct kgen_spec *spec =
        spec_parse("{\"activations\": [\"f32\", \"i8\"], \"problems\": ["
                   "{\"op\": \"add\", \"size\": 4, \"tensors\": \"sum\"},"
                   "{\"op\": \"add\", \"size\": 4},"
                   "{\"op\": \"qmv\", \"N\": 4, \"K\": 64, \"bits\": 4, \"group_size\": 64}]}",
                   NULL);
    static const char *const expected[] = {"add_n4: add", "qmv_n4_k64_b4_g64_f16_f32: qmv",
                                           "qmv_n4_k64_b4_g64_f16_i8: qmv"};
    compare_nodes(spec->graph, expected, KGEN_COUNT_OF(expected));
    assert_string_equal(spec->graph->nodes[0].label, "sum");
    assert_int_equal(spec->graph->nodes[2].entries[0], 2);
    assert_int_equal(spec->graph->tensor_count, 0);
    assert_int_equal(kgen_graph_peak(spec->graph, NULL), 0);
    kgen_spec_free(spec);
}

/* Problems of 2, 4, 8 and 16 rows for as many sequences as the key says. The result has rows as well; nodes
 * with caches have none. */
static void test_sequences(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        int64_t sequences;
        size_t buckets;
    } cases[] = {{"", 1, 0},
                 {", \"sequences\": 1", 1, 0},
                 {", \"sequences\": 2", 2, 1},
                 {", \"sequences\": 5, \"prompt_rows\": 4", 5, 3},
                 {", \"sequences\": 16", 16, 4}};
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text text = {0};
        kgen_text_printf(&text, "%s%s}", HEAD("llama", "3") ", \"layout\": \"tiles16\"", cases[i].keys);
        struct kgen_spec *spec = spec_parse(text.data, NULL);
        assert_int_equal(spec->graph->sequences, cases[i].sequences);
        assert_int_equal(kgen_graph_buckets(cases[i].sequences), cases[i].buckets);
        size_t products = 0, others = 0;
        for (size_t j = 0; j < spec->graph->node_count * KGEN_GRAPH_BUCKETS_MAX; j++) {
            const struct kgen_graph_node *node = &spec->graph->nodes[j / KGEN_GRAPH_BUCKETS_MAX];
            const size_t bucket = j % KGEN_GRAPH_BUCKETS_MAX;
            if (node->sequence_batch_counts[bucket] == 0)
                continue;
            const struct kgen_problem *batch = &spec->entries[node->sequence_batches[bucket][0]].problem;
            assert_true(bucket < cases[i].buckets);
            assert_string_not_equal(batch->op->name, "attention_prefill");
            if (kgen_problem_has(batch, "M"))
                assert_int_equal(kgen_problem_get(batch, "M"), 2 << bucket);
            products += kgen_problem_has(batch, "M");
            others += !kgen_problem_has(batch, "M");
        }
        /* q, k and v, o, gate and up, down of each layer, and the head. */
        const size_t layers = (size_t)spec->graph->layers;
        assert_int_equal(products, (4 * layers + 1) * cases[i].buckets);
        assert_true((others > 0) == (cases[i].buckets > 0));
        kgen_spec_free(spec);
        kgen_text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequences), cmocka_unit_test(test_nodes),   cmocka_unit_test(test_files),
        cmocka_unit_test(test_families),  cmocka_unit_test(test_weights), cmocka_unit_test(test_lifetimes),
        cmocka_unit_test(test_hand_made), cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
