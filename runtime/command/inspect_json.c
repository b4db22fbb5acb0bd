/* SPDX-License-Identifier: MIT */
/* kgen inspect CHECKPOINT --json. */
#include "runtime/command/inspect.h"

/* Longer arrays are counted, not shown. */
enum { ELEMENTS_SHOWN = 16 };

/* What is not UTF-8 is shown as '?'. */
static json_t *text_json(struct kgen_gguf_text text)
{
    char shown[256];
    json_t *string = json_stringn(text.data, text.length);
    return string != NULL ? string : json_string(kgen_gguf_show(text, shown, sizeof shown));
}

static json_t *element_json(const struct kgen_gguf_value *value, uint64_t index)
{
    switch (value->element) {
    case KGEN_GGUF_BOOL:
        return json_boolean(kgen_gguf_integer_at(value, index) != 0);
    case KGEN_GGUF_F32:
    case KGEN_GGUF_F64:
        return kgen_json_number(kgen_gguf_real_at(value, index));
    default:
        return json_integer((json_int_t)kgen_gguf_integer_at(value, index));
    }
}

static json_t *value_json(const struct kgen_gguf_value *value)
{
    const bool array = value->type == KGEN_GGUF_ARRAY;
    if (array && (value->count > ELEMENTS_SHOWN || value->element == KGEN_GGUF_ARRAY))
        return json_pack("{s:s, s:I}", "array_of", kgen_gguf_type_name(value->element), "count",
                         (json_int_t)value->count);
    json_t *list = json_array();
    struct kgen_gguf_strings strings = kgen_gguf_strings_start(value);
    for (uint64_t i = 0; i < value->count; i++) {
        struct kgen_gguf_text text = {"", 0};
        const bool string = value->element == KGEN_GGUF_STRING;
        if (string)
            kgen_gguf_strings_next(&strings, &text);
        json_array_append_new(list, string ? text_json(text) : element_json(value, i));
    }
    if (array)
        return list;
    json_t *only = json_incref(json_array_get(list, 0));
    json_decref(list);
    return only;
}

static json_t *metadata_json(const struct kgen_gguf *gguf)
{
    json_t *list = json_array();
    for (size_t i = 0; gguf != NULL && i < kgen_gguf_value_count(gguf); i++) {
        const struct kgen_gguf_value *value = kgen_gguf_value_at(gguf, i);
        json_array_append_new(list, json_pack("{s:o, s:s, s:o}", "key", text_json(value->key), "type",
                                              kgen_gguf_type_name(value->type), "value", value_json(value)));
    }
    return list;
}

static json_t *tensors_json(const struct kgen_checkpoint *checkpoint)
{
    json_t *list = json_array();
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        kgen_checkpoint_tensor_at(checkpoint, i, &tensor);
        json_t *shape = json_array();
        for (size_t j = 0; j < tensor.rank; j++)
            json_array_append_new(shape, json_integer((json_int_t)tensor.shape[j]));
        const char *scheme =
            tensor.matrix.format != NULL ? kgen_constant_name(tensor.matrix.format->scheme) : NULL;
        json_array_append_new(
            list, json_pack("{s:o, s:s?, s:s, s:o, s:I, s:s?}", "stored_name", text_json(tensor.stored_name),
                            "name", tensor.name[0] != '\0' ? tensor.name : NULL, "type", tensor.type, "shape",
                            shape, "bytes", (json_int_t)tensor.bytes, "scheme", scheme));
    }
    return list;
}

static json_t *types_json(const struct kgen_inspection *inspection)
{
    json_t *list = json_array();
    for (size_t i = 0; i < inspection->type_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "type", inspection->types[i].name, "tensors",
                                              (json_int_t)inspection->types[i].tensors, "bytes",
                                              (json_int_t)inspection->types[i].bytes));
    return list;
}

static json_t *mismatches_json(const struct kgen_checkpoint_mismatches *mismatches)
{
    json_t *list = json_array();
    for (size_t i = 0; i < mismatches->count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "tensor", mismatches->items[i].name, "what",
                                              mismatches->items[i].what));
    return list;
}

json_t *kgen_inspect_json(const struct kgen_inspection *inspection)
{
    const struct kgen_gguf *gguf = kgen_checkpoint_gguf(inspection->checkpoint);
    struct kgen_checkpoint_facts facts;
    kgen_checkpoint_query(inspection->checkpoint, &facts);
    char error[1200] = "";
    const bool read = inspection->spec != NULL;
    if (!read)
        kgen_error_format(&inspection->error, error, sizeof error);
    json_t *warnings = json_array();
    for (size_t i = 0; read && i < inspection->spec->warning_count; i++)
        json_array_append_new(warnings, kgen_json_string(inspection->spec->warnings[i]));
    json_t *config = inspection->config.length > 0 ? json_loads(inspection->config.data, 0, NULL) : NULL;
    return json_pack(
        "{s:s, s:o, s:s, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:b}", "kgen",
        KGEN_VERSION, "file", kgen_json_string(kgen_checkpoint_source(inspection->checkpoint)), "container",
        facts.container, "files", (json_int_t)facts.files, "version",
        gguf != NULL ? json_integer((json_int_t)kgen_gguf_version(gguf)) : json_null(), "bytes",
        (json_int_t)facts.bytes, "alignment",
        gguf != NULL ? json_integer((json_int_t)kgen_gguf_alignment(gguf)) : json_null(), "metadata",
        metadata_json(gguf), "tensors", tensors_json(inspection->checkpoint), "types", types_json(inspection),
        "tensor_bytes", (json_int_t)inspection->tensor_bytes, "config", config != NULL ? config : json_null(),
        "summary", read ? kgen_json_string(inspection->spec->summary) : json_null(), "warnings", warnings,
        "error", read ? json_null() : kgen_json_string(error), "mismatches",
        mismatches_json(&inspection->mismatches), "valid", read && inspection->mismatches.count == 0,
        "checked", inspection->checked);
}
