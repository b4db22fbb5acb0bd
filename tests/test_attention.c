/* SPDX-License-Identifier: MIT */
/* attention_decode: its reference by hand, what a problem may be, and the proof of kernels, right ones and
 * broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"

#include "gen/ops/buffers.h"

#include <math.h>
#include <string.h>

static struct kgen_problem problem_of(int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t context)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("attention_decode"));
    kgen_problem_set(&problem, "heads", heads);
    kgen_problem_set(&problem, "kv_heads", kv_heads);
    kgen_problem_set(&problem, "head_dim", head_dim);
    kgen_problem_set(&problem, "context", context);
    return problem;
}

/* ---- problems ---- */

static void test_checks(void **state)
{
    (void)state;
    static const struct {
        int64_t heads, kv_heads, head_dim, context;
        const char *message; /* NULL: it is a problem */
    } cases[] = {
        {32, 8, 128, 4096, NULL},
        {1, 1, 8, 1, NULL},
        {8, 1, 576, 1 << 20, NULL},
        {6, 4, 64, 10, "heads 6 is not a multiple of kv_heads 4"},
        {4, 8, 64, 10, "heads 4 is not a multiple of kv_heads 8"},
        {4, 4, 20, 10, "head_dim 20 is not a multiple of 8"},
        {4, 4, 584, 10, "\"head_dim\""},
        {4, 4, 64, 0, "\"context\""},
        {4, 4, 64, (1 << 20) + 1, "\"context\""},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        const struct kgen_problem problem =
            problem_of(cases[i].heads, cases[i].kv_heads, cases[i].head_dim, cases[i].context);
        struct kgen_error error = {0};
        const int result = kgen_problem_check(&problem, NULL, 0, 0, &error);
        assert_int_equal(result == 0, cases[i].message == NULL);
        if (cases[i].message != NULL && strstr(error.message, cases[i].message) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].message);
    }
    assert_int_equal(executed, 9);
}

/* The scale of most models may be said or left out: the problem is the same. */
static void test_usual_scale(void **state)
{
    (void)state;
    struct kgen_problem usual = problem_of(4, 2, 64, 10), said = usual, other = usual;
    kgen_problem_set_real(&said, "scale", 0.125);
    kgen_problem_set_real(&other, "scale", 0.25);
    kgen_problem_complete(&usual);
    kgen_problem_complete(&said);
    kgen_problem_complete(&other);
    assert_true(kgen_problem_equal(&usual, &said));
    assert_false(kgen_problem_equal(&usual, &other));
    struct kgen_text name = {0};
    kgen_problem_name(&usual, &name);
    kgen_text_puts(&name, " ");
    kgen_problem_name(&other, &name);
    assert_string_equal(name.data, "attention_decode_h4_kv2_d64_c10 attention_decode_h4_kv2_d64_c10_s0p25");
    kgen_text_free(&name);
}

/* The position is less than the context; timings, and the bytes of a call, are of a typical position. */
static void test_room(void **state)
{
    (void)state;
    const struct kgen_problem small = problem_of(2, 2, 8, 100), great = problem_of(2, 2, 8, 5000);
    const struct kgen_scalar *position = &small.op->scalars[0];
    assert_int_equal(kgen_scalar_maximum(&small, position), 99);
    assert_int_equal(kgen_scalar_maximum(&great, position), 4999);
    assert_int_equal(kgen_scalar_typical(&small, position), 99);
    assert_int_equal(kgen_scalar_typical(&great, position), KGEN_TYPICAL);
    const double row = 2 * 8 * sizeof(float);
    assert_true(kgen_problem_bytes(&small) == row * (2 * 100 + 4));
    assert_true(kgen_problem_bytes(&great) == row * (2 * KGEN_TYPICAL_ROOM + 4));
}

/* ---- the reference ---- */

static void test_reference_by_hand(void **state)
{
    (void)state;
    enum { HEADS = 4, KV_HEADS = 2, DIM = 8, CONTEXT = 4, ROW = KV_HEADS * DIM };
    struct kgen_problem problem = problem_of(HEADS, KV_HEADS, DIM, CONTEXT);
    kgen_problem_set_real(&problem, "scale", 1);
    /* Position 1. The first pair of query heads sees scores of 0 and ln 3, the second equal ones. */
    float q[HEADS * DIM] = {0}, k[ROW] = {0}, v[ROW], k_cache[CONTEXT * ROW], v_cache[CONTEXT * ROW];
    for (int i = 0; i < CONTEXT * ROW; i++)
        k_cache[i] = v_cache[i] = i < ROW ? 0 : NAN;
    for (int i = 0; i < ROW; i++) {
        v_cache[i] = 1;
        v[i] = i < DIM ? 5 : 9;
    }
    q[0] = q[DIM] = 1;
    k[0] = 1.0986122887f;
    double y[HEADS * DIM], bound[HEADS * DIM], kept[2][CONTEXT * ROW], exact[2][CONTEXT * ROW] = {{0}};
    const struct kgen_arguments arguments = {.buffers = {q, k, v, k_cache, v_cache}, .scalars = {1}};
    struct kgen_expected expected = {.values = {[3] = kept[0], [4] = kept[1], [6] = y},
                                     .bounds = {[3] = exact[0], [4] = exact[1], [6] = bound}};
    problem.op->reference(&problem, &arguments, &expected);
    for (int i = 0; i < HEADS * DIM; i++) {
        assert_true(fabs(y[i] - (i < 2 * DIM ? 4 : 5)) < 1e-6);
        assert_true(bound[i] > 0 && bound[i] < 1e-4);
    }
    for (int i = 0; i < ROW; i++) {
        assert_true(kept[0][i] == 0 && kept[1][i] == 1);
        assert_true(kept[0][ROW + i] == (double)k[i] && kept[1][ROW + i] == (double)v[i]);
        assert_true(isnan(kept[0][2 * ROW + i]) && isnan(kept[1][3 * ROW + i]));
    }
}

/* ---- kernels ---- */

enum { HEADS = 6, KV_HEADS = 2, GROUP = HEADS / KV_HEADS, DIM = 24, ROW = KV_HEADS * DIM, ROOM = 1000 };

static enum fault {
    RIGHT,
    READS_ONE_MORE,
    READS_A_STALE_ROW,
    OMITS_THE_NEWEST,
    OMITS_THE_FIRST,
    DOES_NOT_SCALE,
    TAKES_HEADS_IN_TURNS,
    SUBTRACTS_NOTHING,
    KEEPS_THE_FIRST_GREATEST,
    APPENDS_NOTHING,
    APPENDS_TOO_EARLY,
    SWAPS_CACHES,
    CHANGES_THE_CACHE,
    CLEARS_WHAT_FOLLOWS
} fault;

static void prepare(void *const *b, const int64_t *scalars)
{
    const size_t bytes = ROW * sizeof(float);
    float *k_cache = (float *)b[3] + scalars[0] * ROW, *v_cache = (float *)b[4] + scalars[0] * ROW;
    if (fault == APPENDS_NOTHING)
        return;
    if (fault == APPENDS_TOO_EARLY && scalars[0] > 0)
        k_cache -= ROW, v_cache -= ROW;
    memcpy(k_cache, b[fault == SWAPS_CACHES ? 2 : 1], bytes);
    memcpy(v_cache, b[fault == SWAPS_CACHES ? 1 : 2], bytes);
    if (fault == CLEARS_WHAT_FOLLOWS && scalars[0] == 0)
        memset(k_cache + ROW, 0, bytes);
}

/* One query head: the sums are kept up to date position by position. */
static void attend(const float *q, const float *keys, const float *values, int64_t position, float *y)
{
    const float scale = fault == DOES_NOT_SCALE ? 1 : 1 / sqrtf((float)DIM);
    float greatest = -3e38f, sum = 0, sums[DIM] = {0};
    const int64_t end = position + (fault == READS_ONE_MORE) - (fault == OMITS_THE_NEWEST && position > 0);
    for (int64_t j = fault == OMITS_THE_FIRST && position > 0; j <= end; j++) {
        float dots[8] = {0}, dot = 0;
        for (int i = 0; i < DIM; i++)
            dots[i % 8] += q[i] * keys[j * ROW + i];
        for (int i = 0; i < 8; i++)
            dot += dots[i] * scale;
        const bool first = greatest < -1e38f;
        const float next = fault == SUBTRACTS_NOTHING                    ? 0
                           : fault == KEEPS_THE_FIRST_GREATEST && !first ? greatest
                                                                         : fmaxf(greatest, dot);
        const float factor = first ? 0 : expf(greatest - next), weight = expf(dot - next);
        greatest = next;
        sum = sum * factor + weight;
        for (int i = 0; i < DIM; i++)
            sums[i] = sums[i] * factor + weight * values[j * ROW + i];
    }
    for (int i = 0; i < DIM; i++)
        y[i] = sums[i] / sum + (fault == READS_A_STALE_ROW ? 0 * values[(position + 1) * ROW + i] : 0);
}

static void run(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    for (size_t kv = begin; kv < end; kv++) {
        for (size_t g = 0; g < GROUP; g++) {
            const size_t h = kv * GROUP + g;
            const size_t from = fault == TAKES_HEADS_IN_TURNS ? h % KV_HEADS : kv;
            attend((const float *)b[0] + h * DIM, (const float *)b[3] + from * DIM,
                   (const float *)b[4] + from * DIM, scalars[0], (float *)b[6] + h * DIM);
        }
        if (fault == CHANGES_THE_CACHE)
            ((float *)b[3])[kv * DIM] += 1;
    }
}

static void test_kernels_are_proven(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum fault fault;
        const char *detail; /* NULL: it passes */
    } cases[] = {
        {"right", RIGHT, NULL},
        {"reads the position after the last", READS_ONE_MORE, "y["},
        {"gives the position after the last no weight", READS_A_STALE_ROW, "y["},
        {"omits the newest position", OMITS_THE_NEWEST, "y["},
        {"omits the first position", OMITS_THE_FIRST, "y["},
        {"does not scale", DOES_NOT_SCALE, "y["},
        {"takes the heads of keys in turns", TAKES_HEADS_IN_TURNS, "y["},
        {"subtracts nothing from scores", SUBTRACTS_NOTHING, "y["},
        {"does not rescale", KEEPS_THE_FIRST_GREATEST, "y["},
        {"appends nothing", APPENDS_NOTHING, "cache["},
        {"appends one position too early", APPENDS_TOO_EARLY, "cache["},
        {"swaps the caches", SWAPS_CACHES, "cache["},
        {"changes the cache", CHANGES_THE_CACHE, "k_cache["},
        {"clears what follows", CLEARS_WHAT_FOLLOWS, "k_cache["},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        const struct kgen_kernel kernel = {
            .problem = problem_of(HEADS, KV_HEADS, DIM, ROOM), .run = run, .prepare = prepare};
        fault = cases[i].fault;
        const struct kgen_verification v = prove(&kernel);
        assert_verdict(cases[i].name, &v, cases[i].detail == NULL ? KGEN_PASSED : KGEN_WRONG_ELEMENT);
        if (cases[i].detail != NULL && strstr(v.detail, cases[i].detail) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].name, v.detail, cases[i].detail);
    }
    assert_int_equal(executed, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_usual_scale),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_reference_by_hand),
        cmocka_unit_test(test_kernels_are_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
