/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes are a tokenizer.json, behind a zero a tokenizer_config.json, behind another one a
 * text. What is taken encodes the text, and the ids are tokens that can be decoded. `make fuzz` begins with
 * the files of fuzz_tokenizer_json.seeds, as random bytes are hardly ever JSON. */
#include "runtime/model/tokenizer/chat.h"
#include "runtime/model/tokenizer/vocabulary_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What lies before the next zero. */
static struct kgen_token_text part(struct kgen_token_text *rest)
{
    const char *end = rest->length > 0 ? memchr(rest->data, '\0', rest->length) : NULL;
    const struct kgen_token_text found = {rest->data,
                                          end != NULL ? (size_t)(end - rest->data) : rest->length};
    const size_t skip = found.length + (end != NULL);
    *rest = (struct kgen_token_text){rest->data + skip, rest->length - skip};
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kgen_token_text rest = {(const char *)data, size};
    struct kgen_tokenizer_json files = {.source = "fuzzed"};
    files.tokenizer = part(&rest);
    files.config = part(&rest);
    if (files.config.length == 0)
        files.config.data = NULL;
    struct kgen_error error = {0};
    struct kgen_tokenizer *tokenizer = kgen_tokenizer_parse_json(&files, &error);
    if (tokenizer == NULL) {
        if (error.code == KGEN_ERROR_NONE || error.message[0] == '\0')
            abort();
        return 0;
    }
    for (unsigned flags = 0; flags < 4; flags++) {
        struct kgen_token_ids ids = {0};
        struct kgen_text text = {0};
        /* A pattern of the file may take too long. */
        if (kgen_tokenizer_encode(tokenizer, rest.data, rest.length, flags, &ids, &error) != 0 &&
            error.code != KGEN_ERROR_SPEC)
            abort();
        for (size_t i = 0; i < ids.count; i++) {
            if (kgen_tokenizer_decode(tokenizer, ids.ids[i], true, &text, NULL) != 0)
                abort();
        }
        kgen_token_ids_free(&ids);
        kgen_text_free(&text);
    }
    kgen_chat_kind(tokenizer);
    kgen_tokenizer_free(tokenizer);
    return 0;
}
