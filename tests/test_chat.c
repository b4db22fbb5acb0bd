/* SPDX-License-Identifier: MIT */
/* Chat templates: recognised by what they write, and what is rendered. The templates here are as short as
 * recognition allows. */
#define _GNU_SOURCE
#include "runtime/model/tokenizer/chat.h"
#include "tests/tokenizer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <string.h>

#define CHATML_LOOP                                                                                          \
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"               \
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
#define SMOLLM_SYSTEM                                                                                        \
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
/* As in SmolLM2's file: the string has a newline, not an escape. */
#define SMOLLM                                                                                               \
    "{% if loop.first and messages[0]['role'] != 'system' %}{{ '" SMOLLM_SYSTEM "' }}{% endif "              \
    "%}" CHATML_LOOP
#define QWEN                                                                                                 \
    "{{- '<|im_start|>system\\n' }}{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' "  \
    "}}"                                                                                                     \
    "{{- '<|im_start|>system\\nIt\\'s me.<|im_end|>\\n' }}" CHATML_LOOP
#define LLAMA3                                                                                               \
    "{{- bos_token }}'<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' + content | trim + "           \
    "'<|eot_id|>'"
#define GEMMA "'<start_of_turn>' + role (model) '<end_of_turn>\\n'"
#define MISTRAL_1 "' [INST] ' + system_message + content + ' [/INST]'"
#define MISTRAL_3 "loop.last and system_message '[AVAILABLE_TOOLS]' '[INST] ' '[/INST]'"
#define MISTRAL_TEKKEN "loop.last and system_message '[AVAILABLE_TOOLS]' \"[INST]\" '[/INST]'"
#define GPT_OSS "'<|start|>' '<|message|>' '<|channel|>'"
#define GPT_OSS_SYSTEM                                                                                       \
    "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"                 \
    "Knowledge cutoff: 2024-06\n\nReasoning: medium\n\n# Valid channels: analysis, commentary, final. "      \
    "Channel must be included for every message.<|end|>"
#define LLAMA_DATE                                                                                           \
    "<s><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"               \
    "Today Date: 26 Jul 2024\n\n"

/* Messages are one letter for the role and the text: s, u, a. */
struct row {
    const char *program, *kind;
    const char *messages[5];
    bool prompt;
    const char *text; /* NULL: an error */
};

static const struct row rows[] = {
    {SMOLLM,
     "chatml",
     {"uHi"},
     true,
     SMOLLM_SYSTEM "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"},
    {SMOLLM,
     "chatml",
     {"sBe.", "u Hi "},
     true,
     "<|im_start|>system\nBe.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n"},
    {SMOLLM,
     "chatml",
     {"uA", "aB", "uC"},
     false,
     SMOLLM_SYSTEM "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n"
                   "<|im_start|>user\nC<|im_end|>\n"},
    {SMOLLM, "chatml", {NULL}, true, "<|im_start|>assistant\n"},
    {QWEN,
     "chatml",
     {"uHi"},
     false,
     "<|im_start|>system\nIt's me.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"},
    {CHATML_LOOP, "chatml", {"uHi"}, false, "<|im_start|>user\nHi<|im_end|>\n"},
    {CHATML_LOOP "strftime_now", NULL, {"uHi"}, false, NULL},
    {LLAMA3,
     "llama3",
     {"sBe.", "u\n Hi \t"},
     true,
     "<s><|start_header_id|>system<|end_header_id|>\n\nBe.<|eot_id|><|start_header_id|>user<|end_header_id|>"
     "\n\n"
     "Hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
    {LLAMA3 "Cutting Knowledge Date: December 2023",
     "llama3",
     {"uHi"},
     false,
     LLAMA_DATE "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"},
    {LLAMA3 "Cutting Knowledge Date: December 2023", "llama3", {"sBe. "}, false, LLAMA_DATE "Be.<|eot_id|>"},
    {GEMMA,
     "gemma",
     {"sBe. ", "u Hi", "aYo", "uOh"},
     true,
     "<s><start_of_turn>user\nBe. \n\nHi<end_of_turn>\n<start_of_turn>model\nYo<end_of_turn>\n"
     "<start_of_turn>user\nOh<end_of_turn>\n<start_of_turn>model\n"},
    {GEMMA "System role not supported",
     "gemma",
     {"uHi"},
     true,
     "<s><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"},
    {GEMMA "System role not supported", "gemma", {"sBe.", "uHi"}, true, NULL},
    {GEMMA, "gemma", {"uHi", "sBe."}, true, NULL},
    {MISTRAL_1,
     "mistral",
     {"sBe.", "uHi", "aYo", "uOh"},
     true,
     "<s> [INST] Be.\n\nHi [/INST] Yo</s> [INST] Oh [/INST]"},
    {MISTRAL_3,
     "mistral",
     {"sBe.", "uHi", "a Yo ", "uOh"},
     true,
     "<s>[INST] Hi[/INST] Yo</s>[INST] Be.\n\nOh[/INST]"},
    {MISTRAL_TEKKEN, "mistral", {"uHi", "a Yo ", "uOh"}, true, "<s>[INST]Hi[/INST] Yo </s>[INST]Oh[/INST]"},
    {MISTRAL_TEKKEN "[SYSTEM_PROMPT]", NULL, {"uHi"}, true, NULL},
    {MISTRAL_1, "mistral", {"uHi", "sBe."}, true, NULL},
    {GPT_OSS,
     "gpt-oss",
     {"sBe.", "uHi", "aYo", "uOh"},
     true,
     GPT_OSS_SYSTEM
     "<|start|>developer<|message|># Instructions\n\nBe.\n\n<|end|><|start|>user<|message|>Hi<|end|>"
     "<|start|>assistant<|channel|>final<|message|>Yo<|end|><|start|>user<|message|>Oh<|end|>"
     "<|start|>assistant"},
    {GPT_OSS,
     "gpt-oss",
     {"uHi", "aYo"},
     false,
     GPT_OSS_SYSTEM
     "<|start|>user<|message|>Hi<|end|><|start|>assistant<|channel|>final<|message|>Yo<|return|>"},
    {SMOLLM, "chatml", {"xHi"}, true, NULL},
    {"{{ something else }}", NULL, {"uHi"}, true, NULL},
    {"", NULL, {"uHi"}, true, NULL},
    {"<|im_start|>", NULL, {"uHi"}, true, NULL},
};

static const char *role_of(char letter)
{
    return letter == 's' ? "system" : letter == 'u' ? "user" : letter == 'a' ? "assistant" : "tool";
}

static void check(size_t index, const struct kgen_tokenizer *tokenizer)
{
    const struct row *row = &rows[index];
    struct kgen_chat_message messages[KGEN_COUNT_OF(row->messages)];
    size_t count = 0;
    for (; count < KGEN_COUNT_OF(row->messages) && row->messages[count] != NULL; count++) {
        const char *message = row->messages[count];
        messages[count] = (struct kgen_chat_message){role_of(message[0]), {message + 1, strlen(message) - 1}};
    }
    const char *kind = kgen_chat_kind(tokenizer);
    assert_string_equal(kind != NULL ? kind : "", row->kind != NULL ? row->kind : "");
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    const int result = kgen_chat_render(tokenizer, messages, count, row->prompt, &text, &error);
    if (result != (row->text == NULL ? -1 : 0))
        fail_msg("row %zu: %d, %s", index, result, error.message);
    if (row->text != NULL)
        assert_string_equal(text.data, row->text);
    else
        assert_int_equal(error.code, row->kind != NULL ? KGEN_ERROR_USAGE : KGEN_ERROR_SPEC);
    if (row->kind == NULL) {
        assert_string_equal(error.message, row->program[0] != '\0' ? "unknown chat template"
                                                                   : "the model has no chat template");
        assert_non_null(strstr(error.hint, "chatml, llama3, gemma, mistral and gpt-oss"));
    }
    kgen_text_free(&text);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct small_vocabulary small;
        small_start(&small, "smollm");
        small.vocabulary.bos = small_token(&small, "<s>", KGEN_TOKEN_CONTROL);
        small.vocabulary.eos = small_token(&small, "</s>", KGEN_TOKEN_CONTROL);
        small.vocabulary.chat_template = (struct kgen_token_text){rows[i].program, strlen(rows[i].program)};
        struct kgen_tokenizer *tokenizer = small_new(&small);
        check(i, tokenizer);
        kgen_tokenizer_free(tokenizer);
        small_free(&small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
