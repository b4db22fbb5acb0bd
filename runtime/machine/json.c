/* SPDX-License-Identifier: MIT */
/* Machines as JSON. */
#include "runtime/machine/json.h"
#include "runtime/machine/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *kgen_json_isas(unsigned isas)
{
    json_t *list = json_array();
    enum kgen_isa isa;
    while (kgen_isas_take(&isas, &isa))
        json_array_append_new(list, json_string(kgen_isa_info(isa)->name));
    return list;
}

json_t *kgen_json_string(const char *text)
{
    json_t *string = json_string(text);
    return string != NULL ? string : json_string("(not UTF-8)");
}

int kgen_machine_write(const struct kgen_machine *machine, struct kgen_text *text)
{
    json_t *root = json_pack(
        "{s:s, s:s, s:o, s:o, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:o}", "identity", machine->identity,
        "architecture", machine->architecture, "name", kgen_json_string(machine->name), "vendor",
        kgen_json_string(machine->vendor), "family", machine->family, "model", machine->model, "stepping",
        machine->stepping, "threads", machine->threads, "l1d_bytes", (json_int_t)machine->l1d_bytes,
        "l2_bytes", (json_int_t)machine->l2_bytes, "l3_bytes", (json_int_t)machine->l3_bytes, "isas",
        kgen_json_isas(machine->isas));
    char *dumped = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    if (dumped != NULL)
        kgen_text_puts(text, dumped);
    else
        text->failed = true;
    free(dumped);
    json_decref(root);
    return text->failed ? -1 : 0;
}

static void read_string(const json_t *root, const char *name, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(root, name));
    snprintf(to, size, "%s", text != NULL ? text : "");
}

static int read_int(const json_t *root, const char *name)
{
    const json_int_t value = json_integer_value(json_object_get(root, name));
    return value >= 0 && value <= 1 << 30 ? (int)value : 0;
}

static size_t read_size(const json_t *root, const char *name)
{
    const json_int_t value = json_integer_value(json_object_get(root, name));
    return value > 0 ? (size_t)value : 0;
}

int kgen_machine_read(const char *text, size_t length, struct kgen_machine *machine)
{
    *machine = (struct kgen_machine){0};
    json_t *root = json_loadb(text, length, 0, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return -1;
    }
    read_string(root, "identity", machine->identity, sizeof machine->identity);
    read_string(root, "architecture", machine->architecture, sizeof machine->architecture);
    read_string(root, "name", machine->name, sizeof machine->name);
    read_string(root, "vendor", machine->vendor, sizeof machine->vendor);
    machine->family = read_int(root, "family");
    machine->model = read_int(root, "model");
    machine->stepping = read_int(root, "stepping");
    machine->threads = read_int(root, "threads");
    machine->l1d_bytes = read_size(root, "l1d_bytes");
    machine->l2_bytes = read_size(root, "l2_bytes");
    machine->l3_bytes = read_size(root, "l3_bytes");
    const json_t *isas = json_object_get(root, "isas");
    for (size_t i = 0; i < json_array_size(isas); i++) {
        const char *name = json_string_value(json_array_get(isas, i));
        enum kgen_isa isa;
        if (name != NULL && kgen_isa_parse(name, &isa) == 0)
            machine->isas |= 1u << isa;
    }
    json_decref(root);
    return machine->identity[0] != '\0' ? 0 : -1;
}
