/* SPDX-License-Identifier: MIT */
/* The files of a model's step: what they hold, how long they are, what compilers say, the lock, and what is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "gen/emit/internal.h"
#include "gen/spec/spec.h"
#include "gguf_fixture.h"

/* A small model of the family Qwen3, and one of Gemma 2 whose layers take turns. */
#define COMMON                                                                                               \
    "\"vocab_size\": 300, \"hidden_size\": 64, \"intermediate_size\": 96, \"num_attention_heads\": 4, "      \
    "\"num_key_value_heads\": 2, \"rms_norm_eps\": 1e-06, \"rope_theta\": 10000, "                           \
    "\"max_position_embeddings\": 64, \"quantization\": {\"bits\": 4, \"group_size\": 32}}\n"
static const char small_text[] = "{\"architectures\": [\"Qwen3ForCausalLM\"], \"model_type\": \"qwen3\", "
                                 "\"num_hidden_layers\": 3, \"head_dim\": 16, \"hidden_act\": \"silu\", "
                                 "\"tie_word_embeddings\": false, " COMMON;
static const char turns_text[] =
    "{\"architectures\": [\"Gemma2ForCausalLM\"], \"model_type\": \"gemma2\", \"num_hidden_layers\": 8, "
    "\"head_dim\": 16, \"hidden_activation\": \"gelu_pytorch_tanh\", \"sliding_window\": 16, "
    "\"query_pre_attn_scalar\": 16, \"final_logit_softcapping\": 30.0, \"attn_logit_softcapping\": 50.0, "
    "\"tie_word_embeddings\": true, " COMMON;
static const char experts_text[] =
    "{\"architectures\": [\"MixtralForCausalLM\"], \"model_type\": \"mixtral\", \"num_hidden_layers\": 2, "
    "\"hidden_act\": \"silu\", \"num_local_experts\": 4, \"num_experts_per_tok\": 2, "
    "\"tie_word_embeddings\": false, " COMMON;

static const char plain_text[] =
    "{\"architectures\": [\"Qwen3ForCausalLM\"], \"model_type\": \"qwen3\", \"num_hidden_layers\": 3, "
    "\"head_dim\": 16, \"hidden_act\": \"silu\", \"vocab_size\": 300, \"hidden_size\": 64, "
    "\"intermediate_size\": 96, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
    "\"rms_norm_eps\": 1e-06, \"rope_theta\": 10000, \"tie_word_embeddings\": false, "
    "\"quantization\": {\"bits\": 4, \"group_size\": 32, \"lm_head\": false}}\n";

static struct kgen_templates *templates;

static void check(const struct kgen_error *error)
{
    char text[1200];
    if (error->code != KGEN_ERROR_NONE)
        fail_msg("%s", kgen_error_format(error, text, sizeof text));
}

/* The sources of a spec with the default variants. */
static struct kgen_emission *emit(const struct kgen_spec *spec)
{
    struct kgen_error error = {0};
    struct kgen_variant *tuned = calloc(spec->count, sizeof *tuned);
    assert_non_null(tuned);
    const struct kgen_emit_input input = {.spec = spec,
                                          .templates = templates,
                                          .tuned = tuned,
                                          .command = "a test",
                                          .isas = 1u << KGEN_ISA_AVX512,
                                          .model = true};
    struct kgen_emission *emission = kgen_emission_new(&input, &error);
    check(&error);
    free(tuned);
    return emission;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static const char *find_file(const struct kgen_emission *emission, const char *ending)
{
    for (size_t i = 0; i < emission->files->count; i++) {
        const struct kgen_text *name = &emission->files->items[i].name;
        if (name->length > strlen(ending) && strcmp(name->data + name->length - strlen(ending), ending) == 0)
            return emission->files->items[i].text.data;
    }
    fail_msg("there is no file %s", ending);
    return NULL;
}

struct text_case {
    const char *text;   /* of the spec; NULL: specs/qwen3-0.6b.json */
    const char *layout; /* NULL: that of the spec */
    int64_t prompt_rows;
    size_t most_lines;    /* of the source; 0: any number */
    const char *parts[6]; /* of the source */
};

static const struct text_case text_cases[] = {
    {NULL, "stored", 1, 450, {"for (size_t i = 1; i < 28; i++)\n        layer_1(step);", "layer_0(step);"}},
    {NULL,
     "tiles16",
     512,
     600,
     {"for (size_t i = 1; i < 28; i++)\n        layer_1(step);",
      "row_of_tiles(step->weights->lm_head_weights",
      "for (size_t i = 1; i < 28; i++)\n        prompt_layer_1(step);",
      "in_layer(finder, \"model.layers.\", number, \".mlp.gate_proj.weights\", 3145728)",
      "const size_t rows = position > 3584 ? 1"}},
    {small_text,
     "stored",
     8,
     0,
     {"row_of_array(step->weights->embed_tokens_weights", "/* Layers 1, 2. */",
      "\"model.embed_tokens.weights\", 9600)"}},
    {turns_text,
     "tiles16",
     8,
     0,
     {"/* Layers 1, 3, 5, 7. */", "/* Layers 2, 4, 6. */", "{layer_0, layer_1, layer_2, layer_1, layer_2,",
      "softcap_n300_c30(step->logits, step->logits, 0, 300)"}},
    {experts_text, "tiles16", 8, 0, {"layer_1(step);", "int32_t *"}},
};

static struct kgen_spec *read_spec(const struct text_case *item)
{
    struct kgen_error error = {0};
    struct kgen_text path = {0}, expected = {0};
    struct kgen_spec_options options = {.prompt_rows = item->prompt_rows};
    kgen_spec_option_parse("layout", item->layout, &options.layout, &expected);
    kgen_text_printf(&path, "%s/specs/qwen3-0.6b.json", kgen_test_source);
    struct kgen_spec *spec =
        item->text == NULL ? kgen_spec_read(path.data, &options, &error)
                           : kgen_spec_parse("tiny.json", item->text, strlen(item->text), &options, &error);
    check(&error);
    kgen_text_free(&path);
    kgen_text_free(&expected);
    return spec;
}

/* The step and the program compile without a warning against the headers of the kernels. */
static void compile(const struct kgen_emission *emission)
{
    static const char flags[] =
        "-fsyntax-only -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror";
    static const char *const compilers[] = {"gcc", "clang"};
    struct kgen_error error = {0};
    char command[512];
    kgen_emission_write(emission, "out", false, &error);
    check(&error);
    for (size_t i = 0; i < KGEN_COUNT_OF(compilers); i++) {
        snprintf(command, sizeof command, "command -v %s >/dev/null", compilers[i]);
        if (system(command) != 0) {
            print_message("skipped: there is no %s\n", compilers[i]);
            continue;
        }
        snprintf(command, sizeof command, "%s %s out/*_model.c out/example/generate.c", compilers[i], flags);
        assert_int_equal(system(command), 0);
    }
    if (system("command -v g++ >/dev/null") == 0)
        assert_int_equal(system("g++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only out/*_model.h"), 0);
    assert_int_equal(system("rm -r out"), 0);
}

static void test_texts(void **state)
{
    (void)state;
    size_t checked = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(text_cases); i++) {
        const struct text_case *item = &text_cases[i];
        struct kgen_spec *spec = read_spec(item);
        struct kgen_emission *emission = emit(spec), *again = emit(spec);
        const char *source = find_file(emission, "_model.c");
        assert_string_equal(source, find_file(again, "_model.c"));
        assert_string_equal(find_file(emission, "_model.h"), find_file(again, "_model.h"));
        for (size_t j = 0; j < KGEN_COUNT_OF(item->parts) && item->parts[j] != NULL; j++, checked++) {
            if (strstr(source, item->parts[j]) == NULL)
                fail_msg("case %zu: no '%s' in\n%s", i, item->parts[j], source);
        }
        if (item->most_lines > 0 && count_of(source, "\n") > item->most_lines)
            fail_msg("case %zu: %zu lines, at most %zu", i, count_of(source, "\n"), item->most_lines);
        assert_int_equal(strstr(source, "run_prompt") != NULL, item->prompt_rows > 1);
        assert_null(strstr(source, "alloc("));
        compile(emission);
        kgen_emission_free(emission);
        kgen_emission_free(again);
        kgen_spec_free(spec);
    }
    assert_true(checked > 12);
}

/* The lock says that there is a step, so that --locked and --check know its files. */
static void test_lock(void **state)
{
    (void)state;
    kgen_test_put_file("tiny.json", small_text);
    kgen_test_expect("tiny.json --isa generic --effort estimate --emit model -o o -q", 0, NULL, NULL);
    assert_true(kgen_test_exists("o/tiny_model.c"));
    assert_true(kgen_test_exists("o/tiny_model.h"));
    assert_true(kgen_test_exists("o/example/generate.c"));
    assert_int_equal(system("grep -q '\"model\": true' o/kgen.lock && grep -q tiny_model.c o/sources.mk"), 0);
    assert_int_equal(system("cp -r o first"), 0);
    kgen_test_expect("tiny.json --isa generic --effort estimate --emit model --check -o o", 0, NULL, NULL);
    kgen_test_expect("tiny.json --locked -o o -q", 0, NULL, NULL);
    assert_int_equal(system("diff -r o first"), 0);
    assert_int_equal(system("echo >> o/tiny_model.c; rm o/example/generate.c"), 0);
    kgen_test_expect("tiny.json --check -o o", 1, "tiny_model.c", NULL);
    kgen_test_expect("tiny.json --check -o o", 1, "example/generate.c", NULL);
    /* Of a lock without the step its files go. */
    assert_int_equal(system("sed -i '/\"model\": true/d' o/kgen.lock"), 0);
    kgen_test_expect("tiny.json --locked -o o -q", 0, NULL, NULL);
    assert_false(kgen_test_exists("o/tiny_model.c"));
    assert_false(kgen_test_exists("o/tiny_model.h"));
    assert_int_equal(system("grep -q model o/example/Makefile o/sources.mk"), 256);
}

/* A package, or another GGUF file, is a spec of its model; the program generates with the package. */
static void test_package(void **state)
{
    (void)state;
    struct kgen_text one = {0}, other = {0};
    struct kgen_error error = {0};
    kgen_test_write_llama("model.gguf", &kgen_test_small_llama, UINT64_C(83), &kgen_test_mixed_types);
    kgen_test_expect("pack model.gguf -o model.kgen -q", 0, NULL, NULL);
    kgen_test_expect("model.kgen --isa generic --effort estimate --context 32 --prompt-rows 4 "
                     "--emit model -o packed -q",
                     0, NULL, NULL);
    assert_int_equal(
        system("env -u MAKEFLAGS -u BUILD make -s -C packed/example CFLAGS=-O1 build/generate > make.log "
               "2>&1"),
        0);
    assert_int_equal(system("packed/example/build/generate model.kgen 6 1 2 3 4 5 > found"), 0);
    assert_int_equal(system("packed/example/build/generate model.gguf 6 1 > none 2> why"), 256);
    assert_int_equal(system("grep -q 'does not have the weights\\|is no package' why"), 0);
    assert_int_equal(system("packed/example/build/generate model.kgen 1 50 2> why"), 256);
    assert_int_equal(system("packed/example/build/generate model.kgen 60 1 > long 2> why"), 256);
    assert_int_equal(
        system("head -c 3000 model.kgen > cut.kgen; packed/example/build/generate cut.kgen 6 1 2> why"), 256);
    /* Run token by token, and again, they are the same. */
    assert_int_equal(
        system("for i in 1 2; do packed/example/build/generate model.kgen 6 1 2 3 4 5; done > twice; "
               "cat found found > expected"),
        0);
    kgen_file_read("twice", SIZE_MAX, &one, &error);
    kgen_file_read("expected", SIZE_MAX, &other, &error);
    check(&error);
    assert_int_equal(count_of(one.data, "\n"), 12);
    assert_string_equal(one.data, other.data);
    kgen_text_free(&one);
    kgen_text_free(&other);
    kgen_test_expect("model.kgen --bits 4 -o bits", 2, NULL,
                     "the weights of a checkpoint have formats already");
    kgen_test_expect("model.kgen --activation-dtype f32,i8 -o two", 2, NULL, "one precision of activations");
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *err;
    } refused[] = {
        {"list.json --emit model -o r", 2, "a list of problems has no step to write"},
        {"list.json --emit model -o r", 2,
         "hint: leave --emit model out, or give the config.json of a model"},
        {"tiny.json --emit steps -o r", 2, "it can be: model"},
        {"plain.json --emit model -o r", 2, "the step of the model cannot be written: "},
        {"tiny.json --emit model -o taken", 2, "did not write is in the way: tiny_model.c"},
        {"tiny.json --emit model --prefix big -o taken", 2, "did not write is in the way: big_model.h"},
    };
    kgen_test_put_file("tiny.json", small_text);
    kgen_test_put_file("list.json", "{\"problems\": [{\"op\": \"add\", \"size\": 8}]}\n");
    kgen_test_put_file("plain.json", plain_text);
    assert_int_equal(system("mkdir taken && echo mine > taken/tiny_model.c && echo mine > taken/big_model.h"),
                     0);
    for (size_t i = 0; i < KGEN_COUNT_OF(refused); i++)
        kgen_test_expect(refused[i].line, refused[i].status, NULL, refused[i].err);
}

static int set_up(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    if (kgen_test_command_setup() != 0)
        return -1;
    templates = kgen_templates_open(NULL, "c", &error);
    return templates != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    kgen_templates_free(templates);
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_package),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
