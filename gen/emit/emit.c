/* SPDX-License-Identifier: MIT */
#include "gen/emit/emit.h"
#include "gen/emit/internal.h"
#include "gen/target/target.h"

#include <stdlib.h>

static int add_support_header(struct kgen_emission *emission, struct kgen_error *error)
{
    const struct kgen_target *target = kgen_target_of_isa(KGEN_ISA_GENERIC);
    struct kgen_text *text =
        kgen_emit_add(emission->files, NULL, target->support, target->header_ending, error);
    if (text == NULL)
        return -1;
    kgen_text_puts(
        text, "/* " KGEN_EMIT_MARK KGEN_VERSION ". Do not edit.\n"
              " * Generated files carry no licence obligation: use them as if you had written them. */\n");
    const int result = kgen_target_put_support(target, emission->input.templates, text, error);
    return result == 0 && text->failed ? kgen_emit_fail_memory(error) : result;
}

struct kgen_emission *kgen_emission_new(const struct kgen_emit_input *input, struct kgen_error *error)
{
    struct kgen_emission *emission = calloc(1, sizeof *emission);
    struct kgen_emit_files *files = calloc(1, sizeof *files);
    if (emission == NULL || files == NULL) {
        free(emission);
        free(files);
        kgen_emit_fail_memory(error);
        return NULL;
    }
    emission->input = *input;
    emission->files = files;
    files->prefix = input->prefix;
    int result = add_support_header(emission, error);
    if (result == 0)
        result = kgen_emit_make_kernels(emission, error);
    for (size_t i = 0; i < kgen_op_count() && result == 0; i++)
        result = kgen_emit_sources(emission, kgen_op_at(i), error);
    if (result == 0)
        result = kgen_emit_quantiser(emission, error);
    if (result == 0)
        result = kgen_emit_tensors(emission, error);
    if (result == 0)
        result = kgen_emit_model(emission, error);
    if (result == 0)
        result = kgen_emit_lists(emission, error);
    if (result == 0)
        result = kgen_emit_example(emission, error);
    if (result == 0)
        result = kgen_emit_lock(emission, error);
    if (result != 0) {
        kgen_emission_free(emission);
        return NULL;
    }
    return emission;
}

void kgen_emission_free(struct kgen_emission *emission)
{
    if (emission == NULL)
        return;
    for (size_t i = 0; i < emission->count; i++) {
        kgen_text_free(&emission->kernels[i].name);
        kgen_text_free(&emission->kernels[i].text);
    }
    kgen_emit_free_files(emission->files);
    free(emission->files);
    free(emission->kernels);
    free(emission->chosen);
    free(emission->of_entry);
    free(emission);
}

const struct kgen_emit_kernel *kgen_emission_kernel(const struct kgen_emission *emission, size_t entry,
                                                    enum kgen_isa isa)
{
    const size_t index = emission->of_entry[entry * KGEN_ISA_COUNT + isa];
    return index > 0 ? &emission->kernels[index - 1] : NULL;
}

const char *kgen_emission_header(const struct kgen_emission *emission)
{
    return emission->files->items[0].text.data; /* added before all others */
}

int kgen_emission_write(const struct kgen_emission *emission, const char *folder, bool force,
                        struct kgen_error *error)
{
    return kgen_emit_write_files(emission->files, folder, force, error);
}
