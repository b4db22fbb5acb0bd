/* SPDX-License-Identifier: MIT */
/* A team of threads that runs one job at a time.
 *
 * Not OpenMP, for two reasons. Kernels are timed in forked children, and libgomp's threads do not survive a
 * fork of a process that has used them. And libgomp waits by spinning: where another program runs on a core,
 * two threads lose a whole time slice to each other. These threads yield the core after some microseconds. */
#ifndef KGEN_TEAM_H
#define KGEN_TEAM_H

#include "gen/base/base.h"

struct kgen_team; /* used by one thread at a time */

/* Called once for each part from 0 to parts - 1, in several threads at once. */
typedef void kgen_team_job(void *context, size_t part, size_t parts);
/* The same; thread is the index, below that of the team's threads, of the one that runs the part. No two
 * parts run at once with the same thread. */
typedef void kgen_team_shared_job(void *context, size_t part, size_t parts, size_t thread);

/* The greatest number of parts of a job. */
#define KGEN_TEAM_PARTS_MAX 0xffff

/* Makes a team of so many threads, one of which is the calling thread. Where the system gives fewer, those do
 * all the work. Returns NULL where memory runs out. */
struct kgen_team *kgen_team_new(int threads, struct kgen_error *error);
/* Binds each thread, the caller's too, to a processor of its own, until the same thread frees the team. Does
 * nothing unless the process may use exactly as many processors as the team has threads. For measurements:
 * beside other programs the kernel may wake two threads on one processor, which then measure half of the
 * machine. */
void kgen_team_pin(struct kgen_team *team);
/* Ends the threads. NULL is fine. */
void kgen_team_free(struct kgen_team *team);

/* The number that the team was made with; 1 for NULL. */
size_t kgen_team_threads(const struct kgen_team *team);
/* Runs a job of as many parts as the team has threads, and returns when every part is done. A NULL team runs
 * it as one part. A part belongs to no thread: each takes the next one that is left, so that a thread which
 * the system keeps waiting holds nobody up. */
void kgen_team_run(struct kgen_team *team, kgen_team_job *job, void *context);
/* The same, but each part is that of one thread and they run at once: for proofs. Where the system gave fewer
 * threads than the team was made for, there are so many parts. */
void kgen_team_run_together(struct kgen_team *team, kgen_team_job *job, void *context);
/* The same as kgen_team_run with so many parts, KGEN_TEAM_PARTS_MAX at most. */
void kgen_team_share(struct kgen_team *team, size_t parts, kgen_team_shared_job *job, void *context);
/* The number of parts for a job that goes through so many bytes of memory: some for each thread, so that one
 * which is slower than the others takes fewer, and none too short. */
size_t kgen_team_parts(const struct kgen_team *team, size_t bytes);
/* Returns when every thread is awake. For measurements: a thread that sleeps comes to its first job late. */
void kgen_team_wake(struct kgen_team *team);

#endif
