/* SPDX-License-Identifier: MIT */
/* What a state holds, as bytes: a header, the last logits where there are some, and the caches of the
 * positions that are filled. */
#include "gen/base/file.h"
#include "runtime/api/model.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC "kgenstat"
#define VERSION 2

/* No file is larger. */
#define FILE_MAX ((size_t)1 << 40)

struct header {
    char magic[8];
    uint32_t version, has_logits;
    uint64_t identity; /* of the model */
    int64_t positions;
    int64_t earliest; /* the least position above 0 to which the state can go back */
    uint64_t bytes;   /* of all */
    uint64_t hash;    /* of what follows */
};

static size_t logits_bytes(const struct kgen_model_state *state, bool has_logits)
{
    return has_logits ? (size_t)kgen_decoder_vocabulary(state->model->decoder) * sizeof(float) : 0;
}

static size_t size_of(const struct kgen_model_state *state, bool has_logits, int64_t positions)
{
    return sizeof(struct header) + logits_bytes(state, has_logits) +
           kgen_sequence_bytes(state->sequence->graph, positions);
}

size_t kgen_model_state_size(const struct kgen_model_state *state)
{
    return size_of(state, state->has_logits, state->sequence->filled);
}

int kgen_model_state_save(const struct kgen_model_state *state, void *memory, size_t size,
                          struct kgen_status *status)
{
    const size_t bytes = kgen_model_state_size(state), of_logits = logits_bytes(state, state->has_logits);
    unsigned char *to = memory;
    struct header header = {.version = VERSION,
                            .has_logits = state->has_logits,
                            .identity = state->model->identity,
                            .positions = state->sequence->filled,
                            .earliest = kgen_sequence_earliest(state->sequence),
                            .bytes = bytes};
    if (size < bytes)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "the state has %zu bytes; there is room for %zu",
                               bytes, size);
    memcpy(header.magic, MAGIC, sizeof header.magic);
    if (of_logits > 0)
        memcpy(to + sizeof header, state->logits, of_logits);
    kgen_sequence_write(state->sequence, to + sizeof header + of_logits);
    header.hash = kgen_hash(0, to + sizeof header, bytes - sizeof header);
    memcpy(to, &header, sizeof header);
    return 0;
}

/* Says why the bytes are no state that fits, or NULL. */
static const char *find_fault(const struct kgen_model_state *state, const struct header *header,
                              const unsigned char *from, size_t size)
{
    if (memcmp(header->magic, MAGIC, sizeof header->magic) != 0)
        return "these bytes are no saved state";
    if (header->version != VERSION || header->has_logits > 1)
        return "the saved state is of another version, or of a machine of another order of bytes";
    if (header->identity != state->model->identity)
        return "the saved state is of another model, or of another dtype of its caches";
    if (header->positions < 0 || header->positions > state->sequence->context)
        return "the saved state has more tokens than this one has room for";
    if (header->earliest < 0 || header->earliest > header->positions || header->bytes != size ||
        size != size_of(state, header->has_logits == 1, header->positions))
        return "the saved state is not whole";
    if (header->hash != kgen_hash(0, from + sizeof *header, size - sizeof *header))
        return "the saved state is damaged";
    return NULL;
}

int kgen_model_state_restore(struct kgen_model_state *state, const void *memory, size_t size,
                             struct kgen_status *status)
{
    const unsigned char *from = memory;
    struct header header;
    if (size < sizeof header)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "the saved state is not whole");
    memcpy(&header, from, sizeof header);
    const char *fault = find_fault(state, &header, from, size);
    if (fault != NULL)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s", fault);
    const size_t of_logits = logits_bytes(state, header.has_logits == 1);
    struct kgen_error error = {0};
    if (kgen_sequence_read(state->sequence, from + sizeof header + of_logits, header.positions,
                           header.earliest, &error) != 0)
        return kgen_status_from(status, &error);
    state->has_logits = header.has_logits == 1;
    if (of_logits > 0)
        memcpy(state->logits, from + sizeof header, of_logits);
    return 0;
}

int kgen_model_state_save_file(const struct kgen_model_state *state, const char *path,
                               struct kgen_status *status)
{
    struct kgen_error error = {0};
    const size_t bytes = kgen_model_state_size(state);
    char *memory = malloc(bytes);
    if (memory == NULL)
        return kgen_status_set(status, KGEN_OUT_OF_MEMORY, "no memory for a state of %zu bytes", bytes);
    int result = kgen_model_state_save(state, memory, bytes, status);
    if (result == 0 && kgen_file_write(path, memory, bytes, &error) != 0)
        result = kgen_status_from(status, &error);
    free(memory);
    return result;
}

int kgen_model_state_restore_file(struct kgen_model_state *state, const char *path,
                                  struct kgen_status *status)
{
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    int result = kgen_file_read(path, FILE_MAX, &text, &error);
    if (result != 0)
        kgen_status_from(status, &error);
    else
        result = kgen_model_state_restore(state, text.data, text.length, status);
    kgen_text_free(&text);
    return result;
}
