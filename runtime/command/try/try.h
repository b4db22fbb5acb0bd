/* SPDX-License-Identifier: MIT */
/* Parts of kgen try: the templates of a folder that differ from those in use are proven stage by stage, timed
 * in turns with what they would replace, and kept or not. */
#ifndef KGEN_TRY_H
#define KGEN_TRY_H

#include <jansson.h>

#include "runtime/command/command.h"
#include "runtime/tune/trial.h"

enum { KGEN_TRY_STAGES = 5 };

/* A stage of the proof. */
struct kgen_try_stage {
    const char *name; /* "smoke" */
    enum kgen_proof_part part;
    bool begun;
    struct kgen_trial_proof proof; /* of all problems together */
    struct kgen_text where;        /* of what failed: the variant and the problem */
};

/* A changed template, and one problem that it serves on this machine. */
struct kgen_try_pair {
    const struct kgen_template *tmpl;
    size_t problem;
    struct kgen_variants variants; /* for the instruction sets of the machine */
};

/* A problem of the spec. */
struct kgen_try_problem {
    const struct kgen_spec_entry *entry;
    bool served;                     /* by a changed template */
    struct kgen_verify_cases *cases; /* NULL until needed */
    struct kgen_variant in_use; /* the choice among the templates in use; tmpl NULL where there is none */
    struct kgen_variant change; /* what is held against it; tmpl NULL where no changed variant was timed */
    bool replaced;              /* the folder has another template of the name of that in use */
    bool compared;
    struct kgen_comparison comparison;
};

struct kgen_try_replay {
    bool ran, drifts;
    size_t tokens, different, explained;
    double time_ratio; /* seconds of the run over those of the pack */
    size_t nodes;      /* of the graph that run a changed template */
};

struct kgen_try {
    struct kgen_options options; /* of a replay, with the settings of the pack */
    const char *folder, *source; /* DIR; the spec or checkpoint */
    bool is_checkpoint;
    struct kgen_session session;          /* its templates are those in use */
    struct kgen_templates *with;          /* those in use with the folder's over them */
    const struct kgen_template **changed; /* of with; owned */
    size_t changed_count;
    struct kgen_cache *cache; /* of with: in memory, with what the session's cache knows */
    struct kgen_try_problem *problems;
    size_t problem_count;
    struct kgen_try_pair *pairs;
    size_t pair_count;
    struct kgen_try_stage stages[KGEN_TRY_STAGES];
    struct kgen_try_replay replay;
    bool keep;       /* the verdict */
    json_t *reasons; /* of the verdict: an array of strings */
    json_t *kept;    /* the files that --keep has written: an array of paths */
};

/* Fills the names and parts of the stages. */
void kgen_try_name_stages(struct kgen_try *trial);
/* Adds a reason of the verdict. */
void kgen_try_because(struct kgen_try *trial, const char *format, ...) KGEN_PRINTF(2, 3);
bool kgen_try_is_changed(const struct kgen_try *trial, const struct kgen_template *tmpl);

/* Each returns 0; 1 where the verdict is found or a signal came (kgen_interrupted); -1 on an error. */

/* Opens the spec or the checkpoint, the templates in use and those of the folder, and finds what differs and
 * which problems it serves. */
int kgen_try_open(struct kgen_try *trial, struct kgen_error *error);
/* Runs the stages of the proof. */
int kgen_try_prove(struct kgen_try *trial, struct kgen_error *error);
/* Times the changed templates. */
int kgen_try_time(struct kgen_try *trial, struct kgen_error *error);
/* Replays the pack of --replay, with the verdict keep so far. Returns 1 after a signal, and where it fails:
 * the error has been printed, and *status is its exit status. */
int kgen_try_replay(struct kgen_try *trial, int *status);
/* Copies the changed templates and the folder's files to include into the folder of the user's templates.
 * Fails where another template of the user's would become another kernel by it. */
int kgen_try_keep(struct kgen_try *trial, struct kgen_error *error);

/* Prints the verdict. Returns -1 where it cannot. */
int kgen_try_print(const struct kgen_try *trial);

#endif
