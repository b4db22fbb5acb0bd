/* SPDX-License-Identifier: MIT */
/* The tuner compiles, proves and times the candidates of a problem in worker processes, times the best of
 * them again side by side, and keeps a record of each. */
#ifndef KGEN_TUNE_H
#define KGEN_TUNE_H

#include "gen/spec/spec.h"
#include "gen/target/variant.h"
#include "runtime/cache/cache.h"
#include "runtime/machine/machine.h"
#include "runtime/tune/timing.h"

/* Where the tuner takes its times from. A member that is NULL stands for the machine's own clock, limits and
 * measurements. A test sets them, so that its verdict does not depend on measured time. */
struct kgen_tune_times {
    /* Seconds of a clock that never goes back: for the time limit, and for how slow the machine is now. */
    double (*clock)(void *context);
    /* Seconds that a stage of this variant may take, in place of stage_limit_seconds. */
    double (*stage_limit)(void *context, const struct kgen_variant *variant);
    /* Fills timing for a proven variant, in place of timing it. Runs in the worker process, where it may
     * crash or hang as a kernel may. In the final round it is called once for each finalist. */
    void (*measure)(void *context, const struct kgen_problem *problem, const struct kgen_variant *variant,
                    bool final, struct kgen_timing *timing);
    void *context;
};

struct kgen_tune_options {
    enum kgen_search_effort effort;
    enum kgen_engine engine;
    struct kgen_cc_options cc;
    unsigned isas; /* bits; 0: by effort and machine */
    int threads;
    double time_limit_seconds; /* for the whole run of the tuner; 0: none */
    /* A candidate whose compilation, proof or timing takes longer hangs; 0: 60, and for the proof less where
     * the reference takes little time. Where the machine is slow
     * just now, the limit grows with it: see kgen_tuning_stage_limit. */
    double stage_limit_seconds;
    const volatile int *cancel; /* NULL, or becomes not 0 to stop with what is known */
    uint64_t seed;
    bool retune;     /* times the best candidates again even where a winner is known */
    bool keep_noisy; /* leaves winners that were chosen in noisy moments as they are */
    /* With shards greater than 0: only the candidates of share number shard, of 0 to shards - 1; the shares
     * follow from the keys of the records. No winner is chosen: that is for a run that knows them all. */
    unsigned shard, shards;
    struct kgen_tune_times times; /* zeroed but in tests */
    kgen_message_log *log;        /* told of what goes wrong in a final round; may be NULL */
    void *log_context;
};

/* The threads that a problem is tuned for, at most those of the options. Ops other than qmv are tuned for
 * one: a decode step runs them for too short a time to wake a second thread. */
int kgen_tune_threads(const struct kgen_problem *problem, int threads);

/* The time of one call that counts: that of the final round where there was one, else cold or hot, whichever
 * fits the op (kgen_timing_is_cold); 0 where it was not timed. */
double kgen_record_seconds(const struct kgen_problem *problem, const struct kgen_record *record);
/* The cost by which the records of one problem are ranked; less is better. See kgen_timing_cost. */
double kgen_record_cost(const struct kgen_problem *problem, const struct kgen_record *record);

/* Lists the variants among which a winner is looked for: of the instruction sets of options->isas; where they
 * are 0, of all that the machine has. With less effort than patient, only those of the widest for which there
 * is a template; but see kgen_tune, which takes over what more effort has found. As kgen_variants_list. */
int kgen_tune_variants(const struct kgen_tune_options *options, const struct kgen_machine *machine,
                       const struct kgen_templates *templates, const struct kgen_problem *problem,
                       struct kgen_variants *variants, struct kgen_error *error);

/* Whether a choice, the record of a winner, was made among all templates that a search of this effort would
 * consider now; otherwise a better one may be found. variants are all that kgen_variants_list gives for the
 * machine. True also for records of earlier versions, which do not say what they were chosen among. */
bool kgen_choice_stands(const struct kgen_record *choice, const struct kgen_variants *variants,
                        enum kgen_search_effort effort);

/* How the choice for a problem was made. */
enum kgen_made {
    KGEN_MADE_NOT,     /* there is none: no candidate was tried, or none passed */
    KGEN_MADE_TUNED,   /* by a search that came to its end */
    KGEN_MADE_SO_FAR,  /* the fastest of those that were timed before the search was stopped */
    KGEN_MADE_THREADS, /* proven and not timed, as the others: the winner for another number of threads */
    KGEN_MADE_SIMILAR, /* the winner of a similar problem of this run */
    KGEN_MADE_RELATED, /* the winner of the problem on another machine */
    KGEN_MADE_ESTIMATE /* the first in the order of the templates */
};
/* "tuned", "best so far", ..., "estimate, not timed". Never NULL. */
const char *kgen_made_name(enum kgen_made made);

/* Whether the time of a record was taken while the machine was noisy (KGEN_NOISY). */
bool kgen_record_is_noisy(const struct kgen_record *record);

/* The result of tuning one problem. */
struct kgen_choice {
    struct kgen_problem problem; /* with threads */
    struct kgen_variant variant; /* the winner; tmpl NULL where no candidate passed */
    struct kgen_record record;   /* the winner's; strings valid until the cache changes */
    enum kgen_made made;
    unsigned candidates;            /* all variants considered; a search need not try each of them */
    unsigned proven, failed, timed; /* of them, records of earlier runs included */
    unsigned compiled;              /* in this run; 0 when all came from the cache */
    bool from_cache;
    double compile_seconds; /* from variant to callable pointer: the median over the candidates; 0 where
                               unknown */
};

/* Called after each candidate with its record. */
typedef void kgen_tune_progress(void *context, const struct kgen_problem *problem,
                                const struct kgen_record *record, unsigned done, unsigned total);

struct kgen_tuner; /* holds the timing buffers; one thread at a time */
struct kgen_tuner *kgen_tuner_new(const struct kgen_templates *templates, const struct kgen_machine *machine,
                                  struct kgen_cache *cache, const struct kgen_tune_options *options,
                                  struct kgen_error *error);
void kgen_tuner_free(struct kgen_tuner *tuner);
/* Gives the tuner the winner of another problem: the search for similar problems begins with it. The tuner
 * adds the winners that it finds itself. */
void kgen_tuner_note(struct kgen_tuner *tuner, const struct kgen_problem *problem,
                     const struct kgen_variant *winner);

/* Whether a candidate belongs to share number shard of shards. */
bool kgen_shard_has(uint64_t record_key, unsigned shard, unsigned shards);

/* Tunes one problem, or takes its winner from the cache. Several processes may tune at one cache at once:
 * each candidate is tried by one of them, and only one process of a machine measures at a time
 * (measure_lock.h). A winner that was chosen in a noisy moment is timed again, unless the machine is as noisy
 * still or the options say to keep it. Returns 0 with a choice (check variant.tmpl), 1 when stopped by cancel
 * or the time limit (the choice is the best so far), -1 on an error. */
int kgen_tune(struct kgen_tuner *tuner, const struct kgen_problem *problem, kgen_tune_progress *progress,
              void *context, struct kgen_choice *choice, struct kgen_error *error);

#endif
