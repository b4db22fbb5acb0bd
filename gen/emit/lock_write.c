/* SPDX-License-Identifier: MIT */
/* Writes the lock of an output. */
#include "gen/emit/internal.h"
#include "gen/emit/lock.h"
#include "gen/target/target.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A string of JSON. What is not ASCII stays where it is UTF-8, and else becomes "?". */
static void put_string(const char *string, struct kgen_text *text)
{
    json_t *checked = json_string(string);
    const bool valid = checked != NULL;
    json_decref(checked);
    kgen_text_puts(text, "\"");
    for (const char *at = string; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\')
            kgen_text_printf(text, "\\%c", c);
        else if (c < 0x20)
            kgen_text_printf(text, "\\u%04x", c);
        else
            kgen_text_append(text, c >= 0x80 && !valid ? "?" : at, 1);
    }
    kgen_text_puts(text, "\"");
}

/* Appends a line and frees it. A long one is broken behind commas; none of its strings has any. */
static void put_line(struct kgen_text *line, struct kgen_text *text)
{
    static const char indentation[] = "      ";
    const char *at = line->data;
    size_t room = KGEN_EMIT_WIDTH - sizeof "]},";
    while (!line->failed && strlen(at) > room) {
        size_t length = room;
        while (length > 0 && at[length - 1] != ',')
            length--;
        if (length == 0)
            break;
        kgen_text_append(text, at, length);
        kgen_text_printf(text, "\n%s", indentation);
        at += length + strspn(at + length, " ");
        room = KGEN_EMIT_WIDTH - sizeof "]}," - strlen(indentation);
    }
    kgen_text_puts(text, line->failed ? "" : at);
    text->failed = text->failed || line->failed;
    kgen_text_free(line);
}

static void put_variant(const struct kgen_variant *variant, struct kgen_text *text)
{
    const struct kgen_template *tmpl = variant->tmpl;
    const char *separator = "";
    struct kgen_text line = {0};
    kgen_text_printf(
        &line, "    {\"isa\": \"%s\", \"template\": \"%s\", \"hash\": \"%016" PRIx64 "\", \"parameters\": {",
        kgen_isa_info(variant->isa)->name, kgen_template_name(tmpl), kgen_template_hash(tmpl));
    for (size_t i = 0; i < kgen_template_param_count(tmpl); i++) {
        if ((variant->unused >> i & 1) != 0)
            continue;
        kgen_text_printf(&line, "%s\"%s\": %" PRId64, separator, kgen_template_param(tmpl, i)->name,
                         variant->values[i]);
        separator = ", ";
    }
    kgen_text_puts(&line, "}}");
    put_line(&line, text);
}

static void put_problem(const struct kgen_emission *emission, size_t entry, struct kgen_text *text)
{
    const struct kgen_variant *tuned = &emission->input.tuned[entry];
    const char *separator = "\n";
    struct kgen_text line = {0};
    kgen_text_puts(&line, "  {\"problem\": ");
    kgen_problem_write(&emission->input.spec->entries[entry].problem, &line);
    kgen_text_puts(&line, ",");
    put_line(&line, text);
    kgen_text_puts(text, "\n   \"tuned\": ");
    if (tuned->tmpl != NULL)
        kgen_text_printf(text, "\"%s\"", kgen_isa_info(tuned->isa)->name);
    else
        kgen_text_puts(text, "null");
    kgen_text_puts(text, ",\n   \"variants\": [");
    for (int isa = KGEN_ISA_COUNT; isa-- > 0;) {
        const struct kgen_variant *variant = &emission->chosen[entry * KGEN_ISA_COUNT + (size_t)isa];
        if (variant->tmpl == NULL)
            continue;
        kgen_text_puts(text, separator);
        put_variant(variant, text);
        separator = ",\n";
    }
    kgen_text_puts(text, "]}");
}

int kgen_emit_header_hash(const struct kgen_templates *templates, char hash[KGEN_EMIT_HASH_SIZE],
                          struct kgen_error *error)
{
    struct kgen_text header = {0};
    int result = kgen_target_put_support(kgen_target_of_isa(KGEN_ISA_GENERIC), templates, &header, error);
    if (result == 0 && header.failed)
        result = kgen_emit_fail_memory(error);
    if (result == 0)
        snprintf(hash, KGEN_EMIT_HASH_SIZE, "%016" PRIx64, kgen_hash_string(KGEN_HASH_START, header.data));
    kgen_text_free(&header);
    return result;
}

int kgen_emit_lock(const struct kgen_emission *emission, struct kgen_error *error)
{
    const struct kgen_emit_input *input = &emission->input;
    char header[KGEN_EMIT_HASH_SIZE];
    if (kgen_emit_header_hash(input->templates, header, error) != 0)
        return -1;
    struct kgen_text *text = kgen_emit_add(emission->files, input, KGEN_LOCK_NAME, "", error);
    if (text == NULL)
        return -1;
    kgen_text_puts(text, KGEN_EMIT_LOCK_OPENING);
    kgen_emit_put_mark(input, text);
    kgen_text_printf(text,
                     ". Do not edit. kgen SPEC --locked makes the same sources from it.\",\n"
                     " \"lock_schema\": %d,\n \"kgen\": \"" KGEN_VERSION "\",\n \"command\": ",
                     KGEN_LOCK_SCHEMA);
    put_string(input->command, text);
    kgen_text_puts(text, ",\n \"prefix\": ");
    if (input->prefix != NULL)
        put_string(input->prefix, text);
    else
        kgen_text_puts(text, "null");
    kgen_text_puts(text, ",\n \"spec\": {\"name\": ");
    put_string(input->spec->name, text);
    kgen_text_printf(text, ", \"hash\": \"%016" PRIx64 "\"},\n \"machine\": ", input->spec->hash);
    if (input->machine != NULL)
        put_string(input->machine, text);
    else
        kgen_text_puts(text, "null");
    if (input->model)
        kgen_text_puts(text, ",\n \"model\": true");
    kgen_text_printf(text, ",\n \"quantiser\": %s,\n \"vector_header\": \"%s\",\n \"problems\": [",
                     input->quantiser ? "true" : "false", header);
    for (size_t entry = 0; entry < input->spec->count; entry++) {
        kgen_text_puts(text, entry > 0 ? ",\n" : "\n");
        put_problem(emission, entry, text);
    }
    kgen_text_puts(text, "]}\n");
    return 0;
}
