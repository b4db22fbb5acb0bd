/* SPDX-License-Identifier: MIT */
/* From the times of nodes to lines. */
#include <stdlib.h>
#include <string.h>

#include "gen/ops/buffers.h"
#include "gen/ops/signature.h"
#include "runtime/command/profile/profile.h"
#include "runtime/tune/timing.h"

/* One of the times of a node over the runs. */
typedef double time_of(const struct kgen_decoder_time *time);

static double seconds_of(const struct kgen_decoder_time *time)
{
    return time->seconds;
}

static double prepare_of(const struct kgen_decoder_time *time)
{
    return time->prepare;
}

static double waiting_of(const struct kgen_decoder_time *time)
{
    const double waiting = time->seconds - time->prepare - time->run - time->finish;
    return time->is_shared && waiting > 0 ? waiting : 0;
}

/* Fills values with one of the times of a node in each run. */
static void take(const struct kgen_decoder_time *times, size_t nodes, size_t runs, time_of *of,
                 double *values)
{
    for (size_t i = 0; i < runs; i++)
        values[i] = of(&times[i * nodes]);
}

static double least_of(const double *values, size_t count)
{
    double least = values[0];
    for (size_t i = 1; i < count; i++)
        least = values[i] < least ? values[i] : least;
    return least;
}

/* The bytes of weights and states that a node reads in a step at a position. */
static double bytes_of(const struct kgen_graph_node *node, int64_t position)
{
    const struct kgen_problem problem = kgen_problem_with_room(&node->problem, position + 1);
    struct kgen_buffers buffers;
    double bytes = 0;
    kgen_problem_buffers(&problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        if (buffers.items[i].role == KGEN_WEIGHTS || buffers.items[i].role == KGEN_STATE)
            bytes += (double)buffers.items[i].bytes;
    }
    return bytes;
}

static void add(struct kgen_profile_line *line, const struct kgen_profile_line *more)
{
    line->nodes += more->nodes;
    line->seconds += more->seconds;
    line->least += more->least;
    line->prepare += more->prepare;
    line->waiting += more->waiting;
    line->least_waiting += more->least_waiting;
    line->bytes += more->bytes;
}

/* Adds the times of a node to the line of its op and, unless label is NULL, its label. */
static void add_to(struct kgen_profile_line *lines, size_t *count, const struct kgen_profile_line *node,
                   const char *label)
{
    size_t i = 0;
    while (i < *count &&
           (strcmp(lines[i].op, node->op) != 0 || (label != NULL && strcmp(lines[i].label, label) != 0)))
        i++;
    if (i == *count) {
        lines[(*count)++] =
            (struct kgen_profile_line){.op = node->op, .label = label, .is_matrix = node->is_matrix};
    }
    add(&lines[i], node);
}

int kgen_profile_lines(const struct kgen_graph *graph, const struct kgen_decoder_time *times,
                       struct kgen_profile_part *part, struct kgen_error *error)
{
    const size_t nodes = graph->node_count;
    double *values = calloc(part->runs + 1, sizeof *values);
    part->lines = calloc(nodes + 1, sizeof *part->lines);
    part->ops = calloc(nodes + 1, sizeof *part->ops);
    if (values == NULL || part->lines == NULL || part->ops == NULL) {
        free(values);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    for (size_t i = 0; i < nodes && part->runs > 0; i++) {
        const struct kgen_graph_node *node = &graph->nodes[i];
        struct kgen_profile_line line = {.op = node->op, .nodes = 1};
        take(times + i, nodes, part->runs, prepare_of, values);
        line.prepare = kgen_median(values, part->runs);
        take(times + i, nodes, part->runs, waiting_of, values);
        line.least_waiting = least_of(values, part->runs);
        line.waiting = kgen_median(values, part->runs);
        take(times + i, nodes, part->runs, seconds_of, values);
        line.seconds = kgen_median(values, part->runs);
        line.least = least_of(values, part->runs);
        line.bytes = bytes_of(node, part->position + part->tokens - 1);
        line.is_matrix = node->problem.op->threaded && kgen_op_has_role(node->problem.op, KGEN_WEIGHTS);
        add_to(part->lines, &part->line_count, &line, node->label);
        add_to(part->ops, &part->op_count, &line, NULL);
        add(&part->sum, &line);
        if (line.is_matrix)
            add(&part->matrices, &line);
    }
    free(values);
    return 0;
}

void kgen_profile_lines_free(struct kgen_profile_part *part)
{
    free(part->lines);
    free(part->ops);
    part->lines = part->ops = NULL;
}

double kgen_profile_share(const struct kgen_profile *profile, double bytes, double seconds)
{
    if (!profile->bandwidth_known || seconds <= 0)
        return 0;
    const int threads = profile->opened.context->settings.threads;
    return bytes / seconds / kgen_bandwidth_of(&profile->bandwidth, threads);
}
