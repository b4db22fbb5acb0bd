/* SPDX-License-Identifier: MIT */
/* attention_decode and attention_prefill over caches with pages: what a problem may be, the reference against
 * that of caches without pages, and the proof of kernels, right ones and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"

#include "gen/ops/buffers.h"

#include <math.h>
#include <string.h>

enum {
    M = 7,
    HEADS = 4,
    KV_HEADS = 2,
    GROUP = HEADS / KV_HEADS,
    DIM = 8,
    ROW = KV_HEADS * DIM,
    WIDTH = HEADS * DIM,
    ROOM = 200,
    WINDOW = 53,
    PAGE = 32,
    SEED = 23
};

/* Of one row, or of M. */
static struct kgen_problem problem_of(bool many, int64_t page_size, int64_t window)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find(many ? "attention_prefill" : "attention_decode"));
    kgen_problem_set(&problem, "M", M);
    kgen_problem_set(&problem, "heads", HEADS);
    kgen_problem_set(&problem, "kv_heads", KV_HEADS);
    kgen_problem_set(&problem, "head_dim", DIM);
    kgen_problem_set(&problem, "context", ROOM);
    kgen_problem_set(&problem, "window", window);
    kgen_problem_set(&problem, "page_size", page_size);
    return problem;
}

/* ---- problems ---- */

static void test_checks(void **state)
{
    (void)state;
    static const struct {
        int64_t page_size;
        const char *message; /* NULL: it is a problem */
        size_t pages, tiles;
    } cases[] = {
        {0, NULL, 0, 13},
        {16, NULL, 13, 13},
        {48, NULL, 5, 15},
        {256, NULL, 1, 16},
        {-16, "\"page_size\"", 0, 0},
        {272, "\"page_size\"", 0, 0},
        {24, "page_size 24 is not a multiple of 16", 0, 0},
    };
    size_t executed = 0;
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(cases); i++, executed++) {
        const size_t c = i / 2;
        const struct kgen_problem problem = problem_of(i % 2 != 0, cases[c].page_size, 0);
        struct kgen_error error = {0};
        struct kgen_buffers buffers;
        const int result = kgen_problem_check(&problem, NULL, 0, 0, &error);
        assert_int_equal(result == 0, cases[c].message == NULL);
        if (cases[c].message != NULL) {
            if (strstr(error.message, cases[c].message) == NULL)
                fail_msg("\"%s\" does not say \"%s\"", error.message, cases[c].message);
            continue;
        }
        kgen_problem_buffers(&problem, &buffers);
        const int pages = kgen_buffers_find(&buffers, "pages"), keys = kgen_buffers_find(&buffers, "k_cache");
        assert_int_equal(pages >= 0, cases[c].page_size > 0);
        if (pages >= 0)
            assert_int_equal(buffers.items[pages].bytes, cases[c].pages * sizeof(int32_t));
        assert_int_equal(buffers.items[keys].bytes, cases[c].tiles * 16 * ROW * sizeof(float));
    }
    assert_int_equal(executed, 14);
}

static void test_names(void **state)
{
    (void)state;
    struct kgen_text text = {0};
    struct kgen_problem problem = problem_of(false, PAGE, WINDOW);
    kgen_problem_name(&problem, &text);
    assert_string_equal(text.data, "attention_decode_h4_kv2_d8_c200_w53_pg32");
    kgen_problem_set(&problem, "page_size", 0);
    kgen_text_clear(&text);
    kgen_problem_write(&problem, &text);
    assert_null(strstr(text.data, "page_size"));
    kgen_text_free(&text);
}

/* ---- the reference ---- */

/* What the reference makes of buffers, and of the same keys and values in a cache without pages. */
static void compare(const struct kgen_problem *problem, const struct kgen_generator *generator)
{
    enum { ELEMENTS = 256 * ROW };
    static float q[M * WIDTH], k[M * ROW], v[M * ROW], caches[2][ELEMENTS], plain[2][ELEMENTS];
    static double y[2][M * WIDTH], bounds[2][M * WIDTH], kept[2][ELEMENTS], none[ELEMENTS];
    static int32_t pages[ELEMENTS];
    const int64_t page_size = kgen_problem_get(problem, "page_size");
    const bool many = kgen_problem_has(problem, "M");
    const int output = many ? 6 : 7;
    struct kgen_problem without = *problem;
    kgen_problem_set(&without, "page_size", 0);
    struct kgen_random random = {SEED};
    struct kgen_arguments paged = {.buffers = {q, k, v, caches[0], caches[1], pages}};
    generator->fill(problem, &random, &paged);
    const int64_t position = paged.scalars[0], window = kgen_problem_get(problem, "window");
    const int64_t first = window > 0 && position >= window ? position + 1 - window : 0;
    struct kgen_arguments contiguous = {.buffers = {q, k, v, plain[0], plain[1]}};
    memcpy(contiguous.scalars, paged.scalars, sizeof paged.scalars);
    for (int64_t j = first; j < position; j++) {
        const int64_t tile = (pages[j / page_size] * page_size + j % page_size) / 16;
        assert_true(pages[j / page_size] >= 0);
        for (int b = 0; b < 2; b++) /* whole tiles: the rows between are the same */
            memcpy(plain[b] + j / 16 * 16 * ROW, caches[b] + tile * 16 * ROW, 16 * ROW * sizeof(float));
    }
    struct kgen_expected expected = {.values = {[3] = kept[0], [4] = kept[1]},
                                     .bounds = {[3] = none, [4] = none}};
    struct kgen_expected same = {0};
    expected.values[output + 1] = y[0];
    expected.bounds[output + 1] = bounds[0];
    same.values[output] = y[1];
    same.bounds[output] = bounds[1];
    problem->op->reference(problem, &paged, &expected);
    problem->op->reference(&without, &contiguous, &same);
    assert_memory_equal(y[0], y[1], (size_t)(many ? paged.scalars[1] : 1) * WIDTH * sizeof y[0][0]);
    assert_memory_equal(bounds[0], bounds[1], WIDTH * sizeof y[0][0]);
    const int64_t place = pages[position / page_size] * page_size + position % page_size;
    for (int64_t i = 0; i < ROW; i++) {
        const int64_t tile = (place / 16 * KV_HEADS + i / DIM) * 16 * DIM;
        assert_true(kept[0][tile + i % DIM * 16 + place % 16] == (double)k[i]);
        assert_true(kept[1][tile + place % 16 * DIM + i % DIM] == (double)v[i]);
    }
}

static void test_reference(void **state)
{
    (void)state;
    static const int64_t sizes[] = {16, 48, 256};
    size_t executed = 0;
    for (size_t i = 0; i < 4 * KGEN_COUNT_OF(sizes); i++) {
        const struct kgen_problem problem = problem_of(i % 2 != 0, sizes[i / 4], i / 2 % 2 != 0 ? WINDOW : 0);
        for (size_t g = 0; g < problem.op->generator_count; g++, executed++)
            compare(&problem, &problem.op->generators[g]);
    }
    assert_int_equal(executed, 84);
}

/* ---- kernels ---- */

static enum fault {
    RIGHT,
    IGNORES_THE_PAGES,
    TAKES_A_STALE_PAGE,
    ENDS_PAGES_LATE,
    ENDS_PAGES_EARLY,
    STAYS_FOR_TWO_PAGES,
    GIVES_NO_WEIGHT_TO_A_FREED_PAGE,
    APPENDS_WITHOUT_PAGES,
    APPENDS_TO_THE_PAGE_BEFORE
} fault;

static bool of_many; /* the kernel is one of attention_prefill */

static size_t place_of(const int32_t *pages, int64_t position)
{
    const int64_t late = position - (fault == ENDS_PAGES_LATE && position >= PAGE && position % PAGE == 0) +
                         (fault == ENDS_PAGES_EARLY && position % PAGE == PAGE - 1 && position + 1 < ROOM);
    int32_t page = pages[late / PAGE];
    if (fault == IGNORES_THE_PAGES)
        return (size_t)position;
    if (fault == TAKES_A_STALE_PAGE && position / PAGE > 0)
        page = pages[position / PAGE - 1];
    if (fault == STAYS_FOR_TWO_PAGES)
        page = pages[position / PAGE / 2 * 2] >= 0 ? pages[position / PAGE / 2 * 2] : page;
    return (size_t)(page >= 0 ? page : 0) * PAGE + (size_t)position % PAGE;
}

static size_t key_at(size_t place, size_t kv, size_t i)
{
    return (place / 16 * KV_HEADS + kv) * 16 * DIM + i * 16 + place % 16;
}

static size_t value_at(size_t place, size_t kv, size_t i)
{
    return (place / 16 * KV_HEADS + kv) * 16 * DIM + place % 16 * DIM + i;
}

static void prepare(void *const *b, const int64_t *scalars)
{
    const float *k = b[1], *v = b[2];
    const int32_t *pages = b[5];
    float *k_cache = b[3], *v_cache = b[4];
    for (size_t r = 0; r < (of_many ? (size_t)scalars[1] : 1); r++) {
        const int64_t position = scalars[0] + (int64_t)r;
        const bool before = fault == APPENDS_TO_THE_PAGE_BEFORE && position >= PAGE;
        int64_t page = pages[(position - (before ? PAGE : 0)) / PAGE];
        page = fault == APPENDS_WITHOUT_PAGES ? position / PAGE : page < 0 ? 0 : page;
        const size_t place = (size_t)(page * PAGE + position % PAGE);
        for (size_t i = 0; i < ROW; i++) {
            k_cache[key_at(place, i / DIM, i % DIM)] = k[r * ROW + i];
            v_cache[value_at(place, i / DIM, i % DIM)] = v[r * ROW + i];
        }
    }
}

static float score_of(void *const *b, const float *q, size_t kv, int64_t position)
{
    float dot = 0;
    for (size_t i = 0; i < DIM; i++)
        dot += q[i] * ((const float *)b[3])[key_at(place_of(b[5], position), kv, i)];
    return dot / sqrtf((float)DIM);
}

/* One query head at a position. */
static void attend(void *const *b, const float *q, size_t kv, int64_t position, float *y)
{
    const float *v_cache = b[4];
    const int64_t first = position >= WINDOW ? position + 1 - WINDOW : 0;
    float greatest = -3e38f, sum = 0, sums[DIM] = {0};
    for (int64_t j = first; j <= position; j++)
        greatest = fmaxf(greatest, score_of(b, q, kv, j));
    for (int64_t j = first; j <= position; j++) {
        const float weight = expf(score_of(b, q, kv, j) - greatest);
        sum += weight;
        for (size_t i = 0; i < DIM; i++)
            sums[i] += weight * v_cache[value_at(place_of(b[5], j), kv, i)];
    }
    for (size_t i = 0; i < DIM; i++) {
        if (fault == GIVES_NO_WEIGHT_TO_A_FREED_PAGE && first > 0)
            sums[i] += 0 * v_cache[value_at(place_of(b[5], first - 1), kv, i)];
        y[i] = sums[i] / sum;
    }
}

/* The first part of the rows or positions of a head stands for all of them. */
static void run(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    const size_t parts = of_many ? 8 : 4, rows = of_many ? (size_t)scalars[1] : 1;
    float *y = b[of_many ? 7 : 8];
    for (size_t part = begin; part < end; part++) {
        for (size_t r = 0; part % parts == 0 && r < rows; r++) {
            for (size_t h = part / parts * GROUP; h < (part / parts + 1) * GROUP; h++)
                attend(b, (const float *)b[0] + r * WIDTH + h * DIM, h / GROUP, scalars[0] + (int64_t)r,
                       y + r * WIDTH + h * DIM);
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
    } cases[] = {
        {"right", RIGHT, NULL},
        {"ignores the pages", IGNORES_THE_PAGES, "y["},
        {"takes a stale page", TAKES_A_STALE_PAGE, "y["},
        {"ends pages late", ENDS_PAGES_LATE, "y["},
        {"ends pages early", ENDS_PAGES_EARLY, "y["},
        {"stays in a page for two", STAYS_FOR_TWO_PAGES, "y["},
        {"gives a position before the window no weight", GIVES_NO_WEIGHT_TO_A_FREED_PAGE, "y["},
        {"appends without pages", APPENDS_WITHOUT_PAGES, "cache["},
        {"appends to the page before", APPENDS_TO_THE_PAGE_BEFORE, "cache["},
    };
    size_t executed = 0;
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(cases); i++, executed++) {
        const size_t c = i / 2;
        of_many = i % 2 != 0;
        const struct kgen_kernel kernel = {
            .problem = problem_of(of_many, PAGE, WINDOW), .run = run, .prepare = prepare};
        fault = cases[c].fault;
        const struct kgen_verification v = prove(&kernel);
        assert_verdict(cases[c].name, &v, fault == RIGHT ? KGEN_PASSED : KGEN_WRONG_ELEMENT);
        if (cases[c].detail != NULL && strstr(v.detail, cases[c].detail) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[c].name, v.detail, cases[c].detail);
    }
    assert_int_equal(executed, 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_kernels_are_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
