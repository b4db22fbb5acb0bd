/* SPDX-License-Identifier: MIT */
/* A parsed template. Shared by the files that make up the template language, and by nobody else. */
#ifndef KGEN_TEMPLATE_INTERNAL_H
#define KGEN_TEMPLATE_INTERNAL_H

#include "gen/template/expression.h"

/* What a template may cost, so that a wrong one ends in an error and never in a hang. */
#define KGEN_TEMPLATE_FILE_MAX ((size_t)1 << 20)    /* bytes of one file */
#define KGEN_TEMPLATE_OUTPUT_MAX ((size_t)16 << 20) /* bytes of one instance */
#define KGEN_TEMPLATE_STEPS_MAX (INT64_C(1) << 22)  /* items and operations of one instance */
#define KGEN_TEMPLATE_BLOCKS_MAX 32                 /* blocks open at once in one file */
#define KGEN_TEMPLATE_INCLUDES_MAX 16               /* files open at once */
#define KGEN_TEMPLATE_VARIANTS_MAX 65536            /* the product of the counts of all parameter values */

/* One file of templates; the text has no carriage returns before its line ends and is terminated. */
struct kgen_template_file {
    char *name;   /* "qmv_f32.c.in"; owned */
    char *source; /* for errors: "templates/c/qmv_f32.c.in", or the path in a folder; owned */
    char *text;   /* owned */
    size_t length;
};

enum kgen_item_kind {
    KGEN_ITEM_TEXT,
    KGEN_ITEM_PRINT,
    KGEN_ITEM_BRANCH, /* $if, and each $elif and $else of it */
    KGEN_ITEM_LOOP,
    KGEN_ITEM_LET,
    KGEN_ITEM_ASSERT,
    KGEN_ITEM_INCLUDE
};

/* One piece of a template's body. Items refer to each other by index; a block is a chain of them. */
struct kgen_item {
    enum kgen_item_kind kind;
    int line, column;
    int32_t next; /* in the same block, or KGEN_ABSENT */
    union {
        struct {
            const char *start;
            size_t length;
        } text; /* KGEN_ITEM_TEXT, and the message of KGEN_ITEM_ASSERT */
        struct {
            int32_t condition; /* KGEN_ABSENT for $else */
            int32_t body;
            int32_t otherwise; /* the next branch, or KGEN_ABSENT */
        } branch;
        struct {
            int32_t name, start, stop, step; /* start and step may be KGEN_ABSENT: 0 and 1 */
            int32_t body;
        } loop;
        struct {
            int32_t name;
        } let;
        struct {
            int32_t unit;
        } include;
    } as;
    int32_t expression; /* KGEN_ITEM_PRINT, KGEN_ITEM_LET, KGEN_ITEM_ASSERT */
};

/* A file as a part of a template: itself, or what it includes. Each file is parsed once. */
struct kgen_unit {
    const struct kgen_template_file *file;
    int32_t body;
    bool open; /* being parsed */
};

struct kgen_requirement {
    int32_t expression;
    int line;
    char *reason; /* owned */
};

struct kgen_template {
    const struct kgen_template_file *file;
    struct kgen_template_file *own_file; /* owned; NULL where it lies in a set */
    char *name, *summary;                /* owned */
    enum kgen_op op;
    unsigned isas;
    struct kgen_param params[KGEN_PARAM_MAX];
    size_t param_count;
    struct kgen_requirement *requirements; /* owned, their reasons too */
    size_t requirement_count, requirement_capacity;
    struct kgen_expressions expressions;
    struct kgen_item *items; /* owned */
    size_t item_count, item_capacity;
    struct kgen_unit *units; /* owned; the first is the template's own file */
    size_t unit_count, unit_capacity;
    uint64_t hash;
};

/* The state of parsing one template. */
struct kgen_parser {
    struct kgen_template *tmpl;
    const struct kgen_templates *set; /* where includes come from; may be NULL */
    struct kgen_error *error;
    int files_open;
    int param_lines[KGEN_PARAM_MAX], param_columns[KGEN_PARAM_MAX];
    int op_line;
};

/* Makes a file from text, copied. Returns 0, or -1 with an error. */
int kgen_template_file_make(struct kgen_template_file *file, const char *name, const char *source,
                            const char *text, size_t length, struct kgen_error *error);
void kgen_template_file_free(struct kgen_template_file *file);
/* The file of that name, or NULL. set may be NULL. */
const struct kgen_template_file *kgen_templates_file(const struct kgen_templates *set, const char *name,
                                                     size_t length);
/* Adds the nearest name of an includable file as a hint. */
void kgen_templates_hint(const struct kgen_templates *set, const char *name, size_t length,
                         struct kgen_error *error);

/* Parses a file that outlives the template. included: the file is an *.inc, parsed alone to find its errors.
 */
struct kgen_template *kgen_template_parse_file(const struct kgen_template_file *file,
                                               const struct kgen_templates *set, bool included,
                                               struct kgen_error *error);

/* template_declare.c: reads the declaration of that keyword with the cursor behind it. Returns 1 where
 * keyword is no declaration, 0 where it was read, -1 on an error. */
int kgen_template_declare(struct kgen_parser *parser, struct kgen_cursor *cursor, const char *keyword,
                          size_t length, int column);
/* Checks the declarations as a whole; called at the line and column where the body begins. */
int kgen_template_declared(struct kgen_parser *parser, int line, int column);
/* Whether keyword is that of a declaration. */
bool kgen_template_is_declaration(const char *keyword, size_t length);

/* Takes a string in double quotes: its text without them. Returns 0, or -1 with an error. */
int kgen_cursor_take_string(struct kgen_cursor *cursor, const char **start, size_t *length);
/* Takes a name that may be given to a value. */
int kgen_cursor_take_new_name(struct kgen_cursor *cursor, const char **name, size_t *length);
/* Checks that nothing is left on the line. */
int kgen_cursor_finish(struct kgen_cursor *cursor);

#endif
