/* SPDX-License-Identifier: MIT */
/* What kgen inspect found out of a checkpoint. */
#ifndef KGEN_INSPECT_H
#define KGEN_INSPECT_H

#include "runtime/command/json.h"
#include "runtime/model/checkpoint.h"

#define KGEN_INSPECT_TYPES_MAX 64

struct kgen_inspection {
    struct kgen_checkpoint *checkpoint;
    bool checked; /* every byte of a package is as it was written */
    struct kgen_text config;
    struct kgen_spec *spec; /* NULL where error says why there is none */
    struct kgen_error error;
    struct kgen_checkpoint_mismatches mismatches;
    /* The types of the tensors, in the order in which the file first has them. */
    struct {
        const char *name;
        size_t tensors;
        uint64_t bytes;
    } types[KGEN_INSPECT_TYPES_MAX];
    size_t type_count;
    uint64_t tensor_bytes;
};

/* The whole as JSON. A new reference, or NULL when memory runs out. */
json_t *kgen_inspect_json(const struct kgen_inspection *inspection);

#endif
