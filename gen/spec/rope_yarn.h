/* SPDX-License-Identifier: MIT */
/* YaRN in a config: rope_scaling, or rope_parameters of newer configs, of type "yarn". */
#ifndef KGEN_SPEC_ROPE_YARN_H
#define KGEN_SPEC_ROPE_YARN_H

#include "gen/spec/reader.h"

/* Reads the scaling at path into a problem of rope: factor, original_max_position_embeddings, beta_fast (32),
 * beta_slow (1), truncate (true), and the factor of cosines and sines, which is attention_factor or, where
 * there is none, follows from factor or from mscale and mscale_all_dim. Returns 0, or -1 with an error set.
 */
int kgen_spec_yarn_read(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                        json_t *object, struct kgen_problem *rope);
/* What DeepSeek's models multiply the scale of attention's scores by: (0.1 mscale_all_dim ln(factor) + 1)^2
 * of the config's rope_scaling or rope_parameters, and 1 where there is no YaRN or no mscale_all_dim. Returns
 * 0, or -1 with an error set. */
int kgen_spec_yarn_score_factor(const struct kgen_spec_reader *reader, json_t *config, double *factor);

#endif
