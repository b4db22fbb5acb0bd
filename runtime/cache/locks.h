/* SPDX-License-Identifier: MIT */
/* Whether kernel locks can be relied on. Internal to the cache.
 *
 * Some file systems refuse locks. Others grant a lock to several processes: network file systems that are
 * mounted without a lock manager keep the locks of each host apart, and some keep none. There the cache
 * creates files with O_EXCL in place of locks, which is atomic on all file systems. */
#ifndef KGEN_CACHE_LOCKS_H
#define KGEN_CACHE_LOCKS_H

#include <stdbool.h>

/* Opens a file twice and locks it through both, by flock and by fcntl. Returns false where both get the lock,
 * where a lock fails for another reason than that it is held, and on network file systems. Returns true where
 * the file cannot be opened for writing, as nothing will be written. */
bool kgen_locks_exclude(const char *path);

#endif
