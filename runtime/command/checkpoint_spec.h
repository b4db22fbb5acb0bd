/* SPDX-License-Identifier: MIT */
/* A GGUF file, also a package, in the place of a spec: the model that it holds. */
#ifndef KGEN_COMMAND_CHECKPOINT_SPEC_H
#define KGEN_COMMAND_CHECKPOINT_SPEC_H

#include "runtime/command/options.h"

/* Whether a path names a GGUF file, by its first bytes. */
bool kgen_is_gguf(const char *path);

/* The spec of the model of a checkpoint, with what the options say of activations, layout, caches and rows,
 * or the defaults of kgen generate. Returns NULL with KGEN_ERROR_USAGE where an option asks for other formats
 * of weights, or with the error of opening it. The caller frees it. */
struct kgen_spec *kgen_checkpoint_spec(const struct kgen_options *options, const char *path,
                                       struct kgen_error *error);

#endif
