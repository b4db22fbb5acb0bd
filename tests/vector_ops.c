/* SPDX-License-Identifier: MIT */
#include "vector_ops.h"

#include <stdio.h>
#include <string.h>

const struct vector_op vector_ops[] = {
    {"kv_zero", 'f', "", NULL, 0, false},
    {"kv_set", 'f', "l", NULL, 0, false},
    {"kv_broadcast", 'f', "p", "float", 0, false},
    {"kv_load", 'f', "p", "float", 0, false},
    {"kv_store", '-', "pf", "float", 0, false},
    {"kv_load_first", 'f', "pc", "float", 0, false},
    {"kv_store_first", '-', "pfc", "float", 0, false},
    {"kv_load_f16", 'f', "p", "uint16_t", 0, true},
    {"kv_load_f16_first", 'f', "pc", "uint16_t", 0, true},
    {"kv_load_bf16", 'f', "p", "uint16_t", 0, false},
    {"kv_load_bf16_first", 'f', "pc", "uint16_t", 0, false},
    {"kv_store_f16", '-', "pf", "uint16_t", 0, false},
    {"kv_add", 'f', "ff", NULL, 0, true},
    {"kv_sub", 'f', "ff", NULL, 0, true},
    {"kv_mul", 'f', "ff", NULL, 0, true},
    {"kv_div", 'f', "ff", NULL, 0, true},
    {"kv_sqrt", 'f', "f", NULL, 0, true},
    {"kv_min", 'f', "ff", NULL, 0, false},
    {"kv_max", 'f', "ff", NULL, 0, false},
    {"kv_fma", 'f', "fff", NULL, 0, true},
    {"kv_fnma", 'f', "fff", NULL, 0, true},
    {"kv_abs", 'f', "f", NULL, 0, false},
    {"kv_round", 'f', "f", NULL, 0, true},
    {"kv_permute", 'f', "fi", NULL, 0, false},
    {"kv_permute2", 'f', "ffi", NULL, 0, false},
    {"kv_store_sum", '-', "pf", "float", 0, true},
    {"kv_store_max", '-', "pf", "float", 0, false},
    {"kv_zero_int", 'i', "", NULL, 0, false},
    {"kv_set_i32", 'i', "e", NULL, 0, false},
    {"kv_load_int", 'i', "p", "uint8_t", 0, false},
    {"kv_store_int", '-', "pi", "uint8_t", 0, false},
    {"kv_load_int_first", 'i', "pc", "uint8_t", 0, false},
    {"kv_and", 'i', "ii", NULL, 0, false},
    {"kv_or", 'i', "ii", NULL, 0, false},
    {"kv_xor", 'i', "ii", NULL, 0, false},
    {"kv_shl_u16", 'i', "in", NULL, 16, false},
    {"kv_shl_u32", 'i', "in", NULL, 32, false},
    {"kv_shl_u64", 'i', "in", NULL, 64, false},
    {"kv_shr_u16", 'i', "in", NULL, 16, false},
    {"kv_shr_u32", 'i', "in", NULL, 32, false},
    {"kv_shr_u64", 'i', "in", NULL, 64, false},
    {"kv_shr_i32", 'i', "in", NULL, 32, false},
    {"kv_shr_var_u32", 'i', "is", NULL, 0, false},
    {"kv_add_i32", 'i', "ii", NULL, 0, false},
    {"kv_sub_i32", 'i', "ii", NULL, 0, false},
    {"kv_mul_i16", 'i', "ii", NULL, 0, false},
    {"kv_mul_i32", 'i', "ii", NULL, 0, false},
    {"kv_add_i16", 'i', "ii", NULL, 0, false},
    {"kv_sub_i16", 'i', "ii", NULL, 0, false},
    {"kv_add_i8", 'i', "ii", NULL, 0, false},
    {"kv_sub_i8", 'i', "ii", NULL, 0, false},
    {"kv_dot_u8i8", 'i', "iii", NULL, 0, false},
    {"kv_dot_u7i8", 'i', "iui", NULL, 0, false},
    {"kv_dot_i16", 'i', "iii", NULL, 0, false},
    {"kv_permute_i32", 'i', "ii", NULL, 0, false},
    {"kv_shuffle_bytes", 'i', "ii", NULL, 0, false},
    {"kv_cvt_f32", 'f', "i", NULL, 0, false},
    {"kv_cvt_i32", 'i', "f", NULL, 0, false},
    {"kv_as_f32", 'f', "i", NULL, 0, false},
    {"kv_as_int", 'i', "f", NULL, 0, false},
    {"kv_store_i8", '-', "pi", "int8_t", 0, false},
    {"kv_store_i16", '-', "pi", "int16_t", 0, false},
    {"kv_prefetch", '-', "p", "uint8_t", 0, false},
};
const size_t vector_op_count = KGEN_COUNT_OF(vector_ops);

static const char buffers[] = "abc";

/* ---- the text ---- */

/* What stands for a vector argument: a variable, or a call. */
enum form { VARIABLE, LOAD, BROADCAST, COMPUTED };
struct shape {
    enum form forms[3];
    int variables[3];
    int to;     /* the variable that takes the result, or -1: a new one */
    int choice; /* of the values of the other arguments */
    bool high;  /* the low half of the registers is taken */
};

struct writer {
    int lanes;
    struct vector_case *cases;
    size_t count;
    struct kgen_text *text;
};

static bool is_float(char kind)
{
    return kind == 'f';
}

static bool is_vector(char kind)
{
    return kind != '\0' && strchr("fius", kind) != NULL;
}

static void put_load(struct kgen_text *line, const struct vector_op *op, int arg, enum form form, int at)
{
    char buffer = buffers[arg];
    bool f = is_float(op->args[arg]);
    if (form == BROADCAST)
        kgen_text_printf(line,
                         f ? "kv_broadcast((const float *)%c + %d)"
                           : "kv_as_int(kv_broadcast((const float *)%c + %d))",
                         buffer, at + 1);
    else if (f)
        kgen_text_printf(line, "kv_load((const float *)%c + %d)", buffer, at);
    else
        kgen_text_printf(line, "kv_load_int(%c + %d)", buffer, at);
}

static void put_argument(struct kgen_text *line, const struct vector_op *op, int arg,
                         const struct shape *shape)
{
    static const char *const floats[] = {"1.5f", "-0.0f", "0.0f", "3.25e38f", "-1e-45f"};
    static const char *const ints[] = {"n", "0", "-1", "0x0f0f0f0f", "2147483647", "n * 3 - 7"};
    const int immediates[] = {1, 0, op->width / 2, op->width - 1, 3};
    char kind = op->args[arg];
    int choice = shape->choice;
    if (is_vector(kind) && (shape->forms[arg] == LOAD || shape->forms[arg] == BROADCAST)) {
        put_load(line, op, arg, shape->forms[arg], 16);
    } else if (is_vector(kind)) {
        int v = shape->variables[arg];
        const char *same = shape->forms[arg] == VARIABLE ? "v%d"
                           : is_float(kind)              ? "kv_min(v%d, v%d)"
                                                         : "kv_or(v%d, v%d)";
        kgen_text_printf(line, same, v, v);
    } else if (kind == 'p') {
        bool writes = op->result == '-' && strcmp(op->name, "kv_prefetch") != 0;
        kgen_text_printf(line, writes ? "(%s *)out + %d" : "(const %s *)a + %d", op->pointee, choice % 3 * 8);
    } else if (kind == 'l') {
        kgen_text_puts(line, floats[choice % 5]);
    } else if (kind == 'e') {
        kgen_text_puts(line, ints[choice % 6]);
    } else if (kind == 'n') {
        kgen_text_printf(line, "%d", immediates[choice % 5]);
    } else if (choice == 0) {
        kgen_text_puts(line, "n");
    } else {
        kgen_text_printf(line, "%d", choice - 1);
    }
}

static void put_statement(struct kgen_text *line, const struct vector_op *op, const struct shape *shape)
{
    if (shape->to >= 0)
        kgen_text_printf(line, "v%d = ", shape->to);
    else if (op->result != '-')
        kgen_text_printf(line, "%s r = ", is_float(op->result) ? "kv_f32" : "kv_int");
    kgen_text_printf(line, "%s(", op->name);
    for (int i = 0; i < (int)strlen(op->args); i++) {
        kgen_text_puts(line, i > 0 ? ", " : "");
        put_argument(line, op, i, shape);
    }
    kgen_text_puts(line, ");");
}

/* One function. */
static void put_case(struct writer *writer, const struct vector_op *op, struct shape shape)
{
    struct kgen_text *text = writer->text, line = {0};
    put_statement(&line, op, &shape);
    kgen_text_printf(
        text,
        "KV_TARGET void case_%zu(const uint8_t *a, const uint8_t *b, const uint8_t *c, uint8_t *out, int "
        "n)\n{\n    (void)a, (void)b, (void)c, (void)out, (void)n;\n",
        writer->count);
    int dummies = !shape.high ? 0 : writer->lanes == 16 ? 17 : writer->lanes == 8 ? 8 : 2;
    for (int i = 0; i < dummies; i++)
        kgen_text_printf(text, "    kv_int d%d = kv_zero_int();\n", i);
    for (int i = 0; op->args[i] != '\0'; i++) {
        if (is_vector(op->args[i])) {
            kgen_text_printf(text, "    %s v%d = ", is_float(op->args[i]) ? "kv_f32" : "kv_int", i);
            put_load(text, op, i, LOAD, 0);
            kgen_text_puts(text, ";\n");
        }
    }
    kgen_text_printf(text, "    %s\n", line.data);
    char result[16] = "r";
    if (shape.to >= 0)
        snprintf(result, sizeof result, "v%d", shape.to);
    if (op->result == 'f')
        kgen_text_printf(text, "    kv_store((float *)out, %s);\n", result);
    else if (op->result == 'i')
        kgen_text_printf(text, "    kv_store_int(out, %s);\n", result);
    kgen_text_puts(text, "}\n");
    struct vector_case *test = &writer->cases[writer->count++];
    test->op = op;
    snprintf(test->line, sizeof test->line, "%s%s", shape.high ? "(high registers) " : "", line.data);
    kgen_text_free(&line);
}

static bool can_take(const struct vector_op *op, int to)
{
    return to < 0 || (is_vector(op->args[to]) && is_float(op->args[to]) == is_float(op->result));
}

/* Every way to name variables of the right kind, with every variable as the result. */
static void put_permutations(struct writer *writer, const struct vector_op *op)
{
    int count = (int)strlen(op->args);
    for (int code = 0; code < 27; code++) {
        struct shape shape = {.variables = {code % 3, code / 3 % 3, code / 9}};
        bool valid = count >= 2 || code == 0;
        for (int i = 0; i < 3 && valid; i++) {
            int v = shape.variables[i];
            if (i >= count)
                valid = v == 0;
            else if (!is_vector(op->args[i]) || strchr("us", op->args[i]) != NULL)
                valid = v == i;
            else
                valid = v < count && is_vector(op->args[v]) && is_float(op->args[v]) == is_float(op->args[i]);
        }
        for (shape.to = -1; valid && shape.to < count; shape.to++) {
            if (can_take(op, shape.to) && (shape.to < 1 || code % 2 == 1 || shape.to == 2))
                put_case(writer, op, shape);
        }
    }
}

/* Every argument as a call in turn, and all of them, with every variable as the result. */
static void put_nested(struct writer *writer, const struct vector_op *op)
{
    int count = (int)strlen(op->args);
    for (int form = LOAD; form <= COMPUTED; form++) {
        for (int which = 0; which <= count; which++) {
            struct shape shape = {.variables = {0, 1, 2}};
            if (which < count && (count < 2 || !is_vector(op->args[which])))
                continue;
            for (int i = 0; i < count; i++)
                shape.forms[i] = i == which || which == count ? (enum form)form : VARIABLE;
            int last = op->result == '-' ? 0 : count;
            for (shape.to = -1; shape.to < last; shape.to++) {
                if (can_take(op, shape.to))
                    put_case(writer, op, shape);
            }
        }
    }
}

size_t vector_cases(int lanes, bool all, struct vector_case *cases, struct kgen_text *text)
{
    struct writer writer = {lanes, cases, 0, text};
    for (size_t i = 0; i < vector_op_count; i++) {
        const struct vector_op *op = &vector_ops[i];
        struct shape shape = {.variables = {0, 1, 2}, .to = -1};
        bool has_vectors = strpbrk(op->args, "fius") != NULL;
        int choices = strchr(op->args, 'c') != NULL ? lanes + 2 : strpbrk(op->args, "elnp") != NULL ? 6 : 1;
        for (shape.choice = 0; shape.choice < (all ? choices : 1); shape.choice++)
            put_case(&writer, op, shape);
        if (!all)
            continue;
        shape.choice = 0;
        shape.high = true;
        put_case(&writer, op, shape);
        if (has_vectors)
            put_nested(&writer, op);
        if (has_vectors && op->result != '-')
            put_permutations(&writer, op);
    }
    return writer.count;
}

/* ---- inputs and outputs ---- */

static uint32_t next(uint64_t *state)
{
    /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * UINT64_C(2685821657736338717)) >> 32);
}

static const uint32_t special_words[] = {
    0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345,
    0x7f800001, 0x7f7fffff, 0xff7fffff, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x4f000000,
    0xcf000000, 0x4effffff, 0xcf000001, 0x3f000000, 0x3fc00000, 0x40200000, 0xbf000000, 0xc0200000,
    0x4b000001, 0x4b7fffff, 0x7fffffff, 0xffffffff, 0x80008000, 0x7fff7fff, 0x00ff00ff, 0xff80807f,
    0x80ff7f01, 0x7c007c01, 0xfc00fbff, 0x04000001, 0x03ff83ff, 0x3c00bc00, 0x7e00fe01, 0x0000007f,
    0x00000080, 0xffffff7f, 0xffffff80, 0x00007fff, 0x00008000};

static uint32_t word(uint64_t *state)
{
    uint32_t bits = next(state), kind = next(state) % 8;
    if (kind < 3)
        return special_words[bits % KGEN_COUNT_OF(special_words)];
    if (kind == 3)
        return bits % 65536 - 32768; /* small integers of both signs */
    if (kind == 4)
        return (bits & 0x807fffff) | 0x3e800000 | (bits & 0x03000000); /* floats near 1 */
    return bits;
}

void vector_inputs(const struct vector_case *test, uint64_t seed, uint8_t inputs[3][VECTOR_CASE_BYTES])
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int arg = 0; arg < 3; arg++) {
        char kind = arg < (int)strlen(test->op->args) ? test->op->args[arg] : 'i';
        for (int i = 0; i < VECTOR_CASE_BYTES; i += 4) {
            uint32_t bits = word(&state);
            if (kind == 'u')
                bits &= 0x7f7f7f7f;
            if (kind == 's')
                bits &= 31;
            memcpy(&inputs[arg][i], &bits, 4);
        }
    }
}

static bool is_nan(uint32_t bits)
{
    return (bits & 0x7fffffff) > 0x7f800000;
}

int vector_difference(const struct vector_case *test, const uint8_t *a, const uint8_t *b)
{
    for (int i = 0; i < VECTOR_CASE_BYTES; i += 4) {
        uint32_t x, y;
        memcpy(&x, a + i, 4);
        memcpy(&y, b + i, 4);
        if (x != y && !(test->op->makes_nan && is_nan(x) && is_nan(y)))
            return i;
    }
    return -1;
}
