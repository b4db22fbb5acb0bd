/* SPDX-License-Identifier: MIT */
/* The example program and Makefile that go with emitted sources. */
#include "gen/emit/internal.h"

#include <stdlib.h>
#include <string.h>

/* The example looks at this many rows of a matrix at most. */
enum { EXAMPLE_ROWS = 64 };

static void call_text(const struct kgen_problem *problem, const char *name, const char *generic,
                      struct kgen_text *call)
{
    const int dtype = problem->scales == KGEN_F32 ? 32 : problem->scales == KGEN_F16 ? 16 : 0;
    const long long stored = kgen_packed_rows(problem);
    const long long rows = stored < EXAMPLE_ROWS ? stored : EXAMPLE_ROWS;
    const long long row_bytes = problem->K * problem->bits / 8;
    switch (problem->op) {
    case KGEN_OP_QMV:
        kgen_text_printf(call,
                         "try_qmv(%s_workspace_size, %s_prepare, %s, %s_workspace_size,\n"
                         "                   %s_prepare, %s, %lld, %lld, %lld, %lld, %d)",
                         name, name, name, generic, generic, generic, rows, (long long)problem->K, row_bytes,
                         (long long)(problem->K / problem->group_size), dtype);
        break;
    case KGEN_OP_DEQUANTIZE:
        kgen_text_printf(call, "try_dequantize(%s, %s, %lld, %lld, %lld, %lld, %d)", name, generic, rows,
                         (long long)problem->K, row_bytes, (long long)(problem->K / problem->group_size),
                         dtype);
        break;
    case KGEN_OP_RMS_NORM:
        kgen_text_printf(call, "try_rms_norm%s(%s, %s, %lld, %lld)", problem->residual ? "_residual" : "",
                         name, generic, (long long)problem->rows, (long long)problem->size);
        break;
    case KGEN_OP_ROPE:
        kgen_text_printf(call,
                         "try_rope(%s_workspace_size, %s_prepare, %s, %s_workspace_size,\n"
                         "                    %s_prepare, %s, %lld, %lld)",
                         name, name, name, generic, generic, generic, (long long)problem->heads,
                         (long long)problem->head_dim);
        break;
    case KGEN_OP_SWIGLU:
    case KGEN_OP_ADD:
        kgen_text_printf(call, "try_elementwise(%s, %s, %lld)", name, generic, (long long)problem->size);
        break;
    case KGEN_OP_COUNT:
        break;
    }
}

/* Which helpers of the template the calls need. */
static void bind_helpers(const struct kgen_spec *spec, struct kgen_bindings *bindings)
{
    bool has[KGEN_OP_COUNT] = {false}, plain_norm = false, residual_norm = false;
    for (size_t i = 0; i < spec->count; i++) {
        const struct kgen_problem *problem = &spec->entries[i].problem;
        has[problem->op] = true;
        if (problem->op == KGEN_OP_RMS_NORM)
            *(problem->residual ? &residual_norm : &plain_norm) = true;
    }
    kgen_bind_value(bindings, "has_weights", has[KGEN_OP_QMV] || has[KGEN_OP_DEQUANTIZE]);
    kgen_bind_value(bindings, "has_qmv", has[KGEN_OP_QMV]);
    kgen_bind_value(bindings, "has_dequantize", has[KGEN_OP_DEQUANTIZE]);
    kgen_bind_value(bindings, "has_rms_norm", plain_norm);
    kgen_bind_value(bindings, "has_rms_norm_residual", residual_norm);
    kgen_bind_value(bindings, "has_rope", has[KGEN_OP_ROPE]);
    kgen_bind_value(bindings, "has_elementwise", has[KGEN_OP_SWIGLU] || has[KGEN_OP_ADD]);
}

static int write_main(const struct kgen_emission *emission, struct kgen_text *out, struct kgen_error *error)
{
    const struct kgen_emit_input *input = &emission->input;
    const struct kgen_template *tmpl = kgen_templates_find(input->templates, "example_main");
    if (tmpl == NULL)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0,
                              "there is no template example_main.c.in");
    const size_t count = input->spec->count;
    struct kgen_text *texts = calloc(2 * count + 1, sizeof *texts);
    const char **pointers = calloc(2 * count + 1, sizeof *pointers);
    const char *headers[KGEN_OP_COUNT];
    size_t header_count = 0;
    struct kgen_bindings bindings = {0};
    int result = -1;
    if (texts == NULL || pointers == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        goto done;
    }
    for (int op = 0; op < KGEN_OP_COUNT; op++) {
        for (size_t i = 0; i < count; i++) {
            if ((int)input->spec->entries[i].problem.op == op) {
                headers[header_count++] = kgen_op_info((enum kgen_op)op)->name;
                break;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        kgen_emit_function_name(input, i, &texts[i]);
        if (texts[i].failed)
            goto done;
        call_text(&input->spec->entries[i].problem, texts[i].data,
                  kgen_emission_kernel(emission, i, KGEN_ISA_GENERIC)->name.data, &texts[count + i]);
        pointers[i] = texts[i].data;
        pointers[count + i] = texts[count + i].data;
    }
    bind_helpers(input->spec, &bindings);
    kgen_bind_value(&bindings, "header_count", (int64_t)header_count);
    kgen_bind_table(&bindings, "headers", headers, header_count);
    kgen_bind_value(&bindings, "call_count", (int64_t)count);
    kgen_bind_table(&bindings, "names", pointers, count);
    kgen_bind_table(&bindings, "calls", pointers + count, count);
    kgen_emit_preamble(input, out);
    result = kgen_template_instantiate(tmpl, &bindings, out, error);
done:
    for (size_t i = 0; texts != NULL && i < 2 * count; i++)
        kgen_text_free(&texts[i]);
    free(texts);
    free(pointers);
    kgen_bindings_free(&bindings);
    return result;
}

static void write_makefile(const struct kgen_emit_files *files, struct kgen_text *out)
{
    kgen_text_puts(out, "# Generated by kgen " KGEN_VERSION ". Generated files carry no licence obligation.\n"
                        "CC ?= cc\nCFLAGS ?= -O3\n\nOBJECTS =");
    for (size_t i = 0; i < files->count; i++) {
        const char *name = files->items[i].name.data;
        const size_t length = strlen(name);
        if (length > 2 && strcmp(name + length - 2, ".c") == 0)
            kgen_text_printf(out, " \\\n\t%.*s.o", (int)(length - 2), name);
    }
    kgen_text_puts(out, "\n\nexample: $(OBJECTS)\n\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJECTS) -lm\n\n"
                        "%.o: %.c\n\t$(CC) $(CFLAGS) -std=c11 -c -o $@ $<\n\n"
                        ".PHONY: clean\nclean:\n\trm -f example $(OBJECTS)\n");
}

int kgen_emit_example(const struct kgen_emission *emission, struct kgen_error *error)
{
    struct kgen_text program = {0};
    int result = write_main(emission, &program, error);
    struct kgen_text *file = result == 0 ? kgen_emit_add(emission->files, "main", ".c", error) : NULL;
    if (file != NULL)
        kgen_emit_lay_out(program.data, program.length, file);
    kgen_text_free(&program);
    if (file == NULL)
        return -1;
    struct kgen_text makefile = {0};
    write_makefile(emission->files, &makefile);
    file = kgen_emit_add(emission->files, "Makefile", "", error);
    if (file == NULL) {
        kgen_text_free(&makefile);
        return -1;
    }
    *file = makefile;
    return 0;
}
