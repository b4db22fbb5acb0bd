/* SPDX-License-Identifier: MIT */
/* The C functions that a problem has in emitted code. */
#include "gen/emit/internal.h"
#include "gen/ops/signature.h"

size_t kgen_emit_parts(const struct kgen_problem *problem, struct kgen_emit_part parts[KGEN_EMIT_PARTS])
{
    const struct kgen_signature *signature = kgen_signature(problem);
    size_t count = 0;
    if (signature->prepare_parameters != NULL) {
        parts[count++] = (struct kgen_emit_part){"size_t", "_workspace_size", "void", ""};
        parts[count++] = (struct kgen_emit_part){"void", "_prepare", signature->prepare_parameters,
                                                 signature->prepare_arguments};
    }
    parts[count++] = (struct kgen_emit_part){"void", "", signature->parameters, signature->arguments};
    return count;
}
