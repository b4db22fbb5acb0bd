/* SPDX-License-Identifier: MIT */
/* Pages of caches that several sequences share: which are free, and how many sequences have each. All
 * functions may be called by several threads at once, but for kgen_pages_free. */
#ifndef KGEN_PAGES_H
#define KGEN_PAGES_H

#include "gen/base/base.h"

/* The most pages: their numbers are int32_t. */
#define KGEN_PAGES_MAX (INT64_C(1) << 24)

struct kgen_pages;

/* Makes count pages, 1 to KGEN_PAGES_MAX, all of them free, of page_size positions, which errors name.
 * Returns NULL with KGEN_ERROR_MEMORY. */
struct kgen_pages *kgen_pages_new(int64_t count, int64_t page_size, struct kgen_error *error);
/* NULL is fine. */
void kgen_pages_free(struct kgen_pages *pages);

/* Takes so many free pages, each for one user. Returns 0, or -1 with KGEN_ERROR_MEMORY where there are fewer:
 * none is taken then. */
int kgen_pages_take(struct kgen_pages *pages, int32_t *taken, int64_t count, struct kgen_error *error);
/* Fails as kgen_pages_take would, and takes none. */
int kgen_pages_check(struct kgen_pages *pages, int64_t count, struct kgen_error *error);
/* Adds a user to a page that has one. */
void kgen_pages_share(struct kgen_pages *pages, int32_t page);
/* Ends the use by one user. A page without users is free. */
void kgen_pages_give_back(struct kgen_pages *pages, int32_t page);
/* Whether a page has more users than one. Its only user may rely on it: nobody else can add one. */
bool kgen_pages_are_shared(struct kgen_pages *pages, int32_t page);

/* The pages that are there, and those of them that are free. */
int64_t kgen_pages_count(const struct kgen_pages *pages);
int64_t kgen_pages_left(struct kgen_pages *pages);

#endif
