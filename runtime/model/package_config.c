/* SPDX-License-Identifier: MIT */
#include "runtime/model/package_config.h"

#include "gen/ops/constant.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_GROUP = 64 };

struct maker {
    const struct kgen_package_formats *formats;
    const char *source;
    json_t *config;
    size_t changed; /* formats that were plain */
    struct kgen_error *error;
};

static int fail_memory(const struct maker *maker)
{
    return kgen_error_set(maker->error, KGEN_ERROR_MEMORY, maker->source, 0, 0, "out of memory");
}

/* The dtype of plain weights; KGEN_CONSTANT_NONE of others. */
static int64_t plain_dtype(const json_t *format)
{
    const char *mode = json_string_value(json_object_get(format, "mode"));
    const int64_t scheme = mode != NULL ? (int64_t)kgen_constant_find(mode) : KGEN_CONSTANT_NONE;
    return scheme == KGEN_F32 || scheme == KGEN_F16 || scheme == KGEN_BF16 ? scheme : KGEN_CONSTANT_NONE;
}

/* Changes a format in place where it is plain. */
static int change(struct maker *maker, json_t *format)
{
    const struct kgen_package_formats *formats = maker->formats;
    const int64_t dtype = plain_dtype(format);
    if (dtype == KGEN_CONSTANT_NONE)
        return 0;
    int64_t scales = dtype == KGEN_F32 ? KGEN_F16 : dtype;
    scales = formats->scale_dtype != KGEN_CONSTANT_NONE ? formats->scale_dtype : scales;
    maker->changed++;
    return json_object_set_new(format, "mode", json_string("affine")) != 0 ||
                   json_object_set_new(format, "bits", json_integer((json_int_t)formats->bits)) != 0 ||
                   json_object_set_new(format, "group_size",
                                       json_integer(formats->group_size > 0 ? (json_int_t)formats->group_size
                                                                            : USUAL_GROUP)) != 0 ||
                   json_object_set_new(format, "scale_dtype", json_string(kgen_constant_name(scales))) != 0
               ? fail_memory(maker)
               : 0;
}

static int change_formats(struct maker *maker)
{
    json_t *quantization = json_object_get(maker->config, "quantization"), *value;
    const char *key;
    if (maker->formats->bits == 0)
        return 0;
    if (change(maker, quantization) != 0)
        return -1;
    json_object_foreach(quantization, key, value)
    {
        if (json_is_object(value) && change(maker, value) != 0)
            return -1;
    }
    if (maker->changed > 0)
        return 0;
    kgen_error_set(maker->error, KGEN_ERROR_SPEC, maker->source, 0, 0,
                   "every matrix is quantised already, and --bits is for those that are not");
    kgen_error_hint(maker->error, "without --bits kgen pack keeps the formats");
    return -1;
}

/* Appends the patterns to those that the config has, which they follow. */
static int add_overrides(struct maker *maker)
{
    json_error_t where;
    if (maker->formats->overrides == NULL)
        return 0;
    json_t *overrides = json_loads(maker->formats->overrides, JSON_REJECT_DUPLICATES, &where);
    json_t *there = json_object_get(maker->config, "overrides");
    int result = 0;
    if (!json_is_object(overrides)) {
        result = kgen_error_set(maker->error, KGEN_ERROR_SPEC, "--overrides",
                                overrides == NULL ? where.line : 0, overrides == NULL ? where.column : 0,
                                "%s", overrides == NULL ? where.text : "this is not a JSON object");
        kgen_error_hint(maker->error, "such as {\"*.down_proj\": {\"bits\": 6}}");
    } else if (there == NULL) {
        result = json_object_set(maker->config, "overrides", overrides) == 0 ? 0 : fail_memory(maker);
    } else if (json_object_update(there, overrides) != 0) {
        result = fail_memory(maker);
    }
    json_decref(overrides);
    return result;
}

int kgen_package_config(const struct kgen_checkpoint *checkpoint, const struct kgen_package_formats *formats,
                        struct kgen_text *config, struct kgen_error *error)
{
    struct kgen_text stored = {0};
    struct maker maker = {formats, kgen_checkpoint_source(checkpoint), NULL, 0, error};
    int result = kgen_checkpoint_config(checkpoint, &stored, error);
    kgen_text_clear(config);
    if (result == 0) {
        maker.config = json_loadb(stored.data, stored.length, 0, NULL);
        result = maker.config == NULL ? fail_memory(&maker) : change_formats(&maker);
    }
    if (result == 0 && (result = add_overrides(&maker)) == 0) {
        char *text = json_dumps(maker.config, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
        kgen_text_puts(config, text != NULL ? text : "");
        result = text == NULL || config->failed ? fail_memory(&maker) : 0;
        free(text);
    }
    json_decref(maker.config);
    kgen_text_free(&stored);
    return result;
}
