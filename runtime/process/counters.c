/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* syscall */
#include "runtime/process/counters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#endif

static const char *const names[KGEN_COUNTER_COUNT] = {
    [KGEN_COUNTER_CYCLES] = "cycles",
    [KGEN_COUNTER_INSTRUCTIONS] = "instructions",
    [KGEN_COUNTER_CACHE_MISSES] = "cache_misses",
};

const char *kgen_counter_name(enum kgen_counter counter)
{
    return names[counter];
}

#if defined(__linux__)
static const uint64_t events[KGEN_COUNTER_COUNT] = {
    [KGEN_COUNTER_CYCLES] = PERF_COUNT_HW_CPU_CYCLES,
    [KGEN_COUNTER_INSTRUCTIONS] = PERF_COUNT_HW_INSTRUCTIONS,
    [KGEN_COUNTER_CACHE_MISSES] = PERF_COUNT_HW_CACHE_MISSES,
};

/* What is read from the file of a counter. */
struct reading {
    uint64_t value, enabled, running; /* the latter two in nanoseconds */
};

static int open_event(uint64_t event)
{
    struct perf_event_attr attributes = {
        .size = sizeof attributes,
        .type = PERF_TYPE_HARDWARE,
        .config = event,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .disabled = 1,
        .inherit = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Says why an event was refused. */
static void explain(struct kgen_counters *counters, enum kgen_counter counter, int number)
{
    int paranoid = 0;
    FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "r");
    const bool known = file != NULL && fscanf(file, "%d", &paranoid) == 1;
    if (file != NULL)
        fclose(file);
    if (number == ENOENT || number == EOPNOTSUPP || number == ENODEV)
        snprintf(counters->reason, sizeof counters->reason,
                 "this machine, or what runs it, has no counter of %s (perf_event_open: %s)", names[counter],
                 strerror(number));
    else if ((number == EACCES || number == EPERM) && known && paranoid > 2)
        snprintf(counters->reason, sizeof counters->reason,
                 "perf_event_open: %s; kernel.perf_event_paranoid is %d, and 2 allows it", strerror(number),
                 paranoid);
    else
        snprintf(counters->reason, sizeof counters->reason, "perf_event_open: %s", strerror(number));
}

int kgen_counters_open(struct kgen_counters *counters)
{
    int count = 0;
    counters->reason[0] = '\0';
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++) {
        counters->files[i] = open_event(events[i]);
        count += counters->files[i] >= 0;
        if (counters->files[i] < 0 && counters->reason[0] == '\0')
            explain(counters, (enum kgen_counter)i, errno);
    }
    return count;
}

static void control(const struct kgen_counters *counters, unsigned long request)
{
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++) {
        if (counters->files[i] >= 0)
            ioctl(counters->files[i], request, 0);
    }
}

void kgen_counters_start(struct kgen_counters *counters)
{
    control(counters, PERF_EVENT_IOC_ENABLE);
}

void kgen_counters_stop(struct kgen_counters *counters)
{
    control(counters, PERF_EVENT_IOC_DISABLE);
}

void kgen_counters_read(const struct kgen_counters *counters, struct kgen_counts *counts)
{
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++) {
        struct reading reading;
        counts->values[i] = -1;
        if (counters->files[i] >= 0 &&
            read(counters->files[i], &reading, sizeof reading) == (ssize_t)sizeof reading &&
            reading.running > 0)
            counts->values[i] = (double)reading.value * (double)reading.enabled / (double)reading.running;
    }
}
#else
int kgen_counters_open(struct kgen_counters *counters)
{
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++)
        counters->files[i] = -1;
    snprintf(counters->reason, sizeof counters->reason, "this system has no perf_event_open");
    return 0;
}

void kgen_counters_start(struct kgen_counters *counters)
{
    (void)counters;
}

void kgen_counters_stop(struct kgen_counters *counters)
{
    (void)counters;
}

void kgen_counters_read(const struct kgen_counters *counters, struct kgen_counts *counts)
{
    (void)counters;
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++)
        counts->values[i] = -1;
}
#endif

void kgen_counters_close(struct kgen_counters *counters)
{
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++) {
        if (counters->files[i] >= 0)
            close(counters->files[i]);
        counters->files[i] = -1;
    }
}
