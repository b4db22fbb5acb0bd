/* SPDX-License-Identifier: MIT */
/* Reads what a config says of rotary position embedding. */
#include "gen/spec/rope_yarn.h"

#include <string.h>

int kgen_spec_rope_number(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                          json_t *object, const char *key, const char *field_name, struct kgen_problem *rope)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        return 0;
    struct kgen_json_path member = {path, key, 0};
    const struct kgen_field *field = kgen_spec_find_field("rope", field_name);
    return kgen_spec_field(reader, &member, value, "rope", field, rope) == 0 ? 1 : -1;
}

static int need_rope_numbers(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                             json_t *object, const char *type, const char *const *keys, size_t count,
                             struct kgen_problem *rope)
{
    for (size_t i = 0; i < count; i++) {
        int found = kgen_spec_rope_number(reader, path, object, keys[i], keys[i], rope);
        if (found == 0)
            kgen_spec_fail(reader, path, "\"%s\" of type %s needs \"%s\"", path->key, type, keys[i]);
        if (found != 1)
            return -1;
    }
    return 0;
}

/* The frequencies are those of the whole head, of which a part turns. */
static int read_proportional(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                             json_t *object, struct kgen_problem *rope)
{
    const int64_t rotated = kgen_problem_get(rope, "rotary_dim");
    kgen_problem_set(rope, "scaling", KGEN_PROPORTIONAL);
    kgen_problem_set(rope, "rotated_dim", rotated - rotated % 2);
    kgen_problem_set(rope, "rotary_dim", kgen_problem_get(rope, "head_dim"));
    return kgen_spec_rope_number(reader, path, object, "factor", "factor", rope) < 0 ? -1 : 0;
}

/* rope_scaling, or the same keys within rope_parameters of newer configs. */
static int read_scaling(struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                        struct kgen_problem *rope, bool *supported)
{
    static const char *const keys[] = {"factor", "low_freq_factor", "high_freq_factor",
                                       "original_max_position_embeddings"};
    const char *type = NULL;
    int found = kgen_spec_string(reader, path, object, "rope_type", &type);
    if (found == 0)
        found = kgen_spec_string(reader, path, object, "type", &type);
    if (found < 0)
        return -1;
    if (found == 0)
        return kgen_spec_fail(reader, path, "\"%s\" needs \"rope_type\"", path->key);
    if (strcmp(type, "default") == 0)
        return 0;
    if (strcmp(type, "linear") == 0) {
        kgen_problem_set(rope, "scaling", KGEN_LINEAR);
        return need_rope_numbers(reader, path, object, type, keys, 1, rope);
    }
    if (strcmp(type, "llama3") == 0) {
        kgen_problem_set(rope, "scaling", KGEN_LLAMA3);
        return need_rope_numbers(reader, path, object, type, keys, KGEN_COUNT_OF(keys), rope);
    }
    if (strcmp(type, "yarn") == 0)
        return kgen_spec_yarn_read(reader, path, object, rope);
    if (strcmp(type, "proportional") == 0)
        return read_proportional(reader, path, object, rope);
    *supported = false;
    return kgen_spec_warn(reader,
                          "rope scaling of type \"%s\" is not supported yet (default, linear, llama3, yarn "
                          "and proportional are): rope is not derived.",
                          type);
}

static int read_rotary_dim(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                           json_t *object, int64_t head_dim, struct kgen_problem *rope)
{
    double part = 1;
    int found = kgen_spec_real(reader, path, object, "partial_rotary_factor", &part);
    if (found != 1)
        return found;
    struct kgen_json_path member = {path, "partial_rotary_factor", 0};
    if (!(part > 0 && part <= 1))
        return kgen_spec_fail(reader, &member, "\"partial_rotary_factor\" must be more than 0 and at most 1");
    kgen_problem_set(rope, "rotary_dim", (int64_t)((double)head_dim * part));
    return 0;
}

/* rope_parameters of newer configs: theta, what rotates and the scaling. */
static int read_parameters(struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                           json_t *parameters, int64_t head_dim, struct kgen_problem *rope, bool *supported)
{
    return kgen_spec_rope_number(reader, path, parameters, "rope_theta", "theta", rope) < 0 ||
                   read_rotary_dim(reader, path, parameters, head_dim, rope) != 0
               ? -1
               : read_scaling(reader, path, parameters, rope, supported);
}

/* The layers whose attention has a window may have a base of their own, and no scaling. */
static int read_local(struct kgen_spec_reader *reader, json_t *config, json_t *parameters,
                      const struct kgen_problem *rope, struct kgen_spec_model *model, bool *supported)
{
    static const char key[] = "rope_local_base_freq";
    struct kgen_json_path outer = {NULL, "rope_parameters", 0}, path = {&outer, "sliding_attention", 0};
    json_t *base = json_object_get(config, key), *own = NULL;
    if (parameters != NULL && kgen_spec_object(reader, &outer, parameters, path.key, &own) < 0)
        return -1;
    if (own == NULL && (base == NULL || json_is_null(base)))
        return 0;
    struct kgen_problem *local = kgen_spec_prototype(model, "rope", "sliding");
    const int64_t head_dim = kgen_problem_get(rope, "head_dim");
    kgen_problem_set(local, "head_dim", head_dim);
    kgen_problem_set(local, "rotary_dim", kgen_problem_get(rope, "rotary_dim"));
    kgen_problem_set(local, "pairing", kgen_problem_get(rope, "pairing"));
    if (own != NULL)
        return read_parameters(reader, &path, own, head_dim, local, supported);
    return kgen_spec_rope_number(reader, NULL, config, key, "theta", local) < 0 ? -1 : 0;
}

int kgen_spec_position_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model,
                            bool *supported)
{
    struct kgen_problem *rope = kgen_spec_prototype(model, "rope", NULL);
    int64_t head_dim = 0;
    if (kgen_spec_evaluate(reader, model, -1, "head_dim", &head_dim) != 0)
        return -1;
    kgen_problem_set(rope, "head_dim", head_dim);
    kgen_problem_set(rope, "rotary_dim", head_dim);
    json_t *pairing = json_object_get(config, "rope_pairing"), *parameters = NULL, *scaling = NULL;
    struct kgen_json_path pairing_path = {NULL, "rope_pairing", 0};
    struct kgen_json_path parameters_path = {NULL, "rope_parameters", 0},
                          scaling_path = {NULL, "rope_scaling", 0};
    if (pairing != NULL && kgen_spec_field(reader, &pairing_path, pairing, "rope",
                                           kgen_spec_find_field("rope", "pairing"), rope) != 0)
        return -1;
    if (kgen_spec_rope_number(reader, NULL, config, "rope_theta", "theta", rope) < 0 ||
        read_rotary_dim(reader, NULL, config, head_dim, rope) != 0 ||
        kgen_spec_object(reader, NULL, config, "rope_parameters", &parameters) < 0 ||
        kgen_spec_object(reader, NULL, config, "rope_scaling", &scaling) < 0)
        return -1;
    struct kgen_json_path whole_path = {&parameters_path, "full_attention", 0};
    json_t *whole = NULL;
    if (parameters != NULL &&
        kgen_spec_object(reader, &parameters_path, parameters, whole_path.key, &whole) < 0)
        return -1;
    int result = 0;
    if (whole != NULL)
        result = read_parameters(reader, &whole_path, whole, head_dim, rope, supported);
    else if (parameters != NULL)
        result = read_parameters(reader, &parameters_path, parameters, head_dim, rope, supported);
    else if (scaling != NULL)
        result = read_scaling(reader, &scaling_path, scaling, rope, supported);
    return result != 0 ? -1 : read_local(reader, config, parameters, rope, model, supported);
}
