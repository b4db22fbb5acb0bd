/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/vocabulary_json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gen/base/file.h"
#include "runtime/model/tokenizer/json_reader.h"

#define FILE_LIMIT ((size_t)256 << 20)
/* Ids may leave so many out, besides as many as there are tokens. */
#define HOLES_MAX 65536

int kgen_json_refuse(const struct kgen_json_reader *reader, const char *key, const char *format, ...)
{
    struct kgen_text message = {0};
    va_list arguments;
    va_start(arguments, format);
    kgen_text_vprintf(&message, format, arguments);
    va_end(arguments);
    kgen_error_set(reader->error, KGEN_ERROR_SPEC, reader->source, 0, 0, "%s: %s", key,
                   message.failed ? "" : message.data);
    kgen_text_free(&message);
    return -1;
}

int kgen_json_out_of_memory(const struct kgen_json_reader *reader)
{
    return kgen_error_set(reader->error, KGEN_ERROR_MEMORY, reader->source, 0, 0, "out of memory");
}

const char *kgen_json_type(const json_t *value)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    return type != NULL ? type : "";
}

bool kgen_json_flag(const json_t *object, const char *key, bool usual)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : usual;
}

int64_t kgen_json_id(const struct kgen_json_reader *reader, const char *text)
{
    const json_t *added = json_object_get(reader->root, "added_tokens"), *token;
    size_t index;
    json_array_foreach(added, index, token)
    {
        const char *content = json_string_value(json_object_get(token, "content"));
        if (content != NULL && strcmp(content, text) == 0)
            return json_integer_value(json_object_get(token, "id"));
    }
    if (json_is_object(reader->words)) {
        const json_t *id = json_object_get(reader->words, text);
        return json_is_integer(id) ? json_integer_value(id) : -1;
    }
    json_array_foreach(reader->words, index, token)
    {
        const char *piece = json_string_value(json_array_get(token, 0));
        if (piece != NULL && strcmp(piece, text) == 0)
            return (int64_t)index;
    }
    return -1;
}

/* ---- tokens ---- */

static bool names_byte(const char *text, size_t length)
{
    return length == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>';
}

static void set_token(struct kgen_json_reader *reader, int64_t id, const json_t *text, bool bytes)
{
    const size_t length = json_string_length(text);
    reader->tokens[id] = (struct kgen_token_text){json_string_value(text), length};
    reader->types[id] =
        bytes && names_byte(json_string_value(text), length) ? KGEN_TOKEN_BYTE : KGEN_TOKEN_NORMAL;
}

/* One more than the greatest id. Fails for ids that are none. */
static int count_tokens(struct kgen_json_reader *reader)
{
    const json_t *added = json_object_get(reader->root, "added_tokens"), *value;
    const char *key;
    size_t index;
    int64_t greatest = -1;
    const size_t words =
        json_is_object(reader->words) ? json_object_size(reader->words) : json_array_size(reader->words);
    const int64_t most = 2 * (int64_t)(words + json_array_size(added)) + HOLES_MAX;
    if (json_is_array(reader->words))
        greatest = (int64_t)words - 1;
    json_object_foreach((json_t *)(uintptr_t)reader->words, key, value)
    {
        const int64_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id >= most)
            return kgen_json_refuse(reader, "model.vocab", "'%.64s' has no id from 0 to %lld", key,
                                    (long long)most - 1);
        greatest = id > greatest ? id : greatest;
    }
    json_array_foreach(added, index, value)
    {
        const json_t *number = json_object_get(value, "id");
        const int64_t id = json_is_integer(number) ? json_integer_value(number) : -1;
        if (id < 0 || id >= most || !json_is_string(json_object_get(value, "content")))
            return kgen_json_refuse(reader, "added_tokens",
                                    "element %zu has no content, or no id from 0 to %lld", index,
                                    (long long)most - 1);
        greatest = id > greatest ? id : greatest;
    }
    const size_t count = (size_t)(greatest + 1);
    reader->tokens = calloc(count + 1, sizeof *reader->tokens);
    reader->types = calloc(count + 1, sizeof *reader->types);
    reader->strips = calloc(count + 1, 1);
    reader->scores = calloc(count + 1, sizeof *reader->scores);
    if (reader->tokens == NULL || reader->types == NULL || reader->strips == NULL || reader->scores == NULL)
        return kgen_json_out_of_memory(reader);
    for (size_t i = 0; i < count; i++)
        reader->types[i] = KGEN_TOKEN_UNUSED;
    reader->vocabulary.token_count = count;
    return 0;
}

static int read_pieces(struct kgen_json_reader *reader, bool bytes)
{
    const json_t *piece;
    size_t index;
    json_array_foreach(reader->words, index, piece)
    {
        const json_t *text = json_array_get(piece, 0), *score = json_array_get(piece, 1);
        if (!json_is_string(text) || !json_is_number(score))
            return kgen_json_refuse(reader, "model.vocab", "element %zu is not [text, score]", index);
        set_token(reader, (int64_t)index, text, bytes);
        reader->scores[index] = (float)json_number_value(score);
    }
    return 0;
}

static int read_added(struct kgen_json_reader *reader)
{
    const json_t *added = json_object_get(reader->root, "added_tokens"), *token;
    size_t index;
    json_array_foreach(added, index, token)
    {
        const json_t *text = json_object_get(token, "content");
        const int64_t id = json_integer_value(json_object_get(token, "id"));
        if (kgen_json_flag(token, "single_word", false))
            return kgen_json_refuse(reader, "added_tokens", "'%.64s' has single_word, which is not supported",
                                    json_string_value(text));
        set_token(reader, id, text, false);
        reader->types[id] =
            kgen_json_flag(token, "special", false) ? KGEN_TOKEN_CONTROL : KGEN_TOKEN_USER_DEFINED;
        reader->strips[id] = (uint8_t)((kgen_json_flag(token, "lstrip", false) ? KGEN_STRIP_LEFT : 0) |
                                       (kgen_json_flag(token, "rstrip", false) ? KGEN_STRIP_RIGHT : 0));
    }
    return 0;
}

static int read_tokens(struct kgen_json_reader *reader, bool bytes)
{
    const json_t *value;
    const char *key;
    if (count_tokens(reader) < 0 || (json_is_array(reader->words) && read_pieces(reader, bytes) < 0))
        return -1;
    json_object_foreach((json_t *)(uintptr_t)reader->words, key, value)
    {
        /* The key belongs to the object, as long as that is there. */
        const size_t length = strlen(key);
        const int64_t id = json_integer_value(value);
        reader->tokens[id] = (struct kgen_token_text){key, length};
        reader->types[id] = bytes && names_byte(key, length) ? KGEN_TOKEN_BYTE : KGEN_TOKEN_NORMAL;
    }
    if (read_added(reader) < 0)
        return -1;
    reader->vocabulary.tokens = reader->tokens;
    reader->vocabulary.types = reader->types;
    reader->vocabulary.strips = reader->strips;
    reader->vocabulary.scores = reader->vocabulary.kind == KGEN_TOKENIZER_UNIGRAM ? reader->scores : NULL;
    return 0;
}

/* ---- models ---- */

/* Merges are "a b" or ["a", "b"]. */
static int read_merges(struct kgen_json_reader *reader, const json_t *list)
{
    const json_t *merge;
    size_t index, at = 0;
    if (!json_is_array(list))
        return kgen_json_refuse(reader, "model.merges", "it must be a list");
    reader->merges = calloc(json_array_size(list) + 1, sizeof *reader->merges);
    if (reader->merges == NULL)
        return kgen_json_out_of_memory(reader);
    json_array_foreach(list, index, merge)
    {
        const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
        struct kgen_token_text *text = &reader->merges[index];
        if (json_is_string(merge)) {
            *text = (struct kgen_token_text){json_string_value(merge), json_string_length(merge)};
            continue;
        }
        if (!json_is_string(left) || !json_is_string(right))
            return kgen_json_refuse(reader, "model.merges", "element %zu is not \"a b\" or [\"a\", \"b\"]",
                                    index);
        /* Spaces are written otherwise, so that this one never applies. */
        if (strchr(json_string_value(left), ' ') != NULL) {
            *text = (struct kgen_token_text){"", 0};
            continue;
        }
        text->length = json_string_length(left) + json_string_length(right) + 1;
        kgen_text_append(&reader->joined, json_string_value(left), json_string_length(left));
        kgen_text_puts(&reader->joined, " ");
        kgen_text_append(&reader->joined, json_string_value(right), json_string_length(right));
    }
    if (reader->joined.failed)
        return kgen_json_out_of_memory(reader);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (reader->merges[i].data == NULL) {
            reader->merges[i].data = reader->joined.data + at;
            at += reader->merges[i].length;
        }
    }
    reader->vocabulary.merges = reader->merges;
    reader->vocabulary.merge_count = json_array_size(list);
    return 0;
}

static int read_bpe(struct kgen_json_reader *reader, const json_t *model)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < KGEN_COUNT_OF(affixes); i++) {
        const char *affix = json_string_value(json_object_get(model, affixes[i]));
        if (affix != NULL && affix[0] != '\0')
            return kgen_json_refuse(reader, "model", "%s '%.64s' is not supported", affixes[i], affix);
    }
    if (json_number_value(json_object_get(model, "dropout")) != 0)
        return kgen_json_refuse(reader, "model.dropout", "it must be null or 0");
    if (!json_is_object(reader->words))
        return kgen_json_refuse(reader, "model.vocab", "it must be an object");
    if (read_tokens(reader, kgen_json_flag(model, "byte_fallback", false)) < 0 ||
        read_merges(reader, json_object_get(model, "merges")) < 0)
        return -1;
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    if (unknown != NULL) {
        reader->vocabulary.unknown = kgen_json_id(reader, unknown);
        reader->row.flags |= KGEN_PRE_UNKNOWN;
    }
    if (kgen_json_flag(model, "fuse_unk", false))
        reader->row.flags |= KGEN_PRE_ONE_UNKNOWN;
    if (kgen_json_flag(model, "ignore_merges", false))
        reader->row.flags |= KGEN_PRE_WHOLE_WORDS;
    return 0;
}

static int read_unigram(struct kgen_json_reader *reader, const json_t *model)
{
    const json_t *unknown = json_object_get(model, "unk_id");
    const bool bytes = kgen_json_flag(model, "byte_fallback", false);
    if (!json_is_array(reader->words))
        return kgen_json_refuse(reader, "model.vocab", "it must be a list");
    reader->row.flags |= bytes ? KGEN_PRE_BYTES : 0;
    if (json_is_integer(unknown))
        reader->vocabulary.unknown = json_integer_value(unknown);
    return read_tokens(reader, bytes);
}

/* Old files name no type. */
static int read_model(struct kgen_json_reader *reader)
{
    const json_t *model = json_object_get(reader->root, "model");
    if (!json_is_object(model))
        return kgen_json_refuse(reader, "model", "there is none");
    const char *type = kgen_json_type(model);
    reader->words = json_object_get(model, "vocab");
    if (strcmp(type, "Unigram") == 0 || (type[0] == '\0' && json_is_array(reader->words)))
        reader->vocabulary.kind = KGEN_TOKENIZER_UNIGRAM;
    else if (strcmp(type, "BPE") != 0 && !(type[0] == '\0' && json_object_get(model, "merges") != NULL)) {
        kgen_json_refuse(reader, "model.type", "'%.64s' is not supported", type);
        kgen_error_hint(reader->error, "BPE and Unigram are");
        return -1;
    }
    reader->vocabulary.unknown = -1;
    return reader->vocabulary.kind == KGEN_TOKENIZER_UNIGRAM ? read_unigram(reader, model)
                                                             : read_bpe(reader, model);
}

/* ---- files ---- */

/* Ids are integers, and a config may have one that is too large for them, which nothing reads. */
static json_t *load(const char *source, const char *name, struct kgen_token_text text, size_t flags,
                    struct kgen_error *error)
{
    json_error_t place;
    json_t *root =
        json_loadb(text.data != NULL ? text.data : "", text.length, flags | JSON_ALLOW_NUL, &place);
    if (root == NULL)
        kgen_error_set(error, KGEN_ERROR_SPEC, source, place.line > 0 ? place.line : 0,
                       place.column > 0 ? place.column : 0, "%s: %s", name, place.text);
    else if (!json_is_object(root)) {
        kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "%s: it must be an object", name);
        json_decref(root);
        root = NULL;
    }
    return root;
}

static void free_reader(struct kgen_json_reader *reader)
{
    for (unsigned i = 0; i < KGEN_PRE_STAGES; i++)
        kgen_text_free(&reader->patterns[i]);
    kgen_text_free(&reader->charsmap);
    kgen_text_free(&reader->joined);
    free(reader->tokens);
    free(reader->merges);
    free(reader->types);
    free(reader->scores);
    free(reader->strips);
}

struct kgen_tokenizer *kgen_tokenizer_parse_json(const struct kgen_tokenizer_json *files,
                                                 struct kgen_error *error)
{
    struct kgen_tokenizer *tokenizer = NULL;
    struct kgen_json_reader reader = {.source = files->source, .error = error};
    json_t *config = NULL, *root = load(files->source, "tokenizer.json", files->tokenizer, 0, error);
    if (root != NULL && files->config.data != NULL)
        config = load(files->source, "tokenizer_config.json", files->config, JSON_DECODE_INT_AS_REAL, error);
    reader.root = root;
    reader.config = config;
    reader.vocabulary.source = files->source;
    reader.vocabulary.chat_template = files->chat_template;
    if (root != NULL && (config != NULL || files->config.data == NULL) && read_model(&reader) == 0 &&
        kgen_json_read_stages(&reader) == 0 && kgen_json_read_ends(&reader) == 0)
        tokenizer = kgen_tokenizer_new(&reader.vocabulary, error);
    free_reader(&reader);
    json_decref(config);
    json_decref(root);
    return tokenizer;
}

/* Reads a file beside the tokenizer.json; one that is not there is empty. */
static int read_beside(const char *folder, const char *name, struct kgen_text *text, struct kgen_error *error)
{
    struct kgen_text path = {0};
    struct stat status;
    kgen_text_printf(&path, "%s%s", folder, name);
    int result = 0;
    if (path.failed)
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, folder, 0, 0, "out of memory");
    else if (stat(path.data, &status) == 0)
        result = kgen_file_read(path.data, FILE_LIMIT, text, error);
    kgen_text_free(&path);
    return result;
}

struct kgen_tokenizer *kgen_tokenizer_from_json(const char *path, struct kgen_error *error)
{
    struct kgen_tokenizer *tokenizer = NULL;
    struct kgen_text file = {0}, folder = {0}, json = {0}, config = {0}, chat_template = {0};
    struct stat status;
    kgen_text_puts(&file, path);
    kgen_text_puts(&folder, path);
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        kgen_text_puts(&file, "/tokenizer.json");
        kgen_text_puts(&folder, "/");
    } else if (!folder.failed) {
        const char *slash = strrchr(folder.data, '/');
        folder.length = slash != NULL ? (size_t)(slash - folder.data) + 1 : 0;
        folder.data[folder.length] = '\0';
    }
    if (file.failed || folder.failed)
        kgen_error_set(error, KGEN_ERROR_MEMORY, path, 0, 0, "out of memory");
    else if (kgen_file_read(file.data, FILE_LIMIT, &json, error) == 0 &&
             read_beside(folder.data, "tokenizer_config.json", &config, error) == 0 &&
             read_beside(folder.data, "chat_template.jinja", &chat_template, error) == 0) {
        const struct kgen_tokenizer_json files = {file.data,
                                                  {json.data, json.length},
                                                  {config.data, config.length},
                                                  {chat_template.data, chat_template.length}};
        tokenizer = kgen_tokenizer_parse_json(&files, error);
    }
    kgen_text_free(&file);
    kgen_text_free(&folder);
    kgen_text_free(&json);
    kgen_text_free(&config);
    kgen_text_free(&chat_template);
    return tokenizer;
}
