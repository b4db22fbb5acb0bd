/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "command_fixture.h"
#include "gen/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGUMENTS 32

char kgen_test_binary[PATH_MAX];
char kgen_test_source[PATH_MAX];
char kgen_test_folder[64];
void (*kgen_test_before_exec)(void);

int kgen_test_command_setup(void)
{
    const char *named = getenv("KGEN_BIN");
    if (named == NULL)
        named = "kgen";
    if (getcwd(kgen_test_source, sizeof kgen_test_source) == NULL)
        return -1;
    const bool relative = named[0] != '/';
    const int length = snprintf(kgen_test_binary, sizeof kgen_test_binary, "%s%s%s",
                                relative ? kgen_test_source : "", relative ? "/" : "", named);
    if (length < 0 || (size_t)length >= sizeof kgen_test_binary || access(kgen_test_binary, X_OK) != 0) {
        fprintf(stderr, "no kgen at %s; run make, or set KGEN_BIN\n", named);
        return -1;
    }
    snprintf(kgen_test_folder, sizeof kgen_test_folder, "/tmp/kgen-command-XXXXXX");
    if (mkdtemp(kgen_test_folder) == NULL || chdir(kgen_test_folder) != 0 ||
        setenv("KGEN_CACHE_DIR", "cache-here", 1) != 0 ||
        setenv("KGEN_SYSTEM_CACHE_DIR", "no-system-cache", 1) != 0 ||
        setenv("KGEN_TEMPLATES_DIR", "", 1) != 0)
        return -1;
    return 0;
}

int kgen_test_command_teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", kgen_test_folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

void kgen_test_outcome_free(struct kgen_test_outcome *outcome)
{
    kgen_text_free(&outcome->out);
    kgen_text_free(&outcome->err);
}

static void output_path(const char *name, const char *suffix, char path[128])
{
    snprintf(path, 128, "%s.%s", name, suffix);
}

/* Opened before the fork, so that a run that is killed at once has output files too. */
static int open_output(const char *name, const char *suffix)
{
    char path[128];
    output_path(name, suffix, path);
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    assert_true(descriptor >= 0);
    return descriptor;
}

static void exec_kgen(char **arguments, int out, int err)
{
    if (dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0) {
        if (kgen_test_before_exec != NULL)
            kgen_test_before_exec();
        execv(kgen_test_binary, arguments);
    }
    _exit(127);
}

pid_t kgen_test_start(const char *line, const char *name)
{
    char words[1024];
    char *arguments[MAX_ARGUMENTS + 1] = {kgen_test_binary};
    size_t count = 1;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(count < MAX_ARGUMENTS);
        arguments[count++] = strcmp(word, "''") == 0 ? "" : word;
    }
    const int out = open_output(name, "out"), err = open_output(name, "err");
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setpgid(0, 0); /* a group of its own, as a shell gives it */
        exec_kgen(arguments, out, err);
    }
    close(out);
    close(err);
    return child;
}

struct kgen_test_outcome kgen_test_finish(pid_t child, const char *name)
{
    struct kgen_test_outcome outcome = {0};
    struct kgen_error error = {0};
    char path[128];
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    output_path(name, "out", path);
    assert_int_equal(kgen_file_read(path, 1 << 26, &outcome.out, &error), 0);
    output_path(name, "err", path);
    assert_int_equal(kgen_file_read(path, 1 << 26, &outcome.err, &error), 0);
    return outcome;
}

struct kgen_test_outcome kgen_test_run(const char *line)
{
    return kgen_test_finish(kgen_test_start(line, "std"), "std");
}

void kgen_test_expect(const char *line, int status, const char *out, const char *err)
{
    struct kgen_test_outcome outcome = kgen_test_run(line);
    if (outcome.status != status)
        fail_msg("kgen %s: exit status %d, expected %d\n%s%s", line, outcome.status, status, outcome.out.data,
                 outcome.err.data);
    if (out != NULL && strstr(outcome.out.data, out) == NULL)
        fail_msg("kgen %s: stdout should hold '%s', and is:\n%s", line, out, outcome.out.data);
    if (err != NULL && strstr(outcome.err.data, err) == NULL)
        fail_msg("kgen %s: stderr should hold '%s', and is:\n%s", line, err, outcome.err.data);
    kgen_test_outcome_free(&outcome);
}

void kgen_test_put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

bool kgen_test_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
