/* SPDX-License-Identifier: MIT */
/* The config of a package: that of a checkpoint, with other formats for weights that are not quantised. */
#ifndef KGEN_PACKAGE_CONFIG_H
#define KGEN_PACKAGE_CONFIG_H

#include "runtime/model/checkpoint.h"

/* What plain matrices become. All 0 and NULL: what they are. */
struct kgen_package_formats {
    int64_t bits, group_size; /* affine; group_size 0: 64 */
    int64_t scale_dtype;      /* a constant; 0: that of the matrices, but f16 of those of F32 */
    const char *overrides;    /* NULL, or the text of an object as specs have it under "overrides" */
};

/* Clears config and writes it. Fails with KGEN_ERROR_SPEC where the checkpoint has no config, overrides is no
 * object, or bits are asked for and every matrix is quantised already; KGEN_ERROR_MEMORY. */
int kgen_package_config(const struct kgen_checkpoint *checkpoint, const struct kgen_package_formats *formats,
                        struct kgen_text *config, struct kgen_error *error);

#endif
