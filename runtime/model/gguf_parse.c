/* SPDX-License-Identifier: MIT */
/* Reads the header of a GGUF file. Every count, length and offset is held against what is left of the file
 * before it is used. */
#include "runtime/model/gguf_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 32,    /* where the metadata say nothing */
    DEPTH_MAX = 4,     /* of arrays of arrays */
    VALUE_BYTES = 13,  /* the least: an empty key, a type, a byte */
    TENSOR_BYTES = 33, /* the least: a name of one byte, one dimension, a type, an offset */
    NAME_SHOWN = 80,
};

struct reader {
    struct kgen_gguf *gguf;
    size_t at;
    struct kgen_error *error;
};

static int fail(const struct reader *reader, size_t place, const char *format, ...) KGEN_PRINTF(3, 4);

static int fail(const struct reader *reader, size_t place, const char *format, ...)
{
    struct kgen_text message = {0};
    va_list arguments;
    va_start(arguments, format);
    kgen_text_vprintf(&message, format, arguments);
    va_end(arguments);
    kgen_error_set(reader->error, KGEN_ERROR_SPEC, reader->gguf->source, 0, 0, "at byte %zu: %s", place,
                   message.failed ? "out of memory" : message.data);
    kgen_text_free(&message);
    return -1;
}

static int fail_end(const struct reader *reader, const char *what)
{
    fail(reader, reader->at, "the file ends within %s", what);
    kgen_error_hint(reader->error, "it has %zu bytes: is it complete?", reader->gguf->size);
    return -1;
}

static size_t left(const struct reader *reader)
{
    return reader->gguf->size - reader->at;
}

static int read_number(struct reader *reader, size_t bytes, const char *what, uint64_t *number)
{
    if (left(reader) < bytes)
        return fail_end(reader, what);
    *number = kgen_gguf_load(reader->gguf->data + reader->at, bytes);
    reader->at += bytes;
    return 0;
}

static int read_text(struct reader *reader, const char *what, struct kgen_gguf_text *text)
{
    const size_t begin = reader->at;
    uint64_t length = 0;
    if (read_number(reader, 8, what, &length) != 0)
        return -1;
    if (length > left(reader)) {
        fail(reader, begin, "%s has %llu bytes, and the file ends %zu bytes later", what,
             (unsigned long long)length, left(reader));
        kgen_error_hint(reader->error, "the file is cut short or damaged");
        return -1;
    }
    *text = (struct kgen_gguf_text){(const char *)reader->gguf->data + reader->at, (size_t)length};
    reader->at += (size_t)length;
    return 0;
}

/* ---- metadata ---- */

static int read_type(struct reader *reader, enum kgen_gguf_type *type)
{
    const size_t begin = reader->at;
    uint64_t number = 0;
    if (read_number(reader, 4, "the type of a value", &number) != 0)
        return -1;
    if (number >= KGEN_GGUF_TYPE_COUNT)
        return fail(reader, begin, "%llu is no type of a value", (unsigned long long)number);
    *type = (enum kgen_gguf_type)number;
    return 0;
}

static int skip_elements(struct reader *reader, enum kgen_gguf_type type, uint64_t count, int depth);

static int read_array_head(struct reader *reader, enum kgen_gguf_type *element, uint64_t *count)
{
    return read_type(reader, element) != 0 ? -1 : read_number(reader, 8, "the length of an array", count);
}

static int skip_array(struct reader *reader, int depth)
{
    enum kgen_gguf_type element = KGEN_GGUF_U8;
    uint64_t count = 0;
    if (depth > DEPTH_MAX)
        return fail(reader, reader->at, "arrays are nested more than %d deep", DEPTH_MAX);
    return read_array_head(reader, &element, &count) != 0 ? -1 : skip_elements(reader, element, count, depth);
}

static int skip_elements(struct reader *reader, enum kgen_gguf_type type, uint64_t count, int depth)
{
    /* The least that an element takes: the length of a string, the head of an array. */
    const size_t fixed = kgen_gguf_type_bytes(type);
    const size_t least = fixed != 0 ? fixed : type == KGEN_GGUF_ARRAY ? 12 : 8;
    if (count > left(reader) / least) {
        fail(reader, reader->at, "%llu values of type %s do not fit into the %zu bytes that are left",
             (unsigned long long)count, kgen_gguf_type_name(type), left(reader));
        kgen_error_hint(reader->error, "the file is cut short or damaged");
        return -1;
    }
    if (fixed != 0) {
        reader->at += (size_t)count * fixed;
        return 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct kgen_gguf_text text;
        if (type == KGEN_GGUF_ARRAY ? skip_array(reader, depth + 1) != 0
                                    : read_text(reader, "a string", &text) != 0)
            return -1;
    }
    return 0;
}

static int read_value(struct reader *reader, struct kgen_gguf_value *value)
{
    *value = (struct kgen_gguf_value){.count = 1};
    if (read_text(reader, "the key of a value", &value->key) != 0 || read_type(reader, &value->type) != 0)
        return -1;
    value->element = value->type;
    if (value->type == KGEN_GGUF_ARRAY && read_array_head(reader, &value->element, &value->count) != 0)
        return -1;
    value->data = reader->gguf->data + reader->at;
    if (skip_elements(reader, value->element, value->count, 1) != 0)
        return -1;
    value->bytes = (size_t)(reader->gguf->data + reader->at - value->data);
    return 0;
}

static int read_alignment(struct reader *reader)
{
    struct kgen_gguf *gguf = reader->gguf;
    int64_t alignment = ALIGNMENT;
    if (kgen_gguf_integer(gguf, "general.alignment", &alignment, reader->error) < 0)
        return -1;
    if (alignment < 1 || (alignment & (alignment - 1)) != 0) {
        const struct kgen_gguf_value *value = kgen_gguf_find(gguf, "general.alignment");
        return fail(reader, (size_t)(value->data - gguf->data),
                    "\"general.alignment\" must be a power of two, not %lld", (long long)alignment);
    }
    gguf->alignment = (uint64_t)alignment;
    return 0;
}

static int compare_values(const void *a, const void *b)
{
    const struct kgen_gguf_value *const *left_value = a, *const *right_value = b;
    const int order = kgen_gguf_text_compare((*left_value)->key, (*right_value)->key);
    return order != 0 ? order : (*left_value > *right_value) - (*left_value < *right_value);
}

static int sort_values(struct reader *reader)
{
    struct kgen_gguf *gguf = reader->gguf;
    for (size_t i = 0; i < gguf->value_count; i++)
        gguf->values_by_key[i] = &gguf->values[i];
    qsort(gguf->values_by_key, gguf->value_count, sizeof *gguf->values_by_key, compare_values);
    for (size_t i = 1; i < gguf->value_count; i++) {
        const struct kgen_gguf_text key = gguf->values_by_key[i]->key;
        char shown[NAME_SHOWN];
        if (kgen_gguf_text_compare(gguf->values_by_key[i - 1]->key, key) == 0)
            return fail(reader, (size_t)((const unsigned char *)key.data - gguf->data),
                        "the key \"%s\" is there twice", kgen_gguf_show(key, shown, sizeof shown));
    }
    return 0;
}

static int fail_memory(const struct reader *reader)
{
    return kgen_error_set(reader->error, KGEN_ERROR_MEMORY, reader->gguf->source, 0, 0, "out of memory");
}

static int read_values(struct reader *reader, size_t count)
{
    struct kgen_gguf *gguf = reader->gguf;
    gguf->values = calloc(count + 1, sizeof *gguf->values);
    gguf->values_by_key = calloc(count + 1, sizeof *gguf->values_by_key);
    if (gguf->values == NULL || gguf->values_by_key == NULL)
        return fail_memory(reader);
    for (; gguf->value_count < count; gguf->value_count++) {
        if (read_value(reader, &gguf->values[gguf->value_count]) != 0)
            return -1;
    }
    return sort_values(reader) != 0 ? -1 : read_alignment(reader);
}

/* ---- tensors ---- */

/* Reads the dimensions and counts the elements, which must stay below 2^63. */
static int read_dims(struct reader *reader, struct kgen_gguf_tensor *tensor, const char *name,
                     uint64_t *elements)
{
    const size_t begin = reader->at;
    uint64_t rank = 0;
    if (read_number(reader, 4, "a tensor", &rank) != 0)
        return -1;
    if (rank == 0 || rank > KGEN_GGUF_RANK_MAX)
        return fail(reader, begin, "the tensor \"%s\" has %llu dimensions; it must have 1 to %d", name,
                    (unsigned long long)rank, KGEN_GGUF_RANK_MAX);
    tensor->rank = (unsigned)rank;
    *elements = 1;
    for (unsigned i = 0; i < KGEN_GGUF_RANK_MAX; i++) {
        const size_t place = reader->at;
        uint64_t dim = 1;
        if (i < rank && read_number(reader, 8, "a tensor", &dim) != 0)
            return -1;
        if (dim == 0 || dim > INT64_MAX / *elements)
            return fail(reader, place, "the tensor \"%s\" has a dimension of %llu, %s", name,
                        (unsigned long long)dim,
                        dim == 0 ? "which holds nothing" : "with which it has more than 2^63 elements");
        tensor->dims[i] = (int64_t)dim;
        *elements *= dim;
    }
    return 0;
}

static int read_tensor_type(struct reader *reader, struct kgen_gguf_tensor *tensor, const char *name,
                            uint64_t elements)
{
    const size_t begin = reader->at;
    uint64_t number = 0;
    if (read_number(reader, 4, "a tensor", &number) != 0)
        return -1;
    tensor->type = kgen_gguf_tensor_type((uint32_t)number);
    if (tensor->type == NULL) {
        fail(reader, begin, "the tensor \"%s\" has the type %llu, which is not known", name,
             (unsigned long long)number);
        kgen_error_hint(reader->error, "the file is damaged, or newer than this kgen");
        return -1;
    }
    const uint64_t values = (uint64_t)tensor->type->block_values;
    if ((uint64_t)tensor->dims[0] % values != 0)
        return fail(reader, begin,
                    "the tensor \"%s\" has rows of %lld elements, which %s stores in blocks of %llu", name,
                    (long long)tensor->dims[0], tensor->type->name, (unsigned long long)values);
    if (elements / values > (uint64_t)INT64_MAX / (uint64_t)tensor->type->block_bytes)
        return fail(reader, begin, "the tensor \"%s\" has more than 2^63 bytes", name);
    tensor->bytes = elements / values * (uint64_t)tensor->type->block_bytes;
    return 0;
}

/* offset is that from the beginning of the data until all are read. */
static int read_tensor(struct reader *reader, struct kgen_gguf_tensor *tensor)
{
    char name[NAME_SHOWN];
    uint64_t elements = 0;
    if (read_text(reader, "the name of a tensor", &tensor->name) != 0)
        return -1;
    if (tensor->name.length == 0)
        return fail(reader, reader->at, "a tensor has no name");
    kgen_gguf_show(tensor->name, name, sizeof name);
    if (read_dims(reader, tensor, name, &elements) != 0 ||
        read_tensor_type(reader, tensor, name, elements) != 0)
        return -1;
    const size_t begin = reader->at;
    if (read_number(reader, 8, "a tensor", &tensor->offset) != 0)
        return -1;
    if (tensor->offset % reader->gguf->alignment != 0)
        return fail(reader, begin, "the tensor \"%s\" has the offset %llu, which is not a multiple of %llu",
                    name, (unsigned long long)tensor->offset, (unsigned long long)reader->gguf->alignment);
    return 0;
}

/* The byte of the name of a tensor, where its entry is. */
static size_t entry_of(const struct reader *reader, const struct kgen_gguf_tensor *tensor)
{
    return (size_t)((const unsigned char *)tensor->name.data - reader->gguf->data);
}

/* The data begins at the next multiple of the alignment. */
static int place_tensors(struct reader *reader)
{
    struct kgen_gguf *gguf = reader->gguf;
    const uint64_t mask = gguf->alignment - 1;
    const uint64_t padding = (gguf->alignment - (reader->at & mask)) & mask;
    /* A file without tensors may end without the padding. */
    if (gguf->tensor_count == 0 && padding > left(reader)) {
        gguf->data_begin = gguf->size;
        return 0;
    }
    if (padding > left(reader))
        return fail_end(reader, "the padding before the data");
    gguf->data_begin = reader->at + (size_t)padding;
    const size_t available = gguf->size - gguf->data_begin;
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        struct kgen_gguf_tensor *tensor = &gguf->tensors[i];
        if (tensor->offset > available || tensor->bytes > available - tensor->offset) {
            char name[NAME_SHOWN];
            fail(reader, entry_of(reader, tensor),
                 "the tensor \"%s\" has %llu bytes from byte %llu of the data on, which ends after %zu",
                 kgen_gguf_show(tensor->name, name, sizeof name), (unsigned long long)tensor->bytes,
                 (unsigned long long)tensor->offset, available);
            kgen_error_hint(reader->error, "the file is cut short or damaged");
            return -1;
        }
        tensor->offset += gguf->data_begin;
        tensor->data = gguf->data + tensor->offset;
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct kgen_gguf_tensor *const *one = a, *const *other = b;
    const int order = kgen_gguf_text_compare((*one)->name, (*other)->name);
    return order != 0 ? order : (*one > *other) - (*one < *other);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct kgen_gguf_tensor *const *one = a, *const *other = b;
    const uint64_t left_offset = (*one)->offset, right_offset = (*other)->offset;
    if (left_offset != right_offset)
        return left_offset > right_offset ? 1 : -1;
    return (*one > *other) - (*one < *other);
}

static int check_overlaps(struct reader *reader)
{
    struct kgen_gguf *gguf = reader->gguf;
    const struct kgen_gguf_tensor **sorted = gguf->tensors_by_name;
    for (size_t i = 0; i < gguf->tensor_count; i++)
        sorted[i] = &gguf->tensors[i];
    qsort(sorted, gguf->tensor_count, sizeof *sorted, compare_offsets);
    for (size_t i = 1; i < gguf->tensor_count; i++) {
        const struct kgen_gguf_tensor *before = sorted[i - 1], *tensor = sorted[i];
        char name[NAME_SHOWN], other[NAME_SHOWN];
        if (before->offset + before->bytes > tensor->offset)
            return fail(reader, entry_of(reader, tensor), "the tensors \"%s\" and \"%s\" overlap",
                        kgen_gguf_show(before->name, other, sizeof other),
                        kgen_gguf_show(tensor->name, name, sizeof name));
    }
    return 0;
}

static int sort_tensors(struct reader *reader)
{
    struct kgen_gguf *gguf = reader->gguf;
    const struct kgen_gguf_tensor **sorted = gguf->tensors_by_name;
    qsort(sorted, gguf->tensor_count, sizeof *sorted, compare_names);
    for (size_t i = 1; i < gguf->tensor_count; i++) {
        char name[NAME_SHOWN];
        if (kgen_gguf_text_compare(sorted[i - 1]->name, sorted[i]->name) == 0)
            return fail(reader, entry_of(reader, sorted[i]), "the tensor \"%s\" is there twice",
                        kgen_gguf_show(sorted[i]->name, name, sizeof name));
    }
    return 0;
}

static int read_tensors(struct reader *reader, size_t count)
{
    struct kgen_gguf *gguf = reader->gguf;
    if (count > left(reader) / TENSOR_BYTES)
        return fail_end(reader, "the list of tensors");
    gguf->tensors = calloc(count + 1, sizeof *gguf->tensors);
    gguf->tensors_by_name = calloc(count + 1, sizeof *gguf->tensors_by_name);
    if (gguf->tensors == NULL || gguf->tensors_by_name == NULL)
        return fail_memory(reader);
    for (; gguf->tensor_count < count; gguf->tensor_count++) {
        if (read_tensor(reader, &gguf->tensors[gguf->tensor_count]) != 0)
            return -1;
    }
    return place_tensors(reader) != 0 || check_overlaps(reader) != 0 ? -1 : sort_tensors(reader);
}

/* ---- the header ---- */

static int read_version(struct reader *reader)
{
    uint64_t version = 0;
    if (left(reader) < 4 || memcmp(reader->gguf->data, "GGUF", 4) != 0) {
        fail(reader, 0, "this is not a GGUF file");
        kgen_error_hint(reader->error, "a GGUF file begins with the letters GGUF");
        return -1;
    }
    reader->at = 4;
    if (read_number(reader, 4, "the version", &version) != 0)
        return -1;
    if (version == 2 || version == 3) {
        reader->gguf->version = (uint32_t)version;
        return 0;
    }
    if ((version & 0xffff) == 0 && version != 0)
        fail(reader, 4, "the file is big-endian, which is not supported");
    else
        fail(reader, 4, "GGUF version %llu is not supported", (unsigned long long)version);
    kgen_error_hint(reader->error, "versions 2 and 3 are, little-endian");
    return -1;
}

int kgen_gguf_read(struct kgen_gguf *gguf, struct kgen_error *error)
{
    struct kgen_error ignored = {0};
    struct reader reader = {gguf, 0, error != NULL ? error : &ignored};
    uint64_t tensors = 0, values = 0;
    if (read_version(&reader) != 0 || read_number(&reader, 8, "the header", &tensors) != 0 ||
        read_number(&reader, 8, "the header", &values) != 0)
        return -1;
    if (values > left(&reader) / VALUE_BYTES || tensors > left(&reader) / TENSOR_BYTES) {
        fail(&reader, 8, "the header counts %llu tensors and %llu values, for which the file is too short",
             (unsigned long long)tensors, (unsigned long long)values);
        kgen_error_hint(reader.error, "the file is cut short or damaged");
        return -1;
    }
    return read_values(&reader, (size_t)values) != 0 ? -1 : read_tensors(&reader, (size_t)tensors);
}
