/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/chat.h"

#include <string.h>

struct chat {
    const struct kgen_tokenizer *tokenizer;
    struct kgen_token_text program; /* the template */
    const struct kgen_chat_message *messages;
    size_t count;
    bool prompt; /* for an answer */
    struct kgen_text *text;
    struct kgen_error *error;
};

/* Where a string begins in the template, or NULL. */
static const char *find(struct kgen_token_text program, const char *string)
{
    const size_t length = strlen(string);
    for (size_t i = 0; length <= program.length && i <= program.length - length; i++) {
        const char *at = memchr(program.data + i, string[0], program.length - length - i + 1);
        if (at == NULL)
            return NULL;
        if (memcmp(at, string, length) == 0)
            return at;
        i = (size_t)(at - program.data);
    }
    return NULL;
}

static bool has(const struct chat *chat, const char *string)
{
    return find(chat->program, string) != NULL;
}

static bool is(const struct kgen_chat_message *message, const char *role)
{
    return strcmp(message->role, role) == 0;
}

static void put(struct chat *chat, const char *string)
{
    kgen_text_puts(chat->text, string);
}

static void put_content(struct chat *chat, const struct kgen_chat_message *message)
{
    kgen_text_append(chat->text, message->content.data, message->content.length);
}

static bool is_space(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static void put_trimmed(struct chat *chat, const struct kgen_chat_message *message)
{
    const char *data = message->content.data;
    size_t begin = 0, end = message->content.length;
    while (begin < end && is_space(data[begin]))
        begin++;
    while (end > begin && is_space(data[end - 1]))
        end--;
    if (end > begin)
        kgen_text_append(chat->text, data + begin, end - begin);
}

static int put_token(struct chat *chat, int32_t id)
{
    return id < 0 ? 0 : kgen_tokenizer_decode(chat->tokenizer, id, true, chat->text, chat->error);
}

static int refuse_role(const struct chat *chat, const char *role)
{
    return kgen_error_set(chat->error, KGEN_ERROR_USAGE, NULL, 0, 0,
                          "the chat template has no place for this message of the role '%s'", role);
}

static int check_roles(const struct chat *chat)
{
    for (size_t i = 0; i < chat->count; i++) {
        const struct kgen_chat_message *message = &chat->messages[i];
        if (!is(message, "system") && !is(message, "user") && !is(message, "assistant"))
            return refuse_role(chat, message->role);
    }
    return 0;
}

/* Appends the system message that a chatml template writes where none is given: one string of it that begins
 * and ends a message. */
static void put_default_system(struct chat *chat)
{
    static const char open[] = "<|im_start|>system", close[] = "<|im_end|>";
    const char *end = chat->program.data + chat->program.length;
    struct kgen_token_text rest = chat->program;
    for (const char *at; (at = find(rest, open)) != NULL; rest.data = at, rest.length = (size_t)(end - at)) {
        at += sizeof open - 1;
        struct kgen_text system = {0};
        kgen_text_puts(&system, open);
        const char *next = at;
        for (; next < end && *next != '\'' && *next != '"'; next++) {
            const bool escaped = *next == '\\' && next + 1 < end;
            next += escaped;
            kgen_text_append(&system, escaped && *next == 'n' ? "\n" : next, 1);
        }
        const char *closed = system.data != NULL ? strstr(system.data, close) : NULL;
        if (closed != NULL)
            kgen_text_append(chat->text, system.data, (size_t)(closed - system.data) + sizeof close - 1);
        chat->text->failed |= system.failed;
        kgen_text_free(&system);
        if (closed != NULL) {
            put(chat, "\n");
            return;
        }
    }
}

static int render_chatml(struct chat *chat)
{
    if (has(chat, "bos_token") && put_token(chat, kgen_tokenizer_bos(chat->tokenizer)) < 0)
        return -1;
    if (chat->count > 0 && !is(&chat->messages[0], "system"))
        put_default_system(chat);
    for (size_t i = 0; i < chat->count; i++) {
        kgen_text_printf(chat->text, "<|im_start|>%s\n", chat->messages[i].role);
        put_content(chat, &chat->messages[i]);
        put(chat, "<|im_end|>\n");
    }
    if (chat->prompt)
        put(chat, "<|im_start|>assistant\n");
    return 0;
}

static int render_llama3(struct chat *chat)
{
    size_t i = 0;
    if (put_token(chat, kgen_tokenizer_bos(chat->tokenizer)) < 0)
        return -1;
    if (has(chat, "Cutting Knowledge Date: December 2023")) {
        put(chat, "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
                  "Today Date: 26 Jul 2024\n\n");
        if (chat->count > 0 && is(&chat->messages[0], "system"))
            put_trimmed(chat, &chat->messages[i++]);
        put(chat, "<|eot_id|>");
    }
    for (; i < chat->count; i++) {
        kgen_text_printf(chat->text, "<|start_header_id|>%s<|end_header_id|>\n\n", chat->messages[i].role);
        put_trimmed(chat, &chat->messages[i]);
        put(chat, "<|eot_id|>");
    }
    if (chat->prompt)
        put(chat, "<|start_header_id|>assistant<|end_header_id|>\n\n");
    return 0;
}

/* A system message stands before the first of the user's, where there may be one. */
static int render_gemma(struct chat *chat)
{
    const bool may_have_system = !has(chat, "System role not supported");
    const struct kgen_chat_message *system = NULL;
    if (put_token(chat, kgen_tokenizer_bos(chat->tokenizer)) < 0)
        return -1;
    for (size_t i = 0; i < chat->count; i++) {
        const struct kgen_chat_message *message = &chat->messages[i];
        if (is(message, "system")) {
            if (!may_have_system || i > 0)
                return refuse_role(chat, message->role);
            system = message;
            continue;
        }
        kgen_text_printf(chat->text, "<start_of_turn>%s\n",
                         is(message, "assistant") ? "model" : message->role);
        if (system != NULL) {
            put_content(chat, system);
            put(chat, "\n\n");
            system = NULL;
        }
        put_trimmed(chat, message);
        put(chat, "<end_of_turn>\n");
    }
    if (chat->prompt)
        put(chat, "<start_of_turn>model\n");
    return 0;
}

/* The versions differ in their blanks, and in which of the user's messages the system message stands. */
static int render_mistral(struct chat *chat)
{
    const bool first_version = has(chat, " [INST]");
    const bool tekken = !first_version && has(chat, "\"[INST]\"");
    const char *before = first_version ? " " : "", *behind = tekken ? "" : " ";
    const bool system_last = has(chat, "loop.last and system_message");
    const bool has_system = chat->count > 0 && is(&chat->messages[0], "system");
    const size_t begin = has_system ? 1 : 0, system_at = system_last ? chat->count - 1 : begin;
    if (put_token(chat, kgen_tokenizer_bos(chat->tokenizer)) < 0)
        return -1;
    for (size_t i = begin; i < chat->count; i++) {
        const struct kgen_chat_message *message = &chat->messages[i];
        if (is(message, "system"))
            return refuse_role(chat, message->role);
        if (is(message, "assistant")) {
            put(chat, behind);
            if (!first_version && !tekken)
                put_trimmed(chat, message);
            else
                put_content(chat, message);
            if (put_token(chat, kgen_tokenizer_eos(chat->tokenizer)) < 0)
                return -1;
            continue;
        }
        kgen_text_printf(chat->text, "%s[INST]%s", before, behind);
        if (has_system && i == system_at) {
            put_content(chat, &chat->messages[0]);
            put(chat, "\n\n");
        }
        put_content(chat, message);
        kgen_text_printf(chat->text, "%s[/INST]", before);
    }
    return 0;
}

static int render_gpt_oss(struct chat *chat)
{
    put(chat, "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"
              "Knowledge cutoff: 2024-06\n\nReasoning: medium\n\n"
              "# Valid channels: analysis, commentary, final. Channel must be included for every message."
              "<|end|>");
    for (size_t i = 0; i < chat->count; i++) {
        const struct kgen_chat_message *message = &chat->messages[i];
        if (is(message, "system")) {
            if (i > 0)
                return refuse_role(chat, message->role);
            put(chat, "<|start|>developer<|message|># Instructions\n\n");
            put_content(chat, message);
            put(chat, "\n\n<|end|>");
            continue;
        }
        put(chat, is(message, "user") ? "<|start|>user<|message|>"
                                      : "<|start|>assistant<|channel|>final<|message|>");
        put_content(chat, message);
        const bool last = i + 1 == chat->count && is(message, "assistant") && !chat->prompt;
        put(chat, last ? "<|return|>" : "<|end|>");
    }
    if (chat->prompt)
        put(chat, "<|start|>assistant");
    return 0;
}

static const struct form {
    const char *name;
    const char *marks[3]; /* the template has all of them */
    const char *never[5]; /* and none of these, which write something else besides */
    int (*render)(struct chat *chat);
} forms[] = {
    {"chatml",
     {"<|im_start|>", "<|im_end|>", "add_generation_prompt"},
     {"strftime_now", "<think>\\n' }}", "json_to_python_type", "## Metadata", NULL},
     render_chatml},
    {"llama3",
     {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
     {"December 2023\\n\\n", "functools", ">>>", NULL},
     render_llama3},
    {"gemma", {"<start_of_turn>", "<end_of_turn>", "model"}, {NULL}, render_gemma},
    {"mistral", {"[INST]", "[/INST]", "system_message"}, {"[SYSTEM_PROMPT]", NULL}, render_mistral},
    {"gpt-oss", {"<|start|>", "<|message|>", "<|channel|>"}, {NULL}, render_gpt_oss},
};

static const struct form *find_form(struct kgen_token_text program)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(forms); i++) {
        bool all = true;
        for (size_t j = 0; j < KGEN_COUNT_OF(forms[i].never) && forms[i].never[j] != NULL; j++)
            all = all && find(program, forms[i].never[j]) == NULL;
        for (size_t j = 0; j < KGEN_COUNT_OF(forms[i].marks); j++)
            all = all && find(program, forms[i].marks[j]) != NULL;
        if (all)
            return &forms[i];
    }
    return NULL;
}

const char *kgen_chat_kind(const struct kgen_tokenizer *tokenizer)
{
    const struct form *form = find_form(kgen_tokenizer_chat_template(tokenizer));
    return form != NULL ? form->name : NULL;
}

int kgen_chat_render(const struct kgen_tokenizer *tokenizer, const struct kgen_chat_message *messages,
                     size_t count, bool add_generation_prompt, struct kgen_text *text,
                     struct kgen_error *error)
{
    struct chat chat = {
        .tokenizer = tokenizer,
        .program = kgen_tokenizer_chat_template(tokenizer),
        .messages = messages,
        .count = count,
        .prompt = add_generation_prompt,
        .text = text,
        .error = error,
    };
    const struct form *form = find_form(chat.program);
    if (form == NULL) {
        kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0,
                       chat.program.length == 0 ? "the model has no chat template" : "unknown chat template");
        kgen_error_hint(error, "known ones are those of chatml, llama3, gemma, mistral and gpt-oss; give the "
                               "text with its special tokens instead");
        return -1;
    }
    if (check_roles(&chat) < 0 || form->render(&chat) < 0)
        return -1;
    return text->failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}
