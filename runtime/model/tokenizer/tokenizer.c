/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/alphabet.h"
#include "runtime/model/tokenizer/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The space of plain text. */
#define SPACE "\xE2\x96\x81"

struct maker {
    const struct kgen_vocabulary *vocabulary;
    struct kgen_tokenizer *tokenizer;
    bool plain;
    uint32_t next_result;         /* what the next merge is likely to make */
    struct kgen_text left, right; /* for use within a function */
    struct kgen_error *error;
};

static int out_of_memory(const struct maker *maker)
{
    return kgen_error_set(maker->error, KGEN_ERROR_MEMORY, maker->vocabulary->source, 0, 0, "out of memory");
}

/* Puts the bytes of stored text into bytes. Returns false where it stands for none. */
static bool stored_bytes(const struct maker *maker, const char *text, size_t length, struct kgen_text *bytes)
{
    kgen_text_clear(bytes);
    if (length == 0)
        return false;
    if (!maker->plain)
        return kgen_alphabet_decode(text, length, bytes);
    kgen_text_append(bytes, text, length);
    return true;
}

/* "<0x0A>" is 10; -1 for other text. */
static int byte_of_name(const char *text, size_t length)
{
    static const char digits[] = "0123456789ABCDEF";
    if (length != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>' || text[3] == '\0' || text[4] == '\0')
        return -1;
    const char *high = strchr(digits, text[3]), *low = strchr(digits, text[4]);
    return high == NULL || low == NULL ? -1 : (int)((high - digits) * 16 + (low - digits));
}

/* Puts what a token decodes to into maker->right. */
static void decoded(struct maker *maker, const struct kgen_token_text *text, uint8_t type, bool has_bytes)
{
    struct kgen_text *out = &maker->right;
    const int byte = byte_of_name(text->data, text->length);
    kgen_text_clear(out);
    if (type == KGEN_TOKEN_UNUSED || type == KGEN_TOKEN_UNDEFINED)
        return;
    if (type == KGEN_TOKEN_BYTE && byte >= 0) {
        const char one = (char)byte;
        kgen_text_append(out, &one, 1);
    } else if (type == KGEN_TOKEN_NORMAL && maker->plain) {
        for (size_t i = 0; i < text->length;) {
            const bool space = text->length - i >= 3 && memcmp(text->data + i, SPACE, 3) == 0;
            kgen_text_append(out, space ? " " : text->data + i, 1);
            i += space ? 3 : 1;
        }
    } else if (type == KGEN_TOKEN_NORMAL && has_bytes) {
        kgen_text_append(out, maker->left.data, maker->left.length);
    } else {
        kgen_text_append(out, text->data, text->length);
    }
}

static int add_token(struct maker *maker, size_t id)
{
    struct kgen_tokenizer *tokenizer = maker->tokenizer;
    const struct kgen_token_text *text = &maker->vocabulary->tokens[id];
    struct kgen_token *token = &tokenizer->tokens[id];
    const int32_t type = maker->vocabulary->types != NULL ? maker->vocabulary->types[id] : KGEN_TOKEN_NORMAL;
    token->type = type >= KGEN_TOKEN_NORMAL && type <= KGEN_TOKEN_BYTE ? (uint8_t)type : KGEN_TOKEN_UNDEFINED;
    token->strips = maker->vocabulary->strips != NULL ? maker->vocabulary->strips[id] : 0;
    if (text->length > INT32_MAX)
        return kgen_error_set(maker->error, KGEN_ERROR_SPEC, maker->vocabulary->source, 0, 0,
                              "token %zu has %zu bytes", id, text->length);
    if (text->length == 0)
        return 0;
    const bool has_bytes = stored_bytes(maker, text->data, text->length, &maker->left);
    if (maker->left.failed)
        return out_of_memory(maker);
    uint32_t number = KGEN_NO_SYMBOL;
    if (has_bytes) {
        number = kgen_symbols_add(&tokenizer->symbols, maker->left.data, maker->left.length);
        if (number == KGEN_NO_SYMBOL)
            return out_of_memory(maker);
        if (tokenizer->kind == KGEN_TOKENIZER_SENTENCEPIECE)
            kgen_joints_add_all(&tokenizer->joints, text->data, text->length);
        if (tokenizer->symbols.list[number].token < 0)
            tokenizer->symbols.list[number].token = (int32_t)id;
    }
    decoded(maker, text, token->type, has_bytes);
    token->length = (uint32_t)maker->right.length;
    if (has_bytes && maker->right.length == maker->left.length &&
        memcmp(maker->right.data, maker->left.data, maker->left.length) == 0) {
        token->begin = tokenizer->symbols.list[number].begin;
        return 0;
    }
    token->begin = tokenizer->symbols.bytes.length;
    kgen_text_append(&tokenizer->symbols.bytes, maker->right.data, maker->right.length);
    return maker->right.failed || tokenizer->symbols.bytes.failed ? out_of_memory(maker) : 0;
}

static int add_merge(struct maker *maker, size_t rank)
{
    struct kgen_symbols *symbols = &maker->tokenizer->symbols;
    const struct kgen_token_text *merge = &maker->vocabulary->merges[rank];
    if (merge->length > INT32_MAX)
        return kgen_error_set(maker->error, KGEN_ERROR_SPEC, maker->vocabulary->source, 0, 0,
                              "merge %zu has %zu bytes", rank, merge->length);
    /* The first of the two may begin with a space. */
    const char *blank = merge->length > 1 ? memchr(merge->data + 1, ' ', merge->length - 1) : NULL;
    if (blank == NULL)
        return 0;
    const size_t left_length = (size_t)(blank - merge->data);
    if (!stored_bytes(maker, merge->data, left_length, &maker->left) ||
        !stored_bytes(maker, blank + 1, merge->length - left_length - 1, &maker->right))
        return 0;
    const uint32_t left = kgen_symbols_add(symbols, maker->left.data, maker->left.length);
    const uint32_t right = kgen_symbols_add(symbols, maker->right.data, maker->right.length);
    if (maker->plain && !maker->left.failed && !maker->right.failed)
        kgen_joints_add(&maker->tokenizer->joints, maker->left.data, maker->left.length, maker->right.data,
                        maker->right.length);
    kgen_text_append(&maker->left, maker->right.data, maker->right.length);
    if (left == KGEN_NO_SYMBOL || right == KGEN_NO_SYMBOL || maker->left.failed || maker->right.failed)
        return out_of_memory(maker);
    /* Most vocabularies have the tokens in the order of the merges that make them. */
    uint32_t result = maker->next_result;
    if (!kgen_symbols_is(symbols, result, maker->left.data, maker->left.length))
        result = kgen_symbols_add(symbols, maker->left.data, maker->left.length);
    if (result == KGEN_NO_SYMBOL)
        return out_of_memory(maker);
    maker->next_result = result + 1;
    kgen_pairs_add(&maker->tokenizer->pairs, left, right, (uint32_t)rank, result);
    return 0;
}

static int add_bytes(struct maker *maker)
{
    struct kgen_tokenizer *tokenizer = maker->tokenizer;
    for (unsigned byte = 0; byte < 256; byte++) {
        static const char digits[] = "0123456789ABCDEF";
        const char one = (char)byte, name[] = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
        const uint32_t number = kgen_symbols_add(&tokenizer->symbols, &one, 1);
        if (number == KGEN_NO_SYMBOL)
            return out_of_memory(maker);
        tokenizer->byte_symbol[byte] = number;
        const uint32_t named =
            maker->plain ? kgen_symbols_find(&tokenizer->symbols, name, sizeof name) : number;
        tokenizer->byte_token[byte] = named != KGEN_NO_SYMBOL ? tokenizer->symbols.list[named].token : -1;
    }
    return 0;
}

static int32_t checked_id(const struct kgen_vocabulary *vocabulary, int64_t id)
{
    return id >= 0 && (uint64_t)id < vocabulary->token_count ? (int32_t)id : -1;
}

/* Special ids out of range are as those that are not given. */
static int add_special_ids(struct maker *maker)
{
    const struct kgen_vocabulary *vocabulary = maker->vocabulary;
    struct kgen_tokenizer *tokenizer = maker->tokenizer;
    const unsigned flags = kgen_pretokenizer_flags(tokenizer->pre);
    tokenizer->bos = checked_id(vocabulary, vocabulary->bos);
    tokenizer->eos = checked_id(vocabulary, vocabulary->eos);
    tokenizer->unknown = checked_id(vocabulary, vocabulary->unknown);
    tokenizer->padding = checked_id(vocabulary, vocabulary->padding);
    tokenizer->add_bos =
        vocabulary->add_bos == KGEN_TOKEN_ADD_YES || (flags & KGEN_PRE_ALWAYS_BOS) != 0 ||
        (vocabulary->add_bos == KGEN_TOKEN_ADD_DEFAULT && (flags & KGEN_PRE_BOS) != 0 && tokenizer->bos >= 0);
    tokenizer->add_eos =
        vocabulary->add_eos == KGEN_TOKEN_ADD_YES ||
        (vocabulary->add_eos == KGEN_TOKEN_ADD_DEFAULT && (flags & KGEN_PRE_EOS) != 0 && tokenizer->eos >= 0);
    if ((tokenizer->add_bos && tokenizer->bos < 0) || (tokenizer->add_eos && tokenizer->eos < 0))
        return kgen_error_set(maker->error, KGEN_ERROR_SPEC, vocabulary->source, 0, 0,
                              "the vocabulary wants text to %s with a token that it has not",
                              tokenizer->add_bos && tokenizer->bos < 0 ? "begin" : "end");
    tokenizer->turn_goes_on = kgen_tokenizer_special(tokenizer, "<|return|>") >= 0 &&
                              kgen_tokenizer_special(tokenizer, "<|call|>") >= 0;
    return 0;
}

static int check(const struct maker *maker)
{
    const struct kgen_vocabulary *vocabulary = maker->vocabulary;
    if (vocabulary->token_count == 0 || vocabulary->token_count > INT32_MAX / 2 ||
        vocabulary->merge_count > INT32_MAX / 4)
        return kgen_error_set(maker->error, KGEN_ERROR_SPEC, vocabulary->source, 0, 0,
                              "a vocabulary of %zu tokens and %zu merges", vocabulary->token_count,
                              vocabulary->merge_count);
    for (size_t i = 0; vocabulary->scores != NULL && i < vocabulary->token_count; i++) {
        if (isnan(vocabulary->scores[i]))
            return kgen_error_set(maker->error, KGEN_ERROR_SPEC, vocabulary->source, 0, 0,
                                  "the score of token %zu is not a number", i);
    }
    return 0;
}

/* Makes what splits text, and room for the tokens. */
static int make_room(struct maker *maker)
{
    const struct kgen_vocabulary *vocabulary = maker->vocabulary;
    struct kgen_tokenizer *tokenizer = maker->tokenizer;
    tokenizer->kind = vocabulary->kind;
    tokenizer->pre = vocabulary->pre_row != NULL
                         ? kgen_pretokenizer_from_row(vocabulary->source, vocabulary->pre_row, maker->error)
                         : kgen_pretokenizer_new(vocabulary->source, vocabulary->pre.data,
                                                 vocabulary->pre.length, maker->error);
    if (tokenizer->pre == NULL)
        return -1;
    maker->plain = (kgen_pretokenizer_flags(tokenizer->pre) & KGEN_PRE_PLAIN) != 0;
    if (vocabulary->kind != KGEN_TOKENIZER_BPE && !maker->plain)
        return kgen_error_set(maker->error, KGEN_ERROR_SPEC, vocabulary->source, 0, 0,
                              "a vocabulary with scores needs a pre-tokenizer of plain text");
    tokenizer->tokens = calloc(vocabulary->token_count, sizeof *tokenizer->tokens);
    tokenizer->token_count = vocabulary->token_count;
    if (tokenizer->tokens == NULL ||
        kgen_symbols_reserve(&tokenizer->symbols, vocabulary->token_count + 256) < 0 ||
        kgen_pairs_make(&tokenizer->pairs, vocabulary->merge_count) < 0 ||
        (maker->plain && kgen_joints_make(&tokenizer->joints) < 0))
        return out_of_memory(maker);
    return 0;
}

static int make(struct maker *maker)
{
    const struct kgen_vocabulary *vocabulary = maker->vocabulary;
    struct kgen_tokenizer *tokenizer = maker->tokenizer;
    if (check(maker) < 0 || make_room(maker) < 0)
        return -1;
    for (size_t i = 0; i < vocabulary->token_count; i++) {
        if (add_token(maker, i) < 0)
            return -1;
    }
    if (add_bytes(maker) < 0)
        return -1;
    for (size_t i = 0; i < vocabulary->merge_count; i++) {
        if (add_merge(maker, i) < 0)
            return -1;
    }
    if (kgen_specials_make(tokenizer, false, &tokenizer->always, vocabulary->source, maker->error) < 0 ||
        kgen_specials_make(tokenizer, true, &tokenizer->special, vocabulary->source, maker->error) < 0 ||
        add_special_ids(maker) < 0)
        return -1;
    if ((vocabulary->kind == KGEN_TOKENIZER_SENTENCEPIECE &&
         kgen_ranks_make(tokenizer, vocabulary, maker->error) < 0) ||
        (vocabulary->kind == KGEN_TOKENIZER_UNIGRAM &&
         kgen_unigram_make(tokenizer, vocabulary, maker->error) < 0) ||
        kgen_charsmap_make(&tokenizer->charsmap, vocabulary->charsmap.data, vocabulary->charsmap.length,
                           vocabulary->source, maker->error) < 0)
        return -1;
    kgen_text_append(&tokenizer->chat_template, vocabulary->chat_template.data,
                     vocabulary->chat_template.length);
    return tokenizer->chat_template.failed ? out_of_memory(maker) : 0;
}

struct kgen_tokenizer *kgen_tokenizer_new(const struct kgen_vocabulary *vocabulary, struct kgen_error *error)
{
    struct maker maker = {.vocabulary = vocabulary, .error = error};
    maker.tokenizer = calloc(1, sizeof *maker.tokenizer);
    if (maker.tokenizer == NULL) {
        out_of_memory(&maker);
        return NULL;
    }
    const int result = make(&maker);
    kgen_text_free(&maker.left);
    kgen_text_free(&maker.right);
    if (result < 0) {
        kgen_tokenizer_free(maker.tokenizer);
        return NULL;
    }
    return maker.tokenizer;
}

void kgen_tokenizer_free(struct kgen_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    kgen_pretokenizer_free(tokenizer->pre);
    kgen_symbols_free(&tokenizer->symbols);
    kgen_pairs_free(&tokenizer->pairs);
    free(tokenizer->joints.bits);
    free(tokenizer->ranks);
    kgen_unigram_free(&tokenizer->unigram);
    kgen_charsmap_free(&tokenizer->charsmap);
    free(tokenizer->tokens);
    free(tokenizer->always.ids);
    free(tokenizer->special.ids);
    kgen_text_free(&tokenizer->chat_template);
    free(tokenizer);
}
