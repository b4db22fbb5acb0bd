/* SPDX-License-Identifier: MIT */
#include "runtime/command/checkpoint_spec.h"
#include "runtime/command/command.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void set_threads(struct kgen_session *session)
{
    for (size_t i = 0; session->spec != NULL && i < session->spec->count; i++)
        session->spec->entries[i].problem.threads =
            kgen_tune_threads(&session->spec->entries[i].problem, session->threads);
}

int kgen_command_read_input(struct kgen_text *text, struct kgen_error *error)
{
    char block[4096];
    kgen_text_puts(text, "");
    for (size_t length;
         text->length <= KGEN_SPEC_BYTES_MAX && (length = fread(block, 1, sizeof block, stdin)) > 0;)
        kgen_text_append(text, block, length);
    if (ferror(stdin))
        return kgen_error_set(error, KGEN_ERROR_IO, "stdin", 0, 0, "cannot read standard input");
    if (text->length > KGEN_SPEC_BYTES_MAX)
        return kgen_error_set(error, KGEN_ERROR_IO, "stdin", 0, 0, "the spec is larger than %zu bytes",
                              KGEN_SPEC_BYTES_MAX);
    return text->failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, "stdin", 0, 0, "out of memory") : 0;
}

struct kgen_spec *kgen_command_spec(const struct kgen_options *options, const char *path,
                                    struct kgen_error *error)
{
    if (strcmp(path, "-") != 0 && kgen_is_gguf(path))
        return kgen_checkpoint_spec(options, path, error);
    if (strcmp(path, "-") != 0)
        return kgen_spec_read(path, &options->spec, error);
    struct kgen_text text = {0};
    struct kgen_spec *spec = NULL;
    if (kgen_command_read_input(&text, error) == 0)
        spec = kgen_spec_parse("stdin", text.data, text.length, &options->spec, error);
    kgen_text_free(&text);
    return spec;
}

int kgen_session_open(struct kgen_session *session, const struct kgen_options *options, const char *spec,
                      struct kgen_error *error)
{
    if (spec != NULL) {
        session->spec = kgen_command_spec(options, spec, error);
        if (session->spec == NULL)
            return -1;
        for (size_t i = 0; i < session->spec->warning_count; i++) {
            if (options->command <= KGEN_COMMAND_TUNE && !options->quiet)
                kgen_say_warning("%s: %s", spec, session->spec->warnings[i]);
        }
    }
    return kgen_session_start(session, options, error);
}

int kgen_session_start(struct kgen_session *session, const struct kgen_options *options,
                       struct kgen_error *error)
{
    session->templates = kgen_templates_open_used(options->templates, options->target, error);
    if (session->templates == NULL)
        return -1;
    kgen_machine_detect(&session->machine);
    if (options->threads > 0 || session->threads <= 0)
        session->threads = options->threads > 0 ? options->threads : session->machine.threads;
    set_threads(session);
    return 0;
}

int kgen_session_open_cache(struct kgen_session *session, const struct kgen_options *options,
                            struct kgen_error *error)
{
    struct kgen_text folder = {0};
    const bool none = options->no_cache || kgen_cache_folder(options->cache, &folder) != 0;
    if (none && !options->no_cache)
        kgen_say_warning("no folder for the cache is known; nothing will be remembered (set KGEN_CACHE_DIR)");
    session->cache =
        kgen_cache_open_layers(none ? NULL : folder.data, kgen_say_log, (void *)(uintptr_t)options, error);
    kgen_text_free(&folder);
    return session->cache != NULL ? 0 : -1;
}

/* Lists the machines of the records, each once and at most room of them. The strings are the cache's. */
static size_t list_machines(const struct kgen_cache *cache, const char *prefix, const char **machines,
                            size_t room)
{
    size_t count = 0;
    for (; cache != NULL; cache = kgen_cache_beneath(cache)) {
        for (size_t i = 0; i < kgen_cache_count(cache) && count < room; i++) {
            const struct kgen_record *record = kgen_cache_at(cache, i);
            bool listed = record == NULL || strncmp(record->machine, prefix, strlen(prefix)) != 0;
            for (size_t j = 0; j < count && !listed; j++)
                listed = strcmp(machines[j], record->machine) == 0;
            if (!listed)
                machines[count++] = record->machine;
        }
    }
    return count;
}

int kgen_session_other_machine(struct kgen_session *session, const struct kgen_options *options,
                               const char *prefix, struct kgen_error *error)
{
    const char *machines[8];
    const size_t room = KGEN_COUNT_OF(machines);
    const size_t count = list_machines(session->cache, prefix, machines, room);
    if (count != 1) {
        struct kgen_text known = {0};
        const size_t listed = count == 0 ? list_machines(session->cache, "", machines, room) : count;
        for (size_t i = 0; i < listed; i++)
            kgen_text_printf(&known, "%s%s", i > 0 ? ", " : "", machines[i]);
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       count == 0 ? "the cache has no record of a machine '%s'"
                                  : "several machines of the cache begin with '%s'",
                       prefix);
        kgen_error_hint(error, "it knows: %s", known.length > 0 && !known.failed ? known.data : "none");
        kgen_text_free(&known);
        return -1;
    }
    if (kgen_cache_machine(session->cache, machines[0], &session->machine) != 0)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "the cache has records of the machine %s, but does not say what it is",
                              machines[0]);
    if (options->threads == 0 && session->machine.threads > 0)
        session->threads = session->machine.threads;
    set_threads(session);
    return 0;
}

void kgen_session_close(struct kgen_session *session)
{
    kgen_cache_close(session->cache);
    kgen_templates_free(session->templates);
    kgen_spec_free(session->spec);
    *session = (struct kgen_session){0};
}

#define FACT_NAME_SIZE 40

/* All pauses together are longer than measuring takes. */
#define BANDWIDTH_TRIES 200
#define BANDWIDTH_PAUSE_NANOSECONDS 50000000L

static void fact_name(int threads, char name[FACT_NAME_SIZE])
{
    snprintf(name, FACT_NAME_SIZE, "read_bandwidth_%d", threads);
}

static void noise_name(int threads, char name[FACT_NAME_SIZE])
{
    snprintf(name, FACT_NAME_SIZE, "read_noise_%d", threads);
}

int kgen_session_known_bandwidth(const struct kgen_session *session, struct kgen_bandwidth *bandwidth)
{
    char one[FACT_NAME_SIZE], all[FACT_NAME_SIZE], noise[FACT_NAME_SIZE];
    fact_name(1, one);
    fact_name(session->threads, all);
    noise_name(session->threads, noise);
    bandwidth->threads = session->threads;
    const char *machine = session->machine.identity;
    if (kgen_cache_fact(session->cache, machine, one, &bandwidth->one_thread) != 0 ||
        kgen_cache_fact(session->cache, machine, all, &bandwidth->all_threads) != 0 ||
        kgen_cache_fact(session->cache, machine, noise, &bandwidth->noise) != 0)
        return -1;
    return bandwidth->one_thread > 0 && bandwidth->all_threads > 0 ? 0 : -1;
}

/* Measures it, and keeps it in the cache unless what is known (may be NULL) is less noisy. */
static int measure_bandwidth(struct kgen_session *session, const struct kgen_bandwidth *known,
                             struct kgen_bandwidth *bandwidth, struct kgen_error *error)
{
    if (kgen_bandwidth_measure(&session->machine, session->templates, session->threads, bandwidth, error) !=
        0)
        return -1;
    if (known != NULL && known->noise < bandwidth->noise) {
        *bandwidth = *known;
        return 0;
    }
    char one[FACT_NAME_SIZE], all[FACT_NAME_SIZE], noise[FACT_NAME_SIZE];
    fact_name(1, one);
    fact_name(session->threads, all);
    noise_name(session->threads, noise);
    const char *machine = session->machine.identity;
    if (kgen_cache_set_fact(session->cache, machine, one, bandwidth->one_thread, error) != 0 ||
        kgen_cache_set_fact(session->cache, machine, all, bandwidth->all_threads, error) != 0 ||
        kgen_cache_set_fact(session->cache, machine, noise, bandwidth->noise, error) != 0)
        return -1;
    return 0;
}

int kgen_session_bandwidth(struct kgen_session *session, bool measure_anew, struct kgen_bandwidth *bandwidth,
                           struct kgen_error *error)
{
    struct kgen_bandwidth known = {0};
    const bool is_known = !measure_anew && kgen_session_known_bandwidth(session, &known) == 0;
    if (is_known && !kgen_bandwidth_is_noisy(&known)) {
        *bandwidth = known;
        return 0;
    }
    /* While another process measures it, this one waits for the result. */
    char name[FACT_NAME_SIZE];
    fact_name(session->threads, name);
    const uint64_t key = kgen_hash_string(kgen_hash_string(KGEN_HASH_START, session->machine.identity), name);
    int tries = 0;
    while (!kgen_cache_claim(session->cache, key) && tries++ < BANDWIDTH_TRIES)
        nanosleep(&(struct timespec){.tv_nsec = BANDWIDTH_PAUSE_NANOSECONDS}, NULL);
    int result = kgen_cache_refresh(session->cache, error);
    if (result == 0 && (measure_anew || kgen_session_known_bandwidth(session, bandwidth) != 0 ||
                        kgen_bandwidth_is_noisy(bandwidth)))
        result = measure_bandwidth(session, is_known ? &known : NULL, bandwidth, error);
    if (tries <= BANDWIDTH_TRIES)
        kgen_cache_release(session->cache, key);
    return result;
}

double kgen_bandwidth_of(const struct kgen_bandwidth *bandwidth, int64_t threads)
{
    return threads == 1 ? bandwidth->one_thread : bandwidth->all_threads;
}

bool kgen_bandwidth_is_noisy(const struct kgen_bandwidth *bandwidth)
{
    return bandwidth->noise > KGEN_NOISY;
}

double kgen_bandwidth_share(const struct kgen_bandwidth *bandwidth, const struct kgen_problem *problem,
                            const struct kgen_record *record)
{
    const double seconds = kgen_record_seconds(problem, record), bytes = kgen_problem_bytes(problem);
    if (!kgen_timing_is_cold(problem) || seconds <= 0 || bytes < KGEN_SHARE_BYTES)
        return 0;
    if (record->read_seconds > 0)
        return record->read_seconds / seconds;
    return bandwidth == NULL ? 0 : bytes / seconds / kgen_bandwidth_of(bandwidth, problem->threads);
}

static void describe_field(const struct kgen_problem *problem, const struct kgen_field *field,
                           struct kgen_text *text)
{
    if (field->kind == KGEN_FIELD_REAL) {
        const double value = kgen_problem_value_of(problem, field)->real;
        if (field->required || value < field->default_value || value > field->default_value)
            kgen_text_printf(text, " %s=%g", field->name, value);
        return;
    }
    const int64_t value = kgen_problem_value_of(problem, field)->integer;
    if (!field->required && value == (int64_t)field->default_value)
        return;
    if (field->kind == KGEN_FIELD_CONSTANT)
        kgen_text_printf(text, " %s", kgen_constant_name(value));
    else if (field->kind == KGEN_FIELD_BOOLEAN)
        kgen_text_printf(text, " %s%s", value != 0 ? "" : "no ", field->name);
    else
        kgen_text_printf(text, " %s=%lld", field->name, (long long)value);
}

void kgen_problem_describe(const struct kgen_problem *problem, struct kgen_text *text)
{
    kgen_text_puts(text, problem->op->name);
    for (size_t i = 0; i < problem->op->field_count; i++)
        describe_field(problem, &problem->op->fields[i], text);
}
