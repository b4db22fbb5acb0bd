/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/internal.h"
#include "runtime/model/tokenizer/utf8.h"

#include <stdlib.h>

#define TEXT_MAX ((size_t)1 << 30)

int kgen_token_ids_push(struct kgen_token_ids *ids, int32_t id, struct kgen_error *error)
{
    if (ids->count == ids->capacity) {
        const size_t capacity = ids->capacity == 0 ? 256 : ids->capacity * 2;
        int32_t *grown = realloc(ids->ids, capacity * sizeof *grown);
        if (grown == NULL)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        ids->ids = grown;
        ids->capacity = capacity;
    }
    ids->ids[ids->count++] = id;
    return 0;
}

void kgen_token_ids_free(struct kgen_token_ids *ids)
{
    free(ids->ids);
    *ids = (struct kgen_token_ids){0};
}

struct encoder {
    const struct kgen_tokenizer *tokenizer;
    const char *text; /* of the piece between special tokens, as it is merged */
    struct kgen_merger merger;
    struct kgen_text spaced, repaired, seen; /* of the piece */
    struct kgen_token_ids *ids;
    struct kgen_error *error;
};

static int encode_word(void *context, size_t begin, size_t length)
{
    struct encoder *encoder = context;
    return kgen_merge_word(encoder->tokenizer, &encoder->merger, encoder->text + begin, length, encoder->ids,
                           encoder->error);
}

/* Encodes what lies between special tokens. */
static int encode_piece(struct encoder *encoder, const char *text, size_t length)
{
    if (length == 0)
        return 0;
    if ((kgen_pretokenizer_flags(encoder->tokenizer->pre) & KGEN_PRE_PLAIN) != 0) {
        kgen_text_clear(&encoder->spaced);
        for (size_t i = 0; i < length; i++)
            kgen_text_append(&encoder->spaced, text[i] == ' ' ? "\xE2\x96\x81" : text + i,
                             text[i] == ' ' ? 3 : 1);
        text = encoder->spaced.data;
        length = encoder->spaced.length;
    }
    const char *seen = text;
    if (!encoder->spaced.failed && !kgen_utf8_valid(text, length)) {
        kgen_text_clear(&encoder->repaired);
        kgen_text_clear(&encoder->seen);
        kgen_utf8_repair(text, length, &encoder->repaired);
        text = encoder->repaired.data;
        length = encoder->repaired.length;
        kgen_text_append(&encoder->seen, text, length);
        if (!encoder->seen.failed)
            kgen_utf8_hide_surrogates(encoder->seen.data, length);
        seen = encoder->seen.data;
    }
    if (encoder->spaced.failed || encoder->repaired.failed || encoder->seen.failed)
        return kgen_error_set(encoder->error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    encoder->text = text;
    return kgen_pretokenizer_split(encoder->tokenizer->pre, seen, length, encode_word, encoder,
                                   encoder->error);
}

static int encode(struct encoder *encoder, const char *text, size_t length, unsigned flags)
{
    const struct kgen_tokenizer *tokenizer = encoder->tokenizer;
    const struct kgen_specials *specials =
        (flags & KGEN_ENCODE_PARSE_SPECIAL) != 0 ? &tokenizer->special : &tokenizer->always;
    const bool add = (flags & KGEN_ENCODE_ADD_SPECIAL) != 0;
    if (add && tokenizer->add_bos && kgen_token_ids_push(encoder->ids, tokenizer->bos, encoder->error) < 0)
        return -1;
    for (size_t done = 0; done < length;) {
        size_t at = done;
        const int32_t special = kgen_specials_find(tokenizer, specials, text, length, &at);
        if (encode_piece(encoder, text + done, at - done) < 0 ||
            (special >= 0 && kgen_token_ids_push(encoder->ids, special, encoder->error) < 0))
            return -1;
        done = special >= 0 ? at + tokenizer->tokens[special].length : length;
    }
    if (add && tokenizer->add_eos)
        return kgen_token_ids_push(encoder->ids, tokenizer->eos, encoder->error);
    return 0;
}

int kgen_tokenizer_encode(const struct kgen_tokenizer *tokenizer, const char *text, size_t length,
                          unsigned flags, struct kgen_token_ids *ids, struct kgen_error *error)
{
    if (length >= TEXT_MAX)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "a text of %zu bytes; 1 GiB is too much",
                              length);
    struct encoder encoder = {.tokenizer = tokenizer, .ids = ids, .error = error};
    const int result = encode(&encoder, text, length, flags);
    kgen_merger_free(&encoder.merger);
    kgen_text_free(&encoder.spaced);
    kgen_text_free(&encoder.repaired);
    kgen_text_free(&encoder.seen);
    return result;
}
