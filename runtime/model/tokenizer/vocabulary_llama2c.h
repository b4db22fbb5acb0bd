/* SPDX-License-Identifier: MIT */
/* The tokenizer.bin of llama2.c: an int32, the length of the longest token; then for each token a float32,
 * its score, an int32, its length, and its bytes; all little-endian. Token 0 is the unknown one, 1 begins a
 * text and 2 ends it. It merges as SentencePiece does. */
#ifndef KGEN_VOCABULARY_LLAMA2C_H
#define KGEN_VOCABULARY_LLAMA2C_H

#include "runtime/model/tokenizer/tokenizer.h"

/* Makes the tokenizer of such a file in memory; it keeps nothing of it. Returns NULL and fills error:
 * KGEN_ERROR_SPEC where the bytes are no such file, with the byte; KGEN_ERROR_MEMORY. */
struct kgen_tokenizer *kgen_tokenizer_parse_llama2c(const char *source, const void *data, size_t size,
                                                    struct kgen_error *error);

#endif
