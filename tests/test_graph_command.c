/* SPDX-License-Identifier: MIT */
/* kgen graph, and the graph in kgen SPEC --dry-run --json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_fixture.h"

/* Layer 3 has a format of its own: 0, 1 (with 2, 4, 5) and 3 are drawn. */
static const char model[] =
    "{\"name\": \"small\", \"model_type\": \"qwen3\", \"hidden_size\": 256, \"intermediate_size\": 512,"
    "\"vocab_size\": 1000, \"num_hidden_layers\": 6, \"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
    "\"head_dim\": 64, \"quantization\": {\"bits\": 4, \"group_size\": 64},"
    "\"overrides\": {\"*.3.mlp.down_proj\": {\"bits\": 8}}}";

static const char list[] = "{\"name\": \"list\", \"problems\": ["
                           "{\"op\": \"add\", \"size\": 100, \"tensors\": \"a \\\"b\\\\\"},"
                           "{\"op\": \"swiglu\", \"size\": 33}]}";

static int setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_put_file("model.json", model);
    kgen_test_put_file("list.json", list);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

/* Every end of an edge is declared, once. */
static void check_dot(const char *text)
{
    size_t edges = 0;
    for (const char *at = text; (at = strstr(at, " -> ")) != NULL; at++, edges++) {
        const char *begin = at;
        while (begin > text && begin[-1] != ' ')
            begin--;
        char ends[2][24], declared[80];
        snprintf(ends[0], sizeof ends[0], "%.*s", (int)(at - begin), begin);
        snprintf(ends[1], sizeof ends[1], "%.*s", (int)strcspn(at + 4, " ;"), at + 4);
        for (size_t i = 0; i < 2; i++) {
            snprintf(declared, sizeof declared, "  %s [label=", ends[i]);
            if (count_of(text, declared) != 1)
                fail_msg("%s is declared %zu times in\n%s", ends[i], count_of(text, declared), text);
        }
    }
    assert_true(edges > 0);
    assert_int_equal(count_of(text, "{"), count_of(text, "}"));
}

static void test_layers(void **state)
{
    (void)state;
    struct kgen_test_outcome outcome = kgen_test_run("graph model.json");
    assert_int_equal(outcome.status, 0);
    check_dot(outcome.out.data);
    assert_int_equal(strncmp(outcome.out.data, "digraph \"small\" {", 17), 0);
    assert_int_equal(count_of(outcome.out.data, "subgraph cluster_"), 3);
    assert_int_equal(count_of(outcome.out.data, "label=\"layer 0\""), 1);
    assert_int_equal(count_of(outcome.out.data, "label=\"layers 1-2,4-5 (4)\""), 1);
    assert_int_equal(count_of(outcome.out.data, "label=\"layer 3\""), 1);
    assert_int_equal(
        count_of(outcome.out.data, "attention_decode heads=4 kv_heads=2 head_dim=64 context=4096"), 3);
    assert_int_equal(count_of(outcome.out.data, "shape=cylinder"), 6);
    kgen_test_outcome_free(&outcome);

    outcome = kgen_test_run("graph model.json --all");
    check_dot(outcome.out.data);
    assert_int_equal(count_of(outcome.out.data, "subgraph cluster_"), 6);
    assert_int_equal(count_of(outcome.out.data, "constraint=false"), 0);
    kgen_test_outcome_free(&outcome);
}

static void test_lists_and_usage(void **state)
{
    (void)state;
    struct kgen_test_outcome outcome = kgen_test_run("graph list.json");
    assert_int_equal(outcome.status, 0);
    assert_int_equal(count_of(outcome.out.data, " -> "), 0);
    assert_int_equal(count_of(outcome.out.data, "label=\"a \\\"b\\\\\\nadd size=100\""), 1);
    assert_int_equal(count_of(outcome.out.data, "label=\"swiglu_n33\\nswiglu size=33\""), 1);
    kgen_test_outcome_free(&outcome);
    kgen_test_expect("graph --help", 0, "usage: kgen graph SPEC [--all]", NULL);
    kgen_test_expect("--help", 0, "kgen graph SPEC", NULL);
    kgen_test_expect("graph", 2, NULL, "an argument is missing");
    kgen_test_expect("graph nowhere.json", 2, NULL, "nowhere.json: cannot open the file");
    kgen_test_expect("graph model.json --effort patient", 2, NULL, "kgen graph takes no option --effort");
    kgen_test_expect("graph model.json --bits 2", 0, "bits=2", NULL);
    kgen_test_expect("graph model.json --context 77", 0, "context=77", NULL);
    kgen_test_expect("model.json --all", 2, NULL, "takes no option --all");
}

/* ---- JSON ---- */

static json_int_t integer_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("\"%s\" is no integer", key);
    return json_integer_value(value);
}

/* The greatest sum of the bytes that live at one node, from the lifetimes as they are printed. */
static json_int_t peak_of(const json_t *graph)
{
    json_int_t peak = 0;
    const size_t nodes = json_array_size(json_object_get(graph, "nodes"));
    for (size_t node = 0; node < nodes; node++) {
        json_int_t live = 0;
        size_t i;
        json_t *tensor;
        json_array_foreach(json_object_get(graph, "tensors"), i, tensor)
        {
            if (json_is_null(json_object_get(tensor, "view_of")) &&
                integer_of(tensor, "first") <= (json_int_t)node &&
                integer_of(tensor, "last") >= (json_int_t)node)
                live += integer_of(tensor, "bytes");
        }
        peak = live > peak ? live : peak;
    }
    return peak;
}

/* Each operand names a tensor or a weight that is listed, each problem number an entry. */
static void check_nodes(const json_t *graph, size_t problems)
{
    size_t i, j, served = 0;
    json_t *node, *item;
    json_array_foreach(json_object_get(graph, "nodes"), i, node)
    {
        bool derived = strcmp(json_string_value(json_object_get(node, "status")), "derived") == 0;
        assert_int_equal(derived, json_array_size(json_object_get(node, "problems")) > 0);
        json_array_foreach(json_object_get(node, "problems"), j, item)
        {
            assert_in_range(json_integer_value(item), 1, problems);
            served++;
        }
        json_array_foreach(json_object_get(node, "tensors"), j, item)
        {
            bool listed = false;
            size_t k;
            json_t *tensor;
            json_array_foreach(json_object_get(graph, "tensors"), k, tensor) listed =
                listed || json_equal(json_object_get(tensor, "name"), json_object_get(item, "tensor"));
            if (!listed)
                fail_msg("node %zu uses a tensor that is not listed", i);
        }
    }
    assert_true(served >= problems);
}

static void test_json(void **state)
{
    (void)state;
    static const char *const lines[] = {"model.json --dry-run --json -q", "graph model.json --json"};
    json_t *graphs[2];
    for (size_t i = 0; i < 2; i++) {
        struct kgen_test_outcome outcome = kgen_test_run(lines[i]);
        assert_int_equal(outcome.status, 0);
        json_error_t error;
        json_t *root = json_loads(outcome.out.data, JSON_REJECT_DUPLICATES, &error);
        if (root == NULL)
            fail_msg("kgen %s: %s", lines[i], error.text);
        graphs[i] = json_incref(json_object_get(root, "graph"));
        if (i == 0)
            check_nodes(graphs[i], json_array_size(json_object_get(root, "problems")));
        json_decref(root);
        kgen_test_outcome_free(&outcome);
    }
    assert_true(json_equal(graphs[0], graphs[1]));
    assert_int_equal(integer_of(graphs[0], "layers"), 6);
    assert_int_equal(integer_of(graphs[0], "peak_bytes"), peak_of(graphs[0]));
    assert_int_equal(json_array_size(json_object_get(graphs[0], "state")), 12);
    const json_t *cache = json_array_get(json_object_get(graphs[0], "state"), 3);
    assert_string_equal(json_string_value(json_object_get(cache, "name")), "layers.1.self_attn.v_cache");
    assert_string_equal(json_string_value(json_object_get(cache, "buffer")), "v_cache");
    const json_t *last = json_array_get(json_object_get(graphs[0], "weights"),
                                        json_array_size(json_object_get(graphs[0], "weights")) - 1);
    assert_string_equal(json_string_value(json_object_get(last, "name")), "lm_head.weight");
    assert_int_equal(integer_of(json_object_get(last, "format"), "bits"), 4);
    json_decref(graphs[0]);
    json_decref(graphs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_lists_and_usage),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
