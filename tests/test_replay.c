/* SPDX-License-Identifier: MIT */
/* kgen replay: packs of a small random model, made, held against it, and damaged. No time is looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "gguf_fixture.h"

#define SEED UINT64_C(91)

enum { TOKENS = 20 };

static const char *const tokens[TOKENS] = {
    "<|im_start|>", "<|im_end|>", "a",   "b", "c",       "d", "e", "f", "g", "h", "i", "r", "s", "t", "u",
    "\304\240",     "ab",         "abc", "n", "\304\212"};
static const int32_t types[TOKENS] = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const char *const merges[] = {"a b", "ab c"};

static struct kgen_test_tokenizer tokenizer = {
    .model = "gpt2",
    .pre = "smollm",
    .tokens = tokens,
    .types = types,
    .count = TOKENS,
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
                                             .vocab = TOKENS,
                                             .context = 64,
                                             .tied = true,
                                             .tokenizer = &tokenizer};

#define RECORD "replay --record -o pack.json model.gguf -f prompts.txt -n 8 --tune-seconds 0.01"

static int setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_write_llama("model.gguf", &shape, SEED, &kgen_test_mixed_types);
    kgen_test_write_llama("moved.gguf", &shape, SEED, &kgen_test_mixed_types);
    kgen_test_write_llama("weights.gguf", &shape, SEED + 1, &kgen_test_mixed_types);
    struct kgen_test_llama other = shape;
    other.intermediate = 128;
    kgen_test_write_llama("wider.gguf", &other, SEED, &kgen_test_mixed_types);
    other = shape;
    other.theta = 20000;
    kgen_test_write_llama("theta.gguf", &other, SEED, &kgen_test_mixed_types);
    kgen_test_put_file("prompts.txt", "abc\n\nus abc\r\n  \nab");
    kgen_test_put_file("prompts.json", "[\"abc\", \"us abc\",\n \"ab\"]\n");
    kgen_test_expect(RECORD, 0, "pack.json: 3 prompts, ", NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

/* ---- packs ---- */

static json_t *load(const char *path)
{
    json_t *root = json_load_file(path, 0, NULL);
    if (root == NULL)
        fail_msg("%s is no JSON", path);
    return root;
}

/* Writes a value as a file, and frees it. */
static void save(json_t *root, const char *path)
{
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
}

static json_t *prompt_at(const json_t *root, size_t index)
{
    return json_array_get(json_object_get(root, "prompts"), index);
}

/* Sets the value of a path such as "prompts.0.tokens.1" to JSON text, or with NULL removes it. */
static void set(json_t *root, const char *path, const char *value)
{
    char words[128];
    snprintf(words, sizeof words, "%s", path);
    json_t *at = root;
    for (char *word = strtok(words, "."), *next; word != NULL; word = next) {
        next = strtok(NULL, ".");
        json_t *to = next == NULL && value != NULL ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
        const size_t index = strtoul(word, NULL, 10);
        if (next != NULL)
            at = json_is_array(at) ? json_array_get(at, index) : json_object_get(at, word);
        else if (to == NULL)
            assert_int_equal(json_object_del(at, word), 0);
        else
            assert_int_equal(
                json_is_array(at) ? json_array_set_new(at, index, to) : json_object_set_new(at, word, to), 0);
        assert_non_null(at);
    }
}

static json_t *replay(const char *arguments, int status)
{
    char line[256];
    snprintf(line, sizeof line, "replay %s --json --tune-seconds 0.01", arguments);
    struct kgen_test_outcome outcome = kgen_test_run(line);
    if (outcome.status != status)
        fail_msg("%s: exit status %d, expected %d\n%s%s", line, outcome.status, status, outcome.out.data,
                 outcome.err.data);
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    assert_non_null(root);
    kgen_test_outcome_free(&outcome);
    return root;
}

static int64_t integer(const json_t *root, const char *key)
{
    assert_true(json_is_integer(json_object_get(root, key)));
    return json_integer_value(json_object_get(root, key));
}

static void assert_string(const json_t *root, const char *key, const char *expected)
{
    assert_string_equal(json_string_value(json_object_get(root, key)), expected);
}

/* ---- tests ---- */

/* A pack has the tokens of kgen generate. */
static void test_pack(void **state)
{
    (void)state;
    static const char *const prompts[] = {"-p abc", NULL, "-p ab"};
    json_t *pack = load("pack.json");
    assert_int_equal(integer(pack, "kgen_pack"), 1);
    assert_int_equal(json_array_size(json_object_get(pack, "prompts")), 3);
    assert_string(json_object_get(pack, "checkpoint"), "container", "GGUF");
    assert_string(json_object_get(pack, "settings"), "activation_dtype", "i24");
    assert_string(prompt_at(pack, 1), "text", "us abc");
    size_t compared = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(prompts); i++) {
        json_t *prompt = prompt_at(pack, i);
        const json_t *ids = json_object_get(prompt, "tokens");
        assert_true(json_array_size(ids) > 0);
        assert_int_equal(json_array_size(json_object_get(prompt, "margins")), json_array_size(ids));
        if (prompts[i] == NULL)
            continue;
        char line[128];
        snprintf(line, sizeof line, "generate model.gguf %s -n 8 --json --tune-seconds 0.01", prompts[i]);
        struct kgen_test_outcome outcome = kgen_test_run(line);
        json_t *root = json_loads(outcome.out.data, 0, NULL);
        assert_true(json_equal(json_object_get(root, "tokens"), ids));
        assert_true(
            json_equal(json_object_get(root, "prompt_tokens"), json_object_get(prompt, "prompt_tokens")));
        json_decref(root);
        kgen_test_outcome_free(&outcome);
        compared++;
    }
    assert_int_equal(compared, 2);
    kgen_test_expect("replay --record -o list.json model.gguf -f prompts.json -n 8 --tune-seconds 0.01", 0,
                     "list.json: 3 prompts", NULL);
    json_t *list = load("list.json");
    for (size_t i = 0; i < 3; i++)
        assert_true(json_equal(json_object_get(prompt_at(list, i), "tokens"),
                               json_object_get(prompt_at(pack, i), "tokens")));
    json_decref(list);
    json_decref(pack);
}

/* The same checkpoint agrees with its pack, wherever it lies and whatever runs it. */
static void test_agreement(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *variants; /* a part of the name of each variant that runs, or NULL */
    } cases[] = {
        {"pack.json model.gguf", NULL},
        {"pack.json moved.gguf", NULL},
        {"pack.json model.gguf --isa generic", "generic"},
        {"pack.json model.gguf --threads 1 --prompt-rows 1 --cache-type f32", NULL},
        {"pack.json model.gguf --activation-dtype f32 --slower-than 1e9", NULL},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        json_t *root = replay(cases[i].arguments, 0);
        const json_t *dispatch = json_object_get(root, "dispatch");
        assert_true(json_is_false(json_object_get(root, "drift")));
        assert_int_equal(json_array_size(json_object_get(root, "prompts")), 3);
        assert_true(json_array_size(dispatch) > 8);
        for (size_t j = 0; j < json_array_size(dispatch); j++) {
            const char *variant = json_string_value(json_object_get(json_array_get(dispatch, j), "variant"));
            assert_non_null(variant);
            assert_true(cases[i].variants == NULL || strstr(variant, cases[i].variants) != NULL);
        }
        json_decref(root);
    }
    kgen_test_expect("replay pack.json model.gguf --tune-seconds 0.01", 0, "on this machine", NULL);
    kgen_test_expect("replay pack.json model.gguf --tune-seconds 0.01", 0, "24 tokens: 0 other ones", NULL);
    kgen_test_expect("replay pack.json model.gguf --tune-seconds 0.01 --threads 1 --cache-type f32", 0,
                     "other settings then: i24 activations, layout tiles16, caches of f16", NULL);
}

static void test_json_fields(void **state)
{
    (void)state;
    static const char of_root[] =
        "pack checkpoint drift prompt_count tokens different_tokens explained_tokens "
        "tolerance same_machine now then prompt_speed_ratio text_speed_ratio time_ratio "
        "slower_than open_seconds too_slow dispatch prompts";
    static const char of_side[] = "kgen machine settings peak_memory_megabytes seconds";
    static const char of_prompt[] =
        "text result same_prompt_tokens prompt_token_count token_count differences "
        "margin_shift now then prompt_speed_ratio text_speed_ratio";
    static const char of_node[] =
        "node count op problem variant origin prompt_variant prompt_origin variant_then "
        "prompt_variant_then";
    json_t *root = replay("pack.json model.gguf", 0);
    const struct {
        const json_t *object;
        const char *keys;
    } cases[] = {{root, of_root},
                 {json_object_get(root, "now"), of_side},
                 {json_object_get(root, "then"), of_side},
                 {prompt_at(root, 0), of_prompt},
                 {json_array_get(json_object_get(root, "dispatch"), 0), of_node}};
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char keys[512];
        size_t count = 0;
        snprintf(keys, sizeof keys, "%s", cases[i].keys);
        for (char *key = strtok(keys, " "); key != NULL; key = strtok(NULL, " "), count++) {
            if (json_object_get(cases[i].object, key) == NULL)
                fail_msg("object %zu has no key %s", i, key);
        }
        assert_int_equal(json_object_size(cases[i].object), count);
    }
    json_decref(root);
}

/* Another token in the pack is drift, and its place is named. */
static void test_drift(void **state)
{
    (void)state;
    json_t *pack = load("pack.json");
    json_t *ids = json_object_get(prompt_at(pack, 1), "tokens");
    const int stored = (int)json_integer_value(json_array_get(ids, 2)), changed = stored == 5 ? 6 : 5;
    json_array_set_new(ids, 2, json_integer(changed));
    set(pack, "prompts.1.margins.2", "3.5");
    save(pack, "changed.json");
    json_t *root = replay("changed.json model.gguf", 1);
    const json_t *prompt = prompt_at(root, 1);
    const json_t *first = json_array_get(json_object_get(prompt, "differences"), 0);
    assert_true(json_is_true(json_object_get(root, "drift")));
    assert_string(prompt_at(root, 0), "result", "same");
    assert_string(prompt, "result", "drift");
    assert_int_equal(integer(first, "position"), 2);
    assert_int_equal(integer(first, "stored_token"), changed);
    assert_int_equal(integer(first, "token"), stored);
    assert_string(first, "judgement", "drift");
    json_decref(root);
    char expected[96];
    snprintf(expected, sizeof expected, "prompt 2, position 2 of the response: token %d '", changed);
    kgen_test_expect("replay changed.json model.gguf --tune-seconds 0.01", 1, expected, NULL);
    kgen_test_expect("replay pack.json weights.gguf --tune-seconds 0.01", 1, ": drift\n", NULL);
    pack = load("pack.json");
    set(pack, "prompts.2.text", "\"us\"");
    save(pack, "changed.json");
    kgen_test_expect("replay changed.json model.gguf --tune-seconds 0.01", 1,
                     "prompt 3: the tokenizer gives other tokens", NULL);
}

/* Cuts a prompt's response off behind its narrowest choice. Returns that position. */
static size_t cut_at_narrowest(json_t *prompt)
{
    json_t *ids = json_object_get(prompt, "tokens"), *margins = json_object_get(prompt, "margins");
    size_t narrowest = 0;
    for (size_t i = 1; i < json_array_size(margins); i++) {
        if (json_number_value(json_array_get(margins, i)) <
            json_number_value(json_array_get(margins, narrowest)))
            narrowest = i;
    }
    while (json_array_size(ids) > narrowest + 1) {
        json_array_remove(ids, narrowest + 1);
        json_array_remove(margins, narrowest + 1);
    }
    return narrowest;
}

/* A difference is explained where the margin then and the lead now are both below the tolerance: every token
 * in turn is the last of a response, with a margin below and above. */
static void test_explained(void **state)
{
    (void)state;
    static const double margins[] = {0.01, 9};
    json_t *pack = load("pack.json"), *list = json_array(), *kept = json_array();
    json_t *prompt = prompt_at(pack, 1);
    const size_t last = cut_at_narrowest(prompt);
    for (size_t i = 0; i < (size_t)TOKENS * KGEN_COUNT_OF(margins); i++) {
        json_t *copy = json_deep_copy(prompt);
        json_array_set_new(json_object_get(copy, "tokens"), last, json_integer((json_int_t)i % TOKENS));
        json_array_set_new(json_object_get(copy, "margins"), last, json_real(margins[i / TOKENS]));
        json_array_append_new(list, copy);
    }
    json_object_set(pack, "prompts", list);
    set(pack, "settings.activation_dtype", "\"i8\""); /* of the greatest tolerance */
    assert_int_equal(json_dump_file(pack, "every.json", 0), 0);
    json_t *root = replay("every.json model.gguf --activation-dtype i24", 1);
    const double tolerance = json_real_value(json_object_get(root, "tolerance"));
    size_t counts[2] = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *each = json_array_get(json_object_get(prompt_at(root, i), "differences"), 0);
        if (each == NULL)
            continue; /* the right token */
        const double lead = json_real_value(json_object_get(each, "lead"));
        const bool explained = lead < tolerance && margins[i / TOKENS] < tolerance;
        assert_int_equal(integer(each, "position"), last);
        assert_string(each, "judgement", explained ? "explained" : "drift");
        counts[explained]++;
        if (explained)
            json_array_append(kept, json_array_get(list, i));
    }
    assert_true(counts[0] >= TOKENS && counts[1] > 0);
    json_decref(root);
    json_object_set(pack, "prompts", kept);
    save(pack, "every.json");
    json_decref(list);
    root = replay("every.json model.gguf --activation-dtype i24", 0);
    assert_int_equal(integer(root, "explained_tokens"), json_array_size(kept));
    assert_string(prompt_at(root, 0), "result", "explained");
    json_decref(kept);
    json_decref(root);
}

/* The coarsest of what rounds, then and now, says what is explained. */
static void test_tolerance(void **state)
{
    (void)state;
    static const struct {
        const char *activations, *caches, *options;
        double expected;
    } cases[] = {
        {"\"i24\"", "\"f32\"", "", 0.001},
        {"\"f32\"", "\"f32\"", "", 0.001},
        {"\"i24\"", "\"f32\"", "--cache-type f16", 0.02},
        {"\"i24\"", "\"bf16\"", "--cache-type f32", 0.1},
        {"\"i16\"", "\"f16\"", "", 0.05},
        {"\"i24\"", "\"q8_0\"", "--cache-type f16", 0.1},
        {"\"i24\"", "\"q4_0\"", "--cache-type f16", 1},
        {"\"i24\"", "\"f16\"", "--activation-dtype i8", 0.5},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char line[160];
        json_t *pack = load("pack.json");
        set(pack, "settings.activation_dtype", cases[i].activations);
        set(pack, "settings.cache_dtype", cases[i].caches);
        save(pack, "changed.json");
        snprintf(line, sizeof line, "replay changed.json model.gguf --json --tune-seconds 0.01 %s",
                 cases[i].options);
        struct kgen_test_outcome outcome = kgen_test_run(line); /* with drift or without */
        json_t *root = json_loads(outcome.out.data, 0, NULL);
        if (json_real_value(json_object_get(root, "tolerance")) != cases[i].expected)
            fail_msg("case %zu: %s%s", i, outcome.out.data, outcome.err.data);
        json_decref(root);
        kgen_test_outcome_free(&outcome);
    }
}

static void test_bad_packs(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value, *err;
    } cases[] = {
        {"kgen_pack", NULL, "this is no pack: the key \"kgen_pack\" is missing"},
        {"kgen_pack", "2", "\"kgen_pack\" must be a whole number from 1 to 1"},
        {"kgen", "3", "\"kgen\" must be a string"},
        {"machine", "{}", "\"machine\" must be a machine"},
        {"checkpoint", NULL, "\"checkpoint\" must be there"},
        {"checkpoint.container", "\"safetensors\"", "\"checkpoint.container\" is \"safetensors\""},
        {"checkpoint.files", "2", "\"checkpoint.files\" is 2"},
        {"checkpoint.bytes", "12", "\"checkpoint.bytes\" is 12"},
        {"checkpoint.hash", "\"0\"", "another checkpoint: \"checkpoint.hash\" is 0"},
        {"settings.activation_dtype", "\"i7\"", "\"settings.activation_dtype\" must be"},
        {"settings.layout", "7", "\"settings.layout\" must be"},
        {"settings.cache_dtype", "\"i8\"", "\"settings.cache_dtype\" must be"},
        {"settings.context", "3", "\"prompts[0].tokens\" must be no more"},
        {"settings.prompt_rows", "0", "\"settings.prompt_rows\" must be a whole number from 1 to 4096"},
        {"settings.threads", "1.5", "\"settings.threads\" must be a whole number"},
        {"settings.chat", "1", "\"settings.chat\" must be true or false"},
        {"dispatch", "{}", "\"dispatch\" must be a list"},
        {"prompts", "[]", "\"prompts\" must be a list that is not empty"},
        {"prompts.1", "4", "\"prompts[1].text\" must be there"},
        {"prompts.1.text", "null", "\"prompts[1].text\" must be a string"},
        {"prompts.1.prompt_tokens", "[]", "\"prompts[1].prompt_tokens\" must be a list"},
        {"prompts.0.prompt_tokens.0", "-1", "\"prompts[0].prompt_tokens[0]\" must be"},
        {"prompts.0.prompt_tokens.0", "99", "\"prompts[0].prompt_tokens[0]\" is 99, and the model knows 20"},
        {"prompts.2.tokens.1", "20", "\"prompts[2].tokens[1]\" is 20, and the model knows 20"},
        {"prompts.2.tokens.1", "\"a\"", "\"prompts[2].tokens[1]\" must be a whole number"},
        {"prompts.2.margins", "[1]", "\"prompts[2].margins\" must be a list of as many numbers"},
        {"prompts.2.margins.1", "-0.5", "\"prompts[2].margins[1]\" must be a number that is not negative"},
        {"prompts.2.ended", NULL, "\"prompts[2].ended\" must be there"},
        {"prompts.2.text_seconds", "null", "\"prompts[2].text_seconds\" must be a number"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        json_t *pack = load("pack.json");
        set(pack, cases[i].path, cases[i].value);
        save(pack, "bad.json");
        kgen_test_expect("replay bad.json model.gguf --tune-seconds 0.01", 2, NULL, cases[i].err);
        kgen_test_expect("replay bad.json model.gguf --tune-seconds 0.01", 2, NULL, "error: bad.json");
    }
}

static void test_bad_input(void **state)
{
    (void)state;
    static const struct {
        const char *line, *err;
    } cases[] = {
        {"replay", "an argument is missing"},
        {"replay pack.json", "an argument is missing: the pack or the checkpoint"},
        {"replay pack.json model.gguf more", "one argument too many: 'more'"},
        {"replay pack.json model.gguf -f prompts.txt", "-f changes nothing without --record"},
        {"replay pack.json model.gguf --slower-than 0", "--slower-than cannot be '0'"},
        {"replay none.json model.gguf", "none.json"},
        {"replay cut.json model.gguf", "cut.json:1:"},
        {"replay list.txt model.gguf", "this is no pack"},
        {"replay pack.json none.gguf", "none.gguf"},
        {"replay pack.json wider.gguf", "the pack is of another checkpoint: \"checkpoint.bytes\""},
        {"replay pack.json theta.gguf", "the pack is of another checkpoint: \"checkpoint.hash\""},
        {"replay --record model.gguf -f prompts.txt", "--record needs -o PACK.json"},
        {"replay --record -o new.json model.gguf", "--record needs -f PROMPTS"},
        {"replay --record -o new.json pack.json model.gguf -f prompts.txt", "one argument too many"},
        {"replay --record -o new.json model.gguf -f prompts.txt --slower-than 2", "exclude each other"},
        {"replay --record -o nowhere/new.json none.gguf -f prompts.txt", "nowhere/new.json"},
        {"replay --record -o new.json model.gguf -f blank.txt", "there is no prompt in this file"},
        {"replay --record -o new.json model.gguf -f bad.txt", "bad.txt:2: a prompt must be UTF-8"},
        {"replay --record -o new.json model.gguf -f cut-list.txt", "cut-list.txt:1:"},
        {"replay --record -o new.json model.gguf -f list.txt", "element 1 of the list must be a string"},
        {"replay --record -o new.json model.gguf -f none.txt", "none.txt"},
        {"replay --record -o new.json model.gguf -f prompts.txt --context 1 --tune-seconds 0.01",
         "prompt 2 has 4 tokens, and the caches have room for 1 positions"},
        {"replay --record -o prompts.txt model.gguf -f prompts.txt", "the file is there, and is no pack"},
        {"bench model.gguf --record", "takes no option --record"},
    };
    kgen_test_put_file("cut.json", "{\"kgen_pack\": 1, ");
    kgen_test_put_file("blank.txt", " \n\n");
    kgen_test_put_file("bad.txt", "abc\n\xff\n");
    kgen_test_put_file("cut-list.txt", "[\"abc\"");
    kgen_test_put_file("list.txt", "[\"abc\", 1]");
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        kgen_test_expect(cases[i].line, 2, NULL, cases[i].err);
    assert_false(kgen_test_exists("new.json"));
}

/* What is there is replaced where it is a pack, or with --force. */
static void test_output(void **state)
{
    (void)state;
    static const char line[] =
        "replay --record -o out.txt model.gguf -f prompts.txt -n 2 --tune-seconds 0.01";
    char forced[128];
    snprintf(forced, sizeof forced, "%s --force", line);
    kgen_test_put_file("out.txt", "mine");
    kgen_test_expect(line, 2, NULL, "--force replaces this one");
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_file_read("out.txt", 100, &text, &error), 0);
    assert_string_equal(text.data, "mine");
    kgen_text_free(&text);
    kgen_test_expect(forced, 0, "out.txt: 3 prompts, 6 tokens", NULL);
    kgen_test_expect(line, 0, "out.txt: 3 prompts, 6 tokens", NULL);
    kgen_test_expect("replay --record -o chat.json model.gguf -f prompts.txt -n 2 --chat --tune-seconds 0.01",
                     0, NULL, NULL);
    kgen_test_expect("replay chat.json model.gguf --tune-seconds 0.01", 0, "no drift", NULL);
}

/* The time is a reason to fail where it is asked for only. */
static void test_slower_than(void **state)
{
    (void)state;
    json_t *root = replay("pack.json model.gguf --slower-than 1e-9", 1);
    assert_true(json_is_true(json_object_get(root, "too_slow")));
    assert_true(json_is_false(json_object_get(root, "drift")));
    json_decref(root);
    kgen_test_expect("replay pack.json model.gguf --slower-than 1e-9 --tune-seconds 0.01", 1,
                     "more than --slower-than 1e-09", NULL);
}

/* Another machine is named. */
static void test_other_machine(void **state)
{
    (void)state;
    json_t *pack = load("pack.json");
    set(pack, "machine.identity", "\"0123456789abcdef\"");
    set(pack, "machine.name", "\"Another processor\"");
    save(pack, "changed.json");
    kgen_test_expect("replay changed.json model.gguf --tune-seconds 0.01", 0,
                     "on another machine, Another processor (0123456789abcdef)", NULL);
}

/* Waits until the model is open: kgen then says on stderr what was tuned. */
static void wait_for_note(const char *path)
{
    for (int i = 0; i < 3000; i++) {
        struct kgen_text text = {0};
        struct kgen_error error = {0};
        const bool found = kgen_file_read(path, 1 << 20, &text, &error) == 0 && text.length > 0 &&
                           strstr(text.data, "kgen: ") != NULL;
        kgen_text_free(&text);
        if (found)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("%s stays empty", path);
}

static void interrupt(const char *line)
{
    const pid_t child = kgen_test_start(line, "interrupted");
    wait_for_note("interrupted.err");
    assert_int_equal(kill(-child, SIGINT), 0);
    struct kgen_test_outcome outcome = kgen_test_finish(child, "interrupted");
    if (outcome.status != 130)
        fail_msg("%s: exit status %d: %s", line, outcome.status, outcome.err.data);
    kgen_test_outcome_free(&outcome);
}

/* After Ctrl-C there is no file, also no temporary one. */
static void test_interrupted(void **state)
{
    (void)state;
    enum { PROMPTS = 40000 };
    struct kgen_text lines = {0};
    for (int i = 0; i < PROMPTS; i++)
        kgen_text_puts(&lines, "abc us a\n");
    kgen_test_put_file("many.txt", lines.data);
    kgen_text_free(&lines);
    interrupt("replay --record -o many.json model.gguf -f many.txt --tune-seconds 0.01 --cache cache-a");
    DIR *folder = opendir(".");
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strncmp(entry->d_name, "many.json", 9) == 0 || strstr(entry->d_name, ".tmp") != NULL)
            fail_msg("%s was left behind", entry->d_name);
    }
    closedir(folder);
    json_t *pack = load("pack.json"), *list = json_array();
    for (int i = 0; i < PROMPTS; i++)
        json_array_append(list, prompt_at(pack, 0));
    json_object_set_new(pack, "prompts", list);
    save(pack, "many-prompts.json");
    interrupt("replay many-prompts.json model.gguf --json --tune-seconds 0.01 --cache cache-b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),          cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_json_fields),   cmocka_unit_test(test_drift),
        cmocka_unit_test(test_explained),     cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_bad_packs),     cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_output),        cmocka_unit_test(test_slower_than),
        cmocka_unit_test(test_other_machine), cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
