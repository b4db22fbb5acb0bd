/* SPDX-License-Identifier: MIT */
#include "runtime/tune/reader.h"

#include <stdlib.h>
#include <string.h>

#include "gen/target/variant.h"
#include "runtime/jit/jit.h"
#include "runtime/tune/timing.h"

#define TEMPLATE_NAME "read_bandwidth"
#define FUNCTION_NAME "kgen_read"
#define SINK_BYTES 64

typedef void read_function(const uint8_t *data, size_t bytes, uint8_t *sink);

struct kgen_reader {
    struct kgen_code *code;
    read_function *read;
    uint8_t (*sinks)[SINK_BYTES]; /* one a part: what keeps the reads from being for nothing */
    const uint8_t *data;          /* of the pass */
    size_t bytes;
};

static int instantiate(const struct kgen_templates *templates, enum kgen_isa isa, struct kgen_text *text,
                       struct kgen_error *error)
{
    const struct kgen_template *tmpl = kgen_templates_find(templates, TEMPLATE_NAME);
    if (tmpl == NULL)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0,
                              "there is no template " TEMPLATE_NAME " to measure the bandwidth with");
    if ((kgen_template_isas(tmpl) >> isa & 1) == 0)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0,
                              "the template " TEMPLATE_NAME " is not written for %s",
                              kgen_isa_info(isa)->name);
    struct kgen_bindings bindings = {0};
    kgen_bind_text(&bindings, "function", FUNCTION_NAME);
    kgen_bind_isa(&bindings, isa);
    int result = bindings.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory")
                                 : kgen_template_instantiate(tmpl, &bindings, text, error);
    kgen_bindings_free(&bindings);
    return result;
}

struct kgen_reader *kgen_reader_open(const struct kgen_machine *machine,
                                     const struct kgen_templates *templates, int parts,
                                     struct kgen_error *error)
{
    struct kgen_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return NULL;
    }
    const enum kgen_isa isa = kgen_isas_widest(machine->isas & kgen_isas_of_tcc());
    struct kgen_text text = {0};
    reader->sinks = aligned_alloc(SINK_BYTES, (parts > 1 ? (size_t)parts : 1) * SINK_BYTES);
    if (reader->sinks == NULL)
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else if (instantiate(templates, isa, &text, error) == 0)
        reader->code = kgen_jit_compile(KGEN_ENGINE_TCC, TEMPLATE_NAME, text.data, isa, NULL, error);
    kgen_text_free(&text);
    if (reader->code != NULL) {
        void *symbol = kgen_code_symbol(reader->code, FUNCTION_NAME);
        memcpy(&reader->read, &symbol, sizeof symbol);
        if (symbol == NULL)
            kgen_error_set(error, KGEN_ERROR_COMPILE, TEMPLATE_NAME, 0, 0,
                           "the compiled template has no function " FUNCTION_NAME);
    }
    if (reader->read == NULL) {
        kgen_reader_close(reader);
        return NULL;
    }
    return reader;
}

void kgen_reader_close(struct kgen_reader *reader)
{
    if (reader == NULL)
        return;
    kgen_code_free(reader->code);
    free(reader->sinks);
    free(reader);
}

static void read_part(void *context, size_t part, size_t parts, size_t thread)
{
    const struct kgen_reader *reader = context;
    const size_t bytes = reader->bytes / parts / KGEN_READER_MULTIPLE * KGEN_READER_MULTIPLE;
    reader->read(reader->data + part * bytes, part + 1 < parts ? bytes : reader->bytes - part * bytes,
                 reader->sinks[thread]);
}

double kgen_reader_pass(struct kgen_reader *reader, const void *data, size_t bytes, struct kgen_team *team)
{
    reader->data = data;
    reader->bytes = bytes;
    kgen_team_wake(team);
    const double start = kgen_clock();
    kgen_team_share(team, kgen_team_parts(team, bytes), read_part, reader);
    return kgen_clock() - start;
}
