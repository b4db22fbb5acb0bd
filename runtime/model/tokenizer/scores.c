/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/internal.h"

#include <stdlib.h>

struct scored {
    float score;
    uint32_t id;
};

static int by_score(const void *left, const void *right)
{
    const float a = ((const struct scored *)left)->score, b = ((const struct scored *)right)->score;
    return a > b ? -1 : a < b;
}

int kgen_ranks_make(struct kgen_tokenizer *tokenizer, const struct kgen_vocabulary *vocabulary,
                    struct kgen_error *error)
{
    const size_t count = tokenizer->token_count;
    struct scored *order = malloc(count * sizeof *order);
    tokenizer->ranks = malloc(count * sizeof *tokenizer->ranks);
    if (order == NULL || tokenizer->ranks == NULL) {
        free(order);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, vocabulary->source, 0, 0, "out of memory");
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (struct scored){vocabulary->scores != NULL ? vocabulary->scores[i] : 0, (uint32_t)i};
    qsort(order, count, sizeof *order, by_score);
    uint32_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        rank += i > 0 && order[i].score < order[i - 1].score;
        tokenizer->ranks[order[i].id] = rank;
    }
    free(order);
    return 0;
}
