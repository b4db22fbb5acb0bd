/* SPDX-License-Identifier: MIT */
/* Files that include each other: which file is meant, and what an included file takes and gives. */
#include "gen/base/nearest.h"
#include "gen/template/internal.h"

#include <stdlib.h>
#include <string.h>

bool kgen_numbers_add(struct kgen_numbers *numbers, int32_t number)
{
    if (!kgen_array_reserve((void **)&numbers->items, numbers->count, &numbers->capacity,
                            sizeof *numbers->items))
        return false;
    numbers->items[numbers->count++] = number;
    return true;
}

bool kgen_numbers_has(const struct kgen_numbers *numbers, int32_t number)
{
    for (size_t i = 0; i < numbers->count; i++) {
        if (numbers->items[i] == number)
            return true;
    }
    return false;
}

static int fail_memory(const struct kgen_reading *reading)
{
    return kgen_error_set(reading->parser->error, KGEN_ERROR_MEMORY, reading->file->source, 0, 0,
                          "out of memory");
}

static int fail_at(const struct kgen_cursor *cursor, int column, const char *message)
{
    return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column, "%s",
                          message);
}

int kgen_interface_know(struct kgen_reading *reading, int32_t name)
{
    if (!reading->is_include || kgen_numbers_has(&reading->known, name))
        return 0;
    return kgen_numbers_add(&reading->known, name) ? 0 : fail_memory(reading);
}

int kgen_interface_check_names(const struct kgen_reading *reading, size_t first,
                               const struct kgen_cursor *cursor)
{
    const struct kgen_expressions *expressions = &reading->parser->tmpl->expressions;
    for (size_t i = first; reading->is_include && i < expressions->count; i++) {
        const struct kgen_expression_node *node = &expressions->nodes[i];
        if ((node->kind != KGEN_NAME && node->kind != KGEN_ENTRY) ||
            kgen_numbers_has(&reading->known, node->name))
            continue;
        const struct kgen_name *name = &expressions->names.items[node->name];
        const int shown = (int)(name->length > 63 ? 63 : name->length);
        if (kgen_template_sees(name->start, name->length))
            continue;
        kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, node->column,
                       "this file does not declare the name '%.*s'", shown, name->start);
        struct kgen_nearest nearest;
        kgen_nearest_start(&nearest, name->start, name->length);
        for (size_t j = 0; j < reading->known.count; j++) {
            const struct kgen_name *known = &expressions->names.items[reading->known.items[j]];
            kgen_nearest_offer(&nearest, known->start, known->length);
        }
        kgen_nearest_hint(&nearest, cursor->error);
        kgen_error_hint(cursor->error, "what an included file takes it names in a line $in %.*s", shown,
                        name->start);
        return -1;
    }
    return 0;
}

/* ---- Which file ---- */

static int check_include(const struct kgen_reading *reading, const struct kgen_cursor *cursor, int column,
                         const struct kgen_template_file *file)
{
    const struct kgen_template *tmpl = reading->parser->tmpl;
    for (size_t i = 0; i < tmpl->file_count; i++) {
        if (tmpl->files[i].file == file && tmpl->files[i].open)
            return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                                  "'%.127s' includes itself", file->name);
    }
    if (reading->parser->files_open == KGEN_TEMPLATE_INCLUDES_MAX)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                              "more than %d files include each other", KGEN_TEMPLATE_INCLUDES_MAX);
    return 0;
}

/* Parses a file that this one refers to. */
static int parse_other(struct kgen_reading *reading, const struct kgen_cursor *cursor, int column,
                       const struct kgen_template_file *file, int32_t *number)
{
    if (check_include(reading, cursor, column, file) != 0 ||
        kgen_reading_parse(reading->parser, file, true, number) != 0)
        return -1;
    struct kgen_parsed_file *own = &reading->parser->tmpl->files[reading->index];
    return kgen_numbers_add(&own->includes, *number) ? 0 : fail_memory(reading);
}

/* The file of that name, which stands at the column. */
static const struct kgen_template_file *find_file(const struct kgen_reading *reading,
                                                  const struct kgen_cursor *cursor, int column,
                                                  const char *name, size_t length)
{
    const struct kgen_templates *set = reading->parser->set;
    if (length < 5 || memcmp(name + length - 4, ".inc", 4) != 0) {
        fail_at(cursor, column, "the name of an included file ends in .inc");
        return NULL;
    }
    const struct kgen_template_file *file = kgen_templates_file(set, name, length);
    if (file != NULL)
        return file;
    kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                   "there is no file '%.*s' beside the template", (int)(length > 127 ? 127 : length), name);
    kgen_templates_hint(set, name, length, cursor->error);
    return NULL;
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Whether a file's name is the text from piece on, where a ${...} is one or more letters, digits or '_'. */
static bool matches(const struct kgen_expressions *expressions, int32_t piece, const char *name)
{
    const struct kgen_expression_node *node = &expressions->nodes[piece];
    if (strncmp(name, node->start, (size_t)node->value) != 0)
        return false;
    name += node->value;
    if (node->a == KGEN_ABSENT)
        return *name == '\0';
    while (is_name_character(*name)) {
        if (matches(expressions, node->b, ++name))
            return true;
    }
    return false;
}

static int count_holes(const struct kgen_expressions *expressions, int32_t piece)
{
    int holes = 0;
    for (; expressions->nodes[piece].a != KGEN_ABSENT; piece = expressions->nodes[piece].b)
        holes++;
    return holes;
}

/* Parses every file that the name may come to. */
static int read_choices(struct kgen_reading *reading, struct kgen_cursor *cursor, int column,
                        struct kgen_item *item)
{
    struct kgen_template *tmpl = reading->parser->tmpl;
    const struct kgen_templates *set = reading->parser->set;
    struct kgen_numbers found = {0};
    const struct kgen_template_file *file;
    int result = 0;
    for (size_t i = 0; result == 0 && (file = kgen_templates_file_at(set, i)) != NULL; i++) {
        const size_t length = strlen(file->name);
        if (length < 5 || strcmp(file->name + length - 4, ".inc") != 0 ||
            !matches(&tmpl->expressions, item->expression, file->name))
            continue;
        int32_t number;
        result = parse_other(reading, cursor, column, file, &number);
        if (result == 0 && !kgen_numbers_add(&found, number))
            result = fail_memory(reading);
    }
    item->as.include.file = KGEN_ABSENT;
    item->as.include.first = (int32_t)tmpl->choices.count;
    item->as.include.count = (int32_t)found.count;
    for (size_t i = 0; result == 0 && i < found.count; i++)
        result = kgen_numbers_add(&tmpl->choices, found.items[i]) ? 0 : fail_memory(reading);
    free(found.items);
    return result;
}

static int know_what_is_given(struct kgen_reading *reading, const struct kgen_item *item)
{
    struct kgen_template *tmpl = reading->parser->tmpl;
    if (item->as.include.file == KGEN_ABSENT && item->as.include.count == 0)
        return 0;
    const int32_t *files = item->as.include.file != KGEN_ABSENT
                               ? &item->as.include.file
                               : tmpl->choices.items + item->as.include.first;
    const int32_t count = item->as.include.file != KGEN_ABSENT ? 1 : item->as.include.count;
    for (size_t i = 0; i < tmpl->files[files[0]].gives.count; i++) {
        const int32_t name = tmpl->files[files[0]].gives.items[i];
        bool by_all = true;
        for (int32_t j = 1; by_all && j < count; j++)
            by_all = kgen_numbers_has(&tmpl->files[files[j]].gives, name);
        if (by_all && kgen_interface_know(reading, name) != 0)
            return -1;
    }
    for (int32_t j = 0; j < count; j++)
        tmpl->files[reading->index].has_text |= tmpl->files[files[j]].has_text;
    return 0;
}

int kgen_include_read(struct kgen_reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = {.kind = KGEN_ITEM_INCLUDE, .line = cursor->line, .column = column};
    struct kgen_expressions *expressions = &reading->parser->tmpl->expressions;
    kgen_cursor_skip_blanks(cursor);
    const int name_column = kgen_cursor_column(cursor);
    const size_t first = expressions->count;
    item.expression = kgen_expression_parse_text(expressions, cursor);
    if (item.expression == KGEN_ABSENT || kgen_interface_check_names(reading, first, cursor) != 0)
        return -1;
    const int holes = count_holes(expressions, item.expression);
    if (holes > KGEN_TEMPLATE_HOLES_MAX)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, name_column,
                              "the name of an included file has more than %d ${...}",
                              KGEN_TEMPLATE_HOLES_MAX);
    if (holes > 0) {
        if (read_choices(reading, cursor, name_column, &item) != 0)
            return -1;
    } else {
        const struct kgen_expression_node *name = &expressions->nodes[item.expression];
        const struct kgen_template_file *file =
            find_file(reading, cursor, name_column, name->start, (size_t)name->value);
        if (file == NULL || parse_other(reading, cursor, name_column, file, &item.as.include.file) != 0)
            return -1;
    }
    if (know_what_is_given(reading, &item) != 0)
        return -1;
    return kgen_reading_add(reading, item) == KGEN_ABSENT ? -1 : 0;
}

/* ---- What an included file takes and gives ---- */

/* One entry of an $in line: a name, or a file whose $out names are taken. */
static int read_in(struct kgen_reading *reading, struct kgen_cursor *cursor)
{
    struct kgen_template *tmpl = reading->parser->tmpl;
    const char *name;
    size_t length;
    kgen_cursor_skip_blanks(cursor);
    const int column = kgen_cursor_column(cursor);
    if (cursor->at < cursor->end && *cursor->at == '"') {
        if (kgen_cursor_take_string(cursor, &name, &length) != 0)
            return -1;
        const struct kgen_template_file *file = find_file(reading, cursor, column, name, length);
        int32_t number;
        if (file == NULL || parse_other(reading, cursor, column, file, &number) != 0)
            return -1;
        for (size_t i = 0; i < tmpl->files[number].gives.count; i++) {
            if (kgen_interface_know(reading, tmpl->files[number].gives.items[i]) != 0)
                return -1;
        }
        return 0;
    }
    if (kgen_cursor_take_new_name(cursor, &name, &length) != 0)
        return -1;
    const int32_t number = kgen_names_add(&tmpl->expressions.names, name, length);
    if (number == KGEN_ABSENT || !kgen_numbers_add(&tmpl->files[reading->index].takes, number))
        return fail_memory(reading);
    return kgen_interface_know(reading, number);
}

static int read_out(struct kgen_reading *reading, struct kgen_cursor *cursor)
{
    struct kgen_template *tmpl = reading->parser->tmpl;
    const char *name;
    size_t length;
    if (kgen_cursor_take_new_name(cursor, &name, &length) != 0)
        return -1;
    const int32_t number = kgen_names_add(&tmpl->expressions.names, name, length);
    if (number == KGEN_ABSENT || !kgen_numbers_add(&tmpl->files[reading->index].gives, number))
        return fail_memory(reading);
    tmpl->files[reading->index].out_line = cursor->line;
    return 0;
}

static int read_c_name(struct kgen_reading *reading, struct kgen_cursor *cursor)
{
    struct kgen_c_name name = {.line = cursor->line};
    kgen_cursor_skip_blanks(cursor);
    name.column = kgen_cursor_column(cursor);
    name.length = kgen_cursor_take_name(cursor, &name.start);
    if (name.length == 0)
        return kgen_cursor_unexpected(cursor, "the name of a C variable");
    name.numbered = cursor->at < cursor->end && *cursor->at == '*';
    cursor->at += name.numbered;
    if (!kgen_array_reserve((void **)&reading->c_names, reading->c_name_count, &reading->c_name_capacity,
                            sizeof *reading->c_names))
        return fail_memory(reading);
    reading->c_names[reading->c_name_count++] = name;
    return 0;
}

int kgen_interface_read(struct kgen_reading *reading, struct kgen_cursor *cursor, const char *keyword,
                        size_t length, int column)
{
    static const struct {
        const char *keyword;
        int (*read)(struct kgen_reading *reading, struct kgen_cursor *cursor);
    } lines[] = {{"in", read_in}, {"out", read_out}, {"c_in", read_c_name}, {"c_out", read_c_name}};
    for (size_t i = 0; i < KGEN_COUNT_OF(lines); i++) {
        if (strlen(lines[i].keyword) != length || memcmp(lines[i].keyword, keyword, length) != 0)
            continue;
        if (!reading->is_include)
            return fail_at(cursor, column, "only an included file says what it takes and gives");
        if (!reading->declaring)
            return fail_at(cursor, column, "what a file takes and gives stands before all else in it");
        do {
            if (lines[i].read(reading, cursor) != 0)
                return -1;
        } while (kgen_cursor_take(cursor, ','));
        reading->interface_end = cursor->end;
        return kgen_cursor_finish(cursor);
    }
    return 1;
}

/* Whether the C name occurs in text. */
static bool occurs(const struct kgen_c_name *name, const char *text)
{
    for (const char *at = text; (at = strchr(at, name->start[0])) != NULL; at++) {
        if (strncmp(at, name->start, name->length) == 0 && (at == text || !is_name_character(at[-1])) &&
            (name->numbered || !is_name_character(at[name->length])))
            return true;
    }
    return false;
}

static bool occurs_in_includes(const struct kgen_template *tmpl, int32_t file, const struct kgen_c_name *name)
{
    const struct kgen_numbers *includes = &tmpl->files[file].includes;
    for (size_t i = 0; i < includes->count; i++) {
        if (occurs(name, tmpl->files[includes->items[i]].file->text) ||
            occurs_in_includes(tmpl, includes->items[i], name))
            return true;
    }
    return false;
}

int kgen_interface_check(struct kgen_reading *reading)
{
    const struct kgen_template *tmpl = reading->parser->tmpl;
    const struct kgen_parsed_file *own = &tmpl->files[reading->index];
    for (size_t i = 0; i < reading->c_name_count; i++) {
        const struct kgen_c_name *name = &reading->c_names[i];
        if (occurs(name, reading->interface_end) || occurs_in_includes(tmpl, reading->index, name))
            continue;
        return kgen_error_set(reading->parser->error, KGEN_ERROR_TEMPLATE, reading->file->source, name->line,
                              name->column, "the C name '%.*s' does not occur in this file",
                              (int)(name->length > 63 ? 63 : name->length), name->start);
    }
    for (size_t i = 0; i < own->gives.count; i++) {
        const struct kgen_name *name = &tmpl->expressions.names.items[own->gives.items[i]];
        if (!kgen_numbers_has(&reading->known, own->gives.items[i]))
            return kgen_error_set(reading->parser->error, KGEN_ERROR_TEMPLATE, reading->file->source,
                                  own->out_line, 1, "this file gives no value to '%.*s'",
                                  (int)(name->length > 63 ? 63 : name->length), name->start);
    }
    return 0;
}
