/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/vocabulary_gguf.h"

#include "runtime/model/tokenizer/pretokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reader {
    const struct kgen_gguf *gguf;
    struct kgen_vocabulary vocabulary;
    struct kgen_token_text *tokens, *merges;
    int32_t *types;
    float *scores;
    uint8_t *strips;
    struct kgen_pretokenizer_row row; /* of the kinds with scores */
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

static int read_scores(struct reader *reader)
{
    static const char key[] = "tokenizer.ggml.scores";
    const struct kgen_gguf_value *array = kgen_gguf_find(reader->gguf, key);
    const bool integers = array != NULL && array->type == KGEN_GGUF_ARRAY && array->element == KGEN_GGUF_I32;
    const int found =
        kgen_gguf_array(reader->gguf, key, integers ? KGEN_GGUF_I64 : KGEN_GGUF_F64, &array, reader->error);
    if (found <= 0)
        return found;
    const size_t count = reader->vocabulary.token_count;
    if (array->count < count)
        return kgen_error_set(reader->error, KGEN_ERROR_SPEC, kgen_gguf_source(reader->gguf), 0, 0,
                              "%s has %llu elements for %zu tokens", key, (unsigned long long)array->count,
                              count);
    reader->scores = calloc(count + 1, sizeof *reader->scores);
    if (reader->scores == NULL)
        return out_of_memory(reader);
    for (size_t i = 0; i < count; i++)
        reader->scores[i] =
            integers ? (float)kgen_gguf_integer_at(array, i) : (float)kgen_gguf_real_at(array, i);
    return 0;
}

/* Tokens that end a text are control tokens, whatever the file says of them. */
static int set_ends(struct reader *reader)
{
    static const char *const ends[] = {
        "<|eot_id|>", "<|im_end|>",    "<|end|>",         "<|return|>",
        "<|call|>",   "<end_of_turn>", "<|endoftext|>",   "</s>",
        "<|eom_id|>", "<EOT>",         "_<EOT>",          "[EOT]",
        "[EOS]",      "<eos>",         "<|end_of_text|>", "<end_of_utterance>",
    };
    const struct kgen_vocabulary *vocabulary = &reader->vocabulary;
    if (reader->types == NULL) {
        reader->types = calloc(vocabulary->token_count + 1, sizeof *reader->types);
        if (reader->types == NULL)
            return out_of_memory(reader);
        for (size_t i = 0; i < vocabulary->token_count; i++)
            reader->types[i] = KGEN_TOKEN_NORMAL;
    }
    for (size_t i = 0; i < vocabulary->token_count; i++) {
        const struct kgen_gguf_text text = {reader->tokens[i].data, reader->tokens[i].length};
        for (size_t j = 0; j < KGEN_COUNT_OF(ends); j++) {
            if (kgen_gguf_text_is(text, ends[j]))
                reader->types[i] = KGEN_TOKEN_CONTROL;
        }
    }
    return 0;
}

/* Whether general.name is that of a Phi-3, in upper or lower case. */
static bool is_phi3(const struct reader *reader)
{
    static const char *const names[] = {"phi-3", "phi3"};
    struct kgen_gguf_text name = {0};
    if (kgen_gguf_string(reader->gguf, "general.name", &name, NULL) <= 0)
        return false;
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        const size_t length = strlen(names[i]);
        for (size_t at = 0; at + length <= name.length; at++) {
            if (strncasecmp(name.data + at, names[i], length) == 0)
                return true;
        }
    }
    return false;
}

/* White space behind the special tokens of Phi-3 belongs to them, which no key says. */
static int set_strips(struct reader *reader)
{
    static const char *const others[] = {"<unk>", "<s>", "<|endoftext|>"};
    const struct kgen_vocabulary *vocabulary = &reader->vocabulary;
    if (!is_phi3(reader))
        return 0;
    reader->strips = calloc(vocabulary->token_count + 1, 1);
    if (reader->strips == NULL)
        return out_of_memory(reader);
    for (size_t i = 0; i < vocabulary->token_count; i++) {
        const struct kgen_gguf_text text = {reader->tokens[i].data, reader->tokens[i].length};
        const int32_t type = reader->types[i];
        bool strips =
            type == KGEN_TOKEN_CONTROL || type == KGEN_TOKEN_USER_DEFINED || type == KGEN_TOKEN_UNKNOWN;
        for (size_t j = 0; j < KGEN_COUNT_OF(others); j++)
            strips = strips && !kgen_gguf_text_is(text, others[j]);
        reader->strips[i] = strips ? KGEN_STRIP_RIGHT : 0;
    }
    return 0;
}

static int read_charsmap(struct reader *reader)
{
    const struct kgen_gguf_value *array;
    const int found = kgen_gguf_array(reader->gguf, "tokenizer.ggml.precompiled_charsmap", KGEN_GGUF_I64,
                                      &array, reader->error);
    if (found <= 0)
        return found;
    if (array->bytes != array->count)
        return kgen_error_set(reader->error, KGEN_ERROR_SPEC, kgen_gguf_source(reader->gguf), 0, 0,
                              "the elements of tokenizer.ggml.precompiled_charsmap are no bytes");
    reader->vocabulary.charsmap = (struct kgen_token_text){(const char *)array->data, array->bytes};
    return 0;
}

/* What only the kinds with scores have. */
static int read_scored(struct reader *reader)
{
    struct kgen_vocabulary *vocabulary = &reader->vocabulary;
    const bool unigram = vocabulary->kind == KGEN_TOKENIZER_UNIGRAM;
    bool prefix = !unigram, one_space = false;
    if (kgen_gguf_boolean(reader->gguf, "tokenizer.ggml.add_space_prefix", &prefix, reader->error) < 0 ||
        kgen_gguf_boolean(reader->gguf, "tokenizer.ggml.remove_extra_whitespaces", &one_space,
                          reader->error) < 0 ||
        read_scores(reader) < 0 || set_ends(reader) < 0 || set_strips(reader) < 0 ||
        (unigram && read_charsmap(reader) < 0))
        return -1;
    reader->row.flags = KGEN_PRE_PLAIN | (prefix ? KGEN_PRE_PREFIX : 0) |
                        (unigram ? KGEN_PRE_EOS : KGEN_PRE_BOS | KGEN_PRE_UNKNOWN) |
                        (unigram && one_space ? KGEN_PRE_ONE_SPACE : 0);
    vocabulary->pre_row = &reader->row;
    vocabulary->scores = reader->scores;
    vocabulary->strips = reader->strips;
    return 0;
}

static const struct kind {
    const char *model; /* tokenizer.ggml.model */
    enum kgen_tokenizer_kind kind;
    const char *pre;                    /* where the file names none */
    int64_t bos, eos, unknown, padding; /* where the file says nothing */
} kinds[] = {
    {"gpt2", KGEN_TOKENIZER_BPE, "default", -1, -1, -1, -1},
    {"gemma4", KGEN_TOKENIZER_BPE, "gemma4", -1, -1, -1, -1},
    {"llama", KGEN_TOKENIZER_SENTENCEPIECE, "", 1, 2, 0, -1},
    {"t5", KGEN_TOKENIZER_UNIGRAM, "", -1, 1, 2, 0},
};

static int read_kind(struct reader *reader)
{
    struct kgen_vocabulary *vocabulary = &reader->vocabulary;
    struct kgen_gguf_text model = {0}, pre = {0}, chat_template = {0};
    if (kgen_gguf_string(reader->gguf, "tokenizer.ggml.model", &model, reader->error) < 0 ||
        kgen_gguf_string(reader->gguf, "tokenizer.ggml.pre", &pre, reader->error) < 0 ||
        kgen_gguf_string(reader->gguf, "tokenizer.chat_template", &chat_template, reader->error) < 0)
        return -1;
    const struct kind *kind = NULL;
    for (size_t i = 0; i < KGEN_COUNT_OF(kinds); i++) {
        if (kgen_gguf_text_is(model, kinds[i].model))
            kind = &kinds[i];
    }
    if (kind == NULL) {
        kgen_error_set(reader->error, KGEN_ERROR_SPEC, kgen_gguf_source(reader->gguf), 0, 0,
                       "tokenizers of the kind '%.*s' are not known",
                       (int)(model.length < 64 ? model.length : 64), model.length > 0 ? model.data : "");
        kgen_error_hint(reader->error, "tokenizer.ggml.model may be gpt2, gemma4, llama or t5");
        return -1;
    }
    vocabulary->kind = kind->kind;
    vocabulary->bos = kind->bos;
    vocabulary->eos = kind->eos;
    vocabulary->unknown = kind->unknown;
    vocabulary->padding = kind->padding;
    vocabulary->pre = (struct kgen_token_text){pre.data, pre.length};
    if (pre.length == 0)
        vocabulary->pre = (struct kgen_token_text){kind->pre, strlen(kind->pre)};
    vocabulary->chat_template = (struct kgen_token_text){chat_template.data, chat_template.length};
    return 0;
}

static int read_vocabulary(struct reader *reader)
{
    struct kgen_vocabulary *vocabulary = &reader->vocabulary;
    if (read_kind(reader) < 0 || read_ids(reader) < 0 ||
        read_strings(reader, "tokenizer.ggml.tokens", &reader->tokens, &vocabulary->token_count) < 0 ||
        read_types(reader) < 0)
        return -1;
    const int result =
        vocabulary->kind == KGEN_TOKENIZER_BPE
            ? read_strings(reader, "tokenizer.ggml.merges", &reader->merges, &vocabulary->merge_count)
            : read_scored(reader);
    vocabulary->tokens = reader->tokens;
    vocabulary->types = reader->types;
    vocabulary->merges = reader->merges;
    return result;
}

struct kgen_tokenizer *kgen_tokenizer_from_gguf(const struct kgen_gguf *gguf, struct kgen_error *error)
{
    struct reader reader = {.gguf = gguf, .error = error};
    reader.vocabulary.source = kgen_gguf_source(gguf);
    struct kgen_tokenizer *tokenizer = NULL;
    if (read_vocabulary(&reader) == 0)
        tokenizer = kgen_tokenizer_new(&reader.vocabulary, error);
    free(reader.tokens);
    free(reader.merges);
    free(reader.types);
    free(reader.scores);
    free(reader.strips);
    return tokenizer;
}
