/* SPDX-License-Identifier: MIT */
/* GGUF files that are refused: the byte and the message of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gguf_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests_name("refused GGUF", tests, NULL, NULL);
}
