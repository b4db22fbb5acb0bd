/* SPDX-License-Identifier: MIT */
/* The integer expressions of the template language: parsed once into a tree, evaluated many times.
 * templates/README.md describes them. Internal to the template language. */
#ifndef KGEN_EXPRESSION_H
#define KGEN_EXPRESSION_H

#include "gen/template/template.h"

/* The deepest nesting of an expression, so that no input can exhaust the stack. */
#define KGEN_EXPRESSION_DEPTH 200

/* No expression, no item, no name. */
#define KGEN_ABSENT (-1)

/* Reading one line of a template: at moves from start to end. */
struct kgen_cursor {
    const char *source; /* the file, for errors */
    int line;
    const char *start, *at, *end;
    struct kgen_error *error;
};

/* The column of the cursor, from 1, in bytes. */
int kgen_cursor_column(const struct kgen_cursor *cursor);
void kgen_cursor_skip_blanks(struct kgen_cursor *cursor);
/* Skips blanks, then takes the character if it is next. */
bool kgen_cursor_take(struct kgen_cursor *cursor, char character);
/* Skips blanks, then takes a name: a letter or '_', then letters, digits and '_'. Returns its length, 0 where
 * there is none. */
size_t kgen_cursor_take_name(struct kgen_cursor *cursor, const char **name);
/* Takes the name keyword; anything else is an error, which says that expected was expected. Returns 0 or -1.
 */
int kgen_cursor_take_keyword(struct kgen_cursor *cursor, const char *keyword, const char *expected);
/* Skips blanks and says what stands at the cursor in place of what was expected. Returns -1. */
int kgen_cursor_unexpected(struct kgen_cursor *cursor, const char *expected);

/* The names that the expressions of one template use, each with a number. */
struct kgen_name {
    const char *start; /* borrowed from the template's text */
    size_t length;
};
struct kgen_names {
    struct kgen_name *items; /* owned */
    size_t count, capacity;
    int32_t *table; /* owned; open addressing, a power of two of entries, KGEN_ABSENT where free */
    size_t table_size;
};
/* The number of the name, or KGEN_ABSENT. */
int32_t kgen_names_find(const struct kgen_names *names, const char *start, size_t length);
/* The number of the name, a new one where it has none yet; KGEN_ABSENT when memory runs out. */
int32_t kgen_names_add(struct kgen_names *names, const char *start, size_t length);

/* Every expression of one template. An expression is the index of its root node. */
struct kgen_expressions {
    struct kgen_expression_node *nodes; /* owned */
    size_t count, capacity;
    struct kgen_names names;
};
void kgen_expressions_free(struct kgen_expressions *expressions);

/* Parses the expression at the cursor, up to the first character that cannot belong to it. A text or an entry
 * of a table is accepted where printable. Returns its root, or KGEN_ABSENT with an error. */
int32_t kgen_expression_parse(struct kgen_expressions *expressions, struct kgen_cursor *cursor,
                              bool printable);
/* Parses a text in double quotes, with its ${...}. Returns its root, a KGEN_TEXT, or KGEN_ABSENT with an
 * error. */
int32_t kgen_expression_parse_text(struct kgen_expressions *expressions, struct kgen_cursor *cursor);
/* Whether the name is that of a function, such as min, and cannot name a value. */
bool kgen_expression_is_function(const char *name, size_t length);

enum kgen_slot_kind { KGEN_SLOT_UNKNOWN, KGEN_SLOT_INTEGER, KGEN_SLOT_TEXT, KGEN_SLOT_TABLE };

/* What a name means at the moment. */
struct kgen_slot {
    enum kgen_slot_kind kind;
    int level;     /* of the block that named it; 0 for a binding */
    int64_t value; /* KGEN_SLOT_INTEGER */
    const char
        *text;     /* KGEN_SLOT_TEXT; of a KGEN_SLOT_INTEGER the name of the constant it prints as, or NULL */
    size_t length; /* of the text, which need not be terminated */
    const struct kgen_binding *table; /* KGEN_SLOT_TABLE */
};

/* Where evaluation happens. */
struct kgen_evaluation {
    const struct kgen_expressions *expressions;
    struct kgen_slot *slots; /* one for each name of expressions */
    const struct kgen_bindings *bindings;
    int64_t steps; /* the work left; an error when it runs out */
    const char *source;
    int line;
    struct kgen_error *error;
};

/* What a binding means. */
struct kgen_slot kgen_slot_of_binding(const struct kgen_binding *binding);

/* Returns 0 with the value, or -1 with an error. */
int kgen_expression_evaluate(struct kgen_evaluation *evaluation, int32_t root, int64_t *value);
/* Appends what ${...} prints. */
int kgen_expression_print(struct kgen_evaluation *evaluation, int32_t root, struct kgen_text *out);

/* What a name that is given this expression means: *slot, whose text is borrowed from a slot or a binding, or
 * was appended to text where *is_new. */
int kgen_expression_assign(struct kgen_evaluation *evaluation, int32_t root, struct kgen_slot *slot,
                           struct kgen_text *text, bool *is_new);

/* Makes room for one more item; false when memory runs out. */
bool kgen_array_reserve(void **items, size_t count, size_t *capacity, size_t item_size);

/* ---- Between expression_parse.c and expression.c ---- */

enum kgen_operator {
    KGEN_LITERAL,
    KGEN_NAME,
    KGEN_ENTRY, /* name[a] */
    KGEN_TEXT,  /* characters, then a printed and then the rest of the text, b */
    KGEN_HEX,
    KGEN_PLUS, /* plus(a): as a term to be added to an address, nothing where it is 0 */
    KGEN_MIN,
    KGEN_MAX,
    KGEN_ABS,
    KGEN_CEIL_DIV,
    KGEN_NOT,
    KGEN_INVERT,
    KGEN_NEGATE,
    KGEN_CONDITIONAL, /* a ? b : c */
    KGEN_OR,
    KGEN_AND,
    KGEN_BIT_OR,
    KGEN_BIT_XOR,
    KGEN_BIT_AND,
    KGEN_EQUAL,
    KGEN_UNEQUAL,
    KGEN_LESS,
    KGEN_LESS_EQUAL,
    KGEN_GREATER,
    KGEN_GREATER_EQUAL,
    KGEN_SHIFT_LEFT,
    KGEN_SHIFT_RIGHT,
    KGEN_ADD,
    KGEN_SUBTRACT,
    KGEN_MULTIPLY,
    KGEN_DIVIDE,
    KGEN_REMAINDER
};

struct kgen_expression_node {
    enum kgen_operator kind;
    int column;        /* of the operator, name, literal or function */
    int depth;         /* 1 for a leaf */
    int32_t a, b, c;   /* operands, or KGEN_ABSENT */
    int32_t name;      /* KGEN_NAME, KGEN_ENTRY */
    int64_t value;     /* KGEN_LITERAL; of KGEN_TEXT the number of characters */
    const char *start; /* KGEN_TEXT; borrowed from the template's text */
};

#endif
