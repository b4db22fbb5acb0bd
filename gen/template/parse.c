/* SPDX-License-Identifier: MIT */
/* From the text of a template to its items. */
#include "gen/base/nearest.h"
#include "gen/template/internal.h"

#include <stdlib.h>
#include <string.h>

/* A block that is open in a file: the file itself, an $if or a $for. */
struct block {
    enum kgen_item_kind kind; /* KGEN_ITEM_INCLUDE for the file itself */
    int32_t owner;            /* the loop, or the branch being filled */
    int32_t first, last;      /* items so far */
    int line, column;
    bool has_else;
};

/* One file being parsed. */
struct reading {
    struct kgen_parser *parser;
    const struct kgen_template_file *file;
    struct block blocks[KGEN_TEMPLATE_BLOCKS_MAX];
    int depth;                         /* the innermost block */
    bool declaring;                    /* no text yet */
    bool is_include;                   /* an *.inc file */
    const char *text_start, *text_end; /* text not yet made an item */
    int text_line;
};

static int parse_unit(struct kgen_parser *parser, const struct kgen_template_file *file, bool is_include,
                      int32_t *unit);

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
static int32_t new_item(struct reading *reading, struct kgen_item item)
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

/* Makes an item at the end of the innermost block. */
static int32_t add_item(struct reading *reading, struct kgen_item item)
{
    int32_t index = new_item(reading, item);
    if (index == KGEN_ABSENT)
        return KGEN_ABSENT;
    struct block *block = &reading->blocks[reading->depth];
    if (block->last == KGEN_ABSENT)
        block->first = index;
    else
        reading->parser->tmpl->items[block->last].next = index;
    block->last = index;
    return index;
}

static int flush_text(struct reading *reading)
{
    if (reading->text_start == reading->text_end)
        return 0;
    struct kgen_item item = {.kind = KGEN_ITEM_TEXT, .line = reading->text_line, .column = 1};
    item.as.text.start = reading->text_start;
    item.as.text.length = (size_t)(reading->text_end - reading->text_start);
    reading->text_start = reading->text_end = NULL;
    return add_item(reading, item) == KGEN_ABSENT ? -1 : 0;
}

/* Text that follows the last without a gap joins it. */
static int add_text(struct reading *reading, const char *start, const char *end, int line)
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
    return 0;
}

/* ---- Directives of the body: the cursor is behind the keyword, which began at column ---- */

static int open_block(struct reading *reading, const struct kgen_cursor *cursor, int column,
                      enum kgen_item_kind kind, int32_t owner)
{
    if (reading->depth + 1 == KGEN_TEMPLATE_BLOCKS_MAX)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                              "more than %d blocks in each other", KGEN_TEMPLATE_BLOCKS_MAX - 1);
    reading->blocks[++reading->depth] = (struct block){.kind = kind,
                                                       .owner = owner,
                                                       .first = KGEN_ABSENT,
                                                       .last = KGEN_ABSENT,
                                                       .line = cursor->line,
                                                       .column = column};
    return 0;
}

/* Hands the items of the innermost block to their owner. */
static void fill_owner(struct reading *reading)
{
    const struct block *block = &reading->blocks[reading->depth];
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

static int read_if(struct reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = branch_item(cursor, column);
    item.as.branch.condition = kgen_expression_parse(&reading->parser->tmpl->expressions, cursor, false);
    if (item.as.branch.condition == KGEN_ABSENT)
        return -1;
    int32_t owner = add_item(reading, item);
    return owner == KGEN_ABSENT ? -1 : open_block(reading, cursor, column, KGEN_ITEM_BRANCH, owner);
}

/* $elif or $else. */
static int next_branch(struct reading *reading, struct kgen_cursor *cursor, int column, bool is_else)
{
    struct block *block = &reading->blocks[reading->depth];
    if (block->kind != KGEN_ITEM_BRANCH)
        return fail_at(cursor, column, is_else ? "$else without an $if" : "$elif without an $if");
    if (block->has_else) {
        fail_at(cursor, column, is_else ? "a second $else" : "$elif after $else");
        kgen_error_hint(cursor->error, "the $if is at line %d", block->line);
        return -1;
    }
    struct kgen_item item = branch_item(cursor, column);
    if (!is_else) {
        item.as.branch.condition = kgen_expression_parse(&reading->parser->tmpl->expressions, cursor, false);
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

static int read_elif(struct reading *reading, struct kgen_cursor *cursor, int column)
{
    return next_branch(reading, cursor, column, false);
}

static int read_else(struct reading *reading, struct kgen_cursor *cursor, int column)
{
    return next_branch(reading, cursor, column, true);
}

static int read_end(struct reading *reading, struct kgen_cursor *cursor, int column)
{
    if (reading->depth == 0)
        return fail_at(cursor, column, "$end without an $if or $for");
    fill_owner(reading);
    reading->depth--;
    return 0;
}

static int take_keyword(struct kgen_cursor *cursor, const char *keyword, const char *expected)
{
    struct kgen_cursor ahead = *cursor;
    const char *word;
    size_t length = kgen_cursor_take_name(&ahead, &word);
    if (length != strlen(keyword) || memcmp(word, keyword, length) != 0)
        return kgen_cursor_unexpected(cursor, expected);
    *cursor = ahead;
    return 0;
}

/* The number of a name that is given a value here. */
static int take_variable(struct reading *reading, struct kgen_cursor *cursor, int32_t *number)
{
    const char *name;
    size_t length;
    if (kgen_cursor_take_new_name(cursor, &name, &length) != 0)
        return -1;
    *number = kgen_names_add(&reading->parser->tmpl->expressions.names, name, length);
    return *number == KGEN_ABSENT ? fail_memory(reading->parser) : 0;
}

static int read_for(struct reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = {.kind = KGEN_ITEM_LOOP, .line = cursor->line, .column = column};
    if (take_variable(reading, cursor, &item.as.loop.name) != 0 ||
        take_keyword(cursor, "in", "'in range(...)'") != 0 ||
        take_keyword(cursor, "range", "'range(...)'") != 0)
        return -1;
    if (!kgen_cursor_take(cursor, '('))
        return kgen_cursor_unexpected(cursor, "'('");
    int32_t bounds[3];
    int count = 0;
    do {
        bounds[count] = kgen_expression_parse(&reading->parser->tmpl->expressions, cursor, false);
        if (bounds[count++] == KGEN_ABSENT)
            return -1;
    } while (count < 3 && kgen_cursor_take(cursor, ','));
    if (!kgen_cursor_take(cursor, ')'))
        return kgen_cursor_unexpected(cursor, count < 3 ? "',' or ')'" : "')'");
    item.as.loop.start = count > 1 ? bounds[0] : KGEN_ABSENT;
    item.as.loop.stop = count > 1 ? bounds[1] : bounds[0];
    item.as.loop.step = count > 2 ? bounds[2] : KGEN_ABSENT;
    item.as.loop.body = KGEN_ABSENT;
    int32_t owner = add_item(reading, item);
    return owner == KGEN_ABSENT ? -1 : open_block(reading, cursor, column, KGEN_ITEM_LOOP, owner);
}

static int read_let(struct reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = {.kind = KGEN_ITEM_LET, .line = cursor->line, .column = column};
    if (take_variable(reading, cursor, &item.as.let.name) != 0)
        return -1;
    if (!kgen_cursor_take(cursor, '='))
        return kgen_cursor_unexpected(cursor, "'='");
    item.expression = kgen_expression_parse(&reading->parser->tmpl->expressions, cursor, false);
    return item.expression == KGEN_ABSENT || add_item(reading, item) == KGEN_ABSENT ? -1 : 0;
}

static int read_assert(struct reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = {.kind = KGEN_ITEM_ASSERT, .line = cursor->line, .column = column};
    item.expression = kgen_expression_parse(&reading->parser->tmpl->expressions, cursor, false);
    if (item.expression == KGEN_ABSENT)
        return -1;
    if (!kgen_cursor_take(cursor, ','))
        return kgen_cursor_unexpected(cursor, "',' and the message in double quotes");
    if (kgen_cursor_take_string(cursor, &item.as.text.start, &item.as.text.length) != 0)
        return -1;
    return add_item(reading, item) == KGEN_ABSENT ? -1 : 0;
}

static int read_include(struct reading *reading, struct kgen_cursor *cursor, int column)
{
    struct kgen_item item = {.kind = KGEN_ITEM_INCLUDE, .line = cursor->line, .column = column};
    const char *name;
    size_t length;
    kgen_cursor_skip_blanks(cursor);
    int name_column = kgen_cursor_column(cursor);
    if (kgen_cursor_take_string(cursor, &name, &length) != 0)
        return -1;
    int shown = (int)(length > 127 ? 127 : length);
    if (length < 5 || memcmp(name + length - 4, ".inc", 4) != 0)
        return fail_at(cursor, name_column, "the name of an included file ends in .inc");
    const struct kgen_template_file *file = kgen_templates_file(reading->parser->set, name, length);
    if (file == NULL) {
        kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, name_column,
                       "there is no file '%.*s' beside the template", shown, name);
        kgen_templates_hint(reading->parser->set, name, length, cursor->error);
        return -1;
    }
    const struct kgen_template *tmpl = reading->parser->tmpl;
    for (size_t i = 0; i < tmpl->unit_count; i++) {
        if (tmpl->units[i].file == file && tmpl->units[i].open)
            return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line,
                                  name_column, "'%.*s' includes itself", shown, name);
    }
    if (reading->parser->files_open == KGEN_TEMPLATE_INCLUDES_MAX)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, name_column,
                              "more than %d files include each other", KGEN_TEMPLATE_INCLUDES_MAX);
    if (parse_unit(reading->parser, file, true, &item.as.include.unit) != 0)
        return -1;
    return add_item(reading, item) == KGEN_ABSENT ? -1 : 0;
}

struct directive {
    const char *keyword;
    int (*read)(struct reading *reading, struct kgen_cursor *cursor, int column);
};

static const struct directive directives[] = {
    {"if", read_if},   {"elif", read_elif}, {"else", read_else},     {"end", read_end},
    {"for", read_for}, {"let", read_let},   {"assert", read_assert}, {"include", read_include},
};

static int fail_unknown(const struct kgen_cursor *cursor, int column, const char *keyword, size_t length)
{
    static const char *const others[] = {"template", "op", "isa", "param", "require"};
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
static int begin_body(struct reading *reading, int line, int column)
{
    if (!reading->declaring)
        return 0;
    reading->declaring = false;
    return kgen_template_declared(reading->parser, line, column);
}

static int read_directive(struct reading *reading, struct kgen_cursor *cursor)
{
    int column = kgen_cursor_column(cursor);
    cursor->at++;
    const char *keyword;
    size_t length = kgen_cursor_take_name(cursor, &keyword);
    if (flush_text(reading) != 0)
        return -1;
    if (kgen_template_is_declaration(keyword, length)) {
        if (reading->is_include)
            return fail_at(cursor, column, "an included file has no declarations");
        if (!reading->declaring)
            return fail_at(cursor, column, "declarations come before the text");
        return kgen_template_declare(reading->parser, cursor, keyword, length, column);
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(directives); i++) {
        if (strlen(directives[i].keyword) != length || memcmp(directives[i].keyword, keyword, length) != 0)
            continue;
        if (begin_body(reading, cursor->line, column) != 0 ||
            directives[i].read(reading, cursor, column) != 0)
            return -1;
        return kgen_cursor_finish(cursor);
    }
    return fail_unknown(cursor, column, keyword, length);
}

/* A line of text; next is where the next line begins. */
static int read_text(struct reading *reading, struct kgen_cursor *cursor, const char *next)
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
        item.expression = kgen_expression_parse(&reading->parser->tmpl->expressions, cursor, true);
        if (item.expression == KGEN_ABSENT)
            return -1;
        if (!kgen_cursor_take(cursor, '}'))
            return kgen_cursor_unexpected(cursor, "'}' or an operator");
        if (flush_text(reading) != 0 || add_item(reading, item) == KGEN_ABSENT)
            return -1;
    }
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int read_line(struct reading *reading, struct kgen_cursor *cursor, const char *next)
{
    kgen_cursor_skip_blanks(cursor);
    if (cursor->at < cursor->end && *cursor->at == '$') {
        char after = cursor->at + 1 < cursor->end ? cursor->at[1] : '\0';
        if (after == '#')
            return 0;
        if (is_letter(after))
            return read_directive(reading, cursor);
    }
    if (reading->declaring && cursor->at == cursor->end)
        return 0;
    if (begin_body(reading, cursor->line, kgen_cursor_column(cursor)) != 0)
        return -1;
    return read_text(reading, cursor, next);
}

static int read_file(struct reading *reading)
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
    const struct block *block = &reading->blocks[reading->depth];
    if (reading->depth > 0) {
        kgen_error_set(cursor.error, KGEN_ERROR_TEMPLATE, file->source, block->line, block->column,
                       "this %s has no $end", block->kind == KGEN_ITEM_LOOP ? "$for" : "$if");
        kgen_error_hint(cursor.error, "the file ends at line %d with the block open", cursor.line);
        return -1;
    }
    return 0;
}

static int parse_unit(struct kgen_parser *parser, const struct kgen_template_file *file, bool is_include,
                      int32_t *unit)
{
    struct kgen_template *tmpl = parser->tmpl;
    for (size_t i = 0; i < tmpl->unit_count; i++) {
        if (tmpl->units[i].file == file) {
            *unit = (int32_t)i;
            return 0;
        }
    }
    if (!kgen_array_reserve((void **)&tmpl->units, tmpl->unit_count, &tmpl->unit_capacity,
                            sizeof *tmpl->units))
        return fail_memory(parser);
    *unit = (int32_t)tmpl->unit_count++;
    tmpl->units[*unit] = (struct kgen_unit){.file = file, .body = KGEN_ABSENT, .open = true};
    tmpl->hash = kgen_hash(kgen_hash_string(tmpl->hash, file->name), file->text, file->length);
    struct reading reading = {
        .parser = parser, .file = file, .declaring = !is_include, .is_include = is_include};
    reading.blocks[0] = (struct block){.kind = KGEN_ITEM_INCLUDE, .first = KGEN_ABSENT, .last = KGEN_ABSENT};
    parser->files_open++;
    int result = read_file(&reading);
    parser->files_open--;
    tmpl->units[*unit].body = reading.blocks[0].first;
    tmpl->units[*unit].open = false;
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
    tmpl->op = KGEN_OP_COUNT;
    tmpl->hash = KGEN_HASH_START;
    struct kgen_parser parser = {.tmpl = tmpl, .set = set, .error = error};
    int32_t unit;
    if (parse_unit(&parser, file, included, &unit) != 0) {
        kgen_template_free(tmpl);
        return NULL;
    }
    return tmpl;
}
