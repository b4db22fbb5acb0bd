/* SPDX-License-Identifier: MIT */
/* A decoder of the Llama family in double precision, written as the formulas stand, for tests to hold a
 * decoder against. RoPE turns elements 2i and 2i + 1, as GGUF's llama files want it. */
#ifndef LLAMA_REFERENCE_H
#define LLAMA_REFERENCE_H

#include "gguf_fixture.h"
#include "runtime/model/checkpoint.h"

struct llama_reference;

/* Reads all weights of the checkpoint. Fails the test where one is missing. positions: as many as the caches
 * have room for. */
struct llama_reference *llama_reference_new(const struct kgen_checkpoint *checkpoint,
                                            const struct kgen_test_llama *shape, int64_t positions);
void llama_reference_free(struct llama_reference *reference);

/* The logits of a token at a position, valid until the next step. */
const double *llama_reference_step(struct llama_reference *reference, int64_t token, int64_t position);

#endif
