/* SPDX-License-Identifier: MIT */
/* The read bandwidth of main memory. */
#ifndef KGEN_BANDWIDTH_H
#define KGEN_BANDWIDTH_H

#include "gen/template/template.h"
#include "runtime/machine/machine.h"

/* Bytes per second with 1 and with n threads. */
struct kgen_bandwidth {
    int threads;
    double one_thread, all_threads;
    double noise; /* of the passes with all threads: the distance between the quartiles over the median */
};

/* Takes the best of several passes over a buffer of at least four times the last-level cache, in huge pages
 * where the system grants them. A kernel from templates/c/read_bandwidth.c.in for the machine's widest
 * vectors, compiled by TinyCC, reads it in a child process. Takes about half a second. Returns 0 or -1. */
int kgen_bandwidth_measure(const struct kgen_machine *machine, const struct kgen_templates *templates,
                           int threads, struct kgen_bandwidth *bandwidth, struct kgen_error *error);

#endif
