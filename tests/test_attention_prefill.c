/* SPDX-License-Identifier: MIT */
/* attention_prefill: what a problem may be, its reference against attention_decode row by row, and the proof
 * of kernels, right ones and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"

#include "gen/ops/buffers.h"
#include "gen/ops/dtype.h"

#include <math.h>
#include <string.h>

enum {
    M = 9,
    HEADS = 4,
    KV_HEADS = 2,
    GROUP = HEADS / KV_HEADS,
    DIM = 8,
    ROW = KV_HEADS * DIM,
    WIDTH = HEADS * DIM
};
enum { ROOM = 300, PARTS = 8, SEED = 17 };

static struct kgen_problem problem_of(const char *op, int64_t rows, int64_t context)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find(op));
    kgen_problem_set(&problem, "M", rows);
    kgen_problem_set(&problem, "heads", HEADS);
    kgen_problem_set(&problem, "kv_heads", KV_HEADS);
    kgen_problem_set(&problem, "head_dim", DIM);
    kgen_problem_set(&problem, "context", context);
    return problem;
}

static void test_checks(void **state)
{
    (void)state;
    static const struct {
        int64_t rows, context;
        const char *message; /* NULL: it is a problem */
    } cases[] = {
        {1, 1, NULL},     {512, 4096, NULL},    {16, 15, "M 16 is more than the context of 15"},
        {0, 15, "\"M\""}, {513, 4096, "\"M\""},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        const struct kgen_problem problem = problem_of("attention_prefill", cases[i].rows, cases[i].context);
        struct kgen_error error = {0};
        const int result = kgen_problem_check(&problem, NULL, 0, 0, &error);
        assert_int_equal(result == 0, cases[i].message == NULL);
        if (cases[i].message != NULL && strstr(error.message, cases[i].message) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].message);
    }
    assert_int_equal(executed, 5);
}

/* ---- the reference ---- */

/* The rows of one call are what as many calls of attention_decode give, on the same caches. */
static void test_rows_are_those_of_decode(void **state)
{
    (void)state;
    enum { CONTEXT = 40, CACHE = 48 * ROW, POSITION = 13, ROWS = 7 };
    static const int64_t dtypes[] = {KGEN_F32, KGEN_F16, KGEN_BF16};
    static float q[M * WIDTH], k[M * ROW], v[M * ROW], caches[2][CACHE];
    static double kept[2][CACHE], exact[2][CACHE], y[M * WIDTH], bound[M * WIDTH], one[WIDTH],
        one_bound[WIDTH];
    struct kgen_random random = {SEED};
    size_t executed = 0;
    for (size_t d = 0; d < KGEN_COUNT_OF(dtypes); d++) {
        struct kgen_problem many = problem_of("attention_prefill", M, CONTEXT);
        struct kgen_problem single = problem_of("attention_decode", 0, CONTEXT);
        kgen_problem_set(&many, "cache_dtype", dtypes[d]);
        kgen_problem_set(&single, "cache_dtype", dtypes[d]);
        kgen_random_fill_normal(&random, q, M * WIDTH);
        kgen_random_fill_normal(&random, k, M * ROW);
        kgen_random_fill_normal(&random, v, M * ROW);
        for (int64_t i = 0; i < CACHE; i++) {
            kgen_dtype_store(caches[0], dtypes[d], i, kgen_random_normal(&random));
            kgen_dtype_store(caches[1], dtypes[d], i, kgen_random_normal(&random));
        }
        const struct kgen_arguments call = {.buffers = {q, k, v, caches[0], caches[1]},
                                            .scalars = {POSITION, ROWS}};
        struct kgen_expected expected = {.values = {[3] = kept[0], [4] = kept[1], [6] = y},
                                         .bounds = {[3] = exact[0], [4] = exact[1], [6] = bound}};
        many.op->reference(&many, &call, &expected);
        for (int64_t r = 0; r < ROWS; r++, executed++) {
            static double after[2][CACHE];
            const struct kgen_arguments step = {
                .buffers = {q + r * WIDTH, k + r * ROW, v + r * ROW, caches[0], caches[1]},
                .scalars = {POSITION + r}};
            struct kgen_expected alone = {.values = {[3] = after[0], [4] = after[1], [7] = one},
                                          .bounds = {[3] = exact[0], [4] = exact[1], [7] = one_bound}};
            single.op->reference(&single, &step, &alone);
            for (int i = 0; i < WIDTH; i++)
                assert_true(one[i] == y[r * WIDTH + i] && one_bound[i] == bound[r * WIDTH + i]);
            for (int64_t i = 0; i < CACHE; i++) {
                kgen_dtype_store(caches[0], dtypes[d], i, (float)after[0][i]);
                kgen_dtype_store(caches[1], dtypes[d], i, (float)after[1][i]);
            }
        }
        for (int64_t i = 0; i < CACHE; i++)
            assert_true(kept[0][i] == kgen_dtype_value(caches[0], dtypes[d], i) &&
                        kept[1][i] == kgen_dtype_value(caches[1], dtypes[d], i));
        for (int i = ROWS * WIDTH; i < M * WIDTH; i++)
            assert_true(isnan(y[i]));
    }
    assert_int_equal(executed, 21);
}

/* ---- kernels ---- */

static enum fault {
    RIGHT,
    SEES_THE_NEXT,
    SEES_NOT_ITSELF,
    SEES_ALL_ROWS,
    SEES_NO_NEW_KEY,
    READS_A_STALE_KEY,
    DOES_NOT_SCALE_A_TILE,
    OMITS_THE_LAST_ROW,
    WRITES_ALL_ROWS,
    CLEARS_FURTHER_ROWS,
    APPENDS_ONE_TOO_FEW,
    APPENDS_ALL
} fault;

static size_t key_at(size_t position, size_t kv, size_t i)
{
    return (position / 16 * KV_HEADS + kv) * 16 * DIM + i * 16 + position % 16;
}

static size_t value_at(size_t position, size_t kv, size_t i)
{
    return (position / 16 * KV_HEADS + kv) * 16 * DIM + position % 16 * DIM + i;
}

static void prepare(void *const *b, const int64_t *scalars)
{
    const float *k = b[1], *v = b[2];
    float *k_cache = b[3], *v_cache = b[4];
    size_t rows = (size_t)scalars[1] - (fault == APPENDS_ONE_TOO_FEW);
    if (fault == APPENDS_ALL && scalars[0] + M <= ROOM)
        rows = M;
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < ROW; i++) {
            k_cache[key_at((size_t)scalars[0] + r, i / DIM, i % DIM)] = k[r * ROW + i];
            v_cache[value_at((size_t)scalars[0] + r, i / DIM, i % DIM)] = v[r * ROW + i];
        }
    }
}

/* One query head of a row, whose last position is given. */
static void attend(void *const *b, const float *q, size_t kv, size_t stale, size_t last, float *y)
{
    const float *k_cache = b[3], *v_cache = b[4];
    float greatest = -3e38f, sum = 0, sums[DIM] = {0};
    for (size_t j = 0; j <= last; j++) {
        const size_t from = fault == READS_A_STALE_KEY && j == stale && j > 0 ? j - 1 : j;
        const bool unscaled = fault == DOES_NOT_SCALE_A_TILE && j / 16 == 1;
        float dot = 0;
        for (size_t i = 0; i < DIM; i++)
            dot += q[i] * k_cache[key_at(from, kv, i)];
        dot *= unscaled ? 1 : 1 / sqrtf((float)DIM);
        const float next = fmaxf(greatest, dot), weight = expf(dot - next);
        const float factor = j == 0 ? 0 : expf(greatest - next);
        greatest = next;
        sum = sum * factor + weight;
        for (size_t i = 0; i < DIM; i++)
            sums[i] = sums[i] * factor + weight * v_cache[value_at(j, kv, i)];
    }
    for (size_t i = 0; i < DIM; i++)
        y[i] = sums[i] / sum;
}

static void run(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    const size_t rows = (size_t)scalars[1], position = (size_t)scalars[0];
    const size_t most = fault == WRITES_ALL_ROWS || fault == CLEARS_FURTHER_ROWS ? M : rows;
    for (size_t part = begin; part < end; part++) {
        const size_t kv = part / PARTS;
        for (size_t r = part % PARTS; r < most; r += PARTS) {
            size_t last = position + r;
            last += fault == SEES_THE_NEXT && r + 1 < rows;
            last -= fault == SEES_NOT_ITSELF && last > 0;
            if (fault == SEES_ALL_ROWS || r >= rows)
                last = position + rows - 1;
            if (fault == SEES_NO_NEW_KEY && position > 0)
                last = position - 1;
            if (fault == OMITS_THE_LAST_ROW && r + 1 == rows)
                continue;
            for (size_t h = kv * GROUP; h < (kv + 1) * GROUP; h++) {
                float *y = (float *)b[6] + r * WIDTH + h * DIM;
                if (fault == CLEARS_FURTHER_ROWS && r >= rows)
                    memset(y, 0, DIM * sizeof *y);
                else
                    attend(b, (const float *)b[0] + r * WIDTH + h * DIM, kv, position, last, y);
            }
        }
    }
}

static void test_kernels_are_proven(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum fault fault;
        enum kgen_verdict verdict;
        const char *detail; /* NULL: it passes */
    } cases[] = {
        {"right", RIGHT, KGEN_PASSED, NULL},
        {"a row sees the next", SEES_THE_NEXT, KGEN_WRONG_ELEMENT, "y["},
        {"a row does not see itself", SEES_NOT_ITSELF, KGEN_WRONG_ELEMENT, "y["},
        {"every row sees all", SEES_ALL_ROWS, KGEN_WRONG_ELEMENT, "y["},
        {"sees what was in the caches only", SEES_NO_NEW_KEY, KGEN_WRONG_ELEMENT, "y["},
        {"reads a stale key", READS_A_STALE_KEY, KGEN_WRONG_ELEMENT, "y["},
        {"does not scale a tile", DOES_NOT_SCALE_A_TILE, KGEN_WRONG_ELEMENT, "y["},
        {"omits the last row", OMITS_THE_LAST_ROW, KGEN_UNWRITTEN_ELEMENT, "y["},
        {"writes all rows", WRITES_ALL_ROWS, KGEN_WRITE_PAST_END, "y["},
        {"clears further rows", CLEARS_FURTHER_ROWS, KGEN_WRITE_PAST_END, "y["},
        {"appends one row too few", APPENDS_ONE_TOO_FEW, KGEN_WRONG_ELEMENT, "cache["},
        {"appends all rows", APPENDS_ALL, KGEN_WRONG_ELEMENT, "cache["},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        const struct kgen_kernel kernel = {
            .problem = problem_of("attention_prefill", M, ROOM), .run = run, .prepare = prepare};
        fault = cases[i].fault;
        const struct kgen_verification v = prove(&kernel);
        assert_verdict(cases[i].name, &v, cases[i].verdict);
        if (cases[i].detail != NULL && strstr(v.detail, cases[i].detail) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].name, v.detail, cases[i].detail);
    }
    assert_int_equal(executed, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_rows_are_those_of_decode),
        cmocka_unit_test(test_kernels_are_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
