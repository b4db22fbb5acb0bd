/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef KGEN_OPTIONS_H
#define KGEN_OPTIONS_H

#include "gen/spec/spec.h"
#include "runtime/jit/jit.h"
#include "runtime/model/sampler.h"
#include "runtime/tune/tune.h"

enum kgen_command {
    KGEN_COMMAND_GENERATE,
    KGEN_COMMAND_TUNE,
    KGEN_COMMAND_LIST,
    KGEN_COMMAND_EXPLAIN,
    KGEN_COMMAND_CACHE,
    KGEN_COMMAND_MACHINE,
    KGEN_COMMAND_REPORT,
    KGEN_COMMAND_GRAPH,
    KGEN_COMMAND_INSPECT,
    KGEN_COMMAND_TEXT,
    KGEN_COMMAND_BENCH,
    KGEN_COMMAND_PERPLEXITY,
    KGEN_COMMAND_REPLAY,
    KGEN_COMMAND_PACK,
    KGEN_COMMAND_EXPAND,
    KGEN_COMMAND_RUN,
    KGEN_COMMAND_NEW_TEMPLATE,
    KGEN_COMMAND_PROFILE,
    KGEN_COMMAND_TRY,
    KGEN_COMMAND_HELP,
    KGEN_COMMAND_COMPLETION,
    KGEN_COMMAND_COUNT
};

/* The strings are those of argv, or constants. */
struct kgen_options {
    enum kgen_command command;
    char *const *arguments; /* after the command's name: spec, problem; ops; path; file */
    size_t argument_count;
    const char *output, *target, *templates, *cache;
    const char *peers;     /* report */
    const char *tokenizer; /* of those that run a checkpoint; NULL: that of the checkpoint */
    const char *prompt,
        *prompt_file; /* generate, and the file of perplexity; of profile a number; NULL: not given */
    bool chat;
    int tokens; /* of text at most; 0: the default */
    double tune_seconds;
    const char *tests;                       /* bench; NULL: the usual ones */
    int repeats;                             /* bench, profile; 0: the default */
    int batch;                               /* bench; 0: one sequence only */
    const char *html;                        /* profile; NULL: no page */
    int64_t layers;                          /* profile; 0: all */
    int64_t window, skip;                    /* perplexity; 0 and -1: the default */
    const char *save_logits, *kl_divergence; /* files of perplexity; NULL: none */
    bool record;                             /* replay: make a pack */
    double slower_than;                      /* replay; 0: time does not count */
    bool mmap, no_mmap;                      /* of those that run a checkpoint */
    const char *overrides;                   /* pack: a file, or its text */
    const char *pack;                        /* try; NULL: no replay */
    bool keep;                               /* try */
    struct kgen_sampling sampling;
    struct kgen_logit_bias *biases; /* of sampling; owned */
    bool seed_given;
    const char *machine, *problem; /* NULL: this one; all */
    bool other_machines;
    unsigned shard, shards; /* the share to tune, from 0, of so many shares; shards 0: everything */
    const char *prefix;     /* of functions and files; NULL: none */
    bool retune, no_retune; /* time again what has a winner; not even what a noisy moment chose */
    bool check, locked;     /* hold the folder against its lock; write it from its lock */
    bool quantiser;         /* write one beside the kernels */
    bool emit_model;        /* write the step of the model beside them */
    bool force;             /* replace files that kgen did not write; a file that is no pack */
    bool no_cache, json, dry_run, quiet, verbose, help, version;
    bool all_layers; /* graph */
    bool lines;      /* expand */
    bool markdown;   /* list */
    bool man;        /* help */
    bool isa_given;  /* false: auto */
    enum kgen_isa isa;
    enum kgen_engine engine;
    enum kgen_search_effort effort;
    double time_limit_seconds; /* 0: none */
    int threads;               /* 0: those of the machine */
    struct kgen_spec_options spec;
    /* The command line that makes the same output anywhere: "kgen qwen.json --bits 4". Owned; see
     * kgen_options_free. */
    struct kgen_text reproduce;
    struct kgen_text repeated; /* see kgen_options_repeated; owned */
};

/* Reads the command line. Fails with KGEN_ERROR_USAGE. */
int kgen_options_parse(int argc, char **argv, struct kgen_options *options, struct kgen_error *error);
void kgen_options_free(struct kgen_options *options);

/* The options given that kgen SPEC, kgen explain and kgen report must all have to speak of the same results,
 * each behind a blank: " --templates mine --bits 4". For hints. */
const char *kgen_options_repeated(const struct kgen_options *options);

/* Prints the help of a command, or with KGEN_COMMAND_COUNT of all of kgen, on stdout. */
void kgen_options_help(enum kgen_command command);

#endif
