/* SPDX-License-Identifier: MIT */
/* A parsed template. Shared by the files that make up the template language, and by nobody else. */
#ifndef KGEN_TEMPLATE_INTERNAL_H
#define KGEN_TEMPLATE_INTERNAL_H

#include "gen/template/expression.h"

#include <stdatomic.h>

/* What a template may cost, so that a wrong one ends in an error and never in a hang. */
#define KGEN_TEMPLATE_FILE_MAX ((size_t)1 << 20)    /* bytes of one file */
#define KGEN_TEMPLATE_OUTPUT_MAX ((size_t)16 << 20) /* bytes of one instance */
#define KGEN_TEMPLATE_STEPS_MAX (INT64_C(1) << 22)  /* items and operations of one instance */
#define KGEN_TEMPLATE_BLOCKS_MAX 32                 /* blocks open at once in one file */
#define KGEN_TEMPLATE_INCLUDES_MAX 16               /* files open at once */
#define KGEN_TEMPLATE_HOLES_MAX 4                   /* ${...} in the name of an included file */
#define KGEN_TEMPLATE_VARIANTS_MAX 65536            /* the product of the counts of all parameter values */

/* One file of templates; the text has no carriage returns before its line ends and is terminated. */
struct kgen_template_file {
    char *name;   /* "qmv_f32.c.in"; owned */
    char *source; /* for errors: "templates/c/qmv_f32.c.in", or the path in a folder; owned */
    char *text;   /* owned */
    size_t length;
    bool stands_in; /* a file of the binary in a set of a folder that has none of its name */
};

enum kgen_item_kind {
    KGEN_ITEM_TEXT,
    KGEN_ITEM_PRINT,
    KGEN_ITEM_BRANCH, /* $if, and each $elif and $else of it */
    KGEN_ITEM_LOOP,
    KGEN_ITEM_LET,
    KGEN_ITEM_ASSERT,
    KGEN_ITEM_INCLUDE,
    KGEN_ITEM_REQUIRE,
    KGEN_ITEM_WHEN /* the condition of a $param */
};

/* Numbers of names or of files; zero-initialise. */
struct kgen_numbers {
    int32_t *items; /* owned */
    size_t count, capacity;
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
            int32_t file;  /* KGEN_ABSENT where its name is known at instantiation: one of the choices */
            int32_t first; /* of the choices, in choices of the template */
            int32_t count;
        } include;
        struct {
            int32_t index; /* of the requirement, or of the parameter */
        } declared;
    } as;
    int32_t expression; /* KGEN_ITEM_PRINT, KGEN_ITEM_LET, KGEN_ITEM_ASSERT, KGEN_ITEM_REQUIRE,
                         * KGEN_ITEM_WHEN; the name of a file of KGEN_ITEM_INCLUDE */
};

/* A file as a part of a template: itself, or what it includes. Each file is parsed once. */
struct kgen_parsed_file {
    const struct kgen_template_file *file;
    int32_t body;
    bool open;                    /* being parsed */
    bool has_text;                /* it, or a file that it includes, may print something */
    struct kgen_numbers takes;    /* names of its $in lines */
    struct kgen_numbers gives;    /* names of its $out lines */
    struct kgen_numbers includes; /* files */
    int out_line;                 /* of the last $out line, or 0 */
};

struct kgen_template {
    const struct kgen_template_file *file;
    struct kgen_template_file *own_file; /* owned; NULL where it lies in a set */
    char *name, *summary;                /* owned */
    const struct kgen_op *op;            /* NULL where it declares none */
    const struct kgen_op *other_op;      /* NULL, or the second */
    unsigned isas;
    struct kgen_param params[KGEN_PARAM_MAX];
    size_t param_count;
    char **reasons; /* owned, of the $require lines */
    size_t reason_count, reason_capacity;
    int32_t last_condition; /* the last KGEN_ITEM_REQUIRE or KGEN_ITEM_WHEN, or KGEN_ABSENT */
    struct kgen_expressions expressions;
    struct kgen_item *items; /* owned */
    size_t item_count, item_capacity;
    struct kgen_parsed_file *files; /* owned; the first is the template's own file */
    size_t file_count, file_capacity;
    struct kgen_numbers choices; /* files */
    uint64_t hash;
};

/* A template in a set. One that is not parsed yet has no template; its name and ops are known all the same.
 */
struct kgen_templates_item {
    const struct kgen_templates *set; /* where its includes come from */
    const struct kgen_template_file *file;
    char *name;                         /* owned */
    const struct kgen_op *op, *other;   /* as in struct kgen_template */
    struct kgen_template *_Atomic tmpl; /* owned; NULL until it is parsed */
};

struct kgen_templates {
    struct kgen_template_file *files; /* owned; in the order of their names */
    size_t file_count, file_capacity;
    struct kgen_templates_item **items; /* owned, but of a set over another; in the order of their names */
    size_t count, capacity;
    struct kgen_templates_item *
        *support; /* owned; those of the binary that stand in for what a folder lacks */
    size_t support_count, support_capacity;
    bool own;
    struct kgen_templates *over, *under; /* owned; of one set over another, which has no files of its own */
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

/* A block that is open in a file: the file itself, an $if or a $for. */
struct kgen_block {
    enum kgen_item_kind kind; /* KGEN_ITEM_INCLUDE for the file itself */
    int32_t owner;            /* the loop, or the branch being filled */
    int32_t first, last;      /* items so far */
    int line, column;
    bool has_else;
};

/* A C name of a $c_in or $c_out line. */
struct kgen_c_name {
    const char *start; /* borrowed from the file's text */
    size_t length;
    bool numbered; /* it stands for names that begin with it: sum* */
    int line, column;
};

/* One file being parsed. */
struct kgen_reading {
    struct kgen_parser *parser;
    const struct kgen_template_file *file;
    int32_t index; /* of the parsed file */
    struct kgen_block blocks[KGEN_TEMPLATE_BLOCKS_MAX];
    int depth;                         /* the innermost block */
    bool declaring;                    /* no text yet */
    bool is_include;                   /* an *.inc file */
    const char *text_start, *text_end; /* text not yet made an item */
    int text_line;
    /* Of an included file: */
    struct kgen_numbers known;   /* owned; names that have a value */
    struct kgen_c_name *c_names; /* owned */
    size_t c_name_count, c_name_capacity;
    const char *interface_end; /* in the text, behind the last line of the interface */
};

/* Makes a file from text, copied. Returns 0, or -1 with an error. */
int kgen_template_file_make(struct kgen_template_file *file, const char *name, const char *source,
                            const char *text, size_t length, struct kgen_error *error);
void kgen_template_file_free(struct kgen_template_file *file);
/* The file of that name, or NULL. set may be NULL. */
const struct kgen_template_file *kgen_templates_file(const struct kgen_templates *set, const char *name,
                                                     size_t length);
/* The file with this index, in the order of their names, or NULL. set may be NULL. */
const struct kgen_template_file *kgen_templates_file_at(const struct kgen_templates *set, size_t index);
/* Adds the nearest name of an includable file as a hint. */
void kgen_templates_hint(const struct kgen_templates *set, const char *name, size_t length,
                         struct kgen_error *error);

/* Parses a file that outlives the template. included: the file is an *.inc, parsed alone to find its errors.
 */
struct kgen_template *kgen_template_parse_file(const struct kgen_template_file *file,
                                               const struct kgen_templates *set, bool included,
                                               struct kgen_error *error);

/* declare.c: reads the declaration of that keyword with the cursor behind it, and fills *item with a
 * KGEN_ITEM_REQUIRE or KGEN_ITEM_WHEN where there is something to be evaluated for each variant. Returns 0,
 * or -1 with an error. */
int kgen_template_declare(struct kgen_parser *parser, struct kgen_cursor *cursor, const char *keyword,
                          size_t length, int column, struct kgen_item *item);
/* Whether the name has a meaning in every template, for some op. */
bool kgen_template_sees(const char *name, size_t length);
/* Checks the declarations as a whole; called at the line and column where the body begins. */
int kgen_template_declared(struct kgen_parser *parser, int line, int column);
/* Whether keyword is that of a declaration. */
bool kgen_template_is_declaration(const char *keyword, size_t length);

/* parse.c: parses a file, unless it is parsed, and finds its number. */
int kgen_reading_parse(struct kgen_parser *parser, const struct kgen_template_file *file, bool is_include,
                       int32_t *number);
/* Makes an item at the end of the innermost block. Returns its number, or KGEN_ABSENT with an error. */
int32_t kgen_reading_add(struct kgen_reading *reading, struct kgen_item item);
/* Parses an expression whose names must be known. */
int32_t kgen_reading_expression(struct kgen_reading *reading, struct kgen_cursor *cursor, bool printable);

/* items.c: makes an item of a file, parsed, or with what its first lines say alone; a file whose first lines
 * do not name a template is parsed. Returns NULL with an error. */
struct kgen_templates_item *kgen_templates_item_new(const struct kgen_templates *set,
                                                    const struct kgen_template_file *file, bool parsed,
                                                    struct kgen_error *error);
void kgen_templates_item_free(struct kgen_templates_item *item);
/* Compares the names of two items, given as pointers to pointers to them. */
int kgen_templates_compare_items(const void *a, const void *b);
/* The template of the item, which is parsed if it is not yet. NULL with an error. Safe from several threads.
 */
const struct kgen_template *kgen_templates_item_parse(struct kgen_templates_item *item,
                                                      struct kgen_error *error);

/* include.c: reads an $include. */
int kgen_include_read(struct kgen_reading *reading, struct kgen_cursor *cursor, int column);
/* Reads a line of an included file's interface: $in, $out, $c_in or $c_out. Returns 1 where keyword is none
 * of them, 0 where it was read, -1 on an error. */
int kgen_interface_read(struct kgen_reading *reading, struct kgen_cursor *cursor, const char *keyword,
                        size_t length, int column);
/* Checks the interface against the file, all of which is parsed. */
int kgen_interface_check(struct kgen_reading *reading);
/* Makes a name known in the file. */
int kgen_interface_know(struct kgen_reading *reading, int32_t name);
/* Checks the names of the expression nodes from first on; they stand on the cursor's line. */
int kgen_interface_check_names(const struct kgen_reading *reading, size_t first,
                               const struct kgen_cursor *cursor);

bool kgen_numbers_add(struct kgen_numbers *numbers, int32_t number);
bool kgen_numbers_has(const struct kgen_numbers *numbers, int32_t number);

/* Takes a string in double quotes: its text without them. Returns 0, or -1 with an error. */
int kgen_cursor_take_string(struct kgen_cursor *cursor, const char **start, size_t *length);
/* Takes a name that may be given to a value. */
int kgen_cursor_take_new_name(struct kgen_cursor *cursor, const char **name, size_t *length);
/* Checks that nothing is left on the line. */
int kgen_cursor_finish(struct kgen_cursor *cursor);

#endif
