/* SPDX-License-Identifier: MIT */
#include "runtime/process/program.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int start(const char *const *arguments, int output, pid_t *child)
{
    posix_spawn_file_actions_t actions;
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure != 0)
        return failure;
    failure = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    /* posix_spawn declares the strings without const but does not change them. */
    char *const *argv;
    memcpy(&argv, &arguments, sizeof argv);
    if (failure == 0)
        failure = posix_spawnp(child, arguments[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

static void read_all(int input, struct kgen_text *output)
{
    char block[4096];
    for (;;) {
        ssize_t length = read(input, block, sizeof block);
        if (length > 0)
            kgen_text_append(output, block, (size_t)length);
        else if (length == 0 || errno != EINTR)
            return;
    }
}

int kgen_program_run(const char *const *arguments, struct kgen_text *output, struct kgen_error *error)
{
    int ends[2];
    if (pipe(ends) != 0)
        return kgen_error_set(error, KGEN_ERROR_IO, NULL, 0, 0, "cannot make a pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    pid_t child;
    int failure = start(arguments, ends[1], &child);
    close(ends[1]);
    if (failure != 0) {
        close(ends[0]);
        return kgen_error_set(error, KGEN_ERROR_COMPILE, NULL, 0, 0, "cannot run %s: %s", arguments[0],
                              strerror(failure));
    }
    read_all(ends[0], output);
    close(ends[0]);
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return kgen_error_set(error, KGEN_ERROR_IO, NULL, 0, 0, "lost %s: %s", arguments[0],
                                  strerror(errno));
    }
    if (!WIFEXITED(status))
        return kgen_error_set(error, KGEN_ERROR_COMPILE, NULL, 0, 0, "%s died of signal %d", arguments[0],
                              WTERMSIG(status));
    return WEXITSTATUS(status);
}
