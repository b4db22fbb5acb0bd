/* SPDX-License-Identifier: MIT */
/* kgen cache list, kgen cache show. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/command/cache/parts.h"
#include "runtime/command/json.h"
#include "runtime/command/table.h"

#define KEY_SIZE 17

static void write_key(const struct kgen_record *record, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, "%016" PRIx64, record->key);
}

static json_t *record_json(const struct kgen_cache *layer, const struct kgen_record *record)
{
    char key[KEY_SIZE];
    write_key(record, key);
    json_t *object = kgen_json_record(record);
    json_object_set_new(object, "key", json_string(key));
    json_object_set_new(object, "layer", kgen_json_string(kgen_cache_path(layer)));
    json_object_set_new(object, "machine", kgen_json_string(record->machine));
    json_object_set_new(object, "problem", json_loads(record->problem, 0, NULL));
    return object;
}

static int print_json(const struct kgen_cache_call *call, json_t *list)
{
    json_t *layers = json_array();
    for (const struct kgen_cache *at = call->session->cache; at != NULL; at = kgen_cache_beneath(at))
        json_array_append_new(layers, kgen_json_string(kgen_cache_path(at)));
    return kgen_json_print(json_pack("{s:o, s:o, s:o}", "path",
                                     kgen_json_string(kgen_cache_path(call->session->cache)), "layers",
                                     layers, "records", list)) == 0
               ? KGEN_EXIT_DONE
               : KGEN_EXIT_FAILED;
}

static void add_winner(struct kgen_table *table, const struct kgen_cache_call *call,
                       const struct kgen_record *record)
{
    struct kgen_problem problem;
    struct kgen_text described = {0};
    char key[KEY_SIZE];
    write_key(record, key);
    const bool known = kgen_record_problem(record, &problem, NULL) == 0;
    if (known)
        kgen_problem_describe(&problem, &described);
    kgen_table_cell(table, "%.8s", key);
    kgen_table_cell(table, "%s", known && !described.failed ? described.data : record->problem);
    kgen_table_cell(table, "%lld", known ? (long long)problem.threads : 0);
    kgen_table_cell(table, "%s", record->variant);
    kgen_table_cell(table, "%s", record->engine);
    kgen_table_cell(table, "%s", record->effort);
    kgen_table_time(table, known ? kgen_record_seconds(&problem, record) : record->cold_seconds);
    const bool here = strcmp(record->machine, call->session->machine.identity) == 0;
    kgen_table_cell(table, "%s", here ? "this one" : record->machine);
    kgen_text_free(&described);
}

struct tally {
    size_t passed, failed, winners;
};

/* Adds the winners of a layer to a table, and counts its records. */
static struct tally add_layer(const struct kgen_cache_call *call, const struct kgen_cache *layer,
                              struct kgen_table *table)
{
    struct tally tally = {0};
    for (size_t i = 0; i < kgen_cache_count(layer); i++) {
        const struct kgen_record *record = kgen_cache_at(layer, i);
        if (record == NULL || !kgen_cache_selects((void *)(uintptr_t)call->options, record))
            continue;
        tally.passed += record->verdict == KGEN_PASSED;
        tally.failed += record->verdict != KGEN_PASSED;
        tally.winners += record->chosen;
        if (record->chosen)
            add_winner(table, call, record);
    }
    return tally;
}

static int list_text(const struct kgen_cache_call *call)
{
    static const struct kgen_column columns[] = {
        {"key", false, 0},     {"problem", false, 0}, {"threads", true, 0}, {"variant", false, 0},
        {"engine", false, 28}, {"effort", false, 0},  {"µs", true, 0},      {"machine", false, 0},
    };
    int result = 0;
    for (const struct kgen_cache *at = call->session->cache; at != NULL; at = kgen_cache_beneath(at)) {
        struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
        const struct tally tally = add_layer(call, at, &table);
        if (at != call->session->cache)
            putchar('\n');
        if (tally.winners > 0 && kgen_table_print(&table, stdout) != 0)
            result = -1;
        kgen_table_free(&table);
        const char *path = kgen_cache_path(at);
        printf("%s%s: %zu winner%s among %zu record%s, %zu of which failed\n", tally.winners > 0 ? "\n" : "",
               path[0] != '\0' ? path : "no cache", tally.winners, kgen_plural(tally.winners),
               tally.passed + tally.failed, kgen_plural(tally.passed + tally.failed), tally.failed);
    }
    if (result != 0)
        fputs("kgen: error: out of memory\n", stderr);
    return result == 0 ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
}

static int list_json(const struct kgen_cache_call *call)
{
    json_t *list = json_array();
    for (const struct kgen_cache *at = call->session->cache; at != NULL; at = kgen_cache_beneath(at)) {
        for (size_t i = 0; i < kgen_cache_count(at); i++) {
            const struct kgen_record *record = kgen_cache_at(at, i);
            if (record != NULL && kgen_cache_selects((void *)(uintptr_t)call->options, record))
                json_array_append_new(list, record_json(at, record));
        }
    }
    return print_json(call, list);
}

int kgen_cache_list(const struct kgen_cache_call *call)
{
    return call->options->json ? list_json(call) : list_text(call);
}

static void print_microseconds(const char *name, double seconds)
{
    if (seconds > 0)
        printf("  %-15s%.4g µs\n", name, seconds * 1e6);
}

static void print_record(const struct kgen_cache_call *call, const struct kgen_cache *layer,
                         const struct kgen_record *record)
{
    char key[KEY_SIZE];
    write_key(record, key);
    struct kgen_machine machine;
    const bool known = kgen_cache_machine(call->session->cache, record->machine, &machine) == 0;
    const bool here = strcmp(record->machine, call->session->machine.identity) == 0;
    printf("%s%s\n", key, record->chosen ? ", chosen" : "");
    printf("  %-15s%s\n", "problem", record->problem);
    printf("  %-15s%s\n  %-15s%s\n", "variant", record->variant, "engine", record->engine);
    printf("  %-15s%s%s%s%s\n", "machine", record->machine, known ? ", " : "", known ? machine.name : "",
           here ? ", this one" : "");
    printf("  %-15s%s%s%s\n", "verdict", kgen_verdict_name(record->verdict),
           record->detail[0] != '\0' ? ": " : "", record->detail);
    printf("  %-15s%.3g of the bound, in %u cases\n", "error", record->error_of_bound, record->cases);
    printf("  %-15s%s, %u repeats\n", "effort", record->effort, record->repeats);
    if (record->noise > 0)
        printf("  %-15s%.0f%%%s\n", "noise", record->noise * 100,
               kgen_record_is_noisy(record) ? ": a later run times it again" : "");
    print_microseconds("compiled in", record->compile_seconds);
    print_microseconds("cold", record->cold_seconds);
    print_microseconds("hot", record->hot_seconds);
    print_microseconds("final round", record->final_seconds);
    print_microseconds("mere reading", record->read_seconds);
    printf("  %-15s%s\n", "layer", kgen_cache_path(layer));
}

int kgen_cache_show(const struct kgen_cache_call *call)
{
    const char *wanted = call->arguments[0];
    size_t found = 0;
    json_t *list = call->options->json ? json_array() : NULL;
    for (const struct kgen_cache *at = call->session->cache; at != NULL; at = kgen_cache_beneath(at)) {
        for (size_t i = 0; i < kgen_cache_count(at); i++) {
            const struct kgen_record *record = kgen_cache_at(at, i);
            char key[KEY_SIZE] = "";
            if (record != NULL)
                write_key(record, key);
            if (record == NULL || strncmp(key, wanted, strlen(wanted)) != 0)
                continue;
            if (list != NULL)
                json_array_append_new(list, record_json(at, record));
            else
                print_record(call, at, record);
            found++;
        }
    }
    if (found == 0) {
        struct kgen_error error = {0};
        json_decref(list);
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "no record's key begins with '%s'", wanted);
        kgen_error_hint(&error,
                        "kgen cache list shows the keys of the winners, kgen cache list --json of all");
        return kgen_fail(&error);
    }
    return list != NULL ? print_json(call, list) : KGEN_EXIT_DONE;
}
