/* SPDX-License-Identifier: MIT */
#include "gen/spec/rope_yarn.h"

#include <math.h>
#include <string.h>

static double magnitude(double factor, double mscale)
{
    return factor > 1 ? 0.1 * mscale * log(factor) + 1 : 1;
}

/* A number that must be positive where it is there; 0 stands for none, as in Hugging Face's configs. */
static int read_mscale(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       json_t *object, const char *key, double *mscale)
{
    struct kgen_json_path member = {path, key, 0};
    *mscale = 0;
    const int found = kgen_spec_real(reader, path, object, key, mscale);
    if (found == 1 && !(*mscale >= 0 && *mscale <= 1e3))
        return kgen_spec_fail(reader, &member, "\"%s\" must be from 0 to 1000", key);
    return found < 0 ? -1 : 0;
}

/* The factor of cosines and sines. */
static int read_attention_factor(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                                 json_t *object, struct kgen_problem *rope)
{
    const double factor = kgen_problem_real(rope, "factor");
    double mscale = 0, all = 0;
    const int found =
        kgen_spec_rope_number(reader, path, object, "attention_factor", "attention_factor", rope);
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (read_mscale(reader, path, object, "mscale", &mscale) != 0 ||
        read_mscale(reader, path, object, "mscale_all_dim", &all) != 0)
        return -1;
    const double value =
        mscale > 0 && all > 0 ? magnitude(factor, mscale) / magnitude(factor, all) : magnitude(factor, 1);
    kgen_problem_set_real(rope, "attention_factor", value);
    return 0;
}

int kgen_spec_yarn_read(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                        json_t *object, struct kgen_problem *rope)
{
    static const struct {
        const char *key;
        bool required;
    } keys[] = {{"factor", true},
                {"original_max_position_embeddings", true},
                {"beta_fast", false},
                {"beta_slow", false},
                {"truncate", false}};
    kgen_problem_set(rope, "scaling", KGEN_YARN);
    for (size_t i = 0; i < KGEN_COUNT_OF(keys); i++) {
        const int found = kgen_spec_rope_number(reader, path, object, keys[i].key, keys[i].key, rope);
        if (found == 0 && keys[i].required)
            return kgen_spec_fail(reader, path, "\"%s\" of type yarn needs \"%s\"", path->key, keys[i].key);
        if (found < 0)
            return -1;
    }
    return read_attention_factor(reader, path, object, rope);
}

int kgen_spec_yarn_score_factor(const struct kgen_spec_reader *reader, json_t *config, double *factor)
{
    static const char *const keys[] = {"rope_parameters", "rope_scaling"};
    *factor = 1;
    for (size_t i = 0; i < KGEN_COUNT_OF(keys); i++) {
        struct kgen_json_path path = {NULL, keys[i], 0};
        json_t *scaling = NULL;
        const char *type = "";
        double slowed = 1, all = 0;
        int found = kgen_spec_object(reader, NULL, config, keys[i], &scaling);
        if (found == 0)
            continue;
        if (found == 1)
            found = kgen_spec_string(reader, &path, scaling, "rope_type", &type);
        if (found == 0)
            found = kgen_spec_string(reader, &path, scaling, "type", &type);
        if (found < 0)
            return -1;
        if (strcmp(type, "yarn") != 0)
            continue;
        if (kgen_spec_real(reader, &path, scaling, "factor", &slowed) < 0 ||
            read_mscale(reader, &path, scaling, "mscale_all_dim", &all) != 0)
            return -1;
        *factor = magnitude(slowed, all) * magnitude(slowed, all);
        return 0;
    }
    return 0;
}
