/* SPDX-License-Identifier: MIT */
/* The files of one op: the header, the public functions with plain C, and one file for each other
 * instruction set. */
#include "gen/base/word_list.h"
#include "gen/emit/internal.h"
#include "gen/ops/format.h"
#include "gen/ops/signature.h"

#include <stdio.h>
#include <string.h>

static const char cpu_text[] = "#if defined(__x86_64__) && defined(__GNUC__) && !defined(__TINYC__)\n"
                               "#define KGEN_X86 1\n"
                               "#elif defined(__aarch64__) && defined(__GNUC__) && !defined(__TINYC__)\n"
                               "#define KGEN_NEON 1\n"
                               "#endif\n";

/* The texts of one op while they grow. */
struct sources {
    const struct kgen_emission *emission;
    const struct kgen_op *op;
    const char *name;
    struct kgen_text header, kernel_declarations, dispatch;
    struct kgen_text kernels[KGEN_ISA_COUNT];
};

static bool has_op(const struct sources *sources, size_t entry)
{
    return sources->emission->input.spec->entries[entry].problem.op == sources->op;
}

static void declare(const struct kgen_problem *problem, const char *name, struct kgen_text *text)
{
    struct kgen_emit_parts parts;
    if (kgen_emit_parts_make(problem, &parts) != 0)
        text->failed = true;
    for (size_t i = 0; i < parts.count && !text->failed; i++)
        kgen_text_printf(text, "%s %s%s(%s);\n", parts.items[i].result, name, parts.items[i].suffix,
                         parts.items[i].parameters.data);
    kgen_emit_parts_free(&parts);
}

/* Whether an entry wants its weights in tiles. */
static bool wants_tiles(const struct sources *sources)
{
    const struct kgen_spec *spec = sources->emission->input.spec;
    for (size_t i = 0; i < spec->count; i++) {
        if (has_op(sources, i) && kgen_problem_get(&spec->entries[i].problem, "layout") == KGEN_TILES16)
            return true;
    }
    return false;
}

/* Appends lines, each begun with " * ". */
static void put_comment(const char *lines, struct kgen_text *text)
{
    while (*lines != '\0') {
        const size_t length = strcspn(lines, "\n");
        kgen_text_printf(text, " * %.*s\n", (int)length, lines);
        lines += length + (lines[length] == '\n');
    }
}

/* Describes the arrays of weights, once for each format of the entries. */
static void add_formats(struct sources *sources)
{
    const struct kgen_spec *spec = sources->emission->input.spec;
    for (size_t f = 0; f < kgen_format_count(); f++) {
        const struct kgen_format *format = kgen_format_at(f);
        bool used = false;
        for (size_t i = 0; i < spec->count; i++)
            used = used || (has_op(sources, i) && kgen_problem_format(&spec->entries[i].problem) == format);
        if (!used)
            continue;
        kgen_text_printf(&sources->header, " * Weights of the format %s: %s.\n",
                         kgen_constant_name(format->scheme), format->summary);
        put_comment(format->layout, &sources->header);
    }
}

/* Appends the comment on the functions of the op and their arguments. */
static void add_contract(struct sources *sources)
{
    const struct kgen_op *op = sources->op;
    struct kgen_text *header = &sources->header;
    kgen_text_printf(header, "/* %s\n *\n", op->summary);
    put_comment(op->formula, header);
    kgen_text_puts(header, " *\n");
    add_formats(sources);
    if (wants_tiles(sources))
        put_comment("Functions with tiles16 in their names take these arrays as _pack_tiles16 makes them.\n",
                    header);
    kgen_signature_describe(op, " * ", header);
    kgen_text_puts(header, " *\n");
    if (kgen_op_has_part(op, KGEN_PREPARE))
        put_comment("Call the _prepare function once for each call.\n", header);
    put_comment("Any number of threads may work on ranges that do not overlap.", header);
    if (kgen_op_has_part(op, KGEN_FINISH))
        put_comment("Call the _finish function once, after all ranges.", header);
    kgen_text_puts(header, " */\n");
}

/* Declares the public functions of an entry, below a comment with its tensors and its problem, whose threads
 * belong to the kernels. */
static void add_public(struct sources *sources, size_t entry)
{
    const struct kgen_spec_entry *item = &sources->emission->input.spec->entries[entry];
    struct kgen_text name = {0}, problem = {0};
    kgen_emit_function_name(&sources->emission->input, entry, &name);
    kgen_problem_write(&item->problem, &problem);
    kgen_text_puts(&sources->header, "\n/* ");
    if (item->tensors[0] != '\0')
        kgen_text_printf(&sources->header, "%s\n * ", item->tensors);
    if (name.failed || problem.failed) {
        sources->header.failed = true;
    } else {
        const char *end = strstr(problem.data, ",\"threads\":");
        for (const char *at = problem.data; at != end && *at != '\0'; at++)
            kgen_text_printf(&sources->header, "%c%s", *at, *at == ',' ? " " : "");
        kgen_text_puts(&sources->header, end != NULL ? "} */\n" : " */\n");
        declare(&item->problem, name.data, &sources->header);
        kgen_emit_dispatch(sources->emission, entry, &sources->dispatch);
    }
    kgen_text_free(&name);
    kgen_text_free(&problem);
}

static void add_kernel(struct sources *sources, const struct kgen_emit_kernel *kernel)
{
    const struct kgen_emit_input *input = &sources->emission->input;
    struct kgen_text *text = &sources->kernels[kernel->variant.isa];
    struct kgen_text comment = {0};
    const int64_t threads = input->spec->entries[kernel->entry].problem.threads;
    kgen_text_puts(&comment, "\n/* ");
    kgen_variant_name(&kernel->variant, &comment);
    if (input->machine != NULL && kernel->tuned)
        kgen_text_printf(&comment, ", chosen on %s for %lld thread%s", input->machine, (long long)threads,
                         threads == 1 ? "" : "s");
    kgen_text_printf(&comment, " (template %016llx) */\n",
                     (unsigned long long)kgen_template_hash(kernel->variant.tmpl));
    text->failed = text->failed || comment.failed;
    kgen_emit_lay_out(comment.data, comment.length, text);
    kgen_text_free(&comment);
    kgen_text_append(text, kernel->text.data, kernel->text.length);
    declare(&input->spec->entries[kernel->entry].problem, kernel->name.data, &sources->kernel_declarations);
}

static void add_entry(struct sources *sources, size_t entry)
{
    add_public(sources, entry);
    for (int isa = KGEN_ISA_COUNT; isa-- > 0;) {
        const struct kgen_emit_kernel *kernel =
            kgen_emission_kernel(sources->emission, entry, (enum kgen_isa)isa);
        if (kernel != NULL && kernel->entry == entry)
            add_kernel(sources, kernel);
    }
}

/* The op whose source defines the function that packs: that of the first entry with tiles. */
static const struct kgen_op *packing_op(const struct sources *sources)
{
    const struct kgen_spec *spec = sources->emission->input.spec;
    for (size_t i = 0; i < spec->count; i++) {
        if (kgen_problem_get(&spec->entries[i].problem, "layout") == KGEN_TILES16)
            return spec->entries[i].problem.op;
    }
    return NULL;
}

/* Declares the function that packs weights, scales and biases, where an entry wants them in tiles, and adds
 * it to the source of one op. */
static int add_packing(struct sources *sources, struct kgen_error *error)
{
    const struct kgen_emit_input *input = &sources->emission->input;
    if (!wants_tiles(sources))
        return 0;
    const struct kgen_template *tmpl = kgen_templates_find(input->templates, "pack_tiles16");
    if (tmpl == NULL)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0,
                              "there is no template pack_tiles16.c.in");
    struct kgen_text name = {0};
    struct kgen_bindings bindings = {0};
    kgen_text_printf(&name, "%s_pack_tiles16", kgen_emit_identifier(input));
    kgen_text_printf(
        &sources->header,
        "\n/* Packs rows for the functions with tiles16 in their names: 16 rows side by side, a word of each "
        "in\n"
        " * turns. A word is 32 bits of weights (words = K * bits / 32, word_bytes = 4), or one scale or "
        "bias\n"
        " * (words = K / group_size). packed has room for rows rounded up to a multiple of 16, and begins "
        "with a\n"
        " * row whose number is a multiple of 16. What it holds for rows beyond N is not used. */\n"
        "void %s(const void *stored, void *packed, size_t rows, size_t words, size_t word_bytes);\n",
        name.data);
    kgen_bind_text(&bindings, "function", name.data);
    int result = name.failed ? kgen_emit_fail_memory(error) : 0;
    if (result == 0 && packing_op(sources) == sources->op) {
        kgen_text_puts(&sources->kernels[KGEN_ISA_GENERIC], "\n");
        result = kgen_template_instantiate(tmpl, &bindings, &sources->kernels[KGEN_ISA_GENERIC], error);
    }
    kgen_bindings_free(&bindings);
    kgen_text_free(&name);
    return result;
}

/* Adds a header of the op: <op><ending>.h with a body, which follows the standard headers or another header.
 */
static int add_header(const struct sources *sources, const char *ending, const char *guard,
                      const char *includes, const struct kgen_text *text, struct kgen_error *error)
{
    const struct kgen_emit_input *input = &sources->emission->input;
    const char *identifier = kgen_emit_identifier(input);
    struct kgen_text *file = kgen_emit_add(sources->emission->files, input, sources->name, ending, error);
    if (file == NULL)
        return -1;
    struct kgen_text body = {0};
    kgen_emit_preamble(input, &body);
    kgen_text_printf(&body, "#ifndef KGEN_%s_%s%s_H\n#define KGEN_%s_%s%s_H\n\n%s\n", identifier,
                     sources->name, guard, identifier, sources->name, guard, includes);
    kgen_text_puts(&body, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    kgen_text_append(&body, text->data, text->length);
    kgen_text_puts(&body, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
    kgen_emit_lay_out(body.data, body.length, file);
    file->failed = file->failed || body.failed || text->failed;
    kgen_text_free(&body);
    return 0;
}

/* Adds <op>.h with the public functions, and <op>_kernels.h with those behind them. */
static int add_headers(struct sources *sources, struct kgen_error *error)
{
    struct kgen_text include = {0}, kernels = {0};
    kgen_text_puts(&include, "#include \"");
    kgen_emit_file_name(sources->emission->input.prefix, sources->name, ".h\"\n", &include);
    kgen_text_printf(
        &kernels,
        "/* The kernels behind the functions of the op. A caller that knows the machine may call one "
        "directly; the\n"
        " * workspace of one kernel fits that kernel only. */\n%s",
        cpu_text);
    kgen_text_append(&kernels, sources->kernel_declarations.data, sources->kernel_declarations.length);
    int result =
        add_header(sources, ".h", "", "#include <stddef.h>\n#include <stdint.h>\n", &sources->header, error);
    if (result == 0 && include.failed)
        result = kgen_emit_fail_memory(error);
    if (result == 0)
        result = add_header(sources, "_kernels.h", "_kernels", include.data, &kernels, error);
    kgen_text_free(&include);
    kgen_text_free(&kernels);
    return result;
}

/* Begins a file of kernels: its comment, its header, and vector C for its instruction set. */
static void begin_kernels(const struct sources *sources, enum kgen_isa isa, struct kgen_text *file)
{
    const struct kgen_isa_info *info = kgen_isa_info(isa);
    kgen_emit_preamble(&sources->emission->input, file);
    kgen_text_puts(file, "#include \"");
    kgen_emit_file_name(sources->emission->input.prefix, sources->name, "_kernels.h\"\n", file);
    if (info->guard != NULL)
        kgen_text_printf(file, "#ifdef %s\n", info->guard);
    kgen_text_printf(file, "#define %s\n#include \"kgen_vector.h\"\n\n#include <math.h>\n",
                     info->header_name);
}

/* Appends a function that asks the processor for the features of an instruction set. */
static void add_test(const struct kgen_isa_info *info, struct kgen_text *file)
{
    struct kgen_text line = {0};
    const char *separator = "    return ";
    kgen_text_printf(file, "static int %s(void)\n{\n", info->test);
    size_t length;
    const char *features = info->tested_features;
    for (const char *word; (word = kgen_word_next(&features, &length)) != NULL; separator = " && ")
        kgen_text_printf(&line, "%s__builtin_cpu_supports(\"%.*s\")", separator, (int)length, word);
    kgen_text_puts(&line, ";\n");
    kgen_emit_lay_out(line.data, line.length, file);
    kgen_text_puts(file, "}\n");
    file->failed = file->failed || line.failed;
    kgen_text_free(&line);
}

/* Appends the functions of that kind that the dispatch calls. */
static void add_tests(const struct sources *sources, struct kgen_text *file)
{
    bool any = false;
    for (int isa = KGEN_ISA_COUNT; isa-- > 0;) {
        const struct kgen_isa_info *info = kgen_isa_info((enum kgen_isa)isa);
        if (info->test == NULL || sources->kernels[isa].length == 0)
            continue;
        kgen_text_puts(file, "\n");
        if (!any)
            kgen_text_printf(file, "#ifdef %s\n", info->guard);
        add_test(info, file);
        any = true;
    }
    if (any)
        kgen_text_puts(file, "#endif\n");
}

static int add_sources(struct sources *sources, struct kgen_error *error)
{
    struct kgen_text *file =
        kgen_emit_add(sources->emission->files, &sources->emission->input, sources->name, ".c", error);
    if (file == NULL || sources->dispatch.failed)
        return kgen_emit_fail_memory(error);
    begin_kernels(sources, KGEN_ISA_GENERIC, file);
    add_tests(sources, file);
    kgen_text_append(file, sources->kernels[KGEN_ISA_GENERIC].data,
                     sources->kernels[KGEN_ISA_GENERIC].length);
    kgen_text_puts(file, "\n");
    kgen_emit_lay_out(sources->dispatch.data, sources->dispatch.length - 1, file);
    for (int isa = KGEN_ISA_COUNT; isa-- > 0;) {
        const struct kgen_text *kernels = &sources->kernels[isa];
        if (kernels->length == 0 || isa == KGEN_ISA_GENERIC)
            continue;
        char suffix[32];
        snprintf(suffix, sizeof suffix, "_%s.c", kgen_isa_info((enum kgen_isa)isa)->name);
        file =
            kgen_emit_add(sources->emission->files, &sources->emission->input, sources->name, suffix, error);
        if (file == NULL)
            return -1;
        begin_kernels(sources, (enum kgen_isa)isa, file);
        kgen_text_append(file, kernels->data, kernels->length);
        kgen_text_puts(file, "#endif\n");
        file->failed = file->failed || kernels->failed;
    }
    return 0;
}

int kgen_emit_sources(const struct kgen_emission *emission, const struct kgen_op *op,
                      struct kgen_error *error)
{
    const struct kgen_spec *spec = emission->input.spec;
    struct sources sources = {.emission = emission, .op = op, .name = op->name};
    bool any = false;
    for (size_t i = 0; i < spec->count; i++) {
        if (!has_op(&sources, i))
            continue;
        if (!any)
            add_contract(&sources);
        any = true;
        add_entry(&sources, i);
    }
    int result = any ? add_packing(&sources, error) : 0;
    if (any && result == 0)
        result = add_headers(&sources, error);
    if (any && result == 0)
        result = add_sources(&sources, error);
    kgen_text_free(&sources.header);
    kgen_text_free(&sources.kernel_declarations);
    kgen_text_free(&sources.dispatch);
    for (size_t i = 0; i < KGEN_ISA_COUNT; i++)
        kgen_text_free(&sources.kernels[i]);
    return result;
}
