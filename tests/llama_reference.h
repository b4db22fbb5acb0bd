/* SPDX-License-Identifier: MIT */
/* A decoder of the families Llama, Qwen2 and Qwen3, with experts too, in double precision, written as the
 * formulas stand, for tests to hold a decoder against. RoPE turns elements 2i and 2i + 1 where the
 * architecture is llama, as its GGUF files want it, and i and i + head_dim/2 of others. Biases of q, k and v,
 * and norms of q and k, count where the checkpoint has them. */
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
