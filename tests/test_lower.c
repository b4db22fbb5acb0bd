/* SPDX-License-Identifier: MIT */
/* The lowering: what becomes of statements, registers, scopes and lines, and where errors point. */
#include "gen/target/lower/lower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BODY(text) "void f(float *x, uint8_t *p, int n)\n{\n" text "\n}\n"

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *p = text; (p = strstr(p, word)) != NULL; p++)
        count++;
    return count;
}

static void lower(const char *text, enum kgen_isa isa, struct kgen_text *out)
{
    struct kgen_error error = {0};
    if (kgen_lower("t.c", text, isa, out, &error) != 0)
        fail_msg("%s:%d:%d: %s", text, error.line, error.column, error.message);
}

/* ---- errors ---- */

static const struct {
    const char *body;
    int line, column; /* of the whole text; the body begins at line 3 */
    enum kgen_error_code code;
    const char *message; /* a part of it, and of the hint */
} errors[] = {
    {"kv_f32 a = kv_ad(kv_zero(), kv_zero());", 3, 12, KGEN_ERROR_TEMPLATE,
     "kv_ad is not a vector operation"},
    {"kv_f32 a = kv_ad(kv_zero(), kv_zero());", 3, 12, KGEN_ERROR_TEMPLATE, "kv_add"},
    {"kv_f32 a = kv_add(kv_zero());", 3, 12, KGEN_ERROR_TEMPLATE, "kv_add takes 2 arguments, not 1"},
    {"kv_f32 a = kv_sqrt(kv_zero(), kv_zero());", 3, 12, KGEN_ERROR_TEMPLATE,
     "kv_sqrt takes 1 argument, not more than 1"},
    {"kv_f32 a = kv_sqrt();", 3, 12, KGEN_ERROR_TEMPLATE, "kv_sqrt takes 1 argument, not 0"},
    {"kv_f32 a = kv_zero(n);", 3, 12, KGEN_ERROR_TEMPLATE, "kv_zero takes no argument"},
    {"kv_f32 a = kv_load();", 3, 20, KGEN_ERROR_TEMPLATE, "kv_load wants an argument here"},
    {"kv_f32 a = kv_zero();\nkv_f32 b = kv_load(a);", 4, 20, KGEN_ERROR_TEMPLATE,
     "a C expression is wanted here, and a is a vector"},
    {"kv_f32 b = kv_load(x + kv_zero());", 3, 24, KGEN_ERROR_TEMPLATE, "kv_zero is a vector operation"},
    {"a = kv_zero();", 3, 5, KGEN_ERROR_TEMPLATE, "kv_zero stands in C"},
    {"kv_f32 a = kv_add(b, kv_zero());", 3, 19, KGEN_ERROR_TEMPLATE, "b is not a vector variable in scope"},
    {"{ kv_f32 b = kv_zero(); }\nkv_f32 a = kv_sqrt(b);", 4, 20, KGEN_ERROR_TEMPLATE,
     "b is not a vector variable in scope"},
    {"kv_f32 a = kv_sqrt(a);", 3, 20, KGEN_ERROR_TEMPLATE, "a has no value yet"},
    {"kv_f32 a;\nkv_store(x, a);", 4, 13, KGEN_ERROR_TEMPLATE, "a has no value yet"},
    {"kv_f32 a = kv_sqrt(1.0f);", 3, 20, KGEN_ERROR_TEMPLATE, "expected a vector operation or variable"},
    {"kv_f32 a = kv_sqrt(kv_zero_int());", 3, 20, KGEN_ERROR_TEMPLATE,
     "argument 1 of kv_sqrt is a kv_f32, this is a kv_int"},
    {"kv_f32 a = kv_zero_int();", 3, 12, KGEN_ERROR_TEMPLATE, "this is a kv_int, and the variable a kv_f32"},
    {"kv_int a = kv_zero_int();\na = kv_zero();", 4, 5, KGEN_ERROR_TEMPLATE,
     "this is a kv_f32, and the variable a kv_int"},
    {"kv_int a = kv_store(x, kv_zero());", 3, 12, KGEN_ERROR_TEMPLATE, "this is no value"},
    {"kv_int a = kv_shl_u16(kv_zero_int(), 16);", 3, 38, KGEN_ERROR_TEMPLATE, "16 is not from 0 to 15"},
    {"kv_int a = kv_shl_u64(kv_zero_int(), -1);", 3, 38, KGEN_ERROR_TEMPLATE, "-1 is not from 0 to 63"},
    {"kv_int a = kv_shl_u16(kv_zero_int(), n);", 3, 38, KGEN_ERROR_TEMPLATE,
     "kv_shl_u16 wants an integer literal"},
    {"kv_f32 a = kv_load_first(x, 17);", 3, 29, KGEN_ERROR_TEMPLATE, "17 is not from 0 to 16"},
    {"kv_f32 a = kv_set(n);", 3, 19, KGEN_ERROR_TEMPLATE, "kv_set wants a float literal"},
    {"kv_int a = kv_set_i32(4294967296);", 3, 23, KGEN_ERROR_TEMPLATE, "4294967296 is not from"},
    {"kv_f32 a = kv_zero();\nif (a) n++;", 4, 5, KGEN_ERROR_TEMPLATE,
     "a is a vector, and stands in a C expression"},
    {"kv_f32 a = kv_zero();\n\n  n = g(n, a);", 5, 7, KGEN_ERROR_TEMPLATE,
     "g is called where vectors are live"},
    {"kv_f32 a = kv_zero();\nn = (int)a;", 4, 10, KGEN_ERROR_TEMPLATE, "a is a vector"},
    {"kv_f32 a = kv_zero();\nreturn a;", 4, 8, KGEN_ERROR_TEMPLATE, "a is a vector"},
    {"n = sizeof(kv_f32);", 3, 12, KGEN_ERROR_TEMPLATE, "kv_f32 stands in C"},
    {"for (kv_f32 a = kv_zero(); n; n--) {}", 3, 6, KGEN_ERROR_TEMPLATE, "kv_f32 stands in C"},
    {"kv_f32 a[4];", 3, 8, KGEN_ERROR_TEMPLATE, "there are no arrays of vectors"},
    {"kv_f32 a, b;", 3, 9, KGEN_ERROR_TEMPLATE, "a statement declares one vector variable"},
    {"kv_f32 a;\nkv_f32 a;", 4, 8, KGEN_ERROR_TEMPLATE, "a is declared already in this block"},
    {"kv_f32 = kv_zero();", 3, 8, KGEN_ERROR_TEMPLATE, "expected the name of a vector variable"},
    {"if (n) kv_f32 a = kv_zero();", 3, 8, KGEN_ERROR_TEMPLATE, "put it in a block"},
    {"kv_f32 a = kv_zero()\nn = 1;", 4, 1, KGEN_ERROR_TEMPLATE, "expected ';'"},
    {"kv_add(kv_zero(), kv_zero());", 3, 1, KGEN_ERROR_TEMPLATE, "the value of this is not used"},
    {"kv_f32 a = kv_zero();\nn = 1; }\nint g(int a) { return kv_load(a);", 5, 23, KGEN_ERROR_TEMPLATE,
     "kv_load stands in C"},
    {"for (int i = 0; i < 4; i++) kv_prefetch(p + i, 4);", 3, 29, KGEN_ERROR_TEMPLATE,
     "kv_prefetch takes 1 argument, not more than 1"},
    {"for (int i = 0; i < 4; i++) kv_prefetch();", 3, 41, KGEN_ERROR_TEMPLATE,
     "kv_prefetch wants an argument here"},
    {"for (int i = 0; i < 4; i++) kv_prefetch(p + i)\nn = 1;", 4, 1, KGEN_ERROR_TEMPLATE, "expected ';'"},
    {"for (int i = 0; i < 4; i++) kv_prefetch(p + i;", 3, 46, KGEN_ERROR_TEMPLATE, "expected ')'"},
    {"for (int i = 0; i < 4; i++) kv_prefech(p + i);", 3, 29, KGEN_ERROR_TEMPLATE,
     "kv_prefech is not a vector operation"},
    {"for (int i = 0; i < 4; i++) { kv_prefetch(p + i);", 2, 1, KGEN_ERROR_TEMPLATE, "not closed"},
    {"kv_f32 a = kv_zero();\nfor (int i = 0; i < 4; i++) kv_prefetch(a + i);", 4, 41, KGEN_ERROR_TEMPLATE,
     "a C expression is wanted here, and a is a vector"},
    {"for (int i = 0; i < 4 kv_prefetch(p + i);", 3, 23, KGEN_ERROR_TEMPLATE, "kv_prefetch stands in C"},
    {"/* no end", 3, 1, KGEN_ERROR_TEMPLATE, "does not end"},
    {"char *s = \"no end;", 3, 11, KGEN_ERROR_TEMPLATE, "does not end"},
    {"{ n = 1;", 2, 1, KGEN_ERROR_TEMPLATE, "this bracket is not closed"},
};

static void test_errors(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(errors); i++) {
        struct kgen_text text = {0}, out = {0};
        struct kgen_error error = {0};
        kgen_text_printf(&text, BODY("%s"), errors[i].body);
        assert_int_equal(kgen_lower("t.c", text.data, KGEN_ISA_AVX512, &out, &error), -1);
        if (error.line != errors[i].line || error.column != errors[i].column ||
            error.code != errors[i].code || strcmp(error.source, "t.c") != 0 ||
            (strstr(error.message, errors[i].message) == NULL &&
             strstr(error.hint, errors[i].message) == NULL))
            fail_msg("%s\ngives %s:%d:%d: %s; %s\nnot %d:%d: %s", errors[i].body, error.source, error.line,
                     error.column, error.message, error.hint, errors[i].line, errors[i].column,
                     errors[i].message);
        kgen_text_free(&text);
        kgen_text_free(&out);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(errors));
}

/* An expression in more brackets than parsing may recurse into. */
static void test_deep_brackets(void **state)
{
    (void)state;
    enum { DEPTH = 200000 };
    char *brackets = malloc(DEPTH + 1);
    assert_non_null(brackets);
    memset(brackets, '(', DEPTH);
    brackets[DEPTH] = '\0';
    struct kgen_text text = {0}, out = {0};
    struct kgen_error error = {0};
    kgen_text_printf(&text, BODY("kv_f32 a = %skv_zero();"), brackets);
    assert_int_equal(kgen_lower("t.c", text.data, KGEN_ISA_AVX2, &out, &error), -1);
    assert_string_equal(error.message, "this vector statement is too long");
    assert_int_equal(error.line, 3);
    kgen_text_free(&text);
    kgen_text_free(&out);
    free(brackets);
}

/* ---- registers ---- */

/* A function with that many live variables. */
static void put_variables(struct kgen_text *text, int count, const char *more)
{
    kgen_text_puts(text, "void f(float *x, int n)\n{\n");
    for (int i = 0; i < count; i++)
        kgen_text_printf(text, "    kv_f32 v%d = kv_load(x);\n", i);
    kgen_text_printf(text, "%s\n}\n", more);
}

static void test_registers_run_out(void **state)
{
    (void)state;
    static const struct {
        enum kgen_isa isa;
        int variables;
        const char *more;
        const char *message; /* NULL: it fits */
    } cases[] = {
        {KGEN_ISA_AVX2, 16, "", NULL},
        {KGEN_ISA_AVX2, 17, "", "f needs 17 vector registers; avx2 has 16"},
        {KGEN_ISA_AVX2, 20, "", "f needs 20 vector registers; avx2 has 16"},
        {KGEN_ISA_AVX512, 32, "", NULL},
        {KGEN_ISA_AVX512, 33, "", "f needs 33 vector registers; avx512 has 32"},
        {KGEN_ISA_AVX2, 16, "v0 = kv_add(v1, v2);", NULL},
        {KGEN_ISA_AVX2, 16, "v0 = kv_fma(kv_mul(v0, v0), kv_mul(v1, v1), v0);",
         "f needs 18 vector registers"},
        {KGEN_ISA_AVX2, 14, "v0 = kv_fma(kv_mul(v0, v0), kv_mul(v1, v1), v0);", NULL},
        {KGEN_ISA_AVX2, 15, "{ kv_f32 a = v0; } { kv_f32 b = v0; }", NULL},
        {KGEN_ISA_AVX2, 15, "{ kv_f32 a = v0; { kv_f32 b = v0; } }", "f needs 17 vector registers"},
        {KGEN_ISA_AVX2, 8, "float s = 0;", NULL},
        {KGEN_ISA_AVX2, 9, "float s = 0;",
         "f needs 9 vector registers; avx2 has 16, of which its scalar floating point takes 8"},
        {KGEN_ISA_AVX512, 24, "x[1] = x[2];", NULL},
        {KGEN_ISA_AVX512, 25, "x[1] = x[2];", "of which its scalar floating point takes 8"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text text = {0}, out = {0};
        struct kgen_error error = {0};
        put_variables(&text, cases[i].variables, cases[i].more);
        int result = kgen_lower("t.c", text.data, cases[i].isa, &out, &error);
        if (cases[i].message == NULL) {
            if (result != 0)
                fail_msg("%zu: %s", i, error.message);
        } else {
            assert_int_equal(result, -1);
            assert_int_equal(error.code, KGEN_ERROR_CANDIDATE);
            if (strstr(error.message, cases[i].message) == NULL)
                fail_msg("%zu: %s", i, error.message);
        }
        kgen_text_free(&text);
        kgen_text_free(&out);
    }
}

/* Whether the scalar C of a function keeps xmm0 to xmm7 from its vectors. `kv_zero` into register 0 and into
 * register 8 are different bytes. */
static void test_float_arithmetic_is_seen(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keeps;
    } cases[] = {
        {"void f(float *x, int n) { kv_f32 a = kv_zero(); n = n + 1; }", false},
        {"void f(const float *restrict x) { kv_f32 a = kv_zero(); kv_f32 b = kv_load((const float *)x + 4); "
         "}",
         false},
        {"void f(float *x) { kv_f32 a = kv_set(1.5f); kv_f32 b = kv_load(&x[4]); }", false},
        {"void f(float *x) { float *y = x + 3; kv_f32 a = kv_zero(); }", false},
        {"void f(float *x) { float t[16]; kv_f32 a = kv_load(t); }", false},
        {"void f(float *x, int n) { n = 0xe + 1; kv_f32 a = kv_zero(); }", false},
        {"void f(float *x) { kv_f32 a = kv_zero(); memset(x, 0, 4); }", false},
        {"static int g(int i) { return i; } void f(float *x, int n) { kv_f32 a = kv_zero(); n = g(n); }",
         true},
        {"void g(const float *t, int n); void f(int *t, float *x, int n) { kv_f32 a = kv_zero(); n = t[3]; }",
         false},
        {"static float t[4] __attribute__((aligned(64))); void f(int n) { kv_f32 a = kv_zero(); n = t[3]; }",
         true},
        {"void f(float *x, float s) { kv_f32 a = kv_zero(); }", true},
        {"float f(float *x) { kv_f32 a = kv_zero(); return 0; }", true},
        {"void f(int n) { kv_f32 a = kv_zero(); n = (int)(n * 1.5); }", true},
        {"void f(int n) { kv_f32 a = kv_zero(); n = (int)(n * 1e3f); }", true},
        {"void f(float *x, int n) { kv_f32 a = kv_zero(); n = x[3]; }", true},
        {"void f(float *x, int n) { kv_f32 a = kv_zero(); n = *x; }", true},
        {"void f(float *x, int n) { kv_f32 a = kv_zero(); n = *(x + n); }", true},
        {"void f(float *x, int n) { kv_f32 a = kv_zero(); n = (x + n)[2]; }", true},
        {"void f(void *x, int n) { kv_f32 a = kv_zero(); n = *(float *)x; }", true},
        {"void f(void *x, int n) { kv_f32 a = kv_zero(); n = ((const float *)x)[1]; }", true},
        {"void f(float *x, int n) { kv_int a = kv_set_i32(x[1]); }", true},
        {"void f(float *x, int n) { double t[4]; kv_f32 a = kv_zero(); t[n] = 0; }", true},
        {"struct s { float d; }; void f(struct s *x, int n) { kv_f32 a = kv_zero(); n = x->d; }", true},
        {"void f(int n) { kv_f32 a = kv_zero(); n = kv_f16_to_f32(n); }", true},
        {"void g(float x) { x = x; } void f(int n) { kv_f32 a = kv_zero(); }", false},
    };
    struct kgen_text low = {0}, high = {0};
    lower("void f(void) { kv_f32 a = kv_zero(); }", KGEN_ISA_AVX512, &low);
    lower("void f(float s) { kv_f32 a = kv_zero(); }", KGEN_ISA_AVX512, &high);
    assert_string_not_equal(low.data, high.data);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text out = {0}, again = {0}, with = {0};
        lower(cases[i].text, KGEN_ISA_AVX512, &out);
        /* The same function, made to keep its low registers free by force. */
        kgen_text_printf(&with, "struct forced { float f; }; %s", cases[i].text);
        lower(with.data, KGEN_ISA_AVX512, &again);
        bool keeps = strcmp(out.data, again.data + strlen("struct forced { float f; }; ")) == 0;
        if (keeps != cases[i].keeps)
            fail_msg("%s: the low registers are %s", cases[i].text, keeps ? "kept out" : "used");
        kgen_text_free(&out);
        kgen_text_free(&again);
        kgen_text_free(&with);
    }
    kgen_text_free(&low);
    kgen_text_free(&high);
}

/* ---- merging ---- */

static void test_statements_merge(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t statements; /* asm statements but for vzeroupper */
    } cases[] = {
        {"kv_f32 a = kv_load(x);\nkv_f32 b = kv_load(x + 16);\nkv_store(x, kv_add(a, b));", 1},
        {"kv_f32 a = kv_load(x);\n/* a comment */ // and another\nkv_store(x, a);", 1},
        {"kv_f32 a = kv_load(x);\nn++;\nkv_store(x, a);", 2},
        /* five general registers */
        {"kv_f32 a = kv_add(kv_load(x + n), kv_add(kv_load(x + 2 * n), kv_add(kv_load(x + 3 * n), "
         "kv_add(kv_load(x + 4 "
         "* n), kv_load(x + 5 * n)))));",
         1},
        {"kv_f32 a = kv_add(kv_load(x + n), kv_add(kv_load(x + 2 * n), kv_add(kv_load(x + 3 * n), "
         "kv_add(kv_load(x + 4 "
         "* n), kv_add(kv_load(x + 5 * n), kv_load(x + 6 * n))))));",
         2},
        /* side effects stand alone */
        {"kv_f32 a = kv_load(x++);\nkv_f32 b = kv_load(x++);\nkv_f32 c = kv_load(x);", 3},
        {"kv_f32 a = kv_load(x);\nkv_f32 b = kv_load(x += 4);", 2},
        {"kv_f32 a = kv_load(x += 4);\nkv_f32 b = kv_zero();", 2},
        /* an expression that reads memory does not pass a store */
        {"kv_f32 a = kv_load(x);\nkv_store(x, a);\nkv_f32 b = kv_load(x + 4);", 1},
        {"int t[16];\nkv_store_int(t, kv_zero_int());\nkv_int b = kv_set_i32(t[1]);", 2},
        {"int s = 0, *q = &s;\nkv_store_first((float *)q, kv_zero(), 1);\nkv_int b = kv_set_i32(s);", 2},
        {"kv_int a = kv_set_i32(p[0]);\nkv_int b = kv_set_i32(p[1]);", 1},
        {"if (n)\n    kv_store(x, kv_zero());\nelse\n    kv_store(x + 1, kv_zero());", 2},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text text = {0}, out = {0};
        kgen_text_printf(&text, BODY("%s\nn = 0;"), cases[i].body);
        lower(text.data, KGEN_ISA_AVX512, &out);
        if (count_of(out.data, "asm(") != cases[i].statements + 1)
            fail_msg("%s\nbecomes\n%s", text.data, out.data);
        kgen_text_free(&text);
        kgen_text_free(&out);
    }
}

static void test_lines_stay(void **state)
{
    (void)state;
    static const char text[] =
        "// first\n#define N 4 \\\n    + 1\nvoid f(float *x)\n{\n    kv_f32 a =\n        kv_add(kv_load(x), "
        "/* long\n        comment */ kv_load(x + 16));\n\n    kv_store(x, a);\n    int LAST = N;\n}\n";
    struct kgen_text out = {0};
    lower(text, KGEN_ISA_AVX512, &out);
    const char *last = strstr(out.data, "LAST");
    assert_non_null(last);
    size_t before = 0, after = 0;
    for (const char *p = text; p < strstr(text, "LAST"); p++)
        before += *p == '\n';
    for (const char *p = out.data; p < last; p++)
        after += *p == '\n';
    assert_int_equal(before, after);
    kgen_text_free(&out);
}

static void test_other_text_passes(void **state)
{
    (void)state;
    static const char text[] =
        "#include \"x.h\" /* kv_add( */\n#define kv_f32_size 4\nstruct s { int a; };\nstatic const char *s = "
        "\"kv_add(a)\", c = "
        "'\\'';\nint f(struct s *a)\n{\n    a->a = 0x1p-3 > .5e-3;\n    return a->a ? s[0] : c;\n}\n";
    struct kgen_text out = {0};
    lower(text, KGEN_ISA_AVX2, &out);
    assert_string_equal(out.data, text);
    kgen_text_free(&out);
    lower("kv_f32 anything", KGEN_ISA_GENERIC, &out);
    assert_string_equal(out.data, "kv_f32 anything");
    kgen_text_free(&out);
}

static void test_upper_halves_are_cleared(void **state)
{
    (void)state;
    static const char vzeroupper[] = "\\305\\370w\\\"\""; /* at the end of an asm statement */
    static const struct {
        const char *body;
        size_t count;
    } cases[] = {
        {"n = 1;", 0},
        {"kv_f32 a = kv_zero();", 1},
        {"kv_f32 a = kv_zero(); { kv_f32 b = a; }", 1},
        {"{ kv_f32 a = kv_zero(); } { kv_f32 b = kv_zero(); }", 2},
        {"kv_store(x, kv_zero());", 1},
        {"kv_f32 a = kv_zero(); if (n) return; n++;", 2},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text text = {0}, out = {0};
        kgen_text_printf(&text, BODY("%s"), cases[i].body);
        lower(text.data, KGEN_ISA_AVX2, &out);
        if (count_of(out.data, vzeroupper) != cases[i].count)
            fail_msg("%s\nbecomes\n%s", text.data, out.data);
        kgen_text_free(&text);
        kgen_text_free(&out);
    }
}

/* ---- loops of prefetches ---- */

#define P(offset) "kv_prefetch(p + " #offset ");"

/* A loop, and the same prefetches one by one: the lowering makes the same of both. */
static const struct {
    const char *loop, *straight;
} prefetch_loops[] = {
    {"for (int i = 0; i < 256; i += 64) kv_prefetch(p + i + 8192);", P(8192) P(8256) P(8320) P(8384)},
    {"for (int i = 0; i < 256; i += 64) { kv_prefetch(p + i + 8192); }", P(8192) P(8256) P(8320) P(8384)},
    {"for (int i = 0; i < 130; i += 64) kv_prefetch(p + 8192 + i);", P(8192) P(8256) P(8320)},
    {"for (size_t line = 64; line < 66; line++) kv_prefetch(p + line);", P(64) P(65)},
    {"for (size_t i = 0; i < 3u; i += 1) kv_prefetch(p + 4096 + i * 64 - 64);", P(4032) P(4096) P(4160)},
    {"for (int i = 0; i < 2; i++) kv_prefetch(p + 64 * i + 16);", P(16) P(80)},
    {"for (int i = 0; i < 2; i++) kv_prefetch(p + i + 64 * i + 16);", P(16) P(81)},
    {"for (int i = 0; i < 128; i += 64) kv_prefetch((const uint8_t *)(x + 128) + i + 32);",
     "kv_prefetch((const uint8_t *)(x + 128) + 32); kv_prefetch((const uint8_t *)(x + 128) + 96);"},
    {"for (int i = 0; i < 128; i += 64) kv_prefetch(p + n * 4 + i + 1);",
     "kv_prefetch(p + n * 4 + 1); kv_prefetch(p + n * 4 + 65);"},
    {"for (int i = 4; i < 4; i++) kv_prefetch(p + i);", ""},
    {"for (int i = 5; i < 4; i++) kv_prefetch(p + i);", ""},
    {"for (int i = 0; i < 128; i += 64) kv_prefetch(p + i + 1);\nfor (int i = 0; i < 128; i += 64) "
     "kv_prefetch(p + i + 129);",
     P(1) P(65) "\n" P(129) P(193)},
};

/* The text of a function between two vector statements. */
static void put_between(struct kgen_text *text, const char *body)
{
    kgen_text_printf(text, BODY("kv_store(x, kv_zero());%s\nkv_store(x, kv_zero());"), body);
}

static void test_prefetch_loops(void **state)
{
    (void)state;
    static const enum kgen_isa isas[] = {KGEN_ISA_AVX2, KGEN_ISA_AVX512};
    size_t executed = 0;
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(prefetch_loops); i++, executed++) {
        struct kgen_text texts[2] = {{0}, {0}}, out[2] = {{0}, {0}};
        put_between(&texts[0], prefetch_loops[i / 2].loop);
        put_between(&texts[1], prefetch_loops[i / 2].straight);
        for (int k = 0; k < 2; k++)
            lower(texts[k].data, isas[i % 2], &out[k]);
        if (strcmp(out[0].data, out[1].data) != 0)
            fail_msg("%s\nbecomes\n%s\nnot\n%s", prefetch_loops[i / 2].loop, out[0].data, out[1].data);
        for (int k = 0; k < 2; k++) {
            kgen_text_free(&texts[k]);
            kgen_text_free(&out[k]);
        }
    }
    assert_int_equal(executed, 2 * KGEN_COUNT_OF(prefetch_loops));
}

/* Everything else stays the loop that it is. */
static void test_other_loops_stay(void **state)
{
    (void)state;
    static const char *const loops[] = {
        "for (int i = 0; i < n; i++) kv_prefetch(p + i);",
        "for (int i = n; i < 9; i++) kv_prefetch(p + i);",
        "for (int i = 0; i < 9; i += n) kv_prefetch(p + i);",
        "for (int i = 0; i < 9; i += 0) kv_prefetch(p + i);",
        "for (int i = 0; i < 9; i += -1) kv_prefetch(p + i);",
        "for (int i = 0; i < 9; i--) kv_prefetch(p + i);",
        "for (int i = 9; i > 0; i--) kv_prefetch(p + i);",
        "for (int i = 0; i != 9; i++) kv_prefetch(p + i);",
        "for (int i = 0; i < 1.5; i++) kv_prefetch(p + i);",
        "for (int i = 0; n < 9; i++) kv_prefetch(p + i);",
        "for (int i = 0; i < 9; n++) kv_prefetch(p + i);",
        "for (int k = 0; i < 9; i++) kv_prefetch(p + i);",
        "for (n = 0; n < 9; n++) kv_prefetch(p + n);",
        "for (int8_t i = 0; i < 200; i++) kv_prefetch(p + i);",
        "for (int i = 0, j = 0; i < 9; i++) kv_prefetch(p + i);",
        "for (int i = 0; i < 9, n; i++) kv_prefetch(p + i);",
        "for (;;) kv_prefetch(p);",
        "for (int i = 0; i < 257; i++) kv_prefetch(p + i);",
        "for (int i = 0; i < 33554432; i += 16777216) kv_prefetch(p + i);",
        "for (int i = 0; i < 256; i++) kv_prefetch(p + i * 16777216);",
        "for (int i = 0; i < 9; i++) kv_prefetch(p);",
        "for (int i = 0; i < 9; i++) kv_prefetch(p - i);",
        "for (int i = 0; i < 9; i++) kv_prefetch(p + i * i);",
        "for (int i = 0; i < 9; i++) kv_prefetch(p + i * n);",
        "for (int i = 0; i < 9; i++) kv_prefetch(p + i % 4);",
        "for (int i = 0; i < 9; i++) kv_prefetch(p + (i & 4));",
        "for (int i = 0; i < 9; i++) kv_prefetch(n ? p : p + i);",
        "for (int i = 0; i < 9; i++) kv_prefetch(p + n - i + 4);",
        "for (int i = 0; i < 9; i++) kv_prefetch(p++ + i);",
        "for (int i = 0; i < 9; i++) kv_prefetch((p += 4) + i);",
        "for (int i = 0; i < 9; i++) { kv_prefetch(p + i); n++; }",
        "for (int i = 0; i < 9; i++) { kv_prefetch(p + i); kv_prefetch(p + i + 64); }",
        "for (int i = 0; i < 9; i++) { n++; kv_prefetch(p + i); }",
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(loops); i++) {
        struct kgen_text text = {0}, out = {0};
        put_between(&text, loops[i]);
        lower(text.data, KGEN_ISA_AVX512, &out);
        if (count_of(out.data, "for (") != 1)
            fail_msg("%s\nbecomes\n%s", loops[i], out.data);
        kgen_text_free(&text);
        kgen_text_free(&out);
    }
}

static void test_no_lowering_to_neon(void **state)
{
    (void)state;
    struct kgen_text out = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_lower("t.c", "", KGEN_ISA_NEON, &out, &error), -1);
    assert_int_equal(error.code, KGEN_ERROR_USAGE);
    kgen_text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_deep_brackets),
        cmocka_unit_test(test_registers_run_out),
        cmocka_unit_test(test_float_arithmetic_is_seen),
        cmocka_unit_test(test_statements_merge),
        cmocka_unit_test(test_lines_stay),
        cmocka_unit_test(test_other_text_passes),
        cmocka_unit_test(test_upper_halves_are_cleared),
        cmocka_unit_test(test_prefetch_loops),
        cmocka_unit_test(test_other_loops_stay),
        cmocka_unit_test(test_no_lowering_to_neon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
