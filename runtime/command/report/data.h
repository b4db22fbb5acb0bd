/* SPDX-License-Identifier: MIT */
/* What kgen report shows: the evidence of every problem of a spec, in the units of the charts. */
#ifndef KGEN_REPORT_DATA_H
#define KGEN_REPORT_DATA_H

#include "runtime/command/evidence.h"
#include "runtime/command/report/peers.h"

/* Problems of one colour and mark in the charts are a series. Beyond so many, colours and marks repeat. */
enum { KGEN_SERIES_MARKS = 8, KGEN_SERIES_MAX = 64 };

struct kgen_report_problem {
    size_t number;                       /* from 1, as kgen SPEC prints */
    const struct kgen_spec_entry *entry; /* the spec's */
    struct kgen_evidence evidence;       /* owned */
    struct kgen_text name;               /* "qmv_n4096_k4096_b4_g64_f16_f32" */
    struct kgen_text description;        /* "qmv N=4096 K=4096 bits=4 group_size=64" */
    struct kgen_text label;              /* short, for a row of a chart: "qmv 4096×4096 4-bit" */
    size_t series;                       /* index of its label */
    double bytes;                        /* that one call must move */
    double operations;                   /* of one call: additions, multiplications and the like */
    bool cold;                           /* whether the time that counts is the cold one */
    double bandwidth; /* bytes per second that could be read with its threads; 0 where not known */
};

/* Zero-initialise. */
struct kgen_report_data {
    const char *spec; /* as the command line names it */
    struct kgen_session session;
    struct kgen_text engine;
    bool bandwidth_known;
    struct kgen_bandwidth bandwidth;
    char series[KGEN_SERIES_MAX][64]; /* labels: "qmv, f32 activations", "add", ... */
    size_t series_count;
    struct kgen_report_problem *problems; /* owned */
    size_t count;
    struct kgen_peers peers; /* none without --peers */
    size_t foreign_peers;    /* of problems that the spec does not have */
};

/* Collects everything from the spec, the cache and the file of peers; nothing is compiled or measured. Fails
 * with KGEN_ERROR_USAGE where the cache knows nothing of the spec, or nothing of the machine asked for. The
 * caller frees data in either case. */
int kgen_report_collect(const struct kgen_options *options, struct kgen_report_data *data,
                        struct kgen_error *error);
void kgen_report_free(struct kgen_report_data *data);

/* The problem a peer is for, or NULL. */
const struct kgen_report_problem *kgen_report_peer_problem(const struct kgen_report_data *data,
                                                           const struct kgen_peer *peer);
/* The time of one call of the winner; 0 where there is none, or it was not timed. */
double kgen_report_winner_seconds(const struct kgen_report_problem *problem);

#endif
