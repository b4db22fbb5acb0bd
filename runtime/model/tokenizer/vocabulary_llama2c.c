/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/vocabulary_llama2c.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/model/tokenizer/pretokenizer.h"

#define SPACE "\xE2\x96\x81"

enum { UNKNOWN, BOS, EOS, FIRST_BYTE, HEAD = 8 };

struct reader {
    const char *source;
    const unsigned char *data;
    size_t size;
    struct kgen_text bytes; /* of all tokens, with U+2581 for spaces */
    struct kgen_token_text *tokens;
    int32_t *types;
    float *scores;
    size_t count;
    struct kgen_error *error;
};

static uint32_t number_at(const struct reader *reader, size_t at)
{
    const unsigned char *data = reader->data + at;
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static int out_of_memory(const struct reader *reader)
{
    return kgen_error_set(reader->error, KGEN_ERROR_MEMORY, reader->source, 0, 0, "out of memory");
}

/* Counts the tokens. */
static int check(struct reader *reader)
{
    const size_t size = reader->size;
    size_t at = 4;
    if (size < 4 || number_at(reader, 0) == 0 || number_at(reader, 0) > INT32_MAX)
        return kgen_error_set(reader->error, KGEN_ERROR_SPEC, reader->source, 0, 0,
                              "this is no tokenizer of llama2.c: it does not begin with a length");
    for (; at < size; reader->count++) {
        if (size - at < HEAD || number_at(reader, at + 4) > size - at - HEAD)
            return kgen_error_set(reader->error, KGEN_ERROR_SPEC, reader->source, 0, 0,
                                  "this is no tokenizer of llama2.c: token %zu, at byte %zu, exceeds the "
                                  "%zu bytes of the file",
                                  reader->count, at, size);
        at += HEAD + number_at(reader, at + 4);
    }
    return 0;
}

static int32_t type_of(size_t id, const char *text, size_t length)
{
    if (id == UNKNOWN)
        return KGEN_TOKEN_UNKNOWN;
    if (id == BOS || id == EOS)
        return KGEN_TOKEN_CONTROL;
    const bool byte = id >= FIRST_BYTE && id < FIRST_BYTE + 256 && length == 6 && memcmp(text, "<0x", 3) == 0;
    return byte ? KGEN_TOKEN_BYTE : KGEN_TOKEN_NORMAL;
}

static int read_tokens(struct reader *reader)
{
    size_t at = 4;
    reader->tokens = calloc(reader->count + 1, sizeof *reader->tokens);
    reader->types = calloc(reader->count + 1, sizeof *reader->types);
    reader->scores = calloc(reader->count + 1, sizeof *reader->scores);
    if (reader->tokens == NULL || reader->types == NULL || reader->scores == NULL)
        return out_of_memory(reader);
    for (size_t i = 0; i < reader->count; i++) {
        const uint32_t score = number_at(reader, at);
        const char *text = (const char *)reader->data + at + HEAD;
        size_t length = number_at(reader, at + 4);
        const size_t begin = reader->bytes.length;
        at += HEAD + length;
        memcpy(&reader->scores[i], &score, sizeof score);
        reader->types[i] = type_of(i, text, length);
        /* Lines around the names of these two. */
        if (reader->types[i] == KGEN_TOKEN_CONTROL && length > 2 && text[0] == '\n' &&
            text[length - 1] == '\n') {
            text++;
            length -= 2;
        }
        for (size_t j = 0; j < length; j++)
            kgen_text_append(&reader->bytes, text[j] == ' ' ? SPACE : text + j, text[j] == ' ' ? 3 : 1);
        reader->tokens[i].length = reader->bytes.length - begin;
    }
    if (reader->bytes.failed)
        return out_of_memory(reader);
    size_t begin = 0;
    for (size_t i = 0; i < reader->count; i++) {
        reader->tokens[i].data = reader->bytes.data != NULL ? reader->bytes.data + begin : "";
        begin += reader->tokens[i].length;
    }
    return 0;
}

struct kgen_tokenizer *kgen_tokenizer_parse_llama2c(const char *source, const void *data, size_t size,
                                                    struct kgen_error *error)
{
    static const struct kgen_pretokenizer_row row = {
        .names = "", .flags = KGEN_PRE_PLAIN | KGEN_PRE_PREFIX | KGEN_PRE_BOS | KGEN_PRE_UNKNOWN};
    struct reader reader = {.source = source, .data = data, .size = size, .error = error};
    struct kgen_tokenizer *tokenizer = NULL;
    if (check(&reader) == 0 && read_tokens(&reader) == 0) {
        const struct kgen_vocabulary vocabulary = {.source = source,
                                                   .kind = KGEN_TOKENIZER_SENTENCEPIECE,
                                                   .tokens = reader.tokens,
                                                   .types = reader.types,
                                                   .scores = reader.scores,
                                                   .token_count = reader.count,
                                                   .pre_row = &row,
                                                   .bos = BOS,
                                                   .eos = EOS,
                                                   .unknown = UNKNOWN,
                                                   .padding = -1};
        tokenizer = kgen_tokenizer_new(&vocabulary, error);
    }
    kgen_text_free(&reader.bytes);
    free(reader.tokens);
    free(reader.types);
    free(reader.scores);
    return tokenizer;
}
