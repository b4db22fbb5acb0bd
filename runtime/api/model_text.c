/* SPDX-License-Identifier: MIT */
/* Tokens and text of models. */
#include "runtime/api/model.h"
#include "runtime/model/tokenizer/chat.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((unsigned)KGEN_ENCODE_ADD_SPECIAL == KGEN_MODEL_ADD_SPECIAL &&
                   (unsigned)KGEN_ENCODE_PARSE_SPECIAL == KGEN_MODEL_PARSE_SPECIAL,
               "the flags of kgen.h are those of the tokenizer");

static int fail_missing(struct kgen_status *status)
{
    struct kgen_error error = {0};
    kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "the model has no tokenizer");
    kgen_error_hint(&error, "kgen_model_settings.tokenizer names a file with one");
    if (status != NULL && status->code == KGEN_OK) {
        kgen_status_from(status, &error);
        status->code = KGEN_NOT_FOUND;
    }
    return -1;
}

/* Gives text to the caller as far as it fits, with a zero. Returns its length, or -1 where making it failed.
 */
static int64_t give(struct kgen_text *from, int result, char *text, size_t size, struct kgen_error *error,
                    struct kgen_status *status)
{
    if (result == 0 && from->failed)
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    const size_t fits = size == 0 || from->length < size ? from->length : size - 1;
    if (result == 0 && size > 0) {
        if (fits > 0)
            memcpy(text, from->data, fits);
        text[fits] = '\0';
    }
    const int64_t length = (int64_t)from->length;
    kgen_text_free(from);
    return result == 0 ? length : kgen_status_from(status, error);
}

int64_t kgen_model_encode(const struct kgen_model *model, const char *text, size_t length, unsigned flags,
                          int32_t *tokens, size_t capacity, struct kgen_status *status)
{
    struct kgen_token_ids ids = {0};
    struct kgen_error error = {0};
    if (model->tokenizer == NULL)
        return fail_missing(status);
    const int result = kgen_tokenizer_encode(model->tokenizer, text, length, flags, &ids, &error);
    if (result == 0 && ids.count > 0 && capacity > 0)
        memcpy(tokens, ids.ids, (ids.count < capacity ? ids.count : capacity) * sizeof *tokens);
    const int64_t count = (int64_t)ids.count;
    kgen_token_ids_free(&ids);
    return result == 0 ? count : kgen_status_from(status, &error);
}

int64_t kgen_model_decode(const struct kgen_model *model, const int32_t *tokens, size_t count, int special,
                          char *text, size_t size, struct kgen_status *status)
{
    struct kgen_text decoded = {0};
    struct kgen_error error = {0};
    int result = 0;
    if (model->tokenizer == NULL)
        return fail_missing(status);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = kgen_tokenizer_decode(model->tokenizer, tokens[i], special != 0, &decoded, &error);
    return give(&decoded, result, text, size, &error, status);
}

int32_t kgen_model_special(const struct kgen_model *model, const char *text)
{
    return model->tokenizer != NULL ? kgen_tokenizer_special(model->tokenizer, text) : -1;
}

int kgen_model_ends(const struct kgen_model *model, int32_t token)
{
    return model->tokenizer != NULL && kgen_tokenizer_ends(model->tokenizer, token) ? 1 : 0;
}

int64_t kgen_model_chat(const struct kgen_model *model, const struct kgen_model_message *messages,
                        size_t count, int begin_answer, char *text, size_t size, struct kgen_status *status)
{
    struct kgen_text rendered = {0};
    struct kgen_error error = {0};
    if (model->tokenizer == NULL)
        return fail_missing(status);
    struct kgen_chat_message *own = calloc(count + 1, sizeof *own);
    if (own == NULL)
        return kgen_status_set(status, KGEN_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        own[i] =
            (struct kgen_chat_message){messages[i].role, {messages[i].content, strlen(messages[i].content)}};
    const bool known = kgen_chat_kind(model->tokenizer) != NULL;
    const int result = kgen_chat_render(model->tokenizer, own, count, begin_answer != 0, &rendered, &error);
    free(own);
    const bool fresh = status != NULL && status->code == KGEN_OK;
    const int64_t length = give(&rendered, result, text, size, &error, status);
    if (length < 0 && fresh && !known)
        status->code = KGEN_NOT_FOUND;
    return length;
}
