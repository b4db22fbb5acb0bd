/* SPDX-License-Identifier: MIT */
#include "runtime/cache/record.h"
#include "gen/base/strings.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_START "{\"key\":\""
#define FACT_START "{\"fact\":\""
#define KEY_DIGITS 16

static bool parse_key(const char *digits, uint64_t *key)
{
    uint64_t value = 0;
    for (int i = 0; i < KEY_DIGITS; i++) {
        char c = digits[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *key = value;
    return true;
}

/* Recognises the layout that kgen_line_write_record writes. */
static bool classify_fast(const char *line, size_t length, uint64_t *key, long *schema)
{
    static const char after_key[] = "\",\"schema\":";
    const size_t start = sizeof RECORD_START - 1;
    const size_t schema_at = start + KEY_DIGITS + sizeof after_key - 1;
    if (length < schema_at || !kgen_string_begins(line, length, RECORD_START) ||
        !parse_key(line + start, key) ||
        memcmp(line + start + KEY_DIGITS, after_key, sizeof after_key - 1) != 0)
        return false;
    long value = 0;
    size_t at = schema_at;
    while (at < length && line[at] >= '0' && line[at] <= '9' && value < 1000000)
        value = value * 10 + (line[at++] - '0');
    if (at == schema_at || at >= length || line[at] != ',')
        return false;
    *schema = value;
    return kgen_string_ends(line, length, ",\"chosen\":true}") ||
           kgen_string_ends(line, length, ",\"chosen\":false}");
}

/* Whether a line that is not JSON may be the beginning of one of ours. */
static bool is_cut(const char *line, size_t length)
{
    const char *starts[] = {RECORD_START, FACT_START};
    for (size_t i = 0; i < KGEN_COUNT_OF(starts); i++) {
        size_t common = strlen(starts[i]);
        if (common > length)
            common = length;
        if (memcmp(line, starts[i], common) == 0)
            return true;
    }
    return false;
}

static enum kgen_line_kind classify_object(const json_t *root, uint64_t *key)
{
    const json_t *schema = json_object_get(root, "schema");
    if (!json_is_integer(schema))
        return KGEN_LINE_BAD;
    if (json_integer_value(schema) != KGEN_CACHE_SCHEMA)
        return KGEN_LINE_FOREIGN;
    const char *digits = json_string_value(json_object_get(root, "key"));
    if (digits != NULL)
        return strlen(digits) == KEY_DIGITS && parse_key(digits, key) ? KGEN_LINE_RECORD : KGEN_LINE_BAD;
    const char *fact = json_string_value(json_object_get(root, "fact"));
    const char *machine = json_string_value(json_object_get(root, "machine"));
    const json_t *value = json_object_get(root, "value");
    if (fact == NULL || machine == NULL)
        return KGEN_LINE_BAD;
    if (strcmp(fact, KGEN_FACT_MACHINE) == 0 ? !json_is_object(value) : !json_is_number(value))
        return KGEN_LINE_BAD;
    *key = kgen_fact_key(machine, fact);
    return KGEN_LINE_FACT;
}

bool kgen_line_is_chosen(const char *line, size_t length)
{
    return kgen_string_ends(line, length, "\"chosen\":true}");
}

enum kgen_line_kind kgen_line_classify(const char *line, size_t length, uint64_t *key)
{
    long schema;
    if (classify_fast(line, length, key, &schema))
        return schema == KGEN_CACHE_SCHEMA ? KGEN_LINE_RECORD : KGEN_LINE_FOREIGN;
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    if (length == 0)
        return KGEN_LINE_BLANK;
    json_t *root = json_loadb(line, length, 0, NULL);
    if (root == NULL)
        return is_cut(line, length) ? KGEN_LINE_CUT : KGEN_LINE_BAD;
    enum kgen_line_kind kind = json_is_object(root) ? classify_object(root, key) : KGEN_LINE_BAD;
    json_decref(root);
    return kind;
}

/* The bytes of the well-formed UTF-8 character at text, or 0. */
static size_t utf8_length(const unsigned char *text)
{
    size_t length = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    if (text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool beyond = (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf4 && text[1] > 0x8f);
    return overlong || beyond ? 0 : length;
}

static void write_string(struct kgen_text *line, const char *name, const char *value)
{
    kgen_text_printf(line, ",\"%s\":\"", name);
    for (const unsigned char *at = (const unsigned char *)(value != NULL ? value : ""); *at != '\0';) {
        size_t length = utf8_length(at);
        if (length == 0)
            kgen_text_puts(line, "?");
        else if (*at == '"' || *at == '\\')
            kgen_text_printf(line, "\\%c", *at);
        else if (*at < 0x20)
            kgen_text_printf(line, "\\u%04x", *at);
        else
            kgen_text_append(line, (const char *)at, length);
        at += length > 0 ? length : 1;
    }
    kgen_text_puts(line, "\"");
}

static void write_number(struct kgen_text *line, const char *name, double value)
{
    if (isfinite(value))
        kgen_text_printf(line, ",\"%s\":%.9g", name, value == 0 ? 0.0 : value);
    else
        kgen_text_printf(line, ",\"%s\":null", name);
}

static bool is_object_line(const char *text)
{
    if (text == NULL || text[0] != '{' || strpbrk(text, "\r\n") != NULL)
        return false;
    json_t *object = json_loads(text, 0, NULL);
    bool is_object = json_is_object(object);
    json_decref(object);
    return is_object;
}

static int finish_line(struct kgen_text *line, struct kgen_error *error)
{
    if (line->failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    return 0;
}

int kgen_line_write_record(const struct kgen_record *record, struct kgen_text *line, struct kgen_error *error)
{
    if (!is_object_line(record->problem))
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "the problem of a record is not a JSON object on one line");
    kgen_text_printf(line, RECORD_START "%016" PRIx64 "\",\"schema\":%d", record->key, KGEN_CACHE_SCHEMA);
    write_string(line, "machine", record->machine);
    kgen_text_printf(line, ",\"problem\":%s", record->problem);
    write_string(line, "variant", record->variant);
    write_string(line, "engine", record->engine);
    write_string(line, "effort", record->effort);
    write_string(line, "verdict", kgen_verdict_name(record->verdict));
    write_string(line, "detail", record->detail);
    write_number(line, "error_of_bound", record->error_of_bound);
    kgen_text_printf(line, ",\"cases\":%u", record->cases);
    write_number(line, "compile_us", record->compile_seconds * 1e6);
    write_number(line, "cold_us", record->cold_seconds * 1e6);
    write_number(line, "hot_us", record->hot_seconds * 1e6);
    write_number(line, "final_us", record->final_seconds * 1e6);
    write_number(line, "read_us", record->read_seconds * 1e6);
    kgen_text_printf(line, ",\"repeats\":%u", record->repeats);
    if (record->noise > 0)
        write_number(line, "noise", record->noise);
    if (record->among != NULL && record->among[0] != '\0')
        write_string(line, "among", record->among);
    if (record->own)
        kgen_text_puts(line, ",\"own\":true");
    kgen_text_printf(line, ",\"chosen\":%s}\n", record->chosen ? "true" : "false");
    return finish_line(line, error);
}

int kgen_line_write_fact(const char *machine, const char *name, double value, struct kgen_text *line,
                         struct kgen_error *error)
{
    if (!isfinite(value))
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the fact %s is not a finite number",
                              name);
    struct kgen_text members = {0};
    write_string(&members, "fact", name);
    kgen_text_printf(&members, ",\"schema\":%d", KGEN_CACHE_SCHEMA);
    write_string(&members, "machine", machine);
    write_number(&members, "value", value);
    if (!members.failed)
        kgen_text_printf(line, "{%s}\n", members.data + 1);
    line->failed = line->failed || members.failed;
    kgen_text_free(&members);
    return finish_line(line, error);
}

int kgen_line_write_machine(const struct kgen_machine *machine, struct kgen_text *line,
                            struct kgen_error *error)
{
    kgen_text_printf(line, FACT_START KGEN_FACT_MACHINE "\",\"schema\":%d", KGEN_CACHE_SCHEMA);
    write_string(line, "machine", machine->identity);
    kgen_text_puts(line, ",\"value\":");
    kgen_machine_write(machine, line);
    kgen_text_puts(line, "}\n");
    return finish_line(line, error);
}

enum kgen_search_effort kgen_record_effort(const struct kgen_record *record)
{
    enum kgen_search_effort effort = KGEN_EFFORT_ESTIMATE;
    kgen_effort_parse(record->effort, &effort);
    return effort;
}

uint64_t kgen_fact_key(const char *machine, const char *name)
{
    return kgen_hash_string(kgen_hash_string(KGEN_HASH_START, machine), name);
}

/* Where the object that begins at text ends: one past its last brace, or NULL. */
static const char *object_end(const char *text, const char *limit)
{
    int depth = 0;
    bool in_string = false;
    for (const char *at = text; at < limit; at++) {
        if (in_string && *at == '\\')
            at++;
        else if (*at == '"')
            in_string = !in_string;
        else if (!in_string && *at == '{')
            depth++;
        else if (!in_string && *at == '}' && --depth == 0)
            return at + 1;
    }
    return NULL;
}

/* The text of the problem exactly as it stands in a line of our layout; it is compared as text. In another
 * layout, as jansson writes it. */
static char *problem_text(const char *line, size_t length, const json_t *object)
{
    static const char name[] = "\"problem\":{";
    const char *limit = line + length;
    for (const char *at = line; limit - at >= (ptrdiff_t)sizeof name; at++) {
        if (memcmp(at, name, sizeof name - 1) != 0)
            continue;
        const char *begin = at + sizeof name - 2;
        const char *end = object_end(begin, limit);
        json_t *same = end != NULL ? json_loadb(begin, (size_t)(end - begin), 0, NULL) : NULL;
        bool equal = same != NULL && json_equal(same, object);
        json_decref(same);
        return equal ? strndup(begin, (size_t)(end - begin)) : json_dumps(object, JSON_COMPACT);
    }
    return json_dumps(object, JSON_COMPACT);
}

static bool get_string(const json_t *root, const char *name, const char **value)
{
    *value = json_string_value(json_object_get(root, name));
    return *value != NULL;
}

/* null stands for what JSON cannot hold. */
static bool get_number(const json_t *root, const char *name, double scale, double if_null, double *value)
{
    const json_t *number = json_object_get(root, name);
    *value = json_is_null(number) ? if_null : json_number_value(number) * scale;
    return json_is_null(number) || (json_is_number(number) && *value >= 0);
}

static bool get_count(const json_t *root, const char *name, unsigned *value)
{
    const json_t *number = json_object_get(root, name);
    json_int_t count = json_integer_value(number);
    *value = (unsigned)count;
    return json_is_integer(number) && count >= 0 && count <= UINT_MAX;
}

#define MEMBER(name) offsetof(struct kgen_record, name)

/* Returns NULL, or the name of the first member that is missing or is not what it should be. */
static const char *read_record(const json_t *root, struct kgen_record *record)
{
    static const struct {
        const char *name;
        size_t offset;
    } strings[] = {{"machine", MEMBER(machine)},
                   {"variant", MEMBER(variant)},
                   {"engine", MEMBER(engine)},
                   {"effort", MEMBER(effort)},
                   {"detail", MEMBER(detail)}},
      counts[] = {{"cases", MEMBER(cases)}, {"repeats", MEMBER(repeats)}};
    static const struct {
        const char *name;
        double scale, if_null;
        size_t offset;
    } numbers[] = {{"error_of_bound", 1, INFINITY, MEMBER(error_of_bound)},
                   {"compile_us", 1e-6, 0, MEMBER(compile_seconds)},
                   {"cold_us", 1e-6, 0, MEMBER(cold_seconds)},
                   {"hot_us", 1e-6, 0, MEMBER(hot_seconds)},
                   {"final_us", 1e-6, 0, MEMBER(final_seconds)},
                   {"read_us", 1e-6, 0, MEMBER(read_seconds)}};
    char *to = (char *)record;
    if (!json_is_object(json_object_get(root, "problem")))
        return "problem";
    for (size_t i = 0; i < KGEN_COUNT_OF(strings); i++) {
        if (!get_string(root, strings[i].name, (const char **)(void *)(to + strings[i].offset)))
            return strings[i].name;
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(counts); i++) {
        if (!get_count(root, counts[i].name, (unsigned *)(void *)(to + counts[i].offset)))
            return counts[i].name;
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(numbers); i++) {
        if (!get_number(root, numbers[i].name, numbers[i].scale, numbers[i].if_null,
                        (double *)(void *)(to + numbers[i].offset)))
            return numbers[i].name;
    }
    const char *verdict;
    if (!get_string(root, "verdict", &verdict) || kgen_verdict_parse(verdict, &record->verdict) != 0)
        return "verdict";
    /* Records of earlier versions have no such members. */
    record->own = json_is_true(json_object_get(root, "own"));
    if (json_object_get(root, "noise") != NULL && !get_number(root, "noise", 1, 0, &record->noise))
        return "noise";
    if (!get_string(root, "among", &record->among))
        record->among = "";
    const json_t *chosen = json_object_get(root, "chosen");
    record->chosen = json_is_true(chosen);
    return json_is_boolean(chosen) ? NULL : "chosen";
}

void kgen_line_fault(const char *line, size_t length, char *text, size_t size)
{
    json_error_t error;
    uint64_t key;
    struct kgen_record record;
    json_t *root = json_loadb(line, length, 0, &error);
    const json_t *schema = json_object_get(root, "schema");
    const char *digits = json_string_value(json_object_get(root, "key"));
    const char *member;
    if (root == NULL && is_cut(line, length))
        snprintf(text, size, "a record cut short");
    else if (root == NULL)
        snprintf(text, size, "not JSON: %.80s", error.text);
    else if (json_is_integer(schema) && json_integer_value(schema) != KGEN_CACHE_SCHEMA)
        snprintf(text, size, "of cache schema %lld; this kgen reads %d",
                 (long long)json_integer_value(schema), KGEN_CACHE_SCHEMA);
    else if (!json_is_integer(schema) || (digits == NULL && json_object_get(root, "fact") == NULL))
        snprintf(text, size, "neither a record nor a fact of a cache");
    else if (digits == NULL)
        snprintf(text, size, "a fact whose machine or value is missing or wrong");
    else if (strlen(digits) != KEY_DIGITS || !parse_key(digits, &key))
        snprintf(text, size, "a record whose key is not 16 hexadecimal digits");
    else if ((member = read_record(root, &record)) != NULL)
        snprintf(text, size, "a record whose \"%s\" is missing or wrong", member);
    else
        snprintf(text, size, "a damaged record");
    json_decref(root);
}

struct kgen_parsed_record *kgen_line_parse_record(const char *line, size_t length, uint64_t key)
{
    json_t *root = json_loadb(line, length, 0, NULL);
    struct kgen_parsed_record *parsed = calloc(1, sizeof *parsed);
    if (root == NULL || parsed == NULL) {
        json_decref(root);
        free(parsed);
        return NULL;
    }
    parsed->json = root;
    parsed->record.key = key;
    const char *digits = json_string_value(json_object_get(root, "key"));
    const json_t *problem = json_object_get(root, "problem");
    uint64_t said;
    if (digits != NULL && strlen(digits) == KEY_DIGITS && parse_key(digits, &said) && said == key &&
        read_record(root, &parsed->record) == NULL) {
        parsed->problem = problem_text(line, length, problem);
        parsed->record.problem = parsed->problem;
    }
    if (parsed->problem == NULL) {
        kgen_parsed_record_free(parsed);
        return NULL;
    }
    return parsed;
}

void kgen_parsed_record_free(struct kgen_parsed_record *parsed)
{
    if (parsed == NULL)
        return;
    json_decref(parsed->json);
    free(parsed->problem);
    free(parsed);
}

int kgen_line_parse_fact(const char *line, size_t length, const char *machine, const char *name,
                         double *value)
{
    json_t *root = json_loadb(line, length, 0, NULL);
    const char *said_machine = json_string_value(json_object_get(root, "machine"));
    const char *said_name = json_string_value(json_object_get(root, "fact"));
    const json_t *number = json_object_get(root, "value");
    bool found = said_machine != NULL && said_name != NULL && strcmp(said_machine, machine) == 0 &&
                 strcmp(said_name, name) == 0 && json_is_number(number);
    if (found)
        *value = json_number_value(number);
    json_decref(root);
    return found ? 0 : -1;
}

int kgen_line_parse_machine(const char *line, size_t length, const char *identity,
                            struct kgen_machine *machine)
{
    json_t *root = json_loadb(line, length, 0, NULL);
    const char *fact = json_string_value(json_object_get(root, "fact"));
    char *value = fact != NULL && strcmp(fact, KGEN_FACT_MACHINE) == 0
                      ? json_dumps(json_object_get(root, "value"), JSON_COMPACT)
                      : NULL;
    const bool found = value != NULL && kgen_machine_read(value, strlen(value), machine) == 0 &&
                       strcmp(machine->identity, identity) == 0;
    free(value);
    json_decref(root);
    return found ? 0 : -1;
}
