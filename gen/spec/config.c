/* SPDX-License-Identifier: MIT */
/* Reads a Hugging Face config.json into the quantities that a family's tables name. Keys that do not matter
 * are ignored. */
#include "gen/spec/deepseek.h"
#include "gen/spec/reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kgen_problem *kgen_spec_prototype(struct kgen_spec_model *model, const char *op, const char *when)
{
    const size_t at = model->prototype_count++;
    model->prototypes[at].when = when;
    kgen_problem_init(&model->prototypes[at].problem, kgen_op_find(op));
    return &model->prototypes[at].problem;
}

/* ---- the family ---- */

static size_t count_families(void)
{
    size_t count = 0;
    while (kgen_families[count] != NULL)
        count++;
    return count;
}

/* Looks a name up among the architectures, or among the model types. */
static int find_family(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       const char *name, bool by_type, struct kgen_spec_model *model)
{
    const size_t count = count_families();
    struct kgen_text list = {0};
    for (size_t i = 0; i < count; i++) {
        const struct kgen_family *family = kgen_families[i];
        const char *own = by_type ? family->model_type : family->architecture;
        if (strcmp(own, name) == 0) {
            kgen_text_free(&list);
            model->family = family;
            return 0;
        }
        kgen_text_printf(&list, "%s%s", i == 0 ? "" : ", ", own);
    }
    kgen_spec_fail(reader, path, "%s \"%s\" is not supported",
                   by_type ? "the model type" : "the architecture", name);
    if (!list.failed)
        kgen_error_hint(reader->error, "supported are %s", list.data);
    kgen_text_free(&list);
    return -1;
}

static int read_family(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    json_t *list = json_object_get(config, "architectures");
    struct kgen_json_path path = {NULL, "architectures", 0}, first = {&path, NULL, 0};
    if (list != NULL && !json_is_null(list)) {
        json_t *name = json_array_get(list, 0);
        double number;
        if (!json_is_string(name) || kgen_spec_nonfinite(reader, &first, name, &number))
            return kgen_spec_fail(reader, &path, "\"architectures\" must be an array with a name");
        return find_family(reader, &first, json_string_value(name), false, model);
    }
    const char *type = NULL;
    int found = kgen_spec_string(reader, NULL, config, "model_type", &type);
    if (found < 0)
        return -1;
    if (found == 0) {
        kgen_spec_fail(reader, NULL,
                       "a spec needs \"problems\", or \"architectures\" or \"model_type\" of a model");
        kgen_error_hint(reader->error,
                        "a model is a Hugging Face config.json; kgen list ops shows what a problem has");
        return -1;
    }
    struct kgen_json_path member = {NULL, "model_type", 0};
    return find_family(reader, &member, type, true, model);
}

/* ---- quantities ---- */

int kgen_spec_add_quantity(const struct kgen_spec_reader *reader, struct kgen_spec_model *model,
                           const char *name, const char *key, int64_t value)
{
    if (model->quantity_count == KGEN_COUNT_OF(model->quantities))
        return kgen_spec_fail(reader, NULL, "%s has more than %zu quantities", model->family->architecture,
                              KGEN_COUNT_OF(model->quantities));
    model->quantities[model->quantity_count++] = (struct kgen_quantity){name, key, value};
    return 0;
}

static const struct kgen_quantity *find_quantity(const struct kgen_spec_model *model, const char *name,
                                                 size_t length)
{
    for (size_t i = 0; i < model->quantity_count; i++) {
        const struct kgen_quantity *quantity = &model->quantities[i];
        if (strncmp(quantity->name, name, length) == 0 && quantity->name[length] == '\0')
            return quantity;
    }
    return NULL;
}

const struct kgen_quantity *kgen_spec_quantity(const struct kgen_spec_model *model, const char *expression)
{
    return find_quantity(model, expression, strcspn(expression, "*+/,"));
}

static const struct kgen_layer_flag *find_flag(const struct kgen_spec_model *model, const char *name,
                                               size_t length)
{
    for (size_t i = 0; i < model->layer_flag_count; i++) {
        const struct kgen_layer_flag *flag = &model->layer_flags[i];
        if (strncmp(flag->quantity, name, length) == 0 && flag->quantity[length] == '\0')
            return flag;
    }
    return NULL;
}

/* The quantity of the model whose value a name has in a layer: another one in some layers without a window.
 */
static const struct kgen_quantity *quantity_in_layer(const struct kgen_spec_model *model, int64_t layer,
                                                     const char *name, size_t length)
{
    static const char window[] = "sliding";
    const struct kgen_layer_flag *sliding =
        layer >= 0 && model->full_layer_count > 0 ? find_flag(model, window, strlen(window)) : NULL;
    for (size_t i = 0; sliding != NULL && !sliding->set[layer] && i < model->full_layer_count; i++) {
        const struct kgen_config_key *row = model->full_layers[i];
        const struct kgen_quantity *condition =
            row->divides != NULL ? find_quantity(model, row->divides, strlen(row->divides)) : NULL;
        if (strncmp(row->quantity, name, length) == 0 && row->quantity[length] == '\0' &&
            (row->divides == NULL || (condition != NULL && condition->value != 0)))
            return find_quantity(model, row->standard, strlen(row->standard));
    }
    return find_quantity(model, name, length);
}

/* The value of a name: that of the layer, or that of the model. */
static int value_of(const struct kgen_spec_reader *reader, const struct kgen_spec_model *model, int64_t layer,
                    const char *name, size_t length, int64_t *value)
{
    if (*name >= '0' && *name <= '9') {
        *value = strtoll(name, NULL, 10);
        return 0;
    }
    const struct kgen_layer_flag *flag = layer >= 0 ? find_flag(model, name, length) : NULL;
    if (flag != NULL) {
        *value = flag->set[layer];
        return 0;
    }
    if (strncmp("first_layer", name, length) == 0 && strlen("first_layer") == length) {
        *value = layer == 0;
        return 0;
    }
    const struct kgen_quantity *quantity = quantity_in_layer(model, layer, name, length);
    if (quantity == NULL)
        return kgen_spec_fail(reader, NULL, "the tables of %s have no quantity \"%.*s\"",
                              model->family->architecture, (int)length, name);
    *value = quantity->value;
    return 0;
}

int kgen_spec_evaluate(const struct kgen_spec_reader *reader, const struct kgen_spec_model *model,
                       int64_t layer, const char *expression, int64_t *value)
{
    int64_t product = 1;
    *value = 0;
    for (const char *at = expression;; at++) {
        const size_t length = strcspn(at, "*+,");
        int64_t factor = 0;
        if (value_of(reader, model, layer, at, length, &factor) != 0)
            return -1;
        product *= factor;
        at += length;
        if (*at == '*')
            continue;
        *value += product;
        product = 1;
        if (*at != '+')
            return 0;
    }
}

/* ---- the keys of the family ---- */

/* "a/b", which must be whole. The errors are at the key of b. */
static int divide(const struct kgen_spec_reader *reader, const struct kgen_spec_model *model,
                  const struct kgen_config_key *row, int64_t *value)
{
    const struct kgen_quantity *a = kgen_spec_quantity(model, row->standard);
    const struct kgen_quantity *b = kgen_spec_quantity(model, strchr(row->standard, '/') + 1);
    if (a == NULL || b == NULL)
        return kgen_spec_fail(reader, NULL, "the tables of %s lack a quantity of \"%s\"",
                              model->family->architecture, row->standard);
    struct kgen_json_path path = {NULL, b->key, 0};
    if (a->value % b->value != 0) {
        kgen_spec_fail(reader, &path, "%s %lld is not a multiple of %s %lld", a->key, (long long)a->value,
                       b->key, (long long)b->value);
        kgen_error_hint(reader->error, "give \"%s\"", row->key);
        return -1;
    }
    *value = a->value / b->value;
    if (*value > row->maximum)
        return kgen_spec_fail(reader, &path, "%s / %s is %lld; %lld is the most", a->key, b->key,
                              (long long)*value, (long long)row->maximum);
    return 0;
}

static int read_integer(const struct kgen_spec_reader *reader, json_t *config,
                        const struct kgen_spec_model *model, const struct kgen_config_key *row,
                        int64_t *value)
{
    int found = kgen_spec_integer(reader, NULL, config, row->key, row->kind != KGEN_CONFIG_COUNT,
                                  row->maximum, value);
    if (found < 0)
        return -1;
    if (found == 0 && row->standard == NULL)
        return kgen_spec_fail(reader, NULL, "%s needs \"%s\"", model->family->architecture, row->key);
    if (found == 0)
        return strchr(row->standard, '/') != NULL
                   ? divide(reader, model, row, value)
                   : kgen_spec_evaluate(reader, model, -1, row->standard, value);
    const struct kgen_quantity *whole =
        row->divides != NULL ? find_quantity(model, row->divides, strlen(row->divides)) : NULL;
    struct kgen_json_path path = {NULL, row->key, 0};
    if (whole != NULL && whole->value % *value != 0)
        return kgen_spec_fail(reader, &path, "%s %lld is not a multiple of %s %lld", whole->key,
                              (long long)whole->value, row->key, (long long)*value);
    return 0;
}

static int read_layers(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model,
                       const struct kgen_config_key *row)
{
    int64_t step = 1, layers = 0;
    if (kgen_spec_evaluate(reader, model, -1, "layers", &layers) != 0)
        return -1;
    if (model->layer_flag_count == KGEN_COUNT_OF(model->layer_flags))
        return kgen_spec_fail(reader, NULL, "%s has more than %zu quantities of layers",
                              model->family->architecture, KGEN_COUNT_OF(model->layer_flags));
    if (kgen_spec_integer(reader, NULL, config, row->key, 1, row->maximum, &step) < 0)
        return -1;
    struct kgen_layer_flag *flag = &model->layer_flags[model->layer_flag_count++];
    flag->quantity = row->quantity;
    for (int64_t i = 0; i < layers; i++)
        flag->set[i] = (i + 1) % step == 0;
    json_t *except = json_object_get(config, row->except);
    struct kgen_json_path path = {NULL, row->except, 0};
    if (except == NULL || json_is_null(except))
        return 0;
    if (!json_is_array(except) || json_array_size(except) > KGEN_LAYERS_MAX)
        return kgen_spec_fail(reader, &path, "\"%s\" must be an array of layers", row->except);
    for (size_t i = 0; i < json_array_size(except); i++) {
        struct kgen_json_path element = {&path, NULL, i};
        const json_t *layer = json_array_get(except, i);
        if (!json_is_integer(layer))
            return kgen_spec_fail(reader, &element, "a layer must be an integer");
        if (json_integer_value(layer) >= 0 && json_integer_value(layer) < layers)
            flag->set[json_integer_value(layer)] = false;
    }
    return 0;
}

static int read_key(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model,
                    const struct kgen_config_key *row)
{
    int64_t value = 0;
    bool flag = false;
    int found;
    switch (row->kind) {
    case KGEN_CONFIG_INTEGER:
    case KGEN_CONFIG_COUNT:
        if (read_integer(reader, config, model, row, &value) != 0)
            return -1;
        break;
    case KGEN_CONFIG_FLAG:
        found = kgen_spec_boolean(reader, NULL, config, row->key, &flag);
        if (found < 0 || (found == 0 && row->standard != NULL &&
                          kgen_spec_evaluate(reader, model, -1, row->standard, &value) != 0))
            return -1;
        value = found > 0 ? flag : value;
        break;
    case KGEN_CONFIG_DERIVED:
        if (kgen_spec_evaluate(reader, model, -1, row->standard, &value) != 0)
            return -1;
        break;
    case KGEN_CONFIG_LAYERS:
        return read_layers(reader, config, model, row);
    case KGEN_CONFIG_FULL_LAYERS:
        if (model->full_layer_count == KGEN_COUNT_OF(model->full_layers))
            return kgen_spec_fail(reader, NULL, "%s has more than %zu quantities of layers without a window",
                                  model->family->architecture, KGEN_COUNT_OF(model->full_layers));
        model->full_layers[model->full_layer_count++] = row;
        return 0;
    case KGEN_CONFIG_END:
        break;
    }
    return kgen_spec_add_quantity(reader, model, row->quantity, row->key, value);
}

static const struct kgen_config_key *find_row(const struct kgen_config_key *rows, const char *quantity)
{
    for (; rows != NULL && rows->kind != KGEN_CONFIG_END; rows++) {
        if (strcmp(rows->quantity, quantity) == 0 && rows->kind != KGEN_CONFIG_FULL_LAYERS)
            return rows;
    }
    return NULL;
}

static int read_keys(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    const struct kgen_family *family = model->family;
    for (const struct kgen_config_key *row = family->shared; row != NULL && row->kind != KGEN_CONFIG_END;
         row++) {
        const struct kgen_config_key *own = find_row(family->own, row->quantity);
        if (read_key(reader, config, model, own != NULL ? own : row) != 0)
            return -1;
    }
    for (const struct kgen_config_key *row = family->own; row->kind != KGEN_CONFIG_END; row++) {
        const bool added =
            row->kind == KGEN_CONFIG_FULL_LAYERS || find_row(family->shared, row->quantity) == NULL;
        if (added && read_key(reader, config, model, row) != 0)
            return -1;
    }
    return 0;
}

/* ---- what the configs of all families have in common ---- */

/* The activations that the ops of gating have. */
static const struct {
    const char *name, *gating;
    bool exact;
} activations[] = {
    {"silu", "swiglu", false},    {"swish", "swiglu", false}, {"gelu_pytorch_tanh", "geglu", false},
    {"gelu_new", "geglu", false}, {"gelu", "geglu", true},
};

static int read_activation(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    const char *gating = model->family->gating != NULL ? model->family->gating : "swiglu";
    const bool geglu = strcmp(gating, "geglu") == 0;
    const char *activation = geglu ? "gelu_pytorch_tanh" : "silu";
    bool known = false;
    int found = kgen_spec_string(reader, NULL, config, "hidden_activation", &activation);
    if (found == 0)
        found = kgen_spec_string(reader, NULL, config, "hidden_act", &activation);
    if (found < 0)
        return -1;
    for (size_t i = 0; i < KGEN_COUNT_OF(activations); i++) {
        if (strcmp(activations[i].name, activation) != 0 || strcmp(activations[i].gating, gating) != 0)
            continue;
        known = true;
        if (geglu)
            kgen_problem_set(kgen_spec_prototype(model, gating, NULL), "exact", activations[i].exact);
    }
    if (!known && kgen_spec_warn(reader,
                                 "the activation \"%s\" is not supported yet (%s): the gating of the mlp "
                                 "is not derived.",
                                 activation, geglu ? "gelu and gelu_pytorch_tanh are" : "silu is") != 0)
        return -1;
    return kgen_spec_add_quantity(reader, model, "gating_supported", "hidden_act", known);
}

/* The limits of gpt-oss's gating. */
static int read_gating_limit(const struct kgen_spec_reader *reader, json_t *config,
                             struct kgen_spec_model *model)
{
    struct kgen_json_path path = {NULL, "swiglu_limit", 0};
    json_t *limit = json_object_get(config, path.key);
    if (limit == NULL || json_is_null(limit))
        return 0;
    return kgen_spec_field(reader, &path, limit, "clamped_swiglu",
                           kgen_spec_find_field("clamped_swiglu", "limit"),
                           kgen_spec_prototype(model, "clamped_swiglu", NULL));
}

/* The factor of the embeddings, of families that have one, and the cap of the logits. */
static int read_ends(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    int64_t hidden_size = 0;
    double cap = 0;
    struct kgen_json_path path = {NULL, "final_logit_softcapping", 0};
    if (kgen_spec_evaluate(reader, model, -1, "hidden_size", &hidden_size) != 0 ||
        kgen_spec_real(reader, NULL, config, path.key, &cap) < 0)
        return -1;
    kgen_problem_set_real(kgen_spec_prototype(model, "scale", NULL), "factor", sqrt((double)hidden_size));
    /* Within layers scale is of the router of Gemma 4. */
    if (find_quantity(model, "moe", strlen("moe")) != NULL)
        kgen_problem_set_real(kgen_spec_prototype(model, "scale", "moe"), "factor",
                              1 / sqrt((double)hidden_size));
    struct kgen_problem *softcap = kgen_spec_prototype(model, "softcap", NULL);
    if (cap > 0 || cap < 0) {
        json_t *value = json_object_get(config, path.key);
        if (kgen_spec_field(reader, &path, value, "softcap", kgen_spec_find_field("softcap", "cap"),
                            softcap) != 0)
            return -1;
    }
    return kgen_spec_add_quantity(reader, model, "final_softcap", path.key, cap > 0);
}

/* The keys that the family has where the config does not. */
static int add_standards(const struct kgen_spec_reader *reader, json_t *config,
                         const struct kgen_spec_model *model)
{
    if (model->family->standards == NULL)
        return 0;
    json_error_t error;
    json_t *standards = json_loads(model->family->standards, 0, &error);
    const int result = standards != NULL ? json_object_update_missing(config, standards) : -1;
    json_decref(standards);
    return result == 0 ? 0 : kgen_spec_fail_memory(reader);
}

/* What the norms add to their weights: 1 where the family says so. */
static int read_norm(const struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    struct kgen_json_path path = {NULL, "rms_norm_eps", 0};
    json_t *eps = json_object_get(config, path.key);
    struct kgen_problem *norm = kgen_spec_prototype(model, "rms_norm", NULL);
    int64_t plus_one = 0;
    if (kgen_spec_evaluate(reader, model, -1, "norm_plus_one", &plus_one) != 0)
        return -1;
    kgen_problem_set(norm, "weight_plus_one", plus_one);
    if (eps == NULL)
        return 0;
    if (kgen_spec_field(reader, &path, eps, "rms_norm", kgen_spec_find_field("rms_norm", "eps"), norm) != 0)
        return -1;
    kgen_problem_set_real(kgen_spec_prototype(model, "gated_rms_norm", NULL), "eps",
                          kgen_problem_real(norm, "eps"));
    return 0;
}

int kgen_spec_config_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model)
{
    memset(model, 0, sizeof *model);
    bool position_supported = true;
    if (read_family(reader, config, model) != 0 || add_standards(reader, config, model) != 0 ||
        read_keys(reader, config, model) != 0 ||
        kgen_spec_position_read(reader, config, model, &position_supported) != 0 ||
        kgen_spec_add_quantity(reader, model, "position_supported", NULL, position_supported) != 0 ||
        kgen_spec_attention_read(reader, config, model) != 0 || read_activation(reader, config, model) != 0 ||
        read_gating_limit(reader, config, model) != 0 || read_ends(reader, config, model) != 0 ||
        kgen_spec_deepseek_read(reader, config, model) != 0)
        return -1;
    return read_norm(reader, config, model);
}
