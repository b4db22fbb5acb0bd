/* SPDX-License-Identifier: MIT */
/* Packages made by tests. */
#ifndef PACKAGE_FIXTURE_H
#define PACKAGE_FIXTURE_H

#include "runtime/model/package_config.h"
#include "runtime/model/package_write.h"

struct kgen_test_packing {
    struct kgen_package_formats formats;
    enum kgen_constant activation_dtype, layout;
    int (*progress)(void *context, uint64_t done, uint64_t bytes);
};

/* For i24 in tiles16, and for f32 as stored. */
extern const struct kgen_test_packing kgen_test_in_tiles, kgen_test_as_stored;

/* Packs a checkpoint with the name "a name", and with two threads. */
int kgen_test_pack(const char *from, const char *to, const struct kgen_test_packing *packing,
                   struct kgen_package_summary *summary, struct kgen_error *error);
/* The same, which must succeed. */
struct kgen_package_summary kgen_test_pack_well(const char *from, const char *to,
                                                const struct kgen_test_packing *packing);
/* Opens a checkpoint, which must succeed. */
struct kgen_checkpoint *kgen_test_open_checkpoint(const char *path);

#endif
