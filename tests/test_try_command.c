/* SPDX-License-Identifier: MIT */
/* kgen try: verdicts, the user's templates, the replay. Where a verdict follows from times, one side calls a
 * loop that makes it many times as slow as the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "gguf_fixture.h"

#define SEED UINT64_C(29)

#define HEAD(name) "$template " name " \"A template.\"\n$op swiglu\n$isa generic\n"
#define BODY                                                                                                 \
    "    for (size_t i = begin; i < end; i++) {\n        float e = expf(-fabsf(gate[i]));\n"                 \
    "        y[i] = gate[i] * (gate[i] < 0.0f ? e : 1.0f) / (1.0f + e) * up[i];\n    }\n"
#define FUNCTION "void ${function}(${parameters})\n{\n"
#define SLOW "    for (volatile int k = 0; k < 100000; k++)\n        ;\n"

/* The user's templates: slow ones in the place of those built in. */
static void put_slow(void)
{
    static const char *const names[] = {"swiglu", "swiglu_generic"};
    assert_int_equal(kgen_folder_make("user/c", NULL), 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        struct kgen_text path = {0}, text = {0};
        kgen_text_printf(&path, "user/c/%s.c.in", names[i]);
        kgen_text_printf(&text, "$template %s \"Slow.\"\n$op swiglu\n$isa generic\n%s%s%s}\n", names[i],
                         FUNCTION, SLOW, BODY);
        kgen_test_put_file(path.data, text.data);
        kgen_text_free(&path);
        kgen_text_free(&text);
    }
}

static int set_up(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    static const char *const folders[] = {"broken/c", "invalid/c", "same/c", "other/c",
                                          "fast/c",   "empty",     "mine/c"};
    for (size_t i = 0; i < KGEN_COUNT_OF(folders); i++)
        assert_int_equal(kgen_folder_make(folders[i], NULL), 0);
    kgen_test_put_file("broken/c/mine.c.in", HEAD("mine") FUNCTION BODY
                       "    if (end > begin + 3)\n        y[begin + 3] *= 1.001f;\n}\n");
    kgen_test_put_file("invalid/c/mine.c.in", HEAD("mine") "$if\n");
    kgen_test_put_file("fast/c/swiglu.c.in", HEAD("swiglu") FUNCTION "$include \"quick.inc\"\n}\n");
    kgen_test_put_file("fast/c/quick.inc", BODY);
    kgen_test_put_file("mine/c/mine.c.in", HEAD("mine") FUNCTION "$include \"quick.inc\"\n}\n");
    kgen_test_put_file("mine/c/quick.inc", BODY "    /* another text */\n");
    kgen_test_put_file("swiglu.json", "{\"op\": \"swiglu\", \"size\": 1000}");
    kgen_test_put_file("add.json", "{\"op\": \"add\", \"size\": 1000}");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

/* Runs kgen try with --json, and gives what it printed. */
static json_t *try_json(const char *line, int status)
{
    struct kgen_test_outcome outcome = kgen_test_run(line);
    if (outcome.status != status)
        fail_msg("kgen %s: exit status %d, expected %d\n%s%s", line, outcome.status, status, outcome.out.data,
                 outcome.err.data);
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    assert_non_null(root);
    kgen_test_outcome_free(&outcome);
    return root;
}

static const char *string_of(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    assert_non_null(value);
    return value;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *err;
    } cases[] = {
        {"try broken", "an argument is missing: kgen try DIR SPEC"},
        {"try broken swiglu.json more", "one argument too many: 'more'"},
        {"try nowhere swiglu.json", "cannot read the folder of templates"},
        {"try empty swiglu.json", "empty/c: cannot read the folder of templates"},
        {"try broken nowhere.json", "nowhere.json"},
        {"try broken swiglu.json --replay pack.json",
         "--replay needs a checkpoint, and swiglu.json is a spec"},
        {"try broken swiglu.json --keep --templates same", "--keep and --templates exclude each other"},
        {"try broken swiglu.json --keep", "no folder for the user's templates is known"},
        {"run swiglu.json --keep", "kgen run takes no option --keep"},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        kgen_test_expect(cases[i].line, 2, NULL, cases[i].err);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

/* Verdicts that need no time. */
static void test_reverted(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *spec, *reason, *stage, *result;
    } cases[] = {
        {"broken", "swiglu.json",
         "smoke: mine generic, problem 1: swiglu size=1000: wrong_element: y[3] = ", "smoke", "failed"},
        {"invalid", "swiglu.json", "smoke: invalid/c/mine.c.in:4:", "smoke", "failed"},
        {"same", "swiglu.json", "no template of same differs from those in use", "smoke", "not run"},
        {"broken", "add.json", "no changed template of broken serves a problem of add.json on this machine",
         "smoke", "not run"},
    };
    size_t executed = 0;
    struct kgen_text text = {0}, path = {0};
    kgen_text_printf(&path, "%s/templates/c/swiglu_generic.c.in", kgen_test_source);
    assert_int_equal(kgen_file_read(path.data, 1 << 20, &text, NULL), 0);
    kgen_test_put_file("same/c/swiglu_generic.c.in", text.data);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text line = {0};
        kgen_text_printf(&line, "try %s %s -q", cases[i].folder, cases[i].spec);
        kgen_test_expect(line.data, 5, "verdict: revert\n", NULL);
        kgen_test_expect(line.data, 5, cases[i].reason, NULL);
        kgen_text_puts(&line, " --json");
        json_t *root = try_json(line.data, 5);
        const json_t *stage = json_array_get(json_object_get(root, "stages"), 0);
        assert_string_equal(string_of(root, "verdict"), "revert");
        assert_string_equal(string_of(stage, "stage"), cases[i].stage);
        assert_string_equal(string_of(stage, "result"), cases[i].result);
        assert_string_equal(string_of(json_array_get(json_object_get(root, "stages"), 1), "result"),
                            "not run");
        assert_int_equal(json_array_size(json_object_get(root, "stages")), 5);
        assert_int_equal(json_array_size(json_object_get(root, "kept")), 0);
        json_decref(root);
        kgen_text_free(&line);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
    kgen_text_free(&text);
    kgen_text_free(&path);
}

/* What is kept is in use from then on, and what would change a kernel of the user's is not kept. */
static void test_kept(void **state)
{
    (void)state;
    assert_int_equal(setenv("KGEN_TEMPLATES_DIR", "user", 1), 0);
    put_slow();
    json_t *root = try_json("try fast swiglu.json --json --keep -q", 0);
    assert_string_equal(string_of(root, "verdict"), "keep");
    const json_t *problem = json_array_get(json_object_get(root, "problems"), 0);
    assert_string_equal(string_of(problem, "change"), "swiglu generic");
    assert_string_equal(string_of(json_object_get(problem, "comparison"), "result"), "faster");
    const json_t *kept = json_object_get(root, "kept");
    assert_int_equal(json_array_size(kept), 2);
    assert_string_equal(json_string_value(json_array_get(kept, 0)), "user/c/quick.inc");
    assert_string_equal(json_string_value(json_array_get(kept, 1)), "user/c/swiglu.c.in");
    json_decref(root);
    assert_true(kgen_test_exists("user/c/quick.inc") && kgen_test_exists("user/c/swiglu_generic.c.in"));
    kgen_test_expect("try fast swiglu.json -q", 5, "no template of fast differs from those in use", NULL);
    kgen_test_expect("list templates", 0, "swiglu", NULL);
    kgen_test_expect("run swiglu.json 1 swiglu", 0, "\nright: proven on ", NULL);

    /* The slow one again: the kept one is replaced, and it is reverted. */
    struct kgen_text before = {0}, after = {0};
    assert_int_equal(kgen_file_read("user/c/swiglu.c.in", 1 << 20, &before, NULL), 0);
    kgen_test_put_file("other/c/swiglu.c.in", HEAD("swiglu") FUNCTION SLOW BODY "}\n");
    root = try_json("try other swiglu.json --keep --json -q", 5);
    const json_t *reasons = json_object_get(root, "reasons");
    assert_int_equal(json_array_size(reasons), 2);
    assert_non_null(strstr(json_string_value(json_array_get(reasons, 0)), ", and swiglu is replaced"));
    assert_string_equal(json_string_value(json_array_get(reasons, 1)),
                        "on no problem is it surely faster by 1 %");
    json_decref(root);
    assert_int_equal(kgen_file_read("user/c/swiglu.c.in", 1 << 20, &after, NULL), 0);
    assert_string_equal(before.data, after.data);
    kgen_text_free(&before);
    kgen_text_free(&after);
}

/* A change that is faster on one problem, and slower on another where it takes the place of what is there. */
static void test_exchanged(void **state)
{
    (void)state;
#define SLOW_AT(size)                                                                                        \
    HEAD("swiglu")                                                                                           \
    FUNCTION "    for (volatile int k = 0; k < (${size} == " size " ? 100000 : 0); k++)\n        ;\n" BODY   \
             "}\n"
    assert_int_equal(setenv("KGEN_TEMPLATES_DIR", "user", 1), 0);
    put_slow();
    kgen_test_put_file("user/c/swiglu.c.in", SLOW_AT("2000"));
    kgen_test_put_file("other/c/swiglu.c.in", SLOW_AT("1000"));
    kgen_test_put_file("user/c/swiglu_generic.c.in",
                       HEAD("swiglu_generic") FUNCTION SLOW SLOW SLOW BODY "}\n");
    kgen_test_put_file("two.json", "{\"problems\": [{\"op\": \"swiglu\", \"size\": 1000}, "
                                   "{\"op\": \"swiglu\", \"size\": 2000}]}");
    json_t *root = try_json("try other two.json --json -q", 5);
    const json_t *problems = json_object_get(root, "problems");
    static const char *const results[] = {"slower", "faster"};
    for (size_t i = 0; i < KGEN_COUNT_OF(results); i++) {
        const json_t *problem = json_array_get(problems, i);
        assert_true(json_is_true(json_object_get(problem, "replaced")));
        assert_string_equal(string_of(json_object_get(problem, "comparison"), "result"), results[i]);
    }
    assert_int_equal(json_array_size(problems), 2);
    json_decref(root);
}

/* What is kept must not change what was kept before. */
static void test_not_kept(void **state)
{
    (void)state;
    put_slow();
    kgen_test_put_file("user/c/swiglu.c.in", HEAD("swiglu") FUNCTION SLOW "$include \"quick.inc\"\n}\n");
    kgen_test_put_file("user/c/quick.inc", BODY);
    kgen_test_expect("try mine swiglu.json --keep -q", 2, NULL,
                     "a template of the user's, user/c/swiglu.c.in, would become another kernel");
    assert_true(!kgen_test_exists("user/c/mine.c.in"));
    assert_int_equal(setenv("KGEN_TEMPLATES_DIR", "", 1), 0);
}

enum { TOKENS = 8 };

/* Makes the second answer of a pack another one, of which it was sure. */
static void falsify(const char *from, const char *to)
{
    json_t *root = json_load_file(from, 0, NULL);
    json_t *prompt = json_array_get(json_object_get(root, "prompts"), 1);
    json_t *tokens = json_object_get(prompt, "tokens");
    const json_int_t token = json_integer_value(json_array_get(tokens, 0));
    assert_int_equal(json_array_set_new(tokens, 0, json_integer(token == 5 ? 6 : 5)), 0);
    assert_int_equal(json_array_set_new(json_object_get(prompt, "margins"), 0, json_real(50)), 0);
    assert_int_equal(json_dump_file(root, to, 0), 0);
    json_decref(root);
}

/* A change that is right and faster is kept where the tokens stay, and only there. */
static void test_replay(void **state)
{
    (void)state;
    static const char *const tokens[TOKENS] = {"<|im_start|>", "<|im_end|>", "a", "b", "c", "d", "e", "ab"};
    static const int32_t types[TOKENS] = {3, 3, 1, 1, 1, 1, 1, 1};
    static const char *const merges[] = {"a b"};
    static struct kgen_test_tokenizer tokenizer = {.model = "gpt2",
                                                   .pre = "smollm",
                                                   .tokens = tokens,
                                                   .types = types,
                                                   .count = TOKENS,
                                                   .merges = merges,
                                                   .merge_count = KGEN_COUNT_OF(merges),
                                                   .bos = 0,
                                                   .eos = 1};
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
    kgen_test_write_llama("model.gguf", &shape, SEED, &kgen_test_mixed_types);
    kgen_test_put_file("prompts.txt", "abc\nedc\n");
    kgen_test_expect("replay --record -o pack.json model.gguf -f prompts.txt -n 4 --tune-seconds 0.01 -q", 0,
                     NULL, NULL);
    falsify("pack.json", "false.json");
    assert_int_equal(setenv("KGEN_TEMPLATES_DIR", "user", 1), 0);
    put_slow();
    json_t *root = try_json("try fast model.gguf --replay pack.json --tune-seconds 0.01 --json -q", 0);
    const json_t *replay = json_object_get(root, "replay");
    assert_string_equal(string_of(root, "verdict"), "keep");
    assert_true(json_is_false(json_object_get(replay, "drift")));
    assert_int_equal(json_integer_value(json_object_get(replay, "changed_nodes")), shape.layers);
    assert_true(json_integer_value(json_object_get(replay, "tokens")) > 1);
    json_decref(root);
    kgen_test_expect("try fast model.gguf --replay false.json --tune-seconds 0.01 --keep -q", 5,
                     "  replay: the tokens drift: ", NULL);
    struct kgen_test_llama wider = shape;
    wider.intermediate = 128;
    kgen_test_write_llama("wider.gguf", &wider, SEED, &kgen_test_mixed_types);
    kgen_test_expect("try fast wider.gguf --replay pack.json", 2, NULL, "pack.json: ");
    kgen_test_expect("try fast model.gguf --replay nowhere.json", 2, NULL, "nowhere.json");
    assert_int_equal(setenv("KGEN_TEMPLATES_DIR", "", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused),   cmocka_unit_test(test_reverted),
                                       cmocka_unit_test(test_replay),    cmocka_unit_test(test_kept),
                                       cmocka_unit_test(test_exchanged), cmocka_unit_test(test_not_kept)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
