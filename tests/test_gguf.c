/* SPDX-License-Identifier: MIT */
/* GGUF files: every type of value, and tensors. */
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

/* ---- files ---- */

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
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
