/* SPDX-License-Identifier: MIT */
/* Reads the quantisation format of each tensor: from MLX's "quantization" object, which is also written as
 * "quantization_config", then from kgen's "overrides". */
#include "gen/base/strings.h"
#include "gen/ops/format.h"
#include "gen/spec/reader.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Together with the limit on layers these bound the time that matching the patterns of a hostile spec takes.
 */
#define OVERRIDES_MAX 256
#define PATTERN_MAX 128
#define STARS_MAX 4

/* The defaults of MLX: where a config has bits and no group_size, and beside its floating-point modes. */
#define DEFAULT_GROUP_SIZE 64
#define DEFAULT_BITS 4

static const char *const format_names[] = {"bits", "group_size", "scheme", "mode", "scale_dtype", "scales"};

/* A tensor of another scheme does not take over the scale_dtype that was said with the first. */
static void set_scheme(struct kgen_spec_format *format, int64_t scheme)
{
    if (scheme != 0 && scheme != format->scheme) {
        format->scheme = scheme;
        format->scale_dtype = 0;
    }
}

/* Reads those keys of a format that the object has. */
static int read_format(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       json_t *object, struct kgen_spec_format *format)
{
    struct kgen_problem problem = {.op = kgen_op_find("qmv")};
    static const char *const fields[] = {"bits", "group_size", "scheme", "scale_dtype"};
    for (size_t i = 0; i < KGEN_COUNT_OF(fields); i++) {
        const struct kgen_field *field = kgen_spec_find_field("qmv", fields[i]);
        struct kgen_json_path member = {path, NULL, 0};
        json_t *value;
        if (kgen_spec_member(reader, path, object, field, &member.key, &value) != 0)
            return -1;
        if (value != NULL && kgen_spec_field(reader, &member, value, path->key, field, &problem) != 0)
            return -1;
    }
    const int64_t bits = kgen_problem_get(&problem, "bits");
    const int64_t group_size = kgen_problem_get(&problem, "group_size");
    const int64_t scheme = kgen_problem_get(&problem, "scheme");
    const int64_t scale_dtype = kgen_problem_get(&problem, "scale_dtype");
    set_scheme(format, scheme);
    format->bits = bits != 0 ? bits : format->bits;
    format->group_size = group_size != 0 ? group_size : format->group_size;
    format->scale_dtype = scale_dtype != 0 ? scale_dtype : format->scale_dtype;
    /* What the scheme has one value of need not be said. */
    const struct kgen_format *row = kgen_format_find(scheme);
    if (row != NULL && row->bits != 0 && bits == 0)
        format->bits = row->bits;
    if (row != NULL && row->group_size != 0 && group_size == 0)
        format->group_size = row->group_size;
    return 0;
}

/* Reads the format of a tensor: an object, true for the default, or false for a tensor that is not quantised.
 */
static int read_tensor(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       json_t *value, struct kgen_spec_format *format)
{
    if (json_is_boolean(value)) {
        format->quantised = json_is_true(value);
        return 0;
    }
    if (!json_is_object(value)) {
        char found[KGEN_SPEC_EXCERPT];
        kgen_spec_fail(reader, path, "\"%s\" must be an object, or false where it is not quantised, not %s",
                       path->key, kgen_spec_excerpt(reader, path, found));
        kgen_error_hint(reader->error, "such as {\"bits\": 6, \"group_size\": 64}");
        return -1;
    }
    format->quantised = true;
    if (kgen_spec_check_keys(reader, path, value, "a quantisation format", format_names,
                             KGEN_COUNT_OF(format_names)) != 0)
        return -1;
    return read_format(reader, path, value, format);
}

/* Refuses unknown keys. A key with an object or a boolean is the name of a tensor. */
static int check_quantization_keys(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                                   json_t *quantization)
{
    const char *key;
    json_t *value;
    json_object_foreach(quantization, key, value)
    {
        if (json_is_object(value) || json_is_boolean(value) ||
            kgen_string_find(format_names, KGEN_COUNT_OF(format_names), key) >= 0)
            continue;
        struct kgen_json_path member = {path, key, 0};
        kgen_spec_fail_key(reader, &member, "unknown key \"%s\" in \"%s\"", key, path->key);
        kgen_spec_hint_nearest(reader, key, format_names, KGEN_COUNT_OF(format_names));
        return -1;
    }
    return 0;
}

/* Whether a pattern is matched in a short time. */
static bool is_short(const char *pattern)
{
    size_t stars = 0;
    for (const char *c = pattern; *c != '\0'; c++)
        stars += *c == '*';
    return strlen(pattern) <= PATTERN_MAX && stars <= STARS_MAX;
}

static int read_overrides(const struct kgen_spec_reader *reader, json_t *overrides,
                          struct kgen_spec_formats *formats)
{
    struct kgen_json_path path = {NULL, "overrides", 0};
    if (json_object_size(overrides) > OVERRIDES_MAX)
        return kgen_spec_fail(reader, &path, "\"overrides\" has more than %d patterns", OVERRIDES_MAX);
    formats->overrides = calloc(json_object_size(overrides) + 1, sizeof *formats->overrides);
    if (formats->overrides == NULL)
        return kgen_spec_fail_memory(reader);
    const char *pattern;
    json_t *value;
    json_object_foreach(overrides, pattern, value)
    {
        struct kgen_json_path member = {&path, pattern, 0};
        if (!is_short(pattern))
            return kgen_spec_fail_key(reader, &member, "a pattern has at most %d characters and %d stars",
                                      PATTERN_MAX, STARS_MAX);
        struct kgen_spec_override *override = &formats->overrides[formats->override_count++];
        override->pattern = pattern;
        if (read_tensor(reader, &member, value, &override->format) != 0)
            return -1;
    }
    return 0;
}

/* The method mxfp4: all matrices have that format but those of the modules that a list names. */
static int read_mxfp4(const struct kgen_spec_reader *reader, json_t *config,
                      struct kgen_spec_formats *formats)
{
    static const char key[] = "modules_to_not_convert";
    struct kgen_json_path path = {NULL, "quantization_config", 0}, member = {&path, key, 0};
    json_t *list = json_object_get(config, key);
    formats->mxfp4 = true;
    formats->not_converted = list;
    if (list == NULL || json_is_null(list))
        return 0;
    if (!json_is_array(list) || json_array_size(list) > OVERRIDES_MAX)
        return kgen_spec_fail(reader, &member, "\"%s\" must be an array of at most %d patterns", key,
                              OVERRIDES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct kgen_json_path element = {&member, NULL, i};
        const char *pattern = json_string_value(json_array_get(list, i));
        if (pattern == NULL || !is_short(pattern))
            return kgen_spec_fail(reader, &element, "a pattern has at most %d characters and %d stars",
                                  PATTERN_MAX, STARS_MAX);
    }
    return 0;
}

/* Whether a tensor is of a module that a list of patterns names, or of a part of it. */
static bool is_of_module(json_t *list, const char *tensor)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        char whole[PATTERN_MAX + 3];
        const char *pattern = json_string_value(json_array_get(list, i));
        snprintf(whole, sizeof whole, "%s.*", pattern);
        if (fnmatch(pattern, tensor, 0) == 0 || fnmatch(whole, tensor, 0) == 0)
            return true;
    }
    return false;
}

/* Whether "quantization_config" is of one of the methods that kgen does not read: every form but MLX's names
 * its method. With --bits such an object is passed over: the weights are quantised anew. */
static int check_method(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_formats *formats,
                        bool *other)
{
    struct kgen_json_path path = {NULL, "quantization_config", 0}, member = {&path, "quant_method", 0};
    const char *method = NULL;
    const int found = kgen_spec_string(reader, &path, config, "quant_method", &method);
    *other = found == 1;
    if (found <= 0)
        return found;
    if (strcmp(method, "mxfp4") == 0)
        return read_mxfp4(reader, config, formats);
    if (reader->options->bits != 0)
        return 0;
    kgen_spec_fail(reader, &member, "the quantisation method \"%s\" is not read", method);
    kgen_error_hint(
        reader->error,
        "kgen reads MLX's form, and the method mxfp4; --bits and --group-size give the format of a "
        "checkpoint that is quantised anew");
    return -1;
}

/* Finds the object that says the formats, under either of its names. */
static int find_quantization(struct kgen_spec_reader *reader, json_t *root, struct kgen_spec_formats *formats)
{
    json_t *config = NULL;
    bool other = false;
    formats->key = "quantization";
    if (kgen_spec_object(reader, NULL, root, "quantization", &formats->quantization) < 0 ||
        kgen_spec_object(reader, NULL, root, "quantization_config", &config) < 0)
        return -1;
    if (config != NULL && formats->quantization != NULL && !json_equal(config, formats->quantization)) {
        struct kgen_json_path path = {NULL, "quantization_config", 0};
        kgen_spec_fail_key(reader, &path, "\"quantization\" and \"quantization_config\" disagree");
        kgen_error_hint(reader->error, "remove the one that does not hold");
        return -1;
    }
    if (config == NULL || formats->quantization != NULL)
        return 0;
    if (check_method(reader, config, formats, &other) != 0)
        return -1;
    if (!other) {
        formats->key = "quantization_config";
        formats->quantization = config;
    }
    return 0;
}

int kgen_spec_formats_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_formats *formats)
{
    *formats = (struct kgen_spec_formats){.base = {true, 0, 0, KGEN_AFFINE, 0}, .seen = json_object()};
    if (formats->seen == NULL)
        return kgen_spec_fail_memory(reader);
    json_t *overrides = NULL;
    if (find_quantization(reader, config, formats) != 0 ||
        kgen_spec_object(reader, NULL, config, "overrides", &overrides) < 0)
        return -1;
    struct kgen_json_path path = {NULL, formats->key, 0};
    if (formats->quantization != NULL &&
        (check_quantization_keys(reader, &path, formats->quantization) != 0 ||
         read_format(reader, &path, formats->quantization, &formats->base) != 0))
        return -1;
    if (overrides != NULL && read_overrides(reader, overrides, formats) != 0)
        return -1;
    if (reader->options->bits != 0)
        formats->base.bits = reader->options->bits;
    if (reader->options->group_size != 0)
        formats->base.group_size = reader->options->group_size;
    if (reader->options->scale_dtype != 0)
        formats->base.scale_dtype = 0; /* reader->scale_dtype is that of the option */
    if (formats->base.group_size == 0)
        formats->base.group_size = DEFAULT_GROUP_SIZE;
    return 0;
}

static void apply_override(const struct kgen_spec_override *override, struct kgen_spec_format *format)
{
    format->quantised = override->format.quantised;
    if (override->format.bits != 0)
        format->bits = override->format.bits;
    if (override->format.group_size != 0)
        format->group_size = override->format.group_size;
    set_scheme(format, override->format.scheme);
    if (override->format.scale_dtype != 0)
        format->scale_dtype = override->format.scale_dtype;
}

int kgen_spec_formats_find(const struct kgen_spec_reader *reader, struct kgen_spec_formats *formats,
                           const char *tensor, struct kgen_spec_format *format)
{
    *format = formats->base;
    if (formats->mxfp4 && !is_of_module(formats->not_converted, tensor))
        *format = (struct kgen_spec_format){true, 4, 32, KGEN_MXFP4, 0};
    json_t *own = json_object_get(formats->quantization, tensor);
    if (own != NULL) {
        struct kgen_json_path path = {NULL, formats->key, 0}, member = {&path, tensor, 0};
        if (json_is_object(own) && kgen_format_find(format->scheme)->affine_beside)
            *format = (struct kgen_spec_format){true, DEFAULT_BITS, DEFAULT_GROUP_SIZE, KGEN_AFFINE, 0};
        if (read_tensor(reader, &member, own, format) != 0)
            return -1;
        if (json_object_set(formats->seen, tensor, own) != 0)
            return kgen_spec_fail_memory(reader);
    }
    for (size_t i = 0; i < formats->override_count; i++) {
        struct kgen_spec_override *override = &formats->overrides[i];
        if (fnmatch(override->pattern, tensor, 0) != 0)
            continue;
        override->matched = true;
        apply_override(override, format);
    }
    if (format->quantised && format->bits == 0) {
        kgen_spec_fail(reader, NULL, "the spec does not say how many bits %s has", tensor);
        kgen_error_hint(reader->error, "give --bits and --group-size, or a \"quantization\" object such as "
                                       "{\"bits\": 4, \"group_size\": 64}");
        return -1;
    }
    const struct kgen_spec_format *base = &formats->base;
    if (!format->quantised || format->bits != base->bits || format->group_size != base->group_size ||
        format->scheme != base->scheme || format->scale_dtype != base->scale_dtype)
        formats->mixed = true;
    return 0;
}

int64_t kgen_spec_formats_scale_dtype(const struct kgen_spec_reader *reader,
                                      const struct kgen_spec_format *format)
{
    const struct kgen_format *row = kgen_format_find(format->scheme);
    if (format->scale_dtype != 0)
        return format->scale_dtype;
    return reader->scale_dtype_follows && row->scale_dtype != 0 ? row->scale_dtype : reader->scale_dtype;
}

void kgen_spec_formats_ignore(struct kgen_spec_formats *formats, const char *tensor)
{
    json_t *own = json_object_get(formats->quantization, tensor);
    if (own != NULL)
        json_object_set(formats->seen, tensor, own);
    for (size_t i = 0; i < formats->override_count; i++) {
        struct kgen_spec_override *override = &formats->overrides[i];
        override->ignored = override->ignored || fnmatch(override->pattern, tensor, 0) == 0;
    }
}

static const char *leaf_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL ? dot + 1 : name;
}

#define LEAVES_MAX 32

/* Adds the last parts of the names of the matrices that the steps multiply by. */
static size_t list_leaves(const struct kgen_step *steps, const char *leaves[LEAVES_MAX], size_t count)
{
    for (; steps != NULL && steps->op != NULL; steps++) {
        for (size_t i = 0; i < KGEN_STEP_MATRICES_MAX && steps->matrices[i].name != NULL; i++) {
            if (count < LEAVES_MAX)
                leaves[count++] = leaf_of(steps->matrices[i].name);
        }
    }
    return count;
}

/* Fails for a name that met nothing. The hint is the last part of a tensor's name that is nearest to its own.
 */
static int fail_unmet(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                      const struct kgen_family *family, const char *what)
{
    const char *leaves[LEAVES_MAX], *leaf = leaf_of(path->key);
    size_t count = list_leaves(family->recipe->before, leaves, 0);
    for (size_t i = 0; i < KGEN_RECIPE_PARTS_MAX; i++)
        count = list_leaves(family->recipe->layer[i], leaves, count);
    count = list_leaves(family->recipe->after, leaves, count);
    kgen_spec_fail_key(reader, path, "%s \"%s\" meets no tensor of this model", what, path->key);
    bool known = false;
    for (size_t i = 0; i < count; i++)
        known = known || strcmp(leaves[i], leaf) == 0;
    if (known || !kgen_spec_hint_near(reader, leaf, leaves, count))
        kgen_error_hint(reader->error,
                        "tensors are named as in checkpoints: model.layers.0.self_attn.q_proj, "
                        "model.layers.0.mlp.down_proj, model.embed_tokens, lm_head");
    return -1;
}

int kgen_spec_formats_finish(struct kgen_spec_reader *reader, struct kgen_spec_formats *formats,
                             const struct kgen_family *family)
{
    const char *ignored = family->other_weights;
    struct kgen_json_path overrides = {NULL, "overrides", 0}, quantization = {NULL, formats->key, 0};
    for (size_t i = 0; i < formats->override_count; i++) {
        const struct kgen_spec_override *override = &formats->overrides[i];
        struct kgen_json_path path = {&overrides, override->pattern, 0};
        if (override->matched)
            continue;
        if (ignored == NULL && !override->ignored)
            return fail_unmet(reader, &path, family, "the pattern");
        if (kgen_spec_warn(reader, "the override \"%s\" meets no tensor that problems are derived from.",
                           override->pattern) != 0)
            return -1;
    }
    const char *key;
    json_t *value;
    json_object_foreach(formats->quantization, key, value)
    {
        struct kgen_json_path path = {&quantization, key, 0};
        bool tensor = json_is_object(value) || json_is_boolean(value);
        if (tensor && json_object_get(formats->seen, key) == NULL &&
            (ignored == NULL || fnmatch(ignored, key, 0) != 0))
            return fail_unmet(reader, &path, family, "the name");
    }
    return 0;
}

void kgen_spec_formats_free(struct kgen_spec_formats *formats)
{
    json_decref(formats->seen);
    free(formats->overrides);
    *formats = (struct kgen_spec_formats){0};
}
