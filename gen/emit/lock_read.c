/* SPDX-License-Identifier: MIT */
/* Reads the lock of an output. */
#include "gen/base/file.h"
#include "gen/emit/internal.h"
#include "gen/emit/lock_internal.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANEW "kgen SPEC without --locked and --check chooses anew and writes a new lock"

static int fail_at(struct kgen_lock_reader *reader, const struct kgen_json_path *path, bool key,
                   const char *format, va_list arguments)
{
    char message[sizeof reader->error->message];
    struct kgen_json_place place;
    int line = 0, column = 0;
    vsnprintf(message, sizeof message, format, arguments);
    for (char *at = message; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    }
    if (kgen_json_find(reader->text.data, reader->text.length, path, &place) == 0)
        kgen_json_line(reader->text.data, key ? place.key : place.begin, &line, &column);
    return kgen_error_set(reader->error, KGEN_ERROR_SPEC, reader->source, line, column, "%s", message);
}

int kgen_lock_fail(struct kgen_lock_reader *reader, const struct kgen_json_path *path, const char *format,
                   ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_at(reader, path, false, format, arguments);
    va_end(arguments);
    kgen_error_hint(reader->error, "kgen did not write it so; " ANEW);
    return -1;
}

int kgen_lock_misfit(struct kgen_lock_reader *reader, const struct kgen_json_path *path, const char *format,
                     ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_at(reader, path, false, format, arguments);
    va_end(arguments);
    kgen_error_hint(reader->error, ANEW);
    reader->misfit = true;
    return -1;
}

int kgen_lock_misfit_key(struct kgen_lock_reader *reader, const struct kgen_json_path *path,
                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_at(reader, path, true, format, arguments);
    va_end(arguments);
    kgen_error_hint(reader->error, ANEW);
    reader->misfit = true;
    return -1;
}

static const char *type_name(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    default:
        return "an integer";
    }
}

json_t *kgen_lock_member(struct kgen_lock_reader *reader, const struct kgen_json_path *path, json_t *object,
                         const char *key, json_type type)
{
    const struct kgen_json_path member = {path, key, 0};
    json_t *value = json_object_get(object, key);
    if (value == NULL)
        kgen_lock_fail(reader, path, "\"%s\" is missing", key);
    else if (json_typeof(value) != type)
        kgen_lock_fail(reader, &member, "\"%s\" must be %s", key, type_name(type));
    else
        return value;
    return NULL;
}

/* Whether a string may stand in a comment of C and on a terminal. */
static bool is_plain(const char *string)
{
    for (const char *at = string; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    }
    return strstr(string, "*/") == NULL;
}

/* Copies a string, which may be null where optional is set. */
static int read_string(struct kgen_lock_reader *reader, const struct kgen_json_path *path, json_t *object,
                       const char *key, bool optional, char **copy)
{
    if (optional && json_is_null(json_object_get(object, key)))
        return 0;
    const json_t *value = kgen_lock_member(reader, path, object, key, JSON_STRING);
    if (value == NULL)
        return -1;
    const struct kgen_json_path member = {path, key, 0};
    if (!is_plain(json_string_value(value)))
        return kgen_lock_fail(reader, &member, "\"%s\" must be one line without \"*/\"", key);
    *copy = strdup(json_string_value(value));
    return *copy != NULL ? 0 : kgen_emit_fail_memory(reader->error);
}

static int check_schema(struct kgen_lock_reader *reader, json_t *root)
{
    const json_t *schema = kgen_lock_member(reader, NULL, root, "lock_schema", JSON_INTEGER);
    if (schema == NULL)
        return -1;
    if (json_integer_value(schema) == KGEN_LOCK_SCHEMA)
        return 0;
    const struct kgen_json_path path = {NULL, "lock_schema", 0};
    const char *version = json_string_value(json_object_get(root, "kgen"));
    return kgen_lock_misfit(reader, &path,
                            "the lock is of schema %lld, of kgen %.40s; kgen %s reads schema %d",
                            (long long)json_integer_value(schema), version != NULL ? version : "?",
                            KGEN_VERSION, KGEN_LOCK_SCHEMA);
}

static int check_prefix(struct kgen_lock_reader *reader, json_t *root)
{
    const struct kgen_json_path path = {NULL, "prefix", 0};
    char *prefix = NULL;
    if (read_string(reader, NULL, root, "prefix", true, &prefix) != 0)
        return -1;
    const char *found = prefix != NULL ? prefix : "", *wanted = reader->prefix != NULL ? reader->prefix : "";
    int result = 0;
    if (strcmp(found, wanted) != 0)
        result = kgen_lock_misfit(reader, &path, "the lock is of an output with the prefix '%.60s', not '%s'",
                                  found, wanted);
    free(prefix);
    return result;
}

static int check_spec(struct kgen_lock_reader *reader, json_t *root)
{
    const struct kgen_json_path path = {NULL, "spec", 0}, name_path = {&path, "name", 0};
    json_t *spec = kgen_lock_member(reader, NULL, root, "spec", JSON_OBJECT);
    const json_t *name = spec != NULL ? kgen_lock_member(reader, &path, spec, "name", JSON_STRING) : NULL;
    if (name == NULL || read_string(reader, &path, spec, "hash", false, &reader->lock->spec_hash) != 0)
        return -1;
    if (strcmp(json_string_value(name), reader->spec->name) != 0)
        return kgen_lock_misfit(reader, &name_path, "the lock is of the spec '%.80s', not '%.80s'",
                                json_string_value(name), reader->spec->name);
    return 0;
}

/* The header that the kernels include decides their code as much as their templates do. */
static int check_header(struct kgen_lock_reader *reader, json_t *root)
{
    const struct kgen_json_path path = {NULL, "vector_header", 0};
    const json_t *found = kgen_lock_member(reader, NULL, root, "vector_header", JSON_STRING);
    char hash[KGEN_EMIT_HASH_SIZE];
    if (found == NULL || kgen_emit_header_hash(reader->templates, hash, reader->error) != 0)
        return -1;
    if (strcmp(hash, json_string_value(found)) != 0)
        return kgen_lock_misfit(reader, &path, "kgen_vector.h has changed since the kernels were chosen");
    return 0;
}

static int read_root(struct kgen_lock_reader *reader, json_t *root)
{
    struct kgen_lock *lock = reader->lock;
    const struct kgen_json_path quantiser_path = {NULL, "quantiser", 0};
    const struct kgen_json_path model_path = {NULL, "model", 0};
    if (!json_is_object(root))
        return kgen_lock_fail(reader, NULL, "a lock must be an object");
    if (check_schema(reader, root) != 0 ||
        read_string(reader, NULL, root, "kgen", false, &lock->version) != 0 ||
        read_string(reader, NULL, root, "command", false, &lock->command) != 0 ||
        read_string(reader, NULL, root, "machine", true, &lock->machine) != 0 ||
        check_prefix(reader, root) != 0 || check_spec(reader, root) != 0)
        return -1;
    const json_t *quantiser = json_object_get(root, "quantiser");
    if (quantiser == NULL)
        return kgen_lock_fail(reader, NULL, "\"quantiser\" is missing");
    if (!json_is_boolean(quantiser))
        return kgen_lock_fail(reader, &quantiser_path, "\"quantiser\" must be true or false");
    lock->quantiser = json_is_true(quantiser);
    const json_t *model = json_object_get(root, "model"); /* of an output that has one */
    if (model != NULL && !json_is_boolean(model))
        return kgen_lock_fail(reader, &model_path, "\"model\" must be true or false");
    lock->model = json_is_true(model);
    json_t *problems = kgen_lock_member(reader, NULL, root, "problems", JSON_ARRAY);
    if (problems == NULL || kgen_lock_fit(reader, problems) != 0)
        return -1;
    return check_header(reader, root);
}

static int read_text(struct kgen_lock_reader *reader)
{
    json_error_t problem;
    json_t *root = json_loadb(reader->text.data, reader->text.length, JSON_REJECT_DUPLICATES, &problem);
    int result = -1;
    if (root != NULL) {
        result = read_root(reader, root);
    } else if (json_error_code(&problem) == json_error_out_of_memory) {
        kgen_emit_fail_memory(reader->error);
    } else {
        kgen_error_set(reader->error, KGEN_ERROR_SPEC, reader->source, problem.line > 0 ? problem.line : 1,
                       problem.column > 0 ? problem.column : 1, "not valid JSON: %s", problem.text);
        kgen_error_hint(reader->error, ANEW);
    }
    json_decref(root);
    return result;
}

/* Hints at what to do about a lock that cannot be read: there may be one of another prefix beside it. */
static void hint_at_other_lock(const char *path, struct kgen_error *error)
{
    static const char lock[] = "kgen.lock";
    char found[NAME_MAX + 1] = "";
    struct kgen_text folder = {0};
    const char *slash = strrchr(path, '/');
    kgen_text_printf(&folder, "%.*s", slash != NULL ? (int)(slash + 1 - path) : 2,
                     slash != NULL ? path : "./");
    DIR *listing = folder.failed ? NULL : opendir(folder.data);
    for (const struct dirent *file; listing != NULL && (file = readdir(listing)) != NULL;) {
        const size_t length = strlen(file->d_name), end = sizeof lock - 1;
        if (length < end || strcmp(file->d_name + length - end, lock) != 0 ||
            (length > end && (length == end + 1 || file->d_name[length - end - 1] != '_')))
            continue;
        if (found[0] == '\0' || strcmp(file->d_name, found) < 0)
            snprintf(found, sizeof found, "%s", file->d_name);
    }
    if (listing != NULL)
        closedir(listing);
    kgen_text_free(&folder);
    if (found[0] == '\0')
        kgen_error_hint(error, "kgen SPEC -o DIR writes it with the sources");
    else if (strcmp(found, lock) == 0)
        kgen_error_hint(error, "the folder has kgen.lock: leave --prefix out");
    else
        kgen_error_hint(error, "the folder has %s: give --prefix %.*s", found,
                        (int)(strlen(found) - sizeof lock), found);
}

int kgen_lock_read(const char *path, const char *prefix, const struct kgen_spec *spec,
                   const struct kgen_templates *templates, struct kgen_lock *lock, struct kgen_error *error)
{
    struct kgen_error ignored = {0};
    struct kgen_lock_reader reader = {.source = path,
                                      .prefix = prefix,
                                      .spec = spec,
                                      .templates = templates,
                                      .lock = lock,
                                      .error = error != NULL ? error : &ignored};
    *lock = (struct kgen_lock){0};
    lock->entries = calloc(spec->count + 1, sizeof *lock->entries);
    int result = lock->entries != NULL ? 0 : kgen_emit_fail_memory(reader.error);
    lock->count = spec->count;
    if (result == 0 && kgen_file_read(path, KGEN_LOCK_BYTES_MAX, &reader.text, reader.error) != 0) {
        hint_at_other_lock(path, reader.error);
        result = -1;
    }
    if (result == 0)
        result = read_text(&reader);
    kgen_text_free(&reader.text);
    return result != 0 && reader.misfit ? 1 : result;
}

void kgen_lock_free(struct kgen_lock *lock)
{
    free(lock->version);
    free(lock->command);
    free(lock->machine);
    free(lock->spec_hash);
    free(lock->entries);
    *lock = (struct kgen_lock){0};
}
