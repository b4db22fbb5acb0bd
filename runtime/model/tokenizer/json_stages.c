/* SPDX-License-Identifier: MIT */
/* What tokenizer.json does to a text before its tokens are found. */
#include "runtime/model/tokenizer/json_reader.h"

#include <string.h>

#define SPACE "\xE2\x96\x81"

/* White space, in a class of PCRE2. */
#define S                                                                                                    \
    "\\x09-\\x0D\\x20\\x85\\xA0\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define PUNCTUATION "[!-/:-@\\[-`{-~\\p{P}]"
#define GPT2                                                                                                 \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" S "\\p{L}\\p{N}]+|[" S "]+(?![^" S "])|[" S "]+"

/* Sequences may hold sequences, so deep. */
#define DEPTH_MAX 8

typedef int reads_stage(struct kgen_json_reader *reader, const json_t *stage, const char *key);

struct stage {
    const char *type;
    reads_stage *read;
};

static bool is_string(const json_t *value, const char *string)
{
    return json_is_string(value) && strcmp(json_string_value(value), string) == 0;
}

/* Reads a stage, or the stages of a Sequence, by the function of its type. */
static int read_stage(struct kgen_json_reader *reader, const json_t *stage, const char *key, const char *list,
                      const struct stage *stages, size_t count, unsigned depth)
{
    if (stage == NULL || json_is_null(stage))
        return 0;
    const char *type = kgen_json_type(stage);
    if (strcmp(type, "Sequence") == 0 && depth < DEPTH_MAX) {
        const json_t *parts = json_object_get(stage, list), *part;
        size_t index;
        if (!json_is_array(parts))
            return kgen_json_refuse(reader, key, "a Sequence without %s", list);
        json_array_foreach(parts, index, part)
        {
            if (read_stage(reader, part, key, list, stages, count, depth + 1) < 0)
                return -1;
        }
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(type, stages[i].type) == 0)
            return stages[i].read(reader, stage, key);
    }
    return kgen_json_refuse(reader, key, "the type '%.64s' is not supported", type);
}

/* ---- normalizers ---- */

static bool is_unigram(const struct kgen_json_reader *reader)
{
    return reader->vocabulary.kind == KGEN_TOKENIZER_UNIGRAM;
}

static int read_nothing(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    (void)reader;
    (void)stage;
    (void)key;
    return 0;
}

static int read_prepend(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    if (!is_string(json_object_get(stage, "prepend"), SPACE))
        return kgen_json_refuse(reader, key, "only U+2581 can be prepended");
    reader->row.flags |= KGEN_PRE_PREFIX;
    return 0;
}

static int read_replace(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    const json_t *pattern = json_object_get(stage, "pattern"), *content = json_object_get(stage, "content");
    if (is_string(json_object_get(pattern, "String"), " ") && is_string(content, SPACE)) {
        reader->spaces = true;
        return 0;
    }
    if (is_unigram(reader) && is_string(json_object_get(pattern, "Regex"), " {2,}") &&
        (is_string(content, SPACE) || is_string(content, " "))) {
        reader->row.flags |= KGEN_PRE_ONE_SPACE;
        return 0;
    }
    return kgen_json_refuse(reader, key, "a Replace of anything but spaces is not supported");
}

static int read_strip(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    (void)stage;
    /* Runs of spaces as one take those at the ends away, too. */
    return is_unigram(reader) ? 0
                              : kgen_json_refuse(reader, key, "Strip is supported of Unigram models only");
}

static int digit_of(char character)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = character != '\0' ? strchr(digits, character) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static int read_precompiled(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    const char *text = json_string_value(json_object_get(stage, "precompiled_charsmap"));
    if (!is_unigram(reader))
        return kgen_json_refuse(reader, key, "Precompiled is supported of Unigram models only");
    if (text == NULL)
        return kgen_json_refuse(reader, key, "there is no precompiled_charsmap");
    uint32_t bits = 0;
    unsigned count = 0;
    for (; *text != '\0' && *text != '='; text++) {
        const int digit = digit_of(*text);
        if (digit < 0)
            return kgen_json_refuse(reader, key, "precompiled_charsmap is not base64");
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            const char byte = (char)(unsigned char)(bits >> count & 0xFF);
            kgen_text_append(&reader->charsmap, &byte, 1);
        }
    }
    return reader->charsmap.failed ? kgen_json_out_of_memory(reader) : 0;
}

/* ---- patterns ---- */

/* A new pattern, or NULL. */
static struct kgen_text *new_pattern(struct kgen_json_reader *reader, const char *key)
{
    if (reader->pattern_count == KGEN_PRE_STAGES) {
        kgen_json_refuse(reader, key, "more than %d patterns", KGEN_PRE_STAGES);
        return NULL;
    }
    return &reader->patterns[reader->pattern_count++];
}

static int add_pattern(struct kgen_json_reader *reader, const char *key, const char *pattern)
{
    struct kgen_text *text = new_pattern(reader, key);
    if (text == NULL)
        return -1;
    kgen_text_puts(text, pattern);
    return text->failed ? kgen_json_out_of_memory(reader) : 0;
}

/* Appends a pattern of Oniguruma's language in that of PCRE2. They agree but for white space, which PCRE2
 * takes U+180E for, too; what Oniguruma alone has is refused. */
static int translate(const struct kgen_json_reader *reader, const char *key, const char *from,
                     struct kgen_text *to)
{
    bool class = false;
    for (const char *at = from; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
            if (*at == 'h' || *at == 'H' || *at == 'O' || *at == 'y' || *at == 'Y')
                return kgen_json_refuse(reader, key, "'\\%c' in a pattern is not supported", *at);
            if (*at == 's')
                kgen_text_puts(to, class ? S : "[" S "]");
            else if (*at == 'S' && !class)
                kgen_text_puts(to, "[^" S "]");
            else
                kgen_text_append(to, at - 1, 2);
            continue;
        }
        if (class && ((*at == '[' && at[1] != ':') || (*at == '&' && at[1] == '&')))
            return kgen_json_refuse(reader, key, "classes within classes of a pattern are not supported");
        if (class && *at == '[') {
            const char *end = strstr(at, ":]");
            if (end == NULL)
                return kgen_json_refuse(reader, key, "a pattern has no end of '[:'");
            kgen_text_append(to, at, (size_t)(end - at) + 2);
            at = end + 1;
            continue;
        }
        const bool opens = !class && *at == '[';
        kgen_text_append(to, at, 1);
        class = opens || (class && *at != ']');
        /* A bracket that comes first in a class belongs to it. */
        if (opens && at[1] == '^')
            kgen_text_append(to, ++at, 1);
        if (opens && at[1] == ']') {
            kgen_text_puts(to, "\\]");
            at++;
        }
    }
    return to->failed ? kgen_json_out_of_memory(reader) : 0;
}

/* Appends a pattern that matches a text. */
static int quote(const struct kgen_json_reader *reader, const char *from, struct kgen_text *to)
{
    for (; *from != '\0'; from++) {
        if (strchr("\\^$.[]|()?*+{}#- ", *from) != NULL)
            kgen_text_puts(to, "\\");
        kgen_text_append(to, from, 1);
    }
    return to->failed ? kgen_json_out_of_memory(reader) : 0;
}

/* ---- pre-tokenizers ---- */

static int read_byte_level(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    reader->byte_level = true;
    const bool prefix = kgen_json_flag(stage, "add_prefix_space", false);
    if (prefix && reader->pattern_count > 0)
        return kgen_json_refuse(reader, key, "add_prefix_space behind another pre-tokenizer");
    if (prefix)
        reader->row.flags |= KGEN_PRE_PREFIX | KGEN_PRE_PREFIX_MISSING;
    return kgen_json_flag(stage, "use_regex", true) ? add_pattern(reader, key, GPT2) : 0;
}

static int read_split(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    const json_t *pattern = json_object_get(stage, "pattern"), *behavior = json_object_get(stage, "behavior");
    const char *string = json_string_value(json_object_get(pattern, "String"));
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const bool invert = kgen_json_flag(stage, "invert", false);
    /* The spaces are not there any more. */
    if (string != NULL && strcmp(string, " ") == 0 && reader->spaces)
        return 0;
    if (string == NULL && regex == NULL)
        return kgen_json_refuse(reader, key, "a Split without a pattern");
    /* Patterns whose matches stay match all of a text. */
    if (!is_string(behavior, "Isolated") && !(is_string(behavior, "Removed") && invert))
        return kgen_json_refuse(reader, key, "a Split with the behavior '%.64s' is not supported",
                                json_is_string(behavior) ? json_string_value(behavior) : "");
    struct kgen_text *text = new_pattern(reader, key);
    if (text == NULL)
        return -1;
    return regex != NULL ? translate(reader, key, regex, text) : quote(reader, string, text);
}

static int read_digits(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    return add_pattern(reader, key, kgen_json_flag(stage, "individual_digits", false) ? "\\p{N}" : "\\p{N}+");
}

static int read_punctuation(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    const json_t *behavior = json_object_get(stage, "behavior");
    if (behavior == NULL || is_string(behavior, "Isolated"))
        return add_pattern(reader, key, PUNCTUATION);
    if (is_string(behavior, "Contiguous"))
        return add_pattern(reader, key, PUNCTUATION "+");
    return kgen_json_refuse(reader, key, "Punctuation with another behavior than Isolated and Contiguous");
}

static int read_metaspace(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    const json_t *replacement = json_object_get(stage, "replacement");
    const json_t *scheme = json_object_get(stage, "prepend_scheme");
    if (replacement != NULL && !is_string(replacement, SPACE))
        return kgen_json_refuse(reader, key, "a Metaspace with another replacement than U+2581");
    if (reader->pattern_count > 0)
        return kgen_json_refuse(reader, key, "a Metaspace behind a pre-tokenizer that splits");
    reader->spaces = true;
    if (is_string(scheme, "first"))
        reader->row.flags |= KGEN_PRE_PREFIX_FIRST | KGEN_PRE_PREFIX_MISSING;
    else if (is_string(scheme, "always") ||
             (scheme == NULL && kgen_json_flag(stage, "add_prefix_space", true)))
        reader->row.flags |= KGEN_PRE_PREFIX | KGEN_PRE_PREFIX_MISSING;
    if (!kgen_json_flag(stage, "split", true))
        return 0;
    return add_pattern(reader, key, "\\x{2581}[^\\x{2581}]*");
}

static int read_whitespace_split(struct kgen_json_reader *reader, const json_t *stage, const char *key)
{
    (void)stage;
    /* The charsmap makes spaces of all white space. */
    if (reader->charsmap.length == 0)
        return kgen_json_refuse(reader, key, "WhitespaceSplit without a Precompiled normalizer");
    reader->row.flags |= KGEN_PRE_ONE_SPACE;
    return 0;
}

static int check_kind(const struct kgen_json_reader *reader)
{
    if (is_unigram(reader) && reader->byte_level)
        return kgen_json_refuse(reader, "pre_tokenizer", "a Unigram model over bytes is not supported");
    if (!reader->byte_level && !reader->spaces)
        return kgen_json_refuse(reader, "pre_tokenizer",
                                "neither ByteLevel nor Metaspace, and the normalizer replaces no spaces");
    if (reader->byte_level && reader->spaces)
        return kgen_json_refuse(reader, "normalizer", "bytes, and spaces as U+2581");
    return 0;
}

int kgen_json_read_stages(struct kgen_json_reader *reader)
{
    static const struct stage normalizers[] = {
        {"NFC", read_nothing}, {"Prepend", read_prepend},         {"Replace", read_replace},
        {"Strip", read_strip}, {"Precompiled", read_precompiled},
    };
    static const struct stage pre_tokenizers[] = {
        {"ByteLevel", read_byte_level}, {"Split", read_split},
        {"Digits", read_digits},        {"Punctuation", read_punctuation},
        {"Metaspace", read_metaspace},  {"WhitespaceSplit", read_whitespace_split},
    };
    const json_t *root = reader->root;
    if (read_stage(reader, json_object_get(root, "normalizer"), "normalizer", "normalizers", normalizers,
                   KGEN_COUNT_OF(normalizers), 0) < 0 ||
        read_stage(reader, json_object_get(root, "pre_tokenizer"), "pre_tokenizer", "pretokenizers",
                   pre_tokenizers, KGEN_COUNT_OF(pre_tokenizers), 0) < 0)
        return -1;
    if (strcmp(kgen_json_type(json_object_get(root, "decoder")), "ByteLevel") == 0)
        reader->byte_level = true;
    if (check_kind(reader) < 0)
        return -1;
    if (!reader->byte_level)
        reader->row.flags |= KGEN_PRE_PLAIN;
    for (unsigned i = 0; i < reader->pattern_count; i++)
        reader->row.patterns[i] = reader->patterns[i].data != NULL ? reader->patterns[i].data : "";
    reader->vocabulary.charsmap = (struct kgen_token_text){reader->charsmap.data, reader->charsmap.length};
    reader->vocabulary.pre_row = &reader->row;
    return 0;
}
