/* SPDX-License-Identifier: MIT */
/* The kgen command as its users call it (command_fixture.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command_fixture.h"
#include "gen/base/file.h"

#define ADD_PROBLEM "{\"op\": \"add\", \"size\": 100}"
#define PROBLEMS(list) "{\"problems\": [" list "]}\n"
#define QMV(rest) PROBLEMS("{\"op\": \"qmv\", \"N\": 8, \"K\": 128" rest "}")

static const struct {
    const char *path, *text;
} files[] = {
    {"good.json", "{\"name\": \"good\", \"problems\": [" ADD_PROBLEM
                  ", {\"op\": \"rms_norm\", \"size\": 33, \"tensors\": \"layers.*.a_norm\"}]}\n"},
    {"list", PROBLEMS(ADD_PROBLEM)},
    {"relu.json",
     "{\"architectures\": [\"MistralForCausalLM\"], \"hidden_size\": 64, \"intermediate_size\": 64, "
     "\"vocab_size\": 64, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
     "\"hidden_act\": \"relu\", \"max_position_embeddings\": 64, "
     "\"quantization\": {\"bits\": 4, \"group_size\": 32}}\n"},
    {"malformed.json", "{\n  \"problems\": [\n    {\"op\": }\n  ]\n}\n"},
    {"matrix.json", QMV(", \"bits\": 4, \"group_size\": 64")},
    {"empty.json", ""},
    {"missing.json", PROBLEMS("{\"op\": \"qmv\", \"N\": 8}")},
    {"attention.json",
     PROBLEMS("{\"op\": \"attention_decode\", \"heads\": 4, \"kv_heads\": 2, \"head_dim\": 64}")},
    {"unknown_key.json", QMV(", \"bits\": 4, \"group_sise\": 64")},
    {"unknown_op.json", PROBLEMS("{\"op\": \"qmw\", \"N\": 8}")},
    {"multiple.json", PROBLEMS("{\"op\": \"qmv\", \"N\": 8, \"K\": 100, \"bits\": 4, \"group_size\": 64}")},
    {"bits7.json", QMV(", \"bits\": 7, \"group_size\": 64")},
    {"group48.json", QMV(", \"bits\": 4, \"group_size\": 48")},
    {"zero.json", PROBLEMS("{\"op\": \"add\", \"size\": 0}")},
    {"negative.json", PROBLEMS("{\"op\": \"add\", \"size\": -4}")},
    {"fractional.json", PROBLEMS("{\"op\": \"add\", \"size\": 4.5}")},
    {"overflow.json", PROBLEMS("{\"op\": \"add\", \"size\": 99999999999999999999}")},
    {"huge.json", PROBLEMS("{\"op\": \"add\", \"size\": 4294967296}")},
};

/* A command line, its exit status, and a part of what it prints. NULL: nothing at all. */
static const struct {
    const char *line;
    int status;
    const char *out, *err;
} cases[] = {
    {"--help", 0, "usage:", NULL},
    {"-h", 0, "--effort", NULL},
    {"--version", 0, "kgen 0.", NULL},
    {"list --help", 0, "usage: kgen list", NULL},
    {"explain --help", 0, "usage: kgen explain SPEC", NULL},
    {"cache --help", 0, "path|list|clear", NULL},
    {"machine --help", 0, "usage: kgen machine", NULL},
    {"", 2, NULL, "an argument is missing"},
    {"--frobnicate", 2, NULL, "there is no option '--frobnicate'"},
    {"good.json --frobnicate", 2, NULL, "  hint: kgen --help"},
    {"-x good.json", 2, NULL, "there is no option '-x'"},
    {"good.json more.json", 2, NULL, "one argument too many: 'more.json'"},
    {"good.json --bits", 2, NULL, "needs a value"},
    {"good.json --json=yes", 2, NULL, "takes no value"},
    {"good.json --bits 7", 2, NULL, "--bits cannot be '7'"},
    {"good.json --bits x", 2, NULL, "1, 2, 3, 4, 5, 6, 8, 16 or 32"},
    {"good.json --group-size 48", 2, NULL, "16, 32, 64 or 128"},
    {"good.json --context 0", 2, NULL, "--context cannot be '0'"},
    {"good.json --context 1048577", 2, NULL, "an integer from 1 to 1048576"},
    {"attention.json -n", 2, NULL, "attention_decode needs \"context\""},
    {"attention.json --context 64 -n", 0, "context=64", ""},
    {"good.json --isa avx1024", 2, NULL, "--isa cannot be 'avx1024'"},
    {"good.json --engine llvm", 2, NULL, "tcc or cc"},
    {"good.json --effort heroic", 2, NULL, "estimate, measure, patient or exhaustive"},
    {"good.json --target cuda", 2, NULL, "the targets are: c"},
    {"good.json --time-limit 0", 2, NULL, "--time-limit cannot be '0'"},
    {"good.json --time-limit nan", 2, NULL, "--time-limit cannot be 'nan'"},
    {"good.json --threads 0", 2, NULL, "--threads cannot be '0'"},
    {"good.json --threads 99999999999999999999", 2, NULL, "a whole number"},
    {"good.json --activation-dtype f32,f32", 2, NULL, "each precision once"},
    {"good.json --activation-dtype f32,", 2, NULL, "--activation-dtype cannot be ''"},
    {"good.json --activation-dtype f32,i8,i4", 2, NULL, "\"f32\", \"i24\", \"i16\" or \"i8\""},
    {"good.json --activation-dtype f32,i8,i16,f32", 2, NULL, "each precision once"},
    {"good.json --activation-dtype f32i16i8f32i16i8", 2, NULL, "--activation-dtype cannot be"},
    {"good.json --activations f16", 2, NULL, "--activation-dtype cannot be 'f16'"},
    {"good.json --output-activation-dtype i4", 2, NULL, "--output-activation-dtype cannot be 'i4'"},
    {"good.json --layout tiles", 2, NULL, "\"stored\" or \"tiles16\""},
    {"good.json --scale-dtype i8", 2, NULL, "\"f16\", \"bf16\" or \"f32\""},
    {"good.json --scales i8", 2, NULL, "--scale-dtype cannot be 'i8'"},
    {"good.json --scale f32 -n", 0, "2 problems", ""},
    {"matrix.json --activations f32,i8 --scales bf16 -n", 0, "bf16 i8", ""},
    {"matrix.json --activation-dtype f32,i8 --scale-dtype bf16 -n", 0, "bf16 i8", ""},
    {"--help", 0, "--scale-dtype NAME", NULL},
    {"good.json -o ''", 2, NULL, "must not be empty"},
    {"good.json --cache there --no-cache", 2, NULL, "exclude each other"},
    {"good.json -q -v", 2, NULL, "exclude each other"},
    {"list --effort measure", 2, NULL, "kgen list takes no option --effort"},
    {"list nothing", 2, NULL, "there is no list of 'nothing'"},
    {"cache", 2, NULL, "an argument is missing"},
    {"cache burn", 2, NULL, "kgen cache cannot 'burn'"},
    {"machine good.json", 2, NULL, "one argument too many"},
    {"explain", 2, NULL, "an argument is missing: kgen explain"},
    {"explain good.json", 2, NULL, "hint: run kgen good.json first"},
    {"explain good.json 77", 2, NULL, "no problem of good.json is called '77'"},
    {"exlain good.json", 2, NULL,
     "'exlain' is neither a command nor a file\n  hint: did you mean 'explain'?"},
    {"Cache", 2, NULL, "did you mean 'cache'?"},
    {"frobnicate good.json", 2, NULL, "hint: kgen --help lists the commands"},
    {"explain good.json --bits 4 --cache it's", 2, NULL,
     "run kgen good.json --bits 4 --cache 'it'\\''s' first"},
    {"explain good.json 77 --bits 4 --json", 2, NULL, "kgen good.json --bits 4 --dry-run lists them"},
    {"nowhere.json", 2, NULL, "nowhere.json: cannot open the file"},
    {"swiglu", 2, NULL, "'swiglu' is neither a command nor a file\n  hint: swiglu is an op"},
    {"run swiglu", 2, NULL, "a problem of it is: kgen run '{\"op\":\"swiglu\",\"size\":64}'"},
    {"god.jsn", 2, NULL,
     "god.jsn: cannot open the file: No such file or directory\n  hint: did you mean 'good.json'?"},
    {"explain ./good.jsn", 2, NULL, "hint: did you mean './good.json'?"},
    {"inspect good.jsn", 2, NULL, "hint: did you mean 'good.json'?"},
    {"generate good.jsn -p a", 2, NULL, "hint: did you mean 'good.json'?"},
    {"good", 2, NULL, "'good' is neither a command nor a file\n  hint: did you mean 'good.json'?"},
    {"good.json --btis 4", 2, NULL, "there is no option '--btis'\n  hint: did you mean '--bits'?"},
    {"list --marcdown=3", 2, NULL, "hint: did you mean '--markdown'?"},
    {"list --isaa avx2", 2, NULL, "hint: kgen --help lists the options"},
    {"unclosed", 2, NULL, "folder without a config.json\n  hint: did you mean 'unclosed.json'?"},
    {"quite-another", 2, NULL, "neither a command nor a file\n  hint: kgen --help lists the commands"},
    {"malformed.json", 2, NULL, "malformed.json:3:"},
    {"empty.json", 2, NULL, "kgen: error: empty.json"},
    {"missing.json", 2, NULL, "K"},
    {"unknown_key.json", 2, NULL, "group_size"},
    {"unknown_op.json", 2, NULL, "qmv"},
    {"multiple.json", 2, NULL, "multiple of"},
    {"bits7.json", 2, NULL, "bits"},
    {"group48.json", 2, NULL, "group_size"},
    {"zero.json", 2, NULL, "size"},
    {"negative.json", 2, NULL, "size"},
    {"fractional.json", 2, NULL, "size"},
    {"overflow.json", 2, NULL, "overflow.json:1:"},
    {"huge.json", 2, NULL, "size"},
    {".", 2, NULL, "this is a folder without a config.json"},
    {"good.json --templates nowhere", 2, NULL, "nowhere"},
    {"good.json --templates unclosed", 2, NULL, "broken.c.in:"},
    {"good.json -o /dev/null/x", 2, NULL, "/dev/null"},
    {"good.json -o good.json", 2, NULL, "-o names another folder"},
    {"good.json --isa neon", 3, NULL, "this machine cannot run neon"},
    {"good.json --dry-run", 0, "2 problems", ""},
    {"./list -n", 0, "1 problem, ", ""},
    {"list", 0, "TEMPLATES", NULL},
    {"list ops", 0, "rms_norm", NULL},
    {"list templates", 0, "op qmv and gather_qmv; for", NULL},
    {"cache path", 0, "cache-here", NULL},
    {"cache path --cache elsewhere", 0, "elsewhere", NULL},
    {"cache list", 0, "0 records", NULL},
};

static void assert_holds(const char *line, const char *name, const struct kgen_text *text, const char *part)
{
    const bool right = part == NULL ? text->length == 0 : strstr(text->data, part) != NULL;
    if (!right)
        fail_msg("kgen %s: %s should hold '%s', and is:\n%s", line, name, part != NULL ? part : "nothing",
                 text->data);
}

static void test_command_lines(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
#if defined(__aarch64__)
        if (strstr(cases[i].line, "neon") != NULL)
            continue;
#endif
        struct kgen_test_outcome outcome = kgen_test_run(cases[i].line);
        if (outcome.status != cases[i].status)
            fail_msg("kgen %s: exit status %d, expected %d\n%s", cases[i].line, outcome.status,
                     cases[i].status, outcome.err.data);
        assert_holds(cases[i].line, "stdout", &outcome.out, cases[i].out);
        assert_holds(cases[i].line, "stderr", &outcome.err, cases[i].err);
        if (outcome.status != 0 && strncmp(outcome.err.data, "kgen: ", 6) != 0)
            fail_msg("kgen %s: says:\n%s", cases[i].line, outcome.err.data);
        kgen_test_outcome_free(&outcome);
        assert_false(kgen_test_exists("out"));
        executed++;
    }
    assert_true(executed > 60);
}

static void test_json_parses(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "list --json",
        "list ops --json",
        "list templates --json",
        "cache path --json",
        "cache list --json",
        "good.json --dry-run --json",
        "good.json --no-cache --effort estimate --json -q -o json",
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(lines); i++) {
        struct kgen_test_outcome outcome = kgen_test_run(lines[i]);
        json_error_t error;
        json_t *root = json_loads(outcome.out.data, JSON_REJECT_DUPLICATES, &error);
        if (root == NULL)
            fail_msg("kgen %s: %s at line %d of:\n%s", lines[i], error.text, error.line, outcome.out.data);
        assert_int_equal(outcome.status, 0);
        json_decref(root);
        kgen_test_outcome_free(&outcome);
    }
    assert_true(kgen_test_exists("json"));
}

static struct kgen_text files_of(const char *path)
{
    struct kgen_text text = {0};
    char command[512], block[4096];
    snprintf(command, sizeof command, "cd %s && find . -type f | sort | xargs cat", path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length;
    while ((length = fread(block, 1, sizeof block, pipe)) > 0)
        kgen_text_append(&text, block, length);
    assert_int_equal(pclose(pipe), 0);
    return text;
}

/* The second run compiles nothing and writes the same; explain and the cache know of the first. */
static void test_second_run(void **state)
{
    (void)state;
    struct kgen_test_outcome first = kgen_test_run("good.json --cache kept -o first");
    if (first.status != 0)
        fail_msg("kgen good.json: exit status %d\n%s", first.status, first.err.data);
    assert_non_null(strstr(first.out.data, "written to first/"));
    struct kgen_test_outcome second = kgen_test_run("good.json --cache kept -o second/ --json --no-retune");
    assert_int_equal(second.status, 0);
    json_t *root = json_loads(second.out.data, 0, NULL);
    const json_t *counts = json_object_get(root, "candidates");
    assert_int_equal(json_integer_value(json_object_get(counts, "compiled")), 0);
    assert_true(json_integer_value(json_object_get(counts, "proven")) > 0);
    assert_string_equal(json_string_value(json_object_get(root, "status")), "done");
    assert_string_equal(json_string_value(json_object_get(root, "folder")), "second");
    json_decref(root);
    struct kgen_text texts[] = {files_of("first"), files_of("second")};
    assert_true(texts[0].length > 1000);
    assert_int_equal(texts[0].length, texts[1].length);
    assert_memory_equal(texts[0].data, texts[1].data, texts[0].length);
    assert_null(strstr(texts[0].data, kgen_test_folder)); /* no path of this machine */
    kgen_text_free(&texts[0]);
    kgen_text_free(&texts[1]);
    kgen_test_outcome_free(&first);
    kgen_test_outcome_free(&second);

    static const struct {
        const char *line, *out;
    } after[] = {
        {"explain good.json --cache kept", "chosen: "},
        {"explain good.json add --cache kept", "1. add size=100\n   1 thread, "},
        {"explain good.json model.layers.1.a_norm.weight --cache kept",
         "2. rms_norm size=33\n   layers.*.a_norm; 1 thread, "},
        {"explain good.json 2 --cache kept", "2. rms_norm"},
        {"explain good.json --cache kept --json", "\"reason\""},
        {"cache list --cache kept", "2 winners"},
        {"cache list --cache kept --json", "\"chosen\": true"},
        {"cache clear --cache kept", "records removed"},
        {"cache list --cache kept", "0 records"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(after); i++) {
        struct kgen_test_outcome outcome = kgen_test_run(after[i].line);
        assert_int_equal(outcome.status, 0);
        assert_holds(after[i].line, "stdout", &outcome.out, after[i].out);
        kgen_test_outcome_free(&outcome);
    }
}

/* A cache of garbage is a warning; a cache that cannot be is one too; the run works all the same. */
static void test_odd_caches(void **state)
{
    (void)state;
    assert_int_equal(mkdir("garbage", 0777), 0);
    kgen_test_put_file("garbage/records.jsonl", "\x01\x02garbage\n}{\n\n[]\n\xff\xfe\n");
    static const struct {
        const char *line, *err;
    } runs[] = {
        {"good.json --effort estimate --cache garbage -o odd", "garbage/records.jsonl:1: 4 damaged lines"},
        {"good.json --effort estimate --cache /dev/null/x -o odd", "nothing new will be remembered"},
        {"good.json --effort estimate --cache good.json -o odd", "nothing new will be remembered"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(runs); i++) {
        struct kgen_test_outcome outcome = kgen_test_run(runs[i].line);
        if (outcome.status != 0)
            fail_msg("kgen %s: exit status %d\n%s", runs[i].line, outcome.status, outcome.err.data);
        assert_non_null(strstr(outcome.err.data, "kgen: warning: "));
        assert_holds(runs[i].line, "stderr", &outcome.err, runs[i].err);
        kgen_test_outcome_free(&outcome);
    }
    struct kgen_text spec = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_file_read("good.json", 4096, &spec, &error), 0);
    assert_string_equal(spec.data, files[0].text);
    kgen_text_free(&spec);
}

static void test_unwritable_stdout(void **state)
{
    (void)state;
    if (!kgen_test_exists("/dev/full")) {
        printf("skipped: there is no /dev/full\n");
        skip();
    }
    char command[PATH_MAX + 64];
    snprintf(command, sizeof command, "%s list > /dev/full 2> stderr.txt", kgen_test_binary);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

/* Waits until a file holds a text; gives up after half a minute. */
static void wait_for(const char *path, const char *part)
{
    for (int i = 0; i < 1000; i++) {
        struct kgen_text text = {0};
        const bool found = kgen_file_read(path, 1 << 26, &text, NULL) == 0 && strstr(text.data, part) != NULL;
        kgen_text_free(&text);
        if (found)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    }
}

/* Ctrl-C ends a run in good order: 130, nothing written, what was learned kept. */
static void test_interrupt(void **state)
{
    (void)state;
    struct kgen_text spec = {0};
    for (int n = 0; n < 16; n++)
        kgen_text_printf(
            &spec,
            "%s{\"op\": \"rms_norm\", \"size\": %d}, {\"op\": \"dequantize\", \"N\": %d, \"K\": 8192, "
            "\"bits\": 4, \"group_size\": 64}",
            n > 0 ? "," : "{\"problems\": [", 4096 + n, 8192 + n);
    kgen_text_puts(&spec, "]}");
    kgen_test_put_file("long.json", spec.data);
    kgen_text_free(&spec);
    const pid_t child = kgen_test_start("long.json --effort exhaustive --cache interrupted -o never", "std");
    wait_for("interrupted/records.jsonl", "\"verdict\"");
    assert_int_equal(kill(-child, SIGINT), 0); /* the whole group, as a terminal does */
    struct kgen_test_outcome outcome = kgen_test_finish(child, "std");
    if (outcome.status == 0) {
        kgen_test_outcome_free(&outcome);
        printf("skipped: tuning ended before it was interrupted\n");
        skip();
    }
    assert_int_equal(outcome.status, 130);
    assert_non_null(strstr(outcome.err.data, "interrupted"));
    assert_null(strstr(outcome.out.data, "written to"));
    kgen_test_outcome_free(&outcome);
    assert_false(kgen_test_exists("never/sources.mk"));
    outcome = kgen_test_run("cache list --cache interrupted --json");
    assert_int_equal(outcome.status, 0);
    assert_non_null(strstr(outcome.out.data, "\"verdict\""));
    assert_null(strstr(outcome.out.data, "\"crashed\"")); /* the signal is not blamed on a candidate */
    kgen_test_outcome_free(&outcome);
}

static int group_setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0 || mkdir("unclosed", 0777) != 0 || mkdir("unclosed/c", 0777) != 0)
        return -1;
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++)
        kgen_test_put_file(files[i].path, files[i].text);
    kgen_test_put_file("unclosed.json", "{}\n");
    kgen_test_put_file("unclosed/c/broken.c.in",
                       "$template broken \"never ends\"\n$op add\n$isa generic\n$if 1\ntext\n");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

/* A template folder whose only kernel is wrong: however it is called, the run has failed. */
static void test_nothing_passes(void **state)
{
    (void)state;
    static const struct {
        const char *line, *err;
    } runs[] = {
        {"./list --templates wrong --effort estimate --cache wrong-cache -o wrong-out",
         "hint: kgen explain ./list 1 --templates wrong --cache wrong-cache shows"},
        {"tune list --templates wrong --cache wrong-cache", "no candidate of add size=100 passed"},
        {"tune list --templates wrong --cache wrong-cache --shard 1/1",
         "no candidate of add size=100 passed"},
        {"./list --templates wrong --cache wrong-cache --json -o wrong-out", "nothing written"},
    };
    assert_int_equal(mkdir("wrong", 0777), 0);
    assert_int_equal(mkdir("wrong/c", 0777), 0);
    char command[PATH_MAX + 128];
    snprintf(command, sizeof command,
             "cd %s/templates/c && cp *.h.in *.inc read_bandwidth.c.in \"$OLDPWD/wrong/c\"",
             kgen_test_source);
    assert_int_equal(system(command), 0);
    kgen_test_put_file(
        "wrong/c/minus.c.in",
        "$template minus \"y = a - b\"\n$op add\n$isa generic\nvoid ${function}(${parameters})\n{\n"
        "    for (size_t i = begin; i < end; i++)\n        y[i] = a[i] - b[i];\n}\n");
    for (size_t i = 0; i < KGEN_COUNT_OF(runs); i++)
        kgen_test_expect(runs[i].line, 1, NULL, runs[i].err);
    assert_false(kgen_test_exists("wrong-out/add.c"));
}

/* What takes time is said before it ends, also where stderr is no terminal; -q says nothing. */
static void test_piped_progress(void **state)
{
    (void)state;
    struct kgen_test_outcome loud = kgen_test_run("good.json --effort estimate --cache piped -o piped-out");
    assert_int_equal(loud.status, 0);
    assert_holds("good.json", "stderr", &loud.err, "kgen: measuring the read bandwidth\n");
    assert_holds("good.json", "stderr", &loud.err, "kgen: [1/2] add size=100: up to ");
    assert_holds("good.json", "stderr", &loud.err, "kgen: proving what is written");
    kgen_test_outcome_free(&loud);
    struct kgen_test_outcome again =
        kgen_test_run("good.json --effort estimate --cache piped -o piped-out --no-retune");
    assert_string_equal(again.err.data, ""); /* nothing takes time */
    kgen_test_outcome_free(&again);
    struct kgen_test_outcome quiet =
        kgen_test_run("good.json --effort estimate --cache quiet -o piped-out -q");
    assert_string_equal(quiet.err.data, "");
    kgen_test_outcome_free(&quiet);
}

/* A spec from a pipe, and one in a folder. */
static void test_specs_from_elsewhere(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "%s - -n <good.json >piped.txt",
        "%s graph - <good.json >piped.txt",
        "mkdir m && cp good.json m/config.json && %s m -n >piped.txt",
        "%s - --effort estimate -q <list >piped.txt && grep -q 'kgen - --effort' out/stdin/add.h",
        "%s m/ --effort estimate -q >piped.txt && grep -q 'kgen m --effort' out/good/add.h && rm -r out",
        "! %s - -n </dev/null 2>piped.txt && grep -q 'stdin:1:1: the spec is empty' piped.txt",
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(commands); i++) {
        char command[PATH_MAX + 256];
        snprintf(command, sizeof command, commands[i], kgen_test_binary);
        if (system(command) != 0)
            fail_msg("failed: %s", command);
    }
}

/* Warnings are part of the result as data. */
static void test_json_carries_warnings(void **state)
{
    (void)state;
    static const char *const lines[] = {"relu.json -n --json -q",
                                        "relu.json --json -q --effort estimate --no-cache -o relu-out"};
    for (size_t i = 0; i < KGEN_COUNT_OF(lines); i++) {
        struct kgen_test_outcome outcome = kgen_test_run(lines[i]);
        json_t *root = json_loads(outcome.out.data, 0, NULL);
        const json_t *warnings = json_object_get(root, "warnings");
        if (json_array_size(warnings) == 0)
            fail_msg("kgen %s: no warnings in:\n%s%s", lines[i], outcome.out.data, outcome.err.data);
        assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)), "relu"));
        json_decref(root);
        kgen_test_outcome_free(&outcome);
    }
}

/* A folder of objects that others may write is an error of the run; the candidates get no records. */
static void test_objects_others_may_write(void **state)
{
    (void)state;
    assert_int_equal(mkdir("shared", 0755), 0);
    assert_int_equal(mkdir("shared/objects", 0755), 0);
    assert_int_equal(chmod("shared/objects", 0777), 0);
    kgen_test_expect("tune list --engine cc --effort estimate --cache shared", 1, NULL,
                     "chmod go-w shared/objects");
    kgen_test_expect("cache list --cache shared", 0, "0 winners among 0", NULL);
    assert_int_equal(chmod("shared/objects", 0755), 0);
    kgen_test_expect("tune list --engine cc --effort estimate --cache shared", 0, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_lines),
        cmocka_unit_test(test_json_parses),
        cmocka_unit_test(test_second_run),
        cmocka_unit_test(test_odd_caches),
        cmocka_unit_test(test_unwritable_stdout),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_nothing_passes),
        cmocka_unit_test(test_piped_progress),
        cmocka_unit_test(test_specs_from_elsewhere),
        cmocka_unit_test(test_json_carries_warnings),
        cmocka_unit_test(test_objects_others_may_write),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
