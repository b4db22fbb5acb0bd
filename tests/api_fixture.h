/* SPDX-License-Identifier: MIT */
/* A folder for the cache of one test, and the messages of the library. */
#ifndef KGEN_API_FIXTURE_H
#define KGEN_API_FIXTURE_H

#include "runtime/kgen.h"

#include <stdbool.h>

struct api_fixture {
    char folder[64];
    char messages[65536]; /* each ended by a newline */
    size_t length;
    unsigned counts[4]; /* by level */
};

/* cmocka's setup and teardown: *state is the fixture. */
int api_setup(void **state);
int api_teardown(void **state);

/* Settings that keep their cache in the folder and their messages in the fixture. */
struct kgen_settings api_settings(struct api_fixture *fixture, enum kgen_effort effort);
void api_forget_messages(struct api_fixture *fixture);

/* Opens a context, which must succeed. */
struct kgen_context *api_open(const struct kgen_settings *settings);

/* Small problems of every op, each a JSON object. */
extern const char *const api_problems[];
extern const size_t api_problem_count;
/* Plans problems as the text "problems.json", problem i on line i + 2. At most 4000 characters. */
struct kgen_plan *api_plan(struct kgen_context *context, const char *const *problems, size_t count,
                           struct kgen_status *status);

/* A function in plain C of an op that has all that an op may have: a scalar "offset" of 0 to 9, scratch, two
 * outputs, and every part. prepare reads "x"; run writes "y"; finish writes "sum". */
const struct kgen_function *api_function_of_parts(void);

/* Computes the function on random inputs in every way there is, and holds each against the reference and bit
 * by bit against the first. threads has at most 4 of them. Returns the number of elements compared. */
size_t api_compute(const struct kgen_function *function, struct kgen_threads *threads);

#endif
