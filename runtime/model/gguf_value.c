/* SPDX-License-Identifier: MIT */
/* The values of metadata, and the types of values and tensors. */
#include "runtime/model/gguf_internal.h"

#include <string.h>

static const struct {
    const char *name;
    size_t bytes; /* 0: not fixed */
} types[KGEN_GGUF_TYPE_COUNT] = {
    [KGEN_GGUF_U8] = {"u8", 1},       [KGEN_GGUF_I8] = {"i8", 1},     [KGEN_GGUF_U16] = {"u16", 2},
    [KGEN_GGUF_I16] = {"i16", 2},     [KGEN_GGUF_U32] = {"u32", 4},   [KGEN_GGUF_I32] = {"i32", 4},
    [KGEN_GGUF_F32] = {"f32", 4},     [KGEN_GGUF_BOOL] = {"bool", 1}, [KGEN_GGUF_STRING] = {"string", 0},
    [KGEN_GGUF_ARRAY] = {"array", 0}, [KGEN_GGUF_U64] = {"u64", 8},   [KGEN_GGUF_I64] = {"i64", 8},
    [KGEN_GGUF_F64] = {"f64", 8},
};

const char *kgen_gguf_type_name(enum kgen_gguf_type type)
{
    return types[type].name;
}

size_t kgen_gguf_type_bytes(enum kgen_gguf_type type)
{
    return types[type].bytes;
}

/* Numbers that are missing belong to types which ggml has given up. */
static const struct kgen_gguf_tensor_type tensor_types[] = {
    {KGEN_GGUF_TENSOR_F32, "F32", 1, 4},
    {KGEN_GGUF_TENSOR_F16, "F16", 1, 2},
    {KGEN_GGUF_TENSOR_Q4_0, "Q4_0", 32, 18},
    {KGEN_GGUF_TENSOR_Q4_1, "Q4_1", 32, 20},
    {KGEN_GGUF_TENSOR_Q5_0, "Q5_0", 32, 22},
    {KGEN_GGUF_TENSOR_Q5_1, "Q5_1", 32, 24},
    {KGEN_GGUF_TENSOR_Q8_0, "Q8_0", 32, 34},
    {9, "Q8_1", 32, 36},
    {KGEN_GGUF_TENSOR_Q2_K, "Q2_K", 256, 84},
    {KGEN_GGUF_TENSOR_Q3_K, "Q3_K", 256, 110},
    {KGEN_GGUF_TENSOR_Q4_K, "Q4_K", 256, 144},
    {KGEN_GGUF_TENSOR_Q5_K, "Q5_K", 256, 176},
    {KGEN_GGUF_TENSOR_Q6_K, "Q6_K", 256, 210},
    {15, "Q8_K", 256, 292},
    {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98},
    {19, "IQ1_S", 256, 50},
    {KGEN_GGUF_TENSOR_IQ4_NL, "IQ4_NL", 32, 18},
    {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136},
    {24, "I8", 1, 1},
    {25, "I16", 1, 2},
    {26, "I32", 1, 4},
    {27, "I64", 1, 8},
    {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},
    {KGEN_GGUF_TENSOR_BF16, "BF16", 1, 2},
    {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},
    {KGEN_GGUF_TENSOR_MXFP4, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},
};

const struct kgen_gguf_tensor_type *kgen_gguf_tensor_type(uint32_t number)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(tensor_types); i++) {
        if (tensor_types[i].number == number)
            return &tensor_types[i];
    }
    return NULL;
}

uint64_t kgen_gguf_load(const unsigned char *data, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)data[i] << 8 * i;
    return value;
}

bool kgen_gguf_text_is(struct kgen_gguf_text text, const char *string)
{
    return text.length == strlen(string) && memcmp(text.data, string, text.length) == 0;
}

int kgen_gguf_text_compare(struct kgen_gguf_text a, struct kgen_gguf_text b)
{
    const size_t common = a.length < b.length ? a.length : b.length;
    const int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

const char *kgen_gguf_show(struct kgen_gguf_text text, char *shown, size_t size)
{
    const bool cut = text.length > size - 1;
    const size_t length = cut ? size - 4 : text.length;
    for (size_t i = 0; i < length; i++)
        shown[i] = text.data[i] >= 0x20 && text.data[i] < 0x7f ? text.data[i] : '?';
    memcpy(shown + length, cut ? "..." : "", cut ? 4 : 1);
    return shown;
}

/* ---- by key ---- */

static bool is_integer(enum kgen_gguf_type type)
{
    return type <= KGEN_GGUF_I32 || type == KGEN_GGUF_U64 || type == KGEN_GGUF_I64;
}

static bool is_real(enum kgen_gguf_type type)
{
    return type == KGEN_GGUF_F32 || type == KGEN_GGUF_F64;
}

static int fail_type(const struct kgen_gguf *gguf, const struct kgen_gguf_value *value, const char *expected,
                     struct kgen_error *error)
{
    char key[80];
    const bool array = value->type == KGEN_GGUF_ARRAY;
    return kgen_error_set(error, KGEN_ERROR_SPEC, gguf->source, 0, 0,
                          "at byte %zu: \"%s\" must be %s, not %s%s", (size_t)(value->data - gguf->data),
                          kgen_gguf_show(value->key, key, sizeof key), expected, array ? "an array of " : "",
                          kgen_gguf_type_name(value->element));
}

int kgen_gguf_string(const struct kgen_gguf *gguf, const char *key, struct kgen_gguf_text *text,
                     struct kgen_error *error)
{
    const struct kgen_gguf_value *value = kgen_gguf_find(gguf, key);
    if (value == NULL)
        return 0;
    if (value->type != KGEN_GGUF_STRING)
        return fail_type(gguf, value, "a string", error);
    struct kgen_gguf_strings strings = kgen_gguf_strings_start(value);
    return kgen_gguf_strings_next(&strings, text) ? 1 : -1;
}

int kgen_gguf_integer(const struct kgen_gguf *gguf, const char *key, int64_t *integer,
                      struct kgen_error *error)
{
    const struct kgen_gguf_value *value = kgen_gguf_find(gguf, key);
    if (value == NULL)
        return 0;
    if (!is_integer(value->type) ||
        (value->type == KGEN_GGUF_U64 && kgen_gguf_load(value->data, 8) > INT64_MAX))
        return fail_type(gguf, value, "an integer below 2^63", error);
    *integer = kgen_gguf_integer_at(value, 0);
    return 1;
}

int kgen_gguf_real(const struct kgen_gguf *gguf, const char *key, double *real, struct kgen_error *error)
{
    const struct kgen_gguf_value *value = kgen_gguf_find(gguf, key);
    if (value == NULL)
        return 0;
    if (!is_real(value->type) && !is_integer(value->type))
        return fail_type(gguf, value, "a number", error);
    *real = kgen_gguf_real_at(value, 0);
    return 1;
}

int kgen_gguf_boolean(const struct kgen_gguf *gguf, const char *key, bool *boolean, struct kgen_error *error)
{
    const struct kgen_gguf_value *value = kgen_gguf_find(gguf, key);
    if (value == NULL)
        return 0;
    if (value->type != KGEN_GGUF_BOOL)
        return fail_type(gguf, value, "a boolean", error);
    *boolean = value->data[0] != 0;
    return 1;
}

int kgen_gguf_array(const struct kgen_gguf *gguf, const char *key, enum kgen_gguf_type element,
                    const struct kgen_gguf_value **array, struct kgen_error *error)
{
    const struct kgen_gguf_value *value = kgen_gguf_find(gguf, key);
    if (value == NULL)
        return 0;
    const bool fits = value->element == element || (element == KGEN_GGUF_I64 && is_integer(value->element)) ||
                      (element == KGEN_GGUF_F64 && is_real(value->element));
    if (value->type != KGEN_GGUF_ARRAY || !fits) {
        char expected[40] = "an array of ";
        strcat(expected, element == KGEN_GGUF_I64   ? "integers"
                         : element == KGEN_GGUF_F64 ? "reals"
                                                    : kgen_gguf_type_name(element));
        return fail_type(gguf, value, expected, error);
    }
    *array = value;
    return 1;
}

/* ---- elements ---- */

int64_t kgen_gguf_integer_at(const struct kgen_gguf_value *value, uint64_t index)
{
    const size_t bytes = kgen_gguf_type_bytes(value->element);
    const uint64_t bits = kgen_gguf_load(value->data + index * bytes, bytes);
    switch (value->element) {
    case KGEN_GGUF_I8:
        return (int8_t)bits;
    case KGEN_GGUF_I16:
        return (int16_t)bits;
    case KGEN_GGUF_I32:
        return (int32_t)bits;
    case KGEN_GGUF_U64:
        return bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
    default:
        return (int64_t)bits;
    }
}

double kgen_gguf_real_at(const struct kgen_gguf_value *value, uint64_t index)
{
    const size_t bytes = kgen_gguf_type_bytes(value->element);
    const uint64_t bits = kgen_gguf_load(value->data + index * bytes, bytes);
    if (value->element == KGEN_GGUF_F64) {
        double real;
        memcpy(&real, &bits, sizeof real);
        return real;
    }
    if (value->element == KGEN_GGUF_F32) {
        const uint32_t half = (uint32_t)bits;
        float real;
        memcpy(&real, &half, sizeof real);
        return (double)real;
    }
    return value->element == KGEN_GGUF_U64 ? (double)bits : (double)kgen_gguf_integer_at(value, index);
}

struct kgen_gguf_strings kgen_gguf_strings_start(const struct kgen_gguf_value *value)
{
    return (struct kgen_gguf_strings){value->data, value->bytes,
                                      value->element == KGEN_GGUF_STRING ? value->count : 0};
}

/* Checks again, as another process may have changed the file. */
bool kgen_gguf_strings_next(struct kgen_gguf_strings *strings, struct kgen_gguf_text *text)
{
    if (strings->left == 0 || strings->bytes < 8)
        return false;
    const uint64_t length = kgen_gguf_load(strings->at, 8);
    if (length > strings->bytes - 8)
        return false;
    *text = (struct kgen_gguf_text){(const char *)strings->at + 8, (size_t)length};
    strings->at += 8 + length;
    strings->bytes -= 8 + (size_t)length;
    strings->left--;
    return true;
}
