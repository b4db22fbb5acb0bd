/* SPDX-License-Identifier: MIT */
/* What configs of DeepSeek's models say besides the keys of their families' tables. */
#ifndef KGEN_SPEC_DEEPSEEK_H
#define KGEN_SPEC_DEEPSEEK_H

#include "gen/spec/reader.h"

/* Does nothing to a model without the quantity kv_lora_rank. Else adds the quantities qk_head_dim, of a
 * head's query, and cache_row, of a position; sparse, which is 1 in the layers with experts; the prototype of
 * mla_decode, with the scale of its scores, and that of router. Call it after the family's keys are read.
 * Returns 0, or -1 with an error set. */
int kgen_spec_deepseek_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model);

#endif
