/* SPDX-License-Identifier: MIT */
/* Claims: which process works on what. A key that one holds no other can take, be it in another process or on
 * another host that shares the folder.
 *
 * A claim is a lock of the kernel on one byte of the file `claims`: it is free the moment its owner dies.
 * Where such locks exclude nobody (cache_locks.h), it is a file of its own, claims.d/<key>, made exclusively.
 * It says who made it, and counts no more when that process is dead, or, where that cannot be told from here,
 * after KGEN_CLAIM_SECONDS. Taking over such a file is not quite exclusive; the worst that follows is work
 * done twice. */
#ifndef KGEN_CACHE_CLAIM_H
#define KGEN_CACHE_CLAIM_H

#include "gen/base/base.h"

/* Their names in the cache's folder. */
#define KGEN_CLAIMS_LOCKS "claims"
#define KGEN_CLAIMS_FILES "claims.d"

/* Longer than any candidate takes. */
#define KGEN_CLAIM_SECONDS 600

/* One opening of a folder's claims. One thread at a time; two openings exclude each other. */
struct kgen_claims {
    char *folder;   /* owned */
    int descriptor; /* of the file `claims`; -1: not open yet */
    bool files;     /* locks exclude nobody: a file each */
};

/* Makes nothing yet. */
int kgen_claims_open(struct kgen_claims *claims, const char *folder, struct kgen_error *error);
/* Gives up what it holds, as far as it is locks; files are the caller's to drop. */
void kgen_claims_close(struct kgen_claims *claims);

/* Whether the key is the caller's now. True as well where claims cannot be kept at all, for instance in a
 * folder that cannot be written. */
bool kgen_claims_take(struct kgen_claims *claims, uint64_t key);
void kgen_claims_drop(struct kgen_claims *claims, uint64_t key);

/* The same with a file alone: 1 taken, 0 another has it, -1 it cannot be made. */
int kgen_claim_file_take(const char *path);
void kgen_claim_file_drop(const char *path);

#endif
