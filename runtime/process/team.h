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

/* Makes a team that divides its jobs into so many parts, one of which the calling thread runs. Where the
 * system gives fewer threads, the calling thread runs the remaining parts. Returns NULL where memory runs
 * out. */
struct kgen_team *kgen_team_new(int parts, struct kgen_error *error);
/* Binds each thread, the caller's too, to a processor of its own, until the same thread frees the team. Does
 * nothing unless the process may use exactly as many processors as the team has threads. For measurements:
 * beside other programs the kernel may wake two threads on one processor, which then measure half of the
 * machine. */
void kgen_team_pin(struct kgen_team *team);
/* Ends the threads. NULL is fine. */
void kgen_team_free(struct kgen_team *team);

/* Runs a job and returns when every part is done. A NULL team runs it as one part. */
void kgen_team_run(struct kgen_team *team, kgen_team_job *job, void *context);

#endif
