/* SPDX-License-Identifier: MIT */
/* How much memory is free. */
#ifndef KGEN_MEMORY_H
#define KGEN_MEMORY_H

#include "gen/base/base.h"

/* Bytes that a process can take without others being moved out: what the system calls available, or what is
 * left of the limit of the process's control group where that is less. 0: not known. Thread-safe. */
uint64_t kgen_memory_available(void);

/* The same of the texts of /proc/meminfo, and of a control group's memory.max and memory.current. */
uint64_t kgen_memory_available_of(const char *meminfo, const char *limit, const char *used);

#endif
