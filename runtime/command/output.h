/* SPDX-License-Identifier: MIT */
/* The sources that a run writes. */
#ifndef KGEN_COMMAND_OUTPUT_H
#define KGEN_COMMAND_OUTPUT_H

#include "runtime/command/command.h"
#include "runtime/tune/shipped.h"

/* The results of a run, from which its sources are made. */
struct kgen_output {
    const struct kgen_options *options;
    const struct kgen_session *session;
    const struct kgen_choice *choices; /* one for each entry of the spec */
    size_t count;
    uint64_t seed; /* of the proofs */
    const volatile int *cancel;
};

/* Checks the prefix and the quantiser of the options, and appends the output folder: that of -o, else
 * out/<name of the spec>. Creates nothing. */
int kgen_output_folder(const struct kgen_options *options, const struct kgen_spec *spec,
                       struct kgen_text *folder, struct kgen_error *error);

/* Makes the sources, proves the chosen kernels through the system's compiler, and writes them into folder
 * unless one failed. Returns 0 with the outcome of the proof in shipped; 1 when cancelled; -1 on an error. */
int kgen_output_write(const struct kgen_output *output, const char *folder, struct kgen_shipped *shipped,
                      struct kgen_error *error);

/* Says which kernel failed, and where. */
void kgen_output_say_failure(const struct kgen_output *output, const struct kgen_shipped *shipped);

#endif
