/* SPDX-License-Identifier: MIT */
/* safetensors files: what is read of a header, and every header that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/model/safetensors.h"
#include "safetensors_fixture.h"

#include <string.h>

#define TENSOR(dtype, shape, begin, end)                                                                     \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

enum { DATA_MAX = 64 };

static struct kgen_safetensors *parse(const char *header, size_t data, struct kgen_text *text,
                                      struct kgen_error *error)
{
    static const char bytes[DATA_MAX] = {1, 2, 3, 4, 5, 6, 7, 8};
    kgen_test_safetensors_put(header, strlen(header), bytes, data, text);
    return kgen_safetensors_parse("dir/model.safetensors", text->data, text->length, error);
}

static void test_read(void **state)
{
    static const struct {
        const char *header;
        size_t data, count;
    } table[] = {
        {"{}", 0, 0},
        {"{}   ", 0, 0},
        {"{\"__metadata__\":{\"format\":\"pt\"}}", 0, 0},
        {"{\"a\":" TENSOR("F32", "[2,3]", 0, 24) "}", 24, 1},
        {"{\"a\":" TENSOR("F32", "[]", 0, 4) "}", 4, 1},
        {"{\"a\":" TENSOR("U8", "[0,5]", 0, 0) ",\"b\":" TENSOR("I64", "[1]", 0, 8) "}", 8, 2},
        {"{\"b\":" TENSOR("F16", "[2]", 4, 8) ",\"a\":" TENSOR("BF16", "[2]", 0, 4) "}", 8, 2},
        {"{\"a\":" TENSOR("F4", "[4]", 0, 2) "}", 2, 1},
    };
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++) {
        struct kgen_error error = {0};
        struct kgen_text text = {0};
        struct kgen_safetensors *file = parse(table[i].header, table[i].data, &text, &error);
        if (file == NULL)
            fail_msg("case %zu: %s", i, error.message);
        assert_int_equal(kgen_safetensors_count(file), table[i].count);
        assert_int_equal(kgen_safetensors_size(file), text.length);
        kgen_safetensors_close(file);
        kgen_text_free(&text);
    }
    assert_int_equal(cases, KGEN_COUNT_OF(table));
    kgen_safetensors_close(NULL);
}

static void test_members(void **state)
{
    struct kgen_error error = {0};
    struct kgen_text text = {0};
    (void)state;
    struct kgen_safetensors *file = parse(
        "{\"b\":" TENSOR("F16", "[2]", 6, 10) ",\"a\":" TENSOR("BF16", "[1,3]", 0, 6) "}", 10, &text, &error);
    assert_non_null(file);
    const struct kgen_safetensors_tensor *a = kgen_safetensors_at(file, 0), *b = kgen_safetensors_at(file, 1);
    assert_string_equal(a->name, "a");
    assert_string_equal(a->dtype->name, "BF16");
    assert_int_equal(a->rank, 2);
    assert_int_equal(a->shape[0], 1);
    assert_int_equal(a->shape[1], 3);
    assert_int_equal(a->elements, 3);
    assert_int_equal(a->bytes, 6);
    assert_int_equal(a->offset, text.length - 10);
    assert_memory_equal(a->data, "\1\2\3\4\5\6", 6);
    assert_string_equal(b->name, "b");
    assert_int_equal(b->rank, 1);
    assert_memory_equal(b->data, "\7\10", 2);
    assert_string_equal(kgen_safetensors_source(file), "dir/model.safetensors");
    kgen_safetensors_close(file);
    kgen_text_free(&text);
}

static void test_refused(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        const char *message;
    } table[] = {
        {"", 0, "at byte 0: this is not a safetensors file, or it is cut short"},
        {"[]", 0, "at byte 0: this is not a safetensors file"},
        {"{\"a\"", 0, "at byte 12: the header is not valid JSON"},
        {"{\"a\":" TENSOR("U8", "[1]", 0, 1) ",\"a\":" TENSOR("U8", "[1]", 1, 2) "}", 2,
         "duplicate object key"},
        {"{\"a\\u0000\":1}", 0, "the header is not valid JSON"},
        {"{\"a\":[]}", 0, "the tensor a is not described by an object"},
        {"{\"a\nb\":[]}", 0, "the header is not valid JSON"},
        {"{\"a\\nb\":[]}", 0, "the tensor a?b is not described by an object"},
        {"{\"a\":{}}", 0, "the tensor a has no \"dtype\""},
        {"{\"a\":{\"dtype\":4}}", 0, "the tensor a has no \"dtype\""},
        {"{\"a\":" TENSOR("F33", "[1]", 0, 4) "}", 4,
         "the tensor a has the dtype \"F33\", which is not known"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "the tensor a has no \"shape\""},
        {"{\"a\":" TENSOR("F32", "[-1]", 0, 4) "}", 4, "something else than integers"},
        {"{\"a\":" TENSOR("F32", "[1.0]", 0, 4) "}", 4, "something else than integers"},
        {"{\"a\":" TENSOR("F32", "[1,1,1,1,1]", 0, 4) "}", 4, "has 5 dimensions; at most 4 are read"},
        {"{\"a\":" TENSOR("U8", "[4294967296,4294967296]", 0, 4) "}", 4, "more elements than any file"},
        {"{\"a\":" TENSOR("U8", "[0,4611686018427387904,4]", 0, 0) "}", 0, "more elements than any file"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "the tensor a has no \"data_offsets\""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "has no \"data_offsets\""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, "has no \"data_offsets\""},
        {"{\"a\":" TENSOR("U8", "[1]", 2, 1) "}", 2, "has no \"data_offsets\""},
        {"{\"a\":" TENSOR("U8", "[1]", -1, 0) "}", 2, "has no \"data_offsets\""},
        {"{\"a\":" TENSOR("U8", "[4]", 0, 4) "}", 3, "the tensor a ends at byte 4 of the data, which have 3"},
        {"{\"a\":" TENSOR("U8", "[4]", 9223372036854775803, 9223372036854775807) "}", 4,
         "the tensor a ends at"},
        {"{\"a\":" TENSOR("U8", "[4]", 9223372036854775808, 9223372036854775812) "}", 4, "not valid JSON"},
        {"{\"a\":" TENSOR("F32", "[3]", 0, 8) "}", 8,
         "the tensor a has 8 bytes, and its 3 elements of F32 take 96"},
        {"{\"a\":" TENSOR("F4", "[3]", 0, 1) "}", 1, "its 3 elements of F4 take 12 bits"},
        {"{\"a\":" TENSOR("U8", "[4]", 0, 4) ",\"b\":" TENSOR("U8", "[4]", 3, 7) "}", 7,
         "the tensors a and b share bytes"},
        {"{\"a\":" TENSOR("U8", "[4]", 0, 4) ",\"b\":" TENSOR("U8", "[4]", 0, 4) "}", 4, "share bytes"},
        {"{\"a\":" TENSOR("U8", "[2]", 0, 2) ",\"b\":" TENSOR("U8", "[2]", 3, 5) "}", 5,
         "1 bytes before the tensor b belong to none"},
        {"{\"a\":" TENSOR("U8", "[2]", 0, 2) "}", 5, "the last 3 bytes of the file belong to no tensor"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"codec\":\"zip\"}}", 1,
         "the tensor a has more keys than"},
    };
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++) {
        struct kgen_error error = {0};
        struct kgen_text text = {0};
        struct kgen_safetensors *file = parse(table[i].header, table[i].data, &text, &error);
        if (file != NULL || error.code != KGEN_ERROR_SPEC || strstr(error.message, table[i].message) == NULL)
            fail_msg("case %zu, %s: %s", i, table[i].header, file != NULL ? "accepted" : error.message);
        assert_string_equal(error.source, "dir/model.safetensors");
        kgen_text_free(&text);
    }
    assert_int_equal(cases, KGEN_COUNT_OF(table));
}

/* Lengths of the header that do not fit the file. */
static void test_lengths(void **state)
{
    static const uint64_t lengths[] = {3, 1000, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 8};
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(lengths) + 8; i++, cases++) {
        char bytes[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
        struct kgen_error error = {0};
        const bool cut = i >= KGEN_COUNT_OF(lengths);
        for (size_t j = 0; j < 8 && !cut; j++)
            bytes[j] = (char)(lengths[i] >> 8 * j & 0xff);
        const size_t size = cut ? i - KGEN_COUNT_OF(lengths) : sizeof bytes;
        assert_null(kgen_safetensors_parse("short", bytes, size, &error));
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        assert_memory_equal(error.message, "at byte 0: ", 11);
    }
    assert_true(cases > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
