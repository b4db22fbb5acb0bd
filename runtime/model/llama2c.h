/* SPDX-License-Identifier: MIT */
/* Checkpoints of llama2.c, version 0: 7 int32 (dim, hidden_dim, layers, heads, KV heads, vocabulary,
 * positions), then float32, little-endian. A vocabulary below 0 says that the output has a matrix of its own.
 * The floats: the embedding; of all layers one after the other the norms before attention, q, k, v, o, the
 * norms before the MLP, gate, down, up; the last norm; tables of cosines and sines, which nothing needs; the
 * output.
 *
 * They become a GGUF file in memory, so that all that reads checkpoints reads them, too. It has no tokenizer:
 * llama2.c keeps that in a file of its own, see tokenizer/vocabulary_llama2c.h. */
#ifndef KGEN_LLAMA2C_H
#define KGEN_LLAMA2C_H

#include "gen/base/base.h"

/* Whether the bytes are such a file: the header is plausible, and the size is just what it asks for. */
bool kgen_llama2c_is(const void *data, size_t size);

/* Writes the GGUF file of it into image, which is empty. MLPs whose hidden_dim is no multiple of 32 get rows
 * of gate and up, and columns of down, that are zeros, which changes no result. Returns 0, or -1 with
 * KGEN_ERROR_SPEC where it is no such file, or with KGEN_ERROR_MEMORY. */
int kgen_llama2c_convert(const char *source, const void *data, size_t size, struct kgen_text *image,
                         struct kgen_error *error);

/* The same of a file. Returns 1; 0 where it is no such file, or cannot be read; or -1 with an error. */
int kgen_llama2c_read(const char *path, struct kgen_text *image, struct kgen_error *error);

#endif
