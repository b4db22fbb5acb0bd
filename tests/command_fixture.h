/* SPDX-License-Identifier: MIT */
/* The kgen command as its users call it: a process, its exit status, its stdout and stderr, in a folder of
 * its own with a cache of its own. */
#ifndef KGEN_COMMAND_FIXTURE_H
#define KGEN_COMMAND_FIXTURE_H

#include <limits.h>
#include <sys/types.h>

#include "gen/base/base.h"

/* $KGEN_BIN, else ./kgen, as an absolute path. */
extern char kgen_test_binary[PATH_MAX];
/* The folder in which the tests were started: that of the repository. */
extern char kgen_test_source[PATH_MAX];
/* The working folder of the tests. */
extern char kgen_test_folder[64];
/* NULL, or what the child does before it becomes kgen. */
extern void (*kgen_test_before_exec)(void);

/* For the group's setup and teardown: 0, or -1 with a message. */
int kgen_test_command_setup(void);
int kgen_test_command_teardown(void);

struct kgen_test_outcome {
    int status; /* of exit; -1: died of a signal */
    struct kgen_text out, err;
};
void kgen_test_outcome_free(struct kgen_test_outcome *outcome);

/* Starts kgen with the words of line, in a process group of its own; its output goes to <name>.out and
 * <name>.err. */
pid_t kgen_test_start(const char *line, const char *name);
struct kgen_test_outcome kgen_test_finish(pid_t child, const char *name);
/* Both. */
struct kgen_test_outcome kgen_test_run(const char *line);
/* Runs it, and fails the test where the exit status or a part of stdout or stderr (NULL: any) is not so. */
void kgen_test_expect(const char *line, int status, const char *out, const char *err);

void kgen_test_put_file(const char *path, const char *text);
bool kgen_test_exists(const char *path);

#endif
