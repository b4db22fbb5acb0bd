/* SPDX-License-Identifier: MIT */
/* How thorough a search is. Records say at which effort they were timed. */
#ifndef KGEN_EFFORT_H
#define KGEN_EFFORT_H

/* In the order of enum kgen_effort of runtime/kgen.h, which describes them. */
enum kgen_search_effort {
    KGEN_EFFORT_ESTIMATE,
    KGEN_EFFORT_MEASURE,
    KGEN_EFFORT_PATIENT,
    KGEN_EFFORT_EXHAUSTIVE,
    KGEN_EFFORT_COUNT
};

/* "estimate", "measure", "patient", "exhaustive". Never NULL for a valid effort. */
const char *kgen_effort_name(enum kgen_search_effort effort);
/* Returns 0 and the effort of that name, or -1 for an unknown name. */
int kgen_effort_parse(const char *name, enum kgen_search_effort *effort);

#endif
