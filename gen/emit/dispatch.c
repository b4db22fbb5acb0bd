/* SPDX-License-Identifier: MIT */
/* The public functions: each calls the kernel for the machine that it runs on. */
#include "gen/emit/internal.h"

#include <string.h>

static void call(const struct kgen_emit_part *part, const char *indent, const char *name,
                 struct kgen_text *text)
{
    kgen_text_printf(text, "%s%s%s%s(%s);\n", indent, strcmp(part->result, "void") == 0 ? "" : "return ",
                     name, part->suffix, part->arguments.data);
}

/* Appends the calls of the kernels that need a test at run time, the widest first. */
static void call_tested(const struct kgen_emission *emission, size_t entry, const struct kgen_emit_part *part,
                        struct kgen_text *text)
{
    const char *guard = NULL;
    for (int isa = KGEN_ISA_COUNT; isa-- > 0;) {
        const struct kgen_emit_kernel *kernel = kgen_emission_kernel(emission, entry, (enum kgen_isa)isa);
        const struct kgen_isa_info *info = kgen_isa_info((enum kgen_isa)isa);
        if (kernel == NULL || info->test == NULL)
            continue;
        if (guard == NULL)
            kgen_text_printf(text, "#ifdef %s\n", info->guard);
        guard = info->guard;
        const bool returns = strcmp(part->result, "void") != 0;
        kgen_text_printf(text, "    if (%s())%s\n", info->test, returns ? "" : " {");
        call(part, "        ", kernel->name.data, text);
        if (!returns)
            kgen_text_puts(text, "        return;\n    }\n");
    }
    if (guard != NULL)
        kgen_text_puts(text, "#endif\n");
}

/* Appends the call of the first kernel that needs no test. */
static void call_untested(const struct kgen_emission *emission, size_t entry,
                          const struct kgen_emit_part *part, struct kgen_text *text)
{
    bool guarded = false;
    for (int isa = KGEN_ISA_COUNT; isa-- > 0;) {
        const struct kgen_emit_kernel *kernel = kgen_emission_kernel(emission, entry, (enum kgen_isa)isa);
        const struct kgen_isa_info *info = kgen_isa_info((enum kgen_isa)isa);
        const char *guard = info->guard;
        if (kernel == NULL || info->test != NULL)
            continue;
        if (guard != NULL)
            kgen_text_printf(text, guarded ? "#elif defined %s\n" : "#ifdef %s\n", guard);
        else if (guarded)
            kgen_text_puts(text, "#else\n");
        guarded = guarded || guard != NULL;
        call(part, "    ", kernel->name.data, text);
    }
    if (guarded)
        kgen_text_puts(text, "#endif\n");
}

void kgen_emit_dispatch(const struct kgen_emission *emission, size_t entry, struct kgen_text *text)
{
    struct kgen_emit_parts parts;
    const int made = kgen_emit_parts_make(&emission->input.spec->entries[entry].problem, &parts);
    const size_t first = kgen_emit_same_kernels(emission, entry);
    struct kgen_text name = {0}, first_name = {0};
    kgen_emit_function_name(&emission->input, entry, &name);
    kgen_emit_function_name(&emission->input, first, &first_name);
    if (made != 0 || name.failed || first_name.failed) {
        text->failed = true;
    }
    if (first != entry && !text->failed)
        kgen_text_printf(text, "/* The kernels are those of %s. */\n", first_name.data);
    for (size_t i = 0; i < parts.count && !text->failed; i++) {
        kgen_text_printf(text, "%s %s%s(%s)\n{\n", parts.items[i].result, name.data, parts.items[i].suffix,
                         parts.items[i].parameters.data);
        if (first != entry) {
            call(&parts.items[i], "    ", first_name.data, text);
        } else {
            call_tested(emission, entry, &parts.items[i], text);
            call_untested(emission, entry, &parts.items[i], text);
        }
        kgen_text_puts(text, "}\n\n");
    }
    kgen_text_free(&name);
    kgen_text_free(&first_name);
    kgen_emit_parts_free(&parts);
}
