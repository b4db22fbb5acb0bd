/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/symbols.h"

#include <stdlib.h>
#include <string.h>

/* Up to eight bytes, behind them zeros. */
static uint64_t head_of(const char *data, size_t length)
{
    uint64_t head = 0;
    memcpy(&head, data, length < sizeof head ? length : sizeof head);
    return head;
}

static uint64_t hash_of(const char *data, size_t length)
{
    uint64_t hash = length * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < length; i += 8) {
        hash = (hash ^ head_of(data + i, length - i)) * UINT64_C(0xd6e8feb86659fd93);
        hash ^= hash >> 32;
    }
    return hash;
}

bool kgen_symbols_is(const struct kgen_symbols *symbols, size_t number, const char *data, size_t length)
{
    if (number >= symbols->count || symbols->list[number].length != length)
        return false;
    return memcmp(symbols->bytes.data + symbols->list[number].begin, data, length) == 0;
}

/* The slot of a string, or the empty one where it would be. */
static struct kgen_symbol_slot *slot_of(const struct kgen_symbols *symbols, const char *data, size_t length)
{
    const uint64_t head = head_of(data, length);
    size_t at = (size_t)hash_of(data, length) & (symbols->slot_count - 1);
    for (;; at = (at + 1) & (symbols->slot_count - 1)) {
        struct kgen_symbol_slot *slot = &symbols->slots[at];
        if (slot->number == KGEN_NO_SYMBOL)
            return slot;
        if (slot->head == head && slot->length == length &&
            (length <= sizeof head || kgen_symbols_is(symbols, slot->number, data, length)))
            return slot;
    }
}

static void fill(struct kgen_symbol_slot *slot, const char *data, size_t length, size_t number)
{
    *slot = (struct kgen_symbol_slot){head_of(data, length), (uint32_t)length, (uint32_t)number};
}

uint32_t kgen_symbols_find(const struct kgen_symbols *symbols, const char *data, size_t length)
{
    return symbols->slot_count == 0 ? KGEN_NO_SYMBOL : slot_of(symbols, data, length)->number;
}

int kgen_symbols_reserve(struct kgen_symbols *symbols, size_t count)
{
    if (count <= symbols->capacity)
        return 0;
    size_t slot_count = 1024;
    while (slot_count / 2 < count)
        slot_count *= 2;
    const size_t capacity = slot_count / 2;
    if (capacity >= KGEN_NO_SYMBOL)
        return -1;
    struct kgen_symbol *list = realloc(symbols->list, capacity * sizeof *list);
    if (list == NULL)
        return -1;
    symbols->list = list;
    struct kgen_symbol_slot *slots = malloc(slot_count * sizeof *slots);
    if (slots == NULL)
        return -1;
    memset(slots, 0xff, slot_count * sizeof *slots);
    free(symbols->slots);
    symbols->slots = slots;
    symbols->slot_count = slot_count;
    symbols->capacity = capacity;
    for (size_t i = 0; i < symbols->count; i++) {
        const char *data = symbols->bytes.data + list[i].begin;
        fill(slot_of(symbols, data, list[i].length), data, list[i].length, i);
    }
    return 0;
}

uint32_t kgen_symbols_add(struct kgen_symbols *symbols, const char *data, size_t length)
{
    if (symbols->count == symbols->capacity && kgen_symbols_reserve(symbols, symbols->count + 1) < 0)
        return KGEN_NO_SYMBOL;
    struct kgen_symbol_slot *slot = slot_of(symbols, data, length);
    if (slot->number != KGEN_NO_SYMBOL)
        return slot->number;
    const size_t begin = symbols->bytes.length;
    kgen_text_append(&symbols->bytes, data, length);
    if (symbols->bytes.failed)
        return KGEN_NO_SYMBOL;
    symbols->list[symbols->count] = (struct kgen_symbol){begin, (uint32_t)length, -1};
    fill(slot, data, length, symbols->count);
    return (uint32_t)symbols->count++;
}

void kgen_symbols_free(struct kgen_symbols *symbols)
{
    kgen_text_free(&symbols->bytes);
    free(symbols->list);
    free(symbols->slots);
    *symbols = (struct kgen_symbols){0};
}

int kgen_pairs_make(struct kgen_pairs *pairs, size_t count)
{
    size_t slot_count = 2;
    pairs->shift = 63;
    while (slot_count / 2 < count) {
        slot_count *= 2;
        pairs->shift--;
    }
    pairs->slots = malloc(slot_count * sizeof *pairs->slots);
    if (pairs->slots == NULL)
        return -1;
    memset(pairs->slots, 0xff, slot_count * sizeof *pairs->slots);
    return 0;
}

static struct kgen_pair *pair_slot(const struct kgen_pairs *pairs, uint32_t left, uint32_t right)
{
    const uint64_t symbols = (uint64_t)left << 32 | right, mask = UINT64_MAX >> pairs->shift;
    uint64_t slot = (symbols ^ symbols >> 29) * UINT64_C(0x9e3779b97f4a7c15) >> pairs->shift;
    while (pairs->slots[slot].symbols != UINT64_MAX && pairs->slots[slot].symbols != symbols)
        slot = (slot + 1) & mask;
    return &pairs->slots[slot];
}

void kgen_pairs_add(struct kgen_pairs *pairs, uint32_t left, uint32_t right, uint32_t rank, uint32_t result)
{
    struct kgen_pair *pair = pair_slot(pairs, left, right);
    if (pair->symbols == UINT64_MAX)
        *pair = (struct kgen_pair){(uint64_t)left << 32 | right, rank, result};
}

const struct kgen_pair *kgen_pairs_find(const struct kgen_pairs *pairs, uint32_t left, uint32_t right)
{
    const struct kgen_pair *pair = pair_slot(pairs, left, right);
    return pair->symbols == UINT64_MAX ? NULL : pair;
}

void kgen_pairs_free(struct kgen_pairs *pairs)
{
    free(pairs->slots);
    *pairs = (struct kgen_pairs){0};
}
