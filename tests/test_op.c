/* SPDX-License-Identifier: MIT */
/* An op that uses all that the tables of ops offer, defined here alone: its signature, its calls, and the
 * proof of its kernels, right ones and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"

#include "gen/ops/signature.h"

#include <stdlib.h>
#include <string.h>

/* partial_sums: keeps[row] += sum of x[row]; total[0] = sum of all x[row][0 to first - 1], exact for small
 * integers. prepare clears partial sums in the workspace, run writes one for each row through its scratch,
 * finish adds them up. */
static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("rows", "r", KGEN_SIZE_MAX, "vectors"),
    KGEN_SIZE_FIELD("size", "s", KGEN_ROW_MAX, "elements of a vector"),
    KGEN_BOOLEAN_FIELD("keep", "keep", "whether sums are kept"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_PREPARE | KGEN_RUN | KGEN_FINISH, NULL, NULL},
    {"scratch", KGEN_SCRATCH, NULL, NULL, KGEN_RUN, NULL, NULL},
    {"kept", KGEN_UPDATED, "f32", "rows", KGEN_RUN, "keep", NULL},
    {"total", KGEN_OUTPUT, "i32", "1", KGEN_FINISH, NULL, NULL},
};

static const struct kgen_scalar scalars[] = {
    {"first", 1, 1000, NULL, KGEN_RUN, "how many elements of each row count", NULL},
};

enum { ROWS_MAX = 64 };

static double operations(const struct kgen_problem *problem)
{
    return (double)(kgen_problem_get(problem, "rows") * kgen_problem_get(problem, "size"));
}

static void fill(const struct kgen_problem *problem, struct kgen_random *random,
                 struct kgen_arguments *arguments)
{
    float *x = kgen_argument(problem, arguments, "x"), *kept = kgen_argument(problem, arguments, "kept");
    const int64_t rows = kgen_problem_get(problem, "rows");
    for (int64_t i = 0; i < rows * kgen_problem_get(problem, "size"); i++)
        x[i] = (float)kgen_random_below(random, 100);
    for (int64_t i = 0; kept != NULL && i < rows; i++)
        kept[i] = (float)kgen_random_below(random, 100);
    arguments->scalars[0] = 3;
}

static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    struct kgen_buffers list;
    kgen_problem_buffers(problem, &list);
    const int kept = kgen_buffers_find(&list, "kept"), total = kgen_buffers_find(&list, "total");
    const float *x = kgen_argument(problem, arguments, "x");
    const int64_t size = kgen_problem_get(problem, "size");
    double sum = 0;
    for (int64_t row = 0; row < kgen_problem_get(problem, "rows"); row++) {
        double of_row = 0;
        for (int64_t i = 0; i < arguments->scalars[0]; i++)
            of_row += (double)x[row * size + i];
        sum += of_row;
        if (kept >= 0)
            expected->values[kept][row] = (double)((const float *)arguments->buffers[kept])[row] + of_row;
    }
    expected->values[total][0] = sum;
}

static const struct kgen_generator generators[] = {{"small integers", fill, NULL}};
static const size_t proof_ranges[] = {1, 2, 3, 17, 0};

static const struct kgen_op partial_sums = {
    .name = "partial_sums",
    .summary = "Adds up rows.",
    .formula = "total = the sum of x.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .scalars = scalars,
    .scalar_count = KGEN_COUNT_OF(scalars),
    .range = "rows",
    .range_name = "row",
    .threaded = true,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
    .proof_ranges = proof_ranges,
};

static struct kgen_problem problem_of(int64_t keep)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, &partial_sums);
    kgen_problem_set(&problem, "rows", 17);
    kgen_problem_set(&problem, "size", 5);
    kgen_problem_set(&problem, "keep", keep);
    assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
    return problem;
}

/* ---- signatures ---- */

static void test_signatures(void **state)
{
    (void)state;
    static const struct {
        int64_t keep;
        unsigned part;
        const char *parameters, *arguments;
    } cases[] = {
        {1, KGEN_PREPARE, "void *workspace", "workspace"},
        {0, KGEN_RUN,
         "const float *x, const void *workspace, void *scratch, int64_t first, size_t row_begin, size_t "
         "row_end",
         "x, workspace, scratch, first, row_begin, row_end"},
        {1, KGEN_RUN,
         "const float *x, const void *workspace, void *scratch, float *kept, int64_t first, size_t "
         "row_begin,\n"
         "    size_t row_end",
         "x, workspace, scratch, kept, first, row_begin, row_end"},
        {1, KGEN_FINISH, "const void *workspace, int32_t *total", "workspace, total"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const struct kgen_problem problem = problem_of(cases[i].keep);
        struct kgen_text parameters = {0}, arguments = {0};
        kgen_signature_parameters(&problem, cases[i].part, 5, &parameters);
        kgen_signature_arguments(&problem, cases[i].part, &arguments);
        assert_string_equal(parameters.data, cases[i].parameters);
        assert_string_equal(arguments.data, cases[i].arguments);
        kgen_text_free(&parameters);
        kgen_text_free(&arguments);
    }
}

static void test_calls(void **state)
{
    (void)state;
    const struct kgen_problem problem = problem_of(1);
    struct kgen_text text = {0};
    kgen_signature_calls(&problem, "f", &text);
    assert_string_equal(
        text.data,
        "\nvoid f_call_prepare(void *const *buffers, const int64_t *scalars)\n{\n    (void)scalars;\n"
        "    f_prepare(buffers[1]);\n}\n"
        "\nvoid f_call(void *const *buffers, const int64_t *scalars, size_t begin, size_t end)\n{\n"
        "    f(buffers[0], buffers[1], buffers[2], buffers[3], scalars[0], begin, end);\n}\n"
        "\nvoid f_call_finish(void *const *buffers, const int64_t *scalars)\n{\n    (void)scalars;\n"
        "    f_finish(buffers[1], buffers[4]);\n}\n");
    kgen_text_free(&text);
}

/* ---- kernels ---- */

static bool keeps, writes_scratch_behind, finishes_one_row_less, keeps_twice;

static void prepare(void *const *b, const int64_t *s)
{
    (void)s;
    memset(b[1], 0, ROWS_MAX * sizeof(float)); /* garbage before */
}

/* Rows beyond the problem's own are proven for great offsets: their sums share places. */
static void run(void *const *b, const int64_t *s, size_t begin, size_t end)
{
    const float *x = b[0];
    float *sums = b[1], *scratch = b[2], *kept = b[3];
    for (size_t row = begin; row < end; row++) {
        scratch[0] = 0;
        for (int64_t i = 0; i < s[0]; i++)
            scratch[0] += x[row * 5 + (size_t)i];
        if (writes_scratch_behind)
            scratch[16] = 1;
        sums[row % ROWS_MAX] = scratch[0];
        if (keeps)
            kept[row] += keeps_twice ? 2 * scratch[0] : scratch[0];
    }
}

static void finish(void *const *b, const int64_t *s)
{
    (void)s;
    const float *sums = b[1];
    int32_t *total = b[keeps ? 4 : 3];
    total[0] = 0;
    for (int i = finishes_one_row_less ? 1 : 0; i < ROWS_MAX; i++)
        total[0] += (int32_t)sums[i];
}

static struct kgen_kernel kernel_of(int64_t keep)
{
    keeps = keep != 0;
    writes_scratch_behind = finishes_one_row_less = keeps_twice = false;
    return (struct kgen_kernel){.problem = problem_of(keep),
                                .run = run,
                                .prepare = prepare,
                                .finish = finish,
                                .workspace_bytes = ROWS_MAX * sizeof(float),
                                .scratch_bytes = KGEN_ALIGNMENT};
}

static void test_right_kernel_passes(void **state)
{
    (void)state;
    for (int64_t keep = 0; keep < 2; keep++) {
        const struct kgen_kernel kernel = kernel_of(keep);
        const struct kgen_verification v = prove(&kernel);
        assert_verdict("partial_sums", &v, KGEN_PASSED);
        assert_true(v.cases >= 5);
    }
}

static void test_broken_kernels_are_caught(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool *fault;
        enum kgen_verdict verdict;
        const char *detail;
    } cases[] = {
        {"scratch", &writes_scratch_behind, KGEN_WRITE_PAST_END, "scratch"},
        {"finish", &finishes_one_row_less, KGEN_WRONG_ELEMENT, "total[0]"},
        {"updated", &keeps_twice, KGEN_WRONG_ELEMENT, "kept[0]"},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        const struct kgen_kernel kernel = kernel_of(1);
        *cases[i].fault = true;
        const struct kgen_verification v = prove(&kernel);
        assert_verdict(cases[i].name, &v, cases[i].verdict);
        if (strstr(v.detail, cases[i].detail) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].name, v.detail, cases[i].detail);
    }
    assert_int_equal(executed, 3);
}

/* ---- a range of pairs ---- */

/* blocks: y = 2 x, where the range counts the blocks of all rows. */
enum { BLOCKS = 5, BLOCK = 4 };

static const struct kgen_field block_fields[] = {
    KGEN_SIZE_FIELD("rows", "r", KGEN_SIZE_MAX, "vectors"),
    KGEN_SIZE_FIELD("blocks", "b", KGEN_ROW_MAX, "blocks of 4 elements of a vector"),
};

static const struct kgen_buffer block_buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, blocks * 4", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "rows, blocks * 4", KGEN_RUN, NULL, NULL},
};

static int64_t block_elements(const struct kgen_problem *problem)
{
    return BLOCK * (int64_t)kgen_problem_range(problem);
}

static void block_fill(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    kgen_random_fill_normal(random, arguments->buffers[0], block_elements(problem));
}

static void block_reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                            struct kgen_expected *expected)
{
    for (int64_t i = 0; i < block_elements(problem); i++)
        expected->values[1][i] = 2 * (double)((const float *)arguments->buffers[0])[i];
}

static const struct kgen_generator block_generators[] = {{"random", block_fill, NULL}};

static const struct kgen_op blocks = {
    .name = "blocks",
    .summary = "Doubles blocks.",
    .formula = "y = 2 x.\n",
    .fields = block_fields,
    .field_count = KGEN_COUNT_OF(block_fields),
    .buffers = block_buffers,
    .buffer_count = KGEN_COUNT_OF(block_buffers),
    .range = "rows",
    .range_inner = "blocks",
    .range_name = "block",
    .operations = operations,
    .reference = block_reference,
    .generators = block_generators,
    .generator_count = KGEN_COUNT_OF(block_generators),
    .proof_ranges = proof_ranges,
};

static bool doubles_whole_rows;

/* One that takes the range for one of rows is wrong. */
static void double_blocks(void *const *b, const int64_t *s, size_t begin, size_t end)
{
    (void)s;
    const size_t each = doubles_whole_rows ? BLOCKS * BLOCK : BLOCK;
    for (size_t i = begin * each; i < end * each; i++)
        ((float *)b[1])[i] = 2 * ((const float *)b[0])[i];
}

static void test_range_of_pairs(void **state)
{
    (void)state;
    struct kgen_kernel kernel = {.run = double_blocks};
    kgen_problem_init(&kernel.problem, &blocks);
    kgen_problem_set(&kernel.problem, "rows", 3);
    kgen_problem_set(&kernel.problem, "blocks", BLOCKS);
    assert_int_equal(kgen_problem_range(&kernel.problem), 15);
    doubles_whole_rows = false;
    assert_passes("blocks", &kernel);
    doubles_whole_rows = true;
    const struct kgen_verification v = prove(&kernel);
    assert_true(v.verdict != KGEN_PASSED);
    /* A call divides the pairs, not the rows. */
    float x[60], y[60] = {0};
    for (int i = 0; i < 60; i++)
        x[i] = (float)i;
    const struct kgen_arguments arguments = {.buffers = {x, y}};
    doubles_whole_rows = false;
    kgen_kernel_run_team(&kernel, &arguments, NULL);
    for (int i = 0; i < 60; i++)
        assert_true(y[i] == 2 * x[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),          cmocka_unit_test(test_calls),
        cmocka_unit_test(test_right_kernel_passes), cmocka_unit_test(test_broken_kernels_are_caught),
        cmocka_unit_test(test_range_of_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
