/* SPDX-License-Identifier: MIT */
#include "runtime/command/report/peers.h"

#include "gen/base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/spec/json_place.h"
#include <jansson.h>

#define FILE_LIMIT ((size_t)16 << 20)

struct reader {
    const char *path;
    struct kgen_text text;
    struct kgen_error *error;
};

/* The error at the value of a JSON path. */
static int fail(const struct reader *reader, const struct kgen_json_path *path, const char *message)
{
    struct kgen_json_place place = {0};
    int line = 1, column = 1;
    if (kgen_json_find(reader->text.data, reader->text.length, path, &place) == 0)
        kgen_json_line(reader->text.data, place.begin, &line, &column);
    kgen_error_set(reader->error, KGEN_ERROR_USAGE, reader->path, line, column, "%s", message);
    kgen_error_hint(reader->error,
                    "a file of peers is {\"peers\": [{\"name\": \"...\", \"problem\": \"qmv_n4096_...\", "
                    "\"seconds\": 0.001, \"settings\": \"...\"}]}");
    return -1;
}

/* A string that is there and not empty, or with optional one that is not there (""). */
static int read_string(const struct reader *reader, const struct kgen_json_path *path, const json_t *object,
                       const char *key, bool optional, const char **string)
{
    const struct kgen_json_path member = {.parent = path, .key = key};
    const json_t *value = json_object_get(object, key);
    *string = value == NULL && optional ? "" : json_string_value(value);
    if (*string != NULL && ((*string)[0] != '\0' || optional))
        return 0;
    char message[80];
    snprintf(message, sizeof message, "\"%s\" must be a string that is not empty", key);
    return fail(reader, value != NULL ? &member : path, message);
}

static int read_peer(const struct reader *reader, const struct kgen_json_path *path, json_t *object,
                     struct kgen_peer *peer)
{
    static const char *const keys[] = {"name", "problem", "seconds", "settings"};
    if (!json_is_object(object))
        return fail(reader, path, "a peer must be an object");
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < KGEN_COUNT_OF(keys); i++)
            known = known || strcmp(keys[i], key) == 0;
        const struct kgen_json_path member = {.parent = path, .key = key};
        if (!known)
            return fail(reader, &member, "a peer has name, problem, seconds and settings, and no other key");
    }
    if (read_string(reader, path, object, "name", false, &peer->name) != 0 ||
        read_string(reader, path, object, "problem", false, &peer->problem) != 0 ||
        read_string(reader, path, object, "settings", true, &peer->settings) != 0)
        return -1;
    const struct kgen_json_path member = {.parent = path, .key = "seconds"};
    value = json_object_get(object, "seconds");
    peer->seconds = json_number_value(value);
    if (!json_is_number(value) || !isfinite(peer->seconds) || peer->seconds <= 0)
        return fail(reader, value != NULL ? &member : path, "\"seconds\" must be a number greater than 0");
    return 0;
}

static int read_peers(const struct reader *reader, struct kgen_peers *peers)
{
    json_t *list = json_object_get(peers->json, "peers");
    const struct kgen_json_path list_path = {.key = "peers"};
    if (!json_is_array(list))
        return fail(reader, list != NULL ? &list_path : NULL, "an array \"peers\" is missing");
    const size_t count = json_array_size(list);
    peers->items = calloc(count + 1, sizeof *peers->items);
    if (peers->items == NULL)
        return kgen_error_set(reader->error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const struct kgen_json_path path = {.parent = &list_path, .index = i};
        if (read_peer(reader, &path, json_array_get(list, i), &peers->items[i]) != 0)
            return -1;
        peers->count++;
    }
    return 0;
}

int kgen_peers_read(const char *path, struct kgen_peers *peers, struct kgen_error *error)
{
    struct reader reader = {.path = path, .error = error};
    int result = kgen_file_read(path, FILE_LIMIT, &reader.text, error);
    if (result == 0) {
        json_error_t json_error;
        peers->json = json_loadb(reader.text.data, reader.text.length, JSON_REJECT_DUPLICATES, &json_error);
        if (peers->json == NULL)
            result = kgen_error_set(error, KGEN_ERROR_USAGE, path, json_error.line > 0 ? json_error.line : 1,
                                    json_error.column > 0 ? json_error.column : 1, "not valid JSON");
        else
            result = read_peers(&reader, peers);
    }
    kgen_text_free(&reader.text);
    return result;
}

void kgen_peers_free(struct kgen_peers *peers)
{
    free(peers->items);
    json_decref(peers->json);
    *peers = (struct kgen_peers){0};
}
