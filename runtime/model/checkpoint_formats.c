/* SPDX-License-Identifier: MIT */
/* The weight formats of a checkpoint's matrices, as the config says them. */
#include "gen/spec/spec.h"
#include "runtime/model/checkpoint_internal.h"

#include <stdlib.h>
#include <string.h>

/* Whether a tensor is a matrix of the model, of which the config gives the format. Removes ".weight". */
static bool is_matrix(const struct kgen_gguf *gguf, struct kgen_checkpoint_tensor *tensor, int64_t layers)
{
    static const char prefix[] = "model.layers.";
    char known[KGEN_CHECKPOINT_NAME_MAX], *ending = strrchr(tensor->name, '.');
    if ((tensor->rank != 2 && tensor->rank != 3) || ending == NULL || strcmp(ending, ".weight") != 0 ||
        !kgen_checkpoint_name_to_gguf(gguf, tensor->name, known))
        return false;
    *ending = '\0';
    const size_t length = strlen(tensor->name);
    if ((length > 4 && strcmp(tensor->name + length - 4, "norm") == 0) ||
        (length > 7 && strcmp(tensor->name + length - 7, ".conv1d") == 0))
        return false;
    return strncmp(tensor->name, prefix, strlen(prefix)) != 0 ||
           strtoll(tensor->name + strlen(prefix), NULL, 10) < layers;
}

static bool formats_agree(const struct kgen_matrix *a, const struct kgen_matrix *b)
{
    return a->format == b->format && a->bits == b->bits && a->group_size == b->group_size &&
           a->scale_dtype == b->scale_dtype;
}

/* The format of most matrices; its format is NULL where none of them has one. */
static struct kgen_matrix base_format(const struct kgen_checkpoint *checkpoint, int64_t layers)
{
    struct {
        struct kgen_matrix format;
        size_t uses;
    } formats[16] = {0};
    size_t count = 0, best = 0;
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        kgen_checkpoint_tensor_at(checkpoint, i, &tensor);
        if (tensor.matrix.format == NULL || !is_matrix(checkpoint->gguf, &tensor, layers))
            continue;
        size_t at = 0;
        while (at < count && !formats_agree(&formats[at].format, &tensor.matrix))
            at++;
        if (at == KGEN_COUNT_OF(formats))
            continue;
        count = at == count ? count + 1 : count;
        formats[at].format = tensor.matrix;
        best = ++formats[at].uses > formats[best].uses ? at : best;
    }
    return formats[best].format;
}

static json_t *pack_format(const struct kgen_matrix *format)
{
    return json_pack("{s:I, s:I, s:s, s:s}", "bits", (json_int_t)format->bits, "group_size",
                     (json_int_t)format->group_size, "mode", kgen_constant_name(format->format->scheme),
                     "scale_dtype", kgen_constant_name(format->scale_dtype));
}

static int fail_memory(const struct kgen_checkpoint *checkpoint, struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_checkpoint_source(checkpoint), 0, 0,
                          "out of memory");
}

int kgen_checkpoint_formats_write(const struct kgen_checkpoint *checkpoint, json_t *config,
                                  struct kgen_error *error)
{
    const json_t *count = json_object_get(config, "num_hidden_layers");
    if (count == NULL) /* the config of a model of text and images */
        count = json_object_get(json_object_get(config, KGEN_SPEC_TEXT_CONFIG), "num_hidden_layers");
    const int64_t layers = json_integer_value(count);
    const struct kgen_matrix base = base_format(checkpoint, layers);
    if (base.format == NULL)
        return json_object_set_new(config, "overrides", json_pack("{s:b}", "*", 0)) == 0
                   ? 0
                   : fail_memory(checkpoint, error);
    json_t *object = pack_format(&base);
    if (object == NULL || json_object_set_new(config, "quantization", object) != 0)
        return fail_memory(checkpoint, error);
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        kgen_checkpoint_tensor_at(checkpoint, i, &tensor);
        if (!is_matrix(checkpoint->gguf, &tensor, layers) || formats_agree(&tensor.matrix, &base))
            continue;
        json_t *own = tensor.matrix.format != NULL ? pack_format(&tensor.matrix) : json_false();
        if (own == NULL || json_object_set_new(object, tensor.name, own) != 0)
            return fail_memory(checkpoint, error);
    }
    return 0;
}
