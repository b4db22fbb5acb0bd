/* SPDX-License-Identifier: MIT */
/* bench/peers.py with programs that stand in for llama.cpp's, and bench/peers.sh with a python3 that stands
 * in for the real one and for the network. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include <jansson.h>

#define NEVER "#!/bin/sh\nexit 1\n"

/* 1, 9 and 3 ms, over and over. A line of each call goes to calls; there is no case of bf16. */
static const char ggml[] =
    "#!/bin/sh\n"
    "echo \"$*\" >>calls\n"
    "case \"$*\" in *bf16*) exit 0 ;; esac\n"
    "case $(($(grep -c perf calls) % 3)) in 1) us=1000 ;; 2) us=9000 ;; *) us=3000 ;; esac\n"
    "echo \"  MUL_MAT(...):   276 runs -  $us.00 us/run - 117.44 MFLOP/run\"\n";
static const char llama_bench[] = "#!/bin/sh\n"
                                  "echo \"$*\" >>calls\n"
                                  "[ \"$1\" = --version ] && { echo 'version: test 7'; exit 0; }\n"
                                  "echo '[{\"avg_ts\": 5.0}]'\n";
/* $FAIL names the step that fails. The archive holds the sources; cmake and ninja do nothing but what FAIL
 * says. */
static const char python[] =
    "#!/bin/sh\n"
    "echo \"$*\" >>calls\n"
    "[ \"$3\" != \"$FAIL\" ] || exit 1\n"
    "case \"$2\" in\n"
    "venv) [ \"$FAIL\" != venv ] || exit 1\n"
    "    mkdir -p \"$3/bin\" && cp \"$0\" \"$3/bin/python3\" ;;\n"
    "import*) [ \"$FAIL\" != mlx ] || exit 1 ;;\n"
    "pip) [ \"$3\" = download ] || exit 0\n"
    "    while [ \"$1\" != --dest ]; do shift; done\n"
    "    mkdir -p sources/p/vendor/llama.cpp\n"
    "    [ \"$FAIL\" = sources ] || echo >sources/p/vendor/llama.cpp/CMakeLists.txt\n"
    "    tar -czf \"$2/p.tar.gz\" -C sources p; rm -r sources ;;\n"
    "esac\n";
static const char cmake[] = "#!/bin/sh\n[ \"$FAIL\" != cmake ]\n";
static const char ninja[] = "#!/bin/sh\n[ \"$FAIL\" != ninja ] || exit 1\nmkdir -p \"$2/bin\"\nshift 2\n"
                            "for name; do echo >\"fetched/llama.cpp/build/bin/$name\"\n"
                            "    chmod +x \"fetched/llama.cpp/build/bin/$name\"; done\n";

static void put_program(const char *path, const char *text)
{
    kgen_test_put_file(path, text);
    assert_int_equal(chmod(path, 0755), 0);
}

/* Runs a command of the shell, with its output in "out" and "err". Returns its exit status. */
static int shell(const char *command)
{
    char line[5 * PATH_MAX];
    snprintf(line, sizeof line, "( %s ) >out 2>err", command);
    const int status = system(line);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool holds(const char *path, const char *part)
{
    struct kgen_text text = {0};
    const bool found = kgen_file_read(path, 1 << 20, &text, NULL) == 0 && text.data != NULL &&
                       strstr(text.data, part) != NULL;
    kgen_text_free(&text);
    return found;
}

static int compare(const char *options)
{
    char command[4 * PATH_MAX];
    snprintf(command, sizeof command,
             "python3 '%s/bench/peers.py' --kgen '%s' --folder work --json work.json --no-attention %s",
             kgen_test_source, kgen_test_binary, options);
    return shell(command);
}

static void need_python(void)
{
    if (shell("python3 -c 'import json, statistics'") != 0) {
        print_message("skipped: python3, which this development check needs, is not on this machine\n");
        skip();
    }
}

/* ---- the comparison ---- */

static void test_cases(void **state)
{
    (void)state;
    need_python();
    remove("calls");
    if (compare("--llama programs --types q4_0,q6_K --rows 8 --tune-seconds 1") != 0)
        fail_msg("bench/peers.py fails: see %s/err", kgen_test_folder);
    assert_true(holds("out", "MUL_MAT q4_0 n=8"));
    assert_true(holds("out", "3.000")); /* the median, not the mean */
    assert_true(holds("calls", "^type_a=q4_0,type_b=f32,m=4096,n=8,k=14336,bs=\\[1,1\\]"));
    json_error_t error;
    json_t *document = json_load_file("work.json", 0, &error);
    assert_non_null(document);
    const json_t *results = json_object_get(document, "results");
    assert_int_equal(json_array_size(results), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *result = json_array_get(results, i), *times = json_object_get(result, "kgen_seconds");
        assert_int_equal(json_array_size(times), 3);
        assert_int_equal(json_array_size(json_object_get(result, "peer_seconds")), 3);
        assert_true(json_number_value(json_object_get(result, "ratio")) > 0);
        /* One product takes all rows, of blocks, too. */
        assert_int_equal(json_integer_value(json_object_get(result, "calls")), 1);
    }
    assert_int_equal(json_array_size(json_object_get(document, "peers")), 2);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(document, "versions"), "llama.cpp")), "test 7");
    assert_non_null(json_object_get(json_object_get(document, "machine"), "isas"));
    json_decref(document);
    kgen_test_expect("report work/spec.json --peers work.json --json -o page.html", 0, "\"peers\": 2", NULL);
}

static void test_model(void **state)
{
    (void)state;
    need_python();
    remove("calls");
    char options[PATH_MAX + 256];
    snprintf(options, sizeof options,
             "--llama programs --no-kernels --rounds 1 --tune-seconds 1 --tests 'pp4 tg2@d3' "
             "--model '%s/tests/models/llama-f16'",
             kgen_test_source);
    if (compare(options) != 0)
        fail_msg("bench/peers.py fails with a model: see %s/err", kgen_test_folder);
    assert_true(holds("calls", "-p 4 -n 0 -d 0 -r 1"));
    assert_true(holds("calls", "-p 0 -n 2 -d 3 -r 1"));
    assert_true(holds("out", "tg2@d3"));
    json_t *document = json_load_file("work.json", 0, NULL);
    const json_t *model = json_array_get(json_object_get(document, "models"), 1);
    static const char *const programs[] = {"llama.cpp", "kgen i24", "kgen i8"};
    for (size_t i = 0; i < KGEN_COUNT_OF(programs); i++)
        assert_int_equal(json_array_size(json_object_get(model, programs[i])), 1);
    json_decref(document);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        int status;
        const char *err;
    } cases[] = {
        {"--llama nowhere", 1, "nowhere holds no test-backend-ops, nor does its folder bin"},
        {"--llama programs --model none.gguf", 1, "none.gguf: there is no such file"},
        {"--llama programs --types q9_0", 2, "'q9_0' is none of q4_0, q4_1"},
        {"--llama programs --rows 7", 2, "'7' is none of 1, 2"},
        {"--llama programs --rounds 0", 2, "--rounds must be at least 1"},
        {"--llama programs --tests pp", 2, "'pp' is no test such as pp512"},
        {"--llama programs --types bf16 --rows 1 --tune-seconds 1", 1,
         "test-backend-ops has no case MUL_MAT bf16 n=1"},
        {"--llama programs --kgen nokgen", 1, "nokgen: No such file or directory"},
    };
    need_python();
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const int status = compare(cases[i].options);
        if (status != cases[i].status || !holds("err", cases[i].err))
            fail_msg("%s: exit status %d, or another message", cases[i].options, status);
    }
}

/* ---- fetching and building ---- */

static int fetch(const char *what, const char *failing)
{
    char command[4 * PATH_MAX];
    snprintf(command, sizeof command, "FAIL=%s PATH=$PWD/bin:$PATH sh '%s/bench/peers.sh' %s fetched",
             failing, kgen_test_source, what);
    return shell(command);
}

static void test_fetch(void **state)
{
    (void)state;
    static const struct {
        const char *what, *failing, *err;
    } cases[] = {
        {"llama", "venv", "no private environment"},
        {"llama", "install", "pip cannot install scikit-build-core"},
        {"llama", "download", "pip cannot fetch the sources of llama-cpp-python"},
        {"llama", "sources", "hold no vendor/llama.cpp"},
        {"llama", "cmake", "cmake fails: see "},
        {"llama", "ninja", "llama.cpp cannot be built"},
        {"mlx", "mlx", "MLX does not run on this machine: it is left out"},
        {"nothing", "nothing", "usage: "},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const int status = fetch(cases[i].what, cases[i].failing);
        if (status != (strcmp(cases[i].what, "nothing") == 0 ? 2 : 1) || !holds("err", cases[i].err) ||
            (strcmp(cases[i].what, "llama") == 0 && !holds("err", "make bench-peers PEERS=")) ||
            holds("out", "/"))
            fail_msg("%s without %s: exit status %d, or other messages", cases[i].what, cases[i].failing,
                     status);
    }
    /* What failed before does not matter, and a second time nothing is fetched or built. */
    assert_int_equal(fetch("llama", "none"), 0);
    assert_true(holds("out", "/fetched/llama.cpp/build/bin\n"));
    assert_int_equal(remove("calls"), 0);
    assert_int_equal(fetch("llama", "ninja"), 0);
    assert_true(holds("out", "/fetched/llama.cpp/build/bin\n"));
    assert_false(kgen_test_exists("calls"));
    assert_int_equal(fetch("mlx", "none"), 0);
    assert_true(holds("out", "/fetched/mlx/bin/python3\n"));
}

static int setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0 || mkdir("programs", 0755) != 0 || mkdir("programs/bin", 0755) != 0 ||
        mkdir("bin", 0755) != 0)
        return -1;
    put_program("programs/bin/test-backend-ops", ggml);
    put_program("programs/bin/llama-bench", llama_bench);
    put_program("bin/python3", python);
    put_program("bin/cmake", cmake);
    put_program("bin/ninja", ninja);
    /* Whoever runs the test, nothing is installed. */
    put_program("bin/apt-get", NEVER);
    put_program("bin/sudo", NEVER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_fetch),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
