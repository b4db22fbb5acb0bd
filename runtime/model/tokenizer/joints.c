/* SPDX-License-Identifier: MIT */
/* Where text may be cut because no token goes across. */
#include "runtime/model/tokenizer/internal.h"

#include <stdlib.h>
#include <string.h>

size_t kgen_character_length(const char *text, size_t length)
{
    const unsigned char byte = (unsigned char)text[0];
    const size_t bytes = byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    return bytes < length ? bytes : length;
}

int kgen_joints_make(struct kgen_joints *joints)
{
    joints->bits = calloc((size_t)1 << (KGEN_JOINT_BITS - 6), sizeof *joints->bits);
    return joints->bits != NULL ? 0 : -1;
}

static uint32_t number_of(const char *character, size_t bytes)
{
    uint32_t number = 0;
    memcpy(&number, character, bytes);
    return number;
}

static uint64_t bit_of(uint32_t left, uint32_t right)
{
    const uint64_t both = (uint64_t)left << 32 | right;
    return (both ^ both >> 29) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - KGEN_JOINT_BITS);
}

static void join(struct kgen_joints *joints, uint32_t left, uint32_t right)
{
    const uint64_t bit = bit_of(left, right);
    joints->bits[bit >> 6] |= UINT64_C(1) << (bit & 63);
}

void kgen_joints_add(struct kgen_joints *joints, const char *left, size_t left_length, const char *right,
                     size_t right_length)
{
    size_t at = 0, bytes = 0;
    for (; at < left_length; at += bytes)
        bytes = kgen_character_length(left + at, left_length - at);
    if (left_length > 0 && right_length > 0)
        join(joints, number_of(left + at - bytes, bytes),
             number_of(right, kgen_character_length(right, right_length)));
}

void kgen_joints_add_all(struct kgen_joints *joints, const char *text, size_t length)
{
    uint32_t before = 0;
    for (size_t at = 0, bytes; at < length; at += bytes) {
        bytes = kgen_character_length(text + at, length - at);
        const uint32_t number = number_of(text + at, bytes);
        if (at > 0)
            join(joints, before, number);
        before = number;
    }
}

size_t kgen_joints_piece(const struct kgen_joints *joints, const char *text, size_t length)
{
    if (joints->bits == NULL)
        return length;
    size_t at = kgen_character_length(text, length);
    uint32_t before = number_of(text, at);
    for (size_t bytes; at < length; at += bytes) {
        bytes = kgen_character_length(text + at, length - at);
        const uint32_t number = number_of(text + at, bytes);
        const uint64_t bit = bit_of(before, number);
        if ((joints->bits[bit >> 6] >> (bit & 63) & 1) == 0)
            break;
        before = number;
    }
    return at;
}
