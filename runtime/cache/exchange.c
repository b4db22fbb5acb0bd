/* SPDX-License-Identifier: MIT */
#include "runtime/cache/exchange.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cache/effort.h"
#include "runtime/cache/internal.h"

static int check_problem(const struct kgen_problem *problem, struct kgen_error *error)
{
    if (problem->threads < 1 || problem->threads > KGEN_RECORD_THREADS)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "\"threads\" is not from 1 to %d",
                              KGEN_RECORD_THREADS);
    return kgen_problem_check(problem, NULL, 0, 0, error);
}

int kgen_record_problem(const struct kgen_record *record, struct kgen_problem *problem,
                        struct kgen_error *error)
{
    json_t *root = json_loads(record->problem, 0, NULL);
    const char *op_name = json_string_value(json_object_get(root, "op"));
    const struct kgen_op *op = op_name != NULL ? kgen_op_find(op_name) : NULL;
    if (op == NULL) {
        json_decref(root);
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "an op that this kgen does not know");
    }
    kgen_problem_init(problem, op);
    for (size_t i = 0; i < op->field_count; i++) {
        const struct kgen_field *field = &op->fields[i];
        const json_t *value = json_object_get(root, field->name);
        if (value == NULL && field->former != NULL)
            value = json_object_get(root, field->former);
        if (value == NULL && !field->text_at_default)
            continue;
        if (json_is_string(value)) {
            const enum kgen_constant word = kgen_constant_find(json_string_value(value));
            problem->values[i].integer = word != KGEN_CONSTANT_NONE ? (int64_t)word : -1;
        } else if (field->kind == KGEN_FIELD_REAL) {
            problem->values[i].real = json_number_value(value);
        } else {
            problem->values[i].integer = json_is_true(value) ? 1 : json_integer_value(value);
        }
    }
    problem->threads = json_integer_value(json_object_get(root, "threads"));
    json_decref(root);
    return check_problem(problem, error);
}

static int compare_strings(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* The machine that a fact's line is about, as a new string. */
static char *fact_machine(const struct kgen_cache_entry *entry)
{
    json_t *root = json_loadb(entry->line, entry->length, 0, NULL);
    const char *machine = json_string_value(json_object_get(root, "machine"));
    char *copy = machine != NULL ? strdup(machine) : NULL;
    json_decref(root);
    return copy;
}

static void export_facts(const struct kgen_cache *cache, const char **machines, size_t count,
                         struct kgen_text *lines)
{
    qsort(machines, count, sizeof *machines, compare_strings);
    for (size_t i = 0; i < cache->facts.count; i++) {
        const struct kgen_cache_entry *entry = &cache->facts.entries[i];
        char *machine = fact_machine(entry);
        const char *wanted = machine;
        if (machine != NULL && count > 0 &&
            bsearch(&wanted, machines, count, sizeof *machines, compare_strings) != NULL) {
            kgen_text_append(lines, entry->line, entry->length);
            kgen_text_puts(lines, "\n");
        }
        free(machine);
    }
}

long kgen_cache_export(const struct kgen_cache *cache, kgen_record_filter *wants, void *context,
                       struct kgen_text *lines, struct kgen_error *error)
{
    const char **machines = calloc(kgen_cache_count(cache) + 1, sizeof *machines);
    if (machines == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    size_t count = 0;
    int result = 0;
    for (size_t i = 0; result == 0 && i < kgen_cache_count(cache); i++) {
        const struct kgen_record *record = kgen_cache_at(cache, i);
        if (record == NULL || (wants != NULL && !wants(context, record)))
            continue;
        machines[count++] = record->machine;
        result = kgen_line_write_record(record, lines, error);
    }
    export_facts(cache, machines, count, lines);
    free(machines);
    if (lines->failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    return result == 0 ? (long)count : -1;
}

/* Whether the name of a variant, "qmv avx512 rows=4", has an instruction set that there is. */
static bool has_isa(const char *variant)
{
    const char *blank = strchr(variant, ' ');
    char name[32] = "";
    enum kgen_isa isa;
    if (blank != NULL)
        snprintf(name, sizeof name, "%.*s", (int)strcspn(blank + 1, " "), blank + 1);
    return kgen_isa_parse(name, &isa) == 0;
}

/* The state of an import. */
struct import {
    struct kgen_cache *cache;
    kgen_import_rejection *reject;
    void *context;
    struct kgen_import *counts;
    size_t line;
};

static void reject(struct import *import, const char *reason)
{
    import->counts->rejected++;
    if (import->reject != NULL)
        import->reject(import->context, import->line, reason);
}

static bool is_better(const struct kgen_record *theirs, const struct kgen_record *ours)
{
    if (kgen_record_effort(theirs) != kgen_record_effort(ours))
        return kgen_record_effort(theirs) > kgen_record_effort(ours);
    if ((theirs->final_seconds > 0) != (ours->final_seconds > 0))
        return theirs->final_seconds > 0;
    return theirs->chosen && !ours->chosen;
}

static int take_record(struct import *import, const char *line, size_t length, uint64_t key,
                       struct kgen_error *error)
{
    struct kgen_parsed_record *parsed = kgen_line_parse_record(line, length, key);
    struct kgen_problem problem;
    struct kgen_error fault = {0};
    char reason[256];
    int result = 0;
    if (parsed == NULL) {
        kgen_line_fault(line, length, reason, sizeof reason);
        reject(import, reason);
    } else if (!has_isa(parsed->record.variant)) {
        snprintf(reason, sizeof reason, "a record of an unknown instruction set: %.100s",
                 parsed->record.variant);
        reject(import, reason);
    } else if (kgen_record_problem(&parsed->record, &problem, &fault) != 0) {
        snprintf(reason, sizeof reason, "a record whose problem cannot be: %.200s", fault.message);
        reject(import, reason);
    } else {
        const struct kgen_record *ours = kgen_cache_find(import->cache, key);
        const bool take = ours == NULL || is_better(&parsed->record, ours);
        import->counts->taken += take;
        import->counts->known += !take;
        if (take)
            result = kgen_cache_append(import->cache, &parsed->record, error);
    }
    kgen_parsed_record_free(parsed);
    return result;
}

static int take_fact(struct import *import, const char *line, size_t length, uint64_t key,
                     struct kgen_error *error)
{
    if (kgen_cache_index_find(&import->cache->facts, key) != NULL)
        return 0;
    struct kgen_text copy = {0};
    kgen_text_append(&copy, line, length);
    kgen_text_puts(&copy, "\n");
    if (copy.failed) {
        kgen_text_free(&copy);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    import->counts->facts++;
    return kgen_cache_remember(import->cache, &import->cache->facts, key, &copy, error);
}

static int take_line(struct import *import, const char *line, size_t length, struct kgen_error *error)
{
    uint64_t key;
    char reason[128];
    switch (kgen_line_classify(line, length, &key)) {
    case KGEN_LINE_RECORD:
        return take_record(import, line, length, key, error);
    case KGEN_LINE_FACT:
        return take_fact(import, line, length, key, error);
    case KGEN_LINE_BLANK:
        return 0;
    default:
        kgen_line_fault(line, length, reason, sizeof reason);
        reject(import, reason);
        return 0;
    }
}

int kgen_cache_import(struct kgen_cache *cache, const char *lines, size_t length, kgen_import_rejection *told,
                      void *context, struct kgen_import *counts, struct kgen_error *error)
{
    struct import import = {cache, told, context, counts, 0};
    int result = 0;
    for (size_t at = 0; result == 0 && at < length;) {
        const char *end = memchr(lines + at, '\n', length - at);
        const size_t line_length = end != NULL ? (size_t)(end - lines) - at : length - at;
        import.line++;
        result = take_line(&import, lines + at, line_length, error);
        at += line_length + 1;
    }
    return result;
}
