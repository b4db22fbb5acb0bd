/* SPDX-License-Identifier: MIT */
/* Does everything with a checkpoint that its readers can do, for hostile files: a sanitizer, or a crash,
 * tells what is wrong with it. */
#ifndef GGUF_EXERCISE_H
#define GGUF_EXERCISE_H

#include "runtime/model/checkpoint.h"

enum kgen_test_exercised {
    KGEN_TEST_REFUSED,    /* it is no GGUF file, or no safetensors file */
    KGEN_TEST_NO_MODEL,   /* no config is made of it, or the config is no spec */
    KGEN_TEST_MISMATCHED, /* the model wants other tensors */
    KGEN_TEST_WHOLE
};

/* Opens the bytes, and reads all there is. Ends the program where an error says nothing, or what was accepted
 * does not hold: a tensor beyond the file, a whole model that cannot be read. error is zero. */
enum kgen_test_exercised kgen_test_exercise(const void *data, size_t size, struct kgen_error *error);
/* The same of a model's folder: the texts of its config.json and of its model.safetensors. */
enum kgen_test_exercised kgen_test_exercise_folder(const char *config, size_t config_length, const void *data,
                                                   size_t size, struct kgen_error *error);

#endif
