/* SPDX-License-Identifier: MIT */
/* The tokenizer of a GGUF file. */
#ifndef KGEN_VOCABULARY_GGUF_H
#define KGEN_VOCABULARY_GGUF_H

#include "runtime/model/gguf.h"
#include "runtime/model/tokenizer/tokenizer.h"

/* Makes the tokenizer that the metadata tokenizer.ggml.* and tokenizer.chat_template describe. It keeps
 * nothing of the file. Returns NULL and fills error: KGEN_ERROR_SPEC for a kind of tokenizer that is not
 * known, keys that are missing or have other types, and what kgen_tokenizer_new refuses; KGEN_ERROR_MEMORY.
 */
struct kgen_tokenizer *kgen_tokenizer_from_gguf(const struct kgen_gguf *gguf, struct kgen_error *error);

#endif
