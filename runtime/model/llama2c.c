/* SPDX-License-Identifier: MIT */
#include "runtime/model/llama2c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/model/gguf.h"

enum { HEADER = 28, COLUMNS = 32, ALIGNMENT = 32, LAYERS_MAX = 1 << 10, SIZE_MOST = 1 << 24 };

struct shape {
    int64_t dim, hidden, layers, heads, kv_heads, vocabulary, positions;
    int64_t kv, padded; /* rows of k and v; hidden, as a multiple of COLUMNS */
    bool tied;
};

/* ---- the file ---- */

static bool read_shape(const unsigned char *data, size_t size, struct shape *shape)
{
    int32_t header[HEADER / 4];
    if (size < HEADER)
        return false;
    memcpy(header, data, HEADER);
    *shape = (struct shape){.dim = header[0],
                            .hidden = header[1],
                            .layers = header[2],
                            .heads = header[3],
                            .kv_heads = header[4],
                            .vocabulary = llabs(header[5]),
                            .positions = header[6],
                            .tied = header[5] > 0};
    const int64_t numbers[] = {shape->dim,      shape->hidden,     shape->layers,   shape->heads,
                               shape->kv_heads, shape->vocabulary, shape->positions};
    for (size_t i = 0; i < KGEN_COUNT_OF(numbers); i++) {
        if (numbers[i] < 1 || numbers[i] > SIZE_MOST)
            return false;
    }
    shape->padded = (shape->hidden + COLUMNS - 1) / COLUMNS * COLUMNS;
    if (shape->layers > LAYERS_MAX || shape->dim % shape->heads != 0 || shape->heads % shape->kv_heads != 0 ||
        shape->dim / shape->heads % 2 != 0)
        return false;
    shape->kv = shape->dim / shape->heads * shape->kv_heads;
    return true;
}

/* What the file holds, in its order. The names are GGUF's; % stands for the layer. NULL: passed over. */
struct part {
    const char *name;
    bool layered;
    int64_t rows, columns; /* of one; rows 0: a vector */
    int64_t padded_rows, padded_columns;
};

enum { PARTS = 13 };

/* Returns how many there are. */
static size_t list_parts(const struct shape *s, struct part parts[PARTS])
{
    const struct part all[PARTS] = {
        {"token_embd.weight", false, s->vocabulary, s->dim, s->vocabulary, s->dim},
        {"blk.%.attn_norm.weight", true, 0, s->dim, 0, s->dim},
        {"blk.%.attn_q.weight", true, s->dim, s->dim, s->dim, s->dim},
        {"blk.%.attn_k.weight", true, s->kv, s->dim, s->kv, s->dim},
        {"blk.%.attn_v.weight", true, s->kv, s->dim, s->kv, s->dim},
        {"blk.%.attn_output.weight", true, s->dim, s->dim, s->dim, s->dim},
        {"blk.%.ffn_norm.weight", true, 0, s->dim, 0, s->dim},
        {"blk.%.ffn_gate.weight", true, s->hidden, s->dim, s->padded, s->dim},
        {"blk.%.ffn_down.weight", true, s->dim, s->hidden, s->dim, s->padded},
        {"blk.%.ffn_up.weight", true, s->hidden, s->dim, s->padded, s->dim},
        {"output_norm.weight", false, 0, s->dim, 0, s->dim},
        {NULL, false, s->positions, s->dim / s->heads, 0, 0},
        {"output.weight", false, s->vocabulary, s->dim, s->vocabulary, s->dim},
    };
    memcpy(parts, all, sizeof all);
    return s->tied ? PARTS - 1 : PARTS;
}

static int64_t count_of(int64_t rows, int64_t columns)
{
    return (rows > 0 ? rows : 1) * columns;
}

static bool open_shape(const void *data, size_t size, struct shape *shape)
{
    struct part parts[PARTS];
    if (!read_shape(data, size, shape))
        return false;
    /* No product exceeds 2^58, and what is too much ends the sum. */
    const size_t count = list_parts(shape, parts);
    int64_t floats = 0;
    for (size_t i = 0; i < count && floats <= INT64_C(1) << 58; i++)
        floats += count_of(parts[i].rows, parts[i].columns) * (parts[i].layered ? shape->layers : 1);
    return floats <= INT64_C(1) << 58 && (uint64_t)size == HEADER + 4 * (uint64_t)floats;
}

bool kgen_llama2c_is(const void *data, size_t size)
{
    struct shape shape;
    return open_shape(data, size, &shape);
}

/* ---- the image ---- */

static void put(struct kgen_text *image, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const char byte = (char)(unsigned char)(number >> (8 * i));
        kgen_text_append(image, &byte, 1);
    }
}

static void put_string(struct kgen_text *image, const char *string)
{
    put(image, strlen(string), 8);
    kgen_text_puts(image, string);
}

static void put_zeros(struct kgen_text *image, int64_t bytes)
{
    static const char zeros[256];
    for (; bytes > 0; bytes -= (int64_t)sizeof zeros)
        kgen_text_append(image, zeros, bytes < (int64_t)sizeof zeros ? (size_t)bytes : sizeof zeros);
}

static size_t put_metadata(const struct shape *shape, struct kgen_text *image)
{
    const struct {
        const char *key;
        int64_t integer; /* -1: the real */
        float real;
    } values[] = {
        {"llama.embedding_length", shape->dim, 0},
        {"llama.feed_forward_length", shape->padded, 0},
        {"llama.block_count", shape->layers, 0},
        {"llama.attention.head_count", shape->heads, 0},
        {"llama.attention.head_count_kv", shape->kv_heads, 0},
        {"llama.context_length", shape->positions, 0},
        {"llama.attention.layer_norm_rms_epsilon", -1, 1e-5f},
        {"llama.rope.freq_base", -1, 10000},
    };
    put_string(image, "general.architecture");
    put(image, KGEN_GGUF_STRING, 4);
    put_string(image, "llama");
    put_string(image, "general.description");
    put(image, KGEN_GGUF_STRING, 4);
    put_string(image, "from a checkpoint of llama2.c");
    for (size_t i = 0; i < KGEN_COUNT_OF(values); i++) {
        uint32_t bits = (uint32_t)values[i].integer;
        if (values[i].integer < 0)
            memcpy(&bits, &values[i].real, 4);
        put_string(image, values[i].key);
        put(image, values[i].integer < 0 ? KGEN_GGUF_F32 : KGEN_GGUF_U32, 4);
        put(image, bits, 4);
    }
    return KGEN_COUNT_OF(values) + 2;
}

static int64_t image_bytes(const struct part *part)
{
    const int64_t bytes = 4 * count_of(part->padded_rows, part->padded_columns);
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Describes the tensors of a part. */
static void put_infos(const struct shape *shape, const struct part *part, int64_t *offset,
                      struct kgen_text *image)
{
    for (int64_t i = 0; i < (part->layered ? shape->layers : 1); i++) {
        char name[64];
        const size_t before = strcspn(part->name, "%");
        if (part->layered)
            snprintf(name, sizeof name, "%.*s%lld%s", (int)before, part->name, (long long)i,
                     part->name + before + 1);
        else
            snprintf(name, sizeof name, "%s", part->name);
        put_string(image, name);
        put(image, part->rows > 0 ? 2 : 1, 4);
        put(image, (uint64_t)part->padded_columns, 8);
        if (part->rows > 0)
            put(image, (uint64_t)part->padded_rows, 8);
        put(image, KGEN_GGUF_TENSOR_F32, 4);
        put(image, (uint64_t)*offset, 8);
        *offset += image_bytes(part);
    }
}

/* Copies the tensors of a part from data. */
static void put_floats(const struct shape *shape, const struct part *part, const char *data,
                       struct kgen_text *image)
{
    for (int64_t i = 0; i < (part->layered ? shape->layers : 1); i++) {
        const size_t begin = image->length;
        for (int64_t row = 0; row < (part->rows > 0 ? part->rows : 1); row++) {
            kgen_text_append(image, data, 4 * (size_t)part->columns);
            put_zeros(image, 4 * (part->padded_columns - part->columns));
            data += 4 * part->columns;
        }
        put_zeros(image, image_bytes(part) - (int64_t)(image->length - begin));
        if (image->failed)
            return;
    }
}

int kgen_llama2c_convert(const char *source, const void *data, size_t size, struct kgen_text *image,
                         struct kgen_error *error)
{
    struct shape shape;
    struct part parts[PARTS];
    struct kgen_text values = {0};
    uint64_t tensors = 0;
    int64_t offset = 0;
    if (!open_shape(data, size, &shape))
        return kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "this is no checkpoint of llama2.c");
    const size_t count = list_parts(&shape, parts), value_count = put_metadata(&shape, &values);
    for (size_t i = 0; i < count; i++)
        tensors += parts[i].name == NULL ? 0 : parts[i].layered ? (uint64_t)shape.layers : 1;
    kgen_text_puts(image, "GGUF");
    put(image, 3, 4);
    put(image, tensors, 8);
    put(image, value_count, 8);
    kgen_text_append(image, values.data, values.length);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].name != NULL)
            put_infos(&shape, &parts[i], &offset, image);
    }
    put_zeros(image, (int64_t)(-image->length % ALIGNMENT));
    const char *at = (const char *)data + HEADER;
    for (size_t i = 0; i < count && !image->failed; i++) {
        if (parts[i].name != NULL)
            put_floats(&shape, &parts[i], at, image);
        at += 4 * count_of(parts[i].rows, parts[i].columns) * (parts[i].layered ? shape.layers : 1);
    }
    const bool failed = values.failed || image->failed;
    kgen_text_free(&values);
    return failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory") : 0;
}

int kgen_llama2c_read(const char *path, struct kgen_text *image, struct kgen_error *error)
{
    struct stat status;
    int result = 0;
    /* Not to wait for the other end of a pipe. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return 0;
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= HEADER) {
        const size_t size = (size_t)status.st_size;
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data != MAP_FAILED) {
            if (kgen_llama2c_is(data, size))
                result = kgen_llama2c_convert(path, data, size, image, error) == 0 ? 1 : -1;
            munmap(data, size);
        }
    }
    close(descriptor);
    return result;
}
