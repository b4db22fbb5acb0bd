/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/internal.h"
#include "runtime/model/tokenizer/utf8.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 30)

/* The space of plain text. */
#define SPACE "\xE2\x96\x81"

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
    struct kgen_lattice lattice;
    struct kgen_text spaced, repaired, seen; /* of the piece */
    struct kgen_token_ids *ids;
    struct kgen_error *error;
};

static int encode_word(void *context, size_t begin, size_t length)
{
    struct encoder *encoder = context;
    if (encoder->tokenizer->kind == KGEN_TOKENIZER_UNIGRAM)
        return kgen_unigram_word(encoder->tokenizer, &encoder->lattice, encoder->text + begin, length,
                                 encoder->ids, encoder->error);
    return kgen_merge_word(encoder->tokenizer, &encoder->merger, encoder->text + begin, length, encoder->ids,
                           encoder->error);
}

static bool is_blank(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static bool begins_with_space(const char *text, size_t length, bool plain)
{
    if (!plain)
        return is_blank(text[0]);
    return text[0] == ' ' || (length >= 3 && memcmp(text, SPACE, 3) == 0);
}

/* Puts a space before a piece where one belongs there, and spaces of plain text as U+2581. */
static void put_spaces(struct encoder *encoder, const char *text, size_t length, bool first)
{
    const unsigned flags = kgen_pretokenizer_flags(encoder->tokenizer->pre);
    const bool plain = (flags & KGEN_PRE_PLAIN) != 0;
    struct kgen_text *spaced = &encoder->spaced;
    const bool prefix = (flags & KGEN_PRE_PREFIX) != 0 || (first && (flags & KGEN_PRE_PREFIX_FIRST) != 0);
    if (prefix && !((flags & KGEN_PRE_PREFIX_MISSING) != 0 && begins_with_space(text, length, plain)))
        kgen_text_puts(spaced, plain ? SPACE : " ");
    for (size_t i = 0; i < length;) {
        const char *blank = plain ? memchr(text + i, ' ', length - i) : NULL;
        const size_t end = blank != NULL ? (size_t)(blank - text) : length;
        kgen_text_append(spaced, text + i, end - i);
        if (blank != NULL)
            kgen_text_puts(spaced, SPACE);
        i = end + (blank != NULL);
    }
}

/* Encodes what lies between special tokens. first: it begins the text. */
static int encode_piece(struct encoder *encoder, const char *text, size_t length, bool first)
{
    const struct kgen_tokenizer *tokenizer = encoder->tokenizer;
    const unsigned spaces = KGEN_PRE_PLAIN | KGEN_PRE_PREFIX | KGEN_PRE_PREFIX_FIRST;
    if (length == 0)
        return 0;
    if ((kgen_pretokenizer_flags(tokenizer->pre) & spaces) != 0) {
        kgen_text_clear(&encoder->spaced);
        if (tokenizer->kind == KGEN_TOKENIZER_UNIGRAM)
            kgen_unigram_normalize(tokenizer, text, length, first, &encoder->spaced);
        else
            put_spaces(encoder, text, length, first);
        text = encoder->spaced.data;
        length = encoder->spaced.length;
    }
    const char *seen = text;
    /* The kinds with scores take bytes as they come; patterns do not. */
    const bool as_is = tokenizer->kind != KGEN_TOKENIZER_BPE && kgen_pretokenizer_stages(tokenizer->pre) == 0;
    if (!encoder->spaced.failed && !as_is && !kgen_utf8_valid(text, length)) {
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
    if (length == 0)
        return 0;
    encoder->text = text;
    return kgen_pretokenizer_split(tokenizer->pre, seen, length, encode_word, encoder, encoder->error);
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
        const struct kgen_token *token = special >= 0 ? &tokenizer->tokens[special] : NULL;
        size_t end = at;
        while (token != NULL && (token->strips & KGEN_STRIP_LEFT) != 0 && end > done &&
               is_blank(text[end - 1]))
            end--;
        if (encode_piece(encoder, text + done, end - done, done == 0) < 0 ||
            (special >= 0 && kgen_token_ids_push(encoder->ids, special, encoder->error) < 0))
            return -1;
        done = token != NULL ? at + token->length : length;
        while (token != NULL && (token->strips & KGEN_STRIP_RIGHT) != 0 && done < length &&
               is_blank(text[done]))
            done++;
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
    kgen_lattice_free(&encoder.lattice);
    kgen_text_free(&encoder.spaced);
    kgen_text_free(&encoder.repaired);
    kgen_text_free(&encoder.seen);
    return result;
}
