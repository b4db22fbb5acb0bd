/* SPDX-License-Identifier: MIT */
/* README.md is short, and the links of all documents lead to files that are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gen/base/file.h"

/* What is read in less than ten minutes. */
enum { WORDS_MAX = 2000 };

static const char *const patterns[] = {"*.md", "*/*.md", "*/*/*.md"};

static void read_document(const char *path, struct kgen_text *text)
{
    if (kgen_file_read(path, 1 << 20, text, NULL) != 0)
        fail_msg("%s cannot be read", path);
}

/* Words as wc -w counts them. */
static size_t count_words(const char *text)
{
    size_t count = 0;
    for (const char *at = text; *at != '\0'; at++)
        count += !isspace((unsigned char)*at) && (at == text || isspace((unsigned char)at[-1]));
    return count;
}

static void test_readme_is_short(void **state)
{
    (void)state;
    struct kgen_text text = {0};
    read_document("README.md", &text);
    const size_t words = count_words(text.data);
    if (words > WORDS_MAX)
        fail_msg(
            "README.md has %zu words, %d is the most: move what is not for newcomers to the documents beside "
            "what they describe",
            words, WORDS_MAX);
    assert_true(words > 500);
    kgen_text_free(&text);
}

/* Follows the links "](path)" of one document; addresses of other hosts are not looked at. Returns how many
 * there are. */
static size_t follow_links(const char *document)
{
    struct kgen_text text = {0};
    size_t count = 0;
    const char *slash = strrchr(document, '/');
    const int folder = slash != NULL ? (int)(slash + 1 - document) : 0;
    read_document(document, &text);
    for (const char *at = text.data; (at = strstr(at, "](")) != NULL;) {
        at += 2;
        char path[512];
        snprintf(path, sizeof path, "%.*s%.*s", folder, document, (int)strcspn(at, ")#"), at);
        if (strstr(path, "://") != NULL)
            continue;
        if (access(path, R_OK) != 0)
            fail_msg("%s leads to %s, which is not there", document, path);
        count++;
    }
    kgen_text_free(&text);
    return count;
}

/* And README.md leads to each document that is installed. */
static void test_links(void **state)
{
    (void)state;
    struct kgen_text readme = {0};
    size_t links = 0, documents = 0;
    read_document("README.md", &readme);
    for (size_t i = 0; i < KGEN_COUNT_OF(patterns); i++) {
        glob_t found;
        if (glob(patterns[i], 0, NULL, &found) != 0)
            continue;
        for (size_t j = 0; j < found.gl_pathc; j++) {
            struct kgen_text link = {0};
            const char *path = found.gl_pathv[j];
            kgen_text_printf(&link, "](%s)", path);
            if (strcmp(path, "README.md") != 0 && strstr(readme.data, link.data) == NULL)
                fail_msg("README.md does not lead to %s", path);
            links += follow_links(path);
            documents++;
            kgen_text_free(&link);
        }
        globfree(&found);
    }
    kgen_text_free(&readme);
    assert_true(documents >= 10);
    assert_true(links >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readme_is_short),
        cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
