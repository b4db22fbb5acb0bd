/* SPDX-License-Identifier: MIT */
/* The quantiser that goes with emitted sources: compiled by gcc and clang, held against the reference bit for
 * bit, and used by the example. */
#include "command_fixture.h"
#include "gen/ops/dtype.h"
#include "gen/ops/format.h"
#include "gen/ops/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <math.h>

enum { SEED = 23, ROWS = 21, TILED_ROWS = 32, COLUMNS = 256, ARRAY_BYTES = TILED_ROWS * COLUMNS * 4 };
enum { CANARY = 0xa5 };

static const char spec_text[] =
    "{\"name\": \"q\", \"problems\": [\n"
    "{\"op\": \"qmv\", \"N\": 21, \"K\": 256, \"bits\": 4, \"group_size\": 64, \"tensors\": \"a\"},\n"
    "{\"op\": \"qmv\", \"N\": 21, \"K\": 256, \"bits\": 3, \"group_size\": 32, \"scale_dtype\": \"f32\",\n"
    " \"layout\": \"tiles16\", \"activation_dtype\": \"i8\", \"tensors\": \"b\"},\n"
    "{\"op\": \"dequantize\", \"N\": 7, \"K\": 128, \"bits\": 5, \"group_size\": 128, \"scale_dtype\": "
    "\"bf16\"},\n"
    "{\"op\": \"qmv\", \"N\": 16, \"K\": 256, \"scheme\": \"q8_0\"}, {\"op\": \"add\", \"size\": 5}]}\n";

/* As quantise.h has it. */
struct affine {
    size_t K;
    int bits, group_size, dtype, tiles16;
};
typedef void quantise_function(const struct affine *matrix, const float *values, void *weights, void *scales,
                               void *biases, size_t row_begin, size_t row_end);

/* ---- inputs ---- */

static void fill_ordinary(struct kgen_random *random, float *values, size_t count)
{
    kgen_random_fill_normal(random, values, (int64_t)count);
}

static void fill_constant(struct kgen_random *random, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = i % 32 == 0 ? kgen_random_normal(random) : values[i - 1];
}

static void fill_zeros(struct kgen_random *random, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = kgen_random_below(random, 2) == 0 ? 0.0f : -0.0f;
}

static void fill_negative(struct kgen_random *random, float *values, size_t count)
{
    kgen_random_fill_normal(random, values, (int64_t)count);
    for (size_t i = 0; i < count; i++)
        values[i] = -fabsf(values[i]);
}

/* Values that lie half way between two numbers that q may be. */
static void fill_ties(struct kgen_random *random, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(kgen_random_below(random, 31) - 15) / 2;
}

/* Values nearly half way between two numbers, for each number of bits: the last bit of each rounding counts.
 */
static void fill_nearly_ties(struct kgen_random *random, float *values, size_t count)
{
    static const int bits[] = {2, 3, 4, 5, 6, 8};
    const float most = 1.2345678f, least = -0.7654321f;
    for (size_t i = 0; i < count; i++) {
        const int levels = (1 << bits[i / 32 % KGEN_COUNT_OF(bits)]) - 1;
        const float step = (most - least) / (float)levels, scale = most / rintf(most / -step);
        const double q = (double)kgen_random_below(random, levels) + 0.5;
        values[i] = (float)((double)most + q * (double)scale);
        values[i] = i % 32 == 3 ? most : i % 32 == 8 || values[i] < least ? least : values[i];
    }
}

static void fill_denormal(struct kgen_random *random, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(kgen_random_below(random, 2001) - 1000) * 0x1p-149f;
}

static void fill_tiny(struct kgen_random *random, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = kgen_random_normal(random) * 2e-7f;
}

static void fill_great(struct kgen_random *random, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = kgen_random_normal(random) * 3e37f;
}

static void fill_not_finite(struct kgen_random *random, float *values, size_t count)
{
    static const float odd[] = {INFINITY, -INFINITY, NAN};
    kgen_random_fill_normal(random, values, (int64_t)count);
    for (size_t i = 0; i < count; i += 40)
        values[i + (size_t)kgen_random_below(random, 7)] = odd[kgen_random_below(random, 3)];
}

static const struct {
    const char *name;
    void (*fill)(struct kgen_random *random, float *values, size_t count);
    bool nans; /* scales may be NaN, whose sign and payload are not compared */
} inputs[] = {
    {"ordinary", fill_ordinary, false}, {"constant", fill_constant, false},
    {"zeros", fill_zeros, false},       {"negative", fill_negative, false},
    {"ties", fill_ties, false},         {"nearly ties", fill_nearly_ties, false},
    {"denormal", fill_denormal, false}, {"tiny", fill_tiny, false},
    {"great", fill_great, false},       {"not finite", fill_not_finite, true},
};

/* ---- against the reference ---- */

static const int all_bits[] = {1, 2, 3, 4, 5, 6, 8}, all_groups[] = {32, 64, 128};
static const int all_dtypes[] = {KGEN_F32, KGEN_F16, KGEN_BF16}; /* in the order of the enum of quantise.h */

/* The weights of one matrix, in the order in which functions take them. */
struct arrays {
    _Alignas(64) unsigned char bytes[KGEN_FORMAT_ARRAYS_MAX][ARRAY_BYTES];
};

static void quantise_by_reference(const struct kgen_problem *problem, const float *values,
                                  struct arrays *arrays)
{
    static struct arrays stored;
    struct kgen_matrix matrix;
    kgen_problem_matrix(problem, NULL, &matrix);
    for (int i = 0; i < KGEN_FORMAT_ARRAYS_MAX; i++)
        matrix.arrays[i] = stored.bytes[i];
    for (int64_t row = 0; row < ROWS; row++)
        matrix.format->quantise(&matrix, row, values + row * COLUMNS);
    for (int i = 0; i < KGEN_FORMAT_ARRAYS_MAX; i++)
        kgen_layout_pack(problem, i, stored.bytes[i], arrays->bytes[i]);
}

/* Makes all NaNs of an array the same one. */
static void join_nans(unsigned char *array, int64_t dtype, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (isnan(kgen_dtype_value(array, dtype, (int64_t)i)))
            kgen_dtype_store(array, dtype, (int64_t)i, NAN);
    }
}

static void check_one(quantise_function *quantise, const struct kgen_problem *problem,
                      const struct affine *affine, size_t input, const char *compiler)
{
    static struct arrays expected, found;
    static float values[ROWS * COLUMNS];
    struct kgen_random random = {SEED};
    struct kgen_matrix matrix;
    inputs[input].fill(&random, values, ROWS * COLUMNS);
    memset(&expected, CANARY, sizeof expected);
    memset(&found, CANARY, sizeof found);
    quantise_by_reference(problem, values, &expected);
    /* Rows beyond N are not used; the reference makes them zeros. */
    if (affine->tiles16 != 0)
        memset(&found, 0, sizeof found);
    kgen_problem_matrix(problem, NULL, &matrix);
    const size_t rows = (size_t)kgen_layout_rows(problem);
    for (int i = 0; i < KGEN_FORMAT_ARRAYS_MAX; i++) {
        const size_t bytes = rows * (size_t)matrix.format->arrays[i].row_bytes(&matrix);
        memset(found.bytes[i] + bytes, CANARY, ARRAY_BYTES - bytes);
    }
    quantise(affine, values, found.bytes[0], found.bytes[1], found.bytes[2], 5, ROWS);
    quantise(affine, values, found.bytes[0], found.bytes[1], found.bytes[2], 0, 5);
    const size_t scales = rows * COLUMNS / (size_t)affine->group_size;
    for (int i = 1; i < KGEN_FORMAT_ARRAYS_MAX && inputs[input].nans; i++) {
        join_nans(expected.bytes[i], matrix.scale_dtype, scales);
        join_nans(found.bytes[i], matrix.scale_dtype, scales);
    }
    for (int i = 0; i < KGEN_FORMAT_ARRAYS_MAX; i++) {
        for (size_t at = 0; at < ARRAY_BYTES; at++) {
            if (found.bytes[i][at] != expected.bytes[i][at])
                fail_msg("%s, %s, %d bits, group_size %d, %s%s, seed %d: byte %zu of %s is %02x, not %02x",
                         compiler, inputs[input].name, affine->bits, affine->group_size,
                         kgen_constant_name(matrix.scale_dtype), affine->tiles16 ? ", tiles16" : "", SEED, at,
                         matrix.format->arrays[i].name, found.bytes[i][at], expected.bytes[i][at]);
        }
    }
}

static size_t check_format(quantise_function *quantise, int bits, int group, size_t dtype, int tiles16,
                           const char *compiler)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    kgen_problem_set(&problem, "N", ROWS);
    kgen_problem_set(&problem, "K", COLUMNS);
    kgen_problem_set(&problem, "bits", bits);
    kgen_problem_set(&problem, "group_size", group);
    kgen_problem_set(&problem, "scale_dtype", all_dtypes[dtype]);
    kgen_problem_set(&problem, "layout", tiles16 != 0 ? KGEN_TILES16 : KGEN_STORED);
    const struct affine affine = {COLUMNS, bits, group, (int)dtype, tiles16};
    for (size_t input = 0; input < KGEN_COUNT_OF(inputs); input++)
        check_one(quantise, &problem, &affine, input, compiler);
    return KGEN_COUNT_OF(inputs);
}

static quantise_function *load(const char *compiler, size_t number, void **handle)
{
    char command[256], object[64];
    snprintf(object, sizeof object, "./quantise%zu.so", number);
    snprintf(command, sizeof command,
             "%s -Wall -Wextra -Wconversion -Wshadow -Werror -shared -fPIC -o %s q/big_quantise.c -lm",
             compiler, object);
    if (system(command) != 0)
        fail_msg("%s", command);
    *handle = dlopen(object, RTLD_NOW);
    assert_non_null(*handle);
    void *symbol = dlsym(*handle, "big_quantise_affine");
    quantise_function *function;
    memcpy(&function, &symbol, sizeof function);
    assert_non_null(function);
    return function;
}

static void test_reference(void **state)
{
    (void)state;
    static const char *const compilers[] = {"gcc -std=c11 -O3", "clang -std=c11 -O3", "gcc -std=c99 -O0"};
    size_t checked = 0;
    for (size_t c = 0; c < KGEN_COUNT_OF(compilers); c++) {
        void *handle;
        quantise_function *quantise = load(compilers[c], c, &handle);
        for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
            for (size_t g = 0; g < KGEN_COUNT_OF(all_groups); g++) {
                for (size_t dtype = 0; dtype < KGEN_COUNT_OF(all_dtypes); dtype++) {
                    for (int tiles16 = 0; tiles16 < 2; tiles16++)
                        checked +=
                            check_format(quantise, all_bits[b], all_groups[g], dtype, tiles16, compilers[c]);
                }
            }
        }
        dlclose(handle);
    }
    assert_true(checked > 0);
    print_message("%zu matrices\n", checked);
}

/* Numbers by hand, of what MLX makes: both ends, the sign of the scale, and half numbers to even. */
static void test_known(void **state)
{
    (void)state;
    static const struct {
        int bits;
        float first, second, scale, bias; /* a group of 32: first and second in turns */
        unsigned char byte;               /* of the first weights */
    } cases[] = {
        {4, 0, 0, -1e-7f, 0, 0x00},
        {4, 1, 1, -0x1.ad7f2ap-24f, 1, 0x00},
        {4, -15, 0, 1, -15, 0xf0},
        {4, 15, 0, -1, 15, 0xf0},
        {8, -255, 0, 1, -255, 0},
        {1, -2, 3, 5, -2, 0xaa},
        {1, 7, 7, 1e-7f, 7, 0x00},
        {2, -3, 0, 1, -3, 0xcc},
        {4, -7.5f, 7.5f, -0.9375f, 7.5f, 0x0f},
    };
    void *handle;
    quantise_function *quantise = load("gcc -std=c11 -O2", 9, &handle);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const struct affine affine = {32, cases[i].bits, 32, 0, 0};
        float values[32], scale, bias;
        unsigned char weights[32];
        for (int k = 0; k < 32; k++)
            values[k] = k % 2 == 0 ? cases[i].first : cases[i].second;
        quantise(&affine, values, weights, &scale, &bias, 0, 1);
        if (fabsf(scale - cases[i].scale) > 0 || fabsf(bias - cases[i].bias) > 0 ||
            weights[0] != cases[i].byte)
            fail_msg("case %zu: scale %a, bias %g, %02x", i, (double)scale, (double)bias, weights[0]);
    }
    dlclose(handle);
}

/* The example quantises what it multiplies; names by tensor lead to the functions. */
static void test_example(void **state)
{
    (void)state;
    assert_int_equal(
        system("cd q/big_example && grep -q _b3_g32_f32_i8_tiles16_quantise main.c && "
               "env -u MAKEFLAGS -u CFLAGS -u BUILD make -s >/dev/null && build/example >../../said"),
        0);
    assert_int_equal(system("test $(grep -c ok said) = 5"), 0);
    assert_int_equal(system("grep -q 'define big_b_i8_quantise.*' q/big_tensors.h && "
                            "grep -q '/big_quantise.c' q/big_sources.cmake"),
                     0);
    assert_int_equal(system("test $(grep -c '_quantise(' q/big_quantise.h) = 3"), 0);
    assert_int_equal(system("for c in g++ clang++; do command -v $c >/dev/null || continue; $c -std=c++11 "
                            "-Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ q/big_quantise.h || exit "
                            "1; done"),
                     0);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *err;
    } cases[] = {
        {"none.json --with-quantiser -o r", 2, "no problem of the spec has weights of the scheme affine"},
        {"none.json --with-quantiser -o r", 2, "hint: leave --with-quantiser out"},
        {"tune q.json --with-quantiser", 2, "takes no option --with-quantiser"},
        {"q.json --with-quantiser --cache refused -o taken", 2, "did not write is in the way: quantise.c"},
    };
    kgen_test_put_file("none.json", "{\"problems\": [{\"op\": \"add\", \"size\": 5}]}\n");
    assert_int_equal(system("mkdir taken && echo 'int mine;' >taken/quantise.c"), 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        kgen_test_expect(cases[i].line, cases[i].status, NULL, cases[i].err);
    assert_false(kgen_test_exists("r"));
    assert_false(kgen_test_exists("refused")); /* nothing was tuned */
    /* Without the option there is no quantiser, and that of an earlier run goes. */
    kgen_test_expect("q.json --isa generic --effort estimate --no-cache --prefix big -o q", 0, NULL, NULL);
    assert_false(kgen_test_exists("q/big_quantise.c"));
    assert_false(kgen_test_exists("q/big_quantise.h"));
}

static int set_up(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_put_file("q.json", spec_text);
    kgen_test_expect("q.json --isa generic --effort estimate --no-cache --prefix big --with-quantiser -o q",
                     0, "written to q/", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
