/* SPDX-License-Identifier: MIT */
#include "runtime/command/output.h"

#include <stdlib.h>

static struct kgen_emission *new_emission(const struct kgen_output *output, const struct kgen_variant *tuned,
                                          struct kgen_error *error)
{
    const struct kgen_emit_input input = {
        .spec = output->session->spec,
        .templates = output->session->templates,
        .tuned = tuned,
        .prefix = output->options->prefix,
        .command = output->options->reproduce.data,
        .machine = output->session->machine.name,
        .machine_isas = output->session->machine.isas,
        .quantiser = output->options->quantiser,
        .model = output->options->emit_model,
        .isas = output->options->isa_given ? 1u << output->options->isa : 0,
    };
    return kgen_emission_new(&input, error);
}

int kgen_output_folder(const struct kgen_options *options, const struct kgen_spec *spec,
                       struct kgen_text *folder, struct kgen_error *error)
{
    if (kgen_emit_check_prefix(options->prefix, error) != 0 ||
        (options->quantiser && kgen_emit_check_quantiser(spec, error) != 0) ||
        (options->emit_model && kgen_emit_check_model(spec, error) != 0))
        return -1;
    if (options->output != NULL)
        kgen_text_puts(folder, options->output);
    else
        kgen_text_printf(folder, "out/%s", spec->name);
    if (folder->failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    while (folder->length > 1 && folder->data[folder->length - 1] == '/')
        folder->data[--folder->length] = '\0';
    return 0;
}

int kgen_output_write(const struct kgen_output *output, const char *folder, struct kgen_shipped *shipped,
                      struct kgen_error *error)
{
    struct kgen_variant *tuned = calloc(output->count + 1, sizeof *tuned);
    if (tuned == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (size_t i = 0; i < output->count; i++)
        tuned[i] = output->choices[i].variant;
    struct kgen_emission *emission = new_emission(output, tuned, error);
    const struct kgen_shipped_options options = {
        .cache = output->session->cache,
        .machine = output->session->machine.identity,
        .cc = {.flags = KGEN_SHIPPED_FLAGS},
        .seed = output->seed,
        .threads = output->session->threads,
        .cancel = output->cancel,
    };
    int result = emission != NULL ? kgen_shipped_prove(&options, emission, output->session->spec, tuned,
                                                       output->count, shipped, error)
                                  : -1;
    if (result == 0 && shipped->failed_entry == SIZE_MAX)
        result = kgen_emission_write(emission, folder, output->options->force, error);
    kgen_emission_free(emission);
    free(tuned);
    return result;
}

void kgen_output_say_failure(const struct kgen_output *output, const struct kgen_shipped *shipped)
{
    const struct kgen_choice *choice = &output->choices[shipped->failed_entry];
    struct kgen_error error = {0};
    struct kgen_text problem = {0}, variant = {0};
    kgen_problem_describe(&choice->problem, &problem);
    kgen_variant_name(&choice->variant, &variant);
    kgen_error_set(&error, KGEN_ERROR_CANDIDATE, problem.failed ? NULL : problem.data, 0, 0,
                   "the kernel as written, %s, fails through %s: %s: %s", variant.failed ? "" : variant.data,
                   shipped->compiler, kgen_verdict_name(shipped->failure.verdict), shipped->failure.detail);
    kgen_error_hint(&error, "the same variant passed through %s; --engine cc tunes with the compiler",
                    kgen_engine_name(output->options->engine));
    kgen_say_error(&error);
    kgen_text_free(&problem);
    kgen_text_free(&variant);
}
