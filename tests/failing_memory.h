/* SPDX-License-Identifier: MIT */
/* Memory that runs out at a chosen moment. The Makefile puts these functions in the place of the C library's
 * in the programs that use them; allocations within other shared libraries are not theirs. */
#ifndef KGEN_FAILING_MEMORY_H
#define KGEN_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation of this process from now on (from 1), and all after it, fail. 0: none. Children are
 * spared. One thread at a time. */
void kgen_test_fail_memory(size_t n);
/* Whether one has failed since. */
bool kgen_test_memory_failed(void);

#endif
