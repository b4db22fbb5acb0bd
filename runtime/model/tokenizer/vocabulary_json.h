/* SPDX-License-Identifier: MIT */
/* Tokenizers of Hugging Face: tokenizer.json, with tokenizer_config.json and chat_template.jinja beside it.
 *
 * Models: BPE, over bytes or over characters with spaces as U+2581, and Unigram. Normalizers: Prepend and
 * Replace of spaces, Strip, Precompiled, and NFC, which is not done: text is taken as it comes, as llama.cpp
 * takes it. Pre-tokenizers: ByteLevel, Split, Digits, Punctuation, Metaspace, WhitespaceSplit.
 * Post-processors: TemplateProcessing, RobertaProcessing and BertProcessing with one token before and behind
 * a text at most, ByteLevel. What else is there is refused, with its key. Of added tokens those that are
 * special count as control tokens, the others as user-defined ones; all are looked for in the text as it
 * comes, as if their normalized were false. */
#ifndef KGEN_VOCABULARY_JSON_H
#define KGEN_VOCABULARY_JSON_H

#include "runtime/model/tokenizer/tokenizer.h"

/* Makes the tokenizer of a folder, or of a file that is a tokenizer.json; the other files are optional. It
 * keeps nothing of them. Returns NULL and fills error: KGEN_ERROR_IO for a file that cannot be read,
 * KGEN_ERROR_SPEC for one that is no JSON, what is not supported, and what kgen_tokenizer_new refuses;
 * KGEN_ERROR_MEMORY. */
struct kgen_tokenizer *kgen_tokenizer_from_json(const char *path, struct kgen_error *error);

/* The texts of the files; of the last two data may be NULL. */
struct kgen_tokenizer_json {
    const char *source; /* for errors */
    struct kgen_token_text tokenizer, config, chat_template;
};
/* The same of texts in memory. */
struct kgen_tokenizer *kgen_tokenizer_parse_json(const struct kgen_tokenizer_json *files,
                                                 struct kgen_error *error);

#endif
