/* SPDX-License-Identifier: MIT */
/* Vocabularies with scores: SentencePiece's BPE, and unigram models. */
#define _GNU_SOURCE
#include "runtime/model/tokenizer/pretokenizer.h"
#include "tests/tokenizer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED UINT64_C(0x5c03e5)
#define S "\xE2\x96\x81" /* U+2581, the space */
#define MEGABYTE ((size_t)1 << 20)

/* A vocabulary with scores: texts with U+2581 for spaces. */
struct scored {
    struct small_vocabulary small;
    float scores[1024];
    struct kgen_pretokenizer_row row;
};

static int32_t add(struct scored *scored, const char *text, float score, enum kgen_token_type type)
{
    const int32_t id = small_token(&scored->small, text, type);
    scored->scores[id] = score;
    return id;
}

/* Token 0 is the unknown one, 1 and 2 begin and end a text; of bytes with 259 tokens in all. */
static void start(struct scored *scored, enum kgen_tokenizer_kind kind, unsigned flags, bool bytes)
{
    *scored = (struct scored){0};
    small_start(&scored->small, "");
    small_free(&scored->small);
    struct kgen_vocabulary *vocabulary = &scored->small.vocabulary;
    vocabulary->token_count = 0;
    vocabulary->kind = kind;
    vocabulary->scores = scored->scores;
    scored->row.flags = KGEN_PRE_PLAIN | flags;
    vocabulary->pre_row = &scored->row;
    vocabulary->unknown = add(scored, "<unk>", 0, KGEN_TOKEN_UNKNOWN);
    vocabulary->bos = add(scored, "<s>", 0, KGEN_TOKEN_CONTROL);
    vocabulary->eos = add(scored, "</s>", 0, KGEN_TOKEN_CONTROL);
    for (unsigned byte = 0; bytes && byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", byte);
        add(scored, name, 0, KGEN_TOKEN_BYTE);
    }
}

/* 259 and on: space, a, b, c, d, ab, bc, space a, abc, space ab, then two that are taken whole. */
static void start_words(struct scored *scored, unsigned flags)
{
    static const struct {
        const char *text;
        float score;
        enum kgen_token_type type;
    } tokens[] = {
        {S, -20, 1},   {"a", -21, 1},        {"b", -22, 1},  {"c", -23, 1},   {"d", -24, 1},
        {"ab", -2, 1}, {"bc", -1, 1},        {S "a", -3, 1}, {"abc", -4, 1},  {S "ab", -5, 1},
        {"<u>", 0, 4}, {"\xC3\xA9", -25, 1}, {"dd", -6, 1},  {"dddd", -6, 1}, {"<c>", 0, 3},
    };
    start(scored, KGEN_TOKENIZER_SENTENCEPIECE, flags, true);
    for (size_t i = 0; i < KGEN_COUNT_OF(tokens); i++)
        add(scored, tokens[i].text, tokens[i].score, tokens[i].type);
}

static void test_sentencepiece(void **state)
{
    (void)state;
    enum { P = KGEN_PRE_PREFIX, B = KGEN_PRE_BOS, PARSE = KGEN_ENCODE_PARSE_SPECIAL };
    static const struct {
        unsigned pre, flags;
        const char *text, *ids;
    } rows[] = {
        {0, 0, "", ""},
        {P | B, KGEN_ENCODE_ADD_SPECIAL, "", "1"},
        {P | B, KGEN_ENCODE_ADD_SPECIAL, "a", "1 266"},
        {P, 0, "a", "266"},
        {P, 0, " a", "259 266"},
        {0, 0, "a", "260"},
        {0, 0, " a", "266"},
        /* bc has the best score, then abc can come of a and bc. */
        {0, 0, "abc", "267"},
        {0, 0, "ab", "264"},
        {0, 0, "ab c", "264 259 262"},
        /* Of equal scores the leftmost. */
        {0, 0, "ddd", "271 263"},
        {0, 0, "ddddd", "272 263"},
        {0, 0, "\xC3\xA9", "270"},
        /* No token: its bytes; broken ones, too, as they are. */
        {0, 0, "\xC3\xAA", "198 173"},
        {0, 0, "\xE4\xBD", "231 192"},
        /* That byte says that it begins a character of four. */
        {0, 0,
         "\xFF"
         "a",
         "258 100"},
        {0, 0, "x", "123"},
        {0, 0, "\n", "13"},
        /* User-defined tokens always count, control tokens where they are asked for; text behind one begins
         * anew. */
        {P, 0, "a<u>a", "266 269 266"},
        {P, 0, "<c>", "259 63 262 65"},
        {P, PARSE, "<c>a</s>", "273 266 2"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct scored scored;
        start_words(&scored, rows[i].pre);
        struct kgen_tokenizer *tokenizer = small_new(&scored.small);
        const char *ids = ids_of(tokenizer, rows[i].text, strlen(rows[i].text), rows[i].flags);
        if (strcmp(ids, rows[i].ids) != 0)
            fail_msg("row %zu, '%s': %s in place of %s", i, rows[i].text, ids, rows[i].ids);
        kgen_tokenizer_free(tokenizer);
        small_free(&scored.small);
    }
}

/* Merges by the definition, in an array of lengths: of all neighbours that are a token the best. */
static size_t merge_plainly(const struct scored *scored, const char *text, size_t length, size_t *lengths)
{
    const struct kgen_vocabulary *vocabulary = &scored->small.vocabulary;
    size_t count = length;
    for (size_t i = 0; i < count; i++)
        lengths[i] = 1;
    for (bool merged = true; merged;) {
        float best = -INFINITY;
        size_t at = 0;
        merged = false;
        for (size_t i = 0, begin = 0; i + 1 < count; begin += lengths[i], i++) {
            const size_t both = lengths[i] + lengths[i + 1];
            for (size_t id = 0; id < vocabulary->token_count; id++) {
                const struct kgen_token_text *token = &vocabulary->tokens[id];
                if (token->length != both || memcmp(token->data, text + begin, both) != 0 ||
                    !(scored->scores[id] > best))
                    continue;
                best = scored->scores[id];
                at = i;
                merged = true;
            }
        }
        if (!merged)
            continue;
        lengths[at] += lengths[at + 1];
        memmove(&lengths[at + 1], &lengths[at + 2], (count - at - 2) * sizeof *lengths);
        count--;
    }
    return count;
}

/* Random vocabularies over three letters and random texts, short and long, against the definition. */
static void test_merges_are_those_of_the_definition(void **state)
{
    (void)state;
    enum { ROUNDS = 40, LONGEST = 150 };
    uint64_t random = SEED;
    size_t compared = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct scored scored;
        start(&scored, KGEN_TOKENIZER_SENTENCEPIECE, 0, false);
        for (const char *letter = "abc"; *letter != '\0'; letter++)
            add(&scored, (const char[]){*letter, '\0'}, -50, KGEN_TOKEN_NORMAL);
        for (int i = 0; i < 25; i++) {
            char text[8] = {0};
            const size_t length = 2 + next_random(&random) % 4;
            for (size_t j = 0; j < length; j++)
                text[j] = (char)('a' + next_random(&random) % 3);
            bool there = false;
            for (size_t id = 0; id < scored.small.vocabulary.token_count; id++)
                there = there || strcmp(scored.small.tokens[id].data, text) == 0;
            if (!there)
                add(&scored, text, -(float)(next_random(&random) % 12), KGEN_TOKEN_NORMAL);
        }
        char text[LONGEST];
        size_t lengths[LONGEST];
        const size_t length = 1 + next_random(&random) % (LONGEST - 1);
        for (size_t i = 0; i < length; i++)
            text[i] = (char)('a' + next_random(&random) % 3);
        struct kgen_tokenizer *tokenizer = small_new(&scored.small);
        struct kgen_token_ids ids = {0};
        struct kgen_error error = {0};
        assert_int_equal(kgen_tokenizer_encode(tokenizer, text, length, 0, &ids, &error), 0);
        const size_t count = merge_plainly(&scored, text, length, lengths);
        assert_int_equal(ids.count, count);
        for (size_t i = 0, begin = 0; i < count; begin += lengths[i++], compared++) {
            const struct kgen_token_text *token = &scored.small.tokens[ids.ids[i]];
            if (token->length != lengths[i] || memcmp(token->data, text + begin, lengths[i]) != 0)
                fail_msg("seed %#llx, round %d, token %zu", (unsigned long long)SEED, round, i);
        }
        kgen_token_ids_free(&ids);
        kgen_tokenizer_free(tokenizer);
        small_free(&scored.small);
    }
    assert_true(compared > 0);
}

/* ---- unigram ---- */

/* 3 and on: space, a, b, ab, space a, bc, then one that is not used and one of the user's. */
static void start_unigram(struct scored *scored, unsigned flags)
{
    static const struct {
        const char *text;
        float score;
        enum kgen_token_type type;
    } tokens[] = {
        {S, -2, 1},     {"a", -4, 1},  {"b", -4, 1},  {"ab", -7, 1},
        {S "a", -5, 1}, {"bc", -3, 1}, {"zz", -1, 5}, {"<u>", -9, 4},
    };
    start(scored, KGEN_TOKENIZER_UNIGRAM, flags, false);
    for (size_t i = 0; i < KGEN_COUNT_OF(tokens); i++)
        add(scored, tokens[i].text, tokens[i].score, tokens[i].type);
}

/* The trie of one charsmap: "A" becomes "ab", "\n" a space, "AB" nothing. Units: the root's children lie at
 * its offset 16 ^ byte; those with a replacement have it at an offset of their own. */
static struct kgen_token_text charsmap(void)
{
    static unsigned char bytes[4 + 4 * 256 + 8];
    uint32_t units[256] = {0};
    enum { ROOT = 16, OF_A = 128, OF_NEWLINE = 160, OF_B = 192 };
    units[0] = ROOT << 10;
    const unsigned a = ROOT ^ 'A', newline = ROOT ^ '\n', b = a ^ OF_A ^ 'B';
    units[a] = (uint32_t)OF_A << 10 | 0x100 | 'A';
    units[a ^ OF_A] = 0x80000000;
    units[newline] = (uint32_t)OF_NEWLINE << 10 | 0x100 | '\n';
    units[newline ^ OF_NEWLINE] = 0x80000000 | 3;
    units[b] = (uint32_t)OF_B << 10 | 0x100 | 'B';
    units[b ^ OF_B] = 0x80000000 | 5;
    bytes[0] = 0;
    bytes[1] = 4;
    for (size_t i = 0; i < 4 * KGEN_COUNT_OF(units); i++)
        bytes[4 + i] = (unsigned char)(units[i / 4] >> (8 * (i % 4)));
    memcpy(bytes + 4 + 4 * 256, "ab\0 \0\0\0", 7);
    return (struct kgen_token_text){(const char *)bytes, sizeof bytes};
}

static void test_unigram(void **state)
{
    (void)state;
    enum { P = KGEN_PRE_PREFIX, ONE = KGEN_PRE_ONE_SPACE, MISSING = KGEN_PRE_PREFIX_MISSING };
    static const struct {
        unsigned pre;
        bool charsmap;
        const char *text, *ids;
    } rows[] = {
        {0, false, "", ""},
        {0, false, "a", "4"},
        {P, false, "a", "7"},
        /* The sum decides, and of two that are equal the one that was found first. */
        {0, false, "ab", "6"},
        {0, false, "abc", "4 8"},
        {P, false, " a", "3 7"},
        {P | MISSING, false, " a", "7"},
        {P | MISSING, false, S "a", "7"},
        {0, false, "a  a", "4 3 7"},
        {ONE, false, "  a  a  ", "7 7"},
        {P | ONE, false, "  a  a  ", "7 7"},
        {0, false, "   ", "3 3 3"},
        {ONE, false, "   ", ""},
        /* Unknown characters in a row are one; broken bytes are U+FFFD. */
        {0, false, "a??a?", "4 0 4 0"},
        {0, false, "\xE4\xBD\xA0\xE5\xA5\xBD", "0"},
        {0, false,
         "\xFF"
         "a",
         "0 4"},
        {0, false, "zz", "9"},
        {0, false, "a<u>b", "4 10 5"},
        {0, true, "A", "6"},
        {0, true, "Ac", "4 8"},
        {0, true, "ABa", "4"},
        {ONE, true, "a\n\na", "7 7"},
        {0, true, "a\nAA", "4 3 6 6"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct scored scored;
        start_unigram(&scored, rows[i].pre);
        if (rows[i].charsmap)
            scored.small.vocabulary.charsmap = charsmap();
        struct kgen_tokenizer *tokenizer = small_new(&scored.small);
        const char *ids = ids_of(tokenizer, rows[i].text, strlen(rows[i].text), 0);
        if (strcmp(ids, rows[i].ids) != 0)
            fail_msg("row %zu, '%s': %s in place of %s", i, rows[i].text, ids, rows[i].ids);
        kgen_tokenizer_free(tokenizer);
        small_free(&scored.small);
    }
}

/* White space beside a special token that belongs to it. */
static void test_strips(void **state)
{
    (void)state;
    static const struct {
        uint8_t strips;
        const char *ids;
    } rows[] = {
        {0, "7 3 10 3 7"}, {KGEN_STRIP_LEFT, "7 10 3 7"}, {KGEN_STRIP_RIGHT, "7 3 10 7"}, {3, "7 10 7"}};
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct scored scored;
        uint8_t strips[1024] = {0};
        start_unigram(&scored, KGEN_PRE_PREFIX);
        strips[10] = rows[i].strips;
        scored.small.vocabulary.strips = strips;
        struct kgen_tokenizer *tokenizer = small_new(&scored.small);
        assert_string_equal(ids_of(tokenizer, "a <u> a", 7, 0), rows[i].ids);
        kgen_tokenizer_free(tokenizer);
        small_free(&scored.small);
    }
}

/* ---- what cannot be right ---- */

typedef void breaker(struct scored *scored);

static void not_a_number(struct scored *scored)
{
    scored->scores[4] = NAN;
}

static void no_unknown(struct scored *scored)
{
    scored->small.vocabulary.unknown = 4000;
}

static void not_plain(struct scored *scored)
{
    scored->row.flags = 0;
}

static void long_token(struct scored *scored)
{
    char *text = malloc(MEGABYTE);
    assert_non_null(text);
    memset(text, 'a', MEGABYTE);
    small_token_of(&scored->small, text, MEGABYTE, KGEN_TOKEN_NORMAL);
    free(text);
}

static void short_charsmap(struct scored *scored)
{
    scored->small.vocabulary.charsmap = (struct kgen_token_text){"\1\0", 2};
}

static void endless_charsmap(struct scored *scored)
{
    scored->small.vocabulary.charsmap = (struct kgen_token_text){"\xFF\xFF\xFF\xFF\0\0\0\0", 9};
}

static void open_charsmap(struct scored *scored)
{
    scored->small.vocabulary.charsmap = charsmap();
    scored->small.vocabulary.charsmap.length -= 6;
}

static void bad_pattern(struct scored *scored)
{
    scored->row.patterns[0] = "(a";
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        breaker *breaks;
        const char *message;
    } rows[] = {
        {not_a_number, "the score of token 4 is not a number"},
        {no_unknown, "needs an unknown token"},
        {not_plain, "needs a pre-tokenizer of plain text"},
        {long_token, "token 11 has 1048576 bytes, and 1024 are the most"},
        {short_charsmap, "the precompiled charsmap of 2 bytes is damaged"},
        {endless_charsmap, "the precompiled charsmap of 9 bytes is damaged"},
        {open_charsmap, "is damaged"},
        {bad_pattern, "the pattern '(a' cannot be used"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct scored scored;
        struct kgen_error error = {0};
        start_unigram(&scored, 0);
        scored.small.vocabulary.source = "hostile.gguf";
        rows[i].breaks(&scored);
        assert_null(kgen_tokenizer_new(&scored.small.vocabulary, &error));
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        assert_string_equal(error.source, "hostile.gguf");
        if (strstr(error.message, rows[i].message) == NULL)
            fail_msg("row %zu: %s", i, error.message);
        small_free(&scored.small);
    }
}

/* A token of a megabyte, one for each length up to 300, and scores without end: no harm, and in time. */
static void test_large(void **state)
{
    (void)state;
    struct scored scored;
    start(&scored, KGEN_TOKENIZER_SENTENCEPIECE, 0, true);
    char *text = malloc(MEGABYTE);
    assert_non_null(text);
    memset(text, 'a', MEGABYTE);
    for (size_t length = 1; length <= 300; length++)
        scored.scores[small_token_of(&scored.small, text, length, KGEN_TOKEN_NORMAL)] =
            length % 3 == 0   ? INFINITY
            : length % 3 == 1 ? -INFINITY
                              : (float)length;
    small_token_of(&scored.small, text, MEGABYTE, KGEN_TOKEN_NORMAL);
    struct kgen_tokenizer *tokenizer = small_new(&scored.small);
    struct kgen_text back = round_trip(tokenizer, text, MEGABYTE);
    assert_int_equal(back.length, MEGABYTE);
    assert_memory_equal(back.data, text, MEGABYTE);
    kgen_text_free(&back);
    kgen_tokenizer_free(tokenizer);
    free(text);
    small_free(&scored.small);
}

/* Random bytes as a charsmap whose sizes are right: whatever it says, nothing beyond it is read. */
static void test_random_charsmaps(void **state)
{
    (void)state;
    uint64_t random = SEED;
    for (int round = 0; round < 200; round++) {
        struct scored scored;
        unsigned char bytes[4 + 4 * 64 + 16];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)(next_random(&random) >> 8 & (i % 4 == 1  ? 0x07
                                                                    : i % 4 > 1 ? 0
                                                                                : 0xFF));
        bytes[0] = 0;
        bytes[1] = 1;
        bytes[2] = bytes[3] = bytes[sizeof bytes - 1] = 0;
        start_unigram(&scored, 0);
        scored.small.vocabulary.charsmap = (struct kgen_token_text){(const char *)bytes, sizeof bytes};
        struct kgen_tokenizer *tokenizer = small_new(&scored.small);
        char text[256];
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)(next_random(&random) >> 8);
        assert_non_null(ids_of(tokenizer, text, sizeof text, 0));
        kgen_tokenizer_free(tokenizer);
        small_free(&scored.small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentencepiece),    cmocka_unit_test(test_merges_are_those_of_the_definition),
        cmocka_unit_test(test_unigram),          cmocka_unit_test(test_strips),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_large),
        cmocka_unit_test(test_random_charsmaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
