/* SPDX-License-Identifier: MIT */
/* How the values of options are read. Internal to the command line. */
#ifndef KGEN_OPTIONS_VALUES_H
#define KGEN_OPTIONS_VALUES_H

#include "runtime/command/options.h"

/* Fails with KGEN_ERROR_USAGE: "--option cannot be 'value'", and what was expected as the hint. Returns -1.
 */
int kgen_option_error(struct kgen_error *error, const char *option, const char *value, const char *expected);
/* A whole number in decimal digits. Returns -1, without an error, where it is none from least to most. */
int kgen_option_integer(const char *value, int64_t least, int64_t most, int64_t *result);

/* Reads the value of an option into the options. */
typedef int kgen_read_value(const char *value, struct kgen_options *options, struct kgen_error *error);

/* Tuning and specs. */
kgen_read_value kgen_read_isa, kgen_read_engine, kgen_read_effort, kgen_read_target, kgen_read_emit,
    kgen_read_time_limit, kgen_read_threads, kgen_read_shard, kgen_read_bits, kgen_read_group_size,
    kgen_read_context, kgen_read_cache_type, kgen_read_scale_dtype, kgen_read_layout,
    kgen_read_activation_dtypes, kgen_read_output_activation_dtype, kgen_read_prompt_rows;
/* Text. */
kgen_read_value kgen_read_tokens, kgen_read_tune_seconds, kgen_read_temperature, kgen_read_top_k,
    kgen_read_top_p, kgen_read_min_p, kgen_read_repeat_penalty, kgen_read_repeat_last, kgen_read_seed,
    kgen_read_logit_bias, kgen_read_repeats, kgen_read_layers, kgen_read_batch, kgen_read_window,
    kgen_read_skip, kgen_read_slower_than;

#endif
