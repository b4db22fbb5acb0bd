/* SPDX-License-Identifier: MIT */
/* What tokenizer.json and tokenizer_config.json say of the tokens at the ends of a text. */
#include "runtime/model/tokenizer/json_reader.h"

#include <string.h>

#define DEPTH_MAX 8

/* The tokens before and behind a text, or -1. */
struct ends {
    int64_t before, behind;
    bool given; /* there is a processor that says so */
};

static int64_t id_of_special(const struct kgen_json_reader *reader, const json_t *processor, const char *text)
{
    const json_t *entry = json_object_get(json_object_get(processor, "special_tokens"), text);
    const json_t *id = json_array_get(json_object_get(entry, "ids"), 0);
    return json_is_integer(id) ? json_integer_value(id) : kgen_json_id(reader, text);
}

static int set_end(const struct kgen_json_reader *reader, int64_t id, int64_t *end)
{
    if (id < 0 || (uint64_t)id >= reader->vocabulary.token_count)
        return kgen_json_refuse(reader, "post_processor", "a special token that the vocabulary has not");
    if (*end >= 0)
        return kgen_json_refuse(reader, "post_processor", "more than one token at an end of a text");
    *end = id;
    return 0;
}

static int read_template(const struct kgen_json_reader *reader, const json_t *processor, struct ends *ends)
{
    const json_t *single = json_object_get(processor, "single"), *part;
    size_t index;
    bool behind = false;
    if (!json_is_array(single))
        return kgen_json_refuse(reader, "post_processor.single", "it must be a list");
    ends->given = true;
    json_array_foreach(single, index, part)
    {
        const char *text = json_string_value(json_object_get(json_object_get(part, "SpecialToken"), "id"));
        if (text == NULL && json_object_get(part, "Sequence") == NULL)
            return kgen_json_refuse(reader, "post_processor.single", "neither SpecialToken nor Sequence");
        if (text == NULL)
            behind = true;
        else if (set_end(reader, id_of_special(reader, processor, text),
                         behind ? &ends->behind : &ends->before) < 0)
            return -1;
    }
    return 0;
}

/* "cls" and "sep": [text, id]. */
static int read_bert(const struct kgen_json_reader *reader, const json_t *processor, struct ends *ends)
{
    const json_t *before = json_array_get(json_object_get(processor, "cls"), 1);
    const json_t *behind = json_array_get(json_object_get(processor, "sep"), 1);
    ends->given = true;
    if (!json_is_integer(before) || !json_is_integer(behind))
        return kgen_json_refuse(reader, "post_processor", "cls and sep must be [text, id]");
    return set_end(reader, json_integer_value(before), &ends->before) < 0 ||
                   set_end(reader, json_integer_value(behind), &ends->behind) < 0
               ? -1
               : 0;
}

static int read_processor(const struct kgen_json_reader *reader, const json_t *processor, struct ends *ends,
                          unsigned depth)
{
    const char *type = kgen_json_type(processor);
    if (processor == NULL || json_is_null(processor) || strcmp(type, "ByteLevel") == 0)
        return 0;
    if (strcmp(type, "TemplateProcessing") == 0)
        return read_template(reader, processor, ends);
    if (strcmp(type, "RobertaProcessing") == 0 || strcmp(type, "BertProcessing") == 0)
        return read_bert(reader, processor, ends);
    const json_t *parts = json_object_get(processor, "processors"), *part;
    size_t index;
    if (strcmp(type, "Sequence") != 0 || depth == DEPTH_MAX || !json_is_array(parts))
        return kgen_json_refuse(reader, "post_processor", "the type '%.64s' is not supported", type);
    json_array_foreach(parts, index, part)
    {
        if (read_processor(reader, part, ends, depth + 1) < 0)
            return -1;
    }
    return 0;
}

/* The token that a key of the config names, a string or an object with its content; -1 where it names none.
 */
static int64_t configured(const struct kgen_json_reader *reader, const char *key)
{
    const json_t *value = json_object_get(reader->config, key);
    if (json_is_object(value))
        value = json_object_get(value, "content");
    return json_is_string(value) ? kgen_json_id(reader, json_string_value(value)) : -1;
}

static enum kgen_token_add add_of(const struct kgen_json_reader *reader, const struct ends *ends, int64_t end,
                                  const char *key)
{
    const bool adds = ends->given ? end >= 0 : kgen_json_flag(reader->config, key, false);
    return adds ? KGEN_TOKEN_ADD_YES : KGEN_TOKEN_ADD_NO;
}

/* A text, or a list of {"name", "template"}, of which "default" counts. */
static void read_chat_template(struct kgen_json_reader *reader)
{
    const json_t *value = json_object_get(reader->config, "chat_template"), *entry;
    size_t index;
    json_array_foreach(value, index, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name != NULL && strcmp(name, "default") == 0) {
            value = json_object_get(entry, "template");
            break;
        }
    }
    if (json_is_string(value) && reader->vocabulary.chat_template.length == 0)
        reader->vocabulary.chat_template =
            (struct kgen_token_text){json_string_value(value), json_string_length(value)};
}

int kgen_json_read_ends(struct kgen_json_reader *reader)
{
    struct kgen_vocabulary *vocabulary = &reader->vocabulary;
    struct ends ends = {-1, -1, false};
    if (read_processor(reader, json_object_get(reader->root, "post_processor"), &ends, 0) < 0)
        return -1;
    vocabulary->bos = configured(reader, "bos_token");
    vocabulary->eos = configured(reader, "eos_token");
    vocabulary->padding = configured(reader, "pad_token");
    if (vocabulary->unknown < 0)
        vocabulary->unknown = configured(reader, "unk_token");
    vocabulary->add_bos = add_of(reader, &ends, ends.before, "add_bos_token");
    vocabulary->add_eos = add_of(reader, &ends, ends.behind, "add_eos_token");
    vocabulary->bos = ends.before >= 0 ? ends.before : vocabulary->bos;
    vocabulary->eos = ends.behind >= 0 ? ends.behind : vocabulary->eos;
    read_chat_template(reader);
    return 0;
}
