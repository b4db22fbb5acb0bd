/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/symbols.h"

#include <stdlib.h>
#include <string.h>

static size_t slot_of(const struct kgen_symbols *symbols, const char *data, size_t length)
{
    size_t slot = (size_t)kgen_hash(KGEN_HASH_START, data, length) & (symbols->slot_count - 1);
    for (;; slot = (slot + 1) & (symbols->slot_count - 1)) {
        if (symbols->slots[slot] == KGEN_NO_SYMBOL)
            return slot;
        const struct kgen_symbol *symbol = &symbols->list[symbols->slots[slot]];
        if (symbol->length == length && memcmp(symbols->bytes.data + symbol->begin, data, length) == 0)
            return slot;
    }
}

uint32_t kgen_symbols_find(const struct kgen_symbols *symbols, const char *data, size_t length)
{
    return symbols->slot_count == 0 ? KGEN_NO_SYMBOL : symbols->slots[slot_of(symbols, data, length)];
}

static bool grow(struct kgen_symbols *symbols)
{
    const size_t capacity = symbols->capacity == 0 ? 1024 : symbols->capacity * 2, slot_count = capacity * 2;
    if (capacity >= KGEN_NO_SYMBOL)
        return false;
    struct kgen_symbol *list = realloc(symbols->list, capacity * sizeof *list);
    if (list == NULL)
        return false;
    symbols->list = list;
    uint32_t *slots = malloc(slot_count * sizeof *slots);
    if (slots == NULL)
        return false;
    memset(slots, 0xff, slot_count * sizeof *slots);
    free(symbols->slots);
    symbols->slots = slots;
    symbols->slot_count = slot_count;
    symbols->capacity = capacity;
    for (size_t i = 0; i < symbols->count; i++)
        slots[slot_of(symbols, symbols->bytes.data + list[i].begin, list[i].length)] = (uint32_t)i;
    return true;
}

uint32_t kgen_symbols_add(struct kgen_symbols *symbols, const char *data, size_t length)
{
    if (symbols->count == symbols->capacity && !grow(symbols))
        return KGEN_NO_SYMBOL;
    const size_t slot = slot_of(symbols, data, length);
    if (symbols->slots[slot] != KGEN_NO_SYMBOL)
        return symbols->slots[slot];
    const size_t begin = symbols->bytes.length;
    kgen_text_append(&symbols->bytes, data, length);
    if (symbols->bytes.failed)
        return KGEN_NO_SYMBOL;
    symbols->list[symbols->count] = (struct kgen_symbol){begin, (uint32_t)length, -1};
    symbols->slots[slot] = (uint32_t)symbols->count;
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
