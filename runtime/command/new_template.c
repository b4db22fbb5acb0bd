/* SPDX-License-Identifier: MIT */
#include "runtime/command/command.h"
int kgen_command_new_template(const struct kgen_options *options)
{
    (void)options;
    return KGEN_EXIT_USAGE;
}
