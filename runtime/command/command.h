/* SPDX-License-Identifier: MIT */
/* What the parts of the kgen command share. stdout carries the result; stderr carries progress and messages.
 */
#ifndef KGEN_COMMAND_H
#define KGEN_COMMAND_H

#include "runtime/command/options.h"
#include "runtime/tune/bandwidth.h"
#include "runtime/tune/tune.h"

enum kgen_exit {
    KGEN_EXIT_DONE = 0,
    KGEN_EXIT_FAILED = 1,       /* verification or tuning failed; a difference was found */
    KGEN_EXIT_USAGE = 2,        /* the command line, the spec, or a file or folder of the user */
    KGEN_EXIT_NO_CANDIDATE = 3, /* nothing to run on this machine */
    KGEN_EXIT_TIME_LIMIT = 4,   /* done, with a search that the time limit ended early */
    KGEN_EXIT_REVERT = 5,       /* of kgen try: the templates are not kept */
    KGEN_EXIT_INTERRUPTED = 130
};

/* The commands. Each returns an exit status and has printed its errors. */
int kgen_command_generate(const struct kgen_options *options); /* kgen tune, too */
int kgen_command_list(const struct kgen_options *options);
int kgen_command_explain(const struct kgen_options *options);
int kgen_command_cache(const struct kgen_options *options);
/* Prints the lines of the help of kgen cache that list what it can do. */
void kgen_command_cache_help(void);
int kgen_command_machine(const struct kgen_options *options);
int kgen_command_report(const struct kgen_options *options);
int kgen_command_graph(const struct kgen_options *options);
int kgen_command_inspect(const struct kgen_options *options);
int kgen_command_text(const struct kgen_options *options);
int kgen_command_bench(const struct kgen_options *options);
int kgen_command_perplexity(const struct kgen_options *options);
int kgen_command_replay(const struct kgen_options *options);
int kgen_command_pack(const struct kgen_options *options);
int kgen_command_expand(const struct kgen_options *options);
int kgen_command_run(const struct kgen_options *options);
int kgen_command_profile(const struct kgen_options *options);
int kgen_command_new_template(const struct kgen_options *options);
int kgen_command_try(const struct kgen_options *options);
int kgen_command_help(const struct kgen_options *options);
int kgen_command_completion(const struct kgen_options *options);

/* Messages on stderr: "kgen: error: place: message" and the hint on a line of its own. Where the error has no
 * hint, and its place is a file that is not there, kgen_hint_missing gives one. */
void kgen_say_error(const struct kgen_error *error);
void kgen_say_warning(const char *format, ...) KGEN_PRINTF(1, 2);
/* Prints a line without a prefix. */
void kgen_say(const char *format, ...) KGEN_PRINTF(1, 2);
/* What makes a noun of one thing that of count things: "" or "s". */
const char *kgen_plural(size_t count);
/* A kgen_message_log, which prints information only with -v. context is the struct kgen_options. */
void kgen_say_log(void *context, int level, const char *message);

/* Prints the error and returns the exit status of its code. */
int kgen_fail(const struct kgen_error *error);

/* Whether isas, the instruction sets of the machine (bits 1 << isa), has the one that --isa asks for: 0, or
 * -1 with the error printed. */
int kgen_check_isa(const struct kgen_options *options, unsigned isas);

/* Flushes stdout. Returns status, or KGEN_EXIT_FAILED with a message where the result could not be written.
 */
int kgen_finish_output(int status);

/* What most commands work on. Zero-initialise it; kgen_session_close frees what it holds. */
struct kgen_session {
    struct kgen_machine machine;
    struct kgen_templates *templates;
    struct kgen_spec *spec; /* NULL where the command reads none */
    struct kgen_cache *cache;
    int threads; /* --threads, or those of the machine */
};

/* Reads the spec (kgen SPEC prints its warnings) and sets the threads of its problems, opens the templates,
 * detects the machine. spec may be NULL. */
int kgen_session_open(struct kgen_session *session, const struct kgen_options *options, const char *spec,
                      struct kgen_error *error);
/* The same for a session that has its spec, and its threads unless they are 0. */
int kgen_session_start(struct kgen_session *session, const struct kgen_options *options,
                       struct kgen_error *error);
/* Reads a spec of the command line: a file, a folder with a config.json, or "-" for standard input. */
struct kgen_spec *kgen_command_spec(const struct kgen_options *options, const char *path,
                                    struct kgen_error *error);
/* Appends what standard input holds, at most what a spec may be. */
int kgen_command_read_input(struct kgen_text *text, struct kgen_error *error);
/* Opens the cache that the options name; with --no-cache one that only remembers in memory. */
int kgen_session_open_cache(struct kgen_session *session, const struct kgen_options *options,
                            struct kgen_error *error);
/* Replaces the session's machine by another one of which the cache has records: the one whose identity begins
 * with prefix. Its number of threads is used unless --threads is given. */
int kgen_session_other_machine(struct kgen_session *session, const struct kgen_options *options,
                               const char *prefix, struct kgen_error *error);
void kgen_session_close(struct kgen_session *session);

/* Gives the read bandwidth with 1 thread and with session->threads from the cache, or measures and remembers
 * it. One that is known but noisy is measured again, and the less noisy one counts. */
int kgen_session_bandwidth(struct kgen_session *session, bool measure_anew, struct kgen_bandwidth *bandwidth,
                           struct kgen_error *error);
/* Gives it from the cache only. Returns 0, or -1 where it is not there. */
int kgen_session_known_bandwidth(const struct kgen_session *session, struct kgen_bandwidth *bandwidth);

/* The bandwidth with this number of threads. */
double kgen_bandwidth_of(const struct kgen_bandwidth *bandwidth, int64_t threads);

/* Whether it was measured while the machine was busy, so that it says little. */
bool kgen_bandwidth_is_noisy(const struct kgen_bandwidth *bandwidth);

/* Of fewer bytes than this the share of the bandwidth says nothing: the call itself takes most of the time.
 */
#define KGEN_SHARE_BYTES 65536.0
/* The share of the read bandwidth that a record's time reaches, as merely reading the same bytes is timed
 * beside it; else by bandwidth (may be NULL). 0 where it is not known or says nothing: of problems that are
 * timed hot, and of fewer bytes than KGEN_SHARE_BYTES. */
double kgen_bandwidth_share(const struct kgen_bandwidth *bandwidth, const struct kgen_problem *problem,
                            const struct kgen_record *record);

/* Appends a problem for people: the op, the fields a spec must give, and those that differ from their
 * defaults: "qmv N=4096 K=12288 bits=4 group_size=64 i8". */
void kgen_problem_describe(const struct kgen_problem *problem, struct kgen_text *text);

#endif
