/* SPDX-License-Identifier: MIT */
/* The result of a run of kgen SPEC, as a table or as JSON. */
#ifndef KGEN_REPORT_H
#define KGEN_REPORT_H

#include "runtime/command/command.h"
#include "runtime/tune/shipped.h"

#include <jansson.h>

/* How a run ended. The names stand in --json. */
enum kgen_ending {
    KGEN_ENDED_DONE,         /* "done" */
    KGEN_ENDED_TIME_LIMIT,   /* "time_limit": done with the best so far */
    KGEN_ENDED_FAILED,       /* "failed": a problem without a proven candidate, or not through the compiler */
    KGEN_ENDED_NO_CANDIDATE, /* "no_candidate": a problem that no template solves on this machine */
    KGEN_ENDED_INTERRUPTED   /* "interrupted" */
};

struct kgen_report {
    const struct kgen_options *options;
    const struct kgen_session *session;
    const struct kgen_bandwidth *bandwidth; /* NULL where it is not known */
    const struct kgen_choice *choices;      /* of the first count entries of the spec */
    size_t count;
    double seconds;
    const char *folder;                 /* NULL where nothing was written */
    const struct kgen_shipped *shipped; /* NULL where nothing was to be written */
    enum kgen_ending ending;
};

/* Whether the kernels were proven as they are written, through the system's compiler: a line, and an object
 * of --json. shipped NULL: nothing, and null. */
void kgen_report_print_shipped(const struct kgen_shipped *shipped);
json_t *kgen_report_shipped_json(const struct kgen_shipped *shipped);

/* Prints on stdout. Returns -1, with a message, where that fails. */
int kgen_report_print(const struct kgen_report *report);

#endif
