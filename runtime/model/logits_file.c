/* SPDX-License-Identifier: MIT */
#include "runtime/model/logits_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/base/file.h"

static const char magic[] = "_logits_";

enum {
    MAGIC_BYTES = sizeof magic - 1,
    HEADER_BYTES = MAGIC_BYTES + 12,
    SCALES = 4,    /* uint16 that a row's two floats take */
    STEPS = 65535, /* from the least log p of a row to the greatest */
    SPAN = 16,     /* of log p, that a row tells apart */
    VOCABULARY_MAX = 1 << 24,
    WINDOW_MAX = 1 << 20
};

struct kgen_logits_writer {
    FILE *file;
    struct kgen_text temporary;
    char *path;
    int32_t vocabulary;
    size_t row_length; /* in uint16 */
    uint16_t *row;
};

static size_t row_length(int32_t vocabulary)
{
    return SCALES + ((size_t)vocabulary + 1) / 2 * 2;
}

static int write_failed(const struct kgen_logits_writer *writer, struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_IO, writer->path, 0, 0, "the logits cannot be written: %s",
                          strerror(errno));
}

/* Little endian, as every machine that kgen runs on is. */
static int write_header(struct kgen_logits_writer *writer, int32_t window, int32_t windows,
                        const int32_t *ids, struct kgen_error *error)
{
    const int32_t sizes[] = {window, writer->vocabulary, windows};
    const size_t count = (size_t)window * (size_t)windows;
    if (fwrite(magic, 1, MAGIC_BYTES, writer->file) != MAGIC_BYTES ||
        fwrite(sizes, sizeof *sizes, KGEN_COUNT_OF(sizes), writer->file) != KGEN_COUNT_OF(sizes) ||
        fwrite(ids, sizeof *ids, count, writer->file) != count)
        return write_failed(writer, error);
    return 0;
}

struct kgen_logits_writer *kgen_logits_writer_new(const char *path, int32_t window, int32_t vocabulary,
                                                  int32_t windows, const int32_t *ids,
                                                  struct kgen_error *error)
{
    struct kgen_logits_writer *writer = calloc(1, sizeof *writer);
    uint16_t *row = calloc(row_length(vocabulary), sizeof *row);
    char *copy = strdup(path);
    if (writer == NULL || row == NULL || copy == NULL) {
        free(writer);
        free(row);
        free(copy);
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return NULL;
    }
    *writer = (struct kgen_logits_writer){
        .path = copy, .vocabulary = vocabulary, .row_length = row_length(vocabulary), .row = row};
    const int descriptor = kgen_file_create_temporary(path, &writer->temporary, error);
    if (descriptor >= 0 && (writer->file = fdopen(descriptor, "wb")) == NULL) {
        write_failed(writer, error);
        close(descriptor);
    }
    if (writer->file == NULL || write_header(writer, window, windows, ids, error) != 0) {
        kgen_logits_writer_free(writer);
        return NULL;
    }
    return writer;
}

int kgen_logits_writer_add(struct kgen_logits_writer *writer, const float *logits, struct kgen_error *error)
{
    const int32_t count = writer->vocabulary;
    float greatest = logits[0], least = logits[0];
    for (int32_t i = 1; i < count; i++) {
        greatest = fmaxf(greatest, logits[i]);
        least = fminf(least, logits[i]);
    }
    least = fmaxf(least, greatest - SPAN);
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += exp((double)logits[i] - (double)greatest);
    const float scales[] = {(greatest - least) / STEPS, (float)((double)least - (double)greatest - log(sum))};
    memcpy(writer->row, scales, sizeof scales);
    for (int32_t i = 0; i < count; i++) {
        const float above = logits[i] - least;
        writer->row[SCALES + i] = above > 0 ? (uint16_t)lrintf(above / scales[0]) : 0;
    }
    if (fwrite(writer->row, sizeof *writer->row, writer->row_length, writer->file) != writer->row_length)
        return write_failed(writer, error);
    return 0;
}

int kgen_logits_writer_finish(struct kgen_logits_writer *writer, struct kgen_error *error)
{
    FILE *file = writer->file;
    writer->file = NULL;
    if (fclose(file) != 0)
        return write_failed(writer, error);
    return kgen_file_place(&writer->temporary, writer->path, error);
}

void kgen_logits_writer_free(struct kgen_logits_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->file != NULL)
        fclose(writer->file);
    if (writer->temporary.length > 0)
        unlink(writer->temporary.data);
    kgen_text_free(&writer->temporary);
    free(writer->path);
    free(writer->row);
    free(writer);
}

/* ---- reading ---- */

static int32_t read_int(const unsigned char *bytes)
{
    int32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static int64_t rows_of_window(const struct kgen_logits_file *file)
{
    return file->window - 1 - file->window / 2;
}

static int not_logits(const char *path, const char *why, struct kgen_error *error)
{
    kgen_error_set(error, KGEN_ERROR_SPEC, path, 0, 0, "this is no whole file of logits: %s", why);
    kgen_error_hint(error, "kgen perplexity --save-logits FILE makes one, and llama-perplexity does");
    return -1;
}

static int check(struct kgen_logits_file *file, const char *path, struct kgen_error *error)
{
    const unsigned char *data = file->map.data;
    if (file->map.size < HEADER_BYTES || memcmp(data, magic, MAGIC_BYTES) != 0)
        return not_logits(path, "it does not begin with \"_logits_\" and three sizes", error);
    file->window = read_int(data + MAGIC_BYTES);
    file->vocabulary = read_int(data + MAGIC_BYTES + 4);
    file->windows = read_int(data + MAGIC_BYTES + 8);
    if (file->window < 2 || file->window > WINDOW_MAX || file->vocabulary < 1 ||
        file->vocabulary > VOCABULARY_MAX || file->windows < 1)
        return not_logits(path, "a size is out of range", error);
    const size_t ids = (size_t)file->window * (size_t)file->windows * sizeof(int32_t);
    const size_t row = row_length(file->vocabulary) * sizeof(uint16_t);
    const size_t rows = (size_t)rows_of_window(file) * (size_t)file->windows;
    const size_t rest = file->map.size - HEADER_BYTES;
    if (ids > rest || rest - ids != rows * row)
        return not_logits(path, "its length does not follow from its sizes", error);
    file->ids = data + HEADER_BYTES;
    file->rows = file->ids + ids;
    return 0;
}

int kgen_logits_file_open(struct kgen_logits_file *file, const char *path, struct kgen_error *error)
{
    if (kgen_file_map_open(path, &file->map, error) != 0)
        return -1;
    if (check(file, path, error) == 0)
        return 0;
    kgen_logits_file_close(file);
    return -1;
}

void kgen_logits_file_close(struct kgen_logits_file *file)
{
    kgen_file_map_close(&file->map);
    *file = (struct kgen_logits_file){0};
}

int32_t kgen_logits_file_id(const struct kgen_logits_file *file, int64_t index)
{
    return read_int(file->ids + index * (int64_t)sizeof(int32_t));
}

void kgen_logits_file_row(const struct kgen_logits_file *file, int64_t window, int64_t position,
                          double *log_p)
{
    const int64_t index = window * rows_of_window(file) + position - file->window / 2;
    const unsigned char *row = file->rows + (size_t)index * row_length(file->vocabulary) * sizeof(uint16_t);
    float scales[2];
    memcpy(scales, row, sizeof scales);
    for (int32_t i = 0; i < file->vocabulary; i++) {
        uint16_t step;
        memcpy(&step, row + sizeof scales + (size_t)i * sizeof step, sizeof step);
        log_p[i] = (double)scales[0] * step + (double)scales[1];
    }
}
