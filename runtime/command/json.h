/* SPDX-License-Identifier: MIT */
/* Pieces of --json. Each returns a new reference, or NULL when memory runs out. */
#ifndef KGEN_COMMAND_JSON_H
#define KGEN_COMMAND_JSON_H

#include "runtime/command/command.h"
#include "runtime/machine/json.h"

/* null for what JSON cannot hold. */
json_t *kgen_json_number(double value);
/* A positive number, else null: a time not taken, a size not known. */
json_t *kgen_json_positive(double value);
json_t *kgen_json_machine(const struct kgen_machine *machine);
/* bandwidth NULL: null. */
json_t *kgen_json_bandwidth(const struct kgen_bandwidth *bandwidth);
/* What a spec asks for and kgen does not do yet, an array of strings. */
json_t *kgen_json_warnings(const struct kgen_spec *spec);
json_t *kgen_json_problem(const struct kgen_problem *problem);
/* Nodes, tensors with their lifetimes, weights and state. */
json_t *kgen_json_graph(const struct kgen_graph *graph);
/* The parameters of a variant by name. */
json_t *kgen_json_parameters(const struct kgen_variant *variant);
/* What a record says of the candidate: times in microseconds, verdict, error. */
json_t *kgen_json_record(const struct kgen_record *record);

/* Prints the value on stdout and frees it. Returns -1 with a message where root is NULL or cannot be written.
 */
int kgen_json_print(json_t *root);

#endif
