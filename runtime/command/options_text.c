/* SPDX-License-Identifier: MIT */
/* The values of the options of text: how much of it, and how its tokens are chosen. */
#include "runtime/command/options_values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS (1 << 24)
#define MAX_WINDOW (1 << 20)

int kgen_read_tokens(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    int64_t tokens;
    if (kgen_option_integer(value, 1, MAX_TOKENS, &tokens) != 0)
        return kgen_option_error(error, "tokens", value, "a whole number from 1 to 16777216");
    options->tokens = (int)tokens;
    return 0;
}

int kgen_read_tune_seconds(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    char *end;
    const double seconds = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(seconds) || seconds <= 0)
        return kgen_option_error(error, "tune-seconds", value, "a number of seconds greater than 0");
    options->tune_seconds = seconds;
    return 0;
}

int kgen_read_batch(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    int64_t batch;
    if (kgen_option_integer(value, 1, KGEN_GRAPH_SEQUENCES_MAX, &batch) != 0)
        return kgen_option_error(error, "batch", value, "a whole number from 1 to 16");
    options->batch = (int)batch;
    return 0;
}

int kgen_read_repeats(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    int64_t repeats;
    if (kgen_option_integer(value, 1, 1000, &repeats) != 0)
        return kgen_option_error(error, "repeats", value, "a whole number from 1 to 1000");
    options->repeats = (int)repeats;
    return 0;
}

int kgen_read_layers(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    if (kgen_option_integer(value, 1, INT32_MAX, &options->layers) != 0)
        return kgen_option_error(error, "layers", value, "a whole number of at least 1");
    return 0;
}

int kgen_read_window(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    if (kgen_option_integer(value, 2, MAX_WINDOW, &options->window) != 0)
        return kgen_option_error(error, "window", value, "a whole number from 2 to 1048576");
    return 0;
}

int kgen_read_skip(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    if (kgen_option_integer(value, 0, MAX_WINDOW, &options->skip) != 0)
        return kgen_option_error(error, "skip", value, "a whole number from 0 to 1048576");
    return 0;
}

int kgen_read_slower_than(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    char *end;
    const double ratio = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(ratio) || ratio <= 0)
        return kgen_option_error(error, "slower-than", value, "a number greater than 0, such as 1.2");
    options->slower_than = ratio;
    return 0;
}

/* ---- how tokens are chosen ---- */

/* A finite number from least to most. */
static int read_real(const char *option, const char *value, double least, double most, const char *expected,
                     double *result, struct kgen_error *error)
{
    char *end;
    const double number = strtod(value, &end);
    if (end == value || *end != '\0' || !(number >= least && number <= most))
        return kgen_option_error(error, option, value, expected);
    *result = number;
    return 0;
}

int kgen_read_temperature(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    return read_real("temperature", value, 0, 1e6, "a number from 0, which is greedy, to 1000000",
                     &options->sampling.temperature, error);
}

int kgen_read_top_k(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    if (kgen_option_integer(value, 0, INT32_MAX, &options->sampling.top_k) != 0)
        return kgen_option_error(error, "top-k", value, "a whole number from 0, which is all, to 2147483647");
    return 0;
}

int kgen_read_top_p(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    return read_real("top-p", value, 0, 1, "a number from 0 to 1, which is all", &options->sampling.top_p,
                     error);
}

int kgen_read_min_p(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    return read_real("min-p", value, 0, 1, "a number from 0, which is all, to 1", &options->sampling.min_p,
                     error);
}

int kgen_read_repeat_penalty(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    return read_real("repeat-penalty", value, 1e-6, 1e6, "a number from 0.000001 to 1000000; 1 is no penalty",
                     &options->sampling.repeat_penalty, error);
}

int kgen_read_repeat_last(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    if (kgen_option_integer(value, -1, KGEN_REPEAT_LAST_MAX, &options->sampling.repeat_last) != 0)
        return kgen_option_error(error, "repeat-last-n", value,
                                 "a whole number from 0 to 1048576; -1 is all");
    return 0;
}

int kgen_read_seed(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    int64_t seed;
    if (kgen_option_integer(value, 0, INT64_MAX, &seed) != 0)
        return kgen_option_error(error, "seed", value, "a whole number from 0 to 9223372036854775807");
    options->sampling.seed = (uint64_t)seed;
    options->seed_given = true;
    return 0;
}

/* Reads one bias, of length bytes: "15=-2.5". */
static int read_bias(const char *text, size_t length, struct kgen_logit_bias *bias)
{
    char copy[64], *end;
    int64_t token;
    if (length >= sizeof copy)
        return -1;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *equals = strchr(copy, '=');
    if (equals == NULL)
        return -1;
    *equals = '\0';
    const double value = strtod(equals + 1, &end);
    if (kgen_option_integer(copy, 0, INT32_MAX, &token) != 0 || end == equals + 1 || *end != '\0' ||
        !(fabs(value) <= 1e6 || value == -INFINITY))
        return -1;
    *bias = (struct kgen_logit_bias){(int32_t)token, (float)value};
    return 0;
}

int kgen_read_logit_bias(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    for (const char *at = value;; at++) {
        const size_t length = strcspn(at, ",");
        struct kgen_logit_bias bias, *grown;
        if (read_bias(at, length, &bias) != 0)
            return kgen_option_error(error, "logit-bias", value,
                                     "ID=VALUE, or several with commas: a token's id, and a number from "
                                     "-1000000 to 1000000, or -inf");
        grown = realloc(options->biases, (options->sampling.bias_count + 1) * sizeof *grown);
        if (grown == NULL)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        grown[options->sampling.bias_count++] = bias;
        options->sampling.biases = options->biases = grown;
        at += length;
        if (*at == '\0')
            return 0;
    }
}
