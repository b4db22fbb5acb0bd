/* SPDX-License-Identifier: MIT */
#include "gen/target/target.h"
#include "gen/base/nearest.h"
#include "gen/base/word_list.h"
#include "gen/target/lower/lower.h"

#include <string.h>

/* The engine that compiles what the lowering makes. */
#define LOWERED_ENGINE "tcc"

static const struct kgen_target targets[] = {
    {.name = "c",
     .summary = "vector C for processors",
     .source_ending = ".c",
     .header_ending = ".h",
     .support = "kgen_vector",
     .isas = 1u << KGEN_ISA_GENERIC | 1u << KGEN_ISA_NEON | 1u << KGEN_ISA_AVX2 | 1u << KGEN_ISA_AVX512,
     .engines = LOWERED_ENGINE " cc",
     .prelude = kgen_lower_prelude,
     .lower = kgen_lower,
     .count = kgen_lower_count},
};

const struct kgen_target *kgen_target_at(size_t index)
{
    return index < KGEN_COUNT_OF(targets) ? &targets[index] : NULL;
}

const struct kgen_target *kgen_target_find(const char *name, struct kgen_error *error)
{
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, name, strlen(name));
    for (size_t i = 0; i < KGEN_COUNT_OF(targets); i++) {
        if (strcmp(targets[i].name, name) == 0)
            return &targets[i];
        kgen_nearest_offer(&nearest, targets[i].name, strlen(targets[i].name));
    }
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no target %s", name);
    kgen_nearest_hint(&nearest, error);
    return NULL;
}

const struct kgen_target *kgen_target_of_isa(enum kgen_isa isa)
{
    size_t i = 0;
    while (i + 1 < KGEN_COUNT_OF(targets) && (targets[i].isas >> isa & 1) == 0)
        i++;
    return &targets[i];
}

bool kgen_target_has_engine(const struct kgen_target *target, const char *engine, enum kgen_isa isa)
{
    if ((target->isas >> isa & 1) == 0)
        return false;
    if (strcmp(engine, LOWERED_ENGINE) == 0 && (kgen_isas_of_tcc() >> isa & 1) == 0)
        return false;
    return kgen_word_list_has(target->engines, engine, strlen(engine));
}

int kgen_target_put_support(const struct kgen_target *target, const struct kgen_templates *templates,
                            struct kgen_text *out, struct kgen_error *error)
{
    struct kgen_templates *own = NULL;
    if (templates == NULL && (templates = own = kgen_templates_open_embedded(target->name, error)) == NULL)
        return -1;
    const struct kgen_template *header = kgen_templates_find(templates, target->support);
    const int result =
        header == NULL
            ? kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0, "there is no template %s%s.in",
                             target->support, target->header_ending)
            : kgen_template_instantiate(header, &(struct kgen_bindings){0}, out, error);
    kgen_templates_free(own);
    return result;
}
