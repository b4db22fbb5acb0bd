/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/tokenizer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kgen_token_text keep(struct small_vocabulary *small, const char *data, size_t length)
{
    char *copy = malloc(length + 1);
    if (copy == NULL || small->owned_count == KGEN_COUNT_OF(small->owned))
        abort();
    memcpy(copy, data, length);
    copy[length] = '\0';
    small->owned[small->owned_count++] = copy;
    return (struct kgen_token_text){copy, length};
}

int32_t small_token_of(struct small_vocabulary *small, const char *text, size_t length,
                       enum kgen_token_type type)
{
    const size_t id = small->vocabulary.token_count++;
    if (id == KGEN_COUNT_OF(small->tokens))
        abort();
    small->tokens[id] = keep(small, text, length);
    small->types[id] = (int32_t)type;
    return (int32_t)id;
}

int32_t small_token(struct small_vocabulary *small, const char *text, enum kgen_token_type type)
{
    return small_token_of(small, text, strlen(text), type);
}

void small_start(struct small_vocabulary *small, const char *pre)
{
    *small = (struct small_vocabulary){0};
    struct kgen_vocabulary *vocabulary = &small->vocabulary;
    vocabulary->tokens = small->tokens;
    vocabulary->types = small->types;
    vocabulary->merges = small->merges;
    vocabulary->pre = (struct kgen_token_text){pre, strlen(pre)};
    vocabulary->bos = vocabulary->eos = vocabulary->unknown = vocabulary->padding = -1;
    /* What cannot be seen in Latin-1 is U+0100 and on, in order. */
    unsigned hidden = 0x100;
    for (unsigned byte = 0; byte < 256; byte++) {
        const bool seen = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        const unsigned code = seen ? byte : hidden++;
        const char two[] = {(char)(0xC0 | code >> 6), (char)(0x80 | (code & 0x3F))}, one = (char)code;
        small_token_of(small, code < 0x80 ? &one : two, code < 0x80 ? 1 : 2, KGEN_TOKEN_NORMAL);
    }
}

void small_free(struct small_vocabulary *small)
{
    for (size_t i = 0; i < small->owned_count; i++)
        free(small->owned[i]);
    small->owned_count = 0;
}

void small_merge(struct small_vocabulary *small, const char *merge)
{
    const size_t index = small->vocabulary.merge_count++;
    if (index == KGEN_COUNT_OF(small->merges))
        abort();
    small->merges[index] = keep(small, merge, strlen(merge));
}

int32_t small_merge_to_token(struct small_vocabulary *small, const char *left, const char *right)
{
    char text[256];
    snprintf(text, sizeof text, "%s %s", left, right);
    small_merge(small, text);
    snprintf(text, sizeof text, "%s%s", left, right);
    return small_token(small, text, KGEN_TOKEN_NORMAL);
}

struct kgen_tokenizer *small_new(const struct small_vocabulary *small)
{
    struct kgen_error error = {0};
    char text[1200];
    struct kgen_tokenizer *tokenizer = kgen_tokenizer_new(&small->vocabulary, &error);
    if (tokenizer == NULL)
        fail_msg("%s", kgen_error_format(&error, text, sizeof text));
    return tokenizer;
}

const char *ids_of(const struct kgen_tokenizer *tokenizer, const char *text, size_t length, unsigned flags)
{
    static char written[4096];
    struct kgen_token_ids ids = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_tokenizer_encode(tokenizer, text, length, flags, &ids, &error), 0);
    written[0] = '\0';
    size_t at = 0;
    for (size_t i = 0; i < ids.count && at < sizeof written - 16; i++)
        at += (size_t)snprintf(written + at, sizeof written - at, "%s%d", i > 0 ? " " : "", ids.ids[i]);
    kgen_token_ids_free(&ids);
    return written;
}

struct kgen_text round_trip(const struct kgen_tokenizer *tokenizer, const char *text, size_t length)
{
    struct kgen_token_ids ids = {0};
    struct kgen_error error = {0};
    struct kgen_text back = {0};
    assert_int_equal(kgen_tokenizer_encode(tokenizer, text, length, 0, &ids, &error), 0);
    for (size_t i = 0; i < ids.count; i++)
        assert_int_equal(kgen_tokenizer_decode(tokenizer, ids.ids[i], true, &back, &error), 0);
    kgen_token_ids_free(&ids);
    return back;
}

uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
