/* SPDX-License-Identifier: MIT */
/* The man page kgen(1), from the tables of commands and options. */
#ifndef KGEN_MAN_PAGE_H
#define KGEN_MAN_PAGE_H

#include "gen/base/base.h"

/* Appends the page in roff, for the macros of man(7). It has no date. */
void kgen_man_page(struct kgen_text *page);

#endif
