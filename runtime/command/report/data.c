/* SPDX-License-Identifier: MIT */
#include "runtime/command/report/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/tune/timing.h"
#include <jansson.h>

/* The series of a problem: its op, and the precision of its activations where the op has one. */
static size_t find_series(struct kgen_report_data *data, const struct kgen_problem *problem)
{
    char label[sizeof data->series[0]];
    const char *name = problem->op->name;
    if (kgen_problem_has(problem, "activation_dtype"))
        snprintf(label, sizeof label, "%s, %s activations", name,
                 kgen_constant_name(kgen_problem_get(problem, "activation_dtype")));
    else
        snprintf(label, sizeof label, "%s", name);
    for (size_t i = 0; i < data->series_count; i++) {
        if (strcmp(data->series[i], label) == 0)
            return i;
    }
    if (data->series_count == KGEN_SERIES_MAX)
        return KGEN_SERIES_MAX - 1;
    memcpy(data->series[data->series_count], label, sizeof label);
    return data->series_count++;
}

static void write_label(const struct kgen_problem *problem, const struct kgen_text *description,
                        struct kgen_text *label)
{
    if (!kgen_problem_has_weights(problem)) {
        kgen_text_puts(label, description->failed ? "" : description->data);
        return;
    }
    kgen_text_printf(label, "%s %lld×%lld %lld-bit", problem->op->name,
                     (long long)kgen_problem_get(problem, "N"), (long long)kgen_problem_get(problem, "K"),
                     (long long)kgen_problem_get(problem, "bits"));
    if (kgen_problem_has(problem, "activation_dtype"))
        kgen_text_printf(label, " %s", kgen_constant_name(kgen_problem_get(problem, "activation_dtype")));
}

static int collect_problem(struct kgen_report_data *data, size_t index, struct kgen_error *error)
{
    struct kgen_report_problem *result = &data->problems[index];
    result->number = index + 1;
    result->entry = &data->session.spec->entries[index];
    const struct kgen_problem *problem = &result->entry->problem;
    kgen_problem_name(problem, &result->name);
    kgen_problem_describe(problem, &result->description);
    write_label(problem, &result->description, &result->label);
    result->series = find_series(data, problem);
    result->operations = kgen_problem_operations(problem);
    result->bytes = kgen_problem_bytes(problem);
    result->cold = kgen_timing_is_cold(problem);
    if (data->bandwidth_known)
        result->bandwidth = kgen_bandwidth_of(&data->bandwidth, problem->threads);
    if (result->name.failed || result->description.failed || result->label.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    return kgen_evidence_collect(&data->session, problem, data->engine.data, &result->evidence, error);
}

/* Collects the evidence of every problem anew. Returns the number of records, or -1. */
static long collect_problems(struct kgen_report_data *data, struct kgen_error *error)
{
    long records = 0;
    for (size_t i = 0; i < data->count; i++) {
        struct kgen_report_problem *problem = &data->problems[i];
        kgen_evidence_free(&problem->evidence);
        kgen_text_free(&problem->name);
        kgen_text_free(&problem->description);
        kgen_text_free(&problem->label);
        if (collect_problem(data, i, error) != 0)
            return -1;
        records += (long)(problem->evidence.count + problem->evidence.stale);
    }
    return records;
}

static void count_foreign_peers(struct kgen_report_data *data)
{
    for (size_t i = 0; i < data->peers.count; i++)
        data->foreign_peers += kgen_report_peer_problem(data, &data->peers.items[i]) == NULL;
}

int kgen_report_collect(const struct kgen_options *options, struct kgen_report_data *data,
                        struct kgen_error *error)
{
    struct kgen_session *session = &data->session;
    data->spec = options->arguments[0];
    if (kgen_session_open(session, options, data->spec, error) != 0 ||
        (options->peers != NULL && kgen_peers_read(options->peers, &data->peers, error) != 0) ||
        kgen_session_open_cache(session, options, error) != 0 ||
        kgen_engine_describe(options->engine, NULL, &data->engine, error) != 0 ||
        (options->machine != NULL &&
         kgen_session_other_machine(session, options, options->machine, error) != 0))
        return -1;
    data->bandwidth_known = kgen_session_known_bandwidth(session, &data->bandwidth) == 0;
    data->problems = calloc(session->spec->count + 1, sizeof *data->problems);
    if (data->problems == NULL || data->engine.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    data->count = session->spec->count;
    long records = collect_problems(data, error);
    if (records < 0)
        return -1;
    if (records == 0) {
        const char *folder = kgen_cache_path(session->cache);
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "the cache (%s) knows nothing of this on %s with %d thread%s",
                       folder[0] != '\0' ? folder : "none",
                       options->machine != NULL ? options->machine : "this machine", session->threads,
                       kgen_plural((size_t)session->threads));
        kgen_error_hint(error, "run kgen %s%s first", data->spec, kgen_options_repeated(options));
        return -1;
    }
    count_foreign_peers(data);
    return 0;
}

void kgen_report_free(struct kgen_report_data *data)
{
    for (size_t i = 0; i < data->count; i++) {
        kgen_evidence_free(&data->problems[i].evidence);
        kgen_text_free(&data->problems[i].name);
        kgen_text_free(&data->problems[i].description);
        kgen_text_free(&data->problems[i].label);
    }
    free(data->problems);
    kgen_peers_free(&data->peers);
    kgen_text_free(&data->engine);
    kgen_session_close(&data->session);
}

const struct kgen_report_problem *kgen_report_peer_problem(const struct kgen_report_data *data,
                                                           const struct kgen_peer *peer)
{
    for (size_t i = 0; i < data->count; i++) {
        if (strcmp(data->problems[i].name.data, peer->problem) == 0)
            return &data->problems[i];
    }
    return NULL;
}

double kgen_report_winner_seconds(const struct kgen_report_problem *problem)
{
    return problem->evidence.chosen != NULL ? problem->evidence.chosen->seconds : 0;
}
