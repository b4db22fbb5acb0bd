/* SPDX-License-Identifier: MIT */
/* Reads JSON values. Errors have the place, what was expected and what was found. */
#include "gen/base/nearest.h"
#include "gen/base/strings.h"
#include "gen/spec/json_load.h"
#include "gen/spec/reader.h"

#include <stdio.h>
#include <string.h>

void kgen_spec_make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            *text = '?';
    }
}

/* Where the value of a path is: in the text's configuration of a model of several parts, or in the whole. */
static int find_place(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                      struct kgen_json_place *place)
{
    const struct kgen_json_path part = {NULL, KGEN_SPEC_TEXT_CONFIG, 0};
    struct kgen_json_place outer;
    if (reader->has_text_config && path != NULL &&
        kgen_json_find(reader->text, reader->length, &part, &outer) == 0 &&
        kgen_json_find(reader->text + outer.begin, outer.end - outer.begin, path, place) == 0) {
        place->key += outer.begin;
        place->begin += outer.begin;
        place->end += outer.begin;
        return 0;
    }
    return kgen_json_find(reader->text, reader->length, path, place);
}

static int fail_at(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, bool key,
                   const char *format, va_list arguments)
{
    char message[sizeof reader->error->message];
    vsnprintf(message, sizeof message, format, arguments);
    kgen_spec_make_printable(message);
    struct kgen_json_place place;
    int line = 0, column = 0;
    if (find_place(reader, path, &place) == 0)
        kgen_json_line(reader->text, key ? place.key : place.begin, &line, &column);
    return kgen_error_set(reader->error, KGEN_ERROR_SPEC, reader->source, line, column, "%s", message);
}

int kgen_spec_fail(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_at(reader, path, false, format, arguments);
    va_end(arguments);
    return -1;
}

int kgen_spec_fail_key(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_at(reader, path, true, format, arguments);
    va_end(arguments);
    return -1;
}

int kgen_spec_fail_memory(const struct kgen_spec_reader *reader)
{
    return kgen_error_set(reader->error, KGEN_ERROR_MEMORY, reader->source, 0, 0, "out of memory");
}

const char *kgen_spec_excerpt(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                              char buffer[KGEN_SPEC_EXCERPT])
{
    struct kgen_json_place place;
    if (find_place(reader, path, &place) != 0) {
        snprintf(buffer, KGEN_SPEC_EXCERPT, "?");
        return buffer;
    }
    const char *value = reader->text + place.begin;
    size_t length = place.end - place.begin;
    if (*value == '{' || *value == '[') {
        snprintf(buffer, KGEN_SPEC_EXCERPT, "%s", *value == '{' ? "an object" : "an array");
        return buffer;
    }
    bool cut = length > KGEN_SPEC_EXCERPT - 4;
    if (cut)
        length = KGEN_SPEC_EXCERPT - 4;
    while (cut && length > 0 && ((unsigned char)value[length] & 0xC0) == 0x80)
        length--; /* the bytes of a UTF-8 character stay together */
    snprintf(buffer, KGEN_SPEC_EXCERPT, "%.*s%s", (int)length, value, cut ? "..." : "");
    kgen_spec_make_printable(buffer);
    return buffer;
}

/* ---- names ---- */

bool kgen_spec_hint_near(const struct kgen_spec_reader *reader, const char *word, const char *const *names,
                         size_t count)
{
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, word, strlen(word));
    for (size_t i = 0; i < count; i++)
        kgen_nearest_offer(&nearest, names[i], strlen(names[i]));
    if (nearest.best[0] != '\0')
        kgen_error_hint(reader->error, "did you mean \"%s\"?", nearest.best);
    return nearest.best[0] != '\0';
}

void kgen_spec_hint_nearest(const struct kgen_spec_reader *reader, const char *word, const char *const *names,
                            size_t count)
{
    if (kgen_spec_hint_near(reader, word, names, count))
        return;
    struct kgen_text list = {0};
    for (size_t i = 0; i < count; i++)
        kgen_text_printf(&list, "%s\"%s\"", i == 0 ? "" : ", ", names[i]);
    if (!list.failed && count > 0)
        kgen_error_hint(reader->error, "known are %s", list.data);
    kgen_text_free(&list);
}

int kgen_spec_check_keys(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                         json_t *object, const char *owner, const char *const *names, size_t count)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (kgen_string_find(names, count, key) >= 0)
            continue;
        struct kgen_json_path member = {path, key, 0};
        kgen_spec_fail_key(reader, &member, "unknown key \"%s\" in %s", key, owner);
        kgen_spec_hint_nearest(reader, key, names, count);
        return -1;
    }
    return 0;
}

/* ---- values ---- */

static int fail_kind(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                     const char *expected)
{
    char found[KGEN_SPEC_EXCERPT];
    return kgen_spec_fail(reader, path, "\"%s\" must be %s, not %s", path->key, expected,
                          kgen_spec_excerpt(reader, path, found));
}

bool kgen_spec_nonfinite(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                         const json_t *value, double *number)
{
    struct kgen_json_place place;
    return kgen_json_marked(value, number) && find_place(reader, path, &place) == 0 &&
           reader->text[place.begin] != '"';
}

int kgen_spec_integer(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                      json_t *object, const char *key, int64_t minimum, int64_t maximum, int64_t *value)
{
    json_t *found = json_object_get(object, key);
    if (found == NULL || json_is_null(found))
        return 0;
    if (json_is_integer(found) && json_integer_value(found) >= minimum &&
        json_integer_value(found) <= maximum) {
        *value = json_integer_value(found);
        return 1;
    }
    struct kgen_json_path member = {path, key, 0};
    char expected[80];
    snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)minimum,
             (long long)maximum);
    return fail_kind(reader, &member, expected);
}

int kgen_spec_real(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                   const char *key, double *value)
{
    json_t *found = json_object_get(object, key);
    if (found == NULL || json_is_null(found))
        return 0;
    if (json_is_number(found)) {
        *value = json_number_value(found);
        return 1;
    }
    struct kgen_json_path member = {path, key, 0};
    if (kgen_spec_nonfinite(reader, &member, found, value))
        return 1;
    return fail_kind(reader, &member, "a number");
}

int kgen_spec_boolean(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                      json_t *object, const char *key, bool *value)
{
    json_t *found = json_object_get(object, key);
    if (found == NULL || json_is_null(found))
        return 0;
    if (json_is_boolean(found)) {
        *value = json_is_true(found);
        return 1;
    }
    struct kgen_json_path member = {path, key, 0};
    return fail_kind(reader, &member, "true or false");
}

int kgen_spec_string(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                     const char *key, const char **value)
{
    json_t *found = json_object_get(object, key);
    if (found == NULL || json_is_null(found))
        return 0;
    struct kgen_json_path member = {path, key, 0};
    double number;
    if (json_is_string(found) && !kgen_spec_nonfinite(reader, &member, found, &number)) {
        *value = json_string_value(found);
        return 1;
    }
    return fail_kind(reader, &member, "a string");
}

int kgen_spec_object(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                     const char *key, json_t **value)
{
    json_t *found = json_object_get(object, key);
    if (found == NULL || json_is_null(found))
        return 0;
    if (json_is_object(found)) {
        *value = found;
        return 1;
    }
    struct kgen_json_path member = {path, key, 0};
    return fail_kind(reader, &member, "an object");
}

/* ---- fields of problems ---- */

int kgen_spec_member(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                     const struct kgen_field *field, const char **key, json_t **value)
{
    *key = field->name;
    *value = json_object_get(object, field->name);
    json_t *former = field->former != NULL ? json_object_get(object, field->former) : NULL;
    if (former == NULL)
        return 0;
    const struct kgen_json_path member = {path, field->former, 0};
    if (*value != NULL)
        return kgen_spec_fail_key(reader, &member, "\"%s\" and \"%s\" are one field: give one of them",
                                  field->former, field->name);
    *key = field->former;
    *value = former;
    return 0;
}

const struct kgen_field *kgen_spec_find_field(const char *op, const char *name)
{
    return kgen_op_field(kgen_op_find(op), name);
}

static int fail_field(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *value,
                      const char *owner, const struct kgen_field *field)
{
    struct kgen_text expected = {0};
    kgen_field_describe(field, &expected);
    if (expected.failed) {
        kgen_text_free(&expected);
        return kgen_spec_fail_memory(reader);
    }
    char found[KGEN_SPEC_EXCERPT];
    const bool by_former =
        field->former != NULL && path->key != NULL && strcmp(path->key, field->former) == 0;
    kgen_spec_fail(reader, path, "\"%s\" of %s must be %s, not %s", by_former ? field->former : field->name,
                   owner, expected.data, kgen_spec_excerpt(reader, path, found));
    kgen_text_free(&expected);
    if (field->kind == KGEN_FIELD_INTEGER && json_is_real(value))
        kgen_error_hint(reader->error, "integers are written without a decimal point or an exponent");
    double number;
    if (kgen_spec_nonfinite(reader, path, value, &number))
        return -1;
    if (field->kind == KGEN_FIELD_INTEGER && json_is_string(value))
        kgen_error_hint(reader->error, "numbers are written without quotes");
    if (field->kind == KGEN_FIELD_CONSTANT && json_is_string(value)) {
        const char *names[KGEN_CONSTANT_COUNT];
        size_t count = 0;
        for (const int *word = field->allowed; *word != -1; word++)
            names[count++] = kgen_constant_name(*word);
        kgen_spec_hint_near(reader, json_string_value(value), names, count);
    }
    return -1;
}

int kgen_spec_field(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *value,
                    const char *owner, const struct kgen_field *field, struct kgen_problem *problem)
{
    bool right_kind = false;
    double number = 0;
    switch (field->kind) {
    case KGEN_FIELD_INTEGER:
        right_kind = json_is_integer(value);
        if (right_kind)
            kgen_problem_value(problem, field)->integer = json_integer_value(value);
        break;
    case KGEN_FIELD_REAL:
        right_kind = json_is_number(value) || kgen_spec_nonfinite(reader, path, value, &number);
        if (right_kind)
            kgen_problem_value(problem, field)->real =
                json_is_number(value) ? json_number_value(value) : number;
        break;
    case KGEN_FIELD_BOOLEAN:
        right_kind = json_is_boolean(value);
        kgen_problem_value(problem, field)->integer = json_is_true(value);
        break;
    case KGEN_FIELD_CONSTANT:
        right_kind = json_is_string(value);
        if (right_kind)
            kgen_problem_value(problem, field)->integer = kgen_constant_find(json_string_value(value));
        break;
    }
    if (right_kind && kgen_field_holds(problem, field))
        return 0;
    return fail_field(reader, path, value, owner, field);
}

int kgen_spec_activation_dtypes(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                                json_t *value, int64_t words[KGEN_SPEC_PRECISIONS_MAX], size_t *count)
{
    const struct kgen_field *field = kgen_spec_find_field("qmv", "activation_dtype");
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    *count = 0;
    if (!json_is_array(value)) {
        if (kgen_spec_field(reader, path, value, "qmv", field, &problem) != 0)
            return -1;
        words[(*count)++] = kgen_problem_value(&problem, field)->integer;
        return 0;
    }
    if (json_array_size(value) == 0)
        return kgen_spec_fail(reader, path, "\"%s\" is an empty list", path->key);
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct kgen_json_path element = {path, NULL, i};
        if (kgen_spec_field(reader, &element, json_array_get(value, i), "qmv", field, &problem) != 0)
            return -1;
        for (size_t j = 0; j < *count; j++) {
            if (words[j] == kgen_problem_value(&problem, field)->integer)
                return kgen_spec_fail(reader, &element, "\"%s\" names %s twice", path->key,
                                      kgen_constant_name(words[j]));
        }
        words[(*count)++] = kgen_problem_value(&problem, field)->integer;
    }
    return 0;
}
