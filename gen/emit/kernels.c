/* SPDX-License-Identifier: MIT */
/* The kernels of an output: which variant each problem uses with each instruction set, which of their texts
 * are equal, and what they are called. */
#include "gen/emit/internal.h"

#include <stdlib.h>
#include <string.h>

/* A placeholder for the name of a kernel in its text until the name is known. No C text contains it. */
#define NAME_MARK "@"

void kgen_emit_function_name(const struct kgen_emit_input *input, size_t entry, struct kgen_text *text)
{
    kgen_text_printf(text, "%s_", kgen_emit_identifier(input));
    kgen_problem_name(&input->spec->entries[entry].problem, text);
}

/* Whether the output has kernels of an entry for an instruction set. An instruction set of the tuning machine
 * that is wider than the winner's was slower, so that its kernels would never be called. */
static bool is_wanted(const struct kgen_emit_input *input, size_t entry, enum kgen_isa isa)
{
    if (isa == KGEN_ISA_GENERIC || input->lock != NULL)
        return true;
    if (input->isas != 0 && (input->isas >> isa & 1) == 0)
        return false;
    const struct kgen_variant *tuned = &input->tuned[entry];
    return tuned->tmpl == NULL || isa <= tuned->isa || (input->machine_isas >> isa & 1) == 0;
}

/* The variant of an entry for an instruction set: the tuned one where it is for it, else the default. Returns
 * 1; 0 where there is none; -1 on an error. */
static int choose_variant(const struct kgen_emit_input *input, size_t entry, enum kgen_isa isa,
                          struct kgen_variant *variant, struct kgen_error *error)
{
    const struct kgen_variant *tuned = &input->tuned[entry];
    if (input->lock != NULL) {
        *variant = input->lock->entries[entry].variants[isa];
        return variant->tmpl != NULL;
    }
    if (tuned->tmpl != NULL && tuned->isa == isa) {
        *variant = *tuned;
        return 1;
    }
    struct kgen_variants variants = {0};
    if (kgen_variants_list(input->templates, &input->spec->entries[entry].problem, 1u << isa, &variants,
                           error) != 0)
        return -1;
    int found = variants.count > 0;
    if (found)
        *variant = variants.items[0];
    kgen_variants_free(&variants);
    return found;
}

/* Whether a variant has the same text for ranges of other lengths, such as another number of rows. */
static int fits_any_range(const struct kgen_variant *variant, const struct kgen_problem *problem,
                          const struct kgen_text *text, struct kgen_error *error)
{
    if (problem->op->fixed_range)
        return 0;
    /* Two arbitrary lengths; neither is that of the problem. */
    for (int64_t range = 1021, tried = 0; tried < 2; range = 2 * range + 3, tried++) {
        struct kgen_problem other = *problem;
        kgen_problem_set_range(&other, (size_t)range);
        struct kgen_text other_text = {0};
        const int result = kgen_variant_text(variant, &other, NAME_MARK, &other_text, error);
        const bool failed = result != 0 || other_text.failed;
        const bool same = !failed && strcmp(other_text.data, text->data) == 0;
        kgen_text_free(&other_text);
        if (failed)
            return result != 0 ? -1 : kgen_emit_fail_memory(error);
        if (!same)
            return 0;
    }
    return 1;
}

/* Adds the kernel of an entry, or finds the one that has the same text. Returns its index plus one; 0 where
 * no template solves the problem with this instruction set; -1 on an error. */
static long add_kernel(struct kgen_emission *emission, size_t entry, enum kgen_isa isa,
                       struct kgen_error *error)
{
    const struct kgen_emit_input *input = &emission->input;
    struct kgen_emit_kernel kernel = {.entry = entry};
    const int found = choose_variant(input, entry, isa, &kernel.variant, error);
    if (found <= 0)
        return found;
    emission->chosen[entry * KGEN_ISA_COUNT + isa] = kernel.variant;
    const struct kgen_problem *problem = &input->spec->entries[entry].problem;
    if (kgen_variant_text(&kernel.variant, problem, NAME_MARK, &kernel.text, error) != 0 ||
        kernel.text.failed) {
        kgen_text_free(&kernel.text);
        return kgen_emit_fail_memory(error);
    }
    kernel.tuned = input->tuned[entry].tmpl == kernel.variant.tmpl && input->tuned[entry].isa == isa;
    for (size_t i = 0; i < emission->count; i++) {
        struct kgen_emit_kernel *other = &emission->kernels[i];
        if (other->variant.isa == isa && strcmp(other->text.data, kernel.text.data) == 0) {
            other->tuned = other->tuned || kernel.tuned;
            kgen_text_free(&kernel.text);
            return (long)i + 1;
        }
    }
    emission->kernels[emission->count++] = kernel;
    return (long)emission->count;
}

/* Names a kernel after the fields that its text depends on. Where another kernel, tuned for another range,
 * would have the same name, it is named after the first problem that uses it. */
static int name_kernel(const struct kgen_emission *emission, size_t index, const struct kgen_text *shorter)
{
    struct kgen_emit_kernel *kernel = &emission->kernels[index];
    bool unique = shorter[index].length > 0;
    for (size_t i = 0; i < emission->count && unique; i++)
        unique = i == index || emission->kernels[i].variant.isa != kernel->variant.isa ||
                 shorter[i].length == 0 || strcmp(shorter[i].data, shorter[index].data) != 0;
    if (unique)
        kgen_text_puts(&kernel->name, shorter[index].data);
    else
        kgen_emit_function_name(&emission->input, kernel->entry, &kernel->name);
    kgen_text_printf(&kernel->name, "_%s", kgen_isa_info(kernel->variant.isa)->name);
    return kernel->name.failed ? -1 : 0;
}

/* Puts the name into the text, and lays it out. */
static int finish_text(struct kgen_emit_kernel *kernel)
{
    struct kgen_text named = {0}, out = {0};
    for (const char *at = kernel->text.data;;) {
        const size_t length = strcspn(at, NAME_MARK);
        kgen_text_append(&named, at, length);
        if (at[length] == '\0')
            break;
        kgen_text_puts(&named, kernel->name.data);
        at += length + 1;
    }
    if (!named.failed)
        kgen_emit_lay_out(named.data, named.length, &out);
    const bool failed = named.failed || out.failed;
    kgen_text_free(&named);
    kgen_text_free(&kernel->text);
    kernel->text = out;
    return failed ? -1 : 0;
}

static int name_kernels(struct kgen_emission *emission, struct kgen_error *error)
{
    const struct kgen_emit_input *input = &emission->input;
    struct kgen_text *shorter = calloc(emission->count + 1, sizeof *shorter);
    int result = shorter != NULL ? 0 : kgen_emit_fail_memory(error);
    for (size_t i = 0; i < emission->count && result == 0; i++) {
        const struct kgen_emit_kernel *kernel = &emission->kernels[i];
        const struct kgen_problem *problem = &input->spec->entries[kernel->entry].problem;
        const int fits = fits_any_range(&kernel->variant, problem, &kernel->text, error);
        if (fits > 0) {
            kgen_text_printf(&shorter[i], "%s_", kgen_emit_identifier(input));
            kgen_problem_kernel_name(problem, &shorter[i]);
        }
        result = fits < 0 ? -1 : shorter[i].failed ? kgen_emit_fail_memory(error) : 0;
    }
    for (size_t i = 0; i < emission->count && result == 0; i++) {
        if (name_kernel(emission, i, shorter) != 0 || finish_text(&emission->kernels[i]) != 0)
            result = kgen_emit_fail_memory(error);
    }
    for (size_t i = 0; shorter != NULL && i < emission->count; i++)
        kgen_text_free(&shorter[i]);
    free(shorter);
    return result;
}

int kgen_emit_make_kernels(struct kgen_emission *emission, struct kgen_error *error)
{
    const struct kgen_spec *spec = emission->input.spec;
    const size_t most = spec->count * KGEN_ISA_COUNT;
    emission->kernels = calloc(most + 1, sizeof *emission->kernels);
    emission->chosen = calloc(most + 1, sizeof *emission->chosen);
    emission->of_entry = calloc(most + 1, sizeof *emission->of_entry);
    if (emission->kernels == NULL || emission->chosen == NULL || emission->of_entry == NULL)
        return kgen_emit_fail_memory(error);
    for (size_t entry = 0; entry < spec->count; entry++) {
        for (int isa = 0; isa < KGEN_ISA_COUNT; isa++) {
            const long kernel = is_wanted(&emission->input, entry, (enum kgen_isa)isa)
                                    ? add_kernel(emission, entry, (enum kgen_isa)isa, error)
                                    : 0;
            if (kernel < 0)
                return -1;
            emission->of_entry[entry * KGEN_ISA_COUNT + (size_t)isa] = (size_t)kernel;
        }
        if (kgen_emission_kernel(emission, entry, KGEN_ISA_GENERIC) == NULL)
            return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0,
                                  "no template gives plain C for problem %zu of the spec (%s)", entry + 1,
                                  spec->entries[entry].problem.op->name);
    }
    return name_kernels(emission, error);
}

size_t kgen_emit_same_kernels(const struct kgen_emission *emission, size_t entry)
{
    const size_t *of_entry = emission->of_entry;
    for (size_t first = 0; first < entry; first++) {
        if (memcmp(of_entry + first * KGEN_ISA_COUNT, of_entry + entry * KGEN_ISA_COUNT,
                   KGEN_ISA_COUNT * sizeof *of_entry) == 0)
            return first;
    }
    return entry;
}
