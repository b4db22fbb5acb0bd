/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* nftw */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "gen/ops/dtype.h"
#include "runtime/api/plan.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int api_setup(void **state)
{
    struct api_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    strcpy(fixture->folder, "/tmp/kgen-api-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    *state = fixture;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

int api_teardown(void **state)
{
    struct api_fixture *fixture = *state;
    nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

static void keep_message(void *context, int level, const char *message)
{
    struct api_fixture *fixture = context;
    assert_in_range(level, 0, 3);
    assert_null(strchr(level < KGEN_LOG_TEXT ? message : "", '\n'));
    fixture->counts[level]++;
    const size_t room = sizeof fixture->messages - fixture->length;
    const int length = snprintf(fixture->messages + fixture->length, room, "%s\n", message);
    fixture->length += (size_t)length < room ? (size_t)length : room - 1;
}

void api_forget_messages(struct api_fixture *fixture)
{
    fixture->length = 0;
    fixture->messages[0] = '\0';
    memset(fixture->counts, 0, sizeof fixture->counts);
}

struct kgen_settings api_settings(struct api_fixture *fixture, enum kgen_effort effort)
{
    struct kgen_settings settings;
    kgen_settings_init(&settings, sizeof settings);
    settings.effort = effort;
    settings.threads = 2;
    settings.cache_folder = fixture->folder;
    settings.log = keep_message;
    settings.log_context = fixture;
    return settings;
}

struct kgen_context *api_open(const struct kgen_settings *settings)
{
    struct kgen_status status = {0};
    struct kgen_context *context = kgen_open(settings, &status);
    assert_string_equal(status.message, "");
    assert_non_null(context);
    return context;
}

const char *const api_problems[] = {
    "{\"op\":\"qmv\",\"tensors\":\"a\",\"N\":40,\"K\":256,\"bits\":4,\"group_size\":64}",
    "{\"op\":\"qmv\",\"tensors\":\"a\",\"N\":40,\"K\":256,\"bits\":4,\"group_size\":64,"
    "\"activation_dtype\":\"i8\"}",
    "{\"op\":\"qmv\",\"N\":33,\"K\":128,\"bits\":8,\"group_size\":32,\"scheme\":\"symmetric\","
    "\"scale_dtype\":\"f32\"}",
    "{\"op\":\"qmv\",\"N\":40,\"K\":256,\"bits\":4,\"group_size\":64,\"layout\":\"tiles16\"}",
    "{\"op\":\"dequantize\",\"N\":5,\"K\":128,\"bits\":3,\"group_size\":64,\"scale_dtype\":\"bf16\"}",
    "{\"op\":\"rms_norm\",\"rows\":3,\"size\":100,\"eps\":1e-5}",
    "{\"op\":\"rms_norm\",\"size\":64,\"residual\":true,\"weight_plus_one\":true}",
    "{\"op\":\"rope\",\"heads\":4,\"head_dim\":64,\"theta\":1e6}",
    "{\"op\":\"rope\",\"heads\":2,\"head_dim\":32,\"rotary_dim\":16,\"pairing\":\"interleaved\","
    "\"scaling\":\"linear\",\"factor\":2}",
    "{\"op\":\"swiglu\",\"size\":1000}",
    "{\"op\":\"add\",\"size\":77}",
    "{\"op\":\"attention_decode\",\"heads\":6,\"kv_heads\":3,\"head_dim\":40,\"context\":100}",
    "{\"op\":\"attention_prefill\",\"M\":9,\"heads\":6,\"kv_heads\":3,\"head_dim\":40,\"context\":100,"
    "\"cache_dtype\":\"f16\"}",
};
const size_t api_problem_count = KGEN_COUNT_OF(api_problems);

struct kgen_plan *api_plan(struct kgen_context *context, const char *const *problems, size_t count,
                           struct kgen_status *status)
{
    char text[4096] = "{\"problems\":[";
    size_t length = strlen(text);
    for (size_t i = 0; i < count; i++)
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s\n%s", i > 0 ? "," : "", problems[i]);
    assert_true(length + 2 < sizeof text);
    strcpy(text + length, "]}");
    return kgen_plan_text(context, "problems.json", text, length + 2, status);
}

/* ---- a function with every part ---- */

enum { PARTS_SIZE = 100, PARTS_X = 0, PARTS_WORKSPACE, PARTS_SCRATCH, PARTS_Y, PARTS_SUM };

static const struct kgen_field fields_of_parts[] = {KGEN_SIZE_FIELD("size", "n", KGEN_SIZE_MAX, "elements")};
static const struct kgen_buffer buffers_of_parts[] = {
    [PARTS_X] = {"x", KGEN_INPUT, "f32", "size", KGEN_PREPARE, NULL, NULL},
    [PARTS_WORKSPACE] = {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_PREPARE | KGEN_RUN | KGEN_FINISH, NULL,
                         NULL},
    [PARTS_SCRATCH] = {"scratch", KGEN_SCRATCH, NULL, NULL, KGEN_RUN, NULL, NULL},
    [PARTS_Y] = {"y", KGEN_OUTPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    [PARTS_SUM] = {"sum", KGEN_OUTPUT, "f32", "1", KGEN_FINISH, NULL, NULL},
};
static const struct kgen_scalar scalars_of_parts[] = {
    {"offset", 0, 9, NULL, KGEN_RUN, "added to each element", NULL}};

static void fill_parts(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    (void)problem;
    float *x = arguments->buffers[PARTS_X];
    for (size_t i = 0; i < PARTS_SIZE; i++)
        x[i] = (float)kgen_random_below(random, 100);
    arguments->scalars[0] = 7;
}

/* All are small integers, so that every result is exact. */
static void expect_parts(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                         struct kgen_expected *expected)
{
    (void)problem;
    const float *x = arguments->buffers[PARTS_X];
    for (size_t i = 0; i < PARTS_SIZE; i++) {
        expected->values[PARTS_Y][i] = (double)x[i] + (double)arguments->scalars[0];
        expected->values[PARTS_SUM][0] += (double)x[i];
    }
}

static const struct kgen_generator generators_of_parts[] = {{"integers", fill_parts, NULL}};
static const struct kgen_op op_of_parts = {
    .name = "parts",
    .fields = fields_of_parts,
    .field_count = KGEN_COUNT_OF(fields_of_parts),
    .buffers = buffers_of_parts,
    .buffer_count = KGEN_COUNT_OF(buffers_of_parts),
    .scalars = scalars_of_parts,
    .scalar_count = KGEN_COUNT_OF(scalars_of_parts),
    .range = "size",
    .reference = expect_parts,
    .generators = generators_of_parts,
    .generator_count = KGEN_COUNT_OF(generators_of_parts),
};

static void prepare_parts(void *const *buffers, const int64_t *scalars)
{
    (void)scalars;
    memcpy(buffers[PARTS_WORKSPACE], buffers[PARTS_X], PARTS_SIZE * sizeof(float));
}

static void run_parts(void *const *buffers, const int64_t *scalars, size_t begin, size_t end)
{
    const float *x = buffers[PARTS_WORKSPACE];
    float *scratch = buffers[PARTS_SCRATCH], *y = buffers[PARTS_Y];
    for (size_t i = begin; i < end; i++)
        scratch[i % 16] = x[i], y[i] = scratch[i % 16] + (float)scalars[0];
}

static void finish_parts(void *const *buffers, const int64_t *scalars)
{
    (void)scalars;
    const float *x = buffers[PARTS_WORKSPACE];
    float *sum = buffers[PARTS_SUM];
    *sum = 0;
    for (size_t i = 0; i < PARTS_SIZE; i++)
        *sum += x[i];
}

const struct kgen_function *api_function_of_parts(void)
{
    static char name[] = "parts";
    static const struct kgen_function function = {
        .kernel = {.problem = {.op = &op_of_parts, .values = {{.integer = PARTS_SIZE}}, .threads = 1},
                   .run = run_parts,
                   .prepare = prepare_parts,
                   .finish = finish_parts,
                   .workspace_bytes = PARTS_SIZE * sizeof(float),
                   .scratch_bytes = 16 * sizeof(float)},
        .name = {.data = name},
    };
    return &function;
}

/* ---- computing ---- */

enum { WAYS = 4, TEAM_MAX = 4 };

/* A function, its inputs, and what it should compute of them. The arrays are by the index of the buffer. */
struct computation {
    const struct kgen_function *function;
    struct kgen_buffers list;
    struct kgen_arguments arguments;
    struct kgen_expected expected;
    void *before[KGEN_BUFFERS_MAX]; /* of what is updated, or kept between calls */
    void *first[KGEN_BUFFERS_MAX];  /* what the first way wrote; NULL for what is only read */
};

static bool is_written(const struct kgen_problem_buffer *buffer)
{
    return buffer->role == KGEN_OUTPUT || buffer->role == KGEN_UPDATED || buffer->role == KGEN_STATE;
}

static bool is_expected(const struct kgen_problem_buffer *buffer)
{
    return buffer->role == KGEN_OUTPUT || buffer->role == KGEN_UPDATED;
}

static void *copy_of(const void *data, size_t size)
{
    return memcpy(malloc(size), data, size);
}

static void *aligned(size_t size)
{
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

/* Sets every buffer and scalar by its name. */
static struct kgen_call call_of(const struct computation *it)
{
    struct kgen_call call = {0};
    struct kgen_status status = {0};
    const struct kgen_op *op = it->function->kernel.problem.op;
    for (size_t i = 0; i < kgen_function_buffer_count(it->function); i++) {
        struct kgen_buffer_facts facts;
        kgen_function_buffer_query(it->function, i, &facts, sizeof facts);
        assert_int_equal(kgen_call_set(&call, it->function, facts.name, it->arguments.buffers[i], &status),
                         0);
    }
    for (size_t i = 0; i < op->scalar_count; i++)
        assert_int_equal(
            kgen_call_set_scalar(&call, it->function, op->scalars[i].name, it->arguments.scalars[i], &status),
            0);
    return call;
}

/* One way of computing the whole; way counts from 0. */
static void compute(const struct kgen_function *function, const struct kgen_call *call,
                    struct kgen_threads *threads, int way)
{
    const size_t range = kgen_function_range(function);
    struct kgen_status status = {0};
    kgen_part_function *prepare = kgen_function_prepare_pointer(function);
    kgen_part_function *finish = kgen_function_finish_pointer(function);
    switch (way) {
    case 0:
        assert_int_equal(kgen_function_run(function, call, NULL, &status), 0);
        return;
    case 1:
        assert_int_equal(kgen_function_run(function, call, threads, &status), 0);
        return;
    case 2: /* as threads of the caller's would */
        assert_int_equal(kgen_function_prepare(function, call, &status), 0);
        for (size_t part = 0; part < 3; part++)
            assert_int_equal(kgen_function_run_range(function, call, kgen_function_part(function, part, 3),
                                                     kgen_function_part(function, part + 1, 3), &status),
                             0);
        assert_int_equal(kgen_function_finish(function, call, &status), 0);
        return;
    default: /* without a call of the library between */
        if (prepare != NULL)
            prepare(call->buffers, call->scalars);
        kgen_function_run_pointer(function)(call->buffers, call->scalars, 0, range);
        if (finish != NULL)
            finish(call->buffers, call->scalars);
    }
}

/* Puts the arrays of weights into the layout of the function, in two parts where it has tiles. */
static void pack(struct computation *it)
{
    const struct kgen_function *function = it->function;
    const size_t rows = kgen_function_range(function);
    const size_t cut = kgen_function_layout(function) == KGEN_LAYOUT_TILES16 ? rows / 32 * 16 : rows / 2;
    for (size_t i = 0; i < it->list.count; i++) {
        const char *name = it->list.items[i].name;
        const size_t size = kgen_function_packed_size(function, name);
        assert_int_equal(size > 0, it->list.items[i].role == KGEN_WEIGHTS);
        if (size == 0)
            continue;
        struct kgen_status status = {0};
        const unsigned char *stored = it->arguments.buffers[i];
        unsigned char *packed = aligned(size);
        memset(packed, 0xff, size);
        const size_t skipped = kgen_function_packed_offset(function, name, cut);
        assert_true(skipped < size);
        assert_int_equal(kgen_function_pack(function, name, cut, rows, stored + skipped, packed, &status), 0);
        assert_int_equal(kgen_function_pack(function, name, 0, cut, stored, packed, &status), 0);
        free(it->arguments.buffers[i]);
        it->arguments.buffers[i] = packed;
    }
}

/* Makes random inputs, as checkpoints have them, and what is to come of them. */
static void make_inputs(struct computation *it, const struct kgen_function *function)
{
    struct kgen_problem stored = function->kernel.problem;
    kgen_problem_set(&stored, "layout", KGEN_STORED);
    *it = (struct computation){.function = function};
    kgen_problem_buffers(&function->kernel.problem, &it->list);
    for (size_t i = 0; i < it->list.count; i++) {
        const struct kgen_problem_buffer *buffer = &it->list.items[i];
        const size_t size = kgen_function_buffer_size(function, buffer->name);
        const size_t width = is_expected(buffer) ? kgen_dtype_bytes(buffer->dtype) : 0;
        it->arguments.buffers[i] = aligned(buffer->role == KGEN_SCRATCH ? TEAM_MAX * size : size);
        if (width > 0) {
            it->expected.values[i] = calloc(size / width, sizeof(double));
            it->expected.bounds[i] = calloc(size / width, sizeof(double));
        }
    }
    struct kgen_random random = {7};
    stored.op->generators->fill(&stored, &random, &it->arguments);
    stored.op->reference(&stored, &it->arguments, &it->expected);
    for (size_t i = 0; i < it->list.count; i++) {
        const struct kgen_problem_buffer *buffer = &it->list.items[i];
        if (is_written(buffer) && buffer->role != KGEN_OUTPUT)
            it->before[i] = copy_of(it->arguments.buffers[i], buffer->bytes);
    }
}

/* Holds what one buffer has against the reference. Returns the number of elements. */
static size_t compare(const struct computation *it, size_t index, int way)
{
    const struct kgen_problem_buffer *buffer = &it->list.items[index];
    const double *values = it->expected.values[index], *bounds = it->expected.bounds[index];
    const size_t count = buffer->bytes / kgen_dtype_bytes(buffer->dtype);
    for (size_t i = 0; i < count; i++) {
        const double value = kgen_dtype_value(it->arguments.buffers[index], buffer->dtype, (int64_t)i);
        if (!(fabs(value - values[i]) <= bounds[i]) && !(isnan(values[i]) && isnan(value)))
            fail_msg("%s, way %d: %s[%zu] = %g, expected %g +- %g", it->function->name.data, way,
                     buffer->name, i, value, values[i], bounds[i]);
    }
    return count;
}

/* Puts the inputs back, and nonsense into the outputs. */
static void reset(const struct computation *it)
{
    for (size_t i = 0; i < it->list.count; i++) {
        const struct kgen_problem_buffer *buffer = &it->list.items[i];
        if (buffer->role == KGEN_OUTPUT)
            memset(it->arguments.buffers[i], 0xff, buffer->bytes);
        else if (it->before[i] != NULL)
            memcpy(it->arguments.buffers[i], it->before[i], buffer->bytes);
    }
}

static void free_computation(struct computation *it)
{
    for (size_t i = 0; i < it->list.count; i++) {
        free(it->arguments.buffers[i]);
        free(it->expected.values[i]);
        free(it->expected.bounds[i]);
        free(it->before[i]);
        free(it->first[i]);
    }
}

size_t api_compute(const struct kgen_function *function, struct kgen_threads *threads)
{
    struct computation it;
    size_t compared = 0;
    make_inputs(&it, function);
    pack(&it);
    const struct kgen_call call = call_of(&it);
    for (int way = 0; way < WAYS; way++) {
        reset(&it);
        compute(function, &call, threads, way);
        for (size_t i = 0; i < it.list.count; i++) {
            const struct kgen_problem_buffer *buffer = &it.list.items[i];
            if (is_expected(buffer))
                compared += compare(&it, i, way);
            if (is_written(buffer) && way == 0)
                it.first[i] = copy_of(it.arguments.buffers[i], buffer->bytes);
            if (is_written(buffer))
                assert_memory_equal(it.first[i], it.arguments.buffers[i], buffer->bytes);
        }
    }
    free_computation(&it);
    return compared;
}
