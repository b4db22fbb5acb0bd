/* SPDX-License-Identifier: MIT */
#include "gen/base/nearest.h"

#include <ctype.h>
#include <string.h>

static void copy_name(char target[64], const char *name, size_t length)
{
    if (length > 63)
        length = 63;
    memcpy(target, name, length);
    target[length] = '\0';
}

void kgen_nearest_start(struct kgen_nearest *nearest, const char *wanted, size_t length)
{
    copy_name(nearest->wanted, wanted, length);
    nearest->best[0] = '\0';
    /* One edit in three characters is still the same word; more is a guess. */
    nearest->distance = strlen(nearest->wanted) / 3 + 2;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b, case aside. */
static size_t edits(const char *a, const char *b)
{
    size_t rows[3][64];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    size_t b_length = strlen(b);
    for (size_t j = 0; j <= b_length; j++)
        last[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = last[j - 1] + !same(a[i - 1], b[j - 1]);
            row[j] = least(replaced, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_length];
}

void kgen_nearest_offer(struct kgen_nearest *nearest, const char *name, size_t length)
{
    char candidate[64];
    copy_name(candidate, name, length);
    size_t distance = edits(nearest->wanted, candidate);
    if (distance < nearest->distance && distance < strlen(candidate)) {
        nearest->distance = distance;
        memcpy(nearest->best, candidate, sizeof candidate);
    }
}

void kgen_nearest_hint(const struct kgen_nearest *nearest, struct kgen_error *error)
{
    if (nearest->best[0] != '\0')
        kgen_error_hint(error, "did you mean '%s'?", nearest->best);
}
