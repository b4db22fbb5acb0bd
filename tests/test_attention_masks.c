/* SPDX-License-Identifier: MIT */
/* The window, the soft cap and the sinks of attention_decode and attention_prefill: the reference by hand,
 * and the proof of kernels, right ones and broken ones. */
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
    WINDOW = 21,
    CACHE = 208 * ROW
};

static const double softcap = 1.5;

/* Of one row, or of M. The masks are all of them. */
static struct kgen_problem problem_of(bool many)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find(many ? "attention_prefill" : "attention_decode"));
    kgen_problem_set(&problem, "M", M);
    kgen_problem_set(&problem, "heads", HEADS);
    kgen_problem_set(&problem, "kv_heads", KV_HEADS);
    kgen_problem_set(&problem, "head_dim", DIM);
    kgen_problem_set(&problem, "context", ROOM);
    kgen_problem_set(&problem, "window", WINDOW);
    kgen_problem_set_real(&problem, "softcap", softcap);
    kgen_problem_set(&problem, "sinks", 1);
    return problem;
}

static size_t key_at(size_t position, size_t kv, size_t i)
{
    return (position / 16 * KV_HEADS + kv) * 16 * DIM + i * 16 + position % 16;
}

static size_t value_at(size_t position, size_t kv, size_t i)
{
    return (position / 16 * KV_HEADS + kv) * 16 * DIM + position % 16 * DIM + i;
}

/* ---- problems ---- */

/* Without them problems are called, and written, as before there were such fields. */
static void test_names(void **state)
{
    (void)state;
    struct kgen_text text = {0};
    struct kgen_problem problem = problem_of(false);
    kgen_problem_name(&problem, &text);
    assert_string_equal(text.data, "attention_decode_h4_kv2_d8_c200_w21_sc1p5_sinks");
    kgen_problem_set(&problem, "window", 0);
    kgen_problem_set(&problem, "sinks", 0);
    kgen_problem_set_real(&problem, "softcap", 0);
    kgen_text_clear(&text);
    kgen_problem_name(&problem, &text);
    assert_string_equal(text.data, "attention_decode_h4_kv2_d8_c200");
    kgen_text_clear(&text);
    kgen_problem_write(&problem, &text);
    assert_null(strstr(text.data, "window"));
    assert_null(strstr(text.data, "softcap"));
    assert_null(strstr(text.data, "sinks"));
    kgen_text_free(&text);
}

/* Timings and counts are of what a call reads. */
static void test_room(void **state)
{
    (void)state;
    struct kgen_problem problem = problem_of(false), many = problem_of(true);
    assert_int_equal(kgen_problem_get(&problem, "context"), ROOM);
    struct kgen_problem typical = kgen_problem_typical(&problem);
    assert_int_equal(kgen_problem_get(&typical, "context"), WINDOW);
    typical = kgen_problem_typical(&many);
    assert_int_equal(kgen_problem_get(&typical, "context"), WINDOW + M);
    assert_true(kgen_problem_operations(&problem) == 4.0 * WIDTH * WINDOW);
    assert_true(kgen_problem_operations(&many) == 4.0 * WIDTH * WINDOW * M);
    kgen_problem_set(&problem, "window", 0);
    typical = kgen_problem_typical(&problem);
    assert_int_equal(kgen_problem_get(&typical, "context"), ROOM);
}

/* ---- the reference ---- */

/* One key has the score 3 and the value 5, all others 0 and 1; the sinks are 1. The position is the last that
 * sees that key, or the first that does not. */
static void test_reference_by_hand(void **state)
{
    (void)state;
    static float k_cache[CACHE], v_cache[CACHE];
    static const int seen_at = 40;
    float q[WIDTH], k[ROW] = {0}, v[ROW], sinks[HEADS] = {1, 1, 1, 1};
    double y[WIDTH], bound[WIDTH];
    struct kgen_problem problem = problem_of(false);
    kgen_problem_set_real(&problem, "scale", 1);
    for (int i = 0; i < WIDTH; i++)
        q[i] = i % DIM == 0;
    for (size_t j = 0; j < ROOM; j++) {
        for (size_t i = 0; i < ROW; i++) {
            k_cache[key_at(j, i / DIM, i % DIM)] = j == (size_t)seen_at && i % DIM == 0 ? 3 : 0;
            v_cache[value_at(j, i / DIM, i % DIM)] = j == (size_t)seen_at ? 5 : 1;
        }
    }
    for (int i = 0; i < ROW; i++)
        v[i] = 1;
    for (int past = 0; past < 2; past++) {
        const struct kgen_arguments arguments = {.buffers = {q, k, v, k_cache, v_cache, sinks},
                                                 .scalars = {seen_at + WINDOW - 1 + past}};
        struct kgen_expected expected = {.values = {[8] = y}, .bounds = {[8] = bound}};
        problem.op->reference(&problem, &arguments, &expected);
        const double great = exp(softcap * tanh(3 / softcap)), sink = exp(1);
        const double right =
            past ? WINDOW / (WINDOW + sink) : (WINDOW - 1 + 5 * great) / (WINDOW - 1 + great + sink);
        for (int i = 0; i < WIDTH; i++) {
            assert_true(fabs(y[i] - right) < 1e-9);
            assert_true(bound[i] > 0 && bound[i] < 1e-4);
        }
    }
}

/* ---- kernels ---- */

static enum fault {
    RIGHT,
    SEES_ONE_MORE,
    SEES_ONE_LESS,
    SEES_ALL,
    GIVES_NO_WEIGHT_BEFORE_THE_WINDOW,
    CAPS_NOT,
    CAPS_BY_CLAMPING,
    COUNTS_THE_SINK_AS_A_VALUE,
    OMITS_THE_SINK,
    TAKES_THE_FIRST_SINK,
    CAPS_THE_SINK
} fault;

static bool of_many; /* the kernel is one of attention_prefill */

static void prepare(void *const *b, const int64_t *scalars)
{
    const float *k = b[1], *v = b[2];
    float *k_cache = b[3], *v_cache = b[4];
    for (size_t r = 0; r < (of_many ? (size_t)scalars[1] : 1); r++) {
        for (size_t i = 0; i < ROW; i++) {
            k_cache[key_at((size_t)scalars[0] + r, i / DIM, i % DIM)] = k[r * ROW + i];
            v_cache[value_at((size_t)scalars[0] + r, i / DIM, i % DIM)] = v[r * ROW + i];
        }
    }
}

static float capped(float score)
{
    const float cap = (float)softcap;
    if (fault == CAPS_NOT)
        return score;
    return fault == CAPS_BY_CLAMPING ? fmaxf(-cap, fminf(cap, score)) : cap * tanhf(score / cap);
}

static float score_of(const float *q, const float *k_cache, size_t kv, int64_t position)
{
    float dot = 0;
    for (size_t i = 0; i < DIM; i++)
        dot += q[i] * k_cache[key_at((size_t)position, kv, i)];
    return capped(dot / sqrtf((float)DIM));
}

/* One query head at a position. */
static void attend(void *const *b, const float *q, size_t head, int64_t position, float *y)
{
    const size_t kv = head / GROUP;
    const float *v_cache = b[4], *sinks = b[5];
    const int64_t window = WINDOW + (fault == SEES_ONE_MORE) - (fault == SEES_ONE_LESS);
    const int64_t first = position >= window && fault != SEES_ALL ? position + 1 - window : 0;
    const float stored = sinks[fault == TAKES_THE_FIRST_SINK ? 0 : head];
    const float sink = fault == CAPS_THE_SINK ? capped(stored) : stored;
    float greatest = sink, sum = 0, sums[DIM] = {0};
    for (int64_t j = first; j <= position; j++)
        greatest = fmaxf(greatest, score_of(q, b[3], kv, j));
    for (int64_t j = first; j <= position; j++) {
        const float weight = expf(score_of(q, b[3], kv, j) - greatest);
        sum += weight;
        for (size_t i = 0; i < DIM; i++)
            sums[i] += weight * v_cache[value_at((size_t)j, kv, i)];
    }
    sum += fault == OMITS_THE_SINK ? 0 : expf(sink - greatest);
    for (size_t i = 0; i < DIM; i++) {
        if (fault == COUNTS_THE_SINK_AS_A_VALUE)
            sums[i] += expf(sink - greatest) * v_cache[value_at((size_t)first, kv, i)];
        if (fault == GIVES_NO_WEIGHT_BEFORE_THE_WINDOW && first > 0)
            sums[i] += 0 * v_cache[value_at((size_t)first - 1, kv, i)];
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
                attend(b, (const float *)b[0] + r * WIDTH + h * DIM, h, scalars[0] + (int64_t)r,
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
    } cases[] = {
        {"right", RIGHT},
        {"sees one position before the window", SEES_ONE_MORE},
        {"sees one position of the window less", SEES_ONE_LESS},
        {"sees all positions", SEES_ALL},
        {"gives the position before the window no weight", GIVES_NO_WEIGHT_BEFORE_THE_WINDOW},
        {"does not cap", CAPS_NOT},
        {"clamps", CAPS_BY_CLAMPING},
        {"counts the sink as a value", COUNTS_THE_SINK_AS_A_VALUE},
        {"omits the sink", OMITS_THE_SINK},
        {"takes the first sink", TAKES_THE_FIRST_SINK},
        {"caps the sink", CAPS_THE_SINK},
    };
    size_t executed = 0;
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(cases); i++, executed++) {
        const size_t c = i / 2;
        of_many = i % 2 != 0;
        const struct kgen_kernel kernel = {.problem = problem_of(of_many), .run = run, .prepare = prepare};
        fault = cases[c].fault;
        const struct kgen_verification v = prove(&kernel);
        assert_verdict(cases[c].name, &v, fault == RIGHT ? KGEN_PASSED : KGEN_WRONG_ELEMENT);
        if (fault != RIGHT && strstr(v.detail, "y[") == NULL)
            fail_msg("%s: \"%s\" does not say \"y[\"", cases[c].name, v.detail);
    }
    assert_int_equal(executed, 22);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_reference_by_hand),
        cmocka_unit_test(test_kernels_are_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
