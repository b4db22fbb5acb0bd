/* SPDX-License-Identifier: MIT */
/* What the cache knows of a problem: the evidence for its winner. */
#ifndef KGEN_EVIDENCE_H
#define KGEN_EVIDENCE_H

#include "runtime/command/command.h"

/* A record, the variant it is of, and the time that counts for its problem; 0: not timed. */
struct kgen_ranked {
    const struct kgen_record *record;
    struct kgen_variant variant;
    double seconds;
    double cost; /* kgen_record_cost */
};

struct kgen_evidence {
    /* Of the candidates that the templates give today, the best first: the final round by time, the others
     * timed by time, those proven only, those that failed. Owned; the records are the cache's. */
    struct kgen_ranked *records;
    size_t count;
    size_t candidates; /* today; those without a record have not been tried */
    size_t passed, timed, in_final_round, failed;
    /* The winner: the fastest that a run chose, or NULL. */
    const struct kgen_ranked *chosen;
    /* Records of this problem on this machine that count no more, or not for this engine: of earlier versions
     * of a template or of kgen, and of other compilers. */
    size_t stale;
};

/* Collects the evidence for a problem (with threads). engine: kgen_engine_describe. The caller frees it. */
int kgen_evidence_collect(const struct kgen_session *session, const struct kgen_problem *problem,
                          const char *engine, struct kgen_evidence *evidence, struct kgen_error *error);
void kgen_evidence_free(struct kgen_evidence *evidence);

/* Appends one or two sentences: why the winner won, or why there is none. */
void kgen_evidence_reason(const struct kgen_evidence *evidence, struct kgen_text *text);

#endif
