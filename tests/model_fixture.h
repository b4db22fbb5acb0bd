/* SPDX-License-Identifier: MIT */
/* A small random model with a tokenizer and a chat template, as a GGUF file, and models opened from files. */
#ifndef KGEN_MODEL_FIXTURE_H
#define KGEN_MODEL_FIXTURE_H

#include "api_fixture.h"
#include "gguf_fixture.h"

/* The tokens of its tokenizer, which are its vocabulary. 0 is <|im_start|>, 1 <|im_end|>. */
enum { MODEL_TOKENS = 30 };

/* A llama of two layers, tied; and the same without a tokenizer and with a template that is not known. */
extern const struct kgen_test_llama model_shape, model_shape_without_tokenizer,
    model_shape_with_unknown_template;

/* Settings of exact activations and caches, for so many positions and sequences. */
struct kgen_model_settings model_settings(int64_t context, int64_t sequences);
/* Opens a model without a search, with so many threads; fails the test where that fails. */
struct kgen_model *model_open(struct api_fixture *fixture, const char *path, int threads,
                              const struct kgen_model_settings *settings);
/* Writes a shape as the fixture's "NAME", whose path is valid until the next call, and returns the path. */
const char *model_write(const struct api_fixture *fixture, const char *name,
                        const struct kgen_test_llama *shape, uint64_t seed);

#endif
