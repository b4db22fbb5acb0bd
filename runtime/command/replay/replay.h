/* SPDX-License-Identifier: MIT */
/* Making packs and holding a model against them. Internal to kgen replay. */
#ifndef KGEN_REPLAY_H
#define KGEN_REPLAY_H

#include "runtime/command/opened_model.h"
#include "runtime/command/replay/pack.h"

/* A position of a response whose greatest logit is that of another token than the pack says. */
struct kgen_replay_difference {
    size_t position; /* in the response, from 0 */
    int32_t stored, now;
    double margin;  /* of the stored token then */
    double lead;    /* of the new token over the stored one now; not negative */
    bool explained; /* both are below the tolerance */
};

/* What became of one prompt. */
struct kgen_replay_result {
    struct kgen_replay_difference *differences; /* owned */
    size_t count, explained;                    /* of them */
    bool same_prompt;                           /* the tokenizer gives the tokens of the pack for its text */
    double margin_shift;                        /* the greatest change of a margin */
    struct kgen_pack_times times;
};

struct kgen_replay {
    struct kgen_options options; /* with the settings of the pack where the command line says nothing */
    struct kgen_opened_model opened;
    const char *path; /* of the pack */
    struct kgen_pack pack;
    struct kgen_pack_settings settings; /* of this run */
    struct kgen_replay_result *results; /* one for each prompt of the pack; owned */
    size_t finished;                    /* prompts: fewer than the pack has after a signal */
    double tolerance;
    json_t *dispatch; /* of this run */
};

/* Takes from the settings of a pack what the command line does not say. */
void kgen_replay_take_settings(const struct kgen_pack_settings *settings, struct kgen_options *options);
/* Reads the pack of replay->path, opens the checkpoint that is the first argument of replay->options, and
 * runs the prompts. Returns an exit status; where it is not KGEN_EXIT_DONE, the error has been printed. After
 * a signal fewer prompts are finished than the pack has. */
int kgen_replay_open_and_run(struct kgen_replay *replay);
/* Frees what a replay holds. */
void kgen_replay_close(struct kgen_replay *replay);

/* Sums over the prompts that are finished. */
struct kgen_replay_sums {
    size_t tokens, different, explained;
    size_t other_prompts; /* that the tokenizer makes other tokens of */
    double now, then;     /* seconds of prompts and texts */
    double prompt_tokens, prompt_now, prompt_then;
    double text_tokens, text_now, text_then; /* the tokens after the first */
};
void kgen_replay_sum(const struct kgen_replay *replay, struct kgen_replay_sums *sums);

/* Whether there is drift: a difference that is not explained, or another prompt. */
bool kgen_replay_drifts(const struct kgen_replay_sums *sums);
/* then / now, for which greater is faster; 0 where a time is not known. */
double kgen_replay_ratio(double now, double then);

/* The greatest difference of two logits that another order of the same sums is taken to explain: that of the
 * activations' precision or of the caches' dtype, whichever is greater. */
double kgen_replay_tolerance(const struct kgen_pack_settings *settings);

/* The settings that a model was opened with. */
void kgen_replay_settings(const struct kgen_opened_model *opened, struct kgen_pack_settings *settings);

/* The variants that run each distinct node of the graph: a list of {"node", "count", "op", "problem",
 * "variant", "origin", "prompt_variant", "prompt_origin"}; the last two, of several rows of a prompt at once,
 * are null where a node runs row by row. Returns a new reference, or NULL when memory runs out. */
json_t *kgen_replay_dispatch(const struct kgen_model *model);

/* ---- decoding ---- */

/* Appends the tokens of a prompt's text. */
int kgen_replay_encode(const struct kgen_opened_model *opened, const struct kgen_pack_prompt *prompt,
                       bool chat, struct kgen_token_ids *ids, struct kgen_error *error);

/* Runs the first tokens of a prompt untimed, so that the first prompt finds what the others find. */
int kgen_replay_warm_up(const struct kgen_opened_model *opened, const struct kgen_token_ids *ids,
                        struct kgen_error *error);

/* Runs a prompt from an empty cache. Returns the logits after it; NULL after a signal, or with an error. */
const float *kgen_replay_prompt(const struct kgen_opened_model *opened, const struct kgen_token_ids *ids,
                                struct kgen_error *error);

/* Sets *best to the token of the greatest logit, of equal ones the first, and *margin to the logit of a token
 * less the greatest of the others: of token, or where that is negative of *best. A negative margin says that
 * another token is the greatest. Fails with KGEN_ERROR_COMPILE, which is no fault of the user, where a logit
 * is NaN or +inf. */
int kgen_replay_greatest(const float *logits, int64_t vocabulary, int32_t token, int32_t *best,
                         double *margin, struct kgen_error *error);

/* Runs each prompt and keeps the greedy response in the pack. After a signal it ends early, with 0. */
int kgen_replay_record(const struct kgen_opened_model *opened, struct kgen_pack *pack, int64_t tokens,
                       struct kgen_error *error);

/* Runs each prompt along the tokens of the pack. After a signal it ends early, with 0. */
int kgen_replay_run(struct kgen_replay *replay, struct kgen_error *error);

/* ---- the result ---- */

void kgen_replay_print(const struct kgen_replay *replay);
/* Returns -1 with a message where it cannot be written. */
int kgen_replay_print_json(const struct kgen_replay *replay);

#endif
