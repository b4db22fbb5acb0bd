/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/tokenizer_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gen/base/file.h"
#include "runtime/model/tokenizer/vocabulary_gguf.h"
#include "runtime/model/tokenizer/vocabulary_json.h"
#include "runtime/model/tokenizer/vocabulary_llama2c.h"

#define FILE_LIMIT ((size_t)256 << 20)

static struct kgen_tokenizer *from_gguf(const char *path, struct kgen_error *error)
{
    struct kgen_gguf *gguf = kgen_gguf_open(path, error);
    struct kgen_tokenizer *tokenizer = gguf != NULL ? kgen_tokenizer_from_gguf(gguf, error) : NULL;
    kgen_gguf_close(gguf);
    return tokenizer;
}

static struct kgen_tokenizer *from_llama2c(const char *path, struct kgen_error *error)
{
    struct kgen_text text = {0};
    struct kgen_tokenizer *tokenizer = NULL;
    if (kgen_file_read(path, FILE_LIMIT, &text, error) == 0) {
        tokenizer =
            kgen_tokenizer_parse_llama2c(path, text.data != NULL ? text.data : "", text.length, error);
        if (tokenizer == NULL)
            kgen_error_hint(error,
                            "a tokenizer is a GGUF file, a tokenizer.json or a tokenizer.bin of llama2.c");
    }
    kgen_text_free(&text);
    return tokenizer;
}

struct kgen_tokenizer *kgen_tokenizer_from_file(const char *path, struct kgen_error *error)
{
    struct stat status;
    char head[4] = {0};
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return kgen_tokenizer_from_json(path, error);
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
        FILE *file = fopen(path, "rb");
        const size_t count = file != NULL ? fread(head, 1, sizeof head, file) : 0;
        if (file != NULL)
            fclose(file);
        size_t first = 0;
        while (first < count && strchr(" \t\r\n", head[first]) != NULL)
            first++;
        if (first < count && head[first] == '{')
            return kgen_tokenizer_from_json(path, error);
    }
    return memcmp(head, "GGUF", 4) == 0 ? from_gguf(path, error) : from_llama2c(path, error);
}
