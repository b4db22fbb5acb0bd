/* SPDX-License-Identifier: MIT */
/* kgen cache path, list, clear. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "table.h"

static int print_path(const struct kgen_options *options)
{
    struct kgen_text folder = {0};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    if (kgen_cache_folder(options->cache, &folder) != 0) {
        kgen_error_set(&error, KGEN_ERROR_IO, NULL, 0, 0, "no folder for the cache is known");
        kgen_error_hint(&error, "set KGEN_CACHE_DIR, XDG_CACHE_HOME or HOME, or give --cache DIR");
        status = kgen_fail(&error);
    } else if (!options->json) {
        printf("%s\n", folder.data);
    } else if (kgen_json_print(json_pack("{s:o}", "path", kgen_json_string(folder.data))) != 0) {
        status = KGEN_EXIT_FAILED;
    }
    kgen_text_free(&folder);
    return status;
}

static json_t *entry_json(const struct kgen_record *record)
{
    json_t *object = kgen_json_record(record);
    json_object_set_new(object, "machine", kgen_json_string(record->machine));
    json_object_set_new(object, "problem", json_loads(record->problem, 0, NULL));
    return object;
}

static int list_json(const struct kgen_cache *cache)
{
    json_t *list = json_array();
    for (size_t i = 0; i < kgen_cache_count(cache); i++) {
        const struct kgen_record *record = kgen_cache_at(cache, i);
        if (record != NULL)
            json_array_append_new(list, entry_json(record));
    }
    return kgen_json_print(
        json_pack("{s:o, s:o}", "path", kgen_json_string(kgen_cache_path(cache)), "records", list));
}

/* Reads the problem of a record back. Returns -1 where it is of an op that this version does not know. */
static int read_problem(const char *text, struct kgen_problem *problem)
{
    json_t *root = json_loads(text, 0, NULL);
    const char *op_name = json_string_value(json_object_get(root, "op"));
    enum kgen_op op;
    if (op_name == NULL || kgen_op_parse(op_name, &op) != 0) {
        json_decref(root);
        return -1;
    }
    kgen_problem_init(problem, op);
    const struct kgen_op_info *info = kgen_op_info(op);
    for (size_t i = 0; i < info->field_count; i++) {
        const struct kgen_field *field = &info->fields[i];
        const json_t *value = json_object_get(root, field->name);
        if (json_is_string(value)) {
            for (int word = 0; word < KGEN_WORD_COUNT; word++) {
                if (strcmp(kgen_word_name((enum kgen_word)word), json_string_value(value)) == 0)
                    kgen_field_set(problem, field, word);
            }
        } else if (field->kind == KGEN_FIELD_REAL) {
            kgen_field_set_real(problem, field, json_number_value(value));
        } else {
            kgen_field_set(problem, field, json_is_true(value) ? 1 : json_integer_value(value));
        }
    }
    problem->threads = json_integer_value(json_object_get(root, "threads"));
    json_decref(root);
    return 0;
}

static void add_winner(struct kgen_table *table, const struct kgen_record *record)
{
    struct kgen_problem problem;
    struct kgen_text described = {0};
    const bool known = read_problem(record->problem, &problem) == 0;
    if (known)
        kgen_problem_describe(&problem, &described);
    kgen_table_cell(table, "%s", known && !described.failed ? described.data : record->problem);
    kgen_table_cell(table, "%lld", known ? (long long)problem.threads : 0);
    kgen_table_cell(table, "%s", record->variant);
    kgen_table_cell(table, "%s", record->engine);
    kgen_table_cell(table, "%s", record->effort);
    kgen_table_time(table, known ? kgen_record_seconds(&problem, record) : record->cold_seconds);
    kgen_text_free(&described);
}

/* The winners, and how many records there are besides. */
static int list_text(const struct kgen_session *session)
{
    static const struct kgen_column columns[] = {
        {"problem", false, 0}, {"threads", true, 0}, {"variant", false, 0}, {"engine", false, 28},
        {"effort", false, 0},  {"µs", true, 0},      {"machine", false, 0},
    };
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    size_t passed = 0, failed = 0, winners = 0;
    for (size_t i = 0; i < kgen_cache_count(session->cache); i++) {
        const struct kgen_record *record = kgen_cache_at(session->cache, i);
        if (record == NULL)
            continue;
        passed += record->verdict == KGEN_PASSED;
        failed += record->verdict != KGEN_PASSED;
        if (!record->chosen)
            continue;
        winners++;
        add_winner(&table, record);
        const bool here = strcmp(record->machine, session->machine.identity) == 0;
        kgen_table_cell(&table, "%s", here ? "this one" : record->machine);
    }
    int result = winners > 0 ? kgen_table_print(&table, stdout) : 0;
    kgen_table_free(&table);
    if (result != 0)
        fputs("kgen: error: out of memory\n", stderr);
    const char *folder = kgen_cache_path(session->cache);
    printf("%s%s: %zu winners among %zu records, %zu of which failed\n", winners > 0 ? "\n" : "",
           folder[0] != '\0' ? folder : "no cache", winners, passed + failed, failed);
    return result;
}

static int with_cache(const struct kgen_options *options, bool clear)
{
    struct kgen_session session = {0};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    kgen_machine_detect(&session.machine);
    if (kgen_session_open_cache(&session, options, &error) != 0) {
        status = kgen_fail(&error);
    } else if (clear) {
        const size_t count = kgen_cache_count(session.cache);
        if (kgen_cache_clear(session.cache, &error) != 0)
            status = kgen_fail(&error);
        else if (options->json)
            status = kgen_json_print(json_pack("{s:I}", "removed", (json_int_t)count)) == 0
                         ? status
                         : KGEN_EXIT_FAILED;
        else
            printf("%zu records removed\n", count);
    } else if ((options->json ? list_json(session.cache) : list_text(&session)) != 0) {
        status = KGEN_EXIT_FAILED;
    }
    kgen_session_close(&session);
    return status;
}

int kgen_command_cache(const struct kgen_options *options)
{
    const char *what = options->arguments[0];
    struct kgen_error error = {0};
    if (strcmp(what, "path") == 0)
        return kgen_finish_output(print_path(options));
    if (strcmp(what, "list") == 0)
        return kgen_finish_output(with_cache(options, false));
    if (strcmp(what, "clear") == 0)
        return kgen_finish_output(with_cache(options, true));
    kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "kgen cache cannot '%s'", what);
    kgen_error_hint(&error, "kgen cache path, kgen cache list, or kgen cache clear");
    return kgen_fail(&error);
}
