/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* nftw */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/prove/fill.h"
#include "runtime/api/plan.h"
#include "runtime/prove/reference.h"
#include "api_fixture.h"

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

const struct kgen_request api_requests[] = {
    {.op = "qmv", .tensor = "a", .N = 40, .K = 256, .bits = 4, .group_size = 64},
    {.op = "qmv", .tensor = "a", .N = 40, .K = 256, .bits = 4, .group_size = 64, .activations = "i8"},
    {.op = "qmv", .N = 33, .K = 128, .bits = 8, .group_size = 32, .mode = "symmetric", .scales = "f32"},
    {.op = "qmv", .N = 40, .K = 256, .bits = 4, .group_size = 64, .layout = "tiles16"},
    {.op = "dequantize", .N = 5, .K = 128, .bits = 3, .group_size = 64, .scales = "bf16"},
    {.op = "rms_norm", .rows = 3, .size = 100, .eps = 1e-5},
    {.op = "rms_norm", .size = 64, .residual = 1, .weight_plus_one = 1},
    {.op = "rope", .heads = 4, .head_dim = 64, .theta = 1e6},
    {.op = "rope",
     .heads = 2,
     .head_dim = 32,
     .rotary_dim = 16,
     .pairing = "interleaved",
     .scaling = "linear",
     .factor = 2},
    {.op = "swiglu", .size = 1000},
    {.op = "add", .size = 77},
};
const size_t api_request_count = KGEN_COUNT_OF(api_requests);

struct buffers {
    void *memory[KGEN_BUFFER_COUNT];
    size_t sizes[KGEN_BUFFER_COUNT];
};

static struct kgen_call call_of(const struct kgen_arguments *a)
{
    void *const *b = a->buffers;
    return (struct kgen_call){.weights = b[KGEN_BUFFER_WEIGHTS],
                              .scales = b[KGEN_BUFFER_SCALES],
                              .biases = b[KGEN_BUFFER_BIASES],
                              .x = b[KGEN_BUFFER_X],
                              .x2 = b[KGEN_BUFFER_X2],
                              .weight = b[KGEN_BUFFER_WEIGHT],
                              .residual = b[KGEN_BUFFER_RESIDUAL],
                              .y = b[KGEN_BUFFER_Y],
                              .workspace = b[KGEN_BUFFER_WORKSPACE],
                              .position = a->position};
}

typedef void kgen_qmv(const void *weights, const void *scales, const void *biases, const void *workspace,
                      float *y, size_t begin, size_t end);
typedef void kgen_qmv_prepare(const float *x, void *workspace);

/* One way of computing the whole; way counts from 0. False where there is no such way. */
static bool compute(const struct kgen_function *function, const struct kgen_call *call,
                    struct kgen_threads *threads, int way)
{
    const size_t range = kgen_function_range(function);
    struct kgen_status status = {0};
    switch (way) {
    case 0:
        assert_int_equal(kgen_function_run(function, call, NULL, &status), 0);
        return true;
    case 1:
        assert_int_equal(kgen_function_run(function, call, threads, &status), 0);
        return true;
    case 2: /* as threads of the caller's would */
        assert_int_equal(kgen_function_prepare(function, call, &status), 0);
        for (size_t part = 0; part < 3; part++)
            assert_int_equal(kgen_function_run_range(function, call, kgen_function_part(function, part, 3),
                                                     kgen_function_part(function, part + 1, 3), &status),
                             0);
        return true;
    case 3:
        if (function->kernel.problem.op != KGEN_OP_QMV)
            return false;
        ((kgen_qmv_prepare *)kgen_function_pointer(function, "prepare"))(call->x, call->workspace);
        ((kgen_qmv *)kgen_function_pointer(function, "run"))(call->weights, call->scales, call->biases,
                                                             call->workspace, call->y, 0, range);
        return true;
    default:
        return false;
    }
}

/* Puts weights, scales and biases into the layout of the function, in two parts where it has tiles. */
static void pack(const struct kgen_function *function, struct kgen_arguments *arguments)
{
    const size_t rows = kgen_function_range(function);
    const size_t cut = kgen_function_layout(function) == KGEN_LAYOUT_TILES16 ? rows / 32 * 16 : rows / 2;
    for (int i = KGEN_BUFFER_WEIGHTS; i <= KGEN_BUFFER_BIASES; i++) {
        const char *name = kgen_buffer_name((enum kgen_buffer)i);
        const size_t size = kgen_function_packed_size(function, name);
        if (size == 0)
            continue;
        struct kgen_status status = {0};
        const unsigned char *stored = arguments->buffers[i];
        unsigned char *packed = aligned_alloc(64, (size + 63) / 64 * 64);
        memset(packed, 0xff, size);
        const size_t skipped = kgen_function_packed_offset(function, name, cut);
        assert_true(skipped < size);
        assert_int_equal(kgen_function_pack(function, name, cut, rows, stored + skipped, packed, &status), 0);
        assert_int_equal(kgen_function_pack(function, name, 0, cut, stored, packed, &status), 0);
        free(arguments->buffers[i]);
        arguments->buffers[i] = packed;
    }
}

size_t api_compute(const struct kgen_function *function, struct kgen_threads *threads)
{
    struct kgen_problem stored = function->kernel.problem;
    const struct kgen_problem *problem = &stored;
    struct kgen_arguments arguments = {0};
    size_t sizes[KGEN_BUFFER_COUNT], fills;
    stored.layout = KGEN_STORED;
    for (int i = 0; i < KGEN_BUFFER_COUNT; i++) {
        sizes[i] = kgen_function_buffer_size(function, kgen_buffer_name((enum kgen_buffer)i));
        if (sizes[i] > 0)
            arguments.buffers[i] = aligned_alloc(64, (sizes[i] + 63) / 64 * 64);
    }
    struct kgen_random random = {7};
    kgen_fills(problem->op, &fills)->fill(problem, &random, &arguments);
    const size_t count = sizes[KGEN_BUFFER_Y] / sizeof(float);
    double *expected = calloc(count, sizeof(double)), *bound = calloc(count, sizeof(double));
    double *residual_expected = calloc(count, sizeof(double)),
           *residual_bound = calloc(count, sizeof(double));
    float *first = malloc(sizes[KGEN_BUFFER_Y]), *residual = malloc(sizes[KGEN_BUFFER_RESIDUAL] + 1);
    kgen_reference(problem, &arguments, expected, bound, residual_expected, residual_bound);
    if (sizes[KGEN_BUFFER_RESIDUAL] > 0)
        memcpy(residual, arguments.buffers[KGEN_BUFFER_RESIDUAL], sizes[KGEN_BUFFER_RESIDUAL]);
    size_t compared = 0;
    pack(function, &arguments);
    const struct kgen_call call = call_of(&arguments);
    for (int way = 0; way < 4; way++) {
        memset(call.y, 0xff, sizes[KGEN_BUFFER_Y]);
        if (sizes[KGEN_BUFFER_RESIDUAL] > 0)
            memcpy(call.residual, residual, sizes[KGEN_BUFFER_RESIDUAL]);
        if (!compute(function, &call, threads, way))
            continue;
        for (size_t i = 0; i < count; i++, compared++)
            if (!(fabs((double)call.y[i] - expected[i]) <= bound[i]))
                fail_msg("%s, way %d: y[%zu] = %g, expected %g +- %g", function->name.data, way, i,
                         (double)call.y[i], expected[i], bound[i]);
        if (way == 0)
            memcpy(first, call.y, sizes[KGEN_BUFFER_Y]);
        assert_memory_equal(first, call.y, sizes[KGEN_BUFFER_Y]);
    }
    for (int i = 0; i < KGEN_BUFFER_COUNT; i++)
        free(arguments.buffers[i]);
    free(expected);
    free(bound);
    free(residual_expected);
    free(residual_bound);
    free(first);
    free(residual);
    return compared;
}
