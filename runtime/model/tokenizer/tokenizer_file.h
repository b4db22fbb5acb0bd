/* SPDX-License-Identifier: MIT */
/* A tokenizer from a file of any kind. */
#ifndef KGEN_TOKENIZER_FILE_H
#define KGEN_TOKENIZER_FILE_H

#include "runtime/model/tokenizer/tokenizer.h"

/* Makes the tokenizer of a GGUF file, of a tokenizer.json or a folder with one, or of a tokenizer.bin of
 * llama2.c. It keeps nothing of the file. Returns NULL and fills error: KGEN_ERROR_IO where it cannot be
 * read, KGEN_ERROR_SPEC for what it cannot be made of, KGEN_ERROR_MEMORY. */
struct kgen_tokenizer *kgen_tokenizer_from_file(const char *path, struct kgen_error *error);

#endif
