/* SPDX-License-Identifier: MIT */
/* Messages as the text that a model was trained on. A template is a program in Jinja; it is not run, but
 * recognised by what it writes. */
#ifndef KGEN_CHAT_H
#define KGEN_CHAT_H

#include "runtime/model/tokenizer/tokenizer.h"

struct kgen_chat_message {
    const char *role; /* "system", "user" or "assistant" */
    struct kgen_token_text content;
};

/* "chatml", "llama3", "gemma", "mistral" or "gpt-oss": the kind of the vocabulary's template. NULL where it
 * has none, or one that is not known. */
const char *kgen_chat_kind(const struct kgen_tokenizer *tokenizer);

/* Appends what the vocabulary's template makes of messages, and, where add_generation_prompt is true, what
 * comes before the answer. Encode it with KGEN_ENCODE_PARSE_SPECIAL alone: it has its bos. A default system
 * message of the template is in it; where a template asks the clock, llama3 has the day that its template
 * names for that case, and gpt-oss no line of it. Fails with KGEN_ERROR_SPEC where the template is missing or
 * not known, with KGEN_ERROR_USAGE for a role that it does not have, with KGEN_ERROR_MEMORY. */
int kgen_chat_render(const struct kgen_tokenizer *tokenizer, const struct kgen_chat_message *messages,
                     size_t count, bool add_generation_prompt, struct kgen_text *text,
                     struct kgen_error *error);

#endif
