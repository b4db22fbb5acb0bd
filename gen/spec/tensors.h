/* SPDX-License-Identifier: MIT */
/* The tensors that a problem serves, as specs describe them, and the names that people and checkpoints give
 * them. */
#ifndef KGEN_TENSORS_H
#define KGEN_TENSORS_H

#include "gen/base/nearest.h"

/* Whether a name means one of the tensors of a list such as "layers.1-35.self_attn.{q,k,v}_proj, lm_head":
 * with or without "model." before and ".weight" behind it, its layer a number, "*" or left out. */
bool kgen_tensors_have(const char *tensors, const char *name);

/* Offers each of the tensors, also without its layer. */
void kgen_tensors_offer(const char *tensors, struct kgen_nearest *nearest);

#endif
