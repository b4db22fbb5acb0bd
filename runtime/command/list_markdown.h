/* SPDX-License-Identifier: MIT */
#ifndef KGEN_LIST_MARKDOWN_H
#define KGEN_LIST_MARKDOWN_H

#include "gen/base/base.h"

/* Appends a section in Markdown for each op: the functions that a template of it defines, their arguments and
 * what may be the same memory. */
void kgen_list_markdown(struct kgen_text *text);

#endif
