/* SPDX-License-Identifier: MIT */
/* What kgen profile has found. Internal to the command. */
#ifndef KGEN_PROFILE_H
#define KGEN_PROFILE_H

#include "runtime/command/opened_model.h"

/* Nodes of one op and one label, such as all down_proj, or of one op. Times are in seconds, of one step or
 * prompt: of each node its median over the runs, summed over the nodes. */
struct kgen_profile_line {
    const char *op, *label; /* of the graph; label is NULL for all nodes of an op */
    size_t nodes;
    double seconds;
    double least;            /* of each node the least of the runs, summed */
    double prepare, waiting; /* of seconds; see struct kgen_decoder_time */
    double least_waiting;
    double bytes;   /* of weights and caches that the nodes read; 0: none */
    bool is_matrix; /* a product with a matrix of weights */
};

/* The runs of a step, or of a prompt. */
struct kgen_profile_part {
    int64_t tokens, position;              /* of a run, and its first */
    size_t runs;                           /* made; 0: not asked for, or interrupted */
    double seconds, least;                 /* of a run: the median and the least */
    struct kgen_profile_line *lines, *ops; /* in the order of the graph; owned */
    size_t line_count, op_count;
    struct kgen_profile_line sum, matrices; /* of all nodes, and of those that are products */
};

struct kgen_profile {
    struct kgen_opened_model opened;
    const char *source;      /* of the weights: a checkpoint, or a spec, where they are random */
    struct kgen_text config; /* of a spec; owned */
    int64_t layers;          /* run */
    int64_t model_layers;    /* of the spec; 0 of a checkpoint, of which all run */
    bool bandwidth_known;
    struct kgen_bandwidth bandwidth;
    struct kgen_profile_part step, prompt;
};

/* Reads the text of a spec of a model and keeps the first --layers of it. Returns -1 with an error also where
 * the weights would take more memory than is free. */
int kgen_profile_read_spec(struct kgen_profile *profile, const struct kgen_options *options,
                           struct kgen_error *error);
/* Whether the first argument is a spec, not a checkpoint. */
bool kgen_profile_is_spec(const char *path);

/* Makes the lines of a part from the times of its runs, one after the other with one time for each node. */
int kgen_profile_lines(const struct kgen_graph *graph, const struct kgen_decoder_time *times,
                       struct kgen_profile_part *part, struct kgen_error *error);
void kgen_profile_lines_free(struct kgen_profile_part *part);

/* The share of the read bandwidth that reading the bytes of a line in its seconds is; 0: not known. */
double kgen_profile_share(const struct kgen_profile *profile, double bytes, double seconds);

/* Print the result. Return -1 where it cannot be written. */
int kgen_profile_print(const struct kgen_profile *profile);
int kgen_profile_print_json(const struct kgen_profile *profile);

#endif
