/* SPDX-License-Identifier: MIT */
/* A config.json that is made from the metadata of a GGUF file: what the files that make its parts share. */
#ifndef KGEN_CHECKPOINT_CONFIG_H
#define KGEN_CHECKPOINT_CONFIG_H

#include "runtime/model/checkpoint_internal.h"

#include <jansson.h>

#define KGEN_CONFIG_KEY_MAX 64

/* Used by one thread at a time. */
struct kgen_config_maker {
    const struct kgen_checkpoint *checkpoint;
    const struct kgen_gguf *gguf;
    const struct kgen_architecture *architecture;
    const char *name; /* of the architecture: the keys of the metadata begin with it */
    json_t *config;
    struct kgen_error *error;
};

/* Fails with a message about the file. Returns -1. */
int kgen_config_fail(const struct kgen_config_maker *maker, const char *format, ...) KGEN_PRINTF(2, 3);
/* Sets a key of the config. Takes value over; NULL: memory was short. Returns 0, or -1 with an error. */
int kgen_config_set(const struct kgen_config_maker *maker, const char *key, json_t *value);
/* Writes the name of the architecture, a '.' and the key. Returns full. */
const char *kgen_config_key(const struct kgen_config_maker *maker, const char *key,
                            char full[KGEN_CONFIG_KEY_MAX]);
/* Read a number of the metadata, by its key without the name of the architecture. Return 1; 0 and leave the
 * value where there is none; -1 on an error. */
int kgen_config_integer(const struct kgen_config_maker *maker, const char *key, int64_t *value);
int kgen_config_real(const struct kgen_config_maker *maker, const char *key, double *real);
/* A number that the config has already. */
int64_t kgen_config_value(const struct kgen_config_maker *maker, const char *key);

/* checkpoint_config_rope.c: sets "rope_scaling" where the metadata or rope_freqs.weight say one. Returns 0,
 * or -1 with an error. */
int kgen_config_rope(const struct kgen_config_maker *maker);

#endif
