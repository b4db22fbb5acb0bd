/* SPDX-License-Identifier: MIT */
/* What the files of the lowering share.
 *
 *   lower.c          the walk over the text: functions, blocks, vector statements
 *   tokens.c         tokens, literals, errors at a token
 *   parse.c          the expression tree of a vector statement, addresses
 *   scalar_c.c       what the C between vector statements does to vector registers
 *   loop.c           loops with literal bounds, the unrolling of loops of prefetches
 *   vector_ops.c     the table of vector operations
 *   select.c         instruction selection: from expression trees to instructions
 *   select_memory.c  the same for loads and stores
 *   asm_statement.c  register allocation, and the asm statements that hold the instructions
 *   encode.c         the encoding of one instruction
 *   count.c          counting instructions instead of writing them */
#ifndef KGEN_LOWER_INTERNAL_H
#define KGEN_LOWER_INTERNAL_H

#include "gen/target/lower/encode.h"
#include "gen/target/lower/lower.h"

/* ---- tokens ---- */

enum kgen_token_kind {
    KGEN_TOKEN_NAME,
    KGEN_TOKEN_NUMBER,
    KGEN_TOKEN_STRING,    /* a string or character literal */
    KGEN_TOKEN_DIRECTIVE, /* a whole line of the preprocessor */
    KGEN_TOKEN_SIGN,      /* an operator or bracket of C */
    KGEN_TOKEN_END
};

struct kgen_token {
    const char *start;
    int length;
    enum kgen_token_kind kind;
    int line, column;
};

/* The tokens of a text; the last is KGEN_TOKEN_END. Elsewhere a token is its index. */
struct kgen_tokens {
    struct kgen_token *items; /* owned */
    int count, capacity;
};

/* The tokens from begin up to end, which is excluded. */
struct kgen_span {
    int begin, end;
};

struct kgen_token_list {
    int *items; /* owned */
    int count, capacity;
};

/* ---- vector operations and expression trees ---- */

/* The type of an argument or a result, as one letter of a vector operation's row. */
enum kgen_type {
    KGEN_TYPE_NOTHING = '-',
    KGEN_TYPE_F32 = 'f',       /* kv_f32 */
    KGEN_TYPE_INT = 'i',       /* kv_int */
    KGEN_TYPE_POINTER = 'p',   /* a C expression */
    KGEN_TYPE_COUNT = 'c',     /* a C expression, 0 to lanes */
    KGEN_TYPE_VALUE = 'e',     /* a C expression, an int */
    KGEN_TYPE_IMMEDIATE = 'n', /* an integer literal */
    KGEN_TYPE_LITERAL = 'l'    /* a float literal */
};

struct kgen_lowering;
struct kgen_vector_expr;

/* The value of an expression: a virtual register that has been allocated, or a load that its user takes as a
 * memory operand. */
struct kgen_vector_value {
    int reg;
    bool temporary;                      /* no variable owns the register: it may be overwritten */
    const struct kgen_vector_expr *load; /* NULL: the value is in reg */
    bool broadcast;                      /* the load is of one 32-bit element for all lanes */
};

/* Selects the instructions of an expression and emits them. The value is wanted in register destination, or
 * anywhere where that is -1; it may end up elsewhere. */
typedef struct kgen_vector_value kgen_selector(struct kgen_lowering *lowering,
                                               const struct kgen_vector_expr *expr, int destination);

#define KGEN_VECTOR_OP_ARGS 3
struct kgen_vector_op {
    const char *name;
    char result;             /* enum kgen_type */
    const char *args;        /* enum kgen_type each */
    uint8_t element_bytes;   /* of what a pointer argument points to */
    uint8_t immediate_limit; /* an immediate is less than this */
    uint8_t flags;           /* KGEN_VECTOR_OP_... */
    uint16_t mnemonic[2];    /* with EVEX, with VEX */
    kgen_selector *select;
};
#define KGEN_VECTOR_OP_COMMUTES 1      /* the first two arguments may change places */
#define KGEN_VECTOR_OP_BROADCASTS_32 2 /* EVEX: a memory operand may be one 32-bit element for all lanes */
#define KGEN_VECTOR_OP_LOADS 4         /* loads a whole vector: may become a memory operand */
#define KGEN_VECTOR_OP_RENAMES 8       /* gives the same bits another type: needs no instruction */

enum kgen_vector_expr_kind { KGEN_EXPR_CALL, KGEN_EXPR_VARIABLE, KGEN_EXPR_C };
struct kgen_vector_expr {
    enum kgen_vector_expr_kind kind;
    int token; /* the first */
    /* a call: */
    const struct kgen_vector_op *vector_op;
    const struct kgen_vector_expr *args[KGEN_VECTOR_OP_ARGS];
    /* a variable: */
    int variable; /* its index */
    /* a C expression: */
    char type;             /* enum kgen_type */
    struct kgen_span span; /* its tokens; of a pointer those before a literal offset */
    bool is_literal;
    int64_t literal;       /* the value of a literal; the literal offset of a pointer, in elements */
    float number;          /* the value of KGEN_TYPE_LITERAL */
    uint8_t element_bytes; /* of what a pointer points to */
};

/* ---- the function being lowered ---- */

#define KGEN_VARIABLE_MAX 256
#define KGEN_BLOCK_MAX 64
#define KGEN_VECTOR_EXPR_MAX 96
#define KGEN_ASM_INPUT_MAX 5

struct kgen_variable {
    int token; /* its name */
    char type; /* enum kgen_type */
    int reg;
    bool assigned;
};

/* A block `{ ... }` of C. */
struct kgen_block {
    int variables;    /* how many were declared before it */
    bool has_vectors; /* it has a vector statement */
    double runs;      /* counting: how often one call of the function runs it */
};

/* Registers are virtual: there are as many as are asked for. Where the peak exceeds what the machine has, the
 * function cannot be lowered, and the error says how many it needs. Nothing is spilled. */
struct kgen_register_allocator {
    bool allocated[KGEN_VARIABLE_MAX + KGEN_VECTOR_EXPR_MAX + 8];
    int first; /* the lowest that may be allocated */
    int in_use;
    int peak;            /* the most that were in use at once */
    int peak_token;      /* the statement that reached it */
    bool used_xmm0_to_7; /* one of those that TinyCC's floating point uses was allocated */
};

/* A C expression that an asm statement receives in a general register. */
struct kgen_asm_input {
    struct kgen_span span;
    bool is_pointer; /* else an int */
    bool has_effects;
};

/* The asm statement being built. */
struct kgen_asm_statement {
    struct kgen_asm_input inputs[KGEN_ASM_INPUT_MAX];
    int input_count;
    struct kgen_text bytes;  /* encoded instructions */
    struct kgen_text checks; /* static assertions, to stand before it */
    bool stores;             /* it writes memory: inputs that read memory must be computed after it */
    bool sealed;             /* an input has side effects: it ends with the vector statement */
    int mask;                /* EVEX: the count whose mask is in k1, or KGEN_MASK_REGISTER + the general
                                register of that count; -1: none */
    int ones;                /* VEX: the register that holds 1 in every 16 bits; -1: none */
};
#define KGEN_MASK_REGISTER 1000

/* What is known of the C around the vector statements. Where it is not certain, the worse is assumed. */
struct kgen_c_facts {
    struct kgen_token_list float_pointers;  /* names whose elements are float or double */
    struct kgen_token_list plain_functions; /* functions without vectors, which call only such functions */
    struct kgen_token_list address_taken;   /* names after a unary & */
    bool float_members;                     /* a struct or typedef has a float */
    bool float_signature;                   /* the function being read takes or returns a float */
    bool uses_float;                        /* it computes with floats */
    bool calls_other;                       /* it calls a function that is not plain */
};

/* ---- loops ---- */

/* The head of `for (int i = 0; i < 16; i += 4)`. */
struct kgen_loop {
    struct kgen_span init, condition, step;
    int body;           /* the token after the head */
    int64_t increment;  /* at least 1 */
    bool is_literal;    /* begin and end are known */
    int64_t begin, end; /* of the variable; end is excluded */
};

/* A loop whose body is a single `kv_prefetch(BASE + OFFSET + SCALE * i);`. */
struct kgen_prefetch_loop {
    struct kgen_loop head;
    struct kgen_span base;
    int64_t offset, scale; /* bytes */
    int after;             /* the token after the loop */
};

/* A literal offset beyond this stays in the C expression. */
#define KGEN_OFFSET_MAX (1 << 24)

/* ---- counting ---- */

struct kgen_counted_function {
    int token; /* its name */
    double instructions;
    bool called; /* a later function calls it, and its count includes this one's */
};
#define KGEN_COUNTED_MAX 32

struct kgen_counting {
    bool on;
    double instructions; /* of the function being read */
    struct kgen_counted_function functions[KGEN_COUNTED_MAX];
    int function_count;
    int64_t range;    /* of a call */
    int64_t left;     /* what the loops of the function so far have left of it */
    double next_runs; /* how often the loop whose head was read runs the next block or statement */
};

struct kgen_lowering {
    const char *source;
    const struct kgen_isa_info *isa;
    bool evex; /* the encoding is EVEX, else VEX */
    int vector_bytes, lanes, registers;
    struct kgen_text *out;
    struct kgen_error *error;
    bool failed;
    struct kgen_tokens tokens;

    struct kgen_vector_expr exprs[KGEN_VECTOR_EXPR_MAX]; /* of the vector statement */
    int expr_count;
    int statement; /* its first token */

    struct kgen_variable variables[KGEN_VARIABLE_MAX]; /* in scope */
    int variable_count;
    struct kgen_block blocks[KGEN_BLOCK_MAX]; /* open, the outermost first */
    int block_count;                          /* 0 outside of functions */

    struct kgen_register_allocator allocator;
    struct kgen_asm_statement pending;
    /* Triples: the span of a pointer expression, and the size of its elements, which a static assertion of
     * this function checks. */
    struct kgen_token_list checked;
    struct kgen_c_facts facts;
    struct kgen_counting counting;
};

/* ---- tokens.c ---- */

int kgen_tokenize(struct kgen_lowering *lowering, const char *text);
bool kgen_token_is(const struct kgen_lowering *lowering, int token, const char *text);
bool kgen_tokens_equal(const struct kgen_lowering *lowering, int a, int b);
/* The character of a sign of one character, else '\0'. */
char kgen_token_sign(const struct kgen_lowering *lowering, int token);
/* The bracket that closes the one at open, or -1 (and an error) where there is none. */
int kgen_token_matching(struct kgen_lowering *lowering, int open);
/* Reads "12", "-12" or "0x1f" with suffixes; false where the tokens are anything else. */
bool kgen_read_integer(const struct kgen_lowering *lowering, struct kgen_span span, int64_t *value);
/* Reads "1.5", "-1.5f" or "2"; false where the tokens are anything else. */
bool kgen_read_float(const struct kgen_lowering *lowering, struct kgen_span span, float *value);
int kgen_token_list_add(struct kgen_lowering *lowering, struct kgen_token_list *list, int token);
/* Sets the error at a token; returns -1. */
int kgen_lower_error(struct kgen_lowering *lowering, enum kgen_error_code code, int token, const char *format,
                     ...) KGEN_PRINTF(4, 5);

/* ---- parse.c ---- */

/* Parses the vector expression that begins at a token. Sets *end to the token after it. NULL on an error. */
const struct kgen_vector_expr *kgen_vector_expr_parse(struct kgen_lowering *lowering, int begin, int *end);
/* The type of a vector expression, enum kgen_type. */
char kgen_vector_expr_type(const struct kgen_lowering *lowering, const struct kgen_vector_expr *expr);
/* "a kv_f32", "a kv_int", "no value" */
const char *kgen_type_name(char type);
/* The index of the vector variable in scope of that name, or -1. */
int kgen_find_variable(const struct kgen_lowering *lowering, int token);
/* Splits an address `base + 64 + 4 * i` into its base, which span becomes, the sum of its literals, and the
 * factor of i. i is the name at token variable; with -1 there is none, and *scale is 0. */
void kgen_split_address(const struct kgen_lowering *lowering, struct kgen_span *span, int variable,
                        int64_t *literal, int64_t *scale);

/* ---- scalar_c.c ---- */

/* Notes what a token of C outside of vector statements does. */
void kgen_c_token(struct kgen_lowering *lowering, int token);
/* Notes the tokens of a C expression within a vector statement, and refuses vectors in it. */
void kgen_c_expression(struct kgen_lowering *lowering, struct kgen_span span);
/* Whether a name is that of a scalar conversion of the prelude, which begins as vector operations do. */
bool kgen_c_is_conversion(const struct kgen_lowering *lowering, int token);
/* Fills facts.address_taken. */
void kgen_c_find_address_taken(struct kgen_lowering *lowering);
bool kgen_c_has_effects(const struct kgen_lowering *lowering, struct kgen_span span);
bool kgen_c_reads_memory(const struct kgen_lowering *lowering, struct kgen_span span);

/* ---- loop.c ---- */

/* Reads the head of the loop at a token. False where it is no loop that counts up. */
bool kgen_loop_read(const struct kgen_lowering *lowering, int token, struct kgen_loop *loop);
/* How often the body of a loop with literal bounds is run. */
int64_t kgen_loop_turns(const struct kgen_loop *loop);
/* Reads the loop at a token. False where it is not a loop of prefetches that can be unrolled. */
bool kgen_prefetch_loop_read(const struct kgen_lowering *lowering, int token,
                             struct kgen_prefetch_loop *loop);
/* Emits the prefetches of the loop, one instruction each. */
void kgen_prefetch_loop_emit(struct kgen_lowering *lowering, const struct kgen_prefetch_loop *loop);

/* ---- vector_ops.c ---- */

/* NULL for an unknown name. */
const struct kgen_vector_op *kgen_vector_op_find(const char *name, size_t length);
/* In the order of their names. NULL past the last. */
const struct kgen_vector_op *kgen_vector_op_at(size_t index);
/* Adds the vector operation whose name is nearest to an error as a hint. */
void kgen_vector_op_suggest(const char *name, size_t length, struct kgen_error *error);

/* ---- select.c ---- */

kgen_selector kgen_select;
/* Releases the register of a temporary. */
void kgen_vector_value_release(struct kgen_lowering *lowering, struct kgen_vector_value value);
/* Emits a move, unless the registers are the same. */
void kgen_emit_move(struct kgen_lowering *lowering, int destination, int source);
void kgen_emit_vzeroupper(struct kgen_lowering *lowering);

/* ---- asm_statement.c ---- */

/* Allocates the lowest vector register that is free. */
int kgen_register_allocate(struct kgen_lowering *lowering);
void kgen_register_release(struct kgen_lowering *lowering, int reg);
/* Begins an empty asm statement. */
void kgen_asm_begin(struct kgen_lowering *lowering);
/* Writes the asm statement, unless it is empty, and begins a new one. */
void kgen_asm_end(struct kgen_lowering *lowering);
/* Makes count C expressions inputs of one asm statement, and returns the general register of each. The
 * present statement is ended where they cannot join it. A literal needs no register. */
void kgen_asm_add_inputs(struct kgen_lowering *lowering, const struct kgen_vector_expr *const *exprs,
                         int count, uint8_t *registers);
/* Appends an instruction to the asm statement. */
void kgen_emit_instruction(struct kgen_lowering *lowering, const struct kgen_instruction *instruction);

/* ---- count.c; these do nothing where nothing is counted ---- */

void kgen_count_begin_function(struct kgen_lowering *lowering);
void kgen_count_end_function(struct kgen_lowering *lowering, int name);
/* The sum over the functions that no other one calls. */
double kgen_count_total(const struct kgen_counting *counting);
/* Counts an instruction of the innermost block. A prefetch does not count: it costs a slot and saves a wait,
 * and which is more cannot be seen from the text. */
void kgen_count_instruction(struct kgen_lowering *lowering, const struct kgen_instruction *instruction);
void kgen_count_instructions(struct kgen_lowering *lowering, double instructions);
/* Counts what a token of C between vector statements stands for, and notes the loop that begins with it. */
void kgen_count_c_token(struct kgen_lowering *lowering, int token);
/* How often a block or statement that begins now is run. */
double kgen_count_runs(struct kgen_lowering *lowering);

#endif
