/* SPDX-License-Identifier: MIT */
/* kgen inspect CHECKPOINT: what a checkpoint holds, and whether it is a model that kgen reads. */
#include <string.h>

#include "runtime/command/inspect.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/table.h"
#include "runtime/model/package.h"

enum { TEXT_SHOWN = 100 };

static void count_types(struct kgen_inspection *inspection)
{
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(inspection->checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        kgen_checkpoint_tensor_at(inspection->checkpoint, i, &tensor);
        size_t at = 0;
        while (at < inspection->type_count && strcmp(inspection->types[at].name, tensor.type) != 0)
            at++;
        inspection->tensor_bytes += tensor.bytes;
        if (at == KGEN_INSPECT_TYPES_MAX)
            continue;
        inspection->type_count = at == inspection->type_count ? at + 1 : inspection->type_count;
        inspection->types[at].name = tensor.type;
        inspection->types[at].tensors++;
        inspection->types[at].bytes += tensor.bytes;
    }
}

static int go_on(void *context, uint64_t done, uint64_t bytes)
{
    (void)context;
    (void)done;
    (void)bytes;
    return kgen_interrupted ? 1 : 0;
}

/* Reads every byte of a package. Returns an exit status, and has printed the error. */
static int check_bytes(struct kgen_inspection *inspection)
{
    const struct kgen_package *package = kgen_checkpoint_package(inspection->checkpoint);
    struct kgen_error error = {0};
    if (package == NULL) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, kgen_checkpoint_source(inspection->checkpoint), 0, 0,
                       "only packages have hashes that --check holds their bytes against");
        kgen_error_hint(&error, "kgen pack makes one");
        return kgen_fail(&error);
    }
    kgen_interrupt_catch();
    if (kgen_package_check(package, go_on, NULL, &error) == 0) {
        inspection->checked = true;
        return KGEN_EXIT_DONE;
    }
    if (error.code == KGEN_ERROR_NONE)
        return KGEN_EXIT_INTERRUPTED;
    kgen_fail(&error);
    return KGEN_EXIT_FAILED;
}

/* What cannot be read of it is left to error. */
static void inspect(struct kgen_inspection *inspection)
{
    const char *source = kgen_checkpoint_source(inspection->checkpoint);
    count_types(inspection);
    if (kgen_checkpoint_config(inspection->checkpoint, &inspection->config, &inspection->error) != 0) {
        kgen_text_clear(&inspection->config);
        return;
    }
    inspection->spec =
        kgen_spec_parse(source, inspection->config.data, inspection->config.length, NULL, &inspection->error);
    if (inspection->spec != NULL && kgen_checkpoint_check(inspection->checkpoint, inspection->spec->graph,
                                                          &inspection->mismatches, &inspection->error) != 0) {
        kgen_spec_free(inspection->spec);
        inspection->spec = NULL;
    }
}

static void close_inspection(struct kgen_inspection *inspection)
{
    kgen_checkpoint_mismatches_free(&inspection->mismatches);
    kgen_spec_free(inspection->spec);
    kgen_text_free(&inspection->config);
    kgen_checkpoint_free(inspection->checkpoint);
}

/* ---- text ---- */

static void write_value(const struct kgen_gguf_value *value, char text[TEXT_SHOWN])
{
    if (value->type == KGEN_GGUF_ARRAY) {
        snprintf(text, TEXT_SHOWN, "%llu of %s", (unsigned long long)value->count,
                 kgen_gguf_type_name(value->element));
    } else if (value->type == KGEN_GGUF_STRING) {
        struct kgen_gguf_text string = {"", 0};
        struct kgen_gguf_strings strings = kgen_gguf_strings_start(value);
        kgen_gguf_strings_next(&strings, &string);
        kgen_gguf_show(string, text, TEXT_SHOWN);
    } else if (value->type == KGEN_GGUF_F32 || value->type == KGEN_GGUF_F64) {
        snprintf(text, TEXT_SHOWN, "%g", kgen_gguf_real_at(value, 0));
    } else if (value->type == KGEN_GGUF_BOOL) {
        snprintf(text, TEXT_SHOWN, "%s", kgen_gguf_integer_at(value, 0) != 0 ? "true" : "false");
    } else {
        snprintf(text, TEXT_SHOWN, "%lld", (long long)kgen_gguf_integer_at(value, 0));
    }
}

static int print_metadata(const struct kgen_gguf *gguf)
{
    static const struct kgen_column columns[] = {{"key", false, 60}, {"type", false, 0}, {"value", false, 0}};
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    for (size_t i = 0; i < kgen_gguf_value_count(gguf); i++) {
        const struct kgen_gguf_value *value = kgen_gguf_value_at(gguf, i);
        char key[TEXT_SHOWN], text[TEXT_SHOWN];
        write_value(value, text);
        kgen_table_cell(&table, "%s", kgen_gguf_show(value->key, key, sizeof key));
        kgen_table_cell(&table, "%s", kgen_gguf_type_name(value->type));
        kgen_table_cell(&table, "%s", text);
    }
    const int result = kgen_table_print(&table, stdout);
    kgen_table_free(&table);
    putchar('\n');
    return result;
}

static void write_shape(const struct kgen_checkpoint_tensor *tensor, struct kgen_table *table)
{
    char shape[96] = "";
    size_t at = 0;
    for (size_t i = 0; i < tensor->rank && at < sizeof shape; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%lld", i > 0 ? " x " : "",
                               (long long)tensor->shape[i]);
    kgen_table_cell(table, "%s", shape);
}

static int print_tensors(const struct kgen_checkpoint *checkpoint)
{
    static const struct kgen_column columns[] = {
        {"tensor", false, 0}, {"name", false, 0}, {"type", false, 0}, {"shape", true, 0}, {"bytes", true, 0}};
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        char name[TEXT_SHOWN];
        kgen_checkpoint_tensor_at(checkpoint, i, &tensor);
        kgen_table_cell(&table, "%s", kgen_gguf_show(tensor.stored_name, name, sizeof name));
        kgen_table_cell(&table, "%s", tensor.name[0] != '\0' ? tensor.name : "-");
        kgen_table_cell(&table, "%s", tensor.type);
        write_shape(&tensor, &table);
        kgen_table_cell(&table, "%llu", (unsigned long long)tensor.bytes);
    }
    const int result = kgen_table_print(&table, stdout);
    kgen_table_free(&table);
    putchar('\n');
    return result;
}

static void print_totals(const struct kgen_inspection *inspection)
{
    printf("%zu tensors, %llu bytes:", kgen_checkpoint_tensor_count(inspection->checkpoint),
           (unsigned long long)inspection->tensor_bytes);
    for (size_t i = 0; i < inspection->type_count; i++)
        printf("%s %zu of %s (%llu bytes)", i > 0 ? "," : "", inspection->types[i].tensors,
               inspection->types[i].name, (unsigned long long)inspection->types[i].bytes);
    putchar('\n');
}

/* The line of the file, or of the files, and what GGUF files say besides. */
static int print_container(const struct kgen_inspection *inspection)
{
    const struct kgen_gguf *gguf = kgen_checkpoint_gguf(inspection->checkpoint);
    const char *source = kgen_checkpoint_source(inspection->checkpoint);
    struct kgen_checkpoint_facts facts;
    kgen_checkpoint_query(inspection->checkpoint, &facts);
    if (gguf == NULL) {
        printf("%s: %s, %zu file%s, %llu bytes\n\n", source, facts.container, facts.files,
               kgen_plural(facts.files), (unsigned long long)facts.bytes);
        return 0;
    }
    printf("%s: GGUF version %u, %zu bytes, data from byte %zu on, aligned to %llu\n\n", source,
           (unsigned)kgen_gguf_version(gguf), kgen_gguf_size(gguf), kgen_gguf_data_begin(gguf),
           (unsigned long long)kgen_gguf_alignment(gguf));
    return print_metadata(gguf);
}

static int print(const struct kgen_inspection *inspection)
{
    const struct kgen_checkpoint_mismatches *mismatches = &inspection->mismatches;
    int result = print_container(inspection) != 0 || print_tensors(inspection->checkpoint) != 0 ? -1 : 0;
    if (inspection->config.length > 0)
        printf("config: %s\n\n", inspection->config.data);
    print_totals(inspection);
    if (inspection->spec == NULL)
        return result;
    if (inspection->checked)
        printf("every byte is as it was written\n");
    printf("%s\n", inspection->spec->summary);
    for (size_t i = 0; i < inspection->spec->warning_count; i++)
        printf("note: %s\n", inspection->spec->warnings[i]);
    for (size_t i = 0; i < mismatches->count; i++)
        printf("mismatch: %s %s\n", mismatches->items[i].name, mismatches->items[i].what);
    if (mismatches->count == 0)
        printf("every weight of the model is there, and can be read\n");
    else
        printf("%zu mismatch%s: the model cannot be run\n", mismatches->count,
               mismatches->count == 1 ? "" : "es");
    return result;
}

int kgen_command_inspect(const struct kgen_options *options)
{
    struct kgen_inspection inspection = {0};
    struct kgen_error error = {0};
    inspection.checkpoint = kgen_checkpoint_open(options->arguments[0], &error);
    if (inspection.checkpoint == NULL)
        return kgen_fail(&error);
    const int checked = options->check ? check_bytes(&inspection) : KGEN_EXIT_DONE;
    if (checked != KGEN_EXIT_DONE) {
        close_inspection(&inspection);
        return checked;
    }
    inspect(&inspection);
    int status = inspection.mismatches.count == 0 ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
    if (options->json) {
        if (kgen_json_print(kgen_inspect_json(&inspection)) != 0)
            status = KGEN_EXIT_FAILED;
    } else if (print(&inspection) != 0) {
        kgen_error_set(&error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        status = kgen_fail(&error);
    }
    status = kgen_finish_output(status);
    if (inspection.spec == NULL)
        status = kgen_fail(&inspection.error);
    close_inspection(&inspection);
    return status;
}
