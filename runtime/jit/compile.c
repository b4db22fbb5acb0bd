/* SPDX-License-Identifier: MIT */
#include "runtime/jit/compile.h"

#include "gen/target/place.h"

static const char function[] = "kernel";

static struct kgen_code *compile_text(const struct kgen_variant *variant, const char *text,
                                      const struct kgen_compile_options *options, struct kgen_error *error)
{
    const char *source = kgen_template_name(variant->tmpl);
    if (options->engine == KGEN_ENGINE_CC)
        return kgen_jit_compile(KGEN_ENGINE_CC, source, text, variant->isa, options->cc, error);
    if (options->area != NULL)
        return kgen_jit_compile_into(options->area, source, text, variant->isa, error);
    return kgen_jit_compile_read_only(source, text, variant->isa, error);
}

struct kgen_code *kgen_kernel_compile(const struct kgen_variant *variant, const struct kgen_problem *problem,
                                      const struct kgen_compile_options *options, struct kgen_kernel *kernel,
                                      struct kgen_error *error)
{
    struct kgen_text text = {0};
    struct kgen_code *code = NULL;
    struct kgen_error refused = {0};
    if (kgen_variant_callable_text(variant, problem, function, &text, error) == 0)
        code = compile_text(variant, text.data, options, &refused);
    if (code != NULL && kgen_kernel_find(problem, code, function, kernel, &refused) != 0) {
        kgen_code_free(code);
        code = NULL;
    }
    /* Only now are the lines looked up: a search compiles thousands of texts that are right. */
    if (refused.code != KGEN_ERROR_NONE)
        kgen_place_error(variant, problem, function, &refused, error);
    kgen_text_free(&text);
    return code;
}
