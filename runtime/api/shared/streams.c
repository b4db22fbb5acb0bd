/* SPDX-License-Identifier: MIT */
/* Of the shared library only. Debian has libtcc as an archive that was not compiled for shared libraries: it
 * addresses the C library's stdout, stderr and environ as if they lay beside it. The linker gives it these in
 * their place (--wrap). libtcc runs in child processes alone, and hardly uses them there. */
#define _GNU_SOURCE /* environ */
#include <stdio.h>
#include <unistd.h>

FILE *__wrap_stdout, *__wrap_stderr;
char **__wrap_environ;

/* --wrap turns the plain names in this file into those above; these are the C library's. */
extern FILE *__real_stdout, *__real_stderr;
extern char **__real_environ;

__attribute__((constructor)) static void point_at_streams(void)
{
    __wrap_stdout = __real_stdout;
    __wrap_stderr = __real_stderr;
    __wrap_environ = __real_environ;
}
