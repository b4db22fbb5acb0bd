/* SPDX-License-Identifier: MIT */
/* Times of other programs for the same problems, from a file that the user gives:
 *
 *   {"peers": [{"name": "llama.cpp b1234", "problem": "qmv_n4096_k4096_b4_g64_f16_f32",
 *               "seconds": 0.000812, "settings": "2 threads, cold weights"}]}
 *
 * problem is the "name" that kgen explain SPEC --json gives; seconds are of one call; settings may be left
 * out. */
#ifndef KGEN_REPORT_PEERS_H
#define KGEN_REPORT_PEERS_H

#include "gen/base/base.h"

struct kgen_peer {
    const char *name, *problem;
    const char *settings; /* "" where there are none */
    double seconds;       /* greater than 0 */
};

/* Zero-initialise. The strings live as long as the peers do. */
struct kgen_peers {
    struct kgen_peer *items; /* owned; in the order of the file */
    size_t count;
    void *json; /* owned */
};

/* Fails with KGEN_ERROR_IO where the file cannot be read, and with KGEN_ERROR_USAGE and the place where it
 * is not as described. The caller frees peers in either case. */
int kgen_peers_read(const char *path, struct kgen_peers *peers, struct kgen_error *error);
void kgen_peers_free(struct kgen_peers *peers);

#endif
