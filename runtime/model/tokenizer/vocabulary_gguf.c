/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/vocabulary_gguf.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    const struct kgen_gguf *gguf;
    struct kgen_vocabulary vocabulary;
    struct kgen_token_text *tokens, *merges;
    int32_t *types;
    struct kgen_error *error;
};

static int out_of_memory(const struct reader *reader)
{
    return kgen_error_set(reader->error, KGEN_ERROR_MEMORY, kgen_gguf_source(reader->gguf), 0, 0,
                          "out of memory");
}

/* An array that must be there. */
static int find_array(const struct reader *reader, const char *key, enum kgen_gguf_type element,
                      const struct kgen_gguf_value **array)
{
    const int found = kgen_gguf_array(reader->gguf, key, element, array, reader->error);
    if (found == 0)
        return kgen_error_set(reader->error, KGEN_ERROR_SPEC, kgen_gguf_source(reader->gguf), 0, 0,
                              "there is no %s", key);
    return found < 0 ? -1 : 0;
}

static int read_strings(const struct reader *reader, const char *key, struct kgen_token_text **texts,
                        size_t *count)
{
    const struct kgen_gguf_value *array;
    if (find_array(reader, key, KGEN_GGUF_STRING, &array) < 0)
        return -1;
    /* A string takes eight bytes of the file at least, so that the count is no larger than that. */
    *texts = calloc((size_t)array->count + 1, sizeof **texts);
    if (*texts == NULL)
        return out_of_memory(reader);
    struct kgen_gguf_strings strings = kgen_gguf_strings_start(array);
    struct kgen_gguf_text text;
    while (*count < array->count && kgen_gguf_strings_next(&strings, &text))
        (*texts)[(*count)++] = (struct kgen_token_text){text.data, text.length};
    return 0;
}

static int read_types(struct reader *reader)
{
    static const char key[] = "tokenizer.ggml.token_type";
    const struct kgen_gguf_value *array;
    const int found = kgen_gguf_array(reader->gguf, key, KGEN_GGUF_I64, &array, reader->error);
    if (found <= 0)
        return found;
    const size_t count = reader->vocabulary.token_count;
    if (array->count < count)
        return kgen_error_set(reader->error, KGEN_ERROR_SPEC, kgen_gguf_source(reader->gguf), 0, 0,
                              "%s has %llu elements for %zu tokens", key, (unsigned long long)array->count,
                              count);
    reader->types = calloc(count + 1, sizeof *reader->types);
    if (reader->types == NULL)
        return out_of_memory(reader);
    for (size_t i = 0; i < count; i++) {
        const int64_t type = kgen_gguf_integer_at(array, i);
        reader->types[i] = type >= 0 && type <= KGEN_TOKEN_BYTE ? (int32_t)type : KGEN_TOKEN_UNDEFINED;
    }
    return 0;
}

static int read_ids(struct reader *reader)
{
    const struct {
        const char *key;
        int64_t *id;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id", &reader->vocabulary.bos},
        {"tokenizer.ggml.eos_token_id", &reader->vocabulary.eos},
        {"tokenizer.ggml.unknown_token_id", &reader->vocabulary.unknown},
        {"tokenizer.ggml.padding_token_id", &reader->vocabulary.padding},
    };
    const struct {
        const char *key;
        enum kgen_token_add *add;
    } adds[] = {
        {"tokenizer.ggml.add_bos_token", &reader->vocabulary.add_bos},
        {"tokenizer.ggml.add_eos_token", &reader->vocabulary.add_eos},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(ids); i++) {
        *ids[i].id = -1;
        if (kgen_gguf_integer(reader->gguf, ids[i].key, ids[i].id, reader->error) < 0)
            return -1;
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(adds); i++) {
        bool add = false;
        const int found = kgen_gguf_boolean(reader->gguf, adds[i].key, &add, reader->error);
        if (found < 0)
            return -1;
        *adds[i].add = found == 0 ? KGEN_TOKEN_ADD_DEFAULT : add ? KGEN_TOKEN_ADD_YES : KGEN_TOKEN_ADD_NO;
    }
    return 0;
}

static int read_texts(struct reader *reader)
{
    struct kgen_gguf_text model = {0}, pre = {0}, chat_template = {0};
    if (kgen_gguf_string(reader->gguf, "tokenizer.ggml.model", &model, reader->error) < 0 ||
        kgen_gguf_string(reader->gguf, "tokenizer.ggml.pre", &pre, reader->error) < 0 ||
        kgen_gguf_string(reader->gguf, "tokenizer.chat_template", &chat_template, reader->error) < 0)
        return -1;
    const bool gemma4 = kgen_gguf_text_is(model, "gemma4");
    if (!gemma4 && !kgen_gguf_text_is(model, "gpt2")) {
        kgen_error_set(reader->error, KGEN_ERROR_SPEC, kgen_gguf_source(reader->gguf), 0, 0,
                       "tokenizers of the kind '%.*s' are not known",
                       (int)(model.length < 64 ? model.length : 64), model.length > 0 ? model.data : "");
        kgen_error_hint(reader->error, "tokenizer.ggml.model may be gpt2 or gemma4");
        return -1;
    }
    reader->vocabulary.pre = (struct kgen_token_text){pre.data, pre.length};
    if (pre.length == 0) {
        const char *name = gemma4 ? "gemma4" : "default";
        reader->vocabulary.pre = (struct kgen_token_text){name, strlen(name)};
    }
    reader->vocabulary.chat_template = (struct kgen_token_text){chat_template.data, chat_template.length};
    return 0;
}

struct kgen_tokenizer *kgen_tokenizer_from_gguf(const struct kgen_gguf *gguf, struct kgen_error *error)
{
    struct reader reader = {.gguf = gguf, .error = error};
    struct kgen_vocabulary *vocabulary = &reader.vocabulary;
    struct kgen_tokenizer *tokenizer = NULL;
    vocabulary->source = kgen_gguf_source(gguf);
    if (read_texts(&reader) == 0 &&
        read_strings(&reader, "tokenizer.ggml.tokens", &reader.tokens, &vocabulary->token_count) == 0 &&
        read_strings(&reader, "tokenizer.ggml.merges", &reader.merges, &vocabulary->merge_count) == 0 &&
        read_types(&reader) == 0 && read_ids(&reader) == 0) {
        vocabulary->tokens = reader.tokens;
        vocabulary->types = reader.types;
        vocabulary->merges = reader.merges;
        tokenizer = kgen_tokenizer_new(vocabulary, error);
    }
    free(reader.tokens);
    free(reader.merges);
    free(reader.types);
    return tokenizer;
}
