/* SPDX-License-Identifier: MIT */
/* The template language: what each directive makes, its limits, what a template says of itself. */
#include "template_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void test_output(void **state)
{
    (void)state;
    static const struct {
        const char *body, *expected, *a, *b;
    } cases[] = {
        /* text */
        {"", "", NULL, NULL},
        {"text\n", "text\n", NULL, NULL},
        {"no newline", "no newline", NULL, NULL},
        {"  indented\n\n\ttab \n", "  indented\n\n\ttab \n", NULL, NULL},
        {"a\r\nb\r\nc\rd", "a\nb\nc\rd", NULL, NULL},
        {"\n\nfirst\n\nlast\n", "first\n\nlast\n", NULL, NULL},
        {"a $$ b $$$$ $${N}\n", "a $ b $$ ${N}\n", NULL, NULL},
        {"$$if 1\n", "$if 1\n", NULL, NULL},
        {"${N}\n", "4\n", NULL, NULL},
        {"  ${ N }${N}x${-N}\n", "  44x-4\n", NULL, NULL},
        {"a${N}", "a4", NULL, NULL},
        {"${function}(${table[0]}, ${table[N - 3]});\n", "kernel(0.5, 0.25);\n", NULL, NULL},
        {"${hex(N * 4)} ${N * 4}\n", "0x10 16\n", NULL, NULL},
        {"{$$N} \xc3\xa9\n", "{$N} \xc3\xa9\n", NULL, NULL},
        {"$# nothing ${ $if\na\n   $# more\nb\n", "a\nb\n", NULL, NULL},
        /* $if */
        {"$if N == 4\nyes\n$end\n", "yes\n", NULL, NULL},
        {"$if N != 4\nyes\n$end\nafter\n", "after\n", NULL, NULL},
        {"$if 0\na\n$else\nb\n$end\n", "b\n", NULL, NULL},
        {"$if 0\na\n$elif -1\nb\n$else\nc\n$end\n", "b\n", NULL, NULL},
        {"$if 0\na\n$elif 0\nb\n$elif 1\nc\n$elif 1\nd\n$else\ne\n$end\n", "c\n", NULL, NULL},
        {"$if 1\na\n$elif 1 / 0\nb\n$end\n", "a\n", NULL, NULL},
        {"$if 0\n${unknown} ${1 / 0}\n$end\n", "", NULL, NULL},
        {"$if(N)\n$if 0\n$else\nx\n$end\n$end\n", "x\n", NULL, NULL},
        {"  $if 1\n  a\n  $end\n", "  a\n", NULL, NULL},
        {"$if 1\n$else\n$end\n", "", NULL, NULL},
        {"\t$if 1 \t\n  a\n$end\t\n", "  a\n", NULL, NULL},
        {"$if 1\r\na\r\n$end\r\n", "a\n", NULL, NULL},
        /* $for */
        {"$for i in range(3)\n${i}\n$end\n", "0\n1\n2\n", NULL, NULL},
        {"$for i in range(1, N)\n${i}\n$end\n", "1\n2\n3\n", NULL, NULL},
        {"$for i in range(0, 10, 4)\n${i}\n$end\n", "0\n4\n8\n", NULL, NULL},
        {"$for i in range(3, 0, -1)\n${i}\n$end\n", "3\n2\n1\n", NULL, NULL},
        {"$for i in range(0)\n${i}\n$end\n", "", NULL, NULL},
        {"$for i in range(-5)\n${i}\n$end\n", "", NULL, NULL},
        {"$for i in range(0, 3, -1)\n${i}\n$end\n", "", NULL, NULL},
        {"$for i in range(big - 1, big)\n${i}\n$end\n", "9223372036854775806\n", NULL, NULL},
        {"$for i in range(big - 3, big, 2)\n${big - i}\n$end\n", "3\n1\n", NULL, NULL},
        {"$for i in range(2)\n$for j in range(2)\n${i}${j}\n$end\n$end\n", "00\n01\n10\n11\n", NULL, NULL},
        {"$for N in range(2)\n${N}\n$end\n${N}\n", "0\n1\n4\n", NULL, NULL},
        {"$for i in range(N)\n$let N = 9\n${i} ${N}\n$end\n${N}\n", "0 9\n1 9\n2 9\n3 9\n4\n", NULL, NULL},
        {"$for in in range(1)\n${in}\n$end\n", "0\n", NULL, NULL},
        /* $let */
        {"$let x = N * 2\n${x}\n", "8\n", NULL, NULL},
        {"$let x = 1\n$let x = x + 1\n${x}\n", "2\n", NULL, NULL},
        {"$let x = 1\n$if 1\n$let x = 2\n${x}\n$let x = x + 1\n${x}\n$end\n${x}\n", "2\n3\n1\n", NULL, NULL},
        {"$let x = 1\n$for i in range(2)\n$let x = x + 1\n${x}\n$end\n${x}\n", "2\n2\n1\n", NULL, NULL},
        {"$for i in range(2)\n${i}\n$let i = 7\n${i}\n$end\n", "0\n7\n1\n7\n", NULL, NULL},
        {"$if 0\n$else\n$let N = 5\n${N}\n$end\n${N}\n", "5\n4\n", NULL, NULL},
        {"$let function = 3\n${function + 1}\n", "4\n", NULL, NULL},
        {"$if 1\n$let function = 3\n${function}\n$end\n${function}\n", "3\nkernel\n", NULL, NULL},
        {"$if 1\n$if 1\n$let N = 5\n$end\n$let N = 6\n${N}\n$end\n${N}\n", "6\n4\n", NULL, NULL},
        /* $assert */
        {"$assert N == 4, \"no\"\na\n", "a\n", NULL, NULL},
        {"$if 0\n$assert 0, \"no\"\n$end\n", "", NULL, NULL},
        /* $include */
        {"a\n$include \"a.inc\"\nz\n", "a\nb 4\nz\n", "b ${N}\n", NULL},
        {"$include \"a.inc\"\n$include \"a.inc\"\n", "b\nb\n", "b\n", NULL},
        {"$let x = 1\n$include \"a.inc\"\n${x}\n", "1\n2\n", "$in x\n$out x\n${x}\n$let x = 2\n", NULL},
        {"$if 1\n$let N = 1\n$include \"a.inc\"\n$end\n${N}\n", "2\n4\n", "$let N = N + 1\n${N}\n", NULL},
        /* what an include takes and gives */
        {"$let x = 1\n$include \"a.inc\"\n${x}\n", "2\n1\n", "$in x\n$let x = 2\n${x}\n", NULL},
        {"$include \"a.inc\"\n${x} ${y}\n", "text\n1 2\n",
         "$# a file\n$out x, y\n$let x = 1\n$let y = 2\ntext\n", NULL},
        {"$if 1\n$include \"a.inc\"\n$include \"a.inc\"\n${x}\n$end\n", "5\n", "$out x\n$let x = 5\n", NULL},
        {"$include \"b.inc\"\n$include \"a.inc\"\n", "7\n", "$in \"b.inc\", N\n${x}\n",
         "$out x\n$let x = 3 + N\n"},
        {"$include \"a.inc\"\n", "y = 3\n", "$include \"b.inc\"\ny = ${x}\n", "$out x\n$let x = 3\n"},
        {"$include \"a.inc\"\n", "z = x + 1;\n", "$c_in x, y*\n$c_out z\n$let term = \"y1\"\nz = x + 1;\n",
         NULL},
        {"$include \"a.inc\"\n", "x\n", "$c_in x\n$include \"b.inc\"\n", "$c_in x\nx\n"},
        /* text */
        {"$let loaded = \"kv_load(x + ${N * 16})\"\ndot = ${loaded};\n", "dot = kv_load(x + 64);\n", NULL,
         NULL},
        {"$let f = function\n$let function = \"new_${f}\"\n${function} ${f}\n", "new_kernel kernel\n", NULL,
         NULL},
        {"$for i in range(2)\n$let t = i == 0 ? \"none\" : \"${i}\"\n${t}\n$end\n", "none\n1\n", NULL, NULL},
        {"$let t = table[1]\n${t}\n", "0.25\n", NULL, NULL},
        {"$let t = \"a\"\n$if 1\n$let t = \"${t}${t}\"\n${t}\n$end\n${t}\n", "aa\na\n", NULL, NULL},
        {"x${plus(N)}, x${plus(N - 4)};\n", "x + 4, x;\n", NULL, NULL},
        {"$let format = scheme\n${format} ${scheme} ${format + 1}\n", "affine affine 8\n", NULL, NULL},
        /* a file by its name */
        {"$for i in range(2)\n$let letter = i == 0 ? \"a\" : \"b\"\n$include \"${letter}.inc\"\n$end\n",
         "of a\nof b\n", "of a\n", "of b\n"},
        {"$let letter = \"a\"\n$include \"${letter}.inc\"\n${x}\n", "1\n", "$out x\n$let x = 1\n",
         "$out x\n$let x = 2\n"},
        {"$for i in range(2)\n  $include \"a.inc\"\n$end\n", "0\nb\n1\nb\n",
         "$in i\n${i}\n$include \"b.inc\"\n", "b\n"},
        {"$include \"a.inc\"\n$include \"b.inc\"\n", "b\nb\n", "$include \"b.inc\"\n", "b\n"},
        {"$include \"a.inc\"\n", "", "$# nothing\n", NULL},
        {"$include \"a.inc\"\n", "\n", "\n", NULL},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text text = {0}, out = {0};
        struct kgen_error error = {0};
        kgen_text_printf(&text, "%s%s", HEAD, cases[i].body);
        kgen_text_puts(&out, "before|");
        if (kgen_test_template_instantiate(text.data, cases[i].a, cases[i].b, &out, &error) != 0)
            fail_msg("%s: %d:%d %s", cases[i].body, error.line, error.column, error.message);
        if (strncmp(out.data, "before|", 7) != 0 || strcmp(out.data + 7, cases[i].expected) != 0)
            fail_msg("%s: expected\n%s\ngot\n%s", cases[i].body, cases[i].expected, out.data);
        kgen_text_free(&text);
        kgen_text_free(&out);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
    assert_int_not_equal(executed, 0);
}

/* What grows without an end is an error as well. */
static void test_limits(void **state)
{
    (void)state;
    struct kgen_text text = {0}, out = {0};
    struct kgen_error error = {0};
    kgen_text_puts(&text, HEAD "$for i in range(100000)\n");
    for (int i = 0; i < 1000; i++)
        kgen_text_puts(&text, "0123456789\n");
    kgen_text_puts(&text, "$end\n");
    assert_int_equal(kgen_test_template_instantiate(text.data, NULL, NULL, &out, &error), -1);
    assert_string_equal(error.message, "the text of the template grows beyond 16 MiB");
    assert_int_equal(error.line, 3);
    assert_int_equal(out.length, 0);
    kgen_text_free(&out);

    error = (struct kgen_error){0};
    kgen_text_clear(&text);
    kgen_text_puts(&text, HEAD);
    for (int i = 0; i < 100; i++)
        kgen_text_puts(&text, "$if 1\n");
    assert_int_equal(kgen_test_template_instantiate(text.data, NULL, NULL, &out, &error), -1);
    assert_string_equal(error.message, "more than 31 blocks in each other");
    assert_int_equal(error.line, 33);

    error = (struct kgen_error){0};
    kgen_text_clear(&text);
    kgen_text_puts(&text, HEAD);
    while (text.length <= (size_t)1 << 20)
        kgen_text_puts(&text, "0123456789\n");
    assert_int_equal(kgen_test_template_instantiate(text.data, NULL, NULL, &out, &error), -1);
    assert_string_equal(error.message, "the template is larger than 1048576 bytes");
    kgen_text_free(&text);

    error = (struct kgen_error){0};
    assert_null(kgen_template_parse("z.c.in", "$template z \"z\"\nab\0c\n", 21, NULL, &error));
    assert_string_equal(error.message, "a template is text, and this is a zero byte");
    assert_int_equal(error.line, 2);
    assert_int_equal(error.column, 3);
}

/* A chain of files, each of which includes the next twice: parsed once each, and too deep at 16. */
static void test_include_chain(void **state)
{
    (void)state;
    static char paths[20][32], texts[20][64];
    struct kgen_embedded_file files[22] = {{NULL, NULL, 0}};
    for (int length = 10; length <= 20; length += 10) {
        static const char start[] = HEAD "$include \"f0.inc\"\n";
        files[0] = (struct kgen_embedded_file){"c/t.c.in", start, sizeof start - 1};
        for (int i = 0; i < length; i++) {
            snprintf(paths[i], sizeof paths[i], "c/f%d.inc", i);
            snprintf(texts[i], sizeof texts[i], "$include \"f%d.inc\"\n$include \"f%d.inc\"\n", i + 1, i + 1);
            if (i + 1 == length)
                snprintf(texts[i], sizeof texts[i], "x");
            files[i + 1] = (struct kgen_embedded_file){paths[i], texts[i], strlen(texts[i])};
        }
        struct kgen_error error = {0};
        struct kgen_templates *set = kgen_templates_open_table(files, "c", &error);
        if (length == 10) {
            struct kgen_text out = {0};
            assert_non_null(set);
            assert_int_equal(kgen_template_instantiate(kgen_templates_at(set, 0),
                                                       &kgen_test_template_bindings, &out, &error),
                             0);
            assert_int_equal(out.length, 512);
            kgen_text_free(&out);
            kgen_templates_free(set);
        } else {
            assert_null(set);
            assert_string_equal(error.message, "more than 16 files include each other");
            assert_int_equal(error.column, 10);
        }
    }
}

/* Values, conditions and files without text among the declarations. */
static void test_head(void **state)
{
    (void)state;
    static const char text[] =
        HEAD "$op qmv\n$isa avx512\n$let half = N / 2\n$include \"a.inc\"\n\n"
             "$param depth = 1, 2, 3 when half == 2 && third > 0\n$let deep = depth * 10\n"
             "$require deep <= 20, \"too deep\"\n$require 10 / (N - 3) > 0, \"far\"\n"
             "$let later = 1 / (N - 5)\n${half} ${third} ${deep} ${later}\n";
    static const struct {
        int64_t N, depth;
        int allowed;
        unsigned unused;
        const char *reason;
    } cases[] = {
        {4, 1, 1, 0, NULL},
        {4, 2, 1, 0, NULL},
        {4, 3, 0, 0, "too deep"},
        {5, 1, 1, 0, NULL},
        {6, 1, 1, 1, NULL},
        {6, 2, 0, 1, "a parameter that makes no difference here has another value than its first"},
        {3, 1, -1, 1, NULL},
    };
    struct kgen_error error = {0};
    struct kgen_templates *set =
        kgen_test_template_open(text, "$out third\n$let third = N / 3\n", NULL, &error);
    assert_string_equal(error.message, "");
    assert_non_null(set);
    const struct kgen_template *tmpl = kgen_templates_at(set, 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_bindings bindings = {0};
        const char *reason = NULL;
        unsigned unused = 99;
        kgen_bind_value(&bindings, "N", cases[i].N);
        kgen_bind_value(&bindings, "depth", cases[i].depth);
        error = (struct kgen_error){0};
        const int allowed = kgen_template_allows(tmpl, &bindings, &unused, &reason, &error);
        if (allowed != cases[i].allowed || unused != cases[i].unused)
            fail_msg("case %zu: %d, unused %u: %s", i, allowed, unused, error.message);
        if (cases[i].reason != NULL)
            assert_string_equal(reason, cases[i].reason);
        if (allowed == -1) {
            assert_string_equal(error.message, "division by zero: 10 divided by 0");
            assert_int_equal(error.line, 10);
        }
        kgen_bindings_free(&bindings);
    }
    struct kgen_bindings bindings = {0};
    struct kgen_text out = {0};
    kgen_bind_value(&bindings, "N", 4);
    kgen_bind_value(&bindings, "depth", 2);
    assert_int_equal(kgen_template_instantiate(tmpl, &bindings, &out, &error), 0);
    assert_string_equal(out.data, "2 1 20 -1\n");
    kgen_text_free(&out);
    kgen_bindings_free(&bindings);
    kgen_templates_free(set);
}

static void test_declarations(void **state)
{
    (void)state;
    static const char text[] =
        "$# SPDX-License-Identifier: MIT\n\n$template t \"Multiplies.\"\n$op qmv gather_qmv\n"
        "$isa avx512 generic\n\n$param rows = 4, 1, 0x10\n$param ahead = 0, 4 * 128, -1\n"
        "$require N >= 4, \"N is small\"\n$require group_size == 32, \"the group\"\n\n"
        "void ${function}(void);\n";
    struct kgen_error error = {0};
    struct kgen_template *tmpl = kgen_template_parse("somewhere/t.c.in", text, sizeof text - 1, NULL, &error);
    assert_string_equal(error.message, "");
    assert_non_null(tmpl);
    assert_string_equal(kgen_template_name(tmpl), "t");
    assert_string_equal(kgen_template_summary(tmpl), "Multiplies.");
    assert_int_equal(kgen_template_op(tmpl), kgen_op_find("qmv"));
    assert_int_equal(kgen_template_other_op(tmpl), kgen_op_find("gather_qmv"));
    assert_true(kgen_template_serves(tmpl, kgen_op_find("qmv")));
    assert_true(kgen_template_serves(tmpl, kgen_op_find("gather_qmv")));
    assert_false(kgen_template_serves(tmpl, kgen_op_find("qmm")));
    assert_false(kgen_template_serves(tmpl, NULL));
    assert_int_equal(kgen_template_isas(tmpl), 1u << KGEN_ISA_AVX512 | 1u << KGEN_ISA_GENERIC);
    assert_int_equal(kgen_template_param_count(tmpl), 2);
    const struct kgen_param *rows = kgen_template_param(tmpl, 0), *ahead = kgen_template_param(tmpl, 1);
    assert_string_equal(rows->name, "rows");
    assert_int_equal(rows->count, 3);
    assert_int_equal(rows->values[0], 4);
    assert_int_equal(rows->values[2], 16);
    assert_string_equal(ahead->name, "ahead");
    assert_int_equal(ahead->count, 3);
    assert_int_equal(ahead->values[1], 512);
    assert_int_equal(ahead->values[2], -1);

    const char *reason = NULL;
    unsigned unused;
    assert_int_equal(kgen_template_allows(tmpl, &kgen_test_template_bindings, &unused, &reason, &error), 0);
    assert_string_equal(reason, "the group");
    struct kgen_bindings other = {0};
    assert_int_equal(kgen_template_allows(tmpl, &other, &unused, &reason, &error), -1);
    assert_string_equal(error.source, "somewhere/t.c.in");
    assert_int_equal(error.line, 9);
    assert_int_equal(error.column, 10);
    assert_string_equal(error.message, "unknown name 'N'");
    kgen_bind_value(&other, "N", 3);
    kgen_bind_value(&other, "group_size", 32);
    assert_int_equal(kgen_template_allows(tmpl, &other, &unused, &reason, NULL), 0);
    assert_string_equal(reason, "N is small");
    kgen_bind_value(&other, "N", 4);
    assert_int_equal(kgen_template_allows(tmpl, &other, &unused, &reason, NULL), 1);
    kgen_bindings_free(&other);
    kgen_template_free(tmpl);

    /* A support header: no op. */
    static const char header[] = "$template kv \"Support.\"\n#define X 1\n";
    tmpl = kgen_template_parse("kv.h.in", header, sizeof header - 1, NULL, NULL);
    assert_non_null(tmpl);
    assert_int_equal(kgen_template_op(tmpl), NULL);
    assert_int_equal(kgen_template_isas(tmpl), 0);
    kgen_template_free(tmpl);
    kgen_template_free(NULL);
}

/* The hash follows every text that the template is made of, and nothing else. */
static void test_hash(void **state)
{
    (void)state;
    static const struct {
        const char *text, *a;
        bool same;
    } cases[] = {
        {HEAD "$include \"a.inc\"\n", "x\n", true},     {HEAD "$include \"a.inc\"\n", "y\n", false},
        {HEAD "$include \"a.inc\"\n\n", "x\n", false},  {HEAD "x\n", "x\n", false},
        {HEAD "$include \"a.inc\"\r\n", "x\r\n", true}, {HEAD "$include \"${function}.inc\"\n", "x\n", false},
    };
    uint64_t first = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        struct kgen_templates *set = kgen_test_template_open(cases[i].text, cases[i].a, NULL, &error);
        assert_non_null(set);
        uint64_t hash = kgen_template_hash(kgen_templates_at(set, 0));
        first = i == 0 ? hash : first;
        assert_int_equal(hash == first, cases[i].same);
        kgen_templates_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_include_chain), cmocka_unit_test(test_head),
        cmocka_unit_test(test_declarations),  cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests_name("template", tests, kgen_test_template_setup,
                                       kgen_test_template_teardown);
}
