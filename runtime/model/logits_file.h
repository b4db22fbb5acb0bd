/* SPDX-License-Identifier: MIT */
/* The logits that a model gave along a text, in a file: llama-perplexity's, which its --kl-divergence-base
 * names, so that models can be held against each other across programs. Little endian:
 *
 *     char magic[8] "_logits_"; int32 window, vocabulary, windows; int32 ids[windows][window];
 *     then, for each window, a row for each position from window / 2 to window - 2:
 *     float scale, least; uint16 steps[vocabulary rounded up to even]
 *
 * log p of a token is scale * steps + least; a token whose log p is more than 16 below the greatest is
 * written as the least. A file is for one thread at a time. */
#ifndef KGEN_LOGITS_FILE_H
#define KGEN_LOGITS_FILE_H

#include "runtime/model/file_map.h"

struct kgen_logits_writer;

/* Begins a file beside path, under a temporary name, for the windows of these ids, one after the other. NULL
 * on error: KGEN_ERROR_IO or KGEN_ERROR_MEMORY. */
struct kgen_logits_writer *kgen_logits_writer_new(const char *path, int32_t window, int32_t vocabulary,
                                                  int32_t windows, const int32_t *ids,
                                                  struct kgen_error *error);
/* Appends the row of a position: logits of the vocabulary, which are numbers. */
int kgen_logits_writer_add(struct kgen_logits_writer *writer, const float *logits, struct kgen_error *error);
/* Gives the file its name. A writer that is freed without has written nothing. */
int kgen_logits_writer_finish(struct kgen_logits_writer *writer, struct kgen_error *error);
void kgen_logits_writer_free(struct kgen_logits_writer *writer);

struct kgen_logits_file {
    int32_t window, vocabulary, windows;
    const unsigned char *ids, *rows; /* in map */
    struct kgen_file_map map;
};

/* Maps a file and checks that it is whole. KGEN_ERROR_SPEC where it is none of these. Zero-initialise it. */
int kgen_logits_file_open(struct kgen_logits_file *file, const char *path, struct kgen_error *error);
void kgen_logits_file_close(struct kgen_logits_file *file);
/* The id at an index, 0 to windows * window - 1. */
int32_t kgen_logits_file_id(const struct kgen_logits_file *file, int64_t index);
/* Writes log p of each token of the vocabulary at a position, window / 2 to window - 2, of a window. */
void kgen_logits_file_row(const struct kgen_logits_file *file, int64_t window, int64_t position,
                          double *log_p);

#endif
