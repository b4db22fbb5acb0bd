/* SPDX-License-Identifier: MIT */
/* The example program and Makefile that go with emitted sources. */
#include "gen/emit/internal.h"
#include "gen/ops/buffers.h"
#include "gen/ops/dtype.h"
#include "gen/ops/format.h"

#include <stdlib.h>
#include <string.h>

/* The example looks at this many rows, heads or elements at most. */
enum { EXAMPLE_RANGE = 64 };

/* Whether a call writes the buffer, so that the generic functions get one of their own. */
static bool is_written(const struct kgen_problem_buffer *buffer)
{
    return buffer->role == KGEN_OUTPUT || buffer->role == KGEN_UPDATED || buffer->role == KGEN_STATE;
}

/* Appends the declaration of a buffer, under the name that it has among the parameters, and of a second one
 * for what the generic functions write. experts is 0 where the problem has none. */
static void declare_buffer(const struct kgen_problem_buffer *buffer, int64_t experts, const char *name,
                           struct kgen_text *text)
{
    const char *type = kgen_dtype_c_type(buffer->dtype);
    switch (buffer->role) {
    case KGEN_WORKSPACE:
    case KGEN_SCRATCH:
        kgen_text_printf(text, "    void *%s = new_buffer(%s_%s_size());\n", buffer->name, name,
                         buffer->name);
        break;
    case KGEN_OUTPUT:
    case KGEN_UPDATED:
    case KGEN_STATE:
        kgen_text_printf(text, "    %s *%s = new_values(%zu), *expected_%s = new_values(%zu);\n", type,
                         buffer->name, buffer->bytes, buffer->name, buffer->bytes);
        kgen_text_printf(text, "    memcpy(expected_%s, %s, %zu);\n", buffer->name, buffer->name,
                         buffer->bytes);
        break;
    default:
        kgen_text_printf(text, "    %s *%s = new_values(%zu);\n", type != NULL ? type : "void", buffer->name,
                         buffer->bytes);
        if (buffer->dtype ==
            KGEN_I32) /* they are numbers of experts, or of pages, which are as many as they */
            kgen_text_printf(text, "    for (int32_t i = 0; i < %zu; i++)\n        %s[i] = i",
                             buffer->bytes / sizeof(int32_t), buffer->name);
        if (buffer->dtype == KGEN_I32 && experts > 0)
            kgen_text_printf(text, " %% %lld", (long long)experts);
        if (buffer->dtype == KGEN_I32)
            kgen_text_puts(text, ";\n");
    }
}

/* Whether a buffer is an array of the weights of a problem. */
static bool is_weights(const struct kgen_problem *problem, const struct kgen_problem_buffer *buffer)
{
    const struct kgen_format *format = kgen_problem_format(problem);
    bool found = false;
    for (size_t i = 0; format != NULL && i < format->array_count; i++)
        found = found || strcmp(format->arrays[i].name, buffer->name) == 0;
    return found;
}

/* Declares the buffers of a problem. Where its weights can be quantised, they are. */
static void declare_buffers(const struct kgen_problem *problem, const struct kgen_buffers *buffers,
                            bool quantises, const char *name, struct kgen_text *text)
{
    for (size_t i = 0; i < buffers->count; i++) {
        const struct kgen_problem_buffer *buffer = &buffers->items[i];
        const char *type = kgen_dtype_c_type(buffer->dtype);
        if (quantises && is_weights(problem, buffer))
            kgen_text_printf(text, "    %s *%s = new_buffer(%zu);\n", type != NULL ? type : "void",
                             buffer->name, buffer->bytes);
        else
            declare_buffer(buffer, kgen_problem_get(problem, "experts"), name, text);
    }
    const int64_t rows = kgen_problem_get(problem, "N");
    if (quantises)
        kgen_text_printf(text,
                         "    float *matrix = new_floats(%lld);\n"
                         "    %s_quantise(matrix, weights, scales, biases, 0, %lld);\n",
                         (long long)(rows * kgen_problem_get(problem, "K")), name, (long long)rows);
}

static void call_parts(const struct kgen_problem *problem, const char *name, struct kgen_text *text)
{
    struct kgen_emit_parts parts;
    if (kgen_emit_parts_make(problem, &parts) != 0)
        text->failed = true;
    for (size_t i = 0; i < parts.count && !text->failed; i++) {
        if (strcmp(parts.items[i].result, "void") == 0)
            kgen_text_printf(text, "    %s%s(%s);\n", name, parts.items[i].suffix,
                             parts.items[i].arguments.data);
    }
    kgen_emit_parts_free(&parts);
}

/* Appends the body of a function that calls those of one problem, and its generic kernel, and compares. */
static void write_check(const struct kgen_problem *whole, bool quantises, const char *name,
                        const char *generic, struct kgen_text *text)
{
    struct kgen_problem problem = *whole;
    struct kgen_buffers buffers;
    const char *separator = problem.op->range_name[0] != '\0' ? "_" : "";
    if (kgen_problem_range_outer(&problem) > EXAMPLE_RANGE && !problem.op->elementwise &&
        !problem.op->fixed_range)
        kgen_problem_set_range(&problem, EXAMPLE_RANGE);
    kgen_problem_buffers(&problem, &buffers);
    for (size_t i = 0; i < problem.op->scalar_count; i++) {
        const struct kgen_scalar *scalar = &problem.op->scalars[i];
        const int64_t maximum = kgen_scalar_maximum(&problem, scalar);
        const int64_t value = scalar->typical != NULL ? kgen_scalar_typical(&problem, scalar)
                              : maximum < 1234        ? maximum
                                                      : 1234;
        kgen_text_printf(text, "    const int64_t %s = %lld;\n", scalar->name, (long long)value);
    }
    kgen_text_printf(text, "    const size_t %s%sbegin = 0, %s%send = %zu;\n", problem.op->range_name,
                     separator, problem.op->range_name, separator, kgen_problem_range(&problem));
    declare_buffers(&problem, &buffers, quantises, name, text);
    call_parts(&problem, name, text);
    /* The generic kernel has a workspace of its own, and writes to the second buffers. */
    for (size_t i = 0; i < buffers.count; i++) {
        const struct kgen_problem_buffer *buffer = &buffers.items[i];
        if (buffer->role == KGEN_WORKSPACE || buffer->role == KGEN_SCRATCH)
            kgen_text_printf(text, "    %s = new_buffer(%s_%s_size());\n", buffer->name, generic,
                             buffer->name);
        else if (is_written(buffer))
            kgen_text_printf(text, "    %s *const found_%s = %s;\n    %s = expected_%s;\n",
                             kgen_dtype_c_type(buffer->dtype), buffer->name, buffer->name, buffer->name,
                             buffer->name);
    }
    call_parts(&problem, generic, text);
    kgen_text_puts(text, "    double found = 0;\n");
    for (size_t i = 0; i < buffers.count; i++) {
        const struct kgen_problem_buffer *buffer = &buffers.items[i];
        if (is_written(buffer) && buffer->dtype != KGEN_F32) /* it is rounded, so that all bits are equal */
            kgen_text_printf(text,
                             "    found = memcmp(found_%s, expected_%s, %zu) == 0 ? found : INFINITY;\n",
                             buffer->name, buffer->name, buffer->bytes);
        else if (is_written(buffer))
            kgen_text_printf(text, "    found = fmax(found, difference(found_%s, expected_%s, %zu));\n",
                             buffer->name, buffer->name, buffer->bytes / kgen_dtype_bytes(buffer->dtype));
    }
    kgen_text_printf(text, "    report(\"%s\", found);\n", name);
}

/* The headers that the program includes, without ".h"; there is room for one an op and one more. Returns
 * their number; 0 when memory runs out. */
static size_t list_headers(const struct kgen_emit_input *input, struct kgen_text *names, const char **headers)
{
    size_t count = 0;
    for (size_t op = 0; op <= kgen_op_count(); op++) {
        const bool last = op == kgen_op_count();
        if (last ? !input->quantiser : !kgen_emit_has_op(input, kgen_op_at(op)))
            continue;
        kgen_text_puts(&names[op], "../");
        kgen_emit_file_name(input->prefix, last ? "quantise" : kgen_op_at(op)->name, last ? "" : "_kernels",
                            &names[op]);
        if (names[op].failed)
            return 0;
        headers[count++] = names[op].data;
    }
    return count;
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
    const char **headers = calloc(kgen_op_count() + 1, sizeof *headers);
    struct kgen_text *header_names = calloc(kgen_op_count() + 1, sizeof *header_names);
    size_t header_count = 0;
    struct kgen_bindings bindings = {0};
    int result = -1;
    if (texts == NULL || pointers == NULL || headers == NULL || header_names == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        goto done;
    }
    header_count = list_headers(input, header_names, headers);
    if (header_count == 0)
        goto done;
    for (size_t i = 0; i < count; i++) {
        kgen_emit_function_name(input, i, &texts[i]);
        if (texts[i].failed)
            goto done;
        write_check(&input->spec->entries[i].problem, kgen_emit_quantises(input, i), texts[i].data,
                    kgen_emission_kernel(emission, i, KGEN_ISA_GENERIC)->name.data, &texts[count + i]);
        pointers[i] = texts[i].data;
        pointers[count + i] = texts[count + i].data;
    }
    kgen_bind_value(&bindings, "quantiser", input->quantiser);
    kgen_bind_value(&bindings, "header_count", (int64_t)header_count);
    kgen_bind_table(&bindings, "headers", headers, header_count);
    kgen_bind_value(&bindings, "check_count", (int64_t)count);
    kgen_bind_table(&bindings, "names", pointers, count);
    kgen_bind_table(&bindings, "bodies", pointers + count, count);
    kgen_emit_preamble(input, out);
    result = kgen_template_instantiate(tmpl, &bindings, out, error);
done:
    for (size_t i = 0; texts != NULL && i < 2 * count; i++)
        kgen_text_free(&texts[i]);
    for (size_t op = 0; header_names != NULL && op <= kgen_op_count(); op++)
        kgen_text_free(&header_names[op]);
    free(header_names);
    free(texts);
    free(pointers);
    free(headers);
    kgen_bindings_free(&bindings);
    return result;
}

/* With a model's step there is a second program beside the first. */
static void write_makefile(const struct kgen_emit_input *input, struct kgen_text *out)
{
    const char *identifier = kgen_emit_identifier(input);
    const char *second = input->model ? " $(BUILD)/generate" : "";
    kgen_emit_mark(input, "# ", out);
    kgen_text_puts(
        out,
        "CC ?= cc\nCFLAGS ?= -O3\n# Where the program and its objects go.\nBUILD ?= build\n\ninclude ../");
    kgen_emit_file_name(input->prefix, "sources", ".mk\n", out);
    if (input->model)
        kgen_text_printf(out,
                         "KERNELS = $(addprefix $(BUILD)/,$(notdir $(%s_SOURCES:.c=.o)))\nvpath %%.c ..\n\n"
                         "all: $(BUILD)/example $(BUILD)/generate\n\n"
                         "$(BUILD)/example: $(BUILD)/main.o $(KERNELS)\n"
                         "\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lm\n\n"
                         "$(BUILD)/generate: $(BUILD)/generate.o $(KERNELS)\n"
                         "\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lm\n",
                         identifier);
    else
        kgen_text_printf(
            out,
            "OBJECTS = $(addprefix $(BUILD)/,main.o $(notdir $(%s_SOURCES:.c=.o)))\nvpath %%.c ..\n\n"
            "$(BUILD)/example: $(OBJECTS)\n\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJECTS) -lm\n",
            identifier);
    kgen_text_printf(out,
                     "\n$(BUILD)/%%.o: %%.c\n\t@mkdir -p $(@D)\n\t$(CC) $(CFLAGS) -std=c11 -c -o $@ $<\n\n"
                     ".PHONY: %sclean\nclean:\n\trm -f $(BUILD)/example%s %s\n",
                     input->model ? "all " : "", second,
                     input->model ? "$(BUILD)/main.o $(BUILD)/generate.o $(KERNELS)" : "$(OBJECTS)");
}

/* The program that generates tokens with the step of the model. */
static int add_generate(const struct kgen_emission *emission, struct kgen_error *error)
{
    const struct kgen_emit_input *input = &emission->input;
    struct kgen_bindings bindings = {0};
    struct kgen_text name = {0};
    kgen_emit_file_name(input->prefix, "example/generate", "", &name);
    kgen_bind_text(&bindings, "name", kgen_emit_identifier(input));
    kgen_bind_value(&bindings, "prompt_rows", input->spec->graph->prompt_rows);
    const int result =
        name.failed ? kgen_emit_fail_memory(error)
                    : kgen_emit_add_made(emission, "example_generate", name.data, ".c", &bindings, error);
    kgen_bindings_free(&bindings);
    kgen_text_free(&name);
    return result;
}

int kgen_emit_example(const struct kgen_emission *emission, struct kgen_error *error)
{
    struct kgen_text program = {0};
    int result = write_main(emission, &program, error);
    const struct kgen_emit_input *input = &emission->input;
    struct kgen_text *file =
        result == 0 ? kgen_emit_add(emission->files, input, "example/main", ".c", error) : NULL;
    if (file != NULL)
        kgen_emit_lay_out(program.data, program.length, file);
    kgen_text_free(&program);
    file = file != NULL ? kgen_emit_add(emission->files, input, "example/Makefile", "", error) : NULL;
    if (file == NULL)
        return -1;
    write_makefile(input, file);
    return input->model ? add_generate(emission, error) : 0;
}
