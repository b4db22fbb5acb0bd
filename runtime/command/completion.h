/* SPDX-License-Identifier: MIT */
/* Scripts that let a shell complete command lines of kgen, from the tables of commands and options. */
#ifndef KGEN_COMPLETION_H
#define KGEN_COMPLETION_H

#include "gen/base/base.h"

/* Appends the script. */
void kgen_completion_bash(struct kgen_text *script);
void kgen_completion_zsh(struct kgen_text *script);

#endif
