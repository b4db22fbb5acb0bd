/* SPDX-License-Identifier: MIT */
/* kgen expand and kgen run, as authors of templates call them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "command_fixture.h"

#define ADD "{\"op\":\"add\",\"size\":8}"
#define HEAD "$op add\n$isa generic\n"
#define BODY(line)                                                                                           \
    "void ${function}(${parameters})\n{\n    for (size_t i = begin; i < end; i++)\n        " line "\n}\n"

static const struct {
    const char *path, *text;
} files[] = {
    {"one.json", ADD "\n"},
    {"spec.json", "{\"problems\": [" ADD "]}\n"},
    {"list.json", "{\"problems\": [" ADD ", {\"op\": \"add\", \"size\": 16, \"tensors\": \"layers.*.mlp\"},"
                  "{\"op\": \"rms_norm\", \"size\": 16}]}\n"},
    {"own.c.in", "$template own \"Own.\"\n" HEAD
                 "$param times = 1, 2\n$include \"part.inc\"\n" BODY("y[i] = a[i] + b[i];")},
    {"part.inc", "/* ${function} */\n"},
    {"bad/c/wrong.c.in", "$template wrong \"Wrong.\"\n" HEAD BODY("y[i] = a[i] - b[i];")},
    {"bad/c/refused.c.in", "$template refused \"Refused.\"\n" HEAD BODY("y[i] = a[i] + nothing;")},
    {"bad/c/included.c.in", "$template included \"Included.\"\n" HEAD BODY("$include \"sum.inc\"")},
    {"bad/c/sum.inc", "$c_in y, a\n\n        y[i] = a[i] + nothing;\n"},
    {"bad/c/stops.c.in", "$template stops \"Stops.\"\n" HEAD BODY("*(volatile int *)0 = 1;")},
};

static const struct {
    const char *line;
    int status;
    const char *out, *err; /* a part; NULL: any */
} cases[] = {
    /* The problem: its text, a file, a spec with a number, a tensor, a part of the name, a text. */
    {"expand add_generic " ADD, 0, "y[i] = a[i] + b[i];", NULL},
    {"expand add_generic {\"op\":\"add\",\"size\":8,\"threads\":1}", 0, "void kernel(const float *a", NULL},
    {"expand add_generic one.json", 0, "void kernel(const float *a", NULL},
    {"expand rms_norm_generic list.json", 0, "sum / 16.0f", NULL},
    {"expand add_generic list.json 2 --json", 0, "\"size\": 16", NULL},
    {"expand add_generic list.json layers.3.mlp.weight --json", 0, "\"size\": 16", NULL},
    {"expand add_generic list.json 1 size=16", 2, NULL, "no parameter 'size'"},
    {"expand add_generic list.json " ADD " --json", 0, "\"size\": 8", NULL},
    {"expand add_generic list.json", 2, NULL, "list.json has 2 add problems: 1, 2"},
    {"expand add_generic list.json nothing", 2, NULL, "list.json has no add problem called 'nothing'"},
    {"expand add_generic list.json 3", 2, NULL, "has no add problem called '3'"},
    {"expand add_generic none.json", 2, NULL, "none.json"},
    {"expand add_generic {\"op\":\"add\"}", 2, NULL, "add needs \"size\""},
    {"expand add_generic {\"op\":", 2, NULL, "problem:1"},
    {"expand add_generic", 2, NULL, "an argument is missing"},
    /* The template, its instruction set and parameters. */
    {"expand ad " ADD, 2, NULL, "did you mean 'add'"},
    {"expand kgen_vector " ADD, 2, NULL, "solves no op"},
    {"expand qmv_generic " ADD, 2, NULL, "the template qmv_generic solves qmv, and the problem is of add"},
    {"expand add " ADD " --isa neon --json", 0, "\"variant\": \"add neon unroll=2\"", NULL},
    {"expand add " ADD " neon unroll=1 --json", 0, "\"variant\": \"add neon unroll=1\"", NULL},
    {"expand add " ADD " neon --isa avx2", 2, NULL, "two instruction sets are named: avx2 and neon"},
    {"expand add " ADD " unroll=3", 2, NULL, "the template has the values 2, "},
    {"expand add " ADD " unrol=2", 2, NULL, "did you mean 'unroll'"},
    {"expand add " ADD " sse", 2, NULL, "'sse' is neither PARAM=VALUE nor the name"},
    {"expand add_generic " ADD " --isa avx2", 3, NULL, "the template add_generic is not written for avx2"},
    {"expand qmv_blocks_generic {\"op\":\"qmv\",\"N\":4,\"K\":64,\"bits\":4,\"group_size\":64}", 3, NULL,
     "has no such variant for generic: the weights are in arrays of groups"},
    /* A file, with what it includes; its lines. */
    {"expand own.c.in " ADD, 0, "/* kernel */", NULL},
    {"expand ./own.c.in " ADD " times=2 --json", 0, "\"variant\": \"own generic times=2\"", NULL},
    {"expand own.c.in " ADD " --lines", 0,
     "    1 part.inc:1  | /* kernel */\n    2 own.c.in:6  | void kernel(", NULL},
    {"expand none.c.in " ADD, 2, NULL, "none.c.in"},
    {"expand own.c.in " ADD " --effort measure", 2, NULL, "kgen expand takes no option --effort"},
    /* What is run. */
    {"run " ADD " add_generic", 0, "\nright: proven on ", NULL},
    {"run one.json add_generic", 0, "add_generic generic, compiled by tcc", NULL},
    {"run list.json 1 own.c.in times=2", 0, "own generic times=2", NULL},
    {"run list.json 1 add_generic --json", 0, "\"right\": true", NULL},
    {"run list.json 1 add_generic --json", 0, "\"cache_misses\":", NULL},
    {"run list.json add", 2, NULL, "list.json has 2 problems called 'add': 1, 2"},
    {"run list.json", 2, NULL, "list.json has 3 problems: 1, 2, 3"},
    {"run list.json 1", 2, NULL, "the cache has no choice for this problem"},
    {"run list.json 1 add --isa neon", 3, NULL, "this machine cannot run neon"},
    {"run", 2, NULL, "an argument is missing"},
    /* What is wrong, at its place in the template. */
    {"run " ADD " wrong --templates bad", 1, "wrong: wrong_element: y[", NULL},
    {"run " ADD " stops --templates bad", 1, "wrong: crashed: SIGSEGV", NULL},
    {"run " ADD " refused --templates bad", 1,
     "wrong: compile_failed: bad/c/refused.c.in:7: line 4 of the text: TinyCC: 'nothing' undeclared", NULL},
    {"run " ADD " refused --templates bad --json", 1, "\"verdict\": \"compile_failed\"", NULL},
    {"run " ADD " refused --templates bad --engine cc", 1, "bad/c/refused.c.in:7: line 4, column ", NULL},
    {"run " ADD " included --templates bad", 1,
     "bad/c/sum.inc:3: line 5 of the text, included at bad/c/included.c.in:7: TinyCC: 'nothing'", NULL},
    {"run --help", 0, "usage: kgen run PROBLEM|SPEC [PROBLEM] [TEMPLATE]", NULL},
    {"expand --help", 0, "--lines", NULL},
};

static void test_command_lines(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
#if defined(__aarch64__)
        if (strstr(cases[i].line, "run list.json 1 add --isa neon") != NULL)
            continue;
#endif
        kgen_test_expect(cases[i].line, cases[i].status, cases[i].out, cases[i].err);
        executed++;
    }
    assert_true(executed > 40);
}

/* The choice that a run has recorded, and that choice with another parameter. */
static void test_recorded_choice(void **state)
{
    (void)state;
    kgen_test_expect("tune spec.json --threads 1", 0, NULL, NULL);
    kgen_test_expect("run one.json --threads 1", 0, "(the recorded choice)", NULL);
    struct kgen_test_outcome outcome = kgen_test_run("run one.json --threads 1 --json");
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    assert_true(json_is_true(json_object_get(root, "recorded_choice")));
    static const char *const times[] = {"cold_us", "hot_us", "read_us", "hot_read_us"};
    for (size_t i = 0; i < KGEN_COUNT_OF(times); i++)
        assert_true(json_number_value(json_object_get(root, times[i])) > 0);
    /* Each counter has a value, or there is a reason. */
    const json_t *counters = json_object_get(root, "counters");
    assert_true(json_number_value(json_object_get(counters, "instructions")) > 0 ||
                json_string_length(json_object_get(counters, "reason")) > 0);
    assert_true(json_is_null(json_object_get(counters, "cycles")) ||
                json_number_value(json_object_get(counters, "cycles")) > 0);
    const char *variant = json_string_value(json_object_get(root, "variant"));
    const bool has_unroll = strstr(variant, "unroll=") != NULL;
    json_decref(root);
    kgen_test_outcome_free(&outcome);
    if (has_unroll)
        kgen_test_expect("run one.json unroll=1 --threads 1", 0, " unroll=1, compiled by", NULL);
}

static void test_input(void **state)
{
    (void)state;
    struct kgen_text command = {0};
    kgen_text_printf(
        &command,
        "%s expand add_generic - <one.json >input.out && %s expand add_generic one.json | cmp - input.out",
        kgen_test_binary, kgen_test_binary);
    assert_int_equal(system(command.data), 0);
    kgen_text_free(&command);
}

static int set_up(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    if (mkdir("bad", 0777) != 0 || mkdir("bad/c", 0777) != 0)
        return -1;
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++)
        kgen_test_put_file(files[i].path, files[i].text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_lines),
        cmocka_unit_test(test_recorded_choice),
        cmocka_unit_test(test_input),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
