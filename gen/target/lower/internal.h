/* SPDX-License-Identifier: MIT */
/* What the files of the lowering share.
 *
 *   lower.c         walks the text: functions, scopes, variables, statements
 *   lower_parse.c   tokens, and the tree of one vector statement
 *   lower_c.c       what the C between vector statements does to vector registers
 *   loop.c          loops with literal bounds, runs of prefetches
 *   lower_ops.c     the table of operations
 *   lower_select.c  from an operation to its instructions
 *   lower_asm.c     from instructions and C operands to asm statements
 *   lower_count.c   counting instructions instead of writing them */
#ifndef KGEN_LOWER_INTERNAL_H
#define KGEN_LOWER_INTERNAL_H

#include "gen/target/lower/encode.h"
#include "gen/target/lower/lower.h"

enum kgen_token_kind {
    KGEN_TOKEN_NAME,
    KGEN_TOKEN_NUMBER,
    KGEN_TOKEN_STRING,    /* or a character literal */
    KGEN_TOKEN_DIRECTIVE, /* a whole line of the preprocessor */
    KGEN_TOKEN_SIGN,      /* an operator or bracket */
    KGEN_TOKEN_END
};

struct kgen_token {
    const char *start;
    int length;
    enum kgen_token_kind kind;
    int line, column;
};

/* The tokens of a text; the last is KGEN_TOKEN_END. */
struct kgen_tokens {
    struct kgen_token *items; /* owned */
    int count, capacity;
};

/* A run of tokens. */
struct kgen_span {
    int begin, end;
};

/* What an operation takes and gives, one letter each. */
enum kgen_type {
    KGEN_TYPE_NOTHING = '-',
    KGEN_TYPE_F32 = 'f',       /* kv_f32 */
    KGEN_TYPE_INT = 'i',       /* kv_int */
    KGEN_TYPE_POINTER = 'p',   /* a C expression */
    KGEN_TYPE_COUNT = 'c',     /* a C expression, 0 to lanes */
    KGEN_TYPE_VALUE = 'e',     /* a C expression, an int */
    KGEN_TYPE_IMMEDIATE = 'n', /* an integer literal, less than the width */
    KGEN_TYPE_LITERAL = 'l'    /* a float literal */
};

struct kgen_lowering;
struct kgen_node;

#define KGEN_OPERATION_ARGS 3
struct kgen_operation {
    const char *name;
    char result;          /* enum kgen_type */
    const char *args;     /* enum kgen_type each */
    uint8_t element;      /* bytes that 1 adds to a pointer argument; of a load its lanes in memory */
    uint8_t width;        /* an immediate is less than this */
    uint8_t flags;        /* KGEN_OPERATION_... */
    uint16_t mnemonic[2]; /* for AVX-512 and for AVX2 */
    /* As kgen_evaluate. */
    struct kgen_value (*select)(struct kgen_lowering *lowering, const struct kgen_node *node, int target);
};
#define KGEN_OPERATION_COMMUTES 1 /* the first two arguments may change places */
#define KGEN_OPERATION_LANES_32 2 /* a 32-bit element in memory can be given to all lanes */
#define KGEN_OPERATION_EVEX 4     /* with AVX-512, only EVEX encodes it */
#define KGEN_OPERATION_LOADS 8    /* a plain load of a whole vector: may become a memory operand */
#define KGEN_OPERATION_RENAMES 16 /* the same bits under another type: no instruction */

/* A register, or the node of a load that becomes a memory operand. */
struct kgen_value {
    int reg;
    bool temporary;                 /* the register is the statement's own */
    const struct kgen_node *memory; /* NULL: a register */
    bool embedded;                  /* the memory operand is one element for all lanes */
};

enum kgen_node_kind { KGEN_NODE_CALL, KGEN_NODE_VARIABLE, KGEN_NODE_C };
struct kgen_node {
    enum kgen_node_kind kind;
    int token; /* where it starts */
    const struct kgen_operation *operation;
    const struct kgen_node *args[KGEN_OPERATION_ARGS];
    int variable;          /* index */
    struct kgen_span span; /* C: the expression; of a pointer the part before a literal offset */
    char type;             /* C: enum kgen_type */
    uint8_t element;       /* C: of a pointer, bytes that 1 adds */
    int64_t literal;       /* C: the value of a literal, or the literal offset of a pointer, in elements */
    bool is_literal;       /* C */
    float number;          /* C: of KGEN_TYPE_LITERAL */
};

#define KGEN_VARIABLE_MAX 256
#define KGEN_SCOPE_MAX 64
#define KGEN_NODE_MAX 96
#define KGEN_OPERAND_MAX 5

struct kgen_variable {
    int token; /* its name */
    char type;
    int reg;
    bool assigned;
};

struct kgen_scope {
    int variables;    /* how many there were before it */
    bool has_vectors; /* a vector statement stood in it */
    double runs;      /* counting: how often it is run in a call of its function */
};

/* A function that was counted. */
struct kgen_counted {
    int token; /* its name */
    double instructions;
    bool called; /* by a later one, whose count has it */
};
#define KGEN_COUNTED_MAX 32

/* Counting instead of writing. */
struct kgen_counting {
    bool on;
    double instructions; /* of the function being read */
    struct kgen_counted functions[KGEN_COUNTED_MAX];
    int function_count;
    int64_t range;    /* of a call */
    double next_runs; /* of the scope that opens next */
    int64_t left;     /* of the range, for the loops to come */
};

/* The vector registers of a function. Those beyond the machine's exist on paper only, to be counted. */
struct kgen_pool {
    bool taken[KGEN_VARIABLE_MAX + KGEN_NODE_MAX + 8];
    int first;        /* those below are left to scalar code */
    int in_use, most; /* registers in use, and the most there ever were */
    int most_token;   /* the statement that needed them */
    bool used_low;    /* of the eight registers that scalar code clobbers */
};

/* A C expression that an asm statement receives in a general register. */
struct kgen_operand {
    struct kgen_span span;
    bool is_pointer; /* else an int */
    bool has_effects;
};

/* The asm statement under construction. */
struct kgen_group {
    struct kgen_operand operands[KGEN_OPERAND_MAX];
    int operand_count;
    struct kgen_text bytes;
    struct kgen_text checks; /* C to stand before it */
    bool stores; /* it writes memory, so that a C expression that reads memory must come after it */
    bool sealed; /* an operand has side effects: the asm statement ends with the vector statement */
    int mask;    /* AVX-512: what k1 holds: a count, or KGEN_MASK_REGISTER + a general register; -1 nothing */
    int ones;    /* AVX2: a vector register that holds 1 in every 16 bits, or -1 */
};
#define KGEN_MASK_REGISTER 1000

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

/* A list of tokens. */
struct kgen_token_list {
    int *items; /* owned */
    int count, capacity;
};

/* What is known of the C around the vector statements. All of it errs on the side of caution. */
struct kgen_c_facts {
    struct kgen_token_list float_pointers;  /* names whose elements are float */
    struct kgen_token_list plain_functions; /* which use no vectors and call none but plain ones */
    struct kgen_token_list address_taken;   /* names after a unary & */
    bool float_members;                     /* a struct or typedef holds a float */
    bool float_signature;                   /* the function being read takes or returns one */
    bool uses_float;                        /* the function being read computes with them */
    bool calls_other;                       /* it calls a function that is not plain */
};

struct kgen_lowering {
    const char *source;
    const struct kgen_isa_info *isa;
    bool evex; /* its encoding is EVEX, else VEX */
    int vector_bytes, lanes, registers;
    struct kgen_text *out;
    struct kgen_error *error;
    bool failed;
    struct kgen_tokens tokens;

    struct kgen_node nodes[KGEN_NODE_MAX]; /* of the statement */
    int node_count;
    int statement; /* the token it starts at */

    struct kgen_variable variables[KGEN_VARIABLE_MAX];
    int variable_count;
    struct kgen_scope scopes[KGEN_SCOPE_MAX];
    int scope_count; /* 0 outside of functions */

    struct kgen_pool pool;
    struct kgen_group group;
    struct kgen_token_list
        checked; /* pairs: the first token and the end of an expression whose type was checked */
    struct kgen_c_facts facts;
    struct kgen_counting counting;
};

/* lower_parse.c */
int kgen_tokenize(struct kgen_lowering *lowering, const char *text);
bool kgen_token_is(const struct kgen_lowering *lowering, int token, const char *text);
bool kgen_tokens_equal(const struct kgen_lowering *lowering, int a, int b);
/* The bracket that closes the one at open, or -1 (and an error) where there is none. */
int kgen_matching(struct kgen_lowering *lowering, int open);
/* Reads "12", "-12" or "0x1f" with suffixes; false where the tokens are anything else. */
bool kgen_read_integer(const struct kgen_lowering *lowering, struct kgen_span span, int64_t *value);
/* Splits an address `base + 64 + 4 * i` into its base, which span becomes, the sum of its literals, and the
 * factor of i. i is the name at token variable; with -1 there is none, and scale is 0. */
void kgen_split_address(const struct kgen_lowering *lowering, struct kgen_span *span, int variable,
                        int64_t *literal, int64_t *scale);
/* Parses a vector expression from token begin. Returns its node and the token after it. NULL on an error. */
const struct kgen_node *kgen_parse_expression(struct kgen_lowering *lowering, int begin, int *end);
/* The index of a vector variable in scope, or -1. */
int kgen_find_variable(const struct kgen_lowering *lowering, int token);
/* Sets the error at a token; returns -1. */
int kgen_lower_error(struct kgen_lowering *lowering, enum kgen_error_code code, int token, const char *format,
                     ...) KGEN_PRINTF(4, 5);

/* loop.c */
/* Reads the head of the loop at a token. False where it is no loop that counts up. */
bool kgen_loop_read(const struct kgen_lowering *lowering, int token, struct kgen_loop *loop);
/* How often the body of a loop with literal bounds is run. */
int64_t kgen_loop_turns(const struct kgen_loop *loop);
/* Reads the loop at a token. False where it is not one of prefetches that can be unrolled. */
bool kgen_prefetch_loop_read(const struct kgen_lowering *lowering, int token,
                             struct kgen_prefetch_loop *loop);
/* Emits the prefetches of the loop, one instruction each. */
void kgen_prefetch_loop_emit(struct kgen_lowering *lowering, const struct kgen_prefetch_loop *loop);

/* lower_ops.c */
const struct kgen_operation *kgen_operation_find(const char *name, size_t length);
/* In a fixed order. NULL past the last. */
const struct kgen_operation *kgen_operation_at(size_t index);
/* Adds the operation whose name is nearest to an error as a hint. */
void kgen_operation_suggest(const char *name, size_t length, struct kgen_error *error);

/* lower_c.c */
int kgen_list_add(struct kgen_lowering *lowering, struct kgen_token_list *list, int token);
/* Notes what a token of C outside of vector statements does. */
void kgen_c_token(struct kgen_lowering *lowering, int token);
/* Notes the tokens of a C expression within a vector statement, and refuses vectors in it. */
void kgen_c_expression(struct kgen_lowering *lowering, struct kgen_span span);
void kgen_c_find_address_taken(struct kgen_lowering *lowering);
bool kgen_c_has_effects(const struct kgen_lowering *lowering, struct kgen_span span);
bool kgen_c_reads_memory(const struct kgen_lowering *lowering, struct kgen_span span);

/* lower_select.c */
/* Emits the instructions of a vector expression. Its value is best computed in register target, which may be
 * -1; it need not end up there. */
struct kgen_value kgen_evaluate(struct kgen_lowering *lowering, const struct kgen_node *node, int target);
void kgen_value_give(struct kgen_lowering *lowering, struct kgen_value value);
/* Emits a move, if the registers differ. */
void kgen_emit_move(struct kgen_lowering *lowering, int target, int source);
void kgen_emit_vzeroupper(struct kgen_lowering *lowering);

/* lower_asm.c */
int kgen_register_take(struct kgen_lowering *lowering);
void kgen_register_give(struct kgen_lowering *lowering, int reg);
void kgen_group_reset(struct kgen_lowering *lowering);
/* Writes the asm statement, if there is anything in it, and begins a new one. */
void kgen_group_flush(struct kgen_lowering *lowering);
/* Gives the C expressions of count nodes general registers in one asm statement, ending the present one where
 * they cannot join it. A literal gets none. */
void kgen_group_operands(struct kgen_lowering *lowering, const struct kgen_node *const *nodes, int count,
                         uint8_t *registers);
void kgen_lower_emit(struct kgen_lowering *lowering, const struct kgen_instruction *instruction);

/* lower_count.c; these do nothing where nothing is counted. */
void kgen_count_begin_function(struct kgen_lowering *lowering);
void kgen_count_end_function(struct kgen_lowering *lowering, int name);
/* Of all functions that no other one calls. */
double kgen_count_total(const struct kgen_counting *counting);
/* Counts an instruction of the innermost scope, but no prefetch: that costs a slot and saves a wait, and
 * which is more does not show in the text. */
void kgen_count_instruction(struct kgen_lowering *lowering, const struct kgen_instruction *instruction);
void kgen_count_instructions(struct kgen_lowering *lowering, double instructions);
/* Counts what a token of C between vector statements stands for, and notes the loop that begins with it. */
void kgen_count_c_token(struct kgen_lowering *lowering, int token);
/* How often the scope that opens now is run. */
double kgen_count_scope(struct kgen_lowering *lowering);

#endif
