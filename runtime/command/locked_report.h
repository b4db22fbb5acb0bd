/* SPDX-License-Identifier: MIT */
/* What kgen SPEC --locked and --check print. */
#ifndef KGEN_LOCKED_REPORT_H
#define KGEN_LOCKED_REPORT_H

#include "runtime/command/command.h"
#include "runtime/tune/shipped.h"

struct kgen_locked_run {
    const struct kgen_options *options;
    struct kgen_session *session;
    struct kgen_lock lock;
    struct kgen_text folder, path;       /* of the output, of its lock */
    struct kgen_variant *tuned, *proven; /* one an entry; tmpl NULL: none, or none that runs here; owned */
    size_t not_here;                     /* tuned variants that this machine cannot run */
    struct kgen_shipped shipped;
};

/* Each prints on stdout, as text or as JSON, and returns -1 with a message where that fails. */

/* After the sources were written, or with --json a kernel has failed. */
int kgen_locked_print(const struct kgen_locked_run *run);
/* After the folder was compared. */
int kgen_locked_print_differences(const struct kgen_locked_run *run,
                                  const struct kgen_emit_differences *differences);
/* The JSON of a run whose lock does not fit. */
int kgen_locked_print_misfit(const struct kgen_locked_run *run, const struct kgen_error *error);

#endif
