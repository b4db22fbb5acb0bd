/* SPDX-License-Identifier: MIT */
/* Pieces of JSON about machines. Each returns a new reference, or NULL when memory runs out. */
#ifndef KGEN_MACHINE_JSON_H
#define KGEN_MACHINE_JSON_H

#include <jansson.h>

/* A string that need not be UTF-8, such as a processor's name or a path; "(not UTF-8)" where it is not. */
json_t *kgen_json_string(const char *text);
/* The names of a set of instruction sets. */
json_t *kgen_json_isas(unsigned isas);

#endif
