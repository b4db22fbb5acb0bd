/* SPDX-License-Identifier: MIT */
/* What the command makes from its tables of commands and options: help, the man page, completion for bash and
 * zsh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "command_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* What a shell's line prints, on stdout and stderr. */
static int run_line(const char *line, struct kgen_text *said)
{
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    char block[512];
    for (size_t length; (length = fread(block, 1, sizeof block, pipe)) > 0;)
        kgen_text_append(said, block, length);
    const int status = pclose(pipe);
    assert_false(said->failed);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool has_program(const char *name)
{
    char line[128];
    snprintf(line, sizeof line, "command -v %s >/dev/null", name);
    return system(line) == 0;
}

/* Calls visit for each option that a help lists, "--isa". Returns how many there were. */
static size_t each_option(const char *text, void (*visit)(const char *name, void *context), void *context)
{
    size_t count = 0;
    const char *at = strstr(text, "\noptions:\n");
    assert_non_null(at);
    while ((at = strstr(at, "\n  ")) != NULL) {
        at += 3;
        if (at[0] == '-' && at[1] != '-')
            at += 4;
        at += strspn(at, " ");
        if (strncmp(at, "--", 2) != 0)
            break;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, " \n"), at);
        visit(name, context);
        count++;
    }
    return count;
}

/* The page has the option as a word in bold, with roff's minus. */
static void expect_in_page(const char *name, void *page)
{
    struct kgen_text wanted = {0};
    kgen_text_puts(&wanted, "\\fB");
    for (const char *at = name; *at != '\0'; at++)
        kgen_text_printf(&wanted, "%s%c", *at == '-' ? "\\" : "", *at);
    kgen_text_puts(&wanted, "\\fR");
    if (strstr(page, wanted.data) == NULL)
        fail_msg("the man page has no '%s'", wanted.data);
    kgen_text_free(&wanted);
}

/* The commands, from the usage of kgen help; the first has no name. Returns their number. */
static size_t list_commands(char names[][32], size_t room)
{
    struct kgen_test_outcome outcome = kgen_test_run("help");
    size_t count = 0;
    assert_int_equal(outcome.status, 0);
    for (const char *at = outcome.out.data; (at = strstr(at, "\n  kgen ")) != NULL; at++) {
        const char *name = at + 8;
        assert_true(count < room);
        snprintf(names[count++], 32, "%.*s", (int)strcspn(name, " "), name);
    }
    kgen_test_outcome_free(&outcome);
    return count;
}

static void test_page_has_all(void **state)
{
    (void)state;
    char commands[64][32];
    const size_t count = list_commands(commands, KGEN_COUNT_OF(commands));
    struct kgen_test_outcome page = kgen_test_run("help --man");
    size_t options = 0;
    assert_int_equal(page.status, 0);
    assert_int_equal(strncmp(page.out.data, ".\\\" ", 4), 0);
    assert_string_equal(commands[0], "SPEC");
    for (size_t i = 0; i < count; i++) {
        struct kgen_text line = {0};
        kgen_text_printf(&line, "help %s", commands[i]);
        struct kgen_test_outcome help = kgen_test_run(line.data);
        assert_int_equal(help.status, 0);
        if (i > 0)
            expect_in_page(commands[i], page.out.data);
        options += each_option(help.out.data, expect_in_page, page.out.data);
        kgen_test_outcome_free(&help);
        kgen_text_free(&line);
    }
    static const char *const others[] = {"0", "4", "130", "KGEN_CACHE_DIR", "XDG_CACHE_HOME", "CC"};
    for (size_t i = 0; i < KGEN_COUNT_OF(others); i++)
        expect_in_page(others[i], page.out.data);
    assert_true(count > 15);
    assert_true(options > 100);
    kgen_test_outcome_free(&page);
}

static void test_page_is_clean(void **state)
{
    (void)state;
    if (!has_program("man")) {
        print_message("skipped: there is no man\n");
        skip();
    }
    struct kgen_text line = {0}, said = {0};
    kgen_text_printf(
        &line, "%s help --man >kgen.1 && MANWIDTH=100 LC_ALL=C man --warnings -l kgen.1 2>&1 >/dev/null",
        kgen_test_binary);
    const int status = run_line(line.data, &said);
    if (status != 0 || said.length > 0)
        fail_msg("man: exit status %d, and says:\n%s", status, said.length > 0 ? said.data : "nothing");
    kgen_text_free(&said);
    kgen_text_free(&line);
}

/* ---- completion ---- */

/* Words with '|' between them, the last one is completed; and what bash proposes, with '|' behind each. */
static const struct {
    const char *words, *proposed;
} completions[] = {
    {"kgen|li", "list|"},
    {"kgen|comp", "completion|"},
    {"kgen|matr", "matrix one.json|matrix.json|"},
    {"kgen|explain|matrix.", "matrix.json|"},
    {"kgen|matrix.json|--isa|av", "avx512|avx2|"},
    {"kgen|matrix.json|--isa|=|av", "avx512|avx2|"},
    {"kgen|matrix.json|--isa|=", "avx512|avx2|neon|generic|auto|"},
    {"kgen|--effort|e", "estimate|exhaustive|"},
    {"kgen|matrix.json|--activation-dtype|f32,i", "f32,i24|f32,i16|f32,i8|"},
    {"kgen|matrix.json|--activations|i2", "i24|"},
    {"kgen|matrix.json|--layout|", "stored|tiles16|"},
    {"kgen|matrix.json|--threads|", ""},
    {"kgen|matrix.json|-o|matrix", "matrix one.json|matrix.json|"},
    {"kgen|generate|-n|m", ""},
    {"kgen|matrix.json|-n|matrix.", "matrix.json|"},
    {"kgen|matrix.json|--sha", ""},
    {"kgen|tune|--sha", "--shard|"},
    {"kgen|bench|--rep", "--repeats|"},
    {"kgen|list|", "ops|templates|"},
    {"kgen|cache|pr", "prune|"},
    {"kgen|new-template|softm", "softmax|"},
    {"kgen|expand|swi", "swiglu|swiglu_generic|"},
    {"kgen|help|gen", "generate|"},
    {"kgen|completion|", "bash|zsh|"},
};

/* What bash proposes for words. */
static void complete(const char *words, struct kgen_text *proposed)
{
    struct kgen_text line = {0};
    size_t count = 0;
    kgen_text_puts(&line, "bash -c 'source ./kgen.bash; COMP_WORDS=(");
    for (const char *at = words;; at++) {
        const size_t length = strcspn(at, "|");
        kgen_text_printf(&line, " \"%.*s\"", (int)length, at);
        count++;
        at += length;
        if (*at == '\0')
            break;
    }
    kgen_text_printf(&line,
                     "); COMP_CWORD=%zu; _kgen; [ ${#COMPREPLY[@]} -eq 0 ] || printf \"%%s|\" "
                     "\"${COMPREPLY[@]}\"' 2>&1",
                     count - 1);
    assert_false(line.failed);
    kgen_text_puts(proposed, "");
    assert_int_equal(run_line(line.data, proposed), 0);
    kgen_text_free(&line);
}

static void write_bash_script(void)
{
    if (!has_program("bash")) {
        print_message("skipped: there is no bash\n");
        skip();
    }
    kgen_test_put_file("matrix.json", "{}");
    kgen_test_put_file("matrix one.json", "{}");
    struct kgen_test_outcome script = kgen_test_run("completion bash");
    assert_int_equal(script.status, 0);
    kgen_test_put_file("kgen.bash", script.out.data);
    kgen_test_outcome_free(&script);
}

/* Files come in the order of their folder: two names are put in order. */
static bool same(const char *found, const char *wanted)
{
    return strcmp(found, wanted) == 0 || (strcmp(found, "matrix.json|matrix one.json|") == 0 &&
                                          strcmp(wanted, "matrix one.json|matrix.json|") == 0);
}

static void test_bash(void **state)
{
    (void)state;
    size_t executed = 0;
    write_bash_script();
    for (size_t i = 0; i < KGEN_COUNT_OF(completions); i++) {
        struct kgen_text proposed = {0};
        complete(completions[i].words, &proposed);
        if (!same(proposed.data, completions[i].proposed))
            fail_msg("bash proposes '%s' for %s, expected '%s'", proposed.data, completions[i].words,
                     completions[i].proposed);
        kgen_text_free(&proposed);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(completions));
}

/* The values that bash proposes are values that the option takes. */
static void test_values_are_taken(void **state)
{
    (void)state;
    static const char *const options[] = {"isa",
                                          "engine",
                                          "effort",
                                          "target",
                                          "bits",
                                          "group-size",
                                          "activation-dtype",
                                          "cache-type",
                                          "layout",
                                          "scale-dtype",
                                          "output-activation-dtype"};
    size_t executed = 0;
    write_bash_script();
    for (size_t i = 0; i < KGEN_COUNT_OF(options); i++) {
        struct kgen_text words = {0}, proposed = {0};
        kgen_text_printf(&words, "kgen|nowhere.json|--%s|", options[i]);
        complete(words.data, &proposed);
        assert_true(proposed.length > 0);
        char *rest;
        for (char *value = strtok_r(proposed.data, "|", &rest); value != NULL;
             value = strtok_r(NULL, "|", &rest)) {
            struct kgen_text line = {0};
            kgen_text_printf(&line, "nowhere.json --%s %s", options[i], value);
            kgen_test_expect(line.data, 2, NULL, "nowhere.json: cannot open the file");
            kgen_text_free(&line);
            executed++;
        }
        kgen_text_free(&words);
        kgen_text_free(&proposed);
    }
    assert_true(executed >= 37);
}

static void test_zsh(void **state)
{
    (void)state;
    struct kgen_test_outcome script = kgen_test_run("completion zsh");
    assert_int_equal(script.status, 0);
    assert_int_equal(strncmp(script.out.data, "#compdef kgen\n", 14), 0);
    assert_non_null(strstr(script.out.data, "'--isa=["));
    kgen_test_put_file("_kgen", script.out.data);
    kgen_test_outcome_free(&script);
    if (!has_program("zsh")) {
        print_message("skipped: there is no zsh\n");
        skip();
    }
    struct kgen_text said = {0};
    if (run_line("zsh -n _kgen 2>&1", &said) != 0 || said.length > 0)
        fail_msg("zsh -n says:\n%s", said.length > 0 ? said.data : "nothing");
    kgen_text_free(&said);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *err;
    } cases[] = {
        {"help nothing", "there is no command 'nothing'"},
        {"help explian", "did you mean 'explain'?"},
        {"help bench --man", "--man prints the page of all commands"},
        {"help bench cache", "one argument too many: 'cache'"},
        {"help --json", "kgen help takes no option --json"},
        {"completion", "an argument is missing: kgen completion bash|zsh"},
        {"completion fish", "hint: kgen completion bash, or kgen completion zsh"},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        kgen_test_expect(cases[i].line, 2, NULL, cases[i].err);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

static int set_up(void **state)
{
    (void)state;
    return kgen_test_command_setup();
}

static int tear_down(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_has_all), cmocka_unit_test(test_page_is_clean),
        cmocka_unit_test(test_bash),         cmocka_unit_test(test_values_are_taken),
        cmocka_unit_test(test_zsh),          cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
