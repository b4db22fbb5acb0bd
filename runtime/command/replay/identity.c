/* SPDX-License-Identifier: MIT */
/* Which checkpoint a pack is of. */
#include "runtime/command/replay/pack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The metadata of a GGUF file, as they are stored. */
static uint64_t hash_gguf(uint64_t hash, const struct kgen_gguf *gguf)
{
    for (size_t i = 0; i < kgen_gguf_value_count(gguf); i++) {
        const struct kgen_gguf_value *value = kgen_gguf_value_at(gguf, i);
        hash = kgen_hash(hash, value->key.data, value->key.length);
        hash = kgen_hash_string(hash, kgen_gguf_type_name(value->type));
        hash = kgen_hash(hash, value->data, value->bytes);
    }
    return hash;
}

/* The config.json of a folder, without what kgen adds: the name, which is that of the folder, and the formats
 * of the matrices, which the tensors say. */
static int hash_config(const struct kgen_checkpoint *checkpoint, uint64_t *hash, struct kgen_error *error)
{
    struct kgen_text text = {0};
    if (kgen_checkpoint_config(checkpoint, &text, error) != 0) {
        kgen_text_free(&text);
        return -1;
    }
    json_t *config = json_loadb(text.data, text.length, 0, NULL);
    json_object_del(config, "name");
    json_object_del(config, "quantization");
    char *dumped = config != NULL ? json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (dumped != NULL)
        *hash = kgen_hash_string(*hash, dumped);
    free(dumped);
    json_decref(config);
    kgen_text_free(&text);
    return dumped != NULL ? 0 : kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

static uint64_t hash_tensors(uint64_t hash, const struct kgen_checkpoint *checkpoint)
{
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        char line[128] = "";
        kgen_checkpoint_tensor_at(checkpoint, i, &tensor);
        for (size_t j = 0; j < tensor.rank; j++)
            snprintf(line + strlen(line), sizeof line - strlen(line), " %" PRId64, tensor.shape[j]);
        hash = kgen_hash(hash, tensor.stored_name.data, tensor.stored_name.length);
        hash = kgen_hash_string(hash, line);
        hash = kgen_hash_string(hash, tensor.type);
    }
    return hash;
}

int kgen_pack_identify(const struct kgen_checkpoint *checkpoint, struct kgen_pack_identity *identity,
                       struct kgen_error *error)
{
    struct kgen_checkpoint_facts facts;
    const struct kgen_gguf *gguf = kgen_checkpoint_gguf(checkpoint);
    uint64_t hash = KGEN_HASH_START;
    kgen_checkpoint_query(checkpoint, &facts);
    *identity = (struct kgen_pack_identity){.files = (int64_t)facts.files, .bytes = (int64_t)facts.bytes};
    snprintf(identity->container, sizeof identity->container, "%s", facts.container);
    if (gguf != NULL)
        hash = hash_gguf(hash, gguf);
    else if (hash_config(checkpoint, &hash, error) != 0)
        return -1;
    snprintf(identity->hash, sizeof identity->hash, "%016" PRIx64, hash_tensors(hash, checkpoint));
    return 0;
}

int kgen_pack_check_identity(const struct kgen_pack *pack, const char *path,
                             const struct kgen_pack_identity *identity, const char *source,
                             struct kgen_error *error)
{
    const struct kgen_pack_identity *of = &pack->identity;
    if (strcmp(of->container, identity->container) != 0)
        kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0,
                       "the pack is of another checkpoint: \"checkpoint.container\" is \"%s\", and %s is %s",
                       of->container, source, identity->container);
    else if (of->files != identity->files)
        kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0,
                       "the pack is of another checkpoint: \"checkpoint.files\" is %lld, and %s has %lld",
                       (long long)of->files, source, (long long)identity->files);
    else if (of->bytes != identity->bytes)
        kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0,
                       "the pack is of another checkpoint: \"checkpoint.bytes\" is %lld, and %s has %lld",
                       (long long)of->bytes, source, (long long)identity->bytes);
    else if (strcmp(of->hash, identity->hash) != 0)
        kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0,
                       "the pack is of another checkpoint: \"checkpoint.hash\" is %s, and that of %s is %s",
                       of->hash, source, identity->hash);
    else
        return 0;
    kgen_error_hint(error, "kgen replay --record makes a pack of this checkpoint");
    return -1;
}
