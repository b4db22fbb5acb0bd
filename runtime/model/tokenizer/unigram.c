/* SPDX-License-Identifier: MIT */
/* Unigram models: of all ways to cut a text into tokens the one whose scores have the greatest sum. */
#include "runtime/model/tokenizer/internal.h"
#include "runtime/model/tokenizer/utf8.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#define SPACE "\xE2\x96\x81"
#define UNKNOWN_PENALTY 10

/* Finding tokens takes this many steps at every place of a text, at most. */
#define LENGTH_MAX 1024

static int out_of_memory(const struct kgen_vocabulary *vocabulary, struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, vocabulary->source, 0, 0, "out of memory");
}

static bool counts(const struct kgen_tokenizer *tokenizer, size_t id)
{
    const uint8_t type = tokenizer->tokens[id].type;
    return type == KGEN_TOKEN_NORMAL || type == KGEN_TOKEN_USER_DEFINED || type == KGEN_TOKEN_UNUSED;
}

/* Adds a token to the tree of count nodes. */
static void add(struct kgen_unigram *unigram, const struct kgen_token_text *text, int32_t id, uint32_t *count)
{
    uint32_t node = 0;
    for (size_t i = 0; i < text->length; i++) {
        const uint32_t byte = (unsigned char)text->data[i];
        const struct kgen_pair *pair = kgen_pairs_find(&unigram->nodes, node, byte);
        if (pair == NULL) {
            kgen_pairs_add(&unigram->nodes, node, byte, 0, *count);
            node = (*count)++;
        } else {
            node = pair->result;
        }
    }
    if (node > 0 && unigram->tokens[node] < 0)
        unigram->tokens[node] = id;
}

static int by_text(const void *left, const void *right)
{
    const struct kgen_token_text *a = left, *b = right;
    const int order = memcmp(a->data, b->data, a->length < b->length ? a->length : b->length);
    return order != 0 ? order : a->length < b->length ? -1 : a->length > b->length;
}

/* How many nodes the tree has besides the root: the bytes that a token does not share with the one before it
 * in sorted order. Returns -1 where memory runs out. */
static int64_t count_nodes(const struct kgen_tokenizer *tokenizer, const struct kgen_vocabulary *vocabulary)
{
    struct kgen_token_text *sorted = malloc(vocabulary->token_count * sizeof *sorted);
    size_t count = 0;
    int64_t nodes = 0;
    if (sorted == NULL)
        return -1;
    for (size_t i = 0; i < vocabulary->token_count; i++) {
        if (counts(tokenizer, i) && vocabulary->tokens[i].length > 0)
            sorted[count++] = vocabulary->tokens[i];
    }
    qsort(sorted, count, sizeof *sorted, by_text);
    for (size_t i = 0; i < count; i++) {
        size_t same = 0;
        while (i > 0 && same < sorted[i - 1].length && same < sorted[i].length &&
               sorted[i - 1].data[same] == sorted[i].data[same])
            same++;
        nodes += (int64_t)(sorted[i].length - same);
    }
    free(sorted);
    return nodes;
}

static int check(const struct kgen_tokenizer *tokenizer, const struct kgen_vocabulary *vocabulary,
                 struct kgen_error *error)
{
    for (size_t i = 0; i < vocabulary->token_count; i++) {
        if (vocabulary->tokens[i].length > LENGTH_MAX && counts(tokenizer, i))
            return kgen_error_set(error, KGEN_ERROR_SPEC, vocabulary->source, 0, 0,
                                  "token %zu has %zu bytes, and %d are the most of a unigram model", i,
                                  vocabulary->tokens[i].length, LENGTH_MAX);
    }
    if (tokenizer->unknown < 0)
        return kgen_error_set(error, KGEN_ERROR_SPEC, vocabulary->source, 0, 0,
                              "a unigram model needs an unknown token, and there is none");
    return 0;
}

int kgen_unigram_make(struct kgen_tokenizer *tokenizer, const struct kgen_vocabulary *vocabulary,
                      struct kgen_error *error)
{
    struct kgen_unigram *unigram = &tokenizer->unigram;
    const size_t count = vocabulary->token_count;
    if (check(tokenizer, vocabulary, error) < 0)
        return -1;
    const int64_t nodes = count_nodes(tokenizer, vocabulary);
    if (nodes < 0 || nodes >= INT32_MAX || kgen_pairs_make(&unigram->nodes, (size_t)nodes) < 0)
        return out_of_memory(vocabulary, error);
    unigram->tokens = malloc(((size_t)nodes + 1) * sizeof *unigram->tokens);
    unigram->scores = malloc(count * sizeof *unigram->scores);
    if (unigram->tokens == NULL || unigram->scores == NULL)
        return out_of_memory(vocabulary, error);
    memset(unigram->tokens, 0xff, ((size_t)nodes + 1) * sizeof *unigram->tokens);
    uint32_t next = 1;
    float least = FLT_MAX;
    for (size_t i = 0; i < count; i++) {
        const float score = vocabulary->scores != NULL ? vocabulary->scores[i] : 0;
        const uint8_t type = tokenizer->tokens[i].type;
        least = type == KGEN_TOKEN_NORMAL && score < least ? score : least;
        unigram->scores[i] = type == KGEN_TOKEN_USER_DEFINED ? 0 : (double)score;
        if (counts(tokenizer, i))
            add(unigram, &vocabulary->tokens[i], (int32_t)i, &next);
    }
    unigram->unknown_score = (double)(least - UNKNOWN_PENALTY);
    return 0;
}

void kgen_unigram_free(struct kgen_unigram *unigram)
{
    kgen_pairs_free(&unigram->nodes);
    free(unigram->tokens);
    free(unigram->scores);
}

/* ---- the text ---- */

struct normalizer {
    unsigned flags;
    bool prefix; /* is still due */
    bool in_word;
    struct kgen_text *out;
};

static void put_space(struct normalizer *normalizer)
{
    normalizer->in_word = false;
    if ((normalizer->flags & KGEN_PRE_ONE_SPACE) == 0)
        kgen_text_puts(normalizer->out, SPACE);
    if ((normalizer->flags & KGEN_PRE_PREFIX_MISSING) != 0)
        normalizer->prefix = false;
}

static void put(struct normalizer *normalizer, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == ' ') {
            put_space(normalizer);
            continue;
        }
        if (!normalizer->in_word) {
            const bool is_space = length - i >= 3 && memcmp(text + i, SPACE, 3) == 0;
            if ((normalizer->prefix && !(is_space && (normalizer->flags & KGEN_PRE_PREFIX_MISSING) != 0)) ||
                (normalizer->flags & KGEN_PRE_ONE_SPACE) != 0)
                kgen_text_puts(normalizer->out, SPACE);
            normalizer->prefix = false;
            normalizer->in_word = true;
        }
        kgen_text_append(normalizer->out, text + i, 1);
    }
}

void kgen_unigram_normalize(const struct kgen_tokenizer *tokenizer, const char *text, size_t length,
                            bool first, struct kgen_text *normalized)
{
    const unsigned flags = kgen_pretokenizer_flags(tokenizer->pre);
    const bool prefix = (flags & KGEN_PRE_PREFIX) != 0 || (first && (flags & KGEN_PRE_PREFIX_FIRST) != 0);
    struct normalizer normalizer = {flags, prefix, false, normalized};
    for (size_t i = 0; i < length;) {
        const char *replacement;
        const size_t matched = kgen_charsmap_match(&tokenizer->charsmap, text + i, length - i, &replacement);
        if (matched > 0) {
            put(&normalizer, replacement, strlen(replacement));
            i += matched;
            continue;
        }
        const unsigned bytes = kgen_utf8_loose(text + i, length - i);
        if (bytes > 0)
            put(&normalizer, text + i, bytes);
        else
            put(&normalizer, "\xEF\xBF\xBD", 3);
        i += bytes > 0 ? bytes : 1;
    }
}

/* ---- the tokens ---- */

static void offer(struct kgen_best *best, double score, size_t begin, int32_t token)
{
    if (score > best->score)
        *best = (struct kgen_best){score, (uint32_t)begin, token};
}

/* Goes on from one place by every token that begins there. */
static void go_on(const struct kgen_tokenizer *tokenizer, struct kgen_best *best, const char *word,
                  size_t length, size_t at, size_t character)
{
    const struct kgen_unigram *unigram = &tokenizer->unigram;
    const double before = best[at].score;
    bool found = false;
    uint32_t node = 0;
    for (size_t end = at; end < length;) {
        const struct kgen_pair *pair = kgen_pairs_find(&unigram->nodes, node, (unsigned char)word[end++]);
        if (pair == NULL)
            break;
        node = pair->result;
        const int32_t token = unigram->tokens[node];
        if (token < 0)
            continue;
        found = found || end == at + character;
        offer(&best[end], before + unigram->scores[token], at, token);
    }
    if (!found)
        offer(&best[at + character], before + unigram->unknown_score, at, tokenizer->unknown);
}

/* Whether an unknown character is given as its bytes. */
static bool has_bytes(const struct kgen_tokenizer *tokenizer, const char *text, size_t length)
{
    if ((kgen_pretokenizer_flags(tokenizer->pre) & KGEN_PRE_BYTES) == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (tokenizer->byte_token[(unsigned char)text[i]] < 0)
            return false;
    }
    return true;
}

/* Appends the tokens of best, from the end of the word to its beginning. */
static int give(const struct kgen_tokenizer *tokenizer, const struct kgen_best *best, const char *word,
                size_t length, struct kgen_token_ids *ids, struct kgen_error *error)
{
    bool unknown = false;
    for (size_t end = length; end > 0; end = best[end].begin) {
        const size_t begin = best[end].begin;
        const bool before = unknown;
        unknown = best[end].token == tokenizer->unknown;
        if (unknown && has_bytes(tokenizer, word + begin, end - begin)) {
            for (size_t i = end; i > begin; i--) {
                if (kgen_token_ids_push(ids, tokenizer->byte_token[(unsigned char)word[i - 1]], error) < 0)
                    return -1;
            }
            unknown = false;
        } else if (!(unknown && before) && kgen_token_ids_push(ids, best[end].token, error) < 0) {
            return -1;
        }
    }
    return 0;
}

int kgen_unigram_word(const struct kgen_tokenizer *tokenizer, struct kgen_lattice *lattice, const char *word,
                      size_t length, struct kgen_token_ids *ids, struct kgen_error *error)
{
    if (lattice->capacity < length + 1) {
        const size_t capacity = length < 255 ? 256 : length + 1;
        free(lattice->best);
        lattice->best = malloc(capacity * sizeof *lattice->best);
        lattice->capacity = lattice->best != NULL ? capacity : 0;
        if (lattice->best == NULL)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    struct kgen_best *best = lattice->best;
    for (size_t i = 0; i <= length; i++)
        best[i] = (struct kgen_best){i == 0 ? 0 : -DBL_MAX, 0, tokenizer->unknown};
    for (size_t at = 0; at < length;) {
        const size_t character = kgen_character_length(word + at, length - at);
        go_on(tokenizer, best, word, length, at, character);
        at += character;
    }
    const size_t begin = ids->count;
    if (give(tokenizer, best, word, length, ids, error) < 0)
        return -1;
    for (size_t i = begin, j = ids->count; i + 1 < j; i++, j--) {
        const int32_t id = ids->ids[i];
        ids->ids[i] = ids->ids[j - 1];
        ids->ids[j - 1] = id;
    }
    return 0;
}

void kgen_lattice_free(struct kgen_lattice *lattice)
{
    free(lattice->best);
    *lattice = (struct kgen_lattice){0};
}
