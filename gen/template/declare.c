/* SPDX-License-Identifier: MIT */
/* The declarations at the head of a template. */
#include "gen/base/nearest.h"
#include "gen/base/strings.h"
#include "gen/template/internal.h"

#include <stdlib.h>
#include <string.h>

/* What kgen_variant_text binds beside fields, words and instruction sets. */
static const char *const derived_names[] = {"isa",           "vector_bytes",       "lanes",
                                            "registers",     "function",           "inverse_frequency",
                                            "scale_type",    "load_scales",        "scale_to_f32",
                                            "parameters",    "prepare_parameters", "block_values",
                                            "block_bytes",   "block_scales",       "expert_parameters",
                                            "expert_arrays", "block_integers"};

static int fail(const struct kgen_cursor *cursor, int column, const char *message)
{
    return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column, "%s",
                          message);
}

int kgen_cursor_take_string(struct kgen_cursor *cursor, const char **start, size_t *length)
{
    kgen_cursor_skip_blanks(cursor);
    int column = kgen_cursor_column(cursor);
    if (!kgen_cursor_take(cursor, '"'))
        return kgen_cursor_unexpected(cursor, "a text in double quotes");
    *start = cursor->at;
    while (cursor->at < cursor->end && *cursor->at != '"')
        cursor->at++;
    *length = (size_t)(cursor->at - *start);
    if (cursor->at == cursor->end)
        return fail(cursor, column, "the text has no closing quote on this line");
    cursor->at++;
    return 0;
}

int kgen_cursor_take_new_name(struct kgen_cursor *cursor, const char **name, size_t *length)
{
    kgen_cursor_skip_blanks(cursor);
    int column = kgen_cursor_column(cursor);
    *length = kgen_cursor_take_name(cursor, name);
    if (*length == 0)
        return kgen_cursor_unexpected(cursor, "a name");
    if (kgen_expression_is_function(*name, *length))
        return fail(cursor, column, "this is the name of a function");
    return 0;
}

int kgen_cursor_finish(struct kgen_cursor *cursor)
{
    kgen_cursor_skip_blanks(cursor);
    return cursor->at == cursor->end ? 0 : kgen_cursor_unexpected(cursor, "the end of the line");
}

static int copy_string(const struct kgen_cursor *cursor, const char *start, size_t length, char **copy)
{
    *copy = strndup(start, length);
    if (*copy == NULL)
        return kgen_error_set(cursor->error, KGEN_ERROR_MEMORY, cursor->source, 0, 0, "out of memory");
    return 0;
}

/* The file name without .c.in or .h.in, or 0 where it ends in neither. */
static size_t stem_length(const char *file_name)
{
    size_t length = strlen(file_name);
    const char *end = length > 5 ? file_name + length - 5 : "";
    return strcmp(end, ".c.in") == 0 || strcmp(end, ".h.in") == 0 ? length - 5 : 0;
}

static int declare_template(struct kgen_parser *parser, struct kgen_cursor *cursor, struct kgen_item *item)
{
    (void)item;
    struct kgen_template *tmpl = parser->tmpl;
    const char *name, *summary;
    size_t length, summary_length;
    kgen_cursor_skip_blanks(cursor);
    int column = kgen_cursor_column(cursor);
    if (kgen_cursor_take_new_name(cursor, &name, &length) != 0)
        return -1;
    const char *file_name = tmpl->file->name;
    size_t stem = stem_length(file_name);
    if (stem > 0 && (stem != length || memcmp(file_name, name, length) != 0)) {
        fail(cursor, column, "the name of the template differs from that of its file");
        kgen_error_hint(cursor->error, "the file says '%.*s'", (int)(stem > 63 ? 63 : stem), file_name);
        return -1;
    }
    if (kgen_cursor_take_string(cursor, &summary, &summary_length) != 0 ||
        copy_string(cursor, name, length, &tmpl->name) != 0)
        return -1;
    return copy_string(cursor, summary, summary_length, &tmpl->summary);
}

/* Reads the name of an op. */
static int take_op(struct kgen_cursor *cursor, const struct kgen_op **op)
{
    const char *name;
    kgen_cursor_skip_blanks(cursor);
    int column = kgen_cursor_column(cursor);
    size_t length = kgen_cursor_take_name(cursor, &name);
    if (length == 0)
        return kgen_cursor_unexpected(cursor, "the name of an op");
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, name, length);
    for (size_t i = 0; i < kgen_op_count(); i++) {
        *op = kgen_op_at(i);
        if (strlen((*op)->name) == length && memcmp((*op)->name, name, length) == 0)
            return 0;
        kgen_nearest_offer(&nearest, (*op)->name, strlen((*op)->name));
    }
    kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                   "unknown op '%.*s'", (int)(length > 63 ? 63 : length), name);
    kgen_nearest_hint(&nearest, cursor->error);
    return -1;
}

static bool is_at_end(struct kgen_cursor *cursor)
{
    kgen_cursor_skip_blanks(cursor);
    return cursor->at == cursor->end;
}

static int declare_op(struct kgen_parser *parser, struct kgen_cursor *cursor, struct kgen_item *item)
{
    struct kgen_template *tmpl = parser->tmpl;
    (void)item;
    parser->op_line = cursor->line;
    if (take_op(cursor, &tmpl->op) != 0)
        return -1;
    return is_at_end(cursor) ? 0 : take_op(cursor, &tmpl->other_op);
}

static int find_isa(const char *name, size_t length)
{
    for (int isa = 0; isa < KGEN_ISA_COUNT; isa++) {
        const char *known = kgen_isa_info((enum kgen_isa)isa)->name;
        if (strlen(known) == length && memcmp(known, name, length) == 0)
            return isa;
    }
    return -1;
}

static int declare_isa(struct kgen_parser *parser, struct kgen_cursor *cursor, struct kgen_item *item)
{
    (void)item;
    do {
        const char *name;
        kgen_cursor_skip_blanks(cursor);
        int column = kgen_cursor_column(cursor);
        size_t length = kgen_cursor_take_name(cursor, &name);
        if (length == 0)
            return kgen_cursor_unexpected(cursor, "the name of an instruction set");
        int isa = find_isa(name, length);
        if (isa < 0) {
            kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                           "unknown instruction set '%.*s'", (int)(length > 63 ? 63 : length), name);
            kgen_error_hint(cursor->error, "known are avx512, avx2, neon and generic");
            return -1;
        }
        if ((parser->tmpl->isas & 1u << isa) != 0)
            return fail(cursor, column, "this instruction set is named twice");
        parser->tmpl->isas |= 1u << isa;
        kgen_cursor_skip_blanks(cursor);
    } while (cursor->at < cursor->end);
    return 0;
}

static int declare_values(struct kgen_parser *parser, struct kgen_cursor *cursor, struct kgen_param *param)
{
    struct kgen_evaluation evaluation = {.expressions = &parser->tmpl->expressions,
                                         .steps = KGEN_TEMPLATE_STEPS_MAX,
                                         .source = cursor->source,
                                         .line = cursor->line,
                                         .error = cursor->error};
    do {
        kgen_cursor_skip_blanks(cursor);
        int column = kgen_cursor_column(cursor);
        if (param->count == KGEN_PARAM_VALUE_MAX)
            return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                                  "a parameter has at most %d values", KGEN_PARAM_VALUE_MAX);
        size_t names = evaluation.expressions->names.count;
        int32_t root = kgen_expression_parse(&parser->tmpl->expressions, cursor, false);
        if (root == KGEN_ABSENT)
            return -1;
        if (evaluation.expressions->names.count != names)
            return fail(cursor, column, "the value of a parameter is a constant, without names");
        int64_t value;
        if (kgen_expression_evaluate(&evaluation, root, &value) != 0)
            return -1;
        for (size_t i = 0; i < param->count; i++) {
            if (param->values[i] == value)
                return fail(cursor, column, "the parameter has this value already");
        }
        param->values[param->count++] = value;
    } while (kgen_cursor_take(cursor, ','));
    return 0;
}

/* `when CONDITION` behind the values of a parameter. */
static int declare_when(struct kgen_parser *parser, struct kgen_cursor *cursor, int column,
                        struct kgen_item *item)
{
    kgen_cursor_skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != 'w')
        return 0;
    if (kgen_cursor_take_keyword(cursor, "when", "'when' and a condition, or the end of the line") != 0)
        return -1;
    *item = (struct kgen_item){.kind = KGEN_ITEM_WHEN, .line = cursor->line, .column = column};
    item->as.declared.index = (int32_t)parser->tmpl->param_count;
    const char *name = parser->tmpl->params[parser->tmpl->param_count].name;
    if (kgen_names_add(&parser->tmpl->expressions.names, name, strlen(name)) == KGEN_ABSENT)
        return kgen_error_set(cursor->error, KGEN_ERROR_MEMORY, cursor->source, 0, 0, "out of memory");
    item->expression = kgen_expression_parse(&parser->tmpl->expressions, cursor, false);
    return item->expression == KGEN_ABSENT ? -1 : 0;
}

static int declare_param(struct kgen_parser *parser, struct kgen_cursor *cursor, struct kgen_item *item)
{
    struct kgen_template *tmpl = parser->tmpl;
    const char *name;
    size_t length;
    kgen_cursor_skip_blanks(cursor);
    int column = kgen_cursor_column(cursor);
    if (kgen_cursor_take_new_name(cursor, &name, &length) != 0)
        return -1;
    if (tmpl->param_count == KGEN_PARAM_MAX)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                              "a template has at most %d parameters", KGEN_PARAM_MAX);
    struct kgen_param *param = &tmpl->params[tmpl->param_count];
    if (length >= sizeof param->name)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                              "the name of a parameter has at most %zu characters", sizeof param->name - 1);
    memcpy(param->name, name, length);
    for (size_t i = 0; i < tmpl->param_count; i++) {
        if (strcmp(tmpl->params[i].name, param->name) == 0)
            return fail(cursor, column, "there is a parameter of this name already");
    }
    if (!kgen_cursor_take(cursor, '='))
        return kgen_cursor_unexpected(cursor, "'=' and the values of the parameter");
    if (declare_values(parser, cursor, param) != 0 || declare_when(parser, cursor, column, item) != 0)
        return -1;
    parser->param_lines[tmpl->param_count] = cursor->line;
    parser->param_columns[tmpl->param_count] = column;
    tmpl->param_count++;
    size_t variants = 1;
    for (size_t i = 0; i < tmpl->param_count; i++)
        variants *= tmpl->params[i].count;
    if (variants > KGEN_TEMPLATE_VARIANTS_MAX)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                              "the parameters up to this one make %zu variants, more than %d", variants,
                              KGEN_TEMPLATE_VARIANTS_MAX);
    return 0;
}

static int declare_require(struct kgen_parser *parser, struct kgen_cursor *cursor, struct kgen_item *item)
{
    struct kgen_template *tmpl = parser->tmpl;
    const char *reason;
    size_t length;
    *item = (struct kgen_item){.kind = KGEN_ITEM_REQUIRE, .line = cursor->line};
    item->expression = kgen_expression_parse(&tmpl->expressions, cursor, false);
    if (item->expression == KGEN_ABSENT)
        return -1;
    if (!kgen_cursor_take(cursor, ','))
        return kgen_cursor_unexpected(cursor, "',' and the reason in double quotes");
    if (kgen_cursor_take_string(cursor, &reason, &length) != 0)
        return -1;
    if (!kgen_array_reserve((void **)&tmpl->reasons, tmpl->reason_count, &tmpl->reason_capacity,
                            sizeof *tmpl->reasons))
        return kgen_error_set(cursor->error, KGEN_ERROR_MEMORY, cursor->source, 0, 0, "out of memory");
    if (copy_string(cursor, reason, length, &tmpl->reasons[tmpl->reason_count]) != 0)
        return -1;
    item->as.declared.index = (int32_t)tmpl->reason_count++;
    return 0;
}

struct declaration {
    const char *keyword;
    int (*read)(struct kgen_parser *parser, struct kgen_cursor *cursor, struct kgen_item *item);
};

static const struct declaration declarations[] = {
    {"template", declare_template}, {"op", declare_op},           {"isa", declare_isa},
    {"param", declare_param},       {"require", declare_require},
};

static const struct declaration *find_declaration(const char *keyword, size_t length)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(declarations); i++) {
        if (strlen(declarations[i].keyword) == length &&
            memcmp(declarations[i].keyword, keyword, length) == 0)
            return &declarations[i];
    }
    return NULL;
}

bool kgen_template_is_declaration(const char *keyword, size_t length)
{
    return find_declaration(keyword, length) != NULL;
}

int kgen_template_declare(struct kgen_parser *parser, struct kgen_cursor *cursor, const char *keyword,
                          size_t length, int column, struct kgen_item *item)
{
    const struct kgen_template *tmpl = parser->tmpl;
    const struct declaration *declaration = find_declaration(keyword, length);
    bool repeated = (declaration->read == declare_template && tmpl->name != NULL) ||
                    (declaration->read == declare_op && tmpl->op != NULL) ||
                    (declaration->read == declare_isa && tmpl->isas != 0);
    if (repeated)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                              "a second $%s", declaration->keyword);
    if (declaration->read(parser, cursor, item) != 0)
        return -1;
    return kgen_cursor_finish(cursor);
}

/* What a name that every template sees is, or NULL for a free name. */
static const char *taken_by(const struct kgen_op *op, const char *name)
{
    enum kgen_isa isa;
    if (kgen_isa_parse(name, &isa) == 0)
        return "an instruction set";
    if (kgen_constant_find(name) != KGEN_CONSTANT_NONE)
        return "a word that a field can hold";
    if (kgen_string_find(derived_names, KGEN_COUNT_OF(derived_names), name) >= 0)
        return "a name that every template sees";
    return op != NULL && kgen_op_field(op, name) != NULL ? "a field of the op" : NULL;
}

bool kgen_template_sees(const char *name, size_t length)
{
    char copy[64];
    if (length >= sizeof copy)
        return false;
    memcpy(copy, name, length);
    copy[length] = '\0';
    bool taken = false;
    for (size_t i = 0; i < kgen_op_count() && !taken; i++)
        taken = taken_by(kgen_op_at(i), copy) != NULL;
    return taken;
}

int kgen_template_declared(struct kgen_parser *parser, int line, int column)
{
    const struct kgen_template *tmpl = parser->tmpl;
    const char *source = tmpl->file->source;
    if (tmpl->name == NULL) {
        kgen_error_set(parser->error, KGEN_ERROR_TEMPLATE, source, line, column,
                       "$template is missing before the text");
        kgen_error_hint(parser->error, "begin with: $template NAME \"summary\"");
        return -1;
    }
    if (tmpl->op != NULL && tmpl->isas == 0) {
        kgen_error_set(parser->error, KGEN_ERROR_TEMPLATE, source, parser->op_line, 1,
                       "a template with an $op needs an $isa");
        kgen_error_hint(parser->error, "for instance: $isa avx512 avx2 neon");
        return -1;
    }
    for (size_t i = 0; i < tmpl->param_count; i++) {
        const char *taken = taken_by(tmpl->op, tmpl->params[i].name);
        if (taken == NULL && tmpl->other_op != NULL)
            taken = taken_by(tmpl->other_op, tmpl->params[i].name);
        if (taken != NULL)
            return kgen_error_set(parser->error, KGEN_ERROR_TEMPLATE, source, parser->param_lines[i],
                                  parser->param_columns[i], "the parameter '%s' has the name of %s",
                                  tmpl->params[i].name, taken);
    }
    return 0;
}
