/* SPDX-License-Identifier: MIT */
/* Caches of q8_0 and q4_0: their numbers and where they lie, what problems may have them, the references of
 * both ops on them, and the proof of kernels, right ones and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"

#include "gen/ops/attention_cache.h"
#include "gen/ops/dtype.h"

#include <math.h>
#include <string.h>

enum { HEADS = 4, KV_HEADS = 2, GROUP = HEADS / KV_HEADS, DIM = 64, ROW = KV_HEADS * DIM, SEED = 23 };
enum { ROOM = 300, PARTS = 4, TILES = (ROOM + 15) / 16, CACHE = TILES * ROW * 17 };

static const int64_t dtypes[] = {KGEN_Q8_0, KGEN_Q4_0};

static struct kgen_problem problem_of(const char *op, int64_t head_dim, int64_t context, int64_t dtype)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find(op));
    kgen_problem_set(&problem, "M", 5);
    kgen_problem_set(&problem, "heads", HEADS);
    kgen_problem_set(&problem, "kv_heads", KV_HEADS);
    kgen_problem_set(&problem, "head_dim", head_dim);
    kgen_problem_set(&problem, "context", context);
    kgen_problem_set(&problem, "cache_dtype", dtype);
    return problem;
}

static void test_checks(void **state)
{
    (void)state;
    static const struct {
        int64_t head_dim, dtype;
        const char *message; /* NULL: it is a problem */
    } cases[] = {
        {32, KGEN_Q8_0, NULL},
        {96, KGEN_Q4_0, NULL},
        {576, KGEN_Q4_0, NULL},
        {24, KGEN_Q8_0, "head_dim 24 is not a multiple of 32, as the blocks of q8_0 caches need"},
        {80, KGEN_Q4_0, "head_dim 80 is not a multiple of 32, as the blocks of q4_0 caches need"},
        {64, KGEN_I8, "must be \"f32\", \"f16\", \"bf16\", \"q8_0\" or \"q4_0\", not \"i8\""},
    };
    static const char *const ops[] = {"attention_decode", "attention_prefill"};
    size_t executed = 0;
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(cases); i++, executed++) {
        const size_t c = i / 2;
        const struct kgen_problem problem = problem_of(ops[i % 2], cases[c].head_dim, 40, cases[c].dtype);
        struct kgen_error error = {0};
        const int result = kgen_problem_check(&problem, NULL, 0, 0, &error);
        assert_int_equal(result == 0, cases[c].message == NULL);
        if (cases[c].message != NULL && strstr(error.message, cases[c].message) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[c].message);
    }
    assert_int_equal(executed, 12);
}

/* Of 16 positions an element has a byte or half of one, and a sixteenth of a scale. */
static void test_bytes(void **state)
{
    (void)state;
    static const int sixteenths[] = {17, 9};
    for (size_t d = 0; d < KGEN_COUNT_OF(dtypes); d++) {
        const struct kgen_problem problem = problem_of("attention_decode", DIM, 100, dtypes[d]);
        const double vectors = (2.0 * HEADS * DIM + 2.0 * ROW) * sizeof(float);
        assert_true(kgen_problem_bytes(&problem) == vectors + 2.0 * 112 * ROW / 16 * sixteenths[d]);
    }
}

/* ---- numbers ---- */

static void test_numbers_by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int64_t dtype;
        float x[4]; /* the first of 32; the others are 0 */
        double scale;
        int numbers[4];
    } cases[] = {
        {"zeros", KGEN_Q8_0, {0, 0, 0, 0}, 0, {0, 0, 0, 0}},
        {"the scale 1", KGEN_Q8_0, {127, -127, 64, -1}, 1, {127, -127, 64, -1}},
        {"halves become even", KGEN_Q8_0, {127, 0.5f, -1.5f, 2.5f}, 1, {127, 0, -2, 2}},
        {"a negative one is the greatest", KGEN_Q8_0, {-254, 254, 3, -5}, 2, {-127, 127, 2, -2}},
        {"f16 rounds the scale only", KGEN_Q8_0, {1, -0.5f, 0.25f, 0.003f}, 0.0078735, {127, -64, 32, 0}},
        {"below what f16 holds", KGEN_Q8_0, {1e-7f, -1e-7f, 5e-8f, 0}, 0, {127, -127, 64, 0}},
        {"denormals", KGEN_Q8_0, {1e-40f, -1e-40f, 0, 0}, 0, {0, 0, 0, 0}},
        {"zeros", KGEN_Q4_0, {0, 0, 0, 0}, 0, {0, 0, 0, 0}},
        {"the greatest becomes -8", KGEN_Q4_0, {-8, 7, 1, -1}, 1, {-8, 7, 1, -1}},
        {"a positive one, too", KGEN_Q4_0, {16, -16, 2, -2}, -2, {-8, 7, -1, 1}},
        {"the first of two decides", KGEN_Q4_0, {-16, 16, 2, -2}, 2, {-8, 7, 1, -1}},
        {"halves go up", KGEN_Q4_0, {-8, 1.5f, -1.5f, 2.5f}, 1, {-8, 2, -1, 3}},
    };
    for (size_t c = 0; c < KGEN_COUNT_OF(cases); c++) {
        float x[32] = {0};
        unsigned char block[544] = {0};
        memcpy(x, cases[c].x, sizeof cases[c].x);
        for (int b = 0; b < 2; b++) {
            const struct kgen_attention_cache cache = {1, 32, cases[c].dtype, b == 1};
            kgen_attention_cache_store(&cache, block, 5, 0, x);
            const unsigned char *at = block + 32;
            const uint16_t scale = (uint16_t)(block[10] | block[11] << 8);
            assert_true(fabs(kgen_dtype_value(&scale, KGEN_F16, 0) - cases[c].scale) < 1e-6);
            for (int i = 0; i < 4; i++) {
                const int row = cases[c].dtype == KGEN_Q8_0 ? 32 : 16;
                const int byte = b == 0 ? at[5 * 4 + i] : at[(row + i) * 4 + 1];
                const int number = row == 32 ? (int8_t)byte : ((byte & 15) ^ 8) - 8;
                if (number != cases[c].numbers[i])
                    fail_msg("%s: number %d is %d", cases[c].what, i, number);
            }
        }
    }
}

/* Every element of a full cache is found where it was stored, and no byte is left or used twice. */
static void test_places(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t d = 0; d < 2 * KGEN_COUNT_OF(dtypes); d++) {
        static unsigned char elements[CACHE];
        const struct kgen_attention_cache cache = {KV_HEADS, DIM, dtypes[d / 2], d % 2 == 1};
        const double steps = cache.dtype == KGEN_Q8_0 ? 127 : 8;
        for (int pass = 0; pass < 2; pass++) {
            struct kgen_random random = {SEED};
            for (int64_t j = 0; j < TILES * 16 * KV_HEADS; j++) {
                float x[DIM];
                kgen_random_fill_normal(&random, x, DIM);
                if (pass == 0)
                    kgen_attention_cache_store(&cache, elements, j / KV_HEADS, j % KV_HEADS, x);
                for (int i = 0; pass == 1 && i < DIM; i++, executed++) {
                    double greatest = 0;
                    for (int n = i / 32 * 32; n < i / 32 * 32 + 32; n++)
                        greatest = fmax(greatest, fabs((double)x[n]));
                    const double value =
                        kgen_attention_cache_value(&cache, elements, j / KV_HEADS, j % KV_HEADS, i);
                    /* The greatest of the other sign may be cut off by a whole step. */
                    const double most = greatest / steps * (cache.dtype == KGEN_Q8_0 ? 0.5 : 1);
                    assert_true(fabs(value - (double)x[i]) <= most + greatest * 0x1p-11);
                }
            }
        }
    }
    assert_int_equal(executed, 4 * TILES * 16 * ROW);
}

/* ---- references ---- */

/* The rows of one call of attention_prefill are what as many calls of attention_decode give. */
static void test_rows_are_those_of_decode(void **state)
{
    (void)state;
    enum { M = 5, POSITION = 13, WIDTH = HEADS * DIM, BYTES = 3 * ROW * 17 };
    static float q[M * WIDTH], k[M * ROW], v[M * ROW];
    static unsigned char caches[2][BYTES];
    static double kept[2][BYTES], after[2][BYTES], exact[2][BYTES];
    static double y[M * WIDTH], bound[M * WIDTH], one[WIDTH], one_bound[WIDTH];
    struct kgen_random random = {SEED};
    for (size_t d = 0; d < KGEN_COUNT_OF(dtypes); d++) {
        const struct kgen_problem many = problem_of("attention_prefill", DIM, 40, dtypes[d]);
        const struct kgen_problem single = problem_of("attention_decode", DIM, 40, dtypes[d]);
        const size_t bytes = (size_t)(3 * ROW * (dtypes[d] == KGEN_Q8_0 ? 17 : 9));
        kgen_random_fill_normal(&random, q, M * WIDTH);
        kgen_random_fill_normal(&random, k, M * ROW);
        kgen_random_fill_normal(&random, v, M * ROW);
        for (int64_t i = 0; i < 2 * POSITION * KV_HEADS; i++) {
            const struct kgen_attention_cache cache = {KV_HEADS, DIM, dtypes[d], i % 2 == 1};
            kgen_attention_cache_store(&cache, caches[i % 2], i / 2 / KV_HEADS, i / 2 % KV_HEADS, q + i);
        }
        const struct kgen_arguments call = {.buffers = {q, k, v, caches[0], caches[1]},
                                            .scalars = {POSITION, M}};
        struct kgen_expected expected = {.values = {[3] = kept[0], [4] = kept[1], [6] = y},
                                         .bounds = {[3] = exact[0], [4] = exact[1], [6] = bound}};
        many.op->reference(&many, &call, &expected);
        for (int64_t r = 0; r < M; r++) {
            const struct kgen_arguments step = {
                .buffers = {q + r * WIDTH, k + r * ROW, v + r * ROW, caches[0], caches[1]},
                .scalars = {POSITION + r}};
            struct kgen_expected alone = {.values = {[3] = after[0], [4] = after[1], [7] = one},
                                          .bounds = {[3] = exact[0], [4] = exact[1], [7] = one_bound}};
            single.op->reference(&single, &step, &alone);
            for (int i = 0; i < WIDTH; i++) {
                assert_true(one[i] == y[r * WIDTH + i] && one_bound[i] == bound[r * WIDTH + i]);
                assert_true(one_bound[i] > 0 && one_bound[i] < 1e-3);
            }
            for (size_t i = 0; i < 2 * bytes; i++)
                caches[i % 2][i / 2] = (unsigned char)after[i % 2][i / 2];
        }
        for (size_t i = 0; i < bytes; i++)
            assert_true(kept[0][i] == caches[0][i] && kept[1][i] == caches[1][i]);
    }
}

/* ---- kernels ---- */

static enum fault {
    RIGHT,
    TAKES_THE_SCALE_OF_A_NEIGHBOUR,
    TAKES_THE_SCALE_OF_THE_FIRST_BLOCK,
    SWAPS_HALVES_OF_BYTES,
    READS_UNSIGNED_NUMBERS,
    TAKES_PAIRS_OF_NEIGHBOURS,
    CUTS_NUMBERS_OFF,
    FORGETS_THE_SIGN_OF_THE_GREATEST,
    STORES_THE_SCALE_OF_FLOATS,
    APPENDS_ONE_BLOCK
} fault;

static int64_t cache_dtype;

/* The bytes of the block of an element, the place of its byte in it, and the number there. */
static float element(const unsigned char *cache, bool values, size_t position, size_t kv, size_t i)
{
    const bool wide = cache_dtype == KGEN_Q8_0;
    const size_t row = wide ? 32 : 16, size = 32 + 16 * row, place = position % 16;
    const unsigned char *head = cache + (position / 16 * KV_HEADS + kv) * (DIM / 32) * size;
    const unsigned char *block = head + i / 32 * size;
    const bool neighbours = fault == TAKES_PAIRS_OF_NEIGHBOURS && !wide;
    const size_t e = neighbours ? i % 32 / 2 : i % row;
    const size_t at = values ? (place / 4 * row + e) * 4 + place % 4 : (e / 4 * 16 + place) * 4 + e % 4;
    const size_t upper = (neighbours ? i % 2 : i % 32 / row) ^ (fault == SWAPS_HALVES_OF_BYTES);
    const int byte = block[32 + at];
    const int number = wide ? byte : byte >> (upper * 4) & 15, sign = wide ? 128 : 8;
    const unsigned char *scale = fault == TAKES_THE_SCALE_OF_THE_FIRST_BLOCK ? head : block;
    scale += 2 * (fault == TAKES_THE_SCALE_OF_A_NEIGHBOUR && place > 0 ? place - 1 : place);
    const uint16_t bits = (uint16_t)(scale[0] | scale[1] << 8);
    return (float)kgen_dtype_value(&bits, KGEN_F16, 0) *
           (float)(fault == READS_UNSIGNED_NUMBERS ? number : (number ^ sign) - sign);
}

static void append(unsigned char *elements, bool values, size_t position, const float *x)
{
    const struct kgen_attention_cache cache = {KV_HEADS, DIM, cache_dtype, values};
    for (size_t kv = 0; kv < KV_HEADS; kv++) {
        float row[DIM];
        memcpy(row, x + kv * DIM, sizeof row);
        for (size_t first = 0; first < DIM; first += 32) {
            float greatest = 0;
            for (size_t i = first; i < first + 32; i++)
                greatest = fabsf(row[i]) > fabsf(greatest) ? row[i] : greatest;
            const float step = cache_dtype == KGEN_Q8_0 ? fabsf(greatest) / 127 : greatest / -8;
            for (size_t i = first; i < first + 32 && fault == CUTS_NUMBERS_OFF && step != 0; i++)
                row[i] = truncf(row[i] / step) * step;
            for (size_t i = first; i < first + 32 && fault == FORGETS_THE_SIGN_OF_THE_GREATEST; i++)
                row[i] = cache_dtype == KGEN_Q4_0 && greatest > 0 ? -row[i] : row[i];
            for (size_t i = first; i < first + 32 && fault == APPENDS_ONE_BLOCK; i++)
                row[i] = first > 0 ? 0 : row[i];
        }
        kgen_attention_cache_store(&cache, elements, (int64_t)position, (int64_t)kv, row);
        const size_t size = cache_dtype == KGEN_Q8_0 ? 544 : 288;
        if (fault == STORES_THE_SCALE_OF_FLOATS) /* one unit in the last place beside it */
            elements[(position / 16 * KV_HEADS + kv) * (DIM / 32) * size + position % 16 * 2] ^= 1;
    }
}

static void prepare(void *const *b, const int64_t *scalars)
{
    append(b[3], false, (size_t)scalars[0], b[1]);
    append(b[4], true, (size_t)scalars[0], b[2]);
}

static void attend(void *const *b, const float *q, size_t kv, int64_t position, float *y)
{
    float greatest = -3e38f, sum = 0, sums[DIM] = {0};
    for (int64_t j = 0; j <= position; j++) {
        float dot = 0;
        for (size_t i = 0; i < DIM; i++)
            dot += q[i] * element(b[3], false, (size_t)j, kv, i);
        dot *= 0.125f;
        const float next = fmaxf(greatest, dot), factor = expf(greatest - next), weight = expf(dot - next);
        greatest = next;
        sum = sum * factor + weight;
        for (size_t i = 0; i < DIM; i++)
            sums[i] = sums[i] * factor + weight * element(b[4], true, (size_t)j, kv, i);
    }
    for (size_t i = 0; i < DIM; i++)
        y[i] = sums[i] / sum;
}

static void run(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    for (size_t part = begin; part < end; part++) {
        for (size_t g = 0; part % PARTS == 0 && g < GROUP; g++) {
            const size_t h = part / PARTS * GROUP + g;
            attend(b, (const float *)b[0] + h * DIM, part / PARTS, scalars[0], (float *)b[7] + h * DIM);
        }
    }
}

static void test_kernels_are_proven(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum fault fault;
        const char *detail; /* NULL: it passes */
        bool halves;        /* of bytes: a fault of q4_0 alone */
    } cases[] = {
        {"right", RIGHT, NULL, false},
        {"takes the scale of a neighbour", TAKES_THE_SCALE_OF_A_NEIGHBOUR, "y[", false},
        {"takes the scale of the first block", TAKES_THE_SCALE_OF_THE_FIRST_BLOCK, "y[", false},
        {"swaps the halves of bytes", SWAPS_HALVES_OF_BYTES, "y[", true},
        {"reads unsigned numbers", READS_UNSIGNED_NUMBERS, "y[", false},
        {"takes pairs of neighbours", TAKES_PAIRS_OF_NEIGHBOURS, "y[", true},
        {"cuts numbers off", CUTS_NUMBERS_OFF, "cache[", false},
        {"forgets the sign of the greatest", FORGETS_THE_SIGN_OF_THE_GREATEST, "cache[", true},
        {"stores a scale beside the right one", STORES_THE_SCALE_OF_FLOATS, "cache[", false},
        {"appends one block", APPENDS_ONE_BLOCK, "cache[", false},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(dtypes) * KGEN_COUNT_OF(cases); i++) {
        const size_t c = i % KGEN_COUNT_OF(cases);
        cache_dtype = dtypes[i / KGEN_COUNT_OF(cases)];
        if (cases[c].halves && cache_dtype != KGEN_Q4_0)
            continue;
        struct kgen_kernel kernel = {.problem = problem_of("attention_decode", DIM, ROOM, cache_dtype),
                                     .run = run,
                                     .prepare = prepare};
        fault = cases[c].fault;
        const struct kgen_verification v = prove(&kernel);
        assert_verdict(cases[c].name, &v, cases[c].detail == NULL ? KGEN_PASSED : KGEN_WRONG_ELEMENT);
        if (cases[c].detail != NULL && strstr(v.detail, cases[c].detail) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[c].name, v.detail, cases[c].detail);
        executed++;
    }
    assert_int_equal(executed, 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_numbers_by_hand),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_rows_are_those_of_decode),
        cmocka_unit_test(test_kernels_are_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
