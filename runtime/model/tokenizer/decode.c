/* SPDX-License-Identifier: MIT */
/* Tokens to bytes, and what is known of tokens. */
#include "runtime/model/tokenizer/internal.h"

#include <string.h>

static bool in_range(const struct kgen_tokenizer *tokenizer, int64_t id)
{
    return id >= 0 && (uint64_t)id < tokenizer->token_count;
}

int kgen_tokenizer_decode(const struct kgen_tokenizer *tokenizer, int64_t id, bool special,
                          struct kgen_text *text, struct kgen_error *error)
{
    if (!in_range(tokenizer, id))
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no token %lld: %zu are known",
                              (long long)id, tokenizer->token_count);
    const struct kgen_token *token = &tokenizer->tokens[id];
    if (!special && (token->type == KGEN_TOKEN_CONTROL || token->type == KGEN_TOKEN_UNKNOWN))
        return 0;
    if (token->length > 0)
        kgen_text_append(text, tokenizer->symbols.bytes.data + token->begin, token->length);
    return text->failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}

size_t kgen_tokenizer_count(const struct kgen_tokenizer *tokenizer)
{
    return tokenizer->token_count;
}

int32_t kgen_tokenizer_bos(const struct kgen_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int32_t kgen_tokenizer_eos(const struct kgen_tokenizer *tokenizer)
{
    return tokenizer->eos;
}

int32_t kgen_tokenizer_unknown(const struct kgen_tokenizer *tokenizer)
{
    return tokenizer->unknown;
}

int32_t kgen_tokenizer_padding(const struct kgen_tokenizer *tokenizer)
{
    return tokenizer->padding;
}

bool kgen_tokenizer_adds_bos(const struct kgen_tokenizer *tokenizer)
{
    return tokenizer->add_bos;
}

bool kgen_tokenizer_adds_eos(const struct kgen_tokenizer *tokenizer)
{
    return tokenizer->add_eos;
}

enum kgen_token_type kgen_tokenizer_type(const struct kgen_tokenizer *tokenizer, int64_t id)
{
    return in_range(tokenizer, id) ? (enum kgen_token_type)tokenizer->tokens[id].type : KGEN_TOKEN_UNDEFINED;
}

int32_t kgen_tokenizer_special(const struct kgen_tokenizer *tokenizer, const char *text)
{
    const size_t length = strlen(text);
    size_t at = 0;
    const int32_t id = kgen_specials_find(tokenizer, &tokenizer->special, text, length, &at);
    return id >= 0 && at == 0 && tokenizer->tokens[id].length == length ? id : -1;
}

bool kgen_tokenizer_ends(const struct kgen_tokenizer *tokenizer, int64_t id)
{
    static const char *const ends[] = {
        "<|eot_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|eom_id|>",
        "<end_of_turn>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<turn|>",
        "<EOT>",
        "_<EOT>",
        "[EOT]",
        "<end_of_utterance>",
        "<\xEF\xBD\x9C\x65nd\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",
    };
    if (!in_range(tokenizer, id))
        return false;
    if (id == tokenizer->eos)
        return true;
    const struct kgen_token *token = &tokenizer->tokens[id];
    if (token->type != KGEN_TOKEN_CONTROL && token->type != KGEN_TOKEN_USER_DEFINED)
        return false;
    const char *text = tokenizer->symbols.bytes.data + token->begin;
    for (size_t i = 0; i < KGEN_COUNT_OF(ends); i++) {
        if (token->length == strlen(ends[i]) && memcmp(text, ends[i], token->length) == 0)
            return !(tokenizer->turn_goes_on && strcmp(ends[i], "<|end|>") == 0);
    }
    return false;
}

struct kgen_token_text kgen_tokenizer_chat_template(const struct kgen_tokenizer *tokenizer)
{
    return (struct kgen_token_text){tokenizer->chat_template.data, tokenizer->chat_template.length};
}
