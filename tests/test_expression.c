/* SPDX-License-Identifier: MIT */
/* Expressions: operators, precedence, limits, errors with their columns. */
#include "gen/template/expression.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const entries[] = {"zero", "one", "two"};

static struct kgen_bindings bindings;

static int setup(void **state)
{
    (void)state;
    kgen_bind_value(&bindings, "a", 7);
    kgen_bind_value(&bindings, "b", 3);
    kgen_bind_value(&bindings, "group_size", 64);
    kgen_bind_value(&bindings, "smallest", INT64_MIN);
    kgen_bind_value(&bindings, "largest", INT64_MAX);
    kgen_bind_constant(&bindings, "word", 5, "affine");
    kgen_bind_text(&bindings, "function", "qmv_kernel");
    kgen_bind_table(&bindings, "table", entries, KGEN_COUNT_OF(entries));
    return bindings.failed;
}

static int teardown(void **state)
{
    (void)state;
    kgen_bindings_free(&bindings);
    return 0;
}

/* Parses and prints text as ${text} would, as line 5 of x.c.in. Returns how much of it was parsed. */
static size_t print(const char *text, struct kgen_text *out, struct kgen_error *error)
{
    struct kgen_expressions expressions = {0};
    struct kgen_cursor cursor = {
        .source = "x.c.in", .line = 5, .start = text, .at = text, .end = text + strlen(text), .error = error};
    int32_t root = kgen_expression_parse(&expressions, &cursor, true);
    if (root != KGEN_ABSENT) {
        struct kgen_slot *slots = calloc(expressions.names.count + 1, sizeof *slots);
        assert_non_null(slots);
        for (size_t i = 0; i < bindings.count; i++) {
            const struct kgen_binding *binding = &bindings.items[i];
            int32_t name = kgen_names_find(&expressions.names, binding->name, strlen(binding->name));
            if (name == KGEN_ABSENT)
                continue;
            slots[name] = kgen_slot_of_binding(binding);
        }
        struct kgen_evaluation evaluation = {.expressions = &expressions,
                                             .slots = slots,
                                             .bindings = &bindings,
                                             .steps = 100000,
                                             .source = "x.c.in",
                                             .line = 5,
                                             .error = error};
        kgen_expression_print(&evaluation, root, out);
        free(slots);
    }
    kgen_expressions_free(&expressions);
    return (size_t)(cursor.at - cursor.start);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"0", "0"},
        {"42", "42"},
        {"0x2a", "42"},
        {"0XfF", "255"},
        {"9223372036854775807", "9223372036854775807"},
        {"0x7fffffffffffffff", "9223372036854775807"},
        {"-9223372036854775807 - 1", "-9223372036854775808"},
        {"a", "7"},
        {" a\t+ b ", "10"},
        {"function", "qmv_kernel"},
        {"(function)", "qmv_kernel"},
        {"table[0]", "zero"},
        {"table[ b - 1 ]", "two"},
        {"(table[1])", "one"},
        /* each operator */
        {"a + b", "10"},
        {"b - a", "-4"},
        {"a * b", "21"},
        {"a / b", "2"},
        {"a % b", "1"},
        {"-a / b", "-2"},
        {"-a % b", "-1"},
        {"a / -b", "-2"},
        {"a % -b", "1"},
        {"a << b", "56"},
        {"a >> 1", "3"},
        {"-a >> 1", "-4"},
        {"-1 >> 63", "-1"},
        {"-1 << 63", "-9223372036854775808"},
        {"0 << 63", "0"},
        {"1 << 62", "4611686018427387904"},
        {"-2 << 62", "-9223372036854775808"},
        {"a < b", "0"},
        {"b < a", "1"},
        {"a < a", "0"},
        {"a <= a", "1"},
        {"a <= b", "0"},
        {"a > b", "1"},
        {"a > a", "0"},
        {"a >= a", "1"},
        {"b >= a", "0"},
        {"a == a", "1"},
        {"a == b", "0"},
        {"a != b", "1"},
        {"a != a", "0"},
        {"a & b", "3"},
        {"a & 4", "4"},
        {"a ^ b", "4"},
        {"8 | b", "11"},
        {"!a", "0"},
        {"!0", "1"},
        {"!!a", "1"},
        {"~a", "-8"},
        {"- -a", "7"},
        {"--a", "7"},
        {"1 ? a : b", "7"},
        {"0 ? a : b", "3"},
        {"a && b", "1"},
        {"a && 0", "0"},
        {"0 || b", "1"},
        {"0 || 0", "0"},
        /* functions */
        {"min(a, b)", "3"},
        {"min(b, a)", "3"},
        {"max(a, b)", "7"},
        {"max(b, a)", "7"},
        {"abs(-a)", "7"},
        {"abs(a)", "7"},
        {"ceil_div(7, 2)", "4"},
        {"ceil_div(8, 2)", "4"},
        {"ceil_div(-7, 2)", "-3"},
        {"ceil_div(7, -2)", "-3"},
        {"ceil_div(-7, -2)", "4"},
        {"ceil_div(0, 5)", "0"},
        {"ceil_div(9223372036854775807, 2)", "4611686018427387904"},
        {"hex(255)", "0xff"},
        {"hex(0)", "0x0"},
        {"hex(-1)", "0xffffffffffffffff"},
        {"hex(16) + 1", "17"},
        {"min (a, b)", "3"},
        {"plus(a)", " + 7"},
        {"plus(b - a)", " - 4"},
        {"plus(a - 7)", ""},
        {"plus(smallest)", " - 9223372036854775808"},
        {"plus(a) * 2", "14"},
        /* text */
        {"\"\"", ""},
        {"\"x + ${a * b}\"", "x + 21"},
        {"\"${function}${plus(b)}, ${table[1]}\"", "qmv_kernel + 3, one"},
        {"a > b ? \"more\" : \"less by ${b - a}\"", "more"},
        {"a < b ? \"more\" : a == b ? \"even\" : \"less by ${a - b}\"", "less by 4"},
        {"a > b ? function : \"${1 / 0}\"", "qmv_kernel"},
        {"word", "affine"},
        {"word + 1", "6"},
        /* precedence and association */
        {"1 + 2 * 3", "7"},
        {"(1 + 2) * 3", "9"},
        {"10 - 3 - 2", "5"},
        {"100 / 10 / 5", "2"},
        {"100 / 10 * 5", "50"},
        {"2 * 7 % 4", "2"},
        {"1 << 2 + 1", "8"},
        {"1 << 2 << 1", "8"},
        {"1 << 3 < 9", "1"},
        {"1 < 2 == 1", "1"},
        {"3 > 2 > 1", "0"},
        {"4 & 6 == 6", "0"},
        {"1 == 2 & 0", "0"},
        {"6 ^ 3 & 1", "7"},
        {"4 | 1 ^ 1", "4"},
        {"1 | 2 && 0", "0"},
        {"1 || 1 && 0", "1"},
        {"0 && 1 || 1", "1"},
        {"-2 + 5", "3"},
        {"!0 + 1", "2"},
        {"~0 & 15", "15"},
        {"-a * -b", "21"},
        {"1 || 0 ? 5 : 6", "5"},
        {"0 ? 1 : 0 ? 2 : 3", "3"},
        {"1 ? 0 ? 1 : 2 : 3", "2"},
        {"1 ? 2 : 3 + 10", "2"},
        {"a<b|b>=3", "1"},
        /* what is not needed is not evaluated */
        {"0 && 1 / 0", "0"},
        {"1 || 1 / 0", "1"},
        {"1 ? 5 : 1 / 0", "5"},
        {"0 ? 1 / 0 : 5", "5"},
        {"0 && unknown", "0"},
        {"a == 7 || unknown", "1"},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text out = {0};
        struct kgen_error error = {0};
        kgen_text_puts(&out, "");
        size_t parsed = print(cases[i].text, &out, &error);
        if (error.code != KGEN_ERROR_NONE || strcmp(out.data, cases[i].printed) != 0)
            fail_msg("%s: expected %s, got %s %s", cases[i].text, cases[i].printed,
                     out.data != NULL ? out.data : "nothing", error.message);
        assert_int_equal(parsed, strlen(cases[i].text));
        kgen_text_free(&out);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
    assert_int_not_equal(executed, 0);
}

/* Every pair of binary operators groups as in C: the compiler says what is right. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wparentheses"
#pragma GCC diagnostic ignored "-Wint-in-bool-context"
/* clang-format off */
#define PAIR(first, second) {#first, #second, x first y second z},
#define PAIRS(first) \
    PAIR(first, ||) PAIR(first, &&) PAIR(first, |) PAIR(first, ^) PAIR(first, &) PAIR(first, ==) \
    PAIR(first, !=) PAIR(first, <) PAIR(first, <=) PAIR(first, >) PAIR(first, >=) PAIR(first, <<) \
    PAIR(first, >>) PAIR(first, +) PAIR(first, -) PAIR(first, *) PAIR(first, /) PAIR(first, %)
static size_t check_pairs(int64_t x, int64_t y, int64_t z)
{
    const struct {
        const char *first, *second;
        int64_t value;
    } cases[] = {
        PAIRS(||) PAIRS(&&) PAIRS(|) PAIRS(^) PAIRS(&) PAIRS(==) PAIRS(!=) PAIRS(<) PAIRS(<=)
        PAIRS(>) PAIRS(>=) PAIRS(<<) PAIRS(>>) PAIRS(+) PAIRS(-) PAIRS(*) PAIRS(/) PAIRS(%)
    };
    /* clang-format on */
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text text = {0}, expected = {0}, out = {0};
        struct kgen_error error = {0};
        kgen_text_printf(&text, "%d %s %d %s %d", (int)x, cases[i].first, (int)y, cases[i].second, (int)z);
        kgen_text_printf(&expected, "%lld", (long long)cases[i].value);
        print(text.data, &out, &error);
        if (error.code != KGEN_ERROR_NONE || strcmp(out.data, expected.data) != 0)
            fail_msg("%s: expected %s, got %s %s", text.data, expected.data,
                     out.data != NULL ? out.data : "nothing", error.message);
        kgen_text_free(&text);
        kgen_text_free(&expected);
        kgen_text_free(&out);
    }
    return KGEN_COUNT_OF(cases);
}
#pragma GCC diagnostic pop

static void test_precedence(void **state)
{
    (void)state;
    /* Falling, so that no shift is negative. */
    static const int64_t operands[][3] = {{12, 5, 3}, {6, 5, 2}, {7, 1, 1}, {4, 4, 2},
                                          {1, 1, 1},  {9, 4, 2}, {3, 2, 1}, {7, 3, 3}};
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(operands); i++)
        executed += check_pairs(operands[i][0], operands[i][1], operands[i][2]);
    assert_int_equal(executed, 18 * 18 * KGEN_COUNT_OF(operands));
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int column;
        const char *message, *hint;
    } cases[] = {
        {"", 1, "expected a number, a name or '(', found the end of the line", ""},
        {"1 + ", 5, "expected a number, a name or '(', found the end of the line", ""},
        {"1 + )", 5, "expected a number, a name or '(', found ')'", ""},
        {"+1", 1, "expected a number, a name or '(', found '+'", ""},
        {"\x01", 1, "expected a number, a name or '(', found the byte 0x01", ""},
        {"(1", 3, "expected ')' or an operator, found the end of the line", ""},
        {"(a = 1)", 4, "expected ')' or an operator, found '='", "values are compared with =="},
        {"(a b)", 4, "expected ')' or an operator, found 'b'", ""},
        {"1 ? 2", 6, "expected ':', found the end of the line", ""},
        {"1 ? 2 ; 3", 7, "expected ':', found ';'", ""},
        {"12u", 1, "a number is decimal or 0x and hexadecimal digits, without a suffix", ""},
        {"0x", 1, "a number is decimal or 0x and hexadecimal digits, without a suffix", ""},
        {"0xfg", 1, "a number is decimal or 0x and hexadecimal digits, without a suffix", ""},
        {"a + 010", 5, "a decimal number does not begin with 0", ""},
        {"9223372036854775808", 1, "the number does not fit in 64 bits", ""},
        {"0x8000000000000000", 1, "the number does not fit in 64 bits", ""},
        {"mni(1, 2)", 1, "unknown function 'mni'", "did you mean 'min'?"},
        {"sqrt(1)", 1, "unknown function 'sqrt'", "the functions are min, max, abs, ceil_div, hex and plus"},
        {"min(1)", 6, "expected ',', found ')'", ""},
        {"min(1, 2, 3)", 9, "expected ')', found ','", ""},
        {"abs()", 5, "expected a number, a name or '(', found ')'", ""},
        {"min + 1", 5, "expected '(' after the name of a function, found '+'", ""},
        {"table[0", 8, "expected ']', found the end of the line", ""},
        {"1 + table[0]", 5, "an entry of a table is text, which can only be printed",
         "write it in a ${...} of its own"},
        {"!table[0]", 2, "an entry of a table is text, which can only be printed",
         "write it in a ${...} of its own"},
        {"table[table[0]]", 7, "an entry of a table is text, which can only be printed",
         "write it in a ${...} of its own"},
        {"1 ? table[0] : 2", 5, "an entry of a table is text, which can only be printed",
         "write it in a ${...} of its own"},
        {"hex(table[0])", 5, "an entry of a table is text, which can only be printed",
         "write it in a ${...} of its own"},
        {"1 + \"a\"", 5, "a text can only be printed, or be given a name by $let", ""},
        {"\"a\" ? 1 : 2", 1, "a text can only be printed, or be given a name by $let", ""},
        {"\"a", 1, "the text has no closing quote on this line", ""},
        {"\"a$b\"", 3, "a '$' in a text stands before '{'", ""},
        {"\"${a\"", 5, "expected '}' or an operator, found the end of the line", ""},
        {"\"${1 +}\"", 7, "expected a number, a name or '(', found '}'", ""},
        /* of evaluation */
        {"1 + (a ? \"b\" : \"c\")", 10, "a text can only be printed", ""},
        {"\"${gruop_size}\"", 4, "unknown name 'gruop_size'", "did you mean 'group_size'?"},
        {"1 + gruop_size", 5, "unknown name 'gruop_size'", "did you mean 'group_size'?"},
        {"Group_size", 1, "unknown name 'Group_size'", "did you mean 'group_size'?"},
        {"zebra", 1, "unknown name 'zebra'", ""},
        {"1 + function", 5, "'function' stands for text, which can only be printed", "write ${function}"},
        {"1 + table", 5, "'table' is a table of text, of which only an entry can be printed",
         "write ${table[i]}"},
        {"table", 1, "'table' is a table of text, of which only an entry can be printed",
         "write ${table[i]}"},
        {"table[3]", 1, "entry 3 of the table 'table', which has 3", ""},
        {"table[-1]", 1, "entry -1 of the table 'table', which has 3", ""},
        {"a[0]", 1, "'a' is not a table", ""},
        {"function[0]", 1, "'function' is not a table", ""},
        {"tabel[0]", 1, "unknown name 'tabel'", "did you mean 'table'?"},
        {"largest + 1", 9, "overflow: 9223372036854775807 + 1 does not fit in 64 bits", ""},
        {"smallest - 1", 10, "overflow: -9223372036854775808 - 1 does not fit in 64 bits", ""},
        {"largest * 2", 9, "overflow: 9223372036854775807 * 2 does not fit in 64 bits", ""},
        {"smallest * -1", 10, "overflow: -9223372036854775808 * -1 does not fit in 64 bits", ""},
        {"-smallest", 1, "overflow: -(-9223372036854775808) does not fit in 64 bits", ""},
        {"abs(smallest)", 1, "overflow: -(-9223372036854775808) does not fit in 64 bits", ""},
        {"a / 0", 3, "division by zero: 7 divided by 0", ""},
        {"a % (b - 3)", 3, "division by zero: 7 divided by 0", ""},
        {"ceil_div(a, 0)", 1, "division by zero: 7 divided by 0", ""},
        {"smallest / -1", 10, "overflow: -9223372036854775808 divided by -1 does not fit in 64 bits", ""},
        {"smallest % -1", 10, "overflow: -9223372036854775808 divided by -1 does not fit in 64 bits", ""},
        {"ceil_div(smallest, -1)", 1, "overflow: -9223372036854775808 divided by -1 does not fit in 64 bits",
         ""},
        {"1 << 64", 3, "a shift by 64 is out of the range 0 to 63", ""},
        {"1 >> -1", 3, "a shift by -1 is out of the range 0 to 63", ""},
        {"1 >> 64", 3, "a shift by 64 is out of the range 0 to 63", ""},
        {"1 << 63", 3, "overflow: 1 << 63 does not fit in 64 bits", ""},
        {"-2 << 63", 4, "overflow: -2 << 63 does not fit in 64 bits", ""},
        {"2 << 62", 3, "overflow: 2 << 62 does not fit in 64 bits", ""},
        {"1 && 1 / 0", 8, "division by zero: 1 divided by 0", ""},
        {"0 || 1 / 0", 8, "division by zero: 1 divided by 0", ""},
        {"1 ? 1 / 0 : 2", 7, "division by zero: 1 divided by 0", ""},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text out = {0};
        struct kgen_error error = {0};
        print(cases[i].text, &out, &error);
        if (error.code != KGEN_ERROR_TEMPLATE || error.line != 5 || error.column != cases[i].column ||
            strcmp(error.source, "x.c.in") != 0 || strcmp(error.message, cases[i].message) != 0 ||
            strcmp(error.hint, cases[i].hint) != 0) {
            char text[1024];
            fail_msg("'%s': expected column %d, %s; %s\ngot %s", cases[i].text, cases[i].column,
                     cases[i].message, cases[i].hint, kgen_error_format(&error, text, sizeof text));
        }
        kgen_text_free(&out);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
    assert_int_not_equal(executed, 0);
}

/* An expression ends where it cannot go on; what follows is the caller's. */
static void test_end(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t parsed;
    } cases[] = {{"a}", 1}, {"a, b", 1}, {"a ) ", 2}, {"a + b;", 5}, {"a \"text\"", 2}, {"a b", 2}};
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text out = {0};
        struct kgen_error error = {0};
        assert_int_equal(print(cases[i].text, &out, &error), cases[i].parsed);
        assert_int_equal(error.code, KGEN_ERROR_NONE);
        kgen_text_free(&out);
    }
}

/* Whatever repeats, nesting ends in an error and never in an exhausted stack. */
static void test_depth(void **state)
{
    (void)state;
    static const char *const repeated[] = {"(",      "-",    "1 ? ", "0 ? 1 : ", "min(",
                                           "table[", "1 + ", "!(",   "0 || (",   "abs(-("};
    for (size_t i = 0; i < KGEN_COUNT_OF(repeated); i++) {
        struct kgen_text text = {0}, out = {0};
        for (int j = 0; j < 100000; j++)
            kgen_text_puts(&text, repeated[i]);
        kgen_text_puts(&text, "1");
        struct kgen_error error = {0};
        print(text.data, &out, &error);
        assert_string_equal(error.message, "the expression is nested more than 200 deep");
        assert_int_not_equal(error.column, 0);
        kgen_text_free(&text);
        kgen_text_free(&out);
    }
    struct kgen_text text = {0}, out = {0};
    for (int j = 0; j < 190; j++)
        kgen_text_puts(&text, "1 + ");
    kgen_text_puts(&text, "1");
    struct kgen_error error = {0};
    print(text.data, &out, &error);
    assert_string_equal(error.message, "");
    assert_string_equal(out.data, "191");
    kgen_text_free(&text);
    kgen_text_free(&out);
}

/* Names keep their numbers while the table grows. */
static void test_names(void **state)
{
    (void)state;
    struct kgen_names names = {0};
    static char texts[500][16];
    assert_int_equal(kgen_names_find(&names, "x", 1), KGEN_ABSENT);
    for (int i = 0; i < 500; i++) {
        snprintf(texts[i], sizeof texts[i], "n%d", i);
        assert_int_equal(kgen_names_add(&names, texts[i], strlen(texts[i])), i);
    }
    for (int i = 0; i < 500; i++) {
        assert_int_equal(kgen_names_add(&names, texts[i], strlen(texts[i])), i);
        assert_int_equal(kgen_names_find(&names, texts[i], strlen(texts[i])), i);
    }
    assert_int_equal(kgen_names_find(&names, "n500", 4), KGEN_ABSENT);
    assert_int_equal(kgen_names_find(&names, "n", 1), KGEN_ABSENT);
    free(names.items);
    free(names.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_precedence), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_end),    cmocka_unit_test(test_depth),      cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("expression", tests, setup, teardown);
}
