/* SPDX-License-Identifier: MIT */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/model/tokenizer/pretokenizer.h"

#include "gen/base/nearest.h"
#include "gen/base/word_list.h"

#include <pcre2.h>
#include <stdlib.h>

struct kgen_pretokenizer {
    unsigned flags;
    unsigned count;
    bool limited; /* matching has PCRE2's usual limits */
    pcre2_code *stages[KGEN_PRE_STAGES];
};

static const struct kgen_pretokenizer_row *find_row(const char *name, size_t length)
{
    size_t count;
    const struct kgen_pretokenizer_row *rows = kgen_pretokenizer_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (kgen_word_list_has(rows[i].names, name, length))
            return &rows[i];
    }
    return NULL;
}

/* The hint names the first of each row, or the nearest of all. */
static void refuse_name(const char *source, const char *name, size_t length, struct kgen_error *error)
{
    kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "the pre-tokenizer '%.*s' is not known",
                   (int)(length < 64 ? length : 64), name != NULL ? name : "");
    size_t count;
    const struct kgen_pretokenizer_row *rows = kgen_pretokenizer_rows(&count);
    struct kgen_text known = {0};
    for (size_t i = 0; i < count; i++) {
        const char *list = rows[i].names;
        size_t word_length;
        const char *word = kgen_word_next(&list, &word_length);
        kgen_text_printf(&known, "%s%.*s", i > 0 ? ", " : "", (int)word_length, word);
    }
    kgen_error_hint(error, "known ones are %s", known.failed || known.data == NULL ? "few" : known.data);
    kgen_text_free(&known);
}

static pcre2_code *compile(const char *source, const char *pattern, struct kgen_error *error)
{
    int code;
    size_t offset;
    pcre2_code *stage = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                      &code, &offset, NULL);
    if (stage == NULL) {
        char message[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
        kgen_error_set(error, code == PCRE2_ERROR_HEAP_FAILED ? KGEN_ERROR_MEMORY : KGEN_ERROR_SPEC, source,
                       0, 0, "the pattern '%.100s' cannot be used, at %zu: %s", pattern, offset, message);
        return NULL;
    }
    /* Where it cannot be compiled to machine code it is interpreted. */
    pcre2_jit_compile(stage, PCRE2_JIT_COMPLETE);
    return stage;
}

struct kgen_pretokenizer *kgen_pretokenizer_from_row(const char *source,
                                                     const struct kgen_pretokenizer_row *row,
                                                     struct kgen_error *error)
{
    struct kgen_pretokenizer *pretokenizer = calloc(1, sizeof *pretokenizer);
    if (pretokenizer == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
        return NULL;
    }
    pretokenizer->flags = row->flags;
    pretokenizer->limited = true;
    for (size_t i = 0; i < KGEN_PRE_STAGES && row->patterns[i] != NULL; i++) {
        pcre2_code *stage = compile(source, row->patterns[i], error);
        if (stage == NULL) {
            kgen_pretokenizer_free(pretokenizer);
            return NULL;
        }
        pretokenizer->stages[pretokenizer->count++] = stage;
    }
    return pretokenizer;
}

struct kgen_pretokenizer *kgen_pretokenizer_new(const char *source, const char *name, size_t length,
                                                struct kgen_error *error)
{
    const struct kgen_pretokenizer_row *row = length > 0 ? find_row(name, length) : NULL;
    if (row == NULL) {
        refuse_name(source, name, length, error);
        return NULL;
    }
    struct kgen_pretokenizer *pretokenizer = kgen_pretokenizer_from_row(source, row, error);
    if (pretokenizer != NULL)
        pretokenizer->limited = false;
    return pretokenizer;
}

void kgen_pretokenizer_free(struct kgen_pretokenizer *pretokenizer)
{
    if (pretokenizer == NULL)
        return;
    for (unsigned i = 0; i < pretokenizer->count; i++)
        pcre2_code_free(pretokenizer->stages[i]);
    free(pretokenizer);
}

unsigned kgen_pretokenizer_flags(const struct kgen_pretokenizer *pretokenizer)
{
    return pretokenizer->flags;
}

unsigned kgen_pretokenizer_stages(const struct kgen_pretokenizer *pretokenizer)
{
    return pretokenizer->count;
}

struct splitter {
    const struct kgen_pretokenizer *pretokenizer;
    const char *text;
    pcre2_match_data *data;
    pcre2_match_context *match_context;
    kgen_word_function *function;
    void *context;
    struct kgen_error *error;
};

/* Returns 1 and the match, 0 where there is none, or -1. */
static int match(const struct splitter *splitter, const pcre2_code *stage, const char *subject, size_t length,
                 size_t from, size_t *begin, size_t *end)
{
    const PCRE2_SPTR at = (PCRE2_SPTR)subject;
    int found =
        pcre2_match(stage, at, length, from, PCRE2_NO_UTF_CHECK, splitter->data, splitter->match_context);
    /* The machine code has a stack of its own, which is small; the interpreter has not. */
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
        found = pcre2_match(stage, at, length, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, splitter->data,
                            splitter->match_context);
    if (found == PCRE2_ERROR_NOMATCH)
        return 0;
    if (found < 0)
        return kgen_error_set(splitter->error,
                              splitter->pretokenizer->limited ? KGEN_ERROR_SPEC : KGEN_ERROR_MEMORY, NULL, 0,
                              0, "the text could not be split into words (PCRE2 error %d)", found);
    const size_t *offsets = pcre2_get_ovector_pointer(splitter->data);
    *begin = offsets[0];
    *end = offsets[1];
    return 1;
}

/* Splits text[first .. last) by the patterns from stage on. */
static int split(const struct splitter *splitter, unsigned stage, size_t first, size_t last)
{
    if (first == last)
        return 0;
    if (stage == splitter->pretokenizer->count)
        return splitter->function(splitter->context, first, last - first);
    const char *subject = splitter->text + first;
    size_t done = 0, begin = 0, end = 0;
    while (first + done < last) {
        const int found =
            match(splitter, splitter->pretokenizer->stages[stage], subject, last - first, done, &begin, &end);
        if (found < 0)
            return -1;
        /* No pattern matches nothing; one that did would end here. */
        if (found == 0 || end == begin)
            break;
        if (split(splitter, stage + 1, first + done, first + begin) < 0 ||
            split(splitter, stage + 1, first + begin, first + end) < 0)
            return -1;
        done = end;
    }
    return split(splitter, stage + 1, first + done, last);
}

int kgen_pretokenizer_split(const struct kgen_pretokenizer *pretokenizer, const char *text, size_t length,
                            kgen_word_function *function, void *context, struct kgen_error *error)
{
    struct splitter splitter = {pretokenizer, text, NULL, NULL, function, context, error};
    splitter.data = pcre2_match_data_create(1, NULL);
    splitter.match_context = pcre2_match_context_create(NULL);
    int result;
    if (splitter.data == NULL || splitter.match_context == NULL) {
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    } else if (pretokenizer->limited) {
        result = split(&splitter, 0, 0, length);
    } else {
        /* The patterns go back at most once over what they have passed: no limit is needed. */
        pcre2_set_match_limit(splitter.match_context, UINT32_MAX);
        pcre2_set_heap_limit(splitter.match_context, UINT32_MAX);
        pcre2_set_depth_limit(splitter.match_context, UINT32_MAX);
        result = split(&splitter, 0, 0, length);
    }
    pcre2_match_data_free(splitter.data);
    pcre2_match_context_free(splitter.match_context);
    return result;
}
