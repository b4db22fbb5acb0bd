/* SPDX-License-Identifier: MIT */
/* quantise.h and quantise.c: a quantiser of floats to the affine format, and for each function that takes
 * such weights one that makes them. */
#include "gen/emit/internal.h"
#include "gen/ops/dtype.h"
#include "gen/ops/format.h"

static const char about[] =
    " * Quantises rows of a matrix W [N, K] of floats to the format affine, as MLX does, bit for bit:\n"
    " * w = scale * q + bias, one scale and bias a group of consecutive columns.\n"
    " *\n"
    " * values: W itself, N rows of K floats; the functions begin at its row 0, whatever the range is.\n"
    " * weights: N rows of K * bits / 8 bytes, each one little-endian bit stream, lowest bits first.\n"
    " * scales, biases: [N, K / group_size].\n"
    " * With tiles16 these arrays lie 16 rows side by side, and have room for N rounded up to a multiple of\n"
    " * 16; what they have for rows beyond N is not written. They begin with row 0, and are aligned as "
    "scales\n"
    " * and biases must be. No array overlaps another.\n"
    " *\n"
    " * A group of equal numbers comes out as its bias; numbers below 5e-8, where the whole group has them, "
    "as\n"
    " * 0. With 1 bit the bias is the least number and the scale the range; MLX has no quantiser for it. "
    "Scales\n"
    " * and biases that f16 cannot hold become infinite or 0: bf16 and f32 have the range of floats.\n"
    " * A NaN becomes a q of 0 and changes nothing else. A group with an infinity gets a scale or bias that\n"
    " * is infinite or NaN: its weights are lost, those of other groups are not.\n"
    " * The rounding mode must be to nearest. Compile without -ffast-math.\n"
    " *\n"
    " * Any number of threads may work on ranges of rows that do not overlap. */\n";

/* The matrices of experts have no function of their own: _quantise_affine makes each of them. */
static bool is_affine(const struct kgen_emit_input *input, size_t entry)
{
    const struct kgen_problem *problem = &input->spec->entries[entry].problem;
    const struct kgen_format *format = kgen_problem_format(problem);
    return format != NULL && format->scheme == KGEN_AFFINE && !kgen_problem_has(problem, "experts");
}

bool kgen_emit_quantises(const struct kgen_emit_input *input, size_t entry)
{
    return input->quantiser && is_affine(input, entry);
}

int kgen_emit_check_quantiser(const struct kgen_spec *spec, struct kgen_error *error)
{
    const struct kgen_emit_input input = {.spec = spec};
    for (size_t i = 0; i < spec->count; i++) {
        if (is_affine(&input, i))
            return 0;
    }
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                   "a quantiser has nothing to do: no problem of the spec has weights of the scheme affine");
    kgen_error_hint(error, "leave --with-quantiser out");
    return -1;
}

static void declare(const struct kgen_emit_input *input, size_t entry, struct kgen_text *text)
{
    const struct kgen_problem *problem = &input->spec->entries[entry].problem;
    const char *type = kgen_dtype_c_type(kgen_problem_get(problem, "scale_dtype"));
    kgen_text_puts(text, "void ");
    kgen_emit_function_name(input, entry, text);
    kgen_text_printf(text,
                     "_quantise(const float *values, void *weights, %s *scales, %s *biases, "
                     "size_t row_begin, size_t row_end)",
                     type, type);
}

static void put_header(const struct kgen_emit_input *input, struct kgen_text *text)
{
    const char *name = kgen_emit_identifier(input);
    kgen_text_printf(text, "#ifndef KGEN_%s_QUANTISE_H\n#define KGEN_%s_QUANTISE_H\n\n/*\n%s\n", name, name,
                     about);
    kgen_text_puts(text, "#include <stddef.h>\n#include <stdint.h>\n\n"
                         "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    kgen_text_printf(
        text,
        "/* Of scales and biases. */\n"
        "enum %s_dtype { %s_f32, %s_f16, %s_bf16 };\n\n"
        "/* How a matrix is stored. */\n"
        "struct %s_affine {\n"
        "    size_t K;       /* columns, a multiple of group_size */\n"
        "    int bits;       /* 1, 2, 3, 4, 5, 6 or 8 */\n"
        "    int group_size; /* 32, 64 or 128 */\n"
        "    enum %s_dtype dtype;\n"
        "    int tiles16; /* 1: for functions with tiles16 in their names; 0: for the others */\n"
        "};\n\n",
        name, name, name, name, name, name);
    kgen_text_printf(text,
                     "void %s_quantise_affine(const struct %s_affine *matrix, const float *values, "
                     "void *weights, void *scales, void *biases, size_t row_begin, size_t row_end);\n",
                     name, name);
    kgen_text_puts(text, "\n/* The same for the weights of a function, which is called the same but for the "
                         "end. */\n");
    for (size_t i = 0; i < input->spec->count; i++) {
        if (!kgen_emit_quantises(input, i))
            continue;
        declare(input, i, text);
        kgen_text_puts(text, ";\n");
    }
    kgen_text_puts(text, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}

static void put_functions(const struct kgen_emit_input *input, struct kgen_text *text)
{
    const char *name = kgen_emit_identifier(input);
    for (size_t i = 0; i < input->spec->count; i++) {
        const struct kgen_problem *problem = &input->spec->entries[i].problem;
        if (!kgen_emit_quantises(input, i))
            continue;
        kgen_text_puts(text, "\n");
        declare(input, i, text);
        kgen_text_printf(text,
                         "\n{\n    static const struct %s_affine matrix = {%lld, %lld, %lld, %s_%s, %d};\n"
                         "    %s_quantise_affine(&matrix, values, weights, scales, biases, row_begin, "
                         "row_end);\n}\n",
                         name, (long long)kgen_problem_get(problem, "K"),
                         (long long)kgen_problem_get(problem, "bits"),
                         (long long)kgen_problem_get(problem, "group_size"), name,
                         kgen_constant_name(kgen_problem_get(problem, "scale_dtype")),
                         kgen_problem_get(problem, "layout") == KGEN_TILES16, name);
    }
}

static int put_source(const struct kgen_emit_input *input, struct kgen_text *text, struct kgen_error *error)
{
    const struct kgen_template *tmpl = kgen_templates_find(input->templates, "quantise_affine");
    if (tmpl == NULL)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0,
                              "there is no template quantise_affine.c.in");
    struct kgen_bindings bindings = {0};
    kgen_bind_text(&bindings, "name", kgen_emit_identifier(input));
    kgen_text_puts(text, "#include \"");
    kgen_emit_file_name(input->prefix, "quantise", ".h\"\n\n", text);
    const int result = kgen_template_instantiate(tmpl, &bindings, text, error);
    kgen_bindings_free(&bindings);
    put_functions(input, text);
    return result;
}

/* Adds a file with the usual comment above its text. */
static int add_file(const struct kgen_emission *emission, const char *ending, const struct kgen_text *text,
                    struct kgen_error *error)
{
    const struct kgen_emit_input *input = &emission->input;
    struct kgen_text *file = kgen_emit_add(emission->files, input, "quantise", ending, error);
    if (file == NULL || text->failed)
        return kgen_emit_fail_memory(error);
    kgen_emit_preamble(input, file);
    kgen_emit_lay_out(text->data, text->length, file);
    return 0;
}

int kgen_emit_quantiser(const struct kgen_emission *emission, struct kgen_error *error)
{
    const struct kgen_emit_input *input = &emission->input;
    if (!input->quantiser)
        return 0;
    struct kgen_text header = {0}, source = {0};
    put_header(input, &header);
    int result = kgen_emit_check_quantiser(input->spec, error);
    if (result == 0)
        result = put_source(input, &source, error);
    if (result == 0)
        result = add_file(emission, ".h", &header, error);
    if (result == 0)
        result = add_file(emission, ".c", &source, error);
    kgen_text_free(&header);
    kgen_text_free(&source);
    return result;
}
