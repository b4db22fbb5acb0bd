/* SPDX-License-Identifier: MIT */
/* What the metadata of a GGUF file, and its factors of frequencies, say of rope's scaling. */
#include "gen/ops/rope.h"
#include "runtime/model/checkpoint_config.h"

#include <math.h>
#include <string.h>

/* The files do not say whether the limits are whole; those of gpt-oss are not. */
static int read_yarn(const struct kgen_config_maker *maker)
{
    char full[KGEN_CONFIG_KEY_MAX];
    double factor = 1, fast = 32, slow = 1;
    int64_t context = 0;
    const int has_factor = kgen_config_real(maker, "rope.scaling.factor", &factor);
    const int has_context = kgen_config_integer(maker, "rope.scaling.original_context_length", &context);
    if (has_factor < 0 || has_context < 0 ||
        kgen_config_real(maker, "rope.scaling.yarn_beta_fast", &fast) < 0 ||
        kgen_config_real(maker, "rope.scaling.yarn_beta_slow", &slow) < 0)
        return -1;
    if (has_factor == 0 || has_context == 0)
        return kgen_config_fail(
            maker, "the metadata lack \"%s\", which yarn needs",
            kgen_config_key(maker,
                            has_factor == 0 ? "rope.scaling.factor" : "rope.scaling.original_context_length",
                            full));
    const bool truncate = strcmp(maker->name, "gpt-oss") != 0;
    return kgen_config_set(maker, "rope_scaling",
                           json_pack("{s:s, s:f, s:I, s:f, s:f, s:b}", "rope_type", "yarn", "factor", factor,
                                     "original_max_position_embeddings", (json_int_t)context, "beta_fast",
                                     fast, "beta_slow", slow, "truncate", truncate));
}

static int read_scaling(const struct kgen_config_maker *maker)
{
    char full[KGEN_CONFIG_KEY_MAX], shown[40];
    struct kgen_gguf_text type = {"none", 4};
    double factor = 1;
    const int found =
        kgen_gguf_string(maker->gguf, kgen_config_key(maker, "rope.scaling.type", full), &type, maker->error);
    if (found < 0)
        return -1;
    if (strcmp(maker->name, "deepseek2") == 0 && kgen_gguf_text_is(type, "yarn"))
        return 0; /* kgen_checkpoint_deepseek_config reads it */
    if (kgen_gguf_text_is(type, "yarn"))
        return read_yarn(maker);
    const bool linear = kgen_gguf_text_is(type, "linear");
    if (!linear && !kgen_gguf_text_is(type, "none")) {
        kgen_config_fail(maker, "\"%s\" is \"%s\", which is not supported", full,
                         kgen_gguf_show(type, shown, sizeof shown));
        kgen_error_hint(maker->error, "none, linear and yarn are");
        return -1;
    }
    if (found == 1 && !linear)
        return 0;
    /* Older files have the factor under a name of its own, and no type. */
    if ((linear && kgen_config_real(maker, "rope.scaling.factor", &factor) < 0) ||
        (!linear && kgen_config_real(maker, "rope.scale_linear", &factor) < 0))
        return -1;
    if (factor <= 1 && factor >= 1)
        return 0;
    return kgen_config_set(maker, "rope_scaling",
                           json_pack("{s:s, s:f}", "rope_type", "linear", "factor", factor));
}

/* The factors of rope_freqs.weight, by which the frequencies are divided: none at all, or those of Llama 3's
 * scaling, whose files say them in no other way. The factor of the slowest pair is that of the scaling. Its
 * other numbers are the same for all models of that family. */
enum { LLAMA3_CONTEXT = 8192, ROPE_PAIRS_MAX = 4096 };

static void set_llama3(const struct kgen_config_maker *maker, int64_t pairs, double theta, double factor,
                       int64_t context, struct kgen_problem *rope)
{
    kgen_problem_init(rope, kgen_op_find("rope"));
    kgen_problem_set(rope, "head_dim", kgen_config_value(maker, "head_dim"));
    kgen_problem_set(rope, "rotary_dim", 2 * pairs);
    kgen_problem_set_real(rope, "theta", theta);
    kgen_problem_set(rope, "scaling", KGEN_LLAMA3);
    kgen_problem_set_real(rope, "factor", factor);
    kgen_problem_set_real(rope, "low_freq_factor", 1);
    kgen_problem_set_real(rope, "high_freq_factor", 4);
    kgen_problem_set(rope, "original_max_position_embeddings", context);
}

/* Whether each factor is that of the scaling. The files have them in f32, computed in f32. */
static int check_factors(const struct kgen_config_maker *maker, const float *factors,
                         const struct kgen_problem *rope)
{
    struct kgen_problem unscaled = *rope;
    kgen_problem_set(&unscaled, "scaling", KGEN_UNSCALED);
    for (int64_t i = 0; i < kgen_problem_get(rope, "rotary_dim") / 2; i++) {
        const double wanted = kgen_rope_frequency(&unscaled, i) / kgen_rope_frequency(rope, i);
        if (fabs((double)factors[i] - wanted) <= 1e-4 * wanted)
            continue;
        kgen_config_fail(
            maker,
            "rope_freqs.weight has the factor %g for pair %lld, and Llama 3's scaling by %g, from %lld "
            "positions, has %g",
            (double)factors[i], (long long)i, kgen_problem_real(rope, "factor"),
            (long long)kgen_problem_get(rope, "original_max_position_embeddings"), wanted);
        kgen_error_hint(maker->error, "other factors of the frequencies of rope are not supported");
        return -1;
    }
    return 0;
}

static int read_factors(const struct kgen_config_maker *maker)
{
    const struct kgen_gguf_tensor *tensor = kgen_gguf_find_tensor(maker->gguf, "rope_freqs.weight");
    float factors[ROPE_PAIRS_MAX];
    int64_t context = LLAMA3_CONTEXT, pairs = kgen_config_value(maker, "head_dim");
    double theta = 10000, factor = 1;
    if (tensor == NULL)
        return 0;
    if (kgen_config_integer(maker, "rope.dimension_count", &pairs) < 0)
        return -1;
    pairs /= 2;
    if (tensor->type->number != KGEN_GGUF_TENSOR_F32)
        return kgen_config_fail(maker, "rope_freqs.weight is %s; only F32 is supported", tensor->type->name);
    if (tensor->rank != 1 || tensor->dims[0] != pairs || pairs > ROPE_PAIRS_MAX)
        return kgen_config_fail(
            maker, "rope_freqs.weight has %u dimensions, the first of %lld, and rope turns %lld pairs",
            tensor->rank, (long long)tensor->dims[0], (long long)pairs);
    if (json_object_get(maker->config, "rope_scaling") != NULL)
        return kgen_config_fail(maker,
                                "the file has rope_freqs.weight besides linear scaling of rope, which is not "
                                "supported");
    memcpy(factors, tensor->data, (size_t)pairs * sizeof *factors);
    if (kgen_config_real(maker, "rope.freq_base", &theta) < 0 ||
        kgen_config_integer(maker, "rope.scaling.original_context_length", &context) < 0)
        return -1;
    bool ones = true;
    for (int64_t i = 0; i < pairs; i++) {
        ones = ones && factors[i] >= 1 && factors[i] <= 1;
        factor = fmax(factor, (double)factors[i]);
    }
    if (ones)
        return 0;
    struct kgen_problem rope;
    set_llama3(maker, pairs, theta, factor, context, &rope);
    if (check_factors(maker, factors, &rope) != 0)
        return -1;
    return kgen_config_set(maker, "rope_scaling",
                           json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "factor", factor,
                                     "low_freq_factor", 1.0, "high_freq_factor", 4.0,
                                     "original_max_position_embeddings", (json_int_t)context));
}

int kgen_config_rope(const struct kgen_config_maker *maker)
{
    return read_scaling(maker) == 0 ? read_factors(maker) : -1;
}
