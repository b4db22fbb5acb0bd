/* SPDX-License-Identifier: MIT */
/* GGUF files: every type of value, tensors, and what is refused with which message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gguf_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct kgen_gguf *parse(const struct kgen_text *text)
{
    struct kgen_error error = {0};
    struct kgen_gguf *gguf = kgen_gguf_parse("test.gguf", text->data, text->length, &error);
    if (gguf == NULL)
        fail_msg("%s", error.message);
    return gguf;
}

/* ---- values ---- */

static const char *const words[] = {"one", "", "three\xff"};

static void add_values(struct kgen_test_gguf *file)
{
    static const int32_t ints[] = {-1, 0, INT32_MAX};
    static const float floats[] = {0.5f, -2};
    const double real = 0.1;
    struct kgen_text nested = {0}, zeros = {0};
    kgen_test_gguf_string(file, "text", "llama");
    kgen_test_put_string(&zeros, "a\0b", 3);
    kgen_test_gguf_raw(file, "zeros", KGEN_GGUF_STRING, zeros.data, zeros.length);
    kgen_test_gguf_string(file, "empty", "");
    kgen_test_gguf_bool(file, "yes", true);
    kgen_test_gguf_bool(file, "no", false);
    kgen_test_gguf_f32(file, "f32", 0.25f);
    kgen_test_gguf_raw(file, "f64", KGEN_GGUF_F64, &real, sizeof real);
    kgen_test_gguf_strings(file, "words", words, KGEN_COUNT_OF(words));
    kgen_test_gguf_strings(file, "nothing", NULL, 0);
    kgen_test_gguf_i32s(file, "ints", ints, KGEN_COUNT_OF(ints));
    kgen_test_gguf_f32s(file, "floats", floats, KGEN_COUNT_OF(floats));
    /* [[7]] of u8 */
    kgen_test_put(&nested, KGEN_GGUF_ARRAY, 4);
    kgen_test_put(&nested, 1, 8);
    kgen_test_put(&nested, KGEN_GGUF_U8, 4);
    kgen_test_put(&nested, 1, 8);
    kgen_test_put(&nested, 7, 1);
    kgen_test_gguf_raw(file, "nested", KGEN_GGUF_ARRAY, nested.data, nested.length);
    kgen_text_free(&nested);
    kgen_text_free(&zeros);
}

static void test_integers(void **state)
{
    static const struct {
        const char *key;
        enum kgen_gguf_type type;
        int64_t value;
    } table[] = {
        {"u8", KGEN_GGUF_U8, 255},          {"i8", KGEN_GGUF_I8, -128},
        {"u16", KGEN_GGUF_U16, 65535},      {"i16", KGEN_GGUF_I16, -32768},
        {"u32", KGEN_GGUF_U32, 4294967295}, {"i32", KGEN_GGUF_I32, INT32_MIN},
        {"u64", KGEN_GGUF_U64, INT64_MAX},  {"i64", KGEN_GGUF_I64, INT64_MIN},
    };
    (void)state;
    struct kgen_test_gguf file = {0};
    struct kgen_text text = {0};
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++)
        kgen_test_gguf_integer(&file, table[i].key, table[i].type, table[i].value);
    kgen_test_gguf_integer(&file, "too great", KGEN_GGUF_U64, -1);
    kgen_test_gguf_finish(&file, &text);
    struct kgen_gguf *gguf = parse(&text);
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++) {
        struct kgen_error error = {0};
        int64_t value = 0;
        double real = 0;
        if (kgen_gguf_integer(gguf, table[i].key, &value, &error) != 1 || value != table[i].value)
            fail_msg("%s is %lld, not %lld", table[i].key, (long long)value, (long long)table[i].value);
        assert_int_equal(kgen_gguf_real(gguf, table[i].key, &real, &error), 1);
        if (real < (double)table[i].value || real > (double)table[i].value)
            fail_msg("%s is %g as a real", table[i].key, real);
        assert_string_equal(kgen_gguf_type_name(table[i].type), table[i].key);
    }
    assert_true(cases > 0);
    struct kgen_error error = {0};
    int64_t value;
    assert_int_equal(kgen_gguf_integer(gguf, "too great", &value, &error), -1);
    assert_non_null(strstr(error.message, "\"too great\" must be an integer below 2^63, not u64"));
    assert_int_equal(kgen_gguf_value_count(gguf), KGEN_COUNT_OF(table) + 1);
    kgen_gguf_close(gguf);
    kgen_text_free(&text);
}

static void check_arrays(const struct kgen_gguf *gguf)
{
    const struct kgen_gguf_value *array = NULL;
    struct kgen_error error = {0};
    assert_int_equal(kgen_gguf_array(gguf, "words", KGEN_GGUF_STRING, &array, &error), 1);
    assert_int_equal(array->count, KGEN_COUNT_OF(words));
    struct kgen_gguf_strings strings = kgen_gguf_strings_start(array);
    struct kgen_gguf_text text;
    size_t count = 0;
    for (; kgen_gguf_strings_next(&strings, &text); count++)
        assert_true(kgen_gguf_text_is(text, words[count]));
    assert_int_equal(count, KGEN_COUNT_OF(words));
    assert_int_equal(kgen_gguf_array(gguf, "nothing", KGEN_GGUF_STRING, &array, &error), 1);
    strings = kgen_gguf_strings_start(array);
    assert_false(kgen_gguf_strings_next(&strings, &text));
    assert_int_equal(kgen_gguf_array(gguf, "ints", KGEN_GGUF_I64, &array, &error), 1);
    assert_int_equal(array->count, 3);
    assert_int_equal(kgen_gguf_integer_at(array, 0), -1);
    assert_int_equal(kgen_gguf_integer_at(array, 2), INT32_MAX);
    assert_int_equal(kgen_gguf_array(gguf, "floats", KGEN_GGUF_F64, &array, &error), 1);
    assert_true(fabs(kgen_gguf_real_at(array, 0) - 0.5) <= 0 && fabs(kgen_gguf_real_at(array, 1) + 2) <= 0);
    array = kgen_gguf_find(gguf, "nested");
    assert_int_equal(array->element, KGEN_GGUF_ARRAY);
    strings = kgen_gguf_strings_start(array);
    assert_false(kgen_gguf_strings_next(&strings, &text));
}

static void check_types(const struct kgen_gguf *gguf)
{
    struct kgen_gguf_text text;
    const struct kgen_gguf_value *array;
    int64_t integer;
    double real;
    bool boolean;
    struct kgen_error errors[6] = {0};
    assert_int_equal(kgen_gguf_string(gguf, "yes", &text, &errors[0]), -1);
    assert_int_equal(kgen_gguf_integer(gguf, "f32", &integer, &errors[1]), -1);
    assert_int_equal(kgen_gguf_real(gguf, "text", &real, &errors[2]), -1);
    assert_int_equal(kgen_gguf_boolean(gguf, "ints", &boolean, &errors[3]), -1);
    assert_int_equal(kgen_gguf_array(gguf, "words", KGEN_GGUF_I64, &array, &errors[4]), -1);
    assert_int_equal(kgen_gguf_array(gguf, "text", KGEN_GGUF_STRING, &array, &errors[5]), -1);
    static const char *const messages[] = {
        "\"yes\" must be a string, not bool",
        "\"f32\" must be an integer below 2^63, not f32",
        "\"text\" must be a number, not string",
        "\"ints\" must be a boolean, not an array of i32",
        "\"words\" must be an array of integers, not an array of string",
        "\"text\" must be an array of string, not string",
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(messages); i++) {
        if (strstr(errors[i].message, messages[i]) == NULL || strncmp(errors[i].message, "at byte ", 8) != 0)
            fail_msg("%s; expected %s", errors[i].message, messages[i]);
        assert_int_equal(errors[i].code, KGEN_ERROR_SPEC);
    }
    assert_int_equal(kgen_gguf_string(gguf, "absent", &text, NULL), 0);
    assert_int_equal(kgen_gguf_integer(gguf, "absent", &integer, NULL), 0);
    assert_int_equal(kgen_gguf_real(gguf, "absent", &real, NULL), 0);
    assert_int_equal(kgen_gguf_boolean(gguf, "absent", &boolean, NULL), 0);
    assert_int_equal(kgen_gguf_array(gguf, "absent", KGEN_GGUF_STRING, &array, NULL), 0);
}

static void test_values(void **state)
{
    (void)state;
    struct kgen_test_gguf file = {.version = 2};
    struct kgen_text bytes = {0};
    add_values(&file);
    kgen_test_gguf_finish(&file, &bytes);
    struct kgen_gguf *gguf = parse(&bytes);
    struct kgen_gguf_text text;
    double real = 0;
    bool boolean = false;
    assert_int_equal(kgen_gguf_version(gguf), 2);
    assert_int_equal(kgen_gguf_string(gguf, "text", &text, NULL), 1);
    assert_true(kgen_gguf_text_is(text, "llama"));
    assert_int_equal(kgen_gguf_string(gguf, "zeros", &text, NULL), 1);
    assert_int_equal(text.length, 3);
    assert_memory_equal(text.data, "a\0b", 3);
    char shown[8];
    assert_string_equal(kgen_gguf_show(text, shown, sizeof shown), "a?b");
    assert_string_equal(kgen_gguf_show((struct kgen_gguf_text){"123456789", 9}, shown, sizeof shown),
                        "1234...");
    assert_int_equal(kgen_gguf_string(gguf, "empty", &text, NULL), 1);
    assert_int_equal(text.length, 0);
    assert_int_equal(kgen_gguf_boolean(gguf, "yes", &boolean, NULL), 1);
    assert_true(boolean);
    assert_int_equal(kgen_gguf_boolean(gguf, "no", &boolean, NULL), 1);
    assert_false(boolean);
    assert_int_equal(kgen_gguf_real(gguf, "f32", &real, NULL), 1);
    assert_true(fabs(real - 0.25) <= 0);
    assert_int_equal(kgen_gguf_real(gguf, "f64", &real, NULL), 1);
    assert_true(fabs(real - 0.1) <= 0);
    check_arrays(gguf);
    check_types(gguf);
    kgen_gguf_close(gguf);
    kgen_text_free(&bytes);
}

/* ---- tensors ---- */

static void test_tensors(void **state)
{
    static const struct {
        const char *name;
        uint32_t type;
        unsigned rank;
        int64_t dims[4];
        uint64_t bytes;
    } table[] = {
        {"b", KGEN_GGUF_TENSOR_Q4_0, 2, {64, 3, 1, 1}, 108},
        {"a", KGEN_GGUF_TENSOR_F32, 1, {5, 1, 1, 1}, 20},
        {"c", KGEN_GGUF_TENSOR_Q8_0, 2, {32, 2, 1, 1}, 68},
        {"d", 14 /* Q6_K */, 3, {256, 2, 2, 1}, 840},
        {"e", 26 /* I32 */, 4, {1, 2, 3, 4}, 96},
    };
    (void)state;
    for (uint32_t alignment = 1; alignment <= 4096; alignment *= 4) {
        struct kgen_test_gguf file = {.alignment = alignment};
        struct kgen_text text = {0};
        for (size_t i = 0; i < KGEN_COUNT_OF(table); i++)
            kgen_test_gguf_random(&file, table[i].name, table[i].type, table[i].rank, table[i].dims, 1, false,
                                  i);
        kgen_test_gguf_finish(&file, &text);
        struct kgen_gguf *gguf = parse(&text);
        assert_int_equal(kgen_gguf_alignment(gguf), alignment);
        assert_int_equal(kgen_gguf_tensor_count(gguf), KGEN_COUNT_OF(table));
        assert_int_equal(kgen_gguf_size(gguf), text.length);
        for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
            const struct kgen_gguf_tensor *tensor = kgen_gguf_find_tensor(gguf, table[i].name);
            assert_ptr_equal(tensor, kgen_gguf_tensor_at(gguf, i));
            assert_int_equal(tensor->type->number, table[i].type);
            assert_int_equal(tensor->rank, table[i].rank);
            assert_memory_equal(tensor->dims, table[i].dims, sizeof tensor->dims);
            assert_int_equal(tensor->bytes, table[i].bytes);
            assert_ptr_equal(tensor->data, (const unsigned char *)text.data + tensor->offset);
            assert_true(tensor->offset >= kgen_gguf_data_begin(gguf) && tensor->offset % alignment == 0);
        }
        assert_null(kgen_gguf_find_tensor(gguf, "f"));
        assert_null(kgen_gguf_find_tensor(gguf, ""));
        kgen_gguf_close(gguf);
        kgen_text_free(&text);
    }
}

/* ---- what is refused ---- */

static void head(struct kgen_text *text, uint32_t version, uint64_t tensors, uint64_t values)
{
    kgen_text_puts(text, "GGUF");
    kgen_test_put(text, version, 4);
    kgen_test_put(text, tensors, 8);
    kgen_test_put(text, values, 8);
}

static void key(struct kgen_text *text, const char *name, uint32_t type)
{
    kgen_test_put_string(text, name, strlen(name));
    kgen_test_put(text, type, 4);
}

static void array(struct kgen_text *text, uint32_t type, uint64_t count)
{
    kgen_test_put(text, type, 4);
    kgen_test_put(text, count, 8);
}

static void tensor(struct kgen_text *text, const char *name, unsigned rank, const uint64_t *dims,
                   uint32_t type, uint64_t offset)
{
    kgen_test_put_string(text, name, strlen(name));
    kgen_test_put(text, rank, 4);
    for (unsigned i = 0; i < rank; i++)
        kgen_test_put(text, dims[i], 8);
    kgen_test_put(text, type, 4);
    kgen_test_put(text, offset, 8);
}

/* Room for counts that are checked against the rest of the file, and for data. */
static void room(struct kgen_text *text)
{
    for (int i = 0; i < 512; i++)
        kgen_text_append(text, "", 1);
}

#define TWO_63 (UINT64_C(1) << 63)
#define DIMS(...)                                                                                            \
    (const uint64_t[])                                                                                       \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

enum refused {
    EMPTY_FILE,
    OTHER_FILE,
    SHORT_FILE,
    VERSION_1,
    BIG_ENDIAN,
    VALUES_2_63,
    TENSORS_2_63,
    TENSORS_MANY,
    KEY_2_63,
    STRING_ENDLESS,
    TYPE_UNKNOWN,
    ARRAY_2_63,
    STRINGS_2_63,
    ARRAY_DEEP,
    KEY_TWICE,
    ALIGNMENT_0,
    ALIGNMENT_24,
    ALIGNMENT_TEXT,
    NAME_EMPTY,
    NAME_ENDLESS,
    RANK_0,
    RANK_5,
    RANK_HUGE,
    DIM_0,
    DIM_2_63,
    DIMS_2_63,
    BYTES_2_63,
    TENSOR_TYPE,
    TENSOR_TYPE_GONE,
    ROW_PARTIAL,
    OFFSET_2_63,
    OFFSET_BEYOND,
    OFFSET_ODD,
    DATA_SHORT,
    NAME_TWICE,
    OVERLAP,
    SAME_PLACE,
    REFUSED_COUNT
};

static void write_header_case(struct kgen_text *text, enum refused what)
{
    switch (what) {
    case OTHER_FILE:
        kgen_text_puts(text, "GGML and more text");
        break;
    case SHORT_FILE:
        kgen_text_puts(text, "GGUF\3");
        break;
    case VERSION_1:
        head(text, 1, 0, 0);
        break;
    case BIG_ENDIAN:
        head(text, 3u << 24, 0, 0);
        break;
    case VALUES_2_63:
        head(text, 3, 0, TWO_63);
        break;
    case TENSORS_2_63:
        head(text, 3, TWO_63, 0);
        break;
    case TENSORS_MANY:
        head(text, 3, 20, 0);
        break;
    default:
        break;
    }
}

static void write_value_case(struct kgen_text *text, enum refused what)
{
    head(text, 3, 0, what == KEY_TWICE ? 2 : 1);
    switch (what) {
    case KEY_2_63:
        kgen_test_put(text, TWO_63, 8);
        break;
    case STRING_ENDLESS:
        key(text, "a", KGEN_GGUF_STRING);
        kgen_test_put(text, 513, 8);
        break;
    case TYPE_UNKNOWN:
        key(text, "a", KGEN_GGUF_TYPE_COUNT);
        break;
    case ARRAY_2_63:
        key(text, "a", KGEN_GGUF_ARRAY);
        array(text, KGEN_GGUF_U16, TWO_63);
        break;
    case STRINGS_2_63:
        key(text, "a", KGEN_GGUF_ARRAY);
        array(text, KGEN_GGUF_STRING, TWO_63);
        break;
    case ARRAY_DEEP:
        key(text, "a", KGEN_GGUF_ARRAY);
        for (int i = 0; i < 20; i++)
            array(text, KGEN_GGUF_ARRAY, 1);
        break;
    case KEY_TWICE:
        for (int i = 0; i < 2; i++) {
            key(text, "a", KGEN_GGUF_U8);
            kgen_test_put(text, 0, 1);
        }
        break;
    case ALIGNMENT_TEXT:
        key(text, "general.alignment", KGEN_GGUF_STRING);
        kgen_test_put_string(text, "32", 2);
        break;
    default:
        key(text, "general.alignment", KGEN_GGUF_U32);
        kgen_test_put(text, what == ALIGNMENT_24 ? 24 : 0, 4);
        break;
    }
    room(text);
}

static void write_tensor_case(struct kgen_text *text, enum refused what)
{
    static const struct {
        enum refused what;
        unsigned rank;
        uint64_t dims[5];
        uint32_t type;
        uint64_t offset;
    } table[] = {
        {RANK_0, 0, {0}, 0, 0},
        {RANK_5, 5, {1, 1, 1, 1, 1}, 0, 0},
        {DIM_0, 2, {4, 0}, 0, 0},
        {DIM_2_63, 1, {TWO_63}, 0, 0},
        {DIMS_2_63, 3, {1 << 21, 1 << 21, 1 << 21}, 0, 0},
        {BYTES_2_63, 2, {UINT64_C(1) << 31, UINT64_C(1) << 31}, 0, 0},
        {TENSOR_TYPE, 1, {4}, 77, 0},
        {TENSOR_TYPE_GONE, 1, {4}, 4, 0},
        {ROW_PARTIAL, 2, {33, 2}, KGEN_GGUF_TENSOR_Q4_0, 0},
        {OFFSET_2_63, 1, {4}, 0, TWO_63},
        {OFFSET_BEYOND, 1, {4}, 0, 1024},
        {OFFSET_ODD, 1, {4}, 0, 16},
        {DATA_SHORT, 1, {1024}, 0, 0},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        if (table[i].what != what)
            continue;
        head(text, 3, 1, 0);
        tensor(text, "t", table[i].rank, table[i].dims, table[i].type, table[i].offset);
        room(text);
    }
}

static void write_list_case(struct kgen_text *text, enum refused what)
{
    head(text, 3, what == NAME_EMPTY || what == NAME_ENDLESS || what == RANK_HUGE ? 1 : 3, 0);
    switch (what) {
    case NAME_EMPTY:
        tensor(text, "", 1, DIMS(4), 0, 0);
        break;
    case NAME_ENDLESS:
        kgen_test_put(text, UINT64_MAX, 8);
        break;
    case RANK_HUGE:
        kgen_test_put_string(text, "t", 1);
        kgen_test_put(text, UINT32_MAX, 4);
        break;
    case NAME_TWICE:
        tensor(text, "t", 1, DIMS(4), 0, 0);
        tensor(text, "u", 1, DIMS(4), 0, 32);
        tensor(text, "t", 1, DIMS(4), 0, 64);
        break;
    default:
        tensor(text, "t", 1, DIMS(16), 0, 64);
        tensor(text, "u", 1, DIMS(what == OVERLAP ? 9 : 8), 0, what == OVERLAP ? 32 : 64);
        tensor(text, "v", 1, DIMS(4), 0, 0);
        break;
    }
    room(text);
}

static void write_case(struct kgen_text *text, enum refused what)
{
    if (what < KEY_2_63) {
        write_header_case(text, what);
        if (what == VALUES_2_63 || what == TENSORS_2_63 || what == TENSORS_MANY)
            room(text);
    } else if (what < NAME_EMPTY) {
        write_value_case(text, what);
    } else if (what == NAME_EMPTY || what == NAME_ENDLESS || what == RANK_HUGE || what >= NAME_TWICE) {
        write_list_case(text, what);
    } else {
        write_tensor_case(text, what);
    }
}

static void test_refused(void **state)
{
    static const struct {
        size_t byte;
        const char *message;
    } table[REFUSED_COUNT] = {
        [EMPTY_FILE] = {0, "this is not a GGUF file"},
        [OTHER_FILE] = {0, "this is not a GGUF file"},
        [SHORT_FILE] = {4, "the file ends within the version"},
        [VERSION_1] = {4, "GGUF version 1 is not supported"},
        [BIG_ENDIAN] = {4, "the file is big-endian"},
        [VALUES_2_63] = {8, "the header counts 0 tensors and 9223372036854775808 values"},
        [TENSORS_2_63] = {8, "the header counts 9223372036854775808 tensors"},
        [TENSORS_MANY] = {8, "the header counts 20 tensors"},
        [KEY_2_63] = {24,
                      "the key of a value has 9223372036854775808 bytes, and the file ends 512 bytes later"},
        [STRING_ENDLESS] = {37, "a string has 513 bytes, and the file ends 512 bytes later"},
        [TYPE_UNKNOWN] = {33, "13 is no type of a value"},
        [ARRAY_2_63] = {49, "9223372036854775808 values of type u16 do not fit into the 512 bytes"},
        [STRINGS_2_63] = {49, "9223372036854775808 values of type string do not fit"},
        [ARRAY_DEEP] = {85, "arrays are nested more than 4 deep"},
        [KEY_TWICE] = {46, "the key \"a\" is there twice"},
        [ALIGNMENT_0] = {53, "\"general.alignment\" must be a power of two, not 0"},
        [ALIGNMENT_24] = {53, "\"general.alignment\" must be a power of two, not 24"},
        [ALIGNMENT_TEXT] = {53, "\"general.alignment\" must be an integer below 2^63, not string"},
        [NAME_EMPTY] = {32, "a tensor has no name"},
        [NAME_ENDLESS] = {24, "the name of a tensor has 18446744073709551615 bytes"},
        [RANK_0] = {33, "the tensor \"t\" has 0 dimensions"},
        [RANK_5] = {33, "the tensor \"t\" has 5 dimensions"},
        [RANK_HUGE] = {33, "the tensor \"t\" has 4294967295 dimensions"},
        [DIM_0] = {45, "the tensor \"t\" has a dimension of 0"},
        [DIM_2_63] = {37, "a dimension of 9223372036854775808, with which it has more than 2^63 elements"},
        [DIMS_2_63] = {53, "a dimension of 2097152, with which it has more than 2^63 elements"},
        [BYTES_2_63] = {53, "the tensor \"t\" has more than 2^63 bytes"},
        [TENSOR_TYPE] = {45, "the tensor \"t\" has the type 77, which is not known"},
        [TENSOR_TYPE_GONE] = {45, "the tensor \"t\" has the type 4, which is not known"},
        [ROW_PARTIAL] = {53, "the tensor \"t\" has rows of 33 elements, which Q4_0 stores in blocks of 32"},
        [OFFSET_2_63] = {32, "the tensor \"t\" has 16 bytes from byte 9223372036854775808 of the data on"},
        [OFFSET_BEYOND] = {32, "the tensor \"t\" has 16 bytes from byte 1024 of the data on"},
        [OFFSET_ODD] = {49, "the tensor \"t\" has the offset 16, which is not a multiple of 32"},
        [DATA_SHORT] = {32, "the tensor \"t\" has 4096 bytes from byte 0 of the data on"},
        [NAME_TWICE] = {98, "the tensor \"t\" is there twice"},
        [OVERLAP] = {32, "the tensors \"u\" and \"t\" overlap"},
        [SAME_PLACE] = {65, "the tensors \"t\" and \"u\" overlap"},
    };
    (void)state;
    size_t cases = 0;
    for (int i = 0; i < REFUSED_COUNT; i++, cases++) {
        struct kgen_text text = {0};
        struct kgen_error error = {0};
        char place[40];
        write_case(&text, (enum refused)i);
        /* In memory of just that size, so that a sanitizer sees what is read beyond it. */
        char *exact = malloc(text.length + (text.length == 0));
        assert_non_null(exact);
        memcpy(exact, text.length > 0 ? text.data : "", text.length);
        if (kgen_gguf_parse("dir/a.gguf", exact, text.length, &error) != NULL)
            fail_msg("case %d was accepted; expected %s", i, table[i].message);
        const int length = snprintf(place, sizeof place, "at byte %zu: ", table[i].byte);
        if (error.code != KGEN_ERROR_SPEC || strncmp(error.message, place, (size_t)length) != 0 ||
            strstr(error.message, table[i].message) == NULL)
            fail_msg("case %d: %s; expected %s%s", i, error.message, place, table[i].message);
        assert_string_equal(error.source, "dir/a.gguf");
        free(exact);
        kgen_text_free(&text);
    }
    assert_int_equal(cases, REFUSED_COUNT);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/kgen-gguf-XXXXXX", name[64];
    static const struct {
        const char *name;
        enum kgen_error_code code;
        const char *message;
    } table[] = {
        {"absent", KGEN_ERROR_IO, "cannot open the file"},
        {"", KGEN_ERROR_IO, "not a regular file"},
        {"pipe", KGEN_ERROR_IO, "not a regular file"},
        {"empty", KGEN_ERROR_SPEC, "at byte 0: the file is empty"},
    };
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/pipe", folder);
    assert_int_equal(mkfifo(name, 0600), 0);
    snprintf(name, sizeof name, "%s/empty", folder);
    fclose(fopen(name, "w"));
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        struct kgen_error error = {0};
        snprintf(name, sizeof name, "%s/%s", folder, table[i].name);
        assert_null(kgen_gguf_open(name, &error));
        if (error.code != table[i].code || strstr(error.message, table[i].message) == NULL)
            fail_msg("%s: %s", table[i].name, error.message);
        assert_string_equal(error.source, name);
    }
    snprintf(name, sizeof name, "%s/model.gguf", folder);
    kgen_test_write_llama(name, &kgen_test_small_llama, 5, &kgen_test_mixed_types);
    struct kgen_text text = {0};
    kgen_test_make_llama(&kgen_test_small_llama, 5, &kgen_test_mixed_types, &text);
    struct kgen_gguf *gguf = kgen_gguf_open(name, NULL);
    assert_non_null(gguf);
    assert_string_equal(kgen_gguf_source(gguf), name);
    const struct kgen_gguf_tensor *norm = kgen_gguf_find_tensor(gguf, "output_norm.weight");
    assert_memory_equal(norm->data, text.data + norm->offset, norm->bytes);
    kgen_gguf_close(gguf);
    kgen_gguf_close(NULL);
    kgen_text_free(&text);
    static const char *const files[] = {"pipe", "empty", "model.gguf"};
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++) {
        snprintf(name, sizeof name, "%s/%s", folder, files[i]);
        assert_int_equal(unlink(name), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers), cmocka_unit_test(test_values), cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
