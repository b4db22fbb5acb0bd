/* SPDX-License-Identifier: MIT */
#include "gen/spec/tensors.h"

#include <string.h>

/* A stretch of text that is not terminated. */
struct part {
    const char *text;
    size_t length;
};

static bool equals(struct part part, const char *text, size_t length)
{
    return part.length == length && memcmp(part.text, text, length) == 0;
}

static bool take_prefix(struct part *part, const char *prefix)
{
    const size_t length = strlen(prefix);
    if (part->length < length || memcmp(part->text, prefix, length) != 0)
        return false;
    part->text += length;
    part->length -= length;
    return true;
}

static void drop_suffix(struct part *part, const char *suffix)
{
    const size_t length = strlen(suffix);
    if (part->length > length && memcmp(part->text + part->length - length, suffix, length) == 0)
        part->length -= length;
}

/* Splits "layers.7.mlp.down_proj" into its layer, "7", and the rest. */
static bool take_layer(struct part *part, struct part *layer)
{
    struct part rest = *part;
    if (!take_prefix(&rest, "layers."))
        return false;
    const char *dot = memchr(rest.text, '.', rest.length);
    if (dot == NULL)
        return false;
    *layer = (struct part){rest.text, (size_t)(dot - rest.text)};
    *part = (struct part){dot + 1, rest.length - layer->length - 1};
    return true;
}

/* Reads a number, or -1 where there is none. */
static long take_number(struct part *part)
{
    long number = -1;
    while (part->length > 0 && part->text[0] >= '0' && part->text[0] <= '9' && number < 100000000) {
        number = (number < 0 ? 0 : number * 10) + (part->text[0] - '0');
        part->text++;
        part->length--;
    }
    return number;
}

/* Whether a layer is in "0-3,5", or "*". */
static bool set_has_layer(struct part set, struct part layer)
{
    const long wanted = take_number(&layer);
    if (wanted < 0 || layer.length > 0)
        return false;
    if (equals(set, "*", 1))
        return true;
    while (set.length > 0) {
        const long first = take_number(&set);
        const long last = take_prefix(&set, "-") ? take_number(&set) : first;
        if (wanted >= first && wanted <= last)
            return true;
        if (first < 0 || !take_prefix(&set, ","))
            return false;
    }
    return false;
}

/* Whether a name is "self_attn.{q,k,v}_proj" as it stands, one of its members, or all of them in a row. */
static bool matches_braces(struct part pattern, struct part name)
{
    if (equals(pattern, name.text, name.length))
        return true;
    const char *open = memchr(pattern.text, '{', pattern.length);
    const char *close = memchr(pattern.text, '}', pattern.length);
    if (open == NULL || close == NULL)
        return false;
    const size_t before = (size_t)(open - pattern.text);
    const size_t after = pattern.length - (size_t)(close + 1 - pattern.text);
    if (name.length < before + after || memcmp(name.text, pattern.text, before) != 0 ||
        memcmp(name.text + name.length - after, close + 1, after) != 0)
        return false;
    const struct part middle = {name.text + before, name.length - before - after};
    struct part row = middle, spaced_row = middle;
    bool in_row = true, in_spaced_row = true;
    for (const char *at = open + 1; at <= close;) {
        const size_t length = strcspn(at, ",}");
        if (equals(middle, at, length))
            return true;
        in_row = in_row && row.length >= length && memcmp(row.text, at, length) == 0;
        if (in_row)
            row = (struct part){row.text + length, row.length - length};
        in_spaced_row = in_spaced_row && (at == open + 1 || take_prefix(&spaced_row, "_")) &&
                        spaced_row.length >= length && memcmp(spaced_row.text, at, length) == 0;
        if (in_spaced_row)
            spaced_row = (struct part){spaced_row.text + length, spaced_row.length - length};
        at += length + 1;
    }
    return (in_row && row.length == 0) || (in_spaced_row && spaced_row.length == 0);
}

/* Whether a name means one of the tensors that a spec describes as "layers.1-35.input_layernorm". */
static bool matches_tensor(struct part pattern, struct part name)
{
    const char *aside = memchr(pattern.text, ' ', pattern.length); /* "lm_head (embed_tokens)" */
    if (aside != NULL)
        pattern.length = (size_t)(aside - pattern.text);
    if (equals(pattern, name.text, name.length))
        return true;
    struct part set, layer;
    const bool in_layers = take_layer(&pattern, &set), layer_given = take_layer(&name, &layer);
    if (layer_given && !equals(layer, "*", 1) && !(in_layers && set_has_layer(set, layer)))
        return false;
    if (layer_given && !in_layers)
        return false;
    return matches_braces(pattern, name);
}

/* Gives the next tensor of a list; they are joined by ", ". */
static bool next_tensor(const char **at, struct part *tensor)
{
    if (**at == '\0')
        return false;
    const char *end = strstr(*at, ", ");
    tensor->text = *at;
    tensor->length = end != NULL ? (size_t)(end - *at) : strlen(*at);
    *at += tensor->length + (end != NULL ? 2 : 0);
    return true;
}

bool kgen_tensors_have(const char *tensors, const char *name)
{
    struct part wanted = {name, strlen(name)}, tensor;
    take_prefix(&wanted, "model.");
    drop_suffix(&wanted, ".weight");
    while (next_tensor(&tensors, &tensor)) {
        if (matches_tensor(tensor, wanted))
            return true;
    }
    return false;
}

void kgen_tensors_offer(const char *tensors, struct kgen_nearest *nearest)
{
    struct part tensor, layer;
    while (next_tensor(&tensors, &tensor)) {
        kgen_nearest_offer(nearest, tensor.text, tensor.length);
        if (take_layer(&tensor, &layer))
            kgen_nearest_offer(nearest, tensor.text, tensor.length);
    }
}
