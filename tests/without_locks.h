/* SPDX-License-Identifier: MIT */
/* A file system where locks fail, or are granted to everybody, made by a filter of system calls. */
#ifndef KGEN_WITHOUT_LOCKS_H
#define KGEN_WITHOUT_LOCKS_H

/* From now on, and in all that this process starts, flock and fcntl's locks fail with ENOLCK, as they do on
 * network file systems without a lock manager. */
void kgen_test_refuse_locks(void);
/* The same, but they succeed and lock nothing, as where each host keeps its locks to itself. */
void kgen_test_grant_locks(void);
/* 0 where that works on this kernel. */
int kgen_test_can_refuse_locks(void);

#endif
