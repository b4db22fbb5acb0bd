/* SPDX-License-Identifier: MIT */
/* From the text of a template to its items. */
#include "gen/base/nearest.h"
#include "gen/template/internal.h"

#include <stdlib.h>
#include <string.h>

static int fail_at(const struct kgen_cursor *cursor, int column, const char *message)
{
    return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column, "%s",
                          message);
}

static int fail_memory(struct kgen_parser *parser)
{
    return kgen_error_set(parser->error, KGEN_ERROR_MEMORY, parser->tmpl->file->source, 0, 0,
                          "out of memory");
}

/* Makes an item that is in no block. */
static int32_t new_item(struct kgen_reading *reading, struct kgen_item item)
{
    struct kgen_template *tmpl = reading->parser->tmpl;
    if (!kgen_array_reserve((void **)&tmpl->items, tmpl->item_count, &tmpl->item_capacity,
                            sizeof *tmpl->items)) {
        fail_memory(reading->parser);
        return KGEN_ABSENT;
    }
    item.next = KGEN_ABSENT;
    tmpl->items[tmpl->item_count] = item;
    return (int32_t)tmpl->item_count++;
}

int32_t kgen_reading_add(struct kgen_reading *reading, struct kgen_item item)
{
    int32_t index = new_item(reading, item);
    if (index == KGEN_ABSENT)
        return KGEN_ABSENT;
    struct kgen_block *block = &reading->blocks[reading->depth];
    if (block->last == KGEN_ABSENT)
        block->first = index;
    else
        reading->parser->tmpl->items[block->last].next = index;
    block->last = index;
    return index;
}

int32_t kgen_reading_expression(struct kgen_reading *reading, struct kgen_cursor *cursor, bool printable)
{
    struct kgen_expressions *expressions = &reading->parser->tmpl->expressions;
    const size_t first = expressions->count;
    int32_t root = kgen_expression_parse(expressions, cursor, printable);
    return root == KGEN_ABSENT || kgen_interface_check_names(reading, first, cursor) == 0 ? root
                                                                                          : KGEN_ABSENT;
}

static int flush_text(struct kgen_reading *reading)
{
    if (reading->text_start == reading->text_end)
        return 0;
    struct kgen_item item = {.kind = KGEN_ITEM_TEXT, .line = reading->text_line, .column = 1};
    item.as.text.start = reading->text_start;
    item.as.text.length = (size_t)(reading->text_end - reading->text_start);
    reading->text_start = reading->text_end = NULL;
    return kgen_reading_add(reading, item) == KGEN_ABSENT ? -1 : 0;
}

/* Text that follows the last without a gap joins it. */
static int add_text(struct kgen_reading *reading, const char *start, const char *end, int line)
{
    if (start == end)
        return 0;
    if (start != reading->text_end) {
        if (flush_text(reading) != 0)
            return -1;
        reading->text_start = start;
        reading->text_line = line;
    }
    reading->text_end = end;
    reading->parser->tmpl->files[reading->index].has_text = true;
    return 0;
}

/* ---- Directives of the body: the cursor is behind the keyword, which began at column ---- */

static int open_block(struct kgen_reading *reading, const struct kgen_cursor *cursor, int column,
                      enum kgen_item_kind kind, int32_t owner)
{
    if (reading->depth + 1 == KGEN_TEMPLATE_BLOCKS_MAX)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                              "more than %d blocks in each other", KGEN_TEMPLATE_BLOCKS_MAX - 1);
    reading->blocks[++reading->depth] = (struct kgen_block){.kind = kind,
                                                            .owner = owner,
                                                            .first = KGEN_ABSENT,
                                                            .last = KGEN_ABSENT,
                                                            .line = cursor->line,
                                                            .column = column};
    return 0;
}

/* Hands the items of the innermost block to their owner. */
static void fill_owner(struct kgen_reading *reading)
{
    const struct kgen_block *block = &reading->blocks[reading->depth];
    struct kgen_item *owner = &reading->parser->tmpl->items[block->owner];
    if (owner->kind == KGEN_ITEM_LOOP)
        owner->as.loop.body = block->first;
    else
        owner->as.branch.body = block->first;
}

static struct kgen_item branch_item(const struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = {.kind = KGEN_ITEM_BRANCH, .line = cursor->line, .column = column};
    item.as.branch.condition = item.as.branch.body = item.as.branch.otherwise = KGEN_ABSENT;
    return item;
}

static int read_if(struct kgen_reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = branch_item(cursor, column);
    item.as.branch.condition = kgen_reading_expression(reading, cursor, false);
    if (item.as.branch.condition == KGEN_ABSENT)
        return -1;
    int32_t owner = kgen_reading_add(reading, item);
    return owner == KGEN_ABSENT ? -1 : open_block(reading, cursor, column, KGEN_ITEM_BRANCH, owner);
}

/* $elif or $else. */
static int next_branch(struct kgen_reading *reading, struct kgen_cursor *cursor, int column, bool is_else)
{
    struct kgen_block *block = &reading->blocks[reading->depth];
    if (block->kind != KGEN_ITEM_BRANCH)
        return fail_at(cursor, column, is_else ? "$else without an $if" : "$elif without an $if");
    if (block->has_else) {
        fail_at(cursor, column, is_else ? "a second $else" : "$elif after $else");
        kgen_error_hint(cursor->error, "the $if is at line %d", block->line);
        return -1;
    }
    struct kgen_item item = branch_item(cursor, column);
    if (!is_else) {
        item.as.branch.condition = kgen_reading_expression(reading, cursor, false);
        if (item.as.branch.condition == KGEN_ABSENT)
            return -1;
    }
    int32_t branch = new_item(reading, item);
    if (branch == KGEN_ABSENT)
        return -1;
    fill_owner(reading);
    reading->parser->tmpl->items[block->owner].as.branch.otherwise = branch;
    block->owner = branch;
    block->first = block->last = KGEN_ABSENT;
    block->has_else = is_else;
    return 0;
}

static int read_elif(struct kgen_reading *reading, struct kgen_cursor *cursor, int column)
{
    return next_branch(reading, cursor, column, false);
}

static int read_else(struct kgen_reading *reading, struct kgen_cursor *cursor, int column)
{
    return next_branch(reading, cursor, column, true);
}

static int read_end(struct kgen_reading *reading, struct kgen_cursor *cursor, int column)
{
    if (reading->depth == 0)
        return fail_at(cursor, column, "$end without an $if or $for");
    fill_owner(reading);
    reading->depth--;
    return 0;
}

/* The number of a name that is given a value here. */
static int take_variable(struct kgen_reading *reading, struct kgen_cursor *cursor, int32_t *number)
{
    const char *name;
    size_t length;
    if (kgen_cursor_take_new_name(cursor, &name, &length) != 0)
        return -1;
    *number = kgen_names_add(&reading->parser->tmpl->expressions.names, name, length);
    return *number == KGEN_ABSENT ? fail_memory(reading->parser) : 0;
}

static int read_for(struct kgen_reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = {.kind = KGEN_ITEM_LOOP, .line = cursor->line, .column = column};
    if (take_variable(reading, cursor, &item.as.loop.name) != 0 ||
        kgen_cursor_take_keyword(cursor, "in", "'in range(...)'") != 0 ||
        kgen_cursor_take_keyword(cursor, "range", "'range(...)'") != 0)
        return -1;
    if (!kgen_cursor_take(cursor, '('))
        return kgen_cursor_unexpected(cursor, "'('");
    int32_t bounds[3];
    int count = 0;
    do {
        bounds[count] = kgen_reading_expression(reading, cursor, false);
        if (bounds[count++] == KGEN_ABSENT)
            return -1;
    } while (count < 3 && kgen_cursor_take(cursor, ','));
    if (!kgen_cursor_take(cursor, ')'))
        return kgen_cursor_unexpected(cursor, count < 3 ? "',' or ')'" : "')'");
    item.as.loop.start = count > 1 ? bounds[0] : KGEN_ABSENT;
    item.as.loop.stop = count > 1 ? bounds[1] : bounds[0];
    item.as.loop.step = count > 2 ? bounds[2] : KGEN_ABSENT;
    item.as.loop.body = KGEN_ABSENT;
    if (kgen_interface_know(reading, item.as.loop.name) != 0)
        return -1;
    int32_t owner = kgen_reading_add(reading, item);
    return owner == KGEN_ABSENT ? -1 : open_block(reading, cursor, column, KGEN_ITEM_LOOP, owner);
}

static int read_let(struct kgen_reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = {.kind = KGEN_ITEM_LET, .line = cursor->line, .column = column};
    if (take_variable(reading, cursor, &item.as.let.name) != 0)
        return -1;
    if (!kgen_cursor_take(cursor, '='))
        return kgen_cursor_unexpected(cursor, "'='");
    item.expression = kgen_reading_expression(reading, cursor, true);
    if (item.expression == KGEN_ABSENT || kgen_interface_know(reading, item.as.let.name) != 0)
        return -1;
    return kgen_reading_add(reading, item) == KGEN_ABSENT ? -1 : 0;
}

static int read_assert(struct kgen_reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = {.kind = KGEN_ITEM_ASSERT, .line = cursor->line, .column = column};
    item.expression = kgen_reading_expression(reading, cursor, false);
    if (item.expression == KGEN_ABSENT)
        return -1;
    if (!kgen_cursor_take(cursor, ','))
        return kgen_cursor_unexpected(cursor, "',' and the message in double quotes");
    if (kgen_cursor_take_string(cursor, &item.as.text.start, &item.as.text.length) != 0)
        return -1;
    return kgen_reading_add(reading, item) == KGEN_ABSENT ? -1 : 0;
}

struct directive {
    const char *keyword;
    int (*read)(struct kgen_reading *reading, struct kgen_cursor *cursor, int column);
};

static const struct directive directives[] = {
    {"if", read_if},   {"elif", read_elif}, {"else", read_else},     {"end", read_end},
    {"for", read_for}, {"let", read_let},   {"assert", read_assert}, {"include", kgen_include_read},
};

static int fail_unknown(const struct kgen_cursor *cursor, int column, const char *keyword, size_t length)
{
    static const char *const others[] = {"template", "op", "isa", "param", "require", "in", "out"};
    kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                   "unknown directive '$%.*s'", (int)(length > 63 ? 63 : length), keyword);
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, keyword, length);
    for (size_t i = 0; i < KGEN_COUNT_OF(directives); i++)
        kgen_nearest_offer(&nearest, directives[i].keyword, strlen(directives[i].keyword));
    for (size_t i = 0; i < KGEN_COUNT_OF(others); i++)
        kgen_nearest_offer(&nearest, others[i], strlen(others[i]));
    if (nearest.best[0] != '\0')
        kgen_error_hint(cursor->error, "did you mean '$%s'?", nearest.best);
    else
        kgen_error_hint(cursor->error, "a line of text that begins with a dollar begins with $$");
    return -1;
}

/* The first line that is neither a declaration, a comment nor blank ends the declarations. */
static int begin_body(struct kgen_reading *reading, int line, int column)
{
    if (!reading->declaring)
        return 0;
    reading->declaring = false;
    if (reading->is_include)
        return 0;
    return kgen_template_declared(reading->parser, line, column);
}

static int read_declaration(struct kgen_reading *reading, struct kgen_cursor *cursor, const char *keyword,
                            size_t length, int column)
{
    if (reading->is_include)
        return fail_at(cursor, column, "an included file has no declarations");
    if (!reading->declaring)
        return fail_at(cursor, column, "declarations come before the text");
    struct kgen_item item = {.kind = KGEN_ITEM_TEXT};
    if (kgen_template_declare(reading->parser, cursor, keyword, length, column, &item) != 0)
        return -1;
    if (item.kind == KGEN_ITEM_TEXT)
        return 0;
    reading->parser->tmpl->last_condition = kgen_reading_add(reading, item);
    return reading->parser->tmpl->last_condition == KGEN_ABSENT ? -1 : 0;
}

/* What may stand among the declarations: values, and files that hold nothing else. */
static bool may_precede(const struct kgen_reading *reading,
                        int (*read)(struct kgen_reading *, struct kgen_cursor *, int))
{
    return !reading->is_include && reading->depth == 0 && (read == read_let || read == kgen_include_read);
}

static int read_directive(struct kgen_reading *reading, struct kgen_cursor *cursor)
{
    int column = kgen_cursor_column(cursor);
    cursor->at++;
    const char *keyword;
    size_t length = kgen_cursor_take_name(cursor, &keyword);
    if (flush_text(reading) != 0)
        return -1;
    if (kgen_template_is_declaration(keyword, length))
        return read_declaration(reading, cursor, keyword, length, column);
    int interface = kgen_interface_read(reading, cursor, keyword, length, column);
    if (interface <= 0)
        return interface;
    for (size_t i = 0; i < KGEN_COUNT_OF(directives); i++) {
        if (strlen(directives[i].keyword) != length || memcmp(directives[i].keyword, keyword, length) != 0)
            continue;
        if (!may_precede(reading, directives[i].read) && begin_body(reading, cursor->line, column) != 0)
            return -1;
        if (directives[i].read(reading, cursor, column) != 0 || kgen_cursor_finish(cursor) != 0)
            return -1;
        return reading->parser->tmpl->files[reading->index].has_text
                   ? begin_body(reading, cursor->line, column)
                   : 0;
    }
    return fail_unknown(cursor, column, keyword, length);
}

/* A line of text; next is where the next line begins. */
static int read_text(struct kgen_reading *reading, struct kgen_cursor *cursor, const char *next)
{
    cursor->at = cursor->start;
    for (;;) {
        const char *dollar = memchr(cursor->at, '$', (size_t)(cursor->end - cursor->at));
        if (dollar == NULL)
            return add_text(reading, cursor->at, next, cursor->line);
        char after = dollar + 1 < cursor->end ? dollar[1] : '\0';
        if (add_text(reading, cursor->at, dollar + (after == '$'), cursor->line) != 0)
            return -1;
        cursor->at = dollar;
        int column = kgen_cursor_column(cursor);
        if (after == '$') {
            cursor->at = dollar + 2;
            continue;
        }
        if (after != '{') {
            fail_at(cursor, column, "a '$' in text stands before '{' or another '$'");
            kgen_error_hint(cursor->error, "write $$ for a dollar");
            return -1;
        }
        cursor->at = dollar + 2;
        struct kgen_item item = {.kind = KGEN_ITEM_PRINT, .line = cursor->line, .column = column};
        item.expression = kgen_reading_expression(reading, cursor, true);
        if (item.expression == KGEN_ABSENT)
            return -1;
        if (!kgen_cursor_take(cursor, '}'))
            return kgen_cursor_unexpected(cursor, "'}' or an operator");
        reading->parser->tmpl->files[reading->index].has_text = true;
        if (flush_text(reading) != 0 || kgen_reading_add(reading, item) == KGEN_ABSENT)
            return -1;
    }
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int read_line(struct kgen_reading *reading, struct kgen_cursor *cursor, const char *next)
{
    kgen_cursor_skip_blanks(cursor);
    if (cursor->at < cursor->end && *cursor->at == '$') {
        char after = cursor->at + 1 < cursor->end ? cursor->at[1] : '\0';
        if (after == '#')
            return 0;
        if (is_letter(after))
            return read_directive(reading, cursor);
    }
    if (reading->declaring && !reading->is_include && cursor->at == cursor->end)
        return 0;
    if (begin_body(reading, cursor->line, kgen_cursor_column(cursor)) != 0)
        return -1;
    return read_text(reading, cursor, next);
}

static int read_file(struct kgen_reading *reading)
{
    const struct kgen_template_file *file = reading->file;
    struct kgen_cursor cursor = {.source = file->source, .error = reading->parser->error};
    const char *end = file->text + file->length;
    for (const char *next = file->text; next < end;) {
        const char *newline = memchr(next, '\n', (size_t)(end - next));
        cursor.start = cursor.at = next;
        cursor.end = newline != NULL ? newline : end;
        cursor.line++;
        next = newline != NULL ? newline + 1 : end;
        if (read_line(reading, &cursor, next) != 0)
            return -1;
    }
    if (begin_body(reading, cursor.line > 0 ? cursor.line : 1, 1) != 0 || flush_text(reading) != 0)
        return -1;
    const struct kgen_block *block = &reading->blocks[reading->depth];
    if (reading->depth > 0) {
        kgen_error_set(cursor.error, KGEN_ERROR_TEMPLATE, file->source, block->line, block->column,
                       "this %s has no $end", block->kind == KGEN_ITEM_LOOP ? "$for" : "$if");
        kgen_error_hint(cursor.error, "the file ends at line %d with the block open", cursor.line);
        return -1;
    }
    return 0;
}

int kgen_reading_parse(struct kgen_parser *parser, const struct kgen_template_file *file, bool is_include,
                       int32_t *number)
{
    struct kgen_template *tmpl = parser->tmpl;
    for (size_t i = 0; i < tmpl->file_count; i++) {
        if (tmpl->files[i].file == file) {
            *number = (int32_t)i;
            return 0;
        }
    }
    if (!kgen_array_reserve((void **)&tmpl->files, tmpl->file_count, &tmpl->file_capacity,
                            sizeof *tmpl->files))
        return fail_memory(parser);
    *number = (int32_t)tmpl->file_count++;
    tmpl->files[*number] = (struct kgen_parsed_file){.file = file, .body = KGEN_ABSENT, .open = true};
    tmpl->hash = kgen_hash(kgen_hash_string(tmpl->hash, file->name), file->text, file->length);
    struct kgen_reading reading = {.parser = parser,
                                   .file = file,
                                   .index = *number,
                                   .declaring = true,
                                   .is_include = is_include,
                                   .interface_end = file->text};
    reading.blocks[0] =
        (struct kgen_block){.kind = KGEN_ITEM_INCLUDE, .first = KGEN_ABSENT, .last = KGEN_ABSENT};
    parser->files_open++;
    int result = read_file(&reading);
    if (result == 0)
        result = kgen_interface_check(&reading);
    parser->files_open--;
    tmpl->files[*number].body = reading.blocks[0].first;
    tmpl->files[*number].open = false;
    free(reading.known.items);
    free(reading.c_names);
    return result;
}

struct kgen_template *kgen_template_parse_file(const struct kgen_template_file *file,
                                               const struct kgen_templates *set, bool included,
                                               struct kgen_error *error)
{
    struct kgen_template *tmpl = calloc(1, sizeof *tmpl);
    if (tmpl == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, file->source, 0, 0, "out of memory");
        return NULL;
    }
    tmpl->file = file;
    tmpl->hash = KGEN_HASH_START;
    tmpl->last_condition = KGEN_ABSENT;
    struct kgen_parser parser = {.tmpl = tmpl, .set = set, .error = error};
    int32_t number;
    if (kgen_reading_parse(&parser, file, included, &number) != 0) {
        kgen_template_free(tmpl);
        return NULL;
    }
    return tmpl;
}
