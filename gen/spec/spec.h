/* SPDX-License-Identifier: MIT */
/* A spec: the JSON a user writes, read into the problems to solve. The schema is described in
 * specs/README.md. */
#ifndef KGEN_SPEC_H
#define KGEN_SPEC_H

#include "gen/spec/graph.h"

#define KGEN_SPEC_SCHEMA 1
/* The precisions of activations that a product may have. */
#define KGEN_SPEC_PRECISIONS_MAX 4

/* Options of the command line, which replace defaults of the spec. Zero or KGEN_CONSTANT_NONE: not given. */
struct kgen_spec_options {
    int64_t bits;
    int64_t group_size;
    int64_t scale_dtype;
    int64_t activation_dtypes[KGEN_SPEC_PRECISIONS_MAX];
    int64_t output_activation_dtype; /* of a model */
    int64_t layout;
    int64_t cache_dtype; /* the last five are constants */
    int64_t context;
    int64_t prompt_rows; /* of a model; 1: no batches */
};

#define KGEN_SPEC_PROMPT_ROWS_MAX 4096

/* Reads one of these values from text: of the field "bits", "group_size", "scale_dtype", "activation_dtype",
 * "layout", "cache_dtype" or "context". Returns 0, or -1 and appends to expected what the field may have. */
int kgen_spec_option_parse(const char *field, const char *text, int64_t *value, struct kgen_text *expected);

/* One distinct problem of a spec, and the tensors or steps of the model that it serves. */
struct kgen_spec_entry {
    struct kgen_problem problem;
    char *tensors; /* for people: "layers.*.mlp.down_proj", several joined by ", "; owned */
    int64_t calls; /* how often one decode step calls it; 1 in a list of problems unless it says otherwise */
};

struct kgen_spec {
    char *name; /* from "name", else from the name of the file or folder: letters, digits, '-', '_', '.';
                   owned */
    char *identifier; /* the name as a C identifier in lower case; owned */
    char *summary;    /* for people: "Qwen3ForCausalLM, 36 layers, hidden 4096, 4 bits, group 64" ; owned */
    uint64_t hash;    /* of the bytes of the file */
    struct kgen_spec_entry *entries; /* no two with equal problems; owned */
    size_t count;
    /* Of a model what one decode step computes; of a list its problems, unconnected. Owned. */
    struct kgen_graph *graph;
    char **warnings; /* what the spec asks for and kgen does not do yet, one sentence each; owned */
    size_t warning_count;
};

/* In the config of a model of text and images: the key of what describes the text. */
#define KGEN_SPEC_TEXT_CONFIG "text_config"

/* A larger spec is refused. */
#define KGEN_SPEC_BYTES_MAX ((size_t)4 << 20)

/* Reads a spec from a file, or from the config.json of a folder, or from text with any name to use in errors,
 * which names the spec where it has no name of its own. A mark of byte order is skipped. options may be NULL.
 * Returns NULL and fills error on bad input: KGEN_ERROR_SPEC, KGEN_ERROR_IO for the file, KGEN_ERROR_USAGE
 * for an option. The caller frees it. */
struct kgen_spec *kgen_spec_read(const char *path, const struct kgen_spec_options *options,
                                 struct kgen_error *error);
struct kgen_spec *kgen_spec_parse(const char *source, const char *text, size_t length,
                                  const struct kgen_spec_options *options, struct kgen_error *error);
/* NULL is fine. */
void kgen_spec_free(struct kgen_spec *spec);

#endif
