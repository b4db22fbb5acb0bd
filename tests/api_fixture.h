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

/* Small problems of every op. */
extern const struct kgen_request api_requests[];
extern const size_t api_request_count;

/* Computes the function on random inputs in every way there is, and holds each against the reference and bit
 * by bit against the first. Returns the number of elements compared. */
size_t api_compute(const struct kgen_function *function, struct kgen_threads *threads);

#endif
