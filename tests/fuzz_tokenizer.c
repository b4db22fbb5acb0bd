/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes are a vocabulary and a text. Lines are: the pre-tokenizer, the flags and ids, the chat
 * template; then tokens, each behind a byte for its type, and behind an empty line merges; behind another one
 * the text. What is encoded can be decoded, and UTF-8 comes back as it was where every byte has a token. */
#include "runtime/model/tokenizer/chat.h"
#include "runtime/model/tokenizer/pretokenizer.h"
#include "runtime/model/tokenizer/utf8.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    struct kgen_token_text rest;
    struct kgen_token_text tokens[TOKENS], merges[TOKENS];
    int32_t types[TOKENS];
    char bytes[256][2];
};

static struct kgen_token_text line(struct kgen_token_text *rest)
{
    struct kgen_token_text found = *rest;
    const char *end = rest->length > 0 ? memchr(rest->data, '\n', rest->length) : NULL;
    if (end != NULL)
        found.length = (size_t)(end - rest->data);
    const size_t taken = found.length + (end != NULL);
    rest->data += taken;
    rest->length -= taken;
    return found;
}

/* Where the first byte of the flags is odd, tokens 0 to 255 are the bytes. */
static size_t add_bytes(struct input *input)
{
    unsigned hidden = 0x100;
    for (unsigned byte = 0; byte < 256; byte++) {
        const bool seen = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        const unsigned code = seen ? byte : hidden++;
        input->bytes[byte][0] = code < 0x80 ? (char)code : (char)(0xC0 | code >> 6);
        input->bytes[byte][1] = (char)(0x80 | (code & 0x3F));
        input->tokens[byte] = (struct kgen_token_text){input->bytes[byte], code < 0x80 ? 1 : 2};
        input->types[byte] = KGEN_TOKEN_NORMAL;
    }
    return 256;
}

static void check_text(const struct kgen_tokenizer *tokenizer, struct kgen_token_text text, unsigned flags,
                       bool all_bytes)
{
    struct kgen_token_ids ids = {0};
    struct kgen_error error = {0};
    struct kgen_text back = {0}, shown = {0};
    struct kgen_utf8_stream stream = {0};
    if (kgen_tokenizer_encode(tokenizer, text.data, text.length, flags, &ids, &error) < 0)
        abort();
    for (size_t i = 0; i < ids.count; i++) {
        if (kgen_tokenizer_decode(tokenizer, ids.ids[i], true, &back, &error) < 0)
            abort();
        kgen_tokenizer_ends(tokenizer, ids.ids[i]);
    }
    if (all_bytes && (flags & KGEN_ENCODE_ADD_SPECIAL) == 0 && kgen_utf8_valid(text.data, text.length) &&
        (back.length != text.length || (text.length > 0 && memcmp(back.data, text.data, text.length) != 0)))
        abort();
    kgen_utf8_stream_put(&stream, back.data, back.length, &shown);
    kgen_utf8_stream_end(&stream, &shown);
    if (!kgen_utf8_valid(shown.data, shown.length))
        abort();
    kgen_text_free(&back);
    kgen_text_free(&shown);
    kgen_token_ids_free(&ids);
}

static void check_chat(const struct kgen_tokenizer *tokenizer, struct kgen_token_text content)
{
    const struct kgen_chat_message messages[] = {
        {"user", content}, {"assistant", content}, {"user", content}};
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    const int result = kgen_chat_render(tokenizer, messages, KGEN_COUNT_OF(messages), true, &text, &error);
    if ((result == 0) != (kgen_chat_kind(tokenizer) != NULL) ||
        (result < 0) != (error.code != KGEN_ERROR_NONE))
        abort();
    kgen_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct input input;
    struct kgen_vocabulary vocabulary = {
        .tokens = input.tokens, .types = input.types, .merges = input.merges};
    struct kgen_token_text rest = {(const char *)data, size}, next;
    size_t row_count;
    const struct kgen_pretokenizer_row *rows = kgen_pretokenizer_rows(&row_count);
    vocabulary.pre = line(&rest);
    if (vocabulary.pre.length == 1) {
        const char *names = rows[(unsigned char)vocabulary.pre.data[0] % row_count].names;
        vocabulary.pre.data = names;
        vocabulary.pre.length = strcspn(names, " ");
    }
    next = line(&rest);
    unsigned char options[6] = {0};
    memcpy(options, next.data, next.length < sizeof options ? next.length : sizeof options);
    vocabulary.bos = options[1] - 1;
    vocabulary.eos = options[2] - 1;
    vocabulary.add_bos = (enum kgen_token_add)(options[3] % 3);
    vocabulary.add_eos = (enum kgen_token_add)(options[4] % 3);
    vocabulary.chat_template = line(&rest);
    bool all_bytes = (options[0] & 1) != 0;
    vocabulary.token_count = all_bytes ? add_bytes(&input) : 0;
    while (vocabulary.token_count < TOKENS && (next = line(&rest)).length > 0) {
        input.types[vocabulary.token_count] = next.data[0] - '0';
        /* A token of another type may have a text that stands for no bytes, or for others. */
        all_bytes = all_bytes && next.data[0] == '1';
        input.tokens[vocabulary.token_count++] = (struct kgen_token_text){next.data + 1, next.length - 1};
    }
    while (vocabulary.merge_count < TOKENS && (next = line(&rest)).length > 0)
        input.merges[vocabulary.merge_count++] = next;
    struct kgen_error error = {0};
    struct kgen_tokenizer *tokenizer = kgen_tokenizer_new(&vocabulary, &error);
    if (tokenizer == NULL) {
        if (error.code == KGEN_ERROR_NONE || error.message[0] == '\0')
            abort();
        return 0;
    }
    const bool plain = vocabulary.pre.length == 6 && memcmp(vocabulary.pre.data, "gemma4", 6) == 0;
    for (unsigned flags = 0; flags < 4; flags++)
        check_text(tokenizer, rest, flags, all_bytes && !plain);
    check_chat(tokenizer, rest);
    kgen_tokenizer_free(tokenizer);
    return 0;
}
