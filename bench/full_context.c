/* SPDX-License-Identifier: MIT */
/* How long decode attention takes at the last position of its context. kgen times it at a typical position;
 * ggml's cases fill the caches. Used by bench/peers.py: reads the same caches in each call, as ggml does, for
 * a second.
 *
 *     full_context SPEC NAME
 *
 * NAME is that of the problem in kgen explain SPEC --json. Prints the seconds of one call (median) and the
 * variant. Where the cache of records has none for the problem, kgen searches first. */
#include "runtime/kgen.h"

#include "gen/base/clock.h"
#include "runtime/tune/timing.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 20000, WARM_UP = 3, HIGHEST = 1 << 20 };

static const struct kgen_function *find(const struct kgen_plan *plan, const char *name)
{
    for (size_t i = 0; i < kgen_plan_count(plan); i++) {
        struct kgen_function_facts facts;
        kgen_function_query(kgen_plan_at(plan, i), &facts, sizeof facts);
        if (strcmp(facts.name, name) == 0)
            return kgen_plan_at(plan, i);
    }
    return NULL;
}

/* Small numbers of either sign: these 16 bits are an f16 or a bf16, two of them an f32. */
static void fill(uint16_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (uint16_t)(0x2c00 | (i * 193 & 0x3ff) | (i % 3 == 0 ? 0x8000 : 0));
}

static int set_buffers(const struct kgen_function *function, struct kgen_call *call, int threads,
                       struct kgen_status *status)
{
    for (size_t i = 0; i < kgen_function_buffer_count(function); i++) {
        struct kgen_buffer_facts facts;
        kgen_function_buffer_query(function, i, &facts, sizeof facts);
        const size_t room = facts.bytes * (size_t)(strcmp(facts.role, "scratch") == 0 ? threads : 1),
                     bytes = (room / 64 + 1) * 64;
        void *data = aligned_alloc(64, bytes);
        if (data == NULL)
            return -1;
        fill(data, bytes / 2);
        if (kgen_call_set(call, function, facts.name, data, status) != 0)
            return -1;
    }
    return 0;
}

/* The last position: the highest value that the scalar may have. */
static int set_position(const struct kgen_function *function, struct kgen_call *call)
{
    int64_t low = 0, high = HIGHEST;
    while (low < high) {
        const int64_t middle = (low + high + 1) / 2;
        if (kgen_call_set_scalar(call, function, "position", middle, NULL) == 0)
            low = middle;
        else
            high = middle - 1;
    }
    return kgen_call_set_scalar(call, function, "position", low, NULL);
}

static int measure(const struct kgen_function *function, struct kgen_status *status)
{
    struct kgen_function_facts facts;
    struct kgen_call call = {0};
    static double seconds[CALLS_MAX];
    size_t count = 0;
    kgen_function_query(function, &facts, sizeof facts);
    if (set_buffers(function, &call, facts.threads, status) != 0 || set_position(function, &call) != 0)
        return -1;
    struct kgen_threads *threads = kgen_threads_open(facts.threads, status);
    if (threads == NULL)
        return -1;
    int result = 0;
    for (int i = 0; i < WARM_UP && result == 0; i++)
        result = kgen_function_run(function, &call, threads, status);
    for (const double begin = kgen_clock(); result == 0 && count < CALLS_MAX && kgen_clock() - begin < 1;) {
        const double at = kgen_clock();
        result = kgen_function_run(function, &call, threads, status);
        seconds[count++] = kgen_clock() - at;
    }
    kgen_threads_close(threads);
    if (result == 0)
        printf("%.9f %s\n", kgen_median(seconds, count), facts.variant);
    for (size_t i = 0; i < kgen_function_buffer_count(function); i++)
        free(call.buffers[i]);
    return result;
}

int main(int argc, char **argv)
{
    struct kgen_status status = {0};
    if (argc != 3) {
        fputs("usage: full_context SPEC NAME\n", stderr);
        return 2;
    }
    struct kgen_context *context = kgen_open(NULL, &status);
    struct kgen_plan *plan = context != NULL ? kgen_plan_file(context, argv[1], &status) : NULL;
    const struct kgen_function *function = plan != NULL ? find(plan, argv[2]) : NULL;
    const int result = function != NULL ? measure(function, &status) : -1;
    if (result != 0) {
        char text[1024];
        fprintf(stderr, "error: %s\n",
                plan != NULL && function == NULL ? "the spec has no such problem"
                                                 : kgen_status_format(&status, text, sizeof text));
    }
    kgen_plan_free(plan);
    kgen_close(context);
    return result != 0;
}
