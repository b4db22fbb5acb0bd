/* SPDX-License-Identifier: MIT */
/* A tokenizer from a file of any kind. */
#ifndef KGEN_TOKENIZER_FILE_H
#define KGEN_TOKENIZER_FILE_H

#include "runtime/model/gguf.h"
#include "runtime/model/tokenizer/tokenizer.h"

/* The keys under which packages keep the files of a tokenizer that is not GGUF's: strings, and of llama2.c an
 * array of u8. */
#define KGEN_TOKENIZER_JSON_KEY "kgen.tokenizer.json"
#define KGEN_TOKENIZER_CONFIG_KEY "kgen.tokenizer.config"
#define KGEN_TOKENIZER_CHAT_KEY "kgen.tokenizer.chat_template"
#define KGEN_TOKENIZER_LLAMA2C_KEY "kgen.tokenizer.llama2c"

/* Whether the metadata of a GGUF file or a package have a tokenizer, and the tokenizer, as below. */
bool kgen_tokenizer_is_in(const struct kgen_gguf *gguf);
struct kgen_tokenizer *kgen_tokenizer_from_metadata(const struct kgen_gguf *gguf, struct kgen_error *error);

/* Makes the tokenizer of a GGUF file, of a tokenizer.json or a folder with one, or of a tokenizer.bin of
 * llama2.c. It keeps nothing of the file. Returns NULL and fills error: KGEN_ERROR_IO where it cannot be
 * read, KGEN_ERROR_SPEC for what it cannot be made of, KGEN_ERROR_MEMORY. */
struct kgen_tokenizer *kgen_tokenizer_from_file(const char *path, struct kgen_error *error);

#endif
