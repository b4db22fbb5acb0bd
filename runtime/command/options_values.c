/* SPDX-License-Identifier: MIT */
/* The values of the options of tuning and of specs. */
#include "runtime/command/options_values.h"
#include "gen/target/target.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 1024
#define MAX_SHARDS 1000000

int kgen_option_error(struct kgen_error *error, const char *option, const char *value, const char *expected)
{
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "--%s cannot be '%s'", option, value);
    kgen_error_hint(error, "%s", expected);
    return -1;
}

int kgen_option_integer(const char *value, int64_t least, int64_t most, int64_t *result)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < least || number > most)
        return -1;
    *result = number;
    return 0;
}

int kgen_read_isa(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    options->isa_given = strcmp(value, "auto") != 0;
    if (!options->isa_given || kgen_isa_parse(value, &options->isa) == 0)
        return 0;
    return kgen_option_error(error, "isa", value, "avx512, avx2, neon, generic, or auto");
}

int kgen_read_engine(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    if (kgen_engine_parse(value, &options->engine) == 0)
        return 0;
    return kgen_option_error(error, "engine", value, "tcc or cc");
}

int kgen_read_effort(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    if (kgen_effort_parse(value, &options->effort) == 0)
        return 0;
    return kgen_option_error(error, "effort", value, "estimate, measure, patient or exhaustive");
}

int kgen_read_emit(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    options->emit_model = strcmp(value, "model") == 0;
    return options->emit_model ? 0 : kgen_option_error(error, "emit", value, "it can be: model");
}

int kgen_read_target(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    if (kgen_target_find(value, NULL) != NULL) {
        options->target = value;
        return 0;
    }
    struct kgen_text names = {0};
    kgen_text_puts(&names, "the targets are: ");
    const struct kgen_target *target;
    for (size_t i = 0; (target = kgen_target_at(i)) != NULL; i++)
        kgen_text_printf(&names, "%s%s", i > 0 ? ", " : "", target->name);
    kgen_option_error(error, "target", value, names.failed ? "" : names.data);
    kgen_text_free(&names);
    return -1;
}

int kgen_read_time_limit(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    char *end;
    double seconds = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(seconds) || seconds <= 0)
        return kgen_option_error(error, "time-limit", value, "a number of seconds greater than 0");
    options->time_limit_seconds = seconds;
    return 0;
}

int kgen_read_threads(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    int64_t threads;
    if (kgen_option_integer(value, 1, MAX_THREADS, &threads) != 0)
        return kgen_option_error(error, "threads", value, "a whole number from 1 to 1024");
    options->threads = (int)threads;
    return 0;
}

int kgen_read_shard(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    const char *slash = strchr(value, '/');
    char number[24] = "";
    int64_t shard = 0, shards = 0;
    if (slash != NULL && (size_t)(slash - value) < sizeof number) {
        memcpy(number, value, (size_t)(slash - value));
        if (kgen_option_integer(slash + 1, 1, MAX_SHARDS, &shards) != 0 ||
            kgen_option_integer(number, 1, shards, &shard) != 0)
            shard = 0;
    }
    if (shard == 0)
        return kgen_option_error(error, "shard", value, "I/N with I from 1 to N, such as 3/8");
    options->shard = (unsigned)shard - 1;
    options->shards = (unsigned)shards;
    return 0;
}

/* Reads the value of a field that the spec may leave open. */
static int read_field(const char *option, const char *field, const char *value, int64_t *result,
                      struct kgen_error *error)
{
    struct kgen_text expected = {0};
    const int status = kgen_spec_option_parse(field, value, result, &expected);
    if (status != 0)
        kgen_option_error(error, option, value, expected.failed ? "" : expected.data);
    kgen_text_free(&expected);
    return status;
}

int kgen_read_bits(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    return read_field("bits", "bits", value, &options->spec.bits, error);
}

int kgen_read_group_size(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    return read_field("group-size", "group_size", value, &options->spec.group_size, error);
}

int kgen_read_context(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    return read_field("context", "context", value, &options->spec.context, error);
}

int kgen_read_prompt_rows(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    if (kgen_option_integer(value, 1, KGEN_SPEC_PROMPT_ROWS_MAX, &options->spec.prompt_rows) != 0)
        return kgen_option_error(error, "prompt-rows", value, "a whole number from 1 to 4096");
    return 0;
}

int kgen_read_cache_type(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    static const char *const short_names[][2] = {{"q8", "q8_0"}, {"q4", "q4_0"}};
    const char *name = value;
    for (size_t i = 0; i < KGEN_COUNT_OF(short_names); i++)
        name = strcmp(value, short_names[i][0]) == 0 ? short_names[i][1] : name;
    return read_field("cache-type", "cache_dtype", name, &options->spec.cache_dtype, error);
}

int kgen_read_scale_dtype(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    return read_field("scale-dtype", "scale_dtype", value, &options->spec.scale_dtype, error);
}

int kgen_read_layout(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    return read_field("layout", "layout", value, &options->spec.layout, error);
}

int kgen_read_output_activation_dtype(const char *value, struct kgen_options *options,
                                      struct kgen_error *error)
{
    return read_field("output-activation-dtype", "activation_dtype", value,
                      &options->spec.output_activation_dtype, error);
}

int kgen_read_activation_dtypes(const char *value, struct kgen_options *options, struct kgen_error *error)
{
    static const char option[] = "activation-dtype", field[] = "activation_dtype";
    int64_t *list = options->spec.activation_dtypes;
    memset(list, 0, sizeof options->spec.activation_dtypes);
    size_t count = 0;
    for (const char *at = value;; at++) {
        char name[16];
        const size_t length = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", length < sizeof name ? (int)length : 0, at);
        int64_t word;
        if (read_field(option, field, name, &word, error) != 0)
            return -1;
        bool repeated = count == KGEN_COUNT_OF(options->spec.activation_dtypes);
        for (size_t i = 0; i < count; i++)
            repeated = repeated || list[i] == word;
        if (repeated)
            return kgen_option_error(error, option, value, "a list names each precision once");
        list[count++] = word;
        at += length;
        if (*at == '\0')
            return 0;
    }
}
