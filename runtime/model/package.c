/* SPDX-License-Identifier: MIT */
/* Reading packages. */
#include "runtime/model/package.h"
#include "gen/ops/layout.h"
#include "gen/ops/op.h"
#include "runtime/model/gguf_internal.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kgen_package {
    const struct kgen_gguf *gguf;
    struct kgen_package_facts facts;
    json_t *manifest; /* has the names */
    struct kgen_package_weights *weights;
    size_t weights_count;
    struct kgen_checkpoint_tensor *tensors;
    const struct kgen_checkpoint_tensor **by_name; /* sorted */
    size_t tensor_count;
};

static int fail(const struct kgen_package *package, struct kgen_error *error, const char *format, ...)
    KGEN_PRINTF(3, 4);

static int fail(const struct kgen_package *package, struct kgen_error *error, const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    kgen_error_set(error, KGEN_ERROR_SPEC, kgen_gguf_source(package->gguf), 0, 0, "the package %s", message);
    kgen_error_hint(error, "make it again from the checkpoint: kgen pack CHECKPOINT -o FILE");
    return -1;
}

static int fail_memory(const struct kgen_package *package, struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_gguf_source(package->gguf), 0, 0, "out of memory");
}

bool kgen_package_is(const struct kgen_gguf *gguf)
{
    return kgen_gguf_find(gguf, "kgen.package.version") != NULL;
}

/* ---- the header ---- */

static int check_version(const struct kgen_package *package, struct kgen_error *error)
{
    static const struct {
        const char *key, *what;
        int64_t version;
    } versions[] = {{"kgen.package.version", "has the version", KGEN_PACKAGE_VERSION},
                    {"kgen.package.layout", "is made for version", KGEN_LAYOUT_VERSION}};
    for (size_t i = 0; i < KGEN_COUNT_OF(versions); i++) {
        int64_t version = 0;
        if (kgen_gguf_integer(package->gguf, versions[i].key, &version, error) < 0)
            return -1;
        if (version != versions[i].version)
            return fail(package, error, "%s %lld%s, and this kgen reads %lld", versions[i].what,
                        (long long)version, i > 0 ? " of the layouts of weights" : "",
                        (long long)versions[i].version);
    }
    return 0;
}

/* The bytes of the hash itself count as zeros. */
static int check_hash(const struct kgen_package *package, struct kgen_error *error)
{
    static const unsigned char zeros[8];
    const struct kgen_gguf *gguf = package->gguf;
    const struct kgen_gguf_value *value = kgen_gguf_find(gguf, "kgen.package.hash");
    if (value == NULL || value->type != KGEN_GGUF_U64)
        return fail(package, error, "has no hash of its metadata");
    const unsigned char *end = value->data + sizeof zeros;
    uint64_t hash = kgen_hash(KGEN_HASH_START, gguf->data, (size_t)(value->data - gguf->data));
    hash = kgen_hash(hash, zeros, sizeof zeros);
    hash = kgen_hash(hash, end, gguf->data_begin - (size_t)(end - gguf->data));
    return hash == kgen_gguf_load(value->data, sizeof zeros)
               ? 0
               : fail(package, error, "is damaged: its metadata are not those that were written");
}

static int read_constant(const struct kgen_package *package, const char *key, enum kgen_constant *constant,
                         struct kgen_error *error)
{
    struct kgen_gguf_text text = {"", 0};
    char name[32] = "";
    if (kgen_gguf_string(package->gguf, key, &text, error) < 0)
        return -1;
    if (text.length < sizeof name)
        snprintf(name, sizeof name, "%.*s", (int)text.length, text.data);
    *constant = kgen_constant_find(name);
    return *constant != KGEN_CONSTANT_NONE ? 0 : fail(package, error, "has no \"%s\" that is known", key);
}

static int read_facts(struct kgen_package *package, struct kgen_error *error)
{
    struct kgen_package_facts *facts = &package->facts;
    struct kgen_gguf_text manifest = {"", 0};
    if (kgen_gguf_string(package->gguf, "kgen.package.made_by", &facts->made_by, error) < 0 ||
        kgen_gguf_string(package->gguf, "kgen.package.config", &facts->config, error) < 0 ||
        kgen_gguf_string(package->gguf, "kgen.package.weights", &manifest, error) < 0 ||
        read_constant(package, "kgen.package.activation_dtype", &facts->activation_dtype, error) != 0 ||
        read_constant(package, "kgen.package.layout_name", &facts->layout, error) != 0)
        return -1;
    package->manifest = json_loadb(manifest.data, manifest.length, JSON_REJECT_DUPLICATES, NULL);
    return json_is_array(package->manifest) ? 0 : fail(package, error, "has no list of weights");
}

/* ---- weights ---- */

void kgen_package_problem(struct kgen_problem *problem, const struct kgen_graph_weight *format,
                          int64_t experts, int64_t rows, int64_t columns, int64_t layout)
{
    kgen_problem_init(problem, kgen_op_find(experts > 0 ? "gather_qmv" : "qmv"));
    kgen_problem_set(problem, "experts", experts);
    kgen_problem_set(problem, "experts_per_token", 1);
    kgen_problem_set(problem, "N", experts > 0 ? rows / experts : rows);
    kgen_problem_set(problem, "K", columns);
    kgen_problem_set(problem, "bits", format->bits);
    kgen_problem_set(problem, "group_size", format->group_size);
    kgen_problem_set(problem, "scheme", format->scheme);
    kgen_problem_set(problem, "scale_dtype", format->scale_dtype);
    kgen_problem_set(problem, "layout", layout);
}

static int64_t constant_of(const json_t *object, const char *key)
{
    const char *name = json_string_value(json_object_get(object, key));
    return name != NULL ? (int64_t)kgen_constant_find(name) : KGEN_CONSTANT_NONE;
}

static int read_names(const struct kgen_package *package, const json_t *object,
                      struct kgen_package_weights *weights, int64_t *total, struct kgen_error *error)
{
    const json_t *names = json_object_get(object, "names"), *rows = json_object_get(object, "rows");
    weights->count = json_array_size(names);
    if (weights->count == 0 || weights->count > KGEN_PACKAGE_NAMES_MAX ||
        json_array_size(rows) != weights->count)
        return fail(package, error, "has weights with %zu names", weights->count);
    *total = 0;
    for (size_t i = 0; i < weights->count; i++) {
        weights->names[i] = json_string_value(json_array_get(names, i));
        weights->rows[i] = json_integer_value(json_array_get(rows, i));
        if (weights->names[i] == NULL || strlen(weights->names[i]) >= KGEN_CHECKPOINT_NAME_MAX ||
            weights->rows[i] < 1 || weights->rows[i] > KGEN_SIZE_MAX - *total)
            return fail(package, error, "has weights without a name, or without rows");
        *total += weights->rows[i];
    }
    return 0;
}

/* An array that must have so many bytes. */
static int read_array(const struct kgen_package *package, const json_t *object, size_t index, uint64_t bytes,
                      struct kgen_package_weights *weights, struct kgen_error *error)
{
    const char *name = json_string_value(json_array_get(json_object_get(object, "tensors"), index));
    const char *hash = json_string_value(json_array_get(json_object_get(object, "hashes"), index));
    const struct kgen_gguf_tensor *tensor = name != NULL ? kgen_gguf_find_tensor(package->gguf, name) : NULL;
    char *end = NULL;
    if (tensor == NULL || tensor->bytes != bytes || hash == NULL || strlen(hash) != 16)
        return fail(package, error, "lacks a part of %s, or it has another size", weights->names[0]);
    weights->hashes[index] = strtoull(hash, &end, 16);
    weights->arrays[index] = tensor;
    return *end == '\0' ? 0 : fail(package, error, "has no hash of a part of %s", weights->names[0]);
}

static int read_matrix(const struct kgen_package *package, const json_t *object, int64_t rows,
                       struct kgen_package_weights *weights, struct kgen_error *error)
{
    const struct kgen_graph_weight format = {.bits = json_integer_value(json_object_get(object, "bits")),
                                             .group_size =
                                                 json_integer_value(json_object_get(object, "group_size")),
                                             .scheme = constant_of(object, "mode"),
                                             .scale_dtype = constant_of(object, "scale_dtype")};
    struct kgen_error ignored = {0};
    weights->experts = json_integer_value(json_object_get(object, "experts"));
    if (weights->experts < 0 ||
        (weights->experts > 0 && (weights->count > 1 || rows % weights->experts != 0)))
        return fail(package, error, "has a matrix %s of %lld rows for %lld experts", weights->names[0],
                    (long long)rows, (long long)weights->experts);
    kgen_package_problem(&weights->problem, &format, weights->experts, rows,
                         json_integer_value(json_object_get(object, "columns")),
                         constant_of(object, "layout"));
    const struct kgen_format *row = kgen_format_find(format.scheme);
    if (row == NULL || kgen_problem_check(&weights->problem, NULL, 0, 0, &ignored) != 0)
        return fail(package, error, "has a matrix %s of a format that is not known", weights->names[0]);
    snprintf(weights->type, sizeof weights->type, "%s %lld-bit %s", kgen_constant_name(format.scheme),
             (long long)format.bits, kgen_constant_name(kgen_problem_get(&weights->problem, "layout")));
    struct kgen_buffers buffers;
    kgen_problem_buffers(&weights->problem, &buffers);
    size_t next = 0;
    for (size_t i = 0; i < buffers.count; i++) {
        const int array = buffers.items[i].array;
        if (array < 0)
            continue;
        if (read_array(package, object, next, buffers.items[i].bytes, weights, error) != 0)
            return -1;
        /* The parts that a matrix has come one after the other. */
        if ((size_t)array != next++)
            return fail(package, error, "has a matrix %s of a format that is not known", weights->names[0]);
    }
    return 0;
}

static int read_weights(struct kgen_package *package, struct kgen_error *error)
{
    const size_t count = json_array_size(package->manifest);
    package->weights = calloc(count + 1, sizeof *package->weights);
    if (package->weights == NULL)
        return fail_memory(package, error);
    for (size_t i = 0; i < count; i++) {
        const json_t *object = json_array_get(package->manifest, i);
        struct kgen_package_weights *weights = &package->weights[package->weights_count++];
        int64_t rows = 0;
        if (read_names(package, object, weights, &rows, error) != 0)
            return -1;
        weights->vector = json_object_get(object, "columns") == NULL;
        snprintf(weights->type, sizeof weights->type, "F32");
        if (weights->vector ? read_array(package, object, 0, (uint64_t)rows * sizeof(float), weights, error)
                            : read_matrix(package, object, rows, weights, error))
            return -1;
        package->tensor_count += weights->count;
    }
    return 0;
}

/* ---- tensors ---- */

static void describe(const struct kgen_package_weights *weights, size_t index, int64_t first,
                     struct kgen_checkpoint_tensor *tensor)
{
    const int64_t rows = weights->rows[index];
    *tensor =
        (struct kgen_checkpoint_tensor){.stored_name = {weights->names[index], strlen(weights->names[index])},
                                        .type = weights->type,
                                        .rank = weights->vector ? 1 : 2,
                                        .shape = {rows},
                                        .elements = rows,
                                        .data = weights->arrays[0]->data};
    snprintf(tensor->name, sizeof tensor->name, "%s", weights->names[index]);
    if (weights->vector) {
        tensor->bytes = (uint64_t)rows * sizeof(float);
        tensor->data += first * (int64_t)sizeof(float);
        tensor->dtype = KGEN_F32;
        tensor->plain = true;
        return;
    }
    kgen_problem_matrix(&weights->problem, NULL, &tensor->matrix);
    tensor->packed = weights;
    tensor->first_row = first;
    tensor->matrix.N = rows;
    tensor->elements = rows * tensor->matrix.K;
    if (weights->experts > 0) {
        tensor->shape[tensor->rank - 1] = rows / weights->experts;
        tensor->shape[0] = weights->experts;
        tensor->rank = 3;
    }
    tensor->shape[tensor->rank - 1] = tensor->matrix.K;
    for (size_t i = 0; i < tensor->matrix.format->array_count && weights->arrays[i] != NULL; i++) {
        tensor->arrays[i] = weights->arrays[i]->data;
        tensor->bytes += (uint64_t)(rows * tensor->matrix.format->arrays[i].row_bytes(&tensor->matrix));
    }
}

static int compare_tensors(const void *a, const void *b)
{
    const struct kgen_checkpoint_tensor *const *one = a, *const *other = b;
    return strcmp((*one)->name, (*other)->name);
}

static int describe_all(struct kgen_package *package, struct kgen_error *error)
{
    package->tensors = calloc(package->tensor_count + 1, sizeof *package->tensors);
    package->by_name = calloc(package->tensor_count + 1, sizeof *package->by_name);
    if (package->tensors == NULL || package->by_name == NULL)
        return fail_memory(package, error);
    size_t at = 0;
    for (size_t i = 0; i < package->weights_count; i++) {
        int64_t first = 0;
        for (size_t j = 0; j < package->weights[i].count; j++, at++) {
            describe(&package->weights[i], j, first, &package->tensors[at]);
            package->by_name[at] = &package->tensors[at];
            first += package->weights[i].rows[j];
        }
    }
    qsort(package->by_name, at, sizeof *package->by_name, compare_tensors);
    for (size_t i = 1; i < at; i++) {
        if (strcmp(package->by_name[i - 1]->name, package->by_name[i]->name) == 0)
            return fail(package, error, "has %s twice", package->by_name[i]->name);
    }
    return 0;
}

/* ---- opening ---- */

struct kgen_package *kgen_package_read(const struct kgen_gguf *gguf, struct kgen_error *error)
{
    struct kgen_package *package = calloc(1, sizeof *package);
    if (package == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_gguf_source(gguf), 0, 0, "out of memory");
        return NULL;
    }
    package->gguf = gguf;
    if (check_version(package, error) == 0 && check_hash(package, error) == 0 &&
        read_facts(package, error) == 0 && read_weights(package, error) == 0 &&
        describe_all(package, error) == 0)
        return package;
    kgen_package_free(package);
    return NULL;
}

void kgen_package_free(struct kgen_package *package)
{
    if (package == NULL)
        return;
    json_decref(package->manifest);
    free(package->weights);
    free(package->tensors);
    free(package->by_name);
    free(package);
}

size_t kgen_package_weights_count(const struct kgen_package *package)
{
    return package->weights_count;
}

const struct kgen_package_weights *kgen_package_weights_at(const struct kgen_package *package, size_t index)
{
    return &package->weights[index];
}

void kgen_package_query(const struct kgen_package *package, struct kgen_package_facts *facts)
{
    *facts = package->facts;
}

size_t kgen_package_tensor_count(const struct kgen_package *package)
{
    return package->tensor_count;
}

const struct kgen_checkpoint_tensor *kgen_package_tensor_at(const struct kgen_package *package, size_t index)
{
    return &package->tensors[index];
}

const struct kgen_checkpoint_tensor *kgen_package_tensor_find(const struct kgen_package *package,
                                                              const char *name)
{
    size_t begin = 0, end = package->tensor_count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        const int order = strcmp(name, package->by_name[middle]->name);
        if (order == 0)
            return package->by_name[middle];
        if (order < 0)
            end = middle;
        else
            begin = middle + 1;
    }
    return NULL;
}

/* ---- the weights' bytes ---- */

static int check_array(const struct kgen_package *package, const struct kgen_package_weights *weights,
                       size_t array, struct kgen_error *error)
{
    const struct kgen_gguf_tensor *tensor = weights->arrays[array];
    char name[80];
    if (kgen_hash(KGEN_HASH_START, tensor->data, (size_t)tensor->bytes) == weights->hashes[array])
        return 0;
    return fail(package, error, "is damaged: the tensor %s does not have the bytes that were written",
                kgen_gguf_show(tensor->name, name, sizeof name));
}

int kgen_package_check(const struct kgen_package *package,
                       int (*progress)(void *context, uint64_t done, uint64_t bytes), void *context,
                       struct kgen_error *error)
{
    uint64_t done = 0;
    const uint64_t bytes = kgen_gguf_size(package->gguf);
    for (size_t i = 0; i < package->weights_count; i++) {
        const struct kgen_package_weights *weights = &package->weights[i];
        for (size_t j = 0; j < KGEN_FORMAT_ARRAYS_MAX && weights->arrays[j] != NULL; j++) {
            if (check_array(package, weights, j, error) != 0)
                return -1;
            done += weights->arrays[j]->bytes;
            if (progress != NULL && progress(context, done, bytes) != 0)
                return -1;
        }
    }
    return 0;
}
