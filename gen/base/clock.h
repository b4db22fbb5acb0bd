/* SPDX-License-Identifier: MIT */
/* A monotonic clock. Both functions read the same one, whose start is not defined. Thread-safe. */
#ifndef KGEN_CLOCK_H
#define KGEN_CLOCK_H

#include <stdint.h>

/* Seconds. */
double kgen_clock(void);
/* Nanoseconds. */
int64_t kgen_clock_nanoseconds(void);

#endif
