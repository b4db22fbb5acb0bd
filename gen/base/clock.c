/* SPDX-License-Identifier: MIT */
#include "gen/base/clock.h"

#include <time.h>

int64_t kgen_clock_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

double kgen_clock(void)
{
    return 1e-9 * (double)kgen_clock_nanoseconds();
}
