/* SPDX-License-Identifier: MIT */
#include "runtime/command/replay/pack.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gen/base/file.h"
#include "gen/ops/constant.h"
#include "runtime/command/json.h"
#include "runtime/command/opened_model.h"

#define FILE_LIMIT ((size_t)1 << 30)

void kgen_pack_free(struct kgen_pack *pack)
{
    for (size_t i = 0; i < pack->count; i++) {
        kgen_text_free(&pack->prompts[i].text);
        kgen_token_ids_free(&pack->prompts[i].prompt);
        kgen_token_ids_free(&pack->prompts[i].tokens);
        free(pack->prompts[i].margins);
    }
    free(pack->prompts);
    json_decref(pack->dispatch);
    *pack = (struct kgen_pack){0};
}

json_t *kgen_pack_settings_json(const struct kgen_pack_settings *settings)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:b}", "activation_dtype",
                     kgen_constant_name(settings->activation_dtype), "layout",
                     kgen_constant_name(settings->layout), "cache_dtype",
                     kgen_constant_name(settings->cache_dtype), "context", (json_int_t)settings->context,
                     "prompt_rows", (json_int_t)settings->prompt_rows, "threads",
                     (json_int_t)settings->threads, "chat", settings->chat);
}

json_t *kgen_pack_identity_json(const struct kgen_pack_identity *identity)
{
    return json_pack("{s:s, s:I, s:I, s:s}", "container", identity->container, "files",
                     (json_int_t)identity->files, "bytes", (json_int_t)identity->bytes, "hash",
                     identity->hash);
}

json_t *kgen_pack_ids_json(const struct kgen_token_ids *ids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ids->count; i++)
        json_array_append_new(list, json_integer(ids->ids[i]));
    return list;
}

static json_t *prompt_json(const struct kgen_pack_prompt *prompt)
{
    const struct kgen_pack_times *times = &prompt->times;
    json_t *margins = json_array();
    for (size_t i = 0; i < prompt->tokens.count; i++)
        json_array_append_new(margins, kgen_json_number(prompt->margins[i]));
    return json_pack("{s:s%, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "text",
                     prompt->text.data != NULL ? prompt->text.data : "", prompt->text.length, "prompt_tokens",
                     kgen_pack_ids_json(&prompt->prompt), "tokens", kgen_pack_ids_json(&prompt->tokens),
                     "margins", margins, "ended", prompt->ended, "prompt_seconds",
                     kgen_json_number(times->prompt_seconds), "first_token_seconds",
                     kgen_json_number(times->first_token_seconds), "text_seconds",
                     kgen_json_number(times->text_seconds), "prompt_tokens_per_second",
                     kgen_json_positive(kgen_rate((double)prompt->prompt.count, times->prompt_seconds)),
                     "text_tokens_per_second",
                     kgen_json_positive(kgen_rate((double)(prompt->tokens.count - 1), times->text_seconds)));
}

int kgen_pack_write(const struct kgen_pack *pack, const char *path, struct kgen_error *error)
{
    json_t *prompts = json_array();
    for (size_t i = 0; i < pack->count; i++)
        json_array_append_new(prompts, prompt_json(&pack->prompts[i]));
    json_t *root = json_pack(
        "{s:i, s:s, s:o, s:o, s:o, s:O, s:o, s:o}", "kgen_pack", KGEN_PACK_VERSION, "kgen", pack->version,
        "machine", kgen_json_machine(&pack->machine), "checkpoint", kgen_pack_identity_json(&pack->identity),
        "settings", kgen_pack_settings_json(&pack->settings), "dispatch", pack->dispatch,
        "peak_memory_megabytes", kgen_json_positive(pack->peak_megabytes), "prompts", prompts);
    char *dumped = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
    struct kgen_text text = {0};
    if (dumped != NULL) {
        kgen_text_puts(&text, dumped);
        kgen_text_puts(&text, "\n");
    }
    free(dumped);
    json_decref(root);
    const int result = dumped == NULL || text.failed
                           ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory")
                           : kgen_file_write(path, text.data, text.length, error);
    kgen_text_free(&text);
    return result;
}

/* Fails where the file that is there is no pack. */
static int check_is_pack(const char *path, struct kgen_error *error)
{
    struct stat status;
    struct kgen_text text = {0};
    if (stat(path, &status) != 0)
        return 0;
    int result = kgen_file_read(path, FILE_LIMIT, &text, error);
    if (result == 0 && text.length > 0) {
        json_t *root = json_loadb(text.data, text.length, 0, NULL);
        if (json_object_get(root, "kgen_pack") == NULL) {
            result = kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0, "the file is there, and is no pack");
            kgen_error_hint(error, "-o names another file; --force replaces this one");
        }
        json_decref(root);
    }
    kgen_text_free(&text);
    return result;
}

int kgen_pack_check_output(const char *path, bool force, struct kgen_error *error)
{
    struct kgen_text name = {0};
    if (!force && check_is_pack(path, error) != 0)
        return -1;
    const int file = kgen_file_create_temporary(path, &name, error);
    if (file >= 0) {
        close(file);
        unlink(name.data);
    }
    kgen_text_free(&name);
    return file >= 0 ? 0 : -1;
}
