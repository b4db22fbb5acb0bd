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
#include "gen/ops/dtype.h"

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
    assert_true(kgen_problem_bytes(&small) == row * (2 * 112 + 4));
    assert_true(kgen_problem_bytes(&great) == row * (2 * 1008 + 4));
    struct kgen_problem half = small;
    kgen_problem_set(&half, "cache_dtype", KGEN_F16);
    assert_true(kgen_problem_bytes(&half) == row * (112 + 4));
}

/* ---- the reference ---- */

/* Where an element of a position lies in the caches. */
static size_t key_at(size_t kv_heads, size_t dim, size_t position, size_t kv, size_t i)
{
    return (position / 16 * kv_heads + kv) * 16 * dim + i * 16 + position % 16;
}

static size_t value_at(size_t kv_heads, size_t dim, size_t position, size_t kv, size_t i)
{
    return (position / 16 * kv_heads + kv) * 16 * dim + position % 16 * dim + i;
}

/* Position 17, in the second tile. The first pair of query heads sees one score of ln 3 and others of 0 or
 * far below, the second equal ones. */
static void test_reference_by_hand(void **state)
{
    (void)state;
    enum {
        HEADS = 4,
        KV_HEADS = 2,
        DIM = 8,
        CONTEXT = 20,
        ROW = KV_HEADS * DIM,
        CACHE = 32 * ROW,
        LAST = 17
    };
    static const int64_t dtypes[] = {KGEN_F32, KGEN_F16, KGEN_BF16};
    /* 1 + 2^-8 is a tie of bfloat16, 1 + 2^-11 one of binary16: the even number is 1. */
    static const double kept_ones[][2] = {{1 + 0x1p-8, 1 + 0x1p-11}, {1 + 0x1p-8, 1}, {1, 1}};
    for (size_t d = 0; d < KGEN_COUNT_OF(dtypes); d++) {
        struct kgen_problem problem = problem_of(HEADS, KV_HEADS, DIM, CONTEXT);
        kgen_problem_set_real(&problem, "scale", 1);
        kgen_problem_set(&problem, "cache_dtype", dtypes[d]);
        float q[HEADS * DIM] = {0}, k[ROW] = {0}, v[ROW];
        static float k_cache[CACHE], v_cache[CACHE];
        static double kept[2][CACHE], exact[2][CACHE];
        for (size_t j = 0; j < 32; j++) {
            for (size_t i = 0; i < ROW; i++) {
                const size_t key = key_at(KV_HEADS, DIM, j, i / DIM, i % DIM);
                const size_t value = value_at(KV_HEADS, DIM, j, i / DIM, i % DIM);
                const bool far = j > 0 && i == 0;
                kgen_dtype_store(k_cache, dtypes[d], (int64_t)key, j >= LAST ? NAN : far ? -64 : 0);
                kgen_dtype_store(v_cache, dtypes[d], (int64_t)value, j >= LAST ? NAN : 1);
            }
        }
        for (int i = 0; i < ROW; i++)
            v[i] = i < DIM ? 5 : 19;
        q[0] = q[DIM] = 1;
        k[0] = 1.0986122887f;
        k[1] = 1 + 0x1p-8f;
        k[2] = 1 + 0x1p-11f;
        double y[HEADS * DIM], bound[HEADS * DIM];
        const struct kgen_arguments arguments = {.buffers = {q, k, v, k_cache, v_cache}, .scalars = {LAST}};
        struct kgen_expected expected = {.values = {[3] = kept[0], [4] = kept[1], [7] = y},
                                         .bounds = {[3] = exact[0], [4] = exact[1], [7] = bound}};
        problem.op->reference(&problem, &arguments, &expected);
        for (int i = 0; i < HEADS * DIM; i++) {
            /* The rounding of ln 3 to the cache's dtype counts. */
            const double three = exp(kept[0][key_at(KV_HEADS, DIM, LAST, 0, 0)]);
            const double right = i < 2 * DIM ? (1 + three * 5) / (1 + three) : 2;
            assert_true(fabs(y[i] - right) < 1e-6);
            assert_true(bound[i] > 0 && bound[i] < 1e-4);
        }
        assert_true(fabs(kept[0][key_at(KV_HEADS, DIM, LAST, 0, 0)] - log(3)) < 0x1p-8);
        for (size_t i = 0; i < 2; i++)
            assert_true(kept[0][key_at(KV_HEADS, DIM, LAST, 0, 1 + i)] == kept_ones[d][i]);
        assert_true(kept[0][key_at(KV_HEADS, DIM, 3, 0, 0)] == -64);
        assert_true(kept[1][value_at(KV_HEADS, DIM, LAST, 1, 3)] == 19);
        assert_true(kept[1][value_at(KV_HEADS, DIM, LAST - 1, 1, 3)] == 1);
        assert_true(isnan(kept[0][key_at(KV_HEADS, DIM, LAST + 1, 0, 0)]));
        assert_true(isnan(kept[1][value_at(KV_HEADS, DIM, 31, 1, 7)]));
    }
}

/* ---- kernels ---- */

enum {
    HEADS = 6,
    KV_HEADS = 2,
    GROUP = HEADS / KV_HEADS,
    DIM = 24,
    ROW = KV_HEADS * DIM,
    ROOM = 1000,
    PARTS = 4
};

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
    TRUNCATES,
    FORGETS_THE_LAST_PART,
    CHANGES_THE_CACHE,
    CLEARS_WHAT_FOLLOWS
} fault;

static int64_t cache_dtype;

/* As the caches round, or towards zero. */
static void store(void *cache, size_t at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits &= cache_dtype == KGEN_F16 ? 0xffffe000 : 0xffff0000;
    if (fault == TRUNCATES)
        memcpy(&value, &bits, sizeof bits);
    kgen_dtype_store(cache, cache_dtype, (int64_t)at, value);
}

static float key_of(void *const *b, size_t position, size_t kv, size_t i)
{
    return (float)kgen_dtype_value(b[3], cache_dtype, (int64_t)key_at(KV_HEADS, DIM, position, kv, i));
}

static float value_of(void *const *b, size_t position, size_t kv, size_t i)
{
    return (float)kgen_dtype_value(b[4], cache_dtype, (int64_t)value_at(KV_HEADS, DIM, position, kv, i));
}

static void prepare(void *const *b, const int64_t *scalars)
{
    const size_t position = (size_t)(scalars[0] - (fault == APPENDS_TOO_EARLY && scalars[0] > 0));
    const float *k = b[fault == SWAPS_CACHES ? 2 : 1], *v = b[fault == SWAPS_CACHES ? 1 : 2];
    for (size_t i = 0; fault != APPENDS_NOTHING && i < ROW; i++) {
        store(b[3], key_at(KV_HEADS, DIM, position, i / DIM, i % DIM), k[i]);
        store(b[4], value_at(KV_HEADS, DIM, position, i / DIM, i % DIM), v[i]);
        if (fault == CLEARS_WHAT_FOLLOWS && position == 0)
            store(b[3], key_at(KV_HEADS, DIM, 1, i / DIM, i % DIM), 0);
    }
}

/* One query head: the sums are kept up to date position by position. */
static void attend(void *const *b, const float *q, size_t kv, int64_t position, float *y)
{
    const float scale = fault == DOES_NOT_SCALE ? 1 : 1 / sqrtf((float)DIM);
    float greatest = -3e38f, sum = 0, sums[DIM] = {0};
    const int64_t end = position + (fault == READS_ONE_MORE) - (fault == OMITS_THE_NEWEST && position > 0);
    for (int64_t j = fault == OMITS_THE_FIRST && position > 0; j <= end; j++) {
        float dots[8] = {0}, dot = 0;
        for (size_t i = 0; i < DIM; i++)
            dots[i % 8] += q[i] * key_of(b, (size_t)j, kv, i);
        for (int i = 0; i < 8; i++)
            dot += dots[i] * scale;
        const bool first = greatest < -1e38f;
        const float next = fault == SUBTRACTS_NOTHING                    ? 0
                           : fault == KEEPS_THE_FIRST_GREATEST && !first ? greatest
                                                                         : fmaxf(greatest, dot);
        const float factor = first ? 0 : expf(greatest - next), weight = expf(dot - next);
        greatest = next;
        sum = sum * factor + weight;
        for (size_t i = 0; i < DIM; i++)
            sums[i] = sums[i] * factor + weight * value_of(b, (size_t)j, kv, i);
    }
    for (size_t i = 0; i < DIM; i++)
        y[i] =
            sums[i] / sum + (fault == READS_A_STALE_ROW ? 0 * value_of(b, (size_t)position + 1, kv, i) : 0);
}

/* The first part of the positions of a head stands for all of them. */
static void run(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    for (size_t part = begin; part < end; part++) {
        const size_t kv = part / PARTS;
        for (size_t g = 0; part % PARTS == 0 && g < GROUP; g++) {
            const size_t h = kv * GROUP + g;
            const size_t from = fault == TAKES_HEADS_IN_TURNS ? h % KV_HEADS : kv;
            attend(b, (const float *)b[0] + h * DIM, from, scalars[0], (float *)b[7] + h * DIM);
        }
        if (fault == FORGETS_THE_LAST_PART && part % PARTS == PARTS - 1 && scalars[0] > 0)
            ((float *)b[7])[kv * GROUP * DIM] = 0;
        if (fault == CHANGES_THE_CACHE)
            store(b[3], key_at(KV_HEADS, DIM, 0, kv, 0), 3);
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
        {"rounds towards zero", TRUNCATES, "cache["},
        {"forgets the last part", FORGETS_THE_LAST_PART, "y["},
        {"changes the cache", CHANGES_THE_CACHE, "k_cache["},
        {"clears what follows", CLEARS_WHAT_FOLLOWS, "k_cache["},
    };
    static const int64_t dtypes[] = {KGEN_F32, KGEN_F16, KGEN_BF16};
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(dtypes) * KGEN_COUNT_OF(cases); i++, executed++) {
        const size_t c = i % KGEN_COUNT_OF(cases);
        struct kgen_kernel kernel = {
            .problem = problem_of(HEADS, KV_HEADS, DIM, ROOM), .run = run, .prepare = prepare};
        cache_dtype = dtypes[i / KGEN_COUNT_OF(cases)];
        kgen_problem_set(&kernel.problem, "cache_dtype", cache_dtype);
        fault = cases[c].fault;
        if (fault == TRUNCATES && cache_dtype == KGEN_F32)
            cache_dtype = KGEN_BF16; /* the kernel keeps bfloat16 where float is asked for */
        const struct kgen_verification v = prove(&kernel);
        assert_verdict(cases[c].name, &v, cases[c].detail == NULL ? KGEN_PASSED : KGEN_WRONG_ELEMENT);
        if (cases[c].detail != NULL && strstr(v.detail, cases[c].detail) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[c].name, v.detail, cases[c].detail);
    }
    assert_int_equal(executed, 48);
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
