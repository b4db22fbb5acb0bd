/* SPDX-License-Identifier: MIT */
#include "runtime/model/package_internal.h"

#include "gen/base/file.h"
#include "gen/ops/layout.h"
#include "runtime/process/team.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rows that are read, quantised and packed at once: a multiple of those of a tile. */
enum { CHUNK_ROWS = 1024 };

struct writing {
    struct kgen_package_plan plan;
    struct kgen_text header;
    const char *path; /* for errors */
    int descriptor;
    uint64_t done;
    struct kgen_team *team;
    struct kgen_package_summary summary;
    struct kgen_error *error;
};

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the weights");
}

static int write_at(const struct writing *writing, const void *data, size_t length, uint64_t offset)
{
    const char *at = data;
    while (length > 0) {
        const ssize_t written = pwrite(writing->descriptor, at, length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return kgen_error_set(writing->error, KGEN_ERROR_IO, writing->path, 0, 0,
                                  "cannot write the package: %s", strerror(errno));
        at += written;
        offset += (uint64_t)written;
        length -= (size_t)written;
    }
    return 0;
}

/* Appends bytes to an array, of which there are so many already. */
static int write_array(struct writing *writing, struct kgen_package_array *array, const void *data,
                       size_t length, uint64_t before)
{
    const struct kgen_package_parts *parts = writing->plan.parts;
    array->hash = kgen_hash(array->hash, data, length);
    if (write_at(writing, data, length, writing->header.length + array->offset + before) != 0)
        return -1;
    writing->done += length;
    return parts->progress == NULL
               ? 0
               : parts->progress(parts->progress_context, writing->done, writing->plan.data_bytes);
}

/* ---- matrices ---- */

/* Some rows of an item, as checkpoints have them. */
struct chunk {
    const struct writing *writing;
    const struct kgen_package_item *item;
    int64_t begin, end;
    struct kgen_matrix rows;   /* owns its arrays */
    struct kgen_error *errors; /* of each part */
};

/* Quantises row `row` of a plain tensor to row `at`. values has room for 3 * K doubles, bytes for a row. */
static int quantise_row(const struct chunk *chunk, const struct kgen_graph_weight *weight,
                        struct kgen_matrix *plain, int64_t row, int64_t at, double *values,
                        struct kgen_error *error)
{
    const int64_t K = plain->K;
    float *floats = (float *)(void *)(values + 2 * K);
    if (kgen_checkpoint_matrix(chunk->writing->plan.parts->checkpoint, weight->name, row, row + 1, plain, 0,
                               error) != 0)
        return -1;
    plain->format->decode(plain, 0, 0, K, values, values + K);
    for (int64_t i = 0; i < K; i++)
        floats[i] = (float)values[i];
    chunk->rows.format->quantise(&chunk->rows, at, floats);
    return 0;
}

static int quantise_rows(const struct chunk *chunk, const struct kgen_graph_weight *weight,
                         const struct kgen_matrix *format, int64_t from, int64_t to, int64_t at,
                         struct kgen_error *error)
{
    struct kgen_matrix plain = *format;
    plain.N = 1;
    double *values = malloc((size_t)plain.K * 3 * sizeof *values);
    plain.arrays[0] = malloc((size_t)plain.format->arrays[0].row_bytes(&plain));
    int result = values == NULL || plain.arrays[0] == NULL ? fail_memory(error) : 0;
    for (int64_t row = from; row < to && result == 0; row++)
        result = quantise_row(chunk, weight, &plain, row, at + row - from, values, error);
    free(values);
    free(plain.arrays[0]);
    return result;
}

/* Whether the tensor has the bytes that are wanted. */
static bool is_kept(const struct kgen_matrix *stored, const struct kgen_matrix *wanted)
{
    return stored->format == wanted->format && stored->bits == wanted->bits &&
           stored->group_size == wanted->group_size && stored->scale_dtype == wanted->scale_dtype;
}

/* Reads rows begin to end of the item to rows at and on of the chunk. */
static int read_rows(const struct chunk *chunk, int64_t begin, int64_t end, int64_t at,
                     struct kgen_error *error)
{
    const struct kgen_checkpoint *checkpoint = chunk->writing->plan.parts->checkpoint;
    int64_t first = 0;
    for (size_t i = 0; i < chunk->item->count; i++) {
        const struct kgen_graph_weight *weight = chunk->item->weights[i];
        const int64_t count = kgen_package_rows(weight);
        const int64_t from = begin > first ? begin - first : 0;
        const int64_t to = end < first + count ? end - first : count;
        const int64_t place = at + first + from - begin;
        struct kgen_checkpoint_tensor tensor;
        first += count;
        if (from >= to || !kgen_checkpoint_find(checkpoint, weight->name, &tensor))
            continue; /* the plan has found all */
        const int result =
            is_kept(&tensor.matrix, &chunk->rows)
                ? kgen_checkpoint_matrix(checkpoint, weight->name, from, to, &chunk->rows, place, error)
                : quantise_rows(chunk, weight, &tensor.matrix, from, to, place, error);
        if (result != 0)
            return -1;
        kgen_checkpoint_let_go(checkpoint, weight->name, from, to);
    }
    return 0;
}

static void read_part(void *context, size_t part, size_t parts)
{
    const struct chunk *chunk = context;
    const int64_t count = chunk->end - chunk->begin;
    const int64_t begin = count * (int64_t)part / (int64_t)parts;
    const int64_t end = count * ((int64_t)part + 1) / (int64_t)parts;
    if (begin < end)
        read_rows(chunk, chunk->begin + begin, chunk->begin + end, begin, &chunk->errors[part]);
}

static int read_chunk(struct chunk *chunk, struct kgen_error *error)
{
    const struct kgen_matrix *rows = &chunk->rows;
    const size_t threads = kgen_team_threads(chunk->writing->team);
    /* Quantisers set bits of zeros. */
    for (size_t i = 0; i < rows->format->array_count; i++)
        memset(rows->arrays[i], 0, (size_t)(rows->format->arrays[i].row_bytes(rows) * rows->N));
    memset(chunk->errors, 0, threads * sizeof *chunk->errors);
    kgen_team_run(chunk->writing->team, read_part, chunk);
    for (size_t i = 0; i < threads; i++) {
        if (chunk->errors[i].code == KGEN_ERROR_NONE)
            continue;
        if (error != NULL && error->code == KGEN_ERROR_NONE)
            *error = chunk->errors[i];
        return -1;
    }
    return 0;
}

/* Packs the rows of a chunk, whole tiles of one matrix, and writes them. */
static int write_chunk(struct writing *writing, struct kgen_package_item *item, const struct chunk *chunk,
                       unsigned char *packed)
{
    struct kgen_problem problem = item->problem;
    const int64_t N = kgen_problem_get(&problem, "N");
    const int64_t before =
        chunk->begin / N * (kgen_layout_rows(&problem) / kgen_problem_matrices(&problem)) + chunk->begin % N;
    size_t next = 0;
    kgen_problem_set(&problem, "N", chunk->end - chunk->begin);
    kgen_problem_set(&problem, "experts", 1);
    for (size_t i = 0; i < chunk->rows.format->array_count; i++) {
        const int64_t row_bytes = chunk->rows.format->arrays[i].row_bytes(&chunk->rows);
        if (row_bytes == 0)
            continue;
        kgen_layout_pack(&problem, (int)i, chunk->rows.arrays[i], packed);
        if (write_array(writing, &item->arrays[next++], packed,
                        (size_t)(row_bytes * kgen_layout_rows(&problem)),
                        (uint64_t)(row_bytes * before)) != 0)
            return -1;
    }
    return 0;
}

/* Allocates rows, and gives the bytes of the largest array of them. */
static int allocate_rows(struct kgen_matrix *rows, size_t *largest, struct kgen_error *error)
{
    *largest = 1;
    for (size_t i = 0; i < rows->format->array_count; i++) {
        const size_t bytes = (size_t)(rows->format->arrays[i].row_bytes(rows) * rows->N);
        *largest = bytes > *largest ? bytes : *largest;
        rows->arrays[i] = malloc(bytes + 1);
        if (rows->arrays[i] == NULL)
            return fail_memory(error);
    }
    return 0;
}

static int write_matrix(struct writing *writing, struct kgen_package_item *item)
{
    struct chunk chunk = {.writing = writing, .item = item};
    size_t largest = 0;
    kgen_problem_matrix(&item->problem, NULL, &chunk.rows);
    chunk.rows.N = CHUNK_ROWS;
    chunk.errors = calloc(kgen_team_threads(writing->team), sizeof *chunk.errors);
    int result = chunk.errors == NULL ? fail_memory(writing->error)
                                      : allocate_rows(&chunk.rows, &largest, writing->error);
    unsigned char *packed = result == 0 ? malloc(largest) : NULL;
    if (result == 0 && packed == NULL)
        result = fail_memory(writing->error);
    const int64_t N = kgen_problem_get(&item->problem, "N"); /* of each expert */
    for (; chunk.begin < item->rows && result == 0; chunk.begin = chunk.end) {
        const int64_t left = N - chunk.begin % N;
        chunk.end = chunk.begin + (left < CHUNK_ROWS ? left : CHUNK_ROWS);
        result = read_chunk(&chunk, writing->error);
        if (result == 0)
            result = write_chunk(writing, item, &chunk, packed);
    }
    for (size_t i = 0; i < chunk.rows.format->array_count; i++)
        free(chunk.rows.arrays[i]);
    free(chunk.errors);
    free(packed);
    return result;
}

/* ---- vectors ---- */

static int write_vector(struct writing *writing, struct kgen_package_item *item)
{
    float *values = malloc((size_t)item->rows * sizeof *values);
    int result = values == NULL ? fail_memory(writing->error) : 0;
    int64_t at = 0;
    for (size_t i = 0; i < item->count && result == 0; i++) {
        const int64_t count = item->weights[i]->shape[0];
        result = kgen_checkpoint_values(writing->plan.parts->checkpoint, item->weights[i]->name, values + at,
                                        count, writing->error);
        at += count;
    }
    if (result == 0)
        result = write_array(writing, &item->arrays[0], values, (size_t)item->rows * sizeof *values, 0);
    free(values);
    return result;
}

/* ---- the file ---- */

static void summarise(struct writing *writing)
{
    for (size_t i = 0; i < writing->plan.count; i++) {
        const struct kgen_package_item *item = &writing->plan.items[i];
        *(item->vector ? &writing->summary.vectors : &writing->summary.matrices) += item->count;
        for (size_t j = 0; j < item->count && !item->vector; j++) {
            struct kgen_checkpoint_tensor tensor;
            struct kgen_matrix wanted;
            kgen_problem_matrix(&item->problem, NULL, &wanted);
            if (kgen_checkpoint_find(writing->plan.parts->checkpoint, item->weights[j]->name, &tensor) &&
                !is_kept(&tensor.matrix, &wanted))
                writing->summary.quantised++;
        }
    }
    writing->summary.bytes = writing->header.length + writing->plan.data_bytes;
}

/* Writes the data, then the header, which has their hashes. */
static int write_all(struct writing *writing)
{
    if (kgen_package_header(&writing->plan, &writing->header, writing->error) != 0)
        return -1;
    summarise(writing);
    if (ftruncate(writing->descriptor, (off_t)writing->summary.bytes) != 0)
        return kgen_error_set(writing->error, KGEN_ERROR_IO, writing->path, 0, 0,
                              "cannot write the package: %s", strerror(errno));
    for (size_t i = 0; i < writing->plan.count; i++) {
        struct kgen_package_item *item = &writing->plan.items[i];
        for (size_t j = 0; j < item->array_count; j++)
            item->arrays[j].hash = KGEN_HASH_START;
        if ((item->vector ? write_vector(writing, item) : write_matrix(writing, item)) != 0)
            return -1;
    }
    return kgen_package_header(&writing->plan, &writing->header, writing->error) != 0
               ? -1
               : write_at(writing, writing->header.data, writing->header.length, 0);
}

/* Closes the file, whose data have reached the disk, and puts it in place; or removes it. */
static int place_file(struct writing *writing, struct kgen_text *name, int result)
{
    if (result == 0 && fsync(writing->descriptor) != 0)
        result = kgen_error_set(writing->error, KGEN_ERROR_IO, writing->path, 0, 0,
                                "cannot write the package: %s", strerror(errno));
    if (close(writing->descriptor) != 0 && result == 0)
        result = kgen_error_set(writing->error, KGEN_ERROR_IO, writing->path, 0, 0,
                                "cannot write the package: %s", strerror(errno));
    if (result == 0)
        result = kgen_file_place(name, writing->path, writing->error);
    if (result != 0)
        unlink(name->data);
    return result;
}

int kgen_package_write(const char *path, const struct kgen_package_parts *parts,
                       struct kgen_package_summary *summary, struct kgen_error *error)
{
    struct writing writing = {.plan = {.parts = parts}, .path = path, .error = error};
    struct kgen_text name = {0};
    int result = kgen_package_plan(&writing.plan, error);
    if (result == 0) {
        writing.team = kgen_team_new(parts->threads, error);
        writing.descriptor = writing.team != NULL ? kgen_file_create_temporary(path, &name, error) : -1;
        result = writing.descriptor < 0 ? -1 : place_file(&writing, &name, write_all(&writing));
    }
    *summary = writing.summary;
    kgen_team_free(writing.team);
    kgen_text_free(&writing.header);
    kgen_text_free(&name);
    free(writing.plan.items);
    return result;
}
