/* SPDX-License-Identifier: MIT */
/* The tensors of a model's folder: plain ones, and matrices that MLX packed, which are several tensors:
 * "X.weight" of uint32, "X.scales" and, in the mode affine, "X.biases". */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/grouped.h"
#include "runtime/model/checkpoint_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The defaults are MLX's. */
enum { BITS_MAX = 8, BITS_DEFAULT = 4, GROUP_DEFAULT = 64, GROUP_MAX = 1 << 20 };

/* A tensor of a file. */
struct stored {
    const struct kgen_safetensors_tensor *tensor;
    const struct kgen_safetensors *file;
};

struct describer {
    struct kgen_checkpoint_folder *folder;
    struct stored *stored; /* sorted by name */
    size_t count;
    const json_t *quantization; /* of the config, or NULL */
    struct kgen_error *error;
};

static int compare_stored(const void *a, const void *b)
{
    const struct stored *one = a, *other = b;
    return strcmp(one->tensor->name, other->tensor->name);
}

static const struct stored *find_stored(const struct describer *describer, const char *name)
{
    const struct kgen_safetensors_tensor wanted = {.name = name};
    const struct stored key = {.tensor = &wanted};
    return describer->count == 0 ? NULL
                                 : bsearch(&key, describer->stored, describer->count,
                                           sizeof *describer->stored, compare_stored);
}

static int fail(const struct describer *describer, const struct stored *stored, const char *format, ...)
    KGEN_PRINTF(3, 4);

static int fail(const struct describer *describer, const struct stored *stored, const char *format, ...)
{
    char shown[KGEN_CHECKPOINT_NAME_MAX];
    struct kgen_text message = {0};
    va_list arguments;
    const char *name = stored->tensor->name;
    kgen_text_printf(&message, "the tensor %s ",
                     kgen_gguf_show((struct kgen_gguf_text){name, strlen(name)}, shown, sizeof shown));
    va_start(arguments, format);
    kgen_text_vprintf(&message, format, arguments);
    va_end(arguments);
    kgen_error_set(describer->error, KGEN_ERROR_SPEC, kgen_safetensors_source(stored->file), 0, 0, "%s",
                   message.failed ? "out of memory" : message.data);
    kgen_text_free(&message);
    return -1;
}

static bool ends_with(const char *name, const char *ending, size_t *before)
{
    const size_t length = strlen(name), size = strlen(ending);
    *before = length >= size ? length - size : 0;
    return length > size && strcmp(name + *before, ending) == 0;
}

/* The tensor beside another one whose name has another ending, or NULL. before: the length of what both have.
 */
static const struct stored *find_beside(const struct describer *describer, const char *name, size_t before,
                                        const char *ending)
{
    char beside[KGEN_CHECKPOINT_NAME_MAX];
    if (before + strlen(ending) >= sizeof beside)
        return NULL;
    snprintf(beside, sizeof beside, "%.*s%s", (int)before, name, ending);
    return find_stored(describer, beside);
}

static bool is_packed(const struct stored *stored)
{
    return stored != NULL && strcmp(stored->tensor->dtype->name, "U32") == 0 &&
           (stored->tensor->rank == 2 || stored->tensor->rank == 3);
}

/* Whether a tensor is the scales or the biases of a packed matrix, and described with it. */
static bool is_part(const struct describer *describer, const char *name)
{
    size_t before;
    if (ends_with(name, ".scales", &before))
        return is_packed(find_beside(describer, name, before, ".weight"));
    return ends_with(name, ".biases", &before) &&
           is_packed(find_beside(describer, name, before, ".weight")) &&
           find_beside(describer, name, before, ".scales") != NULL;
}

/* The rows of a matrix, or of the matrices of several experts. */
static int64_t rows_of(const struct kgen_safetensors_tensor *tensor)
{
    return tensor->rank == 3 ? tensor->shape[0] * tensor->shape[1] : tensor->shape[0];
}

/* ---- plain ones ---- */

static const struct {
    const char *name;
    int64_t dtype;
    uint32_t type; /* of ggml, which has the same numbers */
} plain_types[] = {
    {"F32", KGEN_F32, KGEN_GGUF_TENSOR_F32},
    {"F16", KGEN_F16, KGEN_GGUF_TENSOR_F16},
    {"BF16", KGEN_BF16, KGEN_GGUF_TENSOR_BF16},
};

static void describe_plain(const struct stored *stored, struct kgen_checkpoint_tensor *described)
{
    const struct kgen_safetensors_tensor *tensor = stored->tensor;
    *described = (struct kgen_checkpoint_tensor){.stored_name = {tensor->name, strlen(tensor->name)},
                                                 .type = tensor->dtype->name,
                                                 .rank = tensor->rank,
                                                 .elements = tensor->elements,
                                                 .bytes = tensor->bytes,
                                                 .data = tensor->data};
    kgen_checkpoint_folder_name(tensor->name, described->name);
    memcpy(described->shape, tensor->shape, sizeof described->shape);
    for (size_t i = 0; i < KGEN_COUNT_OF(plain_types); i++) {
        if (strcmp(plain_types[i].name, tensor->dtype->name) != 0)
            continue;
        described->plain = true;
        described->dtype = plain_types[i].dtype;
        if (tensor->rank == 2 || tensor->rank == 3)
            kgen_checkpoint_set_matrix(described, plain_types[i].type, rows_of(tensor),
                                       tensor->shape[tensor->rank - 1]);
    }
}

/* ---- packed ones ---- */

/* What the config says of a packed matrix. */
struct packing {
    int64_t bits, group_size;
    const char *mode;
};

/* The format of kgen that has the mode's bytes, or NULL. */
static const struct kgen_format *format_of(const struct packing *packing)
{
    static const enum kgen_constant schemes[] = {KGEN_AFFINE, KGEN_MXFP4, KGEN_MXFP8, KGEN_NVFP4};
    for (size_t i = 0; i < KGEN_COUNT_OF(schemes); i++) {
        if (strcmp(kgen_constant_name(schemes[i]), packing->mode) == 0)
            return kgen_format_find(schemes[i]);
    }
    return NULL;
}

/* A mode that is said alone has its own bits and groups, which MLX takes then. */
static void read_packing(const json_t *object, struct packing *packing)
{
    const json_t *bits = json_object_get(object, "bits"), *group = json_object_get(object, "group_size");
    const char *mode = json_string_value(json_object_get(object, "mode"));
    packing->mode = mode != NULL ? mode : packing->mode;
    const struct kgen_format *format = mode != NULL ? format_of(packing) : NULL;
    if (format != NULL && format->bits != 0) {
        packing->bits = format->bits;
        packing->group_size = format->group_size;
    }
    packing->bits = json_is_integer(bits) ? json_integer_value(bits) : packing->bits;
    packing->group_size = json_is_integer(group) ? json_integer_value(group) : packing->group_size;
}

static int find_packing(const struct describer *describer, const struct stored *stored,
                        struct packing *packing)
{
    char name[KGEN_CHECKPOINT_NAME_MAX];
    size_t before;
    *packing = (struct packing){0, GROUP_DEFAULT, "affine"};
    read_packing(describer->quantization, packing);
    ends_with(stored->tensor->name, ".weight", &before);
    snprintf(name, sizeof name, "%.*s", (int)before, stored->tensor->name);
    const json_t *own = json_object_get(describer->quantization, name);
    const struct kgen_format *format = format_of(packing);
    if (json_is_object(own) && format != NULL && format->affine_beside)
        *packing = (struct packing){BITS_DEFAULT, GROUP_DEFAULT, "affine"};
    read_packing(own, packing);
    if (packing->bits >= 1 && packing->bits <= BITS_MAX && packing->group_size >= 1 &&
        packing->group_size <= GROUP_MAX)
        return 0;
    fail(describer, stored, "is packed, and config.json does not say how many bits and groups it has");
    kgen_error_hint(describer->error, "MLX writes \"quantization\": {\"bits\": 4, \"group_size\": 64}");
    return -1;
}

/* What people see as the type, by mode and bits. */
static const char *type_of(const struct packing *packing, const struct kgen_format *format)
{
    static const char *const affine[BITS_MAX + 1] = {"",
                                                     "affine 1-bit",
                                                     "affine 2-bit",
                                                     "affine 3-bit",
                                                     "affine 4-bit",
                                                     "affine 5-bit",
                                                     "affine 6-bit",
                                                     "affine 7-bit",
                                                     "affine 8-bit"};
    if (format == NULL)
        return "U32";
    return format->scheme == KGEN_AFFINE ? affine[packing->bits] : kgen_constant_name(format->scheme);
}

static int64_t scale_dtype_of(const struct stored *stored)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(plain_types); i++) {
        if (strcmp(plain_types[i].name, stored->tensor->dtype->name) == 0)
            return plain_types[i].dtype;
    }
    return KGEN_CONSTANT_NONE;
}

/* Scales or biases: [N, K / group_size], of the dtypes of which there is one in the text, "F16, BF16 or F32".
 */
static int check_part(const struct describer *describer, const struct stored *part, const char *what,
                      const char *dtypes, const struct stored *weight, const struct kgen_matrix *matrix)
{
    if (part == NULL)
        return fail(describer, weight, "is packed, and has no %s beside it", what);
    const struct kgen_safetensors_tensor *tensor = part->tensor;
    const bool byte = strcmp(tensor->dtype->name, "U8") == 0;
    const bool known = strcmp(dtypes, "U8") == 0 ? byte : scale_dtype_of(part) != KGEN_CONSTANT_NONE;
    const size_t rank = weight->tensor->rank;
    if (!known || tensor->rank != rank)
        return fail(describer, part, "is %s of %zu dimensions; %s are matrices of %s", tensor->dtype->name,
                    tensor->rank, what, dtypes);
    if (rows_of(tensor) != matrix->N || tensor->shape[rank - 1] != matrix->K / matrix->group_size)
        return fail(describer, part,
                    "has the shape [%lld, %lld], and the weight, with %lld bits in groups of %lld, wants "
                    "[%lld, %lld]",
                    (long long)rows_of(tensor), (long long)tensor->shape[rank - 1], (long long)matrix->bits,
                    (long long)matrix->group_size, (long long)matrix->N,
                    (long long)(matrix->K / matrix->group_size));
    return 0;
}

/* A matrix of the mode affine: its scales and biases have one dtype. */
static int check_affine(const struct describer *describer, const struct stored *stored,
                        const struct stored *scales, const struct stored *biases, struct kgen_matrix *matrix)
{
    static const char dtypes[] = "F16, BF16 or F32";
    matrix->scale_dtype = scale_dtype_of(scales);
    if (check_part(describer, scales, "scales", dtypes, stored, matrix) != 0 ||
        check_part(describer, biases, "biases", dtypes, stored, matrix) != 0)
        return -1;
    if (scale_dtype_of(biases) != matrix->scale_dtype)
        return fail(describer, biases, "is %s, and the scales are %s", biases->tensor->dtype->name,
                    scales->tensor->dtype->name);
    return 0;
}

/* A matrix of a floating-point mode, which has bits, groups and scales of its own, and no biases. */
static int check_floating(const struct describer *describer, const struct stored *stored,
                          const struct stored *scales, const struct stored *biases,
                          struct kgen_matrix *matrix)
{
    const struct kgen_format *format = matrix->format;
    const char *mode = kgen_constant_name(format->scheme);
    matrix->scale_dtype = format->scale_dtype;
    if (matrix->bits != format->bits || matrix->group_size != format->group_size) {
        fail(describer, stored, "is %s with %lld bits in groups of %lld", mode, (long long)matrix->bits,
             (long long)matrix->group_size);
        kgen_error_hint(describer->error, "%s has %lld bits in groups of %lld", mode, (long long)format->bits,
                        (long long)format->group_size);
        return -1;
    }
    if (biases != NULL)
        return fail(describer, biases, "is beside weights of the mode %s, which has no biases", mode);
    if (matrix->K % format->block_values != 0)
        return fail(describer, stored, "has rows of %lld values; of the mode %s kgen reads multiples of %lld",
                    (long long)matrix->K, mode, (long long)format->block_values);
    return check_part(describer, scales, "scales", "U8", stored, matrix);
}

/* A packed matrix. Of a mode that kgen has no format for the parts are what they are. */
static int describe_packed(const struct describer *describer, const struct stored *stored,
                           const struct stored *scales, const struct stored *biases,
                           struct kgen_checkpoint_tensor *described)
{
    struct packing packing;
    if (find_packing(describer, stored, &packing) != 0)
        return -1;
    const struct kgen_safetensors_tensor *tensor = stored->tensor;
    const struct kgen_format *format = format_of(&packing);
    const size_t last = tensor->rank - 1;
    const int64_t columns = tensor->shape[last];
    described->type = type_of(&packing, format);
    described->bytes += scales->tensor->bytes + (biases != NULL ? biases->tensor->bytes : 0);
    if (columns > KGEN_SIZE_MAX || columns * 32 % (packing.bits * packing.group_size) != 0)
        return fail(describer, stored,
                    "has rows of %lld words, which are not groups of %lld values of %lld bits",
                    (long long)columns, (long long)packing.group_size, (long long)packing.bits);
    described->shape[last] = columns * 32 / packing.bits;
    described->elements = rows_of(tensor) * described->shape[last];
    if (format == NULL)
        return 0;
    struct kgen_matrix matrix = {.format = format,
                                 .N = rows_of(tensor),
                                 .K = described->shape[last],
                                 .bits = packing.bits,
                                 .group_size = packing.group_size};
    const bool affine = format->scheme == KGEN_AFFINE;
    if ((affine ? check_affine : check_floating)(describer, stored, scales, biases, &matrix) != 0)
        return -1;
    described->matrix = matrix;
    described->arrays[KGEN_GROUPED_WEIGHTS] = tensor->data;
    described->arrays[KGEN_GROUPED_SCALES] = scales->tensor->data;
    described->arrays[KGEN_GROUPED_BIASES] = affine ? biases->tensor->data : NULL;
    return 0;
}

/* ---- all ---- */

static int describe(const struct describer *describer, const struct stored *stored,
                    struct kgen_checkpoint_tensor *described)
{
    const char *name = stored->tensor->name;
    size_t before;
    describe_plain(stored, described);
    const bool weight = ends_with(name, ".weight", &before) && is_packed(stored);
    const struct stored *scales = weight ? find_beside(describer, name, before, ".scales") : NULL;
    return scales == NULL ? 0
                          : describe_packed(describer, stored, scales,
                                            find_beside(describer, name, before, ".biases"), described);
}

static int gather(struct describer *describer)
{
    const struct kgen_checkpoint_folder *folder = describer->folder;
    for (size_t i = 0; i < folder->file_count; i++) {
        for (size_t j = 0; j < kgen_safetensors_count(folder->files[i]); j++)
            describer->stored[describer->count++] =
                (struct stored){kgen_safetensors_at(folder->files[i], j), folder->files[i]};
    }
    qsort(describer->stored, describer->count, sizeof *describer->stored, compare_stored);
    for (size_t i = 1; i < describer->count; i++) {
        if (compare_stored(&describer->stored[i - 1], &describer->stored[i]) == 0)
            return fail(describer, &describer->stored[i], "is in %s as well",
                        kgen_safetensors_source(describer->stored[i - 1].file));
    }
    return 0;
}

static int describe_all(const struct describer *describer)
{
    struct kgen_checkpoint_folder *folder = describer->folder;
    for (size_t i = 0; i < folder->file_count; i++) {
        for (size_t j = 0; j < kgen_safetensors_count(folder->files[i]); j++) {
            const struct stored stored = {kgen_safetensors_at(folder->files[i], j), folder->files[i]};
            char name[KGEN_CHECKPOINT_NAME_MAX];
            if (is_part(describer, stored.tensor->name) ||
                !kgen_checkpoint_folder_name(stored.tensor->name, name))
                continue;
            if (describe(describer, &stored, &folder->tensors[folder->count]) != 0)
                return -1;
            folder->by_name[folder->count] = &folder->tensors[folder->count];
            folder->count++;
        }
    }
    kgen_checkpoint_folder_sort(folder);
    return 0;
}

int kgen_checkpoint_folder_describe(struct kgen_checkpoint_folder *folder, struct kgen_error *error)
{
    struct describer describer = {.folder = folder, .error = error};
    size_t count = 1;
    for (size_t i = 0; i < folder->file_count; i++)
        count += kgen_safetensors_count(folder->files[i]);
    describer.quantization = json_object_get(folder->config, "quantization");
    if (describer.quantization == NULL)
        describer.quantization = json_object_get(folder->config, "quantization_config");
    describer.stored = calloc(count, sizeof *describer.stored);
    folder->tensors = calloc(count, sizeof *folder->tensors);
    folder->by_name = calloc(count, sizeof *folder->by_name);
    int result;
    if (describer.stored == NULL || folder->tensors == NULL || folder->by_name == NULL)
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, folder->source, 0, 0, "out of memory");
    else
        result = gather(&describer) != 0 || describe_all(&describer) != 0 ||
                         kgen_checkpoint_folder_split(folder, error) != 0 ||
                         kgen_checkpoint_folder_stack(folder, error) != 0 ||
                         kgen_checkpoint_folder_split_latent(folder, error) != 0
                     ? -1
                     : 0;
    free(describer.stored);
    return result;
}
