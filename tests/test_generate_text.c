/* SPDX-License-Identifier: MIT */
/* kgen generate: text from a small random model with a vocabulary of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_fixture.h"
#include "llama_reference.h"

#define SEED UINT64_C(72)

/* U+0120, which stands for a blank, begins the words. */
static const char *const tokens[] = {"<|im_start|>",
                                     "<|im_end|>",
                                     "a",
                                     "b",
                                     "c",
                                     "d",
                                     "e",
                                     "f",
                                     "g",
                                     "h",
                                     "i",
                                     "m",
                                     "n",
                                     "o",
                                     "p",
                                     "r",
                                     "s",
                                     "t",
                                     "u",
                                     "y",
                                     "\304\240",
                                     "\304\212",
                                     "ab",
                                     "abc",
                                     "us",
                                     "er",
                                     "user",
                                     "\304\240a",
                                     "he",
                                     "z"};
static const int32_t types[KGEN_COUNT_OF(tokens)] = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const char *const merges[] = {"a b", "ab c", "u s", "e r", "us er", "\304\240 a", "h e"};

static struct kgen_test_tokenizer tokenizer = {
    .model = "gpt2",
    .pre = "smollm",
    .tokens = tokens,
    .types = types,
    .count = KGEN_COUNT_OF(tokens),
    .merges = merges,
    .merge_count = KGEN_COUNT_OF(merges),
    .bos = 0,
    .eos = 1,
    .chat_template = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
                     "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
                     "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
};

static const struct kgen_test_llama shape = {.hidden = 64,
                                             .intermediate = 96,
                                             .layers = 2,
                                             .heads = 4,
                                             .kv_heads = 2,
                                             .head_dim = 16,
                                             .vocab = KGEN_COUNT_OF(tokens),
                                             .context = 64,
                                             .tied = true,
                                             .tokenizer = &tokenizer};

#define TOKENIZER_JSON                                                                                       \
    "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 7, \"b\": 1, \"ab\": 2}, \"merges\": [\"a b\"]}, "    \
    "\"decoder\": {\"type\": \"ByteLevel\"}"

static int setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_write_llama("model.gguf", &shape, SEED, &kgen_test_mixed_types);
    struct kgen_test_tokenizer unknown = tokenizer;
    unknown.chat_template = "{{ messages }}";
    struct kgen_test_llama other = shape;
    other.tokenizer = &unknown;
    kgen_test_write_llama("unknown.gguf", &other, SEED, &kgen_test_mixed_types);
    other.tokenizer = NULL;
    kgen_test_write_llama("none.gguf", &other, SEED, &kgen_test_mixed_types);
    kgen_test_put_file("tokenizer.json", "{" TOKENIZER_JSON "}");
    kgen_test_put_file("large.json",
                       "{" TOKENIZER_JSON ", \"added_tokens\": [{\"id\": 30, \"content\": \"x\"}]}");
    kgen_test_put_file("prompt.txt", "abc a");
    kgen_test_put_file("broken.gguf", "GGUF\3");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

static json_t *generate(const char *arguments)
{
    char line[256];
    snprintf(line, sizeof line, "generate %s --json --tune-seconds 0.01", arguments);
    struct kgen_test_outcome outcome = kgen_test_run(line);
    if (outcome.status != 0)
        fail_msg("%s: exit status %d\n%s", line, outcome.status, outcome.err.data);
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    assert_non_null(root);
    kgen_test_outcome_free(&outcome);
    return root;
}

static void assert_ids(const json_t *root, const char *key, const int *expected, size_t count)
{
    const json_t *ids = json_object_get(root, key);
    assert_int_equal(json_array_size(ids), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(json_integer_value(json_array_get(ids, i)), expected[i]);
}

static void test_prompts(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        int ids[16];
        size_t count;
    } cases[] = {
        {"model.gguf -p abc -n 1", {23}, 1},
        {"model.gguf -p user -n 1", {26}, 1},
        {"model.gguf -f prompt.txt -n 1", {23, 27}, 2},
        {"model.gguf --chat -p abc -n 1", {0, 26, 21, 23, 1, 21, 0, 2, 16, 16, 10, 16, 17, 2, 12, 17}, 17},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        json_t *root = generate(cases[i].arguments);
        const size_t shown = cases[i].count < 16 ? cases[i].count : 16;
        assert_int_equal(json_array_size(json_object_get(root, "prompt_tokens")), cases[i].count);
        for (size_t j = 0; j < shown; j++)
            assert_int_equal(json_integer_value(json_array_get(json_object_get(root, "prompt_tokens"), j)),
                             cases[i].ids[j]);
        json_decref(root);
    }
}

/* Another tokenizer than that of the checkpoint. */
static void test_other_tokenizer(void **state)
{
    (void)state;
    static const char *const checkpoints[] = {"model.gguf", "none.gguf"};
    static const int ids[] = {2, 7};
    for (size_t i = 0; i < KGEN_COUNT_OF(checkpoints); i++) {
        char line[128];
        snprintf(line, sizeof line, "%s -p aba -n 1 --logit-bias 7=1e6 --tokenizer tokenizer.json",
                 checkpoints[i]);
        json_t *root = generate(line);
        assert_ids(root, "prompt_tokens", ids, 2);
        assert_string_equal(json_string_value(json_object_get(root, "text")), "a");
        json_decref(root);
    }
    json_t *root = generate("model.gguf -p aba -n 1 --logit-bias 7=1e6 --tokenizer unknown.gguf");
    static const int others[] = {22, 2};
    assert_ids(root, "prompt_tokens", others, 2);
    json_decref(root);
    kgen_test_expect("generate none.gguf -p a --tune-seconds 0.01", 2, NULL,
                     "the checkpoint has no tokenizer");
    kgen_test_expect("generate none.gguf -p a --tune-seconds 0.01 --tokenizer large.json", 2, NULL,
                     "large.json: the tokenizer has 31 tokens, and the model knows 30");
    kgen_test_expect("generate none.gguf -p a --tune-seconds 0.01 --tokenizer prompt.txt", 2, NULL,
                     "this is no tokenizer of llama2.c");
}

/* One instruction set gives the text of another. */
static void test_isa(void **state)
{
    (void)state;
    json_t *usual = generate("model.gguf -p abc -n 8"),
           *plain = generate("model.gguf -p abc -n 8 --isa generic");
    assert_true(json_equal(json_object_get(usual, "tokens"), json_object_get(plain, "tokens")));
    json_decref(usual);
    json_decref(plain);
    kgen_test_expect("generate model.gguf -p abc --isa none", 2, NULL, "--isa");
}

/* The token of the greatest logit; *margin is how far the next one is. */
static int64_t greatest(const double *logits, double *margin)
{
    int64_t best = 0;
    for (int64_t i = 1; i < shape.vocab; i++)
        best = logits[i] > logits[best] ? i : best;
    *margin = 1e300;
    for (int64_t i = 0; i < shape.vocab; i++) {
        if (i != best && logits[best] - logits[i] < *margin)
            *margin = logits[best] - logits[i];
    }
    return best;
}

/* Greedy text is that of double precision, as long as no two logits are too near to tell. */
static void test_tokens_are_the_greatest(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    struct kgen_error error = {0};
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open("model.gguf", &error);
    assert_non_null(checkpoint);
    struct llama_reference *reference = llama_reference_new(checkpoint, &shape, 64);
    json_t *root = generate("model.gguf -p abc -n 20");
    const json_t *ids = json_object_get(root, "tokens");
    int64_t token = 23;
    size_t compared = 0;
    for (size_t i = 0; i < json_array_size(ids); i++, compared++) {
        double margin;
        token = greatest(llama_reference_step(reference, token, (int64_t)i), &margin);
        if (margin < 1e-4)
            break;
        assert_int_equal(json_integer_value(json_array_get(ids, i)), token);
    }
    assert_true(compared == COUNT || token == 1);
    assert_int_equal(json_is_true(json_object_get(root, "ended")), token == 1);
    json_decref(root);
    llama_reference_free(reference);
    kgen_checkpoint_free(checkpoint);
}

/* What is printed is the text, and no more than fits into the caches. */
static void test_text(void **state)
{
    (void)state;
    json_t *root = generate("model.gguf -p abc -n 12");
    struct kgen_text expected = {0};
    kgen_text_printf(&expected, "%s\n", json_string_value(json_object_get(root, "text")));
    kgen_test_expect("generate model.gguf -p abc -n 12 -q", 0, expected.data, NULL);
    kgen_text_free(&expected);
    json_decref(root);
    root = generate("model.gguf -p abc -n 3 --cache-type bf16");
    assert_int_equal(json_array_size(json_object_get(root, "tokens")), 3);
    json_decref(root);
    root = generate("model.gguf -p abc -n 100 --context 9");
    assert_true(json_array_size(json_object_get(root, "tokens")) <= 9);
    json_decref(root);
    static const int prompt[] = {23};
    root = generate("model.gguf -p abc -n 3 --activation-dtype i8 --threads 1");
    assert_ids(root, "prompt_tokens", prompt, 1);
    json_decref(root);
}

/* The tokens of a run, as a text. */
static void list_tokens(const char *arguments, struct kgen_text *text)
{
    json_t *root = generate(arguments);
    const json_t *ids = json_object_get(root, "tokens");
    for (size_t i = 0; i < json_array_size(ids); i++)
        kgen_text_printf(text, "%d ", (int)json_integer_value(json_array_get(ids, i)));
    json_decref(root);
}

/* A seed fixes the text, the settings change it, and what is ruled out does not come. */
static void test_sampling(void **state)
{
    (void)state;
#define DRAWN "model.gguf -p abc -n 24 --logit-bias 1=-inf --temperature 4 --top-k 0 --top-p 1 --min-p 0"
    static const struct {
        const char *first, *second;
        bool same;
    } cases[] = {
        {DRAWN " --seed 7", DRAWN " --seed 7", true},
        {DRAWN " --seed 7", DRAWN " --seed 8", false},
        {DRAWN " --seed 7 --top-k 1", "model.gguf -p abc -n 24 --logit-bias 1=-inf", true},
        {"model.gguf -p abc -n 24 --temperature 0 --seed 7 --min-p 1", "model.gguf -p abc -n 24", true},
        {"model.gguf -p abc -n 24 --logit-bias 5=1e5,6=2 --logit-bias 5=1",
         "model.gguf -p abc -n 24 --logit-bias 5=1e6", true},
        {"model.gguf -p abc -n 24 --logit-bias 1=-inf --repeat-penalty 1e6 --repeat-last-n -1",
         "model.gguf -p abc -n 24 --logit-bias 1=-inf", false},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text first = {0}, second = {0};
        list_tokens(cases[i].first, &first);
        list_tokens(cases[i].second, &second);
        if ((strcmp(first.data, second.data) == 0) != cases[i].same)
            fail_msg("%s: %s\n%s: %s", cases[i].first, first.data, cases[i].second, second.data);
        kgen_text_free(&first);
        kgen_text_free(&second);
    }
    /* Without a seed there is another one each time, which gives the same text again. */
    json_t *root = generate(DRAWN);
    const json_t *ids = json_object_get(root, "tokens"), *seed = json_object_get(root, "seed");
    struct kgen_text line = {0}, again = {0}, tokens_drawn = {0};
    assert_true(json_is_integer(seed));
    for (size_t i = 0; i < json_array_size(ids); i++) {
        assert_int_not_equal(json_integer_value(json_array_get(ids, i)), 1);
        kgen_text_printf(&tokens_drawn, "%d ", (int)json_integer_value(json_array_get(ids, i)));
    }
    kgen_text_printf(&line, DRAWN " --seed %lld", (long long)json_integer_value(seed));
    list_tokens(line.data, &again);
    assert_string_equal(tokens_drawn.data, again.data);
    kgen_text_free(&line);
    kgen_text_free(&again);
    kgen_text_free(&tokens_drawn);
    json_decref(root);
}

static void test_bad_input(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *err;
    } cases[] = {
        {"generate", 2, "an argument is missing"},
        {"generate none.gguf", 2, "there is no prompt"},
        {"generate model.gguf -f empty.txt", 2, "the prompt is empty"},
        {"generate model.gguf -p a -f prompt.txt", 2, "exclude each other"},
        {"generate model.gguf -p a -n 0", 2, "--tokens cannot be '0'"},
        {"generate model.gguf -p a --tune-seconds x", 2, "--tune-seconds cannot be 'x'"},
        {"generate model.gguf -p a --temperature -1", 2, "--temperature cannot be '-1'"},
        {"generate model.gguf -p a --temperature nan", 2, "--temperature cannot be 'nan'"},
        {"generate model.gguf -p a --top-k 1.5", 2, "--top-k cannot be '1.5'"},
        {"generate model.gguf -p a --top-p 1.5", 2, "--top-p cannot be '1.5'"},
        {"generate model.gguf -p a --min-p x", 2, "--min-p cannot be 'x'"},
        {"generate model.gguf -p a --repeat-penalty 0", 2, "--repeat-penalty cannot be '0'"},
        {"generate model.gguf -p a --repeat-last-n -2", 2, "--repeat-last-n cannot be '-2'"},
        {"generate model.gguf -p a --seed -1", 2, "--seed cannot be '-1'"},
        {"generate model.gguf -p a --logit-bias 3", 2, "--logit-bias cannot be '3'"},
        {"generate model.gguf -p a --logit-bias 3=1,", 2, "--logit-bias cannot be '3=1,'"},
        {"generate model.gguf -p a --logit-bias -3=1", 2, "--logit-bias cannot be '-3=1'"},
        {"generate model.gguf -p a --logit-bias 3=inf", 2, "--logit-bias cannot be '3=inf'"},
        {"generate model.gguf -p a --logit-bias 30=1 --tune-seconds 0.01", 2, "has 30 tokens"},
        {"generate model.gguf -f none.txt", 2, "none.txt"},
        {"generate none.gguf -p a", 2, "none.gguf"},
        {"generate broken.gguf -p a", 2, "broken.gguf"},
        {"generate unknown.gguf --chat -p a", 2, "template"},
        {"generate model.gguf -p a --cache-type i8", 2, "--cache-type"},
        {"generate model.gguf -p abcabcabcabc --context 3", 2, "room for 3 positions"},
        {"tune prompt.txt -p a", 2, "takes no option --prompt"},
    };
    kgen_test_put_file("empty.txt", "");
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        kgen_test_expect(cases[i].line, cases[i].status, NULL, cases[i].err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompts),   cmocka_unit_test(test_other_tokenizer),
        cmocka_unit_test(test_isa),       cmocka_unit_test(test_tokens_are_the_greatest),
        cmocka_unit_test(test_text),      cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
