/* SPDX-License-Identifier: MIT */
#include "runtime/model/pages.h"

#include <pthread.h>
#include <stdlib.h>

struct kgen_pages {
    pthread_mutex_t lock; /* of what follows the page_size */
    int64_t count, page_size;
    int64_t left;    /* free pages */
    int32_t *free;   /* their numbers, that given back last at the end; owned */
    uint32_t *users; /* of each page; owned */
};

struct kgen_pages *kgen_pages_new(int64_t count, int64_t page_size, struct kgen_error *error)
{
    struct kgen_pages *pages = calloc(1, sizeof *pages);
    int32_t *numbers = calloc((size_t)count, sizeof *numbers);
    uint32_t *users = calloc((size_t)count, sizeof *users);
    if (pages == NULL || numbers == NULL || users == NULL) {
        free(pages);
        free(numbers);
        free(users);
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for %lld pages", (long long)count);
        return NULL;
    }
    *pages = (struct kgen_pages){
        .count = count, .page_size = page_size, .left = count, .free = numbers, .users = users};
    pthread_mutex_init(&pages->lock, NULL);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = (int32_t)(count - 1 - i);
    return pages;
}

void kgen_pages_free(struct kgen_pages *pages)
{
    if (pages == NULL)
        return;
    pthread_mutex_destroy(&pages->lock);
    free(pages->free);
    free(pages->users);
    free(pages);
}

static int fail_full(const struct kgen_pages *pages, int64_t asked, int64_t left, struct kgen_error *error)
{
    kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0,
                   "the caches are full: %lld pages of %lld positions are asked for, %lld of %lld are free",
                   (long long)asked, (long long)pages->page_size, (long long)left, (long long)pages->count);
    kgen_error_hint(error, "free states, truncate them, or open the model with more pages");
    return -1;
}

int kgen_pages_take(struct kgen_pages *pages, int32_t *taken, int64_t count, struct kgen_error *error)
{
    pthread_mutex_lock(&pages->lock);
    const int64_t left = pages->left;
    for (int64_t i = 0; left >= count && i < count; i++) {
        taken[i] = pages->free[--pages->left];
        pages->users[taken[i]] = 1;
    }
    pthread_mutex_unlock(&pages->lock);
    return left >= count ? 0 : fail_full(pages, count, left, error);
}

int kgen_pages_check(struct kgen_pages *pages, int64_t count, struct kgen_error *error)
{
    const int64_t left = kgen_pages_left(pages);
    return left >= count ? 0 : fail_full(pages, count, left, error);
}

void kgen_pages_share(struct kgen_pages *pages, int32_t page)
{
    pthread_mutex_lock(&pages->lock);
    pages->users[page]++;
    pthread_mutex_unlock(&pages->lock);
}

void kgen_pages_give_back(struct kgen_pages *pages, int32_t page)
{
    pthread_mutex_lock(&pages->lock);
    if (--pages->users[page] == 0)
        pages->free[pages->left++] = page;
    pthread_mutex_unlock(&pages->lock);
}

bool kgen_pages_are_shared(struct kgen_pages *pages, int32_t page)
{
    pthread_mutex_lock(&pages->lock);
    const bool shared = pages->users[page] > 1;
    pthread_mutex_unlock(&pages->lock);
    return shared;
}

int64_t kgen_pages_count(const struct kgen_pages *pages)
{
    return pages->count;
}

int64_t kgen_pages_left(struct kgen_pages *pages)
{
    pthread_mutex_lock(&pages->lock);
    const int64_t left = pages->left;
    pthread_mutex_unlock(&pages->lock);
    return left;
}
