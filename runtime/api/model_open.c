/* SPDX-License-Identifier: MIT */
/* Models: settings, opening with a tokenizer, facts. */
#include "runtime/api/model.h"
#include "runtime/model/tokenizer/chat.h"
#include "runtime/model/tokenizer/tokenizer_file.h"
#include "runtime/model/tokenizer/vocabulary_gguf.h"

#include "gen/ops/attention.h"
#include "gen/ops/attention_cache.h"

#include <string.h>
#include <sys/stat.h>

/* ---- settings ---- */

void kgen_model_settings_init(struct kgen_model_settings *settings, size_t size)
{
    const struct kgen_model_settings defaults = {.size = size};
    memset(settings, 0, size);
    memcpy(settings, &defaults, size < sizeof defaults ? size : sizeof defaults);
}

int kgen_model_copy_sized(void *to, size_t to_size, const void *from, size_t size, size_t least,
                          const char *maker, struct kgen_status *status)
{
    const unsigned char *bytes = from;
    if (size < least)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT,
                               "the settings were not made by %s: their size is %zu", maker, size);
    for (size_t i = to_size; i < size; i++) {
        if (bytes[i] != 0)
            return kgen_status_set(status, KGEN_BAD_ARGUMENT,
                                   "the settings are of a later version than the library, %s", KGEN_VERSION);
    }
    memcpy(to, from, size < to_size ? size : to_size);
    return 0;
}

static int check_name(const char *field, const char *name, struct kgen_status *status)
{
    struct kgen_text expected = {0};
    struct kgen_error error = {0};
    int64_t value;
    int result = 0;
    if (name != NULL && kgen_spec_option_parse(field, name, &value, &expected) != 0) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "settings: %s cannot be \"%.100s\"", field,
                       name);
        kgen_error_hint(&error, "%s", expected.failed || expected.data == NULL ? "" : expected.data);
        result = kgen_status_from(status, &error);
    }
    kgen_text_free(&expected);
    return result;
}

static int check_settings(const struct kgen_model_settings *settings, struct kgen_status *status)
{
    const struct {
        const char *name;
        int64_t value, most;
    } numbers[] = {{"context", settings->context, KGEN_ATTENTION_CONTEXT_MAX},
                   {"prompt_rows", settings->prompt_rows, KGEN_SPEC_PROMPT_ROWS_MAX},
                   {"sequences", settings->sequences, KGEN_GRAPH_SEQUENCES_MAX},
                   {"page_size", settings->page_size, KGEN_ATTENTION_PAGE_MAX},
                   {"pages", settings->pages, KGEN_PAGES_MAX}};
    for (size_t i = 0; i < KGEN_COUNT_OF(numbers); i++) {
        if (numbers[i].value < 0 || numbers[i].value > numbers[i].most)
            return kgen_status_set(status, KGEN_BAD_ARGUMENT, "settings: %s must be 0 to %lld, not %lld",
                                   numbers[i].name, (long long)numbers[i].most, (long long)numbers[i].value);
    }
    if (settings->page_size % KGEN_ATTENTION_TILE != 0)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "settings: page_size %lld is not a multiple of %d",
                               (long long)settings->page_size, KGEN_ATTENTION_TILE);
    if (settings->pages > 0 && settings->page_size == 0)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT,
                               "settings: pages says how many there are, and page_size that there are none");
    if (settings->tokenizer != NULL && settings->no_tokenizer)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT,
                               "settings: tokenizer names one, and no_tokenizer wants none");
    return check_name("activation_dtype", settings->activation_dtype, status) != 0 ||
                   check_name("layout", settings->layout, status) != 0 ||
                   check_name("cache_dtype", settings->cache_dtype, status) != 0
               ? -1
               : 0;
}

static int read_settings(struct kgen_model_settings *to, const struct kgen_model_settings *from,
                         struct kgen_status *status)
{
    kgen_model_settings_init(to, sizeof *to);
    if (from != NULL && kgen_model_copy_sized(to, sizeof *to, from, from->size,
                                              offsetof(struct kgen_model_settings, progress_context),
                                              "kgen_model_settings_init", status) != 0)
        return -1;
    return check_settings(to, status);
}

/* ---- the tokenizer ---- */

/* A tokenizer that is a file of its own: named by the settings, or in the checkpoint's folder. Returns 0,
 * also where there is none. */
static int open_own_tokenizer(const char *path, const struct kgen_model_settings *settings,
                              struct kgen_tokenizer **tokenizer, struct kgen_error *error)
{
    struct kgen_text file = {0};
    struct stat facts;
    *tokenizer = NULL;
    if (settings->no_tokenizer)
        return 0;
    if (settings->tokenizer != NULL) {
        *tokenizer = kgen_tokenizer_from_file(settings->tokenizer, error);
        return *tokenizer != NULL ? 0 : -1;
    }
    kgen_text_printf(&file, "%s/tokenizer.json", path);
    int result = file.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
    if (result == 0 && stat(file.data, &facts) == 0) {
        *tokenizer = kgen_tokenizer_from_file(path, error);
        result = *tokenizer != NULL ? 0 : -1;
    }
    kgen_text_free(&file);
    return result;
}

static int open_tokenizer(struct kgen_model *model, const struct kgen_model_settings *settings,
                          struct kgen_error *error)
{
    const struct kgen_gguf *gguf = kgen_checkpoint_gguf(model->checkpoint);
    if (model->tokenizer == NULL && !settings->no_tokenizer && gguf != NULL &&
        kgen_gguf_find(gguf, "tokenizer.ggml.model") != NULL) {
        model->tokenizer = kgen_tokenizer_from_gguf(gguf, error);
        if (model->tokenizer == NULL)
            return -1;
    }
    const int64_t rows = kgen_decoder_vocabulary(model->decoder);
    const size_t tokens = model->tokenizer != NULL ? kgen_tokenizer_count(model->tokenizer) : 0;
    const char *source =
        settings->tokenizer != NULL ? settings->tokenizer : kgen_checkpoint_source(model->checkpoint);
    if ((int64_t)tokens > rows)
        return kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0,
                              "the tokenizer has %zu tokens, and the model knows %lld", tokens,
                              (long long)rows);
    return 0;
}

/* ---- opening ---- */

/* So many bytes of each tensor count. */
enum { IDENTITY_BYTES = 256 };

/* What keys and values depend on: the caches' shapes, and which weights these are. */
static uint64_t identify(const struct kgen_model *model)
{
    const struct kgen_graph *graph = model->spec->graph;
    uint64_t hash = kgen_hash_string(0, model->cache_dtype);
    for (size_t i = 0; i < graph->state_count; i++) {
        const struct kgen_graph_state *state = &graph->states[i];
        hash = kgen_hash_string(hash, state->name);
        hash = kgen_hash(hash, state->shape, state->rank * sizeof state->shape[0]);
    }
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(model->checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        kgen_checkpoint_tensor_at(model->checkpoint, i, &tensor);
        hash = kgen_hash_string(hash, tensor.name);
        hash = kgen_hash_string(hash, tensor.type);
        hash = kgen_hash(hash, tensor.shape, tensor.rank * sizeof tensor.shape[0]);
        if (tensor.data != NULL)
            hash = kgen_hash(hash, tensor.data,
                             tensor.bytes < IDENTITY_BYTES ? (size_t)tensor.bytes : IDENTITY_BYTES);
    }
    return hash;
}

struct kgen_model *kgen_model_open(struct kgen_context *context, const char *path,
                                   const struct kgen_model_settings *settings, struct kgen_status *status)
{
    struct kgen_model_settings read;
    struct kgen_error error = {0};
    struct kgen_tokenizer *tokenizer;
    if (read_settings(&read, settings, status) != 0)
        return NULL;
    if (open_own_tokenizer(path, &read, &tokenizer, &error) != 0) {
        kgen_status_from(status, &error);
        return NULL;
    }
    const struct kgen_model_options options = {.activation_dtype = read.activation_dtype,
                                               .layout = read.layout,
                                               .cache_dtype = read.cache_dtype,
                                               .context = read.context,
                                               .prompt_rows = read.prompt_rows,
                                               .sequences = read.sequences,
                                               .page_size = read.page_size,
                                               .pages = read.pages,
                                               .progress = read.progress,
                                               .progress_context = read.progress_context};
    struct kgen_model *model = kgen_model_of_checkpoint(context, path, &options, status);
    if (model == NULL) {
        kgen_tokenizer_free(tokenizer);
        return NULL;
    }
    model->tokenizer = tokenizer;
    model->identity = identify(model);
    if (open_tokenizer(model, &read, &error) == 0)
        return model;
    kgen_status_from(status, &error);
    kgen_model_close(model);
    return NULL;
}

/* ---- facts ---- */

void kgen_model_query(const struct kgen_model *model, struct kgen_model_facts *facts, size_t size)
{
    struct kgen_decoder_sizes sizes;
    const struct kgen_tokenizer *tokenizer = model->tokenizer;
    kgen_decoder_query(model->decoder, &sizes);
    const struct kgen_model_facts all = {
        .vocabulary = kgen_decoder_vocabulary(model->decoder),
        .context = kgen_decoder_context(model->decoder),
        .prompt_rows = kgen_decoder_prompt_rows(model->decoder),
        .sequences = kgen_decoder_sequences(model->decoder),
        .threads = model->threads,
        .weight_bytes = sizes.weights,
        .step_bytes = sizes.read_weights,
        .state_bytes = sizes.caches,
        .activation_dtype = model->activation_dtype,
        .cache_dtype = model->cache_dtype,
        .tokens = tokenizer != NULL ? (int64_t)kgen_tokenizer_count(tokenizer) : 0,
        .bos = tokenizer != NULL ? kgen_tokenizer_bos(tokenizer) : -1,
        .eos = tokenizer != NULL ? kgen_tokenizer_eos(tokenizer) : -1,
        .chat_template = tokenizer != NULL ? kgen_chat_kind(tokenizer) : NULL,
        .page_size = kgen_decoder_page_size(model->decoder),
        .pages = kgen_decoder_pages(model->decoder),
        .pages_left = kgen_decoder_pages_left(model->decoder),
    };
    memcpy(facts, &all, size < sizeof all ? size : sizeof all);
}

const struct kgen_plan *kgen_model_plan(const struct kgen_model *model)
{
    return model->plan;
}
