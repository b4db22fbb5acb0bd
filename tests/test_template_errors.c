/* SPDX-License-Identifier: MIT */
/* The template language: each error with its place. */
#include "template_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

struct error_case {
    const char *text; /* of t.c.in */
    const char *source;
    int line, column;
    const char *message, *hint;
    const char *a, *b;
};

static void check_error(const struct error_case *expected, const struct kgen_error *error)
{
    if (error->code == KGEN_ERROR_TEMPLATE && strcmp(error->source, expected->source) == 0 &&
        error->line == expected->line && error->column == expected->column &&
        strcmp(error->message, expected->message) == 0 && strcmp(error->hint, expected->hint) == 0)
        return;
    char text[1024];
    fail_msg("%s\nexpected %s:%d:%d: %s; %s\n     got %s", expected->text, expected->source, expected->line,
             expected->column, expected->message, expected->hint,
             kgen_error_format(error, text, sizeof text));
}

/* Errors that are found when the set is opened. */
static void test_parse_errors(void **state)
{
    (void)state;
#define T "templates/c/t.c.in"
#define A "templates/c/a.inc"
    static const struct error_case cases[] = {
        /* declarations */
        {"", T, 1, 1, "$template is missing before the text", "begin with: $template NAME \"summary\"", 0, 0},
        {"\n  text\n", T, 2, 3, "$template is missing before the text",
         "begin with: $template NAME \"summary\"", 0, 0},
        {"$op qmv\n$if 1\n$end\n", T, 2, 1, "$template is missing before the text",
         "begin with: $template NAME \"summary\"", 0, 0},
        {"$template\n", T, 1, 10, "expected a name, found the end of the line", "", 0, 0},
        {"$template u \"s\"\n", T, 1, 11, "the name of the template differs from that of its file",
         "the file says 't'", 0, 0},
        {"$template t\n", T, 1, 12, "expected a text in double quotes, found the end of the line", "", 0, 0},
        {"$template t \"s\n", T, 1, 13, "the text has no closing quote on this line", "", 0, 0},
        {"$template t \"s\" x\n", T, 1, 17, "expected the end of the line, found 'x'", "", 0, 0},
        {HEAD "$template t \"s\"\n", T, 2, 1, "a second $template", "", 0, 0},
        {HEAD "$op qmw\n", T, 2, 5, "unknown op 'qmw'", "did you mean 'qmv'?", 0, 0},
        {HEAD "$op \n", T, 2, 5, "expected the name of an op, found the end of the line", "", 0, 0},
        {HEAD "$op qmv gather_qmw\n", T, 2, 9, "unknown op 'gather_qmw'", "did you mean 'gather_qmv'?", 0, 0},
        {HEAD "$op qmv gather_qmv add\n", T, 2, 20, "expected the end of the line, found 'add'", "", 0, 0},
        {HEAD "$op qmv gather_qmv\n$isa avx2\n$param experts = 1\n", T, 4, 8,
         "the parameter 'experts' has the name of a field of the op", "", 0, 0},
        {HEAD "$op qmv\n$op add\n", T, 3, 1, "a second $op", "", 0, 0},
        {HEAD "$op qmv\n\nx\n", T, 2, 1, "a template with an $op needs an $isa",
         "for instance: $isa avx512 avx2 neon", 0, 0},
        {HEAD "$isa\n", T, 2, 5, "expected the name of an instruction set, found the end of the line", "", 0,
         0},
        {HEAD "$isa avx512 sse\n", T, 2, 13, "unknown instruction set 'sse'",
         "known are avx512, avx2, neon and generic", 0, 0},
        {HEAD "$isa avx2, neon\n", T, 2, 10, "expected the name of an instruction set, found ','", "", 0, 0},
        {HEAD "$isa avx2 avx2\n", T, 2, 11, "this instruction set is named twice", "", 0, 0},
        {HEAD "$isa avx2\n$isa neon\n", T, 3, 1, "a second $isa", "", 0, 0},
        {HEAD "$param = 1\n", T, 2, 8, "expected a name, found '='", "values are compared with ==", 0, 0},
        {HEAD "$param rows 1\n", T, 2, 13, "expected '=' and the values of the parameter, found '1'", "", 0,
         0},
        {HEAD "$param rows =\n", T, 2, 14, "expected a number, a name or '(', found the end of the line", "",
         0, 0},
        {HEAD "$param rows = 1, 2,\n", T, 2, 20,
         "expected a number, a name or '(', found the end of the line", "", 0, 0},
        {HEAD "$param rows = 1 2\n", T, 2, 17, "expected the end of the line, found '2'", "", 0, 0},
        {HEAD "$param rows = 1, N\n", T, 2, 18, "the value of a parameter is a constant, without names", "",
         0, 0},
        {HEAD "$param rows = 1 / 0\n", T, 2, 17, "division by zero: 1 divided by 0", "", 0, 0},
        {HEAD "$param rows = 1, 2, 1\n", T, 2, 21, "the parameter has this value already", "", 0, 0},
        {HEAD "$param rows = 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\n", T, 2, 54,
         "a parameter has at most 16 values", "", 0, 0},
        {HEAD "$param r = 1\n$param r = 2\n", T, 3, 8, "there is a parameter of this name already", "", 0, 0},
        {HEAD "$param min = 1\n", T, 2, 8, "this is the name of a function", "", 0, 0},
        {HEAD "$param a234567890123456789012345678901_ = 1\n", T, 2, 8,
         "the name of a parameter has at most 31 characters", "", 0, 0},
        {HEAD "$param a=1\n$param b=1\n$param c=1\n$param d=1\n$param e=1\n$param f=1\n$param g=1\n"
              "$param h=1\n$param i=1\n$param j=1\n$param k=1\n$param l=1\n$param m=1\n",
         T, 14, 8, "a template has at most 12 parameters", "", 0, 0},
        {HEAD "$param a=1,2,3,4,5,6,7,8,9,10\n$param b=1,2,3,4,5,6,7,8,9,10\n$param c=1,2,3,4,5,6,7,8,9,10\n"
              "$param d=1,2,3,4,5,6,7,8,9,10\n$param e=1,2,3,4,5,6,7,8,9,10\n",
         T, 6, 8, "the parameters up to this one make 100000 variants, more than 65536", "", 0, 0},
        {HEAD "$op qmv\n$isa avx2\n$param bits = 1\n", T, 4, 8,
         "the parameter 'bits' has the name of a field of the op", "", 0, 0},
        {HEAD "$param K = 1\n$op qmv\n$isa avx2\n", T, 2, 8,
         "the parameter 'K' has the name of a field of the op", "", 0, 0},
        {HEAD "$param f16 = 1\n", T, 2, 8, "the parameter 'f16' has the name of a word that a field can hold",
         "", 0, 0},
        {HEAD "$param neon = 1\n", T, 2, 8, "the parameter 'neon' has the name of an instruction set", "", 0,
         0},
        {HEAD "$param lanes = 1\n", T, 2, 8,
         "the parameter 'lanes' has the name of a name that every template sees", "", 0, 0},
        {HEAD "$require N\n", T, 2, 11,
         "expected ',' and the reason in double quotes, found the end of the line", "", 0, 0},
        {HEAD "$require N > , \"r\"\n", T, 2, 14, "expected a number, a name or '(', found ','", "", 0, 0},
        {HEAD "$require N, \"r\n", T, 2, 13, "the text has no closing quote on this line", "", 0, 0},
        {HEAD "text\n$op qmv\n", T, 3, 1, "declarations come before the text", "", 0, 0},
        {HEAD "$if 1\n$end\n$param y = 1\n", T, 4, 1, "declarations come before the text", "", 0, 0},
        {HEAD "$include \"a.inc\"\n$param y = 1\n", T, 3, 1, "declarations come before the text", "",
         "text\n", 0},
        {"$let x = 1\n\ntext\n", T, 3, 1, "$template is missing before the text",
         "begin with: $template NAME \"summary\"", 0, 0},
        {HEAD "$param x = 1, 2 when\n", T, 2, 21,
         "expected a number, a name or '(', found the end of the line", "", 0, 0},
        {HEAD "$param x = 1, 2 where 1\n", T, 2, 17,
         "expected 'when' and a condition, or the end of the line, found 'where'", "", 0, 0},
        {HEAD "$param x = 1, 2 when \"a\"\n", T, 2, 22,
         "a text can only be printed, or be given a name by $let", "", 0, 0},
        {HEAD "$if \"a\"\n$end\n", T, 2, 5, "a text can only be printed, or be given a name by $let", "", 0,
         0},
        /* directives, also where they are not reached */
        {HEAD "$iff 1\n", T, 2, 1, "unknown directive '$iff'", "did you mean '$if'?", 0, 0},
        {HEAD "  $esle\n", T, 2, 3, "unknown directive '$esle'", "did you mean '$else'?", 0, 0},
        {HEAD "$parm x = 1\n", T, 2, 1, "unknown directive '$parm'", "did you mean '$param'?", 0, 0},
        {HEAD "$frobnicate\n", T, 2, 1, "unknown directive '$frobnicate'",
         "a line of text that begins with a dollar begins with $$", 0, 0},
        {HEAD "$if\n$end\n", T, 2, 4, "expected a number, a name or '(', found the end of the line", "", 0,
         0},
        {HEAD "$if N = 4\n$end\n", T, 2, 7, "expected the end of the line, found '='",
         "values are compared with ==", 0, 0},
        {HEAD "$if 1\n$if 2\n$end\ntext\n", T, 2, 1, "this $if has no $end",
         "the file ends at line 5 with the block open", 0, 0},
        {HEAD "x\n  $for i in range(2)\ntext", T, 3, 3, "this $for has no $end",
         "the file ends at line 4 with the block open", 0, 0},
        {HEAD "$if 1\n$else\n", T, 2, 1, "this $if has no $end",
         "the file ends at line 3 with the block open", 0, 0},
        {HEAD "$end\n", T, 2, 1, "$end without an $if or $for", "", 0, 0},
        {HEAD "$if 1\n$end\n  $end\n", T, 4, 3, "$end without an $if or $for", "", 0, 0},
        {HEAD "$else\n", T, 2, 1, "$else without an $if", "", 0, 0},
        {HEAD "$elif 1\n", T, 2, 1, "$elif without an $if", "", 0, 0},
        {HEAD "$for i in range(2)\n$else\n$end\n", T, 3, 1, "$else without an $if", "", 0, 0},
        {HEAD "$if 1\n$else\n$else\n$end\n", T, 4, 1, "a second $else", "the $if is at line 2", 0, 0},
        {HEAD "$if 1\n$else\n$elif 1\n$end\n", T, 4, 1, "$elif after $else", "the $if is at line 2", 0, 0},
        {HEAD "$if 1\n$elif\n$end\n", T, 3, 6, "expected a number, a name or '(', found the end of the line",
         "", 0, 0},
        {HEAD "$if 1\n$else if 2\n$end\n", T, 3, 7, "expected the end of the line, found 'if'", "", 0, 0},
        {HEAD "$if 1\n$end if\n", T, 3, 6, "expected the end of the line, found 'if'", "", 0, 0},
        {HEAD "$for\n", T, 2, 5, "expected a name, found the end of the line", "", 0, 0},
        {HEAD "$for 1\n", T, 2, 6, "expected a name, found '1'", "", 0, 0},
        {HEAD "$for max in range(1)\n", T, 2, 6, "this is the name of a function", "", 0, 0},
        {HEAD "$for i of range(1)\n", T, 2, 8, "expected 'in range(...)', found 'of'", "", 0, 0},
        {HEAD "$for i in 3\n", T, 2, 11, "expected 'range(...)', found '3'", "", 0, 0},
        {HEAD "$for i in range 3\n", T, 2, 17, "expected '(', found '3'", "", 0, 0},
        {HEAD "$for i in range()\n", T, 2, 17, "expected a number, a name or '(', found ')'", "", 0, 0},
        {HEAD "$for i in range(1, 2, 3, 4)\n", T, 2, 24, "expected ')', found ','", "", 0, 0},
        {HEAD "$for i in range(1;\n", T, 2, 18, "expected ',' or ')', found ';'", "", 0, 0},
        {HEAD "$let\n", T, 2, 5, "expected a name, found the end of the line", "", 0, 0},
        {HEAD "$let x\n", T, 2, 7, "expected '=', found the end of the line", "", 0, 0},
        {HEAD "$let hex = 1\n", T, 2, 6, "this is the name of a function", "", 0, 0},
        {HEAD "$let x = 1 + table[0]\n", T, 2, 14, "an entry of a table is text, which can only be printed",
         "write it in a ${...} of its own", 0, 0},
        {HEAD "$assert 1\n", T, 2, 10,
         "expected ',' and the message in double quotes, found the end of the line", "", 0, 0},
        {HEAD "$assert 1, no\n", T, 2, 12, "expected a text in double quotes, found 'no'", "", 0, 0},
        {HEAD "$if 0\n$let x = \n$end\n", T, 3, 10,
         "expected a number, a name or '(', found the end of the line", "", 0, 0},
        /* text */
        {HEAD "a $b\n", T, 2, 3, "a '$' in text stands before '{' or another '$'", "write $$ for a dollar", 0,
         0},
        {HEAD "a $\n", T, 2, 3, "a '$' in text stands before '{' or another '$'", "write $$ for a dollar", 0,
         0},
        {HEAD "a $# b\n", T, 2, 3, "a '$' in text stands before '{' or another '$'", "write $$ for a dollar",
         0, 0},
        {HEAD "$1\n", T, 2, 1, "a '$' in text stands before '{' or another '$'", "write $$ for a dollar", 0,
         0},
        {HEAD "a ${N\n", T, 2, 6, "expected '}' or an operator, found the end of the line", "", 0, 0},
        {HEAD "a ${N M}\n", T, 2, 7, "expected '}' or an operator, found 'M'", "", 0, 0},
        {HEAD "a ${}\n", T, 2, 5, "expected a number, a name or '(', found '}'", "", 0, 0},
        {HEAD "$if 0\n${N} ${1 +}\n$end\n", T, 3, 11, "expected a number, a name or '(', found '}'", "", 0,
         0},
        /* includes */
        {HEAD "$include a.inc\n", T, 2, 10, "expected a text in double quotes, found 'a'", "", "", 0},
        {HEAD "$include \"a.c\"\n", T, 2, 10, "the name of an included file ends in .inc", "", "", 0},
        {HEAD "$include \".inc\"\n", T, 2, 10, "the name of an included file ends in .inc", "", "", 0},
        {HEAD "$include \"abc.inc\"\n", T, 2, 10, "there is no file 'abc.inc' beside the template",
         "did you mean 'a.inc'?", "", 0},
        {HEAD "$include \"a.inc\"\n", A, 2, 3, "$end without an $if or $for", "", "text\n  $end\n", 0},
        {HEAD "$if 1\n$include \"a.inc\"\n$end\n", A, 1, 1, "$else without an $if", "", "$else\n", 0},
        {HEAD "$include \"a.inc\"\n", A, 2, 1, "an included file has no declarations", "", "\n$param x = 1\n",
         0},
        {HEAD "$in x\n", T, 2, 1, "only an included file says what it takes and gives", "", 0, 0},
        {HEAD "x\n", A, 2, 1, "what a file takes and gives stands before all else in it", "", "text\n$in x\n",
         0},
        {HEAD "x\n", A, 1, 5, "expected a name, found '1'", "", "$in 1\n", 0},
        {HEAD "x\n", A, 2, 9, "this file does not declare the name 'row_conut'", "did you mean 'row_count'?",
         "$in row_count\n$if N > row_conut\n$end\n", 0},
        {HEAD "x\n", A, 3, 3, "this file does not declare the name 'y'",
         "what an included file takes it names in a line $in y", "$let x = 1\n${x}\n${y}\n", 0},
        {HEAD "x\n", A, 1, 14, "this file does not declare the name 'y'",
         "what an included file takes it names in a line $in y", "$let x = \"a${y}\"\n", 0},
        {HEAD "x\n", A, 1, 1, "this file gives no value to 'x'", "", "$out x\ntext\n", 0},
        {HEAD "x\n", A, 1, 10, "the C name 'dot' does not occur in this file", "",
         "$c_in w, dot\nw = dots;\n", 0},
        {HEAD "x\n", A, 1, 5, "there is no file 'c.inc' beside the template", "did you mean 'a.inc'?",
         "$in \"c.inc\"\n", 0},
        {HEAD "$include \"${N}${N}${N}${N}${N}.inc\"\n", T, 2, 10,
         "the name of an included file has more than 4 ${...}", "", "x\n", 0},
        {HEAD "not included\n", A, 1, 3, "expected a number, a name or '(', found '}'", "", "${}\n", 0},
        {HEAD "$include \"a.inc\"\n", A, 1, 10, "'a.inc' includes itself", "", "$include \"a.inc\"\n", 0},
        {HEAD "$include \"a.inc\"\n", "templates/c/b.inc", 1, 10, "'a.inc' includes itself", "",
         "$include \"b.inc\"\n", "$include \"a.inc\"\n"},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        assert_null(kgen_test_template_open(cases[i].text, cases[i].a, cases[i].b, &error));
        check_error(&cases[i], &error);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
    assert_int_not_equal(executed, 0);
}

/* Errors of one instance. */
static void test_instance_errors(void **state)
{
    (void)state;
    static const struct error_case cases[] = {
        {HEAD "a\n  ${N + gruop_size}\n", T, 3, 9, "unknown name 'gruop_size'", "did you mean 'group_size'?",
         0, 0},
        {HEAD "$let rows_per_step = 1\n${row_per_step}\n", T, 3, 3, "unknown name 'row_per_step'",
         "did you mean 'rows_per_step'?", 0, 0},
        {HEAD "$if 1\n$let x1x = 1\n$end\n${x1x}\n", T, 5, 3, "unknown name 'x1x'", "", 0, 0},
        {HEAD "$for i1i in range(2)\n$end\n${i1i}\n", T, 4, 3, "unknown name 'i1i'", "", 0, 0},
        {HEAD "$if function\n$end\n", T, 2, 5, "'function' stands for text, which can only be printed",
         "write ${function}", 0, 0},
        {HEAD "$if 0\n$elif 1 / 0\n$end\n", T, 3, 9, "division by zero: 1 divided by 0", "", 0, 0},
        {HEAD "$let x = big + 1\n", T, 2, 14, "overflow: 9223372036854775807 + 1 does not fit in 64 bits", "",
         0, 0},
        {HEAD "$for i in range(0, 4, N - 4)\n$end\n", T, 2, 25, "the step of this range is 0", "", 0, 0},
        {HEAD "$for i in range(x)\n$end\n", T, 2, 17, "unknown name 'x'", "", 0, 0},
        {HEAD "$for i in range(N)\n  $assert i < 2, \"i is small\"\n$end\n", T, 3, 3,
         "assertion failed: i is small", "", 0, 0},
        {HEAD "${table[2]}\n", T, 2, 3, "entry 2 of the table 'table', which has 2", "", 0, 0},
        {HEAD "$let y = 1\n$include \"a.inc\"\n$if 0\n$end\n$include \"b.inc\"\n", T, 6, 1,
         "the included file takes a name that has no value here: 'z'", "", "$in y\n", "$in z\n"},
        {HEAD "$include \"a.inc\"\n", A, 1, 1, "this file gives no value to 'y'", "",
         "$out y\n$if 0\n$let y = 1\n$end\n", 0},
        {HEAD "$include \"${scheme}.inc\"\n", T, 2, 1, "there is no file 'affine.inc' beside the template",
         "there are a.inc, b.inc", "x\n", "x\n"},
        {HEAD "$include \"c_${scheme}.inc\"\n", T, 2, 1,
         "there is no file 'c_affine.inc' beside the template", "no file has a name of this form", "x\n",
         "x\n"},
        {HEAD
         "$let t = \"0123456789abcdef\"\n$let t = \"${t}${t}${t}${t}${t}${t}${t}${t}\"\n"
         "$let t = \"${t}${t}${t}${t}${t}${t}${t}${t}\"\n$let t = \"${t}${t}${t}${t}${t}${t}${t}${t}\"\n"
         "$let t = \"${t}${t}${t}${t}${t}${t}${t}${t}\"\n$let t = \"${t}${t}${t}${t}${t}${t}${t}${t}\"\n"
         "$let t = \"${t}${t}${t}${t}${t}${t}${t}${t}\"\n$let t = \"${t}${t}${t}${t}${t}${t}${t}${t}\"\n",
         T, 9, 1, "the texts that $let names grow beyond 16 MiB", "", 0, 0},
        {HEAD "$include \"a.inc\"\n${y}\n", T, 3, 3, "unknown name 'y'", "", "text\n", 0},
        {HEAD "$include \"a.inc\"\n", "templates/c/b.inc", 1, 1, "assertion failed: b", "",
         "\n$include \"b.inc\"\n", "$assert 0, \"b\"\n"},
        {HEAD "$for i in range(1000000000)\n$end\n", T, 2, 1,
         "the template does not come to an end: too many steps", "", 0, 0},
        {HEAD "$for i in range(1000000000)\n$for j in range(1000000000)\n$end\n$end\n", T, 3, 1,
         "the template does not come to an end: too many steps", "", 0, 0},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        struct kgen_text out = {0};
        kgen_text_puts(&out, "kept");
        assert_int_equal(kgen_test_template_instantiate(cases[i].text, cases[i].a, cases[i].b, &out, &error),
                         -1);
        check_error(&cases[i], &error);
        assert_string_equal(out.data, "kept");
        kgen_text_free(&out);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
    assert_int_not_equal(executed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_errors),
        cmocka_unit_test(test_instance_errors),
    };
    return cmocka_run_group_tests_name("template_errors", tests, kgen_test_template_setup,
                                       kgen_test_template_teardown);
}
