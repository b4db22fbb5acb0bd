/* SPDX-License-Identifier: MIT */
/* Whether the kernel's locks can be relied on. Internal to the cache.
 *
 * Some file systems refuse locks. Others grant them to everybody: network file systems mounted without a lock
 * manager keep those of each host to itself, and some keep none at all. The cache then makes files in their
 * stead, exclusively, which is atomic everywhere. */
#ifndef KGEN_CACHE_LOCKS_H
#define KGEN_CACHE_LOCKS_H

#include <stdbool.h>

/* Two openings of a file try to lock it: flock, and a byte far beyond its end. False where both are granted,
 * or are refused for another reason than that someone else has the lock, and on network file systems. path
 * names a file that can be opened for writing; where it cannot, true: nothing will be written. */
bool kgen_locks_exclude(const char *path);

#endif
