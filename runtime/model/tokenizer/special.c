/* SPDX-License-Identifier: MIT */
/* Tokens whose text stands for them. They are sorted by text, so that those which begin with the same bytes
 * are a range, which every further byte makes smaller. */
#include "runtime/model/tokenizer/internal.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    const char *text;
    uint32_t length;
    int32_t id;
};

static int by_text(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    const int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
    if (order != 0)
        return order;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static bool counts(uint8_t type, bool control)
{
    return type == KGEN_TOKEN_USER_DEFINED ||
           (control && (type == KGEN_TOKEN_CONTROL || type == KGEN_TOKEN_UNKNOWN));
}

int kgen_specials_make(const struct kgen_tokenizer *tokenizer, bool control, struct kgen_specials *specials,
                       const char *source, struct kgen_error *error)
{
    const struct kgen_token *tokens = tokenizer->tokens;
    size_t count = 0;
    for (size_t i = 0; i < tokenizer->token_count; i++)
        count += counts(tokens[i].type, control) && tokens[i].length > 0;
    struct entry *entries = malloc((count + 1) * sizeof *entries);
    specials->ids = malloc((count + 1) * sizeof *specials->ids);
    if (entries == NULL || specials->ids == NULL) {
        free(entries);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
    }
    count = 0;
    for (size_t i = 0; i < tokenizer->token_count; i++) {
        if (!counts(tokens[i].type, control) || tokens[i].length == 0)
            continue;
        if (tokens[i].length > KGEN_SPECIAL_LENGTH_MAX) {
            free(entries);
            return kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0,
                                  "special token %zu has %u bytes, and %d are the most", i, tokens[i].length,
                                  KGEN_SPECIAL_LENGTH_MAX);
        }
        entries[count++] =
            (struct entry){tokenizer->symbols.bytes.data + tokens[i].begin, tokens[i].length, (int32_t)i};
    }
    qsort(entries, count, sizeof *entries, by_text);
    /* Of equal texts the first token stays. */
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && entries[i].length == entries[i - 1].length &&
            memcmp(entries[i].text, entries[i - 1].text, entries[i].length) == 0)
            continue;
        specials->ids[specials->count++] = entries[i].id;
        specials->first[(unsigned char)entries[i].text[0]] = true;
    }
    free(entries);
    return 0;
}

/* The first of ids[low .. high) whose byte at depth is at least byte. All share the bytes before depth. */
static size_t first_of(const struct kgen_tokenizer *tokenizer, const int32_t *ids, size_t low, size_t high,
                       uint32_t depth, unsigned byte)
{
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct kgen_token *token = &tokenizer->tokens[ids[middle]];
        if (token->length > depth &&
            (unsigned char)tokenizer->symbols.bytes.data[token->begin + depth] >= byte)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The longest special token at the beginning of text, or -1. */
static int32_t longest(const struct kgen_tokenizer *tokenizer, const struct kgen_specials *specials,
                       const char *text, size_t length)
{
    size_t low = 0, high = specials->count;
    int32_t found = -1;
    for (uint32_t depth = 0; depth < length && low < high; depth++) {
        const unsigned byte = (unsigned char)text[depth];
        low = first_of(tokenizer, specials->ids, low, high, depth, byte);
        high = first_of(tokenizer, specials->ids, low, high, depth, byte + 1);
        /* The shortest of a range comes first. */
        if (low < high && tokenizer->tokens[specials->ids[low]].length == depth + 1)
            found = specials->ids[low];
    }
    return found;
}

int32_t kgen_specials_find(const struct kgen_tokenizer *tokenizer, const struct kgen_specials *specials,
                           const char *text, size_t length, size_t *at)
{
    if (specials->count > 0) {
        for (size_t i = *at; i < length; i++) {
            if (!specials->first[(unsigned char)text[i]])
                continue;
            const int32_t id = longest(tokenizer, specials, text + i, length - i);
            if (id >= 0) {
                *at = i;
                return id;
            }
        }
    }
    *at = length;
    return -1;
}
