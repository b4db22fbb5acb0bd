/* SPDX-License-Identifier: MIT */
/* A team of threads that works on one job at a time.
 *
 * Not OpenMP, for two reasons. Kernels are timed in forked children, and libgomp's threads do not survive a
 * fork of a process that has used them. And where another program holds a core, libgomp waits by spinning:
 * two threads then lose a whole time slice to each other, where these give the core away after some
 * microseconds. */
#ifndef KGEN_TEAM_H
#define KGEN_TEAM_H

#include "gen/base/base.h"

struct kgen_team; /* used by one thread at a time */

/* Called once for each part from 0 to parts - 1, in several threads at once. */
typedef void kgen_team_job(void *context, size_t part, size_t parts);

/* Makes a team that divides its jobs into so many parts, the calling thread's among them. Where fewer threads
 * can be had, the calling thread works on the parts that are left over. Returns NULL for want of memory. */
struct kgen_team *kgen_team_new(int parts, struct kgen_error *error);
/* Where the process may use just as many processors as the team has threads: keeps each thread on one of its
 * own, the caller's too, until the team is freed by the same thread. For measurements: while another program
 * is at work, two threads that wake are else put on one processor, and measure half of the machine. */
void kgen_team_pin(struct kgen_team *team);
/* Ends the threads. NULL is fine. */
void kgen_team_free(struct kgen_team *team);

/* Runs a job and returns when every part is done. A NULL team runs it as one part. */
void kgen_team_run(struct kgen_team *team, kgen_team_job *job, void *context);

#endif
