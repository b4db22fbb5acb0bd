/* SPDX-License-Identifier: MIT */
#include "runtime/command/checkpoint_spec.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/model.h"

bool kgen_is_gguf(const char *path)
{
    char magic[4] = "";
    FILE *file = fopen(path, "rb");
    const bool is = file != NULL && fread(magic, 1, sizeof magic, file) == sizeof magic &&
                    memcmp(magic, "GGUF", sizeof magic) == 0;
    if (file != NULL)
        fclose(file);
    return is;
}

static const char *name_of(int64_t constant)
{
    return constant != KGEN_CONSTANT_NONE ? kgen_constant_name(constant) : NULL;
}

static int check_options(const struct kgen_spec_options *spec, const char *path, struct kgen_error *error)
{
    if (spec->bits == 0 && spec->group_size == 0 && spec->scale_dtype == 0 && spec->activation_dtypes[1] == 0)
        return 0;
    kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0,
                   spec->activation_dtypes[1] != 0
                       ? "a checkpoint is planned for one precision of activations"
                       : "the weights of a checkpoint have formats already");
    kgen_error_hint(error, spec->activation_dtypes[1] != 0
                               ? "give one --activation-dtype"
                               : "leave --bits, --group-size and --scale-dtype out; kgen pack quantises");
    return -1;
}

struct kgen_spec *kgen_checkpoint_spec(const struct kgen_options *options, const char *path,
                                       struct kgen_error *error)
{
    const struct kgen_spec_options *spec = &options->spec;
    const struct kgen_model_options model = {.activation_dtype = name_of(spec->activation_dtypes[0]),
                                             .layout = name_of(spec->layout),
                                             .cache_dtype = name_of(spec->cache_dtype),
                                             .context = spec->context,
                                             .prompt_rows = spec->prompt_rows};
    if (check_options(spec, path, error) != 0)
        return NULL;
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(path, error);
    struct kgen_spec *read = NULL;
    struct kgen_text config = {0};
    if (checkpoint != NULL && kgen_model_write_config(checkpoint, &model, &config, error) == 0)
        read = kgen_spec_parse(path, config.data, config.length, NULL, error);
    kgen_text_free(&config);
    kgen_checkpoint_free(checkpoint);
    return read;
}
