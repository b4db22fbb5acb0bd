/* SPDX-License-Identifier: MIT */
/* The header of a package: metadata, and where the tensors lie. */
#include "runtime/model/package_internal.h"

#include "gen/ops/layout.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TYPE_F32 = KGEN_GGUF_TENSOR_F32, TYPE_I8 = 24 };

static void put(struct kgen_text *text, uint64_t number, size_t bytes)
{
    char data[8];
    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)(unsigned char)(number >> (8 * i));
    kgen_text_append(text, data, bytes);
}

static void put_text(struct kgen_text *text, const char *data, size_t length)
{
    put(text, length, 8);
    kgen_text_append(text, data, length);
}

static void put_key(struct kgen_text *text, const char *key, enum kgen_gguf_type type)
{
    put_text(text, key, strlen(key));
    put(text, type, 4);
}

void kgen_package_put_string(struct kgen_text *values, const char *key, const char *data, size_t length)
{
    put_key(values, key, KGEN_GGUF_STRING);
    put_text(values, data, length);
}

void kgen_package_put_bytes(struct kgen_text *values, const char *key, const void *data, size_t length)
{
    put_key(values, key, KGEN_GGUF_ARRAY);
    put(values, KGEN_GGUF_U8, 4);
    put_text(values, data, length);
}

void kgen_package_put_value(struct kgen_text *values, const struct kgen_gguf_value *value)
{
    put_text(values, value->key.data, value->key.length);
    put(values, value->type, 4);
    if (value->type == KGEN_GGUF_ARRAY) {
        put(values, value->element, 4);
        put(values, value->count, 8);
    }
    kgen_text_append(values, (const char *)value->data, value->bytes);
}

/* ---- the list of weights ---- */

static json_t *list_item(const struct kgen_package_item *item)
{
    json_t *object = json_pack("{s:[], s:[], s:[], s:[]}", "names", "rows", "tensors", "hashes");
    for (size_t i = 0; i < item->count; i++) {
        json_array_append_new(json_object_get(object, "names"), json_string(item->weights[i]->name));
        json_array_append_new(json_object_get(object, "rows"),
                              json_integer((json_int_t)kgen_package_rows(item->weights[i])));
    }
    for (size_t i = 0; i < item->array_count; i++) {
        char hash[17];
        snprintf(hash, sizeof hash, "%016" PRIx64, item->arrays[i].hash);
        json_array_append_new(json_object_get(object, "tensors"), json_string(item->arrays[i].name));
        json_array_append_new(json_object_get(object, "hashes"), json_string(hash));
    }
    if (item->vector || object == NULL)
        return object;
    if (item->experts > 0)
        json_object_set_new(object, "experts", json_integer((json_int_t)item->experts));
    static const char *const constants[][2] = {
        {"mode", "scheme"}, {"scale_dtype", "scale_dtype"}, {"layout", "layout"}};
    static const char *const integers[][2] = {
        {"columns", "K"}, {"bits", "bits"}, {"group_size", "group_size"}};
    for (size_t i = 0; i < KGEN_COUNT_OF(constants); i++) {
        json_object_set_new(
            object, constants[i][0],
            json_string(kgen_constant_name(kgen_problem_get(&item->problem, constants[i][1]))));
        json_object_set_new(object, integers[i][0],
                            json_integer(kgen_problem_get(&item->problem, integers[i][1])));
    }
    return object;
}

/* NULL where memory runs out. */
static char *list_weights(const struct kgen_package_plan *plan)
{
    json_t *list = json_array();
    int failed = list == NULL;
    for (size_t i = 0; i < plan->count && !failed; i++)
        failed = json_array_append_new(list, list_item(&plan->items[i]));
    char *text = failed ? NULL : json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

/* ---- the whole ---- */

/* Appends the values of the package and returns how many there are. */
static uint64_t put_values(const struct kgen_package_plan *plan, const char *weights,
                           struct kgen_text *header)
{
    const struct kgen_package_parts *parts = plan->parts;
    const struct {
        const char *key, *text;
    } strings[] = {
        {"general.architecture", "kgen"},
        {"kgen.package.made_by", KGEN_VERSION},
        {"kgen.package.config", parts->config},
        {"kgen.package.activation_dtype", kgen_constant_name(parts->activation_dtype)},
        {"kgen.package.layout_name", kgen_constant_name(parts->layout)},
        {"kgen.package.weights", weights},
    };
    const struct {
        const char *key;
        uint32_t number;
    } numbers[] = {
        {"general.alignment", KGEN_PACKAGE_ALIGNMENT},
        {"kgen.package.version", KGEN_PACKAGE_VERSION},
        {"kgen.package.layout", KGEN_LAYOUT_VERSION},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(strings); i++)
        kgen_package_put_string(header, strings[i].key, strings[i].text, strlen(strings[i].text));
    for (size_t i = 0; i < KGEN_COUNT_OF(numbers); i++) {
        put_key(header, numbers[i].key, KGEN_GGUF_U32);
        put(header, numbers[i].number, 4);
    }
    kgen_text_append(header, parts->values->data, parts->values->length);
    return KGEN_COUNT_OF(strings) + KGEN_COUNT_OF(numbers) + parts->value_count;
}

/* Appends the descriptions of the tensors and returns how many there are. */
static uint64_t put_tensors(const struct kgen_package_plan *plan, struct kgen_text *header)
{
    uint64_t count = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct kgen_package_item *item = &plan->items[i];
        for (size_t j = 0; j < item->array_count; j++, count++) {
            put_text(header, item->arrays[j].name, strlen(item->arrays[j].name));
            put(header, 1, 4);
            put(header, item->arrays[j].bytes / (item->vector ? sizeof(float) : 1), 8);
            put(header, item->vector ? TYPE_F32 : TYPE_I8, 4);
            put(header, item->arrays[j].offset, 8);
        }
    }
    return count;
}

static void set(struct kgen_text *header, size_t at, uint64_t number)
{
    for (size_t i = 0; i < 8 && at + i < header->length; i++)
        header->data[at + i] = (char)(unsigned char)(number >> (8 * i));
}

int kgen_package_header(const struct kgen_package_plan *plan, struct kgen_text *header,
                        struct kgen_error *error)
{
    enum { TENSORS_AT = 8, VALUES_AT = 16 };
    char *weights = list_weights(plan);
    kgen_text_clear(header);
    if (weights != NULL) {
        kgen_text_puts(header, "GGUF");
        put(header, 3, 4);
        put(header, 0, 8);
        put(header, 0, 8);
        const uint64_t values = put_values(plan, weights, header) + 1;
        put_key(header, "kgen.package.hash", KGEN_GGUF_U64);
        const size_t hash_at = header->length;
        put(header, 0, 8);
        const uint64_t tensors = put_tensors(plan, header);
        while (header->length % KGEN_PACKAGE_ALIGNMENT != 0 && !header->failed)
            kgen_text_append(header, "", 1);
        set(header, TENSORS_AT, tensors);
        set(header, VALUES_AT, values);
        set(header, hash_at, kgen_hash(KGEN_HASH_START, header->data, header->length));
    }
    const bool failed = weights == NULL || header->failed;
    free(weights);
    return failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_checkpoint_source(plan->parts->checkpoint),
                                   0, 0, "out of memory")
                  : 0;
}
