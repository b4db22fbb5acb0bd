/* SPDX-License-Identifier: MIT */
/* The lines of an instance, and the errors of compilers and of the lowering at their places in templates. */
#include "gen/target/place.h"
#include "gen/template/embedded.h"
#include "runtime/jit/compile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define HEAD "$template t \"T.\"\n$op add\n$isa generic avx2\n"

/* The set of c/t.c.in, c/one.inc and c/two.inc. */
static struct kgen_templates *open_texts(const char *text, const char *one, const char *two)
{
    const struct kgen_embedded_file files[] = {{"c/t.c.in", text, strlen(text)},
                                               {"c/one.inc", one, strlen(one)},
                                               {"c/two.inc", two, strlen(two)},
                                               {NULL, NULL, 0}};
    struct kgen_error error = {0};
    struct kgen_templates *set = kgen_templates_open_table(files, "c", &error);
    if (set == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    return set;
}

static struct kgen_problem add_problem(void)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", 4);
    return problem;
}

/* Each line of the instance as "file:line" or "file:line<outer line". */
static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *body, *one, *two, *text, *expected;
    } cases[] = {
        {"a\nb\n", "", "", "a\nb\n", "t.c.in:4 t.c.in:5 "},
        {"a${size}b\n\n${size}\n", "", "", "a4b\n\n4\n", "t.c.in:4 t.c.in:5 t.c.in:6 "},
        {"$if size == 3\na\n$else\nb\n$end\nc\n", "", "", "b\nc\n", "t.c.in:7 t.c.in:9 "},
        {"$for i in range(2)\na\n$# Nothing.\nb${i}\n$end\nc\n", "", "", "a\nb0\na\nb1\nc\n",
         "t.c.in:5 t.c.in:7 t.c.in:5 t.c.in:7 t.c.in:9 "},
        {"a\n$include \"one.inc\"\nb\n", "x\n$include \"two.inc\"\ny\n", "\nz\n", "a\nx\n\nz\ny\nb\n",
         "t.c.in:4 one.inc:1<5 two.inc:1<5 two.inc:2<5 one.inc:3<5 t.c.in:6 "},
        {"a\n$include \"one.inc\"\n$include \"one.inc\"\nb", "$in size\nx${size}\n", "", "a\nx4\nx4\nb",
         "t.c.in:4 one.inc:2<5 one.inc:2<6 t.c.in:7 "},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text source = {0}, text = {0}, found = {0};
        kgen_text_printf(&source, HEAD "%s", cases[i].body);
        struct kgen_templates *set = open_texts(source.data, cases[i].one, cases[i].two);
        const struct kgen_problem problem = add_problem();
        const struct kgen_variant variant = {.tmpl = kgen_templates_at(set, 0)};
        struct kgen_line_map lines = {0};
        struct kgen_error error = {0};
        assert_int_equal(kgen_variant_text_lines(&variant, &problem, "f", &text, &lines, &error), 0);
        assert_string_equal(text.data, cases[i].text);
        const struct kgen_text_origin *origin;
        for (int line = 1; (origin = kgen_line_map_find(&lines, line)) != NULL; line++) {
            assert_memory_equal(origin->source, "templates/c/", strlen("templates/c/"));
            kgen_text_printf(&found, "%s:%d", origin->source + strlen("templates/c/"), origin->line);
            if (origin->outer_line > 0)
                kgen_text_printf(&found, "<%d", origin->outer_line);
            kgen_text_puts(&found, " ");
        }
        assert_string_equal(found.data, cases[i].expected);
        assert_null(kgen_line_map_find(&lines, 0));
        kgen_line_map_free(&lines);
        kgen_text_free(&source);
        kgen_text_free(&text);
        kgen_text_free(&found);
        kgen_templates_free(set);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

/* The body of t.c.in begins on line 4. */
#define FUNCTION "void ${function}(${parameters})\n{\n"
static const struct {
    const char *name;
    enum kgen_engine engine;
    enum kgen_isa isa;
    const char *body, *one;
    const char *source;
    int line;
    const char *message, *hint; /* parts of them */
} refused[] = {
    {"TinyCC", KGEN_ENGINE_TCC, KGEN_ISA_GENERIC,
     FUNCTION "$for i in range(2)\n    y[${i}] = a[0];\n$end\n    y[0] = wrong;\n}\n", "",
     "templates/c/t.c.in", 9, "line 5 of the text: TinyCC: 'wrong' undeclared", ""},
    {"cc", KGEN_ENGINE_CC, KGEN_ISA_GENERIC,
     FUNCTION "$for i in range(2)\n    y[${i}] = a[0];\n$end\n    y[0] = wrong;\n}\n", "",
     "templates/c/t.c.in", 9, "of the text: the compiler refused the text: error: ", ""},
    {"the lowering", KGEN_ENGINE_TCC, KGEN_ISA_AVX2,
     FUNCTION "\n    kv_f32 v = kv_load(a);\n    y[0] = v;\n}\n", "", "templates/c/t.c.in", 8,
     "line 5, column 12 of the text: v is a vector, and stands in a C expression", ""},
    {"an include", KGEN_ENGINE_TCC, KGEN_ISA_GENERIC, FUNCTION "$include \"one.inc\"\n}\n",
     "$c_in y\n    y[0] = 1.0f;\n    y[1] = wrong;\n", "templates/c/one.inc", 3,
     "line 4 of the text, included at templates/c/t.c.in:6: TinyCC: 'wrong' undeclared", ""},
    {"too few parameters", KGEN_ENGINE_TCC, KGEN_ISA_GENERIC, "void ${function}(float *y)\n{\n}\n", "",
     "templates/c/t.c.in", 0, "TinyCC: ", "must define ${function}(${parameters})"},
    {"an error of the template", KGEN_ENGINE_TCC, KGEN_ISA_GENERIC, "a\n${wrong}\n", "", "templates/c/t.c.in",
     5, "unknown name 'wrong'", ""},
};

static void test_refused(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(refused); i++) {
        struct kgen_text source = {0};
        kgen_text_printf(&source, HEAD "%s", refused[i].body);
        struct kgen_templates *set = open_texts(source.data, refused[i].one, "");
        const struct kgen_problem problem = add_problem();
        const struct kgen_variant variant = {.tmpl = kgen_templates_at(set, 0), .isa = refused[i].isa};
        const struct kgen_compile_options options = {.engine = refused[i].engine};
        struct kgen_kernel kernel;
        struct kgen_error error = {0};
        if (kgen_kernel_compile(&variant, &problem, &options, &kernel, &error) != NULL)
            fail_msg("%s: it was compiled", refused[i].name);
        if (strstr(error.message, refused[i].message) == NULL ||
            strstr(error.hint, refused[i].hint) == NULL || strcmp(error.source, refused[i].source) != 0 ||
            error.line != refused[i].line)
            fail_msg("%s: %s:%d: %s; %s", refused[i].name, error.source, error.line, error.message,
                     error.hint);
        kgen_text_free(&source);
        kgen_templates_free(set);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(refused));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
