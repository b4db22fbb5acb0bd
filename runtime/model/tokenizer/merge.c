/* SPDX-License-Identifier: MIT */
/* Merging the parts of a word: always the pair of the lowest rank, of equal ones the leftmost. The rank of a
 * pair is that of its merge, or where tokens have scores that of the token which the two make. */
#include "runtime/model/tokenizer/internal.h"

#include <stdlib.h>
#include <string.h>

/* Up to so many parts are searched one by one; more have a queue. */
#define SHORT_WORD 48
#define NONE UINT32_MAX

void kgen_merger_free(struct kgen_merger *merger)
{
    free(merger->parts);
    free(merger->queue);
    *merger = (struct kgen_merger){0};
}

static int out_of_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

/* What left and the part behind it, right, merge to. */
static inline void rank(const struct kgen_tokenizer *tokenizer, const char *word, struct kgen_part *left,
                        const struct kgen_part *right)
{
    const struct kgen_pair *pair = NULL;
    if (tokenizer->ranks != NULL) {
        const uint32_t symbol = right != NULL ? kgen_symbols_find(&tokenizer->symbols, word + left->begin,
                                                                  (size_t)left->length + right->length)
                                              : KGEN_NO_SYMBOL;
        const int32_t token = symbol != KGEN_NO_SYMBOL ? tokenizer->symbols.list[symbol].token : -1;
        left->rank = token >= 0 ? tokenizer->ranks[token] : KGEN_NO_RANK;
        left->result = symbol;
        return;
    }
    if (right != NULL && left->symbol != KGEN_NO_SYMBOL && right->symbol != KGEN_NO_SYMBOL)
        pair = kgen_pairs_find(&tokenizer->pairs, left->symbol, right->symbol);
    left->rank = pair != NULL ? pair->rank : KGEN_NO_RANK;
    left->result = pair != NULL ? pair->result : KGEN_NO_SYMBOL;
}

/* A part for each byte, or for each character of plain text. Returns how many, or 0 without memory. */
static size_t make_parts(const struct kgen_tokenizer *tokenizer, struct kgen_merger *merger, const char *word,
                         size_t length)
{
    if (merger->part_capacity < length) {
        const size_t capacity = length < 256 ? 256 : length;
        free(merger->parts);
        merger->parts = malloc(capacity * sizeof *merger->parts);
        merger->part_capacity = merger->parts != NULL ? capacity : 0;
        if (merger->parts == NULL)
            return 0;
    }
    const bool plain = (kgen_pretokenizer_flags(tokenizer->pre) & KGEN_PRE_PLAIN) != 0;
    struct kgen_part *parts = merger->parts;
    size_t count = 0;
    for (size_t i = 0; i < length;) {
        const size_t bytes = plain ? kgen_character_length(word + i, length - i) : 1;
        const uint32_t symbol = bytes > 1 ? kgen_symbols_find(&tokenizer->symbols, word + i, bytes)
                                          : tokenizer->byte_symbol[(unsigned char)word[i]];
        parts[count++] =
            (struct kgen_part){.symbol = symbol, .begin = (uint32_t)i, .length = (uint32_t)bytes};
        i += bytes;
    }
    for (size_t i = 0; i < count; i++)
        rank(tokenizer, word, &parts[i], i + 1 < count ? &parts[i + 1] : NULL);
    return count;
}

/* Returns how many parts stay, at the front. */
static size_t merge_short(const struct kgen_tokenizer *tokenizer, const char *word, struct kgen_part *parts,
                          size_t count)
{
    for (;;) {
        uint32_t best = KGEN_NO_RANK;
        size_t at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            if (parts[i].rank < best) {
                best = parts[i].rank;
                at = i;
            }
        }
        if (best == KGEN_NO_RANK)
            return count;
        parts[at].symbol = parts[at].result;
        parts[at].length += parts[at + 1].length;
        count--;
        memmove(&parts[at + 1], &parts[at + 2], (count - at - 1) * sizeof *parts);
        rank(tokenizer, word, &parts[at], at + 1 < count ? &parts[at + 1] : NULL);
        if (at > 0)
            rank(tokenizer, word, &parts[at - 1], &parts[at]);
    }
}

/* The queue is a binary heap of ranks, in the upper half, and places. Entries whose part has another rank by
 * now are passed over. */
static int enqueue(struct kgen_merger *merger, const struct kgen_part *parts, uint32_t at)
{
    if (parts[at].rank == KGEN_NO_RANK)
        return 0;
    if (merger->queue_count == merger->queue_capacity) {
        const size_t capacity = merger->queue_capacity == 0 ? 1024 : merger->queue_capacity * 2;
        uint64_t *queue = realloc(merger->queue, capacity * sizeof *queue);
        if (queue == NULL)
            return -1;
        merger->queue = queue;
        merger->queue_capacity = capacity;
    }
    uint64_t *queue = merger->queue;
    const uint64_t entry = (uint64_t)parts[at].rank << 32 | at;
    size_t i = merger->queue_count++;
    for (; i > 0 && queue[(i - 1) / 2] > entry; i = (i - 1) / 2)
        queue[i] = queue[(i - 1) / 2];
    queue[i] = entry;
    return 0;
}

static uint64_t dequeue(struct kgen_merger *merger)
{
    uint64_t *queue = merger->queue;
    const uint64_t least = queue[0], last = queue[--merger->queue_count];
    const size_t count = merger->queue_count;
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && queue[child + 1] < queue[child])
            child++;
        if (queue[child] >= last)
            break;
        queue[i] = queue[child];
    }
    queue[i] = last;
    return least;
}

static int merge_long(const struct kgen_tokenizer *tokenizer, struct kgen_merger *merger, const char *word,
                      size_t *count)
{
    struct kgen_part *parts = merger->parts;
    merger->queue_count = 0;
    for (size_t i = 0; i < *count; i++) {
        parts[i].before = i > 0 ? (uint32_t)i - 1 : NONE;
        parts[i].behind = i + 1 < *count ? (uint32_t)i + 1 : NONE;
        if (enqueue(merger, parts, (uint32_t)i) < 0)
            return -1;
    }
    while (merger->queue_count > 0) {
        const uint64_t entry = dequeue(merger);
        struct kgen_part *left = &parts[(uint32_t)entry];
        /* A part that was taken in has no length. */
        if (left->length == 0 || left->rank != entry >> 32)
            continue;
        struct kgen_part *right = &parts[left->behind];
        left->symbol = left->result;
        left->length += right->length;
        left->behind = right->behind;
        right->length = 0;
        if (left->behind != NONE)
            parts[left->behind].before = (uint32_t)entry;
        rank(tokenizer, word, left, left->behind != NONE ? &parts[left->behind] : NULL);
        if (enqueue(merger, parts, (uint32_t)entry) < 0)
            return -1;
        if (left->before != NONE) {
            rank(tokenizer, word, &parts[left->before], left);
            if (enqueue(merger, parts, left->before) < 0)
                return -1;
        }
    }
    size_t stay = 0;
    for (size_t i = 0; i < *count; i++) {
        if (parts[i].length > 0)
            parts[stay++] = parts[i];
    }
    *count = stay;
    return 0;
}

/* Appends the tokens of the bytes of a character that is none. */
static int give_bytes(const struct kgen_tokenizer *tokenizer, const struct kgen_part *part, const char *word,
                      struct kgen_token_ids *ids, struct kgen_error *error)
{
    for (uint32_t i = 0; i < part->length; i++) {
        const int32_t byte_token = tokenizer->byte_token[(unsigned char)word[part->begin + i]];
        if (byte_token >= 0 && kgen_token_ids_push(ids, byte_token, error) < 0)
            return -1;
    }
    return 0;
}

static bool has_bytes(const struct kgen_tokenizer *tokenizer, const struct kgen_part *part, const char *word)
{
    for (uint32_t i = 0; i < part->length; i++) {
        if (tokenizer->byte_token[(unsigned char)word[part->begin + i]] < 0)
            return false;
    }
    return true;
}

static int give(const struct kgen_tokenizer *tokenizer, struct kgen_merger *merger, size_t count,
                const char *word, struct kgen_token_ids *ids, struct kgen_error *error)
{
    const struct kgen_part *parts = merger->parts;
    const unsigned flags = kgen_pretokenizer_flags(tokenizer->pre);
    for (size_t i = 0; i < count; i++) {
        const struct kgen_part *part = &parts[i];
        const bool before = merger->gave_unknown;
        int32_t token = part->symbol != KGEN_NO_SYMBOL ? tokenizer->symbols.list[part->symbol].token : -1;
        const bool unknown = token < 0 && (flags & KGEN_PRE_UNKNOWN) != 0 && tokenizer->unknown >= 0 &&
                             !has_bytes(tokenizer, part, word);
        token = unknown ? tokenizer->unknown : token;
        merger->gave_unknown = unknown;
        if (unknown && before && (flags & KGEN_PRE_ONE_UNKNOWN) != 0)
            continue;
        if ((token >= 0 ? kgen_token_ids_push(ids, token, error)
                        : give_bytes(tokenizer, part, word, ids, error)) < 0)
            return -1;
    }
    return 0;
}

static bool only_newlines(const char *word, size_t length)
{
    return word[0] == '\n' && memcmp(word, word + 1, length - 1) == 0;
}

static int merge_piece(const struct kgen_tokenizer *tokenizer, struct kgen_merger *merger, const char *word,
                       size_t length, struct kgen_token_ids *ids, struct kgen_error *error)
{
    size_t count = make_parts(tokenizer, merger, word, length);
    if (count == 0)
        return out_of_memory(error);
    if (count <= SHORT_WORD)
        count = merge_short(tokenizer, word, merger->parts, count);
    else if (merge_long(tokenizer, merger, word, &count) < 0)
        return out_of_memory(error);
    return give(tokenizer, merger, count, word, ids, error);
}

int kgen_merge_word(const struct kgen_tokenizer *tokenizer, struct kgen_merger *merger, const char *word,
                    size_t length, struct kgen_token_ids *ids, struct kgen_error *error)
{
    const unsigned flags = kgen_pretokenizer_flags(tokenizer->pre);
    if ((flags & KGEN_PRE_WHOLE_WORDS) != 0 ||
        ((flags & KGEN_PRE_WHOLE_LINES) != 0 && only_newlines(word, length))) {
        const uint32_t symbol = kgen_symbols_find(&tokenizer->symbols, word, length);
        if (symbol != KGEN_NO_SYMBOL && tokenizer->symbols.list[symbol].token >= 0)
            return kgen_token_ids_push(ids, tokenizer->symbols.list[symbol].token, error);
    }
    merger->gave_unknown = false;
    for (size_t done = 0, piece; done < length; done += piece) {
        piece = kgen_joints_piece(&tokenizer->joints, word + done, length - done);
        if (merge_piece(tokenizer, merger, word + done, piece, ids, error) < 0)
            return -1;
    }
    return 0;
}
