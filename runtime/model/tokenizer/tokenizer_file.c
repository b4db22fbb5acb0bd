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

bool kgen_tokenizer_is_in(const struct kgen_gguf *gguf)
{
    return kgen_gguf_find(gguf, "tokenizer.ggml.model") != NULL ||
           kgen_gguf_find(gguf, KGEN_TOKENIZER_JSON_KEY) != NULL ||
           kgen_gguf_find(gguf, KGEN_TOKENIZER_LLAMA2C_KEY) != NULL;
}

/* A text of the metadata; without data where it is not there. */
static int read_text(const struct kgen_gguf *gguf, const char *key, struct kgen_token_text *text,
                     struct kgen_error *error)
{
    struct kgen_gguf_text found = {NULL, 0};
    const int result = kgen_gguf_string(gguf, key, &found, error);
    *text = (struct kgen_token_text){found.data, found.length};
    return result < 0 ? -1 : 0;
}

struct kgen_tokenizer *kgen_tokenizer_from_metadata(const struct kgen_gguf *gguf, struct kgen_error *error)
{
    const char *source = kgen_gguf_source(gguf);
    const struct kgen_gguf_value *bytes = NULL;
    struct kgen_tokenizer_json files = {.source = source};
    if (kgen_gguf_array(gguf, KGEN_TOKENIZER_LLAMA2C_KEY, KGEN_GGUF_I64, &bytes, error) < 0 ||
        read_text(gguf, KGEN_TOKENIZER_JSON_KEY, &files.tokenizer, error) != 0 ||
        read_text(gguf, KGEN_TOKENIZER_CONFIG_KEY, &files.config, error) != 0 ||
        read_text(gguf, KGEN_TOKENIZER_CHAT_KEY, &files.chat_template, error) != 0)
        return NULL;
    if (bytes != NULL)
        return kgen_tokenizer_parse_llama2c(source, bytes->data, bytes->bytes, error);
    return files.tokenizer.data != NULL ? kgen_tokenizer_parse_json(&files, error)
                                        : kgen_tokenizer_from_gguf(gguf, error);
}

static struct kgen_tokenizer *from_gguf(const char *path, struct kgen_error *error)
{
    struct kgen_gguf *gguf = kgen_gguf_open(path, error);
    struct kgen_tokenizer *tokenizer = gguf != NULL ? kgen_tokenizer_from_metadata(gguf, error) : NULL;
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
