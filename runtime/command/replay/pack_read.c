/* SPDX-License-Identifier: MIT */
/* Packs and prompts from their files. */
#include "runtime/command/replay/pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/base/file.h"
#include "gen/ops/constant.h"
#include "gen/spec/json_place.h"
#include "gen/spec/spec.h"

#define FILE_LIMIT ((size_t)1 << 30)
/* Of JSON numbers that are counts. */
#define MOST ((int64_t)1 << 53)

enum { THREADS_MAX = 1024, POSITIONS_MAX = 1 << 30 };

struct reader {
    const char *path;
    struct kgen_text text;
    struct kgen_error *error;
};

static int fail_memory(const struct reader *reader)
{
    return kgen_error_set(reader->error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

/* ---- errors that name the key ---- */

/* Appends a path: prompts[2].tokens. */
static void write_path(const struct kgen_json_path *path, struct kgen_text *text)
{
    if (path->parent != NULL)
        write_path(path->parent, text);
    if (path->key != NULL)
        kgen_text_printf(text, "%s%s", path->parent != NULL ? "." : "", path->key);
    else
        kgen_text_printf(text, "[%zu]", path->index);
}

/* The error at a value, or where that is missing at what it should be in. */
static int fail(const struct reader *reader, const struct kgen_json_path *path, const char *message)
{
    struct kgen_text key = {0};
    struct kgen_json_place place = {0};
    int line = 1, column = 1;
    bool there = false;
    write_path(path, &key);
    for (const struct kgen_json_path *at = path; at != NULL && !there; at = at->parent)
        there = kgen_json_find(reader->text.data, reader->text.length, at, &place) == 0;
    if (there)
        kgen_json_line(reader->text.data, place.begin, &line, &column);
    kgen_error_set(reader->error, KGEN_ERROR_USAGE, reader->path, line, column, "\"%s\" must be %s",
                   key.failed ? "?" : key.data, message);
    kgen_text_free(&key);
    return -1;
}

static const json_t *member(const struct reader *reader, const struct kgen_json_path *path,
                            const json_t *object)
{
    const json_t *value =
        path->key != NULL ? json_object_get(object, path->key) : json_array_get(object, path->index);
    if (value == NULL)
        fail(reader, path, "there");
    return value;
}

static int read_integer(const struct reader *reader, const struct kgen_json_path *path, const json_t *object,
                        int64_t least, int64_t most, int64_t *integer)
{
    char message[96];
    const json_t *value = member(reader, path, object);
    if (value == NULL)
        return -1;
    *integer = json_integer_value(value);
    if (json_is_integer(value) && *integer >= least && *integer <= most)
        return 0;
    snprintf(message, sizeof message, "a whole number from %lld to %lld", (long long)least, (long long)most);
    return fail(reader, path, message);
}

static int read_real(const struct reader *reader, const struct kgen_json_path *path, const json_t *object,
                     double *real)
{
    const json_t *value = member(reader, path, object);
    if (value == NULL)
        return -1;
    *real = json_number_value(value);
    return json_is_number(value) && isfinite(*real) && *real >= 0
               ? 0
               : fail(reader, path, "a number that is not negative");
}

static int read_boolean(const struct reader *reader, const struct kgen_json_path *path, const json_t *object,
                        bool *boolean)
{
    const json_t *value = member(reader, path, object);
    if (value == NULL)
        return -1;
    *boolean = json_is_true(value);
    return json_is_boolean(value) ? 0 : fail(reader, path, "true or false");
}

/* A string of less than size bytes. */
static int read_string(const struct reader *reader, const struct kgen_json_path *path, const json_t *object,
                       char *to, size_t size)
{
    const json_t *value = member(reader, path, object);
    if (value == NULL)
        return -1;
    if (!json_is_string(value) || json_string_length(value) == 0 || json_string_length(value) >= size)
        return fail(reader, path, "a string, neither empty nor longer than kgen writes it");
    snprintf(to, size, "%s", json_string_value(value));
    return 0;
}

/* ---- the parts ---- */

static int read_identity(const struct reader *reader, const json_t *root, struct kgen_pack_identity *identity)
{
    const struct kgen_json_path path = {.key = "checkpoint"};
    const json_t *object = member(reader, &path, root);
    const struct kgen_json_path container = {&path, "container", 0}, files = {&path, "files", 0},
                                bytes = {&path, "bytes", 0}, hash = {&path, "hash", 0};
    if (object == NULL ||
        read_string(reader, &container, object, identity->container, sizeof identity->container) != 0 ||
        read_integer(reader, &files, object, 1, MOST, &identity->files) != 0 ||
        read_integer(reader, &bytes, object, 1, MOST, &identity->bytes) != 0 ||
        read_string(reader, &hash, object, identity->hash, sizeof identity->hash) != 0)
        return -1;
    return 0;
}

/* The name of a constant that an option of that name could have. */
static int read_constant(const struct reader *reader, const struct kgen_json_path *path, const json_t *object,
                         int64_t *constant)
{
    struct kgen_text expected = {0};
    const json_t *value = member(reader, path, object);
    if (value == NULL)
        return -1;
    int result = 0;
    if (!json_is_string(value) ||
        kgen_spec_option_parse(path->key, json_string_value(value), constant, &expected) != 0)
        result = fail(reader, path, expected.data != NULL && !expected.failed ? expected.data : "a string");
    kgen_text_free(&expected);
    return result;
}

static int read_settings(const struct reader *reader, const json_t *root, struct kgen_pack_settings *settings)
{
    const struct kgen_json_path path = {.key = "settings"};
    const json_t *object = member(reader, &path, root);
    const struct kgen_json_path activation = {&path, "activation_dtype", 0}, layout = {&path, "layout", 0},
                                cache = {&path, "cache_dtype", 0}, context = {&path, "context", 0},
                                rows = {&path, "prompt_rows", 0}, threads = {&path, "threads", 0},
                                chat = {&path, "chat", 0};
    if (object == NULL || read_constant(reader, &activation, object, &settings->activation_dtype) != 0 ||
        read_constant(reader, &layout, object, &settings->layout) != 0 ||
        read_constant(reader, &cache, object, &settings->cache_dtype) != 0 ||
        read_integer(reader, &context, object, 1, POSITIONS_MAX, &settings->context) != 0 ||
        read_integer(reader, &rows, object, 1, KGEN_SPEC_PROMPT_ROWS_MAX, &settings->prompt_rows) != 0 ||
        read_integer(reader, &threads, object, 1, THREADS_MAX, &settings->threads) != 0 ||
        read_boolean(reader, &chat, object, &settings->chat) != 0)
        return -1;
    return 0;
}

static int read_machine(const struct reader *reader, const json_t *root, struct kgen_machine *machine)
{
    const struct kgen_json_path path = {.key = "machine"};
    const json_t *object = member(reader, &path, root);
    if (object == NULL)
        return -1;
    char *dumped = json_is_object(object) ? json_dumps(object, JSON_COMPACT) : NULL;
    const int result = dumped != NULL ? kgen_machine_read(dumped, strlen(dumped), machine) : -1;
    free(dumped);
    return result == 0 ? 0 : fail(reader, &path, "a machine, with its \"identity\"");
}

/* A list of ids that is not empty. */
static int read_ids(const struct reader *reader, const struct kgen_json_path *path, const json_t *object,
                    struct kgen_token_ids *ids)
{
    const json_t *list = member(reader, path, object);
    if (list == NULL)
        return -1;
    if (json_array_size(list) == 0)
        return fail(reader, path, "a list of token ids that is not empty");
    for (size_t i = 0; i < json_array_size(list); i++) {
        int64_t id;
        const struct kgen_json_path item = {path, NULL, i};
        if (read_integer(reader, &item, list, 0, INT32_MAX, &id) != 0 ||
            kgen_token_ids_push(ids, (int32_t)id, reader->error) != 0)
            return -1;
    }
    return 0;
}

static int read_margins(const struct reader *reader, const struct kgen_json_path *path, const json_t *object,
                        struct kgen_pack_prompt *prompt)
{
    const json_t *list = member(reader, path, object);
    if (list == NULL)
        return -1;
    if (json_array_size(list) != prompt->tokens.count)
        return fail(reader, path, "a list of as many numbers as there are tokens");
    prompt->margins = calloc(prompt->tokens.count, sizeof *prompt->margins);
    if (prompt->margins == NULL)
        return fail_memory(reader);
    for (size_t i = 0; i < prompt->tokens.count; i++) {
        const struct kgen_json_path item = {path, NULL, i};
        if (read_real(reader, &item, list, &prompt->margins[i]) != 0)
            return -1;
    }
    return 0;
}

static int read_prompt(const struct reader *reader, const struct kgen_json_path *path, const json_t *list,
                       const struct kgen_pack_settings *settings, struct kgen_pack_prompt *prompt)
{
    const json_t *object = member(reader, path, list);
    const struct kgen_json_path text = {path, "text", 0}, ids = {path, "prompt_tokens", 0},
                                tokens = {path, "tokens", 0}, margins = {path, "margins", 0},
                                ended = {path, "ended", 0}, seconds = {path, "prompt_seconds", 0},
                                first = {path, "first_token_seconds", 0}, later = {path, "text_seconds", 0};
    const json_t *string = object != NULL ? member(reader, &text, object) : NULL;
    if (string == NULL)
        return -1;
    if (!json_is_string(string))
        return fail(reader, &text, "a string");
    kgen_text_append(&prompt->text, json_string_value(string), json_string_length(string));
    if (read_ids(reader, &ids, object, &prompt->prompt) != 0 ||
        read_ids(reader, &tokens, object, &prompt->tokens) != 0 ||
        read_margins(reader, &margins, object, prompt) != 0 ||
        read_boolean(reader, &ended, object, &prompt->ended) != 0 ||
        read_real(reader, &seconds, object, &prompt->times.prompt_seconds) != 0 ||
        read_real(reader, &first, object, &prompt->times.first_token_seconds) != 0 ||
        read_real(reader, &later, object, &prompt->times.text_seconds) != 0)
        return -1;
    if ((int64_t)(prompt->prompt.count + prompt->tokens.count) - 1 > settings->context)
        return fail(reader, &tokens, "no more than \"settings.context\" has positions for");
    return prompt->text.failed ? fail_memory(reader) : 0;
}

static int read_prompts(const struct reader *reader, const json_t *root, struct kgen_pack *pack)
{
    const struct kgen_json_path path = {.key = "prompts"};
    const json_t *list = member(reader, &path, root);
    const size_t count = json_array_size(list);
    if (list == NULL || count == 0)
        return fail(reader, &path, "a list that is not empty");
    pack->prompts = calloc(count, sizeof *pack->prompts);
    if (pack->prompts == NULL)
        return fail_memory(reader);
    for (size_t i = 0; i < count; i++) {
        const struct kgen_json_path item = {&path, NULL, i};
        pack->count++;
        if (read_prompt(reader, &item, list, &pack->settings, &pack->prompts[i]) != 0)
            return -1;
    }
    return 0;
}

static int read_version(const struct reader *reader, const json_t *root)
{
    const struct kgen_json_path path = {.key = "kgen_pack"};
    int64_t version;
    if (json_object_get(root, "kgen_pack") == NULL) {
        kgen_error_set(reader->error, KGEN_ERROR_USAGE, reader->path, 0, 0,
                       "this is no pack: the key \"kgen_pack\" is missing");
        kgen_error_hint(reader->error, "kgen replay --record makes one");
        return -1;
    }
    return read_integer(reader, &path, root, KGEN_PACK_VERSION, KGEN_PACK_VERSION, &version);
}

static int read_root(const struct reader *reader, const json_t *root, struct kgen_pack *pack)
{
    const struct kgen_json_path kgen = {.key = "kgen"}, dispatch = {.key = "dispatch"};
    if (read_version(reader, root) != 0 ||
        read_string(reader, &kgen, root, pack->version, sizeof pack->version) != 0 ||
        read_machine(reader, root, &pack->machine) != 0 ||
        read_identity(reader, root, &pack->identity) != 0 ||
        read_settings(reader, root, &pack->settings) != 0)
        return -1;
    pack->dispatch = json_incref(json_object_get(root, "dispatch"));
    if (!json_is_array(pack->dispatch))
        return fail(reader, &dispatch, "a list");
    pack->peak_megabytes = json_number_value(json_object_get(root, "peak_memory_megabytes"));
    return read_prompts(reader, root, pack);
}

/* Reads a file of JSON. Returns NULL with the error. */
static json_t *load(struct reader *reader)
{
    json_error_t json_error;
    if (kgen_file_read(reader->path, FILE_LIMIT, &reader->text, reader->error) != 0)
        return NULL;
    json_t *root = json_loadb(reader->text.data != NULL ? reader->text.data : "", reader->text.length,
                              JSON_REJECT_DUPLICATES, &json_error);
    if (root == NULL)
        kgen_error_set(reader->error, KGEN_ERROR_USAGE, reader->path,
                       json_error.line > 0 ? json_error.line : 1,
                       json_error.column > 0 ? json_error.column : 1, "not valid JSON: %s", json_error.text);
    return root;
}

int kgen_pack_read(const char *path, struct kgen_pack *pack, struct kgen_error *error)
{
    struct reader reader = {.path = path, .error = error};
    json_t *root = load(&reader);
    const int result = root != NULL ? read_root(&reader, root, pack) : -1;
    json_decref(root);
    kgen_text_free(&reader.text);
    return result;
}
