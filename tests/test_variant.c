/* SPDX-License-Identifier: MIT */
/* Variants: which are listed and in which order, the names their templates see, their names and hashes. */
#include "gen/ops/rope.h"
#include "gen/target/variant.h"
#include "gen/template/embedded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_ISA ((1u << KGEN_ISA_COUNT) - 1)

static struct kgen_problem qmv_problem(void)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    kgen_problem_set(&problem, "N", 96);
    kgen_problem_set(&problem, "K", 256);
    kgen_problem_set(&problem, "bits", 4);
    kgen_problem_set(&problem, "group_size", 64);
    kgen_problem_set(&problem, "scale_dtype", KGEN_BF16);
    kgen_problem_set(&problem, "activation_dtype", KGEN_I8);
    return problem;
}

static struct kgen_problem rope_problem(void)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("rope"));
    kgen_problem_set(&problem, "heads", 4);
    kgen_problem_set(&problem, "head_dim", 64);
    kgen_problem_set(&problem, "rotary_dim", 32);
    kgen_problem_set_real(&problem, "theta", 500000);
    return problem;
}

static struct kgen_templates *open_texts(const char *const *paths_and_texts, size_t count)
{
    struct kgen_embedded_file files[8] = {{NULL, NULL, 0}};
    for (size_t i = 0; i < count; i++)
        files[i] = (struct kgen_embedded_file){paths_and_texts[2 * i], paths_and_texts[2 * i + 1],
                                               strlen(paths_and_texts[2 * i + 1])};
    struct kgen_error error = {0};
    struct kgen_templates *set = kgen_templates_open_table(files, "c", &error);
    if (set == NULL)
        fail_msg("%s:%d:%d: %s", error.source, error.line, error.column, error.message);
    return set;
}

static const char qmv_b_text[] = "$template qmv_b \"B.\"\n$op qmv\n$isa avx512 avx2\n$param rows = 2, 1, 4\n"
                                 "$param ahead = 0, 512\n$require N % rows == 0, \"rows\"\n"
                                 "$require rows < 4 || isa == avx512 && ahead, \"registers\"\n${rows}\n";
static const char qmv_a_text[] = "$template qmv_a \"A.\"\n$op qmv\n$isa avx2 generic\n"
                                 "$param depth = 1, 2 when isa == avx2\n"
                                 "$require activation_dtype == i8 && bits <= 4, \"bits\"\nx\n";
static const char add_text[] = "$template add \"Adds.\"\n$op add\n$isa avx512 avx2 generic neon\nx\n";
static const char header_text[] = "$template kv \"Support.\"\n$param rows = 1\nx\n";

static const char *const list_texts[] = {
    "c/qmv_b.c.in", qmv_b_text, "c/qmv_a.c.in", qmv_a_text, "c/add.c.in", add_text, "c/kv.h.in", header_text,
};

static void test_list(void **state)
{
    (void)state;
    static const struct {
        int64_t N, bits;
        unsigned isas;
        const char *expected;
    } cases[] = {
        {96, 4, EVERY_ISA,
         "qmv_b avx512 rows=2 ahead=0|qmv_b avx512 rows=2 ahead=512|qmv_b avx512 rows=1 ahead=0|"
         "qmv_b avx512 rows=1 ahead=512|qmv_b avx512 rows=4 ahead=512|qmv_a avx2 depth=1|qmv_a avx2 "
         "depth=2|qmv_b avx2 rows=2 ahead=0|"
         "qmv_b avx2 rows=2 ahead=512|qmv_b avx2 rows=1 ahead=0|qmv_b avx2 rows=1 ahead=512|qmv_a generic|"},
        {7, 8, EVERY_ISA,
         "qmv_b avx512 rows=1 ahead=0|qmv_b avx512 rows=1 ahead=512|qmv_b avx2 rows=1 ahead=0|"
         "qmv_b avx2 rows=1 ahead=512|"},
        {7, 4, 1u << KGEN_ISA_GENERIC | 1u << KGEN_ISA_NEON, "qmv_a generic|"},
        {7, 4, 1u << KGEN_ISA_NEON, ""},
        {7, 4, 0, ""},
    };
    struct kgen_templates *set = open_texts(list_texts, KGEN_COUNT_OF(list_texts) / 2);
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_problem problem = qmv_problem();
        kgen_problem_set(&problem, "N", cases[i].N);
        kgen_problem_set(&problem, "bits", cases[i].bits);
        struct kgen_variants variants;
        struct kgen_error error = {0};
        struct kgen_text names = {0};
        assert_int_equal(kgen_variants_list(set, &problem, cases[i].isas, &variants, &error), 0);
        kgen_text_puts(&names, "");
        for (size_t j = 0; j < variants.count; j++) {
            kgen_variant_name(&variants.items[j], &names);
            kgen_text_puts(&names, "|");
        }
        assert_string_equal(names.data, cases[i].expected);
        kgen_text_free(&names);
        kgen_variants_free(&variants);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
    assert_int_not_equal(executed, 0);
    kgen_templates_free(set);
}

/* A field of another op, or one that is text, is an error with its place. */
static void test_list_errors(void **state)
{
    (void)state;
    static const struct {
        const char *require, *message;
        int column;
    } cases[] = {
        {"head_dim > 1", "unknown name 'head_dim'", 10},
        {"1 && eps", "unknown name 'eps'", 15},
        {"function", "'function' stands for text, which can only be printed", 10},
        {"threads", "unknown name 'threads'", 10},
        {"inverse_frequency", "unknown name 'inverse_frequency'", 10},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text text = {0};
        kgen_text_printf(&text, "$template q \"Q.\"\n$op qmv\n$isa avx2\n$require %s, \"r\"\n",
                         cases[i].require);
        struct kgen_templates *set = open_texts((const char *const[]){"c/q.c.in", text.data}, 1);
        struct kgen_problem problem = qmv_problem();
        struct kgen_variants variants;
        struct kgen_error error = {0};
        assert_int_equal(kgen_variants_list(set, &problem, EVERY_ISA, &variants, &error), -1);
        assert_int_equal(variants.count, 0);
        assert_int_equal(error.code, KGEN_ERROR_TEMPLATE);
        assert_string_equal(error.message, cases[i].message);
        assert_string_equal(error.source, "templates/c/q.c.in");
        assert_int_equal(error.line, 4);
        assert_int_equal(error.column, cases[i].column);
        kgen_templates_free(set);
        kgen_text_free(&text);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

/* The text of a template of one problem and instruction set with the parameter rows = 3; freed by the caller.
 */
static char *variant_text(const struct kgen_problem *problem, enum kgen_isa isa, const char *body)
{
    struct kgen_text text = {0}, out = {0};
    kgen_text_printf(&text, "$template v \"V.\"\n$op %s\n$isa avx512 avx2 neon generic\n$param rows_ = 3\n%s",
                     problem->op->name, body);
    struct kgen_templates *set = open_texts((const char *const[]){"c/v.c.in", text.data}, 1);
    struct kgen_variant variant = {.tmpl = kgen_templates_at(set, 0), .isa = isa, .values = {3}};
    struct kgen_error error = {0};
    if (kgen_variant_text(&variant, problem, "my_kernel", &out, &error) != 0)
        fail_msg("%d:%d: %s", error.line, error.column, error.message);
    kgen_text_free(&text);
    kgen_templates_free(set);
    return out.data;
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        enum kgen_isa isa;
        const char *expected;
    } cases[] = {
        {KGEN_ISA_AVX512, "my_kernel 64 16 32 3 1000"},
        {KGEN_ISA_AVX2, "my_kernel 32 8 16 3 0100"},
        {KGEN_ISA_NEON, "my_kernel 16 4 32 3 0010"},
        {KGEN_ISA_GENERIC, "my_kernel 0 0 0 3 0001"},
    };
    struct kgen_problem problem = qmv_problem();
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char *text = variant_text(&problem, cases[i].isa,
                                  "${function} ${vector_bytes} ${lanes} ${registers} ${rows_} "
                                  "${isa == avx512}${isa == avx2}${isa == neon}${isa == generic}");
        assert_string_equal(text, cases[i].expected);
        free(text);
    }
    char *text = variant_text(&problem, KGEN_ISA_AVX2,
                              "${N} ${K} ${bits} ${group_size} ${scheme == affine} ${scale_dtype == bf16} "
                              "${scale_dtype == f16} ${activation_dtype == i8} ${activation_dtype == "
                              "scale_dtype} ${scale_dtype} ${isa}");
    assert_string_equal(text, "96 256 4 64 1 1 0 1 0 bf16 avx2");
    free(text);
}

/* Every word and instruction set is a name of its own, and none hides a field of any op. */
static void test_distinct_names(void **state)
{
    (void)state;
    const char *names[KGEN_CONSTANT_COUNT + KGEN_ISA_COUNT];
    size_t count = 0, executed = 0;
    for (int word = 0; word < KGEN_CONSTANT_COUNT; word++)
        names[count++] = kgen_constant_name((int64_t)word);
    for (int isa = 0; isa < KGEN_ISA_COUNT; isa++)
        names[count++] = kgen_isa_info((enum kgen_isa)isa)->name;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
        for (size_t op = 0; op < kgen_op_count(); op++) {
            const struct kgen_op *info = kgen_op_at(op);
            for (size_t j = 0; j < info->field_count; j++, executed++)
                assert_string_not_equal(names[i], info->fields[j].name);
        }
    }
    assert_int_not_equal(executed, 0);
}

/* A field with a fraction is printed as a C double literal of the same value, in every locale. */
static void test_reals(void **state)
{
    (void)state;
    static const double values[] = {1e-6, 1e-5, 0.1, 1.0 / 3.0, 1, 0.5, 1e-12, 9.999999999999999e-7, 0.125};
    static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("rms_norm"));
    kgen_problem_set(&problem, "rows", 1);
    kgen_problem_set(&problem, "size", 64);
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(locales); i++) {
        if (setlocale(LC_NUMERIC, locales[i]) == NULL) {
            print_message("skipped: the locale %s is not installed\n", locales[i]);
            continue;
        }
        for (size_t j = 0; j < KGEN_COUNT_OF(values); j++) {
            kgen_problem_set_real(&problem, "eps", values[j]);
            setlocale(LC_NUMERIC, locales[i]);
            char *text = variant_text(&problem, KGEN_ISA_AVX2, "${eps}");
            setlocale(LC_NUMERIC, "C");
            assert_true(strtod(text, NULL) == values[j]);
            assert_true(strpbrk(text, ".e") != NULL);
            assert_int_equal(strspn(text, "0123456789.e+-"), strlen(text));
            free(text);
            executed++;
        }
    }
    setlocale(LC_NUMERIC, "C");
    assert_int_not_equal(executed, 0);
    kgen_problem_set_real(&problem, "eps", 1);
    char *text = variant_text(&problem, KGEN_ISA_AVX2, "${eps}|${size}|${residual}");
    assert_string_equal(text, "1.0|64|0");
    free(text);
}

static void test_rope(void **state)
{
    (void)state;
    struct kgen_problem problem = rope_problem();
    char *text = variant_text(&problem, KGEN_ISA_AVX2,
                              "${pairing == half} ${theta} ${factor}\n$for i in range(rotary_dim / 2)\n"
                              "${inverse_frequency[i]}\n$end\n");
    const char *line = strchr(text, '\n');
    assert_non_null(line);
    assert_int_equal(strncmp(text, "1 500000.0 1.0\n", 15), 0);
    for (int64_t i = 0; i < 16; i++) {
        char *end;
        assert_true(strtod(line + 1, &end) == kgen_rope_frequency(&problem, i));
        assert_true(memchr(line + 1, '.', (size_t)(end - line)) ||
                    memchr(line + 1, 'e', (size_t)(end - line)));
        assert_int_equal(*end, '\n');
        line = end;
    }
    assert_string_equal(line, "\n");
    free(text);
}

/* An error leaves out as it was. */
static void test_text_error(void **state)
{
    (void)state;
    struct kgen_templates *set = open_texts(
        (const char *const[]){"c/v.c.in", "$template v \"V.\"\n$op qmv\n$isa avx2\ntext\n${heads}\n"}, 1);
    struct kgen_variant variant = {.tmpl = kgen_templates_at(set, 0), .isa = KGEN_ISA_AVX2};
    struct kgen_problem problem = qmv_problem();
    struct kgen_text out = {0};
    struct kgen_error error = {0};
    kgen_text_puts(&out, "kept");
    assert_int_equal(kgen_variant_text(&variant, &problem, "f", &out, &error), -1);
    assert_string_equal(out.data, "kept");
    assert_string_equal(error.message, "unknown name 'heads'");
    assert_int_equal(error.line, 5);
    kgen_text_free(&out);
    kgen_templates_free(set);
}

static void test_hash(void **state)
{
    (void)state;
    static const char a[] = "$template a \"A.\"\n$op qmv\n$isa avx512 avx2\n$param x = 1, 2\n"
                            "$param y = 1, 2\ntext\n";
    static const char b[] = "$template b \"A.\"\n$op qmv\n$isa avx512 avx2\n$param x = 1, 2\n"
                            "$param y = 1, 2\ntext\n";
    static const char *const texts[] = {"c/a.c.in", a, "c/b.c.in", b};
    struct kgen_templates *set = open_texts(texts, 2);
    struct kgen_templates *again = open_texts(texts, 2);
    struct kgen_problem problem = qmv_problem();
    struct kgen_variants variants, same;
    assert_int_equal(kgen_variants_list(set, &problem, EVERY_ISA, &variants, NULL), 0);
    assert_int_equal(kgen_variants_list(again, &problem, EVERY_ISA, &same, NULL), 0);
    assert_int_equal(variants.count, 16);
    assert_int_equal(same.count, 16);
    for (size_t i = 0; i < variants.count; i++) {
        for (size_t j = 0; j < same.count; j++) {
            bool equal = kgen_variant_hash(&variants.items[i]) == kgen_variant_hash(&same.items[j]);
            assert_int_equal(equal, i == j);
        }
    }
    kgen_variants_free(&variants);
    kgen_variants_free(&same);
    kgen_templates_free(set);
    kgen_templates_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),       cmocka_unit_test(test_list_errors),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_distinct_names),
        cmocka_unit_test(test_reals),      cmocka_unit_test(test_rope),
        cmocka_unit_test(test_text_error), cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests_name("variant", tests, NULL, NULL);
}
