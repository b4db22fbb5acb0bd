/* SPDX-License-Identifier: MIT */
#include "runtime/model/safetensors.h"
#include "runtime/model/file_map.h"
#include "runtime/model/gguf.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_BYTES = 8,             /* before the header: its length, little-endian */
    HEADER_BYTES_MAX = 100000000, /* as the format's own library has it */
    NAME_SHOWN = 100,
};

struct kgen_safetensors {
    char *source;
    struct kgen_file_map map; /* empty: data is the caller's */
    const unsigned char *data;
    size_t size, data_begin;
    json_t *header; /* the names of the tensors lie in it */
    struct kgen_safetensors_tensor *tensors;
    size_t count;
};

static const struct kgen_safetensors_dtype dtypes[] = {
    {"F32", 32},    {"F16", 16},    {"BF16", 16},   {"U32", 32},    {"U8", 8},   {"I8", 8},   {"U16", 16},
    {"I16", 16},    {"I32", 32},    {"U64", 64},    {"I64", 64},    {"F64", 64}, {"BOOL", 8}, {"F8_E4M3", 8},
    {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},   {"C64", 64},
};

static int fail(const struct kgen_safetensors *file, struct kgen_error *error, const char *format, ...)
    KGEN_PRINTF(3, 4);

static int fail(const struct kgen_safetensors *file, struct kgen_error *error, const char *format, ...)
{
    struct kgen_text message = {0};
    va_list arguments;
    va_start(arguments, format);
    kgen_text_vprintf(&message, format, arguments);
    va_end(arguments);
    kgen_error_set(error, KGEN_ERROR_SPEC, file->source, 0, 0, "%s",
                   message.failed ? "out of memory" : message.data);
    kgen_text_free(&message);
    return -1;
}

static const char *shown_name(const char *name, char shown[NAME_SHOWN])
{
    return kgen_gguf_show((struct kgen_gguf_text){name, strlen(name)}, shown, NAME_SHOWN);
}

static int fail_tensor(const struct kgen_safetensors *file, struct kgen_error *error, const char *name,
                       const char *what)
{
    char shown[NAME_SHOWN];
    return fail(file, error, "the tensor %s %s", shown_name(name, shown), what);
}

/* ---- one tensor ---- */

static const struct kgen_safetensors_dtype *find_dtype(const char *name)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(dtypes); i++) {
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    }
    return NULL;
}

static int read_dtype(const struct kgen_safetensors *file, json_t *described,
                      struct kgen_safetensors_tensor *tensor, struct kgen_error *error)
{
    char shown[NAME_SHOWN], dtype[40];
    const char *name = json_string_value(json_object_get(described, "dtype"));
    if (name == NULL)
        return fail_tensor(file, error, tensor->name, "has no \"dtype\", which is a string");
    tensor->dtype = find_dtype(name);
    return tensor->dtype != NULL
               ? 0
               : fail(file, error, "the tensor %s has the dtype \"%s\", which is not known",
                      shown_name(tensor->name, shown),
                      kgen_gguf_show((struct kgen_gguf_text){name, strlen(name)}, dtype, sizeof dtype));
}

/* An integer of at least 0 at a place of a list, or -1. */
static int64_t integer_at(const json_t *list, size_t index)
{
    const json_t *value = json_array_get(list, index);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value) : -1;
}

static int read_shape(const struct kgen_safetensors *file, json_t *described,
                      struct kgen_safetensors_tensor *tensor, struct kgen_error *error)
{
    char shown[NAME_SHOWN];
    const json_t *shape = json_object_get(described, "shape");
    if (!json_is_array(shape))
        return fail_tensor(file, error, tensor->name, "has no \"shape\", which is a list");
    tensor->rank = json_array_size(shape);
    if (tensor->rank > KGEN_SAFETENSORS_RANK_MAX)
        return fail(file, error, "the tensor %s has %zu dimensions; at most %d are read",
                    shown_name(tensor->name, shown), tensor->rank, KGEN_SAFETENSORS_RANK_MAX);
    tensor->elements = 1;
    bool empty = false;
    for (size_t i = 0; i < tensor->rank; i++) {
        const int64_t size = tensor->shape[i] = integer_at(shape, i);
        empty = empty || size == 0;
        if (size < 0)
            return fail_tensor(file, error, tensor->name,
                               "has a \"shape\" with something else than integers of at least 0");
        if (size > 0 && tensor->elements > INT64_MAX / 64 / size)
            return fail_tensor(file, error, tensor->name, "has more elements than any file");
        tensor->elements *= size > 0 ? size : 1;
    }
    tensor->elements = empty ? 0 : tensor->elements;
    return 0;
}

static int read_offsets(const struct kgen_safetensors *file, json_t *described,
                        struct kgen_safetensors_tensor *tensor, struct kgen_error *error)
{
    char shown[NAME_SHOWN];
    const json_t *offsets = json_object_get(described, "data_offsets");
    const int64_t begin = integer_at(offsets, 0), end = integer_at(offsets, 1);
    const uint64_t room = file->size - file->data_begin;
    if (json_array_size(offsets) != 2 || begin < 0 || end < begin)
        return fail_tensor(file, error, tensor->name,
                           "has no \"data_offsets\", which are two integers, the second not the lesser");
    if ((uint64_t)end > room) {
        fail(file, error, "the tensor %s ends at byte %lld of the data, which have %llu",
             shown_name(tensor->name, shown), (long long)end, (unsigned long long)room);
        kgen_error_hint(error, "is the file complete?");
        return -1;
    }
    const int64_t bits = tensor->elements * tensor->dtype->bits;
    if (bits % 8 != 0 || bits / 8 != end - begin)
        return fail(file, error, "the tensor %s has %lld bytes, and its %lld elements of %s take %lld bits",
                    shown_name(tensor->name, shown), (long long)(end - begin), (long long)tensor->elements,
                    tensor->dtype->name, (long long)bits);
    tensor->offset = file->data_begin + (uint64_t)begin;
    tensor->bytes = (uint64_t)(end - begin);
    tensor->data = file->data + tensor->offset;
    return 0;
}

static int read_tensor(const struct kgen_safetensors *file, const char *name, json_t *described,
                       struct kgen_safetensors_tensor *tensor, struct kgen_error *error)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    *tensor = (struct kgen_safetensors_tensor){.name = name};
    if (!json_is_object(described))
        return fail_tensor(file, error, name, "is not described by an object");
    size_t known = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(keys); i++)
        known += json_object_get(described, keys[i]) != NULL;
    if (json_object_size(described) > known)
        return fail_tensor(file, error, name, "has more keys than \"dtype\", \"shape\" and \"data_offsets\"");
    return read_dtype(file, described, tensor, error) != 0 || read_shape(file, described, tensor, error) != 0
               ? -1
               : read_offsets(file, described, tensor, error);
}

/* ---- the header ---- */

static int compare_places(const void *a, const void *b)
{
    const struct kgen_safetensors_tensor *one = a, *other = b;
    if (one->offset != other->offset)
        return one->offset < other->offset ? -1 : 1;
    return one->bytes < other->bytes ? -1 : one->bytes > other->bytes;
}

/* The tensors, in the order of their bytes, fill the file: each begins where the one before ends. */
static int check_places(const struct kgen_safetensors *file, struct kgen_error *error)
{
    char shown[NAME_SHOWN], before[NAME_SHOWN];
    uint64_t at = file->data_begin;
    for (size_t i = 0; i < file->count; i++) {
        const struct kgen_safetensors_tensor *tensor = &file->tensors[i];
        if (tensor->offset < at)
            return fail(file, error, "the tensors %s and %s share bytes",
                        shown_name(file->tensors[i - 1].name, before), shown_name(tensor->name, shown));
        if (tensor->offset > at)
            return fail(file, error, "at byte %llu: %llu bytes before the tensor %s belong to none",
                        (unsigned long long)at, (unsigned long long)(tensor->offset - at),
                        shown_name(tensor->name, shown));
        at += tensor->bytes;
    }
    return at == file->size
               ? 0
               : fail(file, error, "at byte %llu: the last %llu bytes of the file belong to no tensor",
                      (unsigned long long)at, (unsigned long long)(file->size - at));
}

static int load_header(struct kgen_safetensors *file, struct kgen_error *error)
{
    uint64_t length = 0;
    if (file->size < LENGTH_BYTES)
        return fail(file, error, "at byte 0: the file has %zu bytes, too few for a safetensors file",
                    file->size);
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        length |= (uint64_t)file->data[i] << 8 * i;
    if (length > file->size - LENGTH_BYTES || length > HEADER_BYTES_MAX || length == 0 ||
        file->data[LENGTH_BYTES] != '{') {
        fail(file, error, "at byte 0: this is not a safetensors file, or it is cut short");
        kgen_error_hint(error, "its header would have %llu bytes, the file has %zu",
                        (unsigned long long)length, file->size);
        return -1;
    }
    json_error_t json;
    file->data_begin = LENGTH_BYTES + (size_t)length;
    file->header =
        json_loadb((const char *)file->data + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &json);
    if (file->header == NULL && json_error_code(&json) == json_error_out_of_memory)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, file->source, 0, 0, "out of memory");
    return file->header != NULL ? 0
                                : fail(file, error, "at byte %d: the header is not valid JSON: %s",
                                       LENGTH_BYTES + json.position, json.text);
}

static int read_header(struct kgen_safetensors *file, struct kgen_error *error)
{
    if (load_header(file, error) != 0)
        return -1;
    file->tensors = calloc(json_object_size(file->header) + 1, sizeof *file->tensors);
    if (file->tensors == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, file->source, 0, 0, "out of memory");
    const char *name;
    json_t *described;
    json_object_foreach(file->header, name, described)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue; /* texts about the file */
        if (read_tensor(file, name, described, &file->tensors[file->count], error) != 0)
            return -1;
        file->count++;
    }
    qsort(file->tensors, file->count, sizeof *file->tensors, compare_places);
    return check_places(file, error);
}

/* ---- opening ---- */

/* Takes the map. */
static struct kgen_safetensors *make(const char *source, const void *data, size_t size,
                                     struct kgen_file_map map, struct kgen_error *error)
{
    struct kgen_safetensors *file = calloc(1, sizeof *file);
    char *copy = strdup(source);
    if (file == NULL || copy == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
        kgen_file_map_close(&map);
        free(file);
        free(copy);
        return NULL;
    }
    *file = (struct kgen_safetensors){.source = copy, .map = map, .data = data, .size = size};
    if (read_header(file, error) == 0)
        return file;
    kgen_safetensors_close(file);
    return NULL;
}

struct kgen_safetensors *kgen_safetensors_open(const char *path, struct kgen_error *error)
{
    struct kgen_file_map map;
    return kgen_file_map_open(path, &map, error) == 0 ? make(path, map.data, map.size, map, error) : NULL;
}

struct kgen_safetensors *kgen_safetensors_parse(const char *source, const void *data, size_t size,
                                                struct kgen_error *error)
{
    return make(source, data, size, (struct kgen_file_map){0}, error);
}

void kgen_safetensors_close(struct kgen_safetensors *file)
{
    if (file == NULL)
        return;
    kgen_file_map_close(&file->map);
    json_decref(file->header);
    free(file->tensors);
    free(file->source);
    free(file);
}

const char *kgen_safetensors_source(const struct kgen_safetensors *file)
{
    return file->source;
}

size_t kgen_safetensors_size(const struct kgen_safetensors *file)
{
    return file->size;
}

size_t kgen_safetensors_count(const struct kgen_safetensors *file)
{
    return file->count;
}

const struct kgen_safetensors_tensor *kgen_safetensors_at(const struct kgen_safetensors *file, size_t index)
{
    return &file->tensors[index];
}
