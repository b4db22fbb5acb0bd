/* SPDX-License-Identifier: MIT */
/* The header that gives functions names by the tensors that they serve. */
#include "gen/emit/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A name by a tensor. */
struct tensor_name {
    struct kgen_text name;
    size_t entry;
    bool left_out; /* it means several functions, or is the name of another one */
};

struct tensor_names {
    const struct kgen_emission *emission;
    struct tensor_name *items; /* owned */
    size_t count, capacity;
};

/* Appends the label of a tensor as a part of an identifier: "layers_mlp_gate_up_proj" of
 * "layers.*.mlp.{gate,up}_proj", "layers_0to3_5_mlp_down_proj" of "layers.0-3,5.mlp.down_proj". */
static void put_label(const char *label, size_t length, struct kgen_text *text)
{
    bool pending = false;
    const char *brace = memchr(label, '{', length);
    /* "{q,k,v}_proj" is called qkv_proj, "{gate,up}_proj" gate_up_proj. */
    const bool letters = brace != NULL && length - (size_t)(brace - label) > 3 && brace[2] == ',' &&
                         brace[4] != '\0' && strchr(",}", brace[4]) != NULL;
    for (size_t i = 0; i < length && label[i] != ' '; i++) {
        const char c = label[i];
        if (letters && c == ',' && label + i > brace)
            continue;
        const bool in_range = c == '-' && i > 0 && isdigit((unsigned char)label[i - 1]);
        if (isalnum((unsigned char)c)) {
            kgen_text_puts(text, pending ? "_" : "");
            kgen_text_append(text, &c, 1);
            pending = false;
        } else if (in_range) {
            kgen_text_puts(text, "to");
        } else {
            pending = true;
        }
    }
}

static int add_name(struct tensor_names *names, size_t entry, const char *label, size_t length)
{
    const struct kgen_emit_input *input = &names->emission->input;
    const struct kgen_problem *problem = &input->spec->entries[entry].problem;
    if (names->count == names->capacity) {
        const size_t larger = names->capacity * 2 + 64;
        struct tensor_name *items = realloc(names->items, larger * sizeof *items);
        if (items == NULL)
            return -1;
        names->items = items;
        names->capacity = larger;
    }
    struct tensor_name *item = &names->items[names->count++];
    *item = (struct tensor_name){.entry = entry};
    kgen_text_printf(&item->name, "%s_", kgen_emit_identifier(input));
    const size_t before = item->name.length;
    put_label(label, length, &item->name);
    item->left_out = item->name.length == before;
    const int64_t precision = kgen_problem_get(problem, "activation_dtype");
    if (kgen_problem_has(problem, "activation_dtype") && precision != KGEN_F32)
        kgen_text_printf(&item->name, "_%s", kgen_constant_name(precision));
    return item->name.failed ? -1 : 0;
}

static int list_names(struct tensor_names *names)
{
    const struct kgen_spec *spec = names->emission->input.spec;
    for (size_t entry = 0; entry < spec->count; entry++) {
        for (const char *at = spec->entries[entry].tensors; *at != '\0';) {
            const char *end = strstr(at, ", ");
            const size_t length = end != NULL ? (size_t)(end - at) : strlen(at);
            if (add_name(names, entry, at, length) != 0)
                return -1;
            at += length + (end != NULL ? 2 : 0);
        }
    }
    return 0;
}

/* Whether a name begins like that of a function of the output, so that it could hide it. */
static bool hides_function(const struct tensor_names *names, const char *name)
{
    const struct kgen_emit_input *input = &names->emission->input;
    bool hides = false;
    for (size_t i = 0; i < input->spec->count && !hides; i++) {
        struct kgen_text function = {0};
        kgen_emit_function_name(input, i, &function);
        hides = function.failed || strncmp(function.data, name, strlen(name)) == 0 ||
                strncmp(function.data, name, function.length) == 0;
        kgen_text_free(&function);
    }
    return hides;
}

static void leave_out(struct tensor_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct tensor_name *item = &names->items[i];
        item->left_out = item->left_out || hides_function(names, item->name.data);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(names->items[j].name.data, item->name.data) == 0)
                item->left_out = names->items[j].left_out = true;
        }
    }
}

static void put_definition(const char *name, const char *function, const char *suffix, struct kgen_text *text)
{
    const size_t length = strlen("#define  ") + strlen(name) + strlen(function) + 2 * strlen(suffix);
    kgen_text_printf(text, "#define %s%s %s%s%s\n", name, suffix, length > KGEN_EMIT_WIDTH ? "\\\n    " : "",
                     function, suffix);
}

static void put_names(const struct tensor_names *names, struct kgen_text *text)
{
    const struct kgen_emit_input *input = &names->emission->input;
    for (size_t i = 0; i < names->count; i++) {
        const struct tensor_name *item = &names->items[i];
        struct kgen_emit_parts parts;
        struct kgen_text function = {0};
        if (item->left_out)
            continue;
        if (kgen_emit_parts_make(&input->spec->entries[item->entry].problem, &parts) != 0)
            text->failed = true;
        kgen_emit_function_name(input, item->entry, &function);
        kgen_text_puts(text, "\n");
        for (size_t part = 0; part < parts.count && !function.failed; part++)
            put_definition(item->name.data, function.data, parts.items[part].suffix, text);
        if (kgen_emit_quantises(input, item->entry) && !function.failed)
            put_definition(item->name.data, function.data, "_quantise", text);
        text->failed = text->failed || function.failed;
        kgen_text_free(&function);
        kgen_emit_parts_free(&parts);
    }
}

static int write_header(const struct tensor_names *names, struct kgen_error *error)
{
    const struct kgen_emission *emission = names->emission;
    const struct kgen_emit_input *input = &emission->input;
    const char *identifier = kgen_emit_identifier(input);
    struct kgen_text *file = kgen_emit_add(emission->files, input, "tensors", ".h", error);
    if (file == NULL)
        return -1;
    kgen_emit_preamble(input, file);
    kgen_text_printf(
        file,
        "#ifndef KGEN_%s_TENSORS_H\n#define KGEN_%s_TENSORS_H\n\n"
        "/* Names of the functions by the tensors that they serve. They end in the precision of the\n"
        " * activations where it is not f32. */\n",
        identifier, identifier);
    for (size_t op = 0; op < kgen_op_count(); op++) {
        if (!kgen_emit_has_op(input, kgen_op_at(op)))
            continue;
        kgen_text_puts(file, "#include \"");
        kgen_emit_file_name(input->prefix, kgen_op_at(op)->name, ".h\"\n", file);
    }
    if (input->quantiser) {
        kgen_text_puts(file, "#include \"");
        kgen_emit_file_name(input->prefix, "quantise", ".h\"\n", file);
    }
    put_names(names, file);
    kgen_text_puts(file, "\n#endif\n");
    return 0;
}

int kgen_emit_tensors(const struct kgen_emission *emission, struct kgen_error *error)
{
    struct tensor_names names = {.emission = emission};
    int result = 0;
    if (list_names(&names) != 0)
        result = kgen_emit_fail_memory(error);
    bool any = false;
    if (result == 0)
        leave_out(&names);
    for (size_t i = 0; i < names.count; i++)
        any = any || !names.items[i].left_out;
    if (result == 0 && any)
        result = write_header(&names, error);
    for (size_t i = 0; i < names.count; i++)
        kgen_text_free(&names.items[i].name);
    free(names.items);
    return result;
}
