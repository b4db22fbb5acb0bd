/* SPDX-License-Identifier: MIT */
/* A claim says that one process works on a key. No other process can take it, on this host or another that
 * shares the folder.
 *
 * A claim is a kernel lock on one byte of the file `claims`, which the kernel releases when its owner dies.
 * Where kernel locks cannot be relied on (locks.h), a claim is the file claims.d/<key>, which only one
 * process can create. The file names its owner. It no longer counts when that process is dead, or after
 * KGEN_CLAIM_SECONDS where its host is another one. Two processes may rarely take over the same file at once;
 * then the work is done twice. */
#ifndef KGEN_CACHE_CLAIM_H
#define KGEN_CACHE_CLAIM_H

#include "gen/base/base.h"

/* Their names in the cache's folder. */
#define KGEN_CLAIMS_LOCKS "claims"
#define KGEN_CLAIMS_FILES "claims.d"

/* Longer than any candidate takes. */
#define KGEN_CLAIM_SECONDS 600

/* The claims of a folder, for one thread at a time. Two openings of one folder exclude each other. */
struct kgen_claims {
    char *folder;   /* owned */
    int descriptor; /* of the file `claims`; -1: not open yet */
    bool files;     /* claims are files */
};

/* Creates no file yet. */
int kgen_claims_open(struct kgen_claims *claims, const char *folder, struct kgen_error *error);
/* Releases all claims that are locks. The caller drops those that are files. */
void kgen_claims_close(struct kgen_claims *claims);

/* Takes the claim of a key. Returns true when the caller has it, and where claims cannot be kept at all, as
 * in a folder that cannot be written. */
bool kgen_claims_take(struct kgen_claims *claims, uint64_t key);
void kgen_claims_drop(struct kgen_claims *claims, uint64_t key);

/* Takes a claim that is a file. Returns 1 when it was taken, 0 when another process has it, -1 when the file
 * cannot be created. */
int kgen_claim_file_take(const char *path);
void kgen_claim_file_drop(const char *path);

#endif
