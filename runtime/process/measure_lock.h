/* SPDX-License-Identifier: MIT */
/* A lock between the kgen processes of one user on one machine, so that they do not disturb each other's
 * measurements. A process that compiles or proves holds it shared; one that measures holds it exclusively.
 *
 * The lock is one of the kernel's, on a file in /dev/shm: it ends with its holder. A process that waits for
 * the exclusive lock goes before those that ask for the shared one after it. */
#ifndef KGEN_MEASURE_LOCK_H
#define KGEN_MEASURE_LOCK_H

enum kgen_measure_lock_mode {
    KGEN_LOCK_SHARED,   /* to compile and to prove */
    KGEN_LOCK_EXCLUSIVE /* to measure */
};

/* A holder that keeps others waiting for longer is taken for stopped. */
#define KGEN_MEASURE_LOCK_SECONDS 20.0

/* Waits for the lock, at most KGEN_MEASURE_LOCK_SECONDS. Returns what kgen_measure_lock_release needs; -1
 * where there is no /dev/shm, its file belongs to another user, or the time was up: the caller goes on
 * without the lock. The lock belongs to the calling process and those it forks. */
int kgen_measure_lock_take(enum kgen_measure_lock_mode mode);
/* The same with a file, made for this user alone, and a time limit of the caller's. */
int kgen_measure_lock_take_at(const char *path, enum kgen_measure_lock_mode mode, double seconds);
/* -1 is fine. */
void kgen_measure_lock_release(int lock);

#endif
