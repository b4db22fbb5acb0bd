/* SPDX-License-Identifier: MIT */
/* What the encoder wrote, as binutils reads it: the listings in tests/listings/ give vector statements and
 * the instructions that they become. KGEN_LISTING_UPDATE=1 rewrites the listings; read what changed. */
#include "gen/base/file.h"
#include "gen/target/lower/internal.h"
#include "runtime/process/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define STATEMENT_MAX 400

/* A statement of a listing, with the instructions it should become and those it became. */
struct entry {
    char statement[160];
    struct kgen_text expected, found;
};

struct listing {
    enum kgen_isa isa;
    char path[64];
    struct entry entries[STATEMENT_MAX];
    size_t count;
};

/* Lines that begin with a blank are instructions; others are statements, empty, or comments. */
static void read_listing(struct listing *listing, enum kgen_isa isa, struct kgen_text *file)
{
    struct kgen_error error = {0};
    listing->isa = isa;
    snprintf(listing->path, sizeof listing->path, "tests/listings/%s.txt", kgen_isa_info(isa)->name);
    assert_int_equal(kgen_file_read(listing->path, 1 << 20, file, &error), 0);
    struct entry *entry = NULL;
    for (char *line = file->data, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        int length = (int)(end - line);
        if (length == 0 || line[0] == '#')
            continue;
        if (line[0] == ' ') {
            assert_non_null(entry);
            kgen_text_printf(&entry->expected, "%.*s\n", length, line);
        } else {
            assert_true(listing->count < STATEMENT_MAX);
            entry = &listing->entries[listing->count++];
            snprintf(entry->statement, sizeof entry->statement, "%.*s", length, line);
        }
    }
}

/* "high: STATEMENT" is lowered where the low half of the registers is taken. */
static void put_function(struct kgen_text *text, const struct listing *listing, const char *statement)
{
    bool high = strncmp(statement, "high: ", 6) == 0;
    int dummies = !high ? 0 : kgen_isa_info(listing->isa)->registers / 2 - 1;
    kgen_text_puts(text,
                   "void f(const float *x, const uint16_t *h, const uint8_t *p, uint8_t *out, int n)\n{\n");
    for (int i = 0; i < dummies; i++)
        kgen_text_printf(text, "kv_f32 d%d;\n", i);
    kgen_text_puts(text, "kv_f32 a = kv_zero();\nkv_f32 b = kv_zero();\nkv_f32 c = kv_zero();\n"
                         "kv_int i = kv_zero_int();\nkv_int j = kv_zero_int();\nkv_int k = kv_zero_int();\n"
                         "n = n;\n");
    kgen_text_printf(text, "%s\nn = n;\n}\n", high ? statement + 6 : statement);
}

/* Appends the bytes of the asm statement at p, which is moved past it. */
static void put_asm(const char **p, FILE *out)
{
    static const char begin[] = "asm(\".ascii \\\"";
    const char *s = *p + strlen(begin);
    for (; strncmp(s, "\\\"\"", 3) != 0; s++) {
        if (*s == '\\') {
            s += s[1] == '\\' ? 2 : 1;
            fputc((s[0] - '0') * 64 + (s[1] - '0') * 8 + (s[2] - '0'), out);
            s += 2;
        } else {
            fputc(*s, out);
        }
    }
    *p = s;
}

/* Writes the bytes of one statement: those of all asm statements but the first, which gives the variables
 * their values, and the last, which is vzeroupper. */
static void put_bytes(const struct listing *listing, const struct entry *entry, FILE *out)
{
    struct kgen_text text = {0}, lowered = {0};
    struct kgen_error error = {0};
    put_function(&text, listing, entry->statement);
    if (kgen_lower(entry->statement, text.data, listing->isa, &lowered, &error) != 0)
        fail_msg("%s: %s", entry->statement, error.message);
    const char *p = strstr(lowered.data, "asm("), *next;
    assert_non_null(p);
    for (p = strstr(p + 1, "asm("); p != NULL; p = next) {
        next = strstr(p + 1, "asm(");
        if (next != NULL)
            put_asm(&p, out);
    }
    kgen_text_free(&text);
    kgen_text_free(&lowered);
}

/* Splits what objdump printed among the entries; ud2 stands between them. */
static void read_disassembly(struct listing *listing, char *output)
{
    size_t entry = 0;
    for (char *line = strtok(output, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *text = strstr(line, ":\t");
        if (text == NULL || line[0] != ' ')
            continue;
        text += 2;
        text[strcspn(text, "#")] = '\0';
        for (size_t length = strlen(text); length > 0 && text[length - 1] == ' ';)
            text[--length] = '\0';
        if (strncmp(text, "ud2", 3) == 0) {
            entry++;
            continue;
        }
        assert_true(entry < listing->count);
        if (text[0] == 'j')
            text[strcspn(text, " ")] = '\0'; /* its target is no matter of encoding */
        kgen_text_puts(&listing->entries[entry].found, "    ");
        for (; *text != '\0'; text++) {
            if (text[0] != ' ' || text[1] != ' ')
                kgen_text_append(&listing->entries[entry].found, text, 1);
        }
        kgen_text_puts(&listing->entries[entry].found, "\n");
    }
    assert_int_equal(entry, listing->count);
}

static void disassemble(struct listing *listing)
{
    char path[] = "/tmp/kgen-listing-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "wb");
    for (size_t i = 0; i < listing->count; i++) {
        put_bytes(listing, &listing->entries[i], file);
        fputs("\x0f\x0b", file);
    }
    assert_int_equal(fclose(file), 0);
    struct kgen_text output = {0};
    const char *arguments[] = {
        "objdump", "-D", "-b", "binary", "-mi386:x86-64", "-Mintel", "-w", "--no-show-raw-insn", path, NULL};
    assert_int_equal(kgen_program_run(arguments, &output, NULL), 0);
    unlink(path);
    read_disassembly(listing, output.data);
    kgen_text_free(&output);
}

static void update(const struct listing *listing, const char *old)
{
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    size_t entry = 0;
    for (const char *line = old; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (line[0] == ' ')
            continue;
        kgen_text_append(&text, line, strcspn(line, "\n") + 1);
        if (line[0] != '\n' && line[0] != '#')
            kgen_text_puts(&text, listing->entries[entry++].found.data);
    }
    assert_int_equal(kgen_file_write(listing->path, text.data, text.length, &error), 0);
    kgen_text_free(&text);
}

static void check(enum kgen_isa isa)
{
    struct kgen_text output = {0}, file = {0};
    if (kgen_program_run((const char *[]){"objdump", "--version", NULL}, &output, NULL) != 0) {
        print_message("skipped: objdump is not installed\n");
        skip();
    }
    kgen_text_free(&output);
    struct listing *listing = calloc(1, sizeof *listing);
    assert_non_null(listing);
    read_listing(listing, isa, &file);
    disassemble(listing);
    if (getenv("KGEN_LISTING_UPDATE") != NULL)
        update(listing, file.data);
    size_t operations = 0;
    for (size_t i = 0; i < listing->count; i++) {
        struct entry *entry = &listing->entries[i];
        kgen_text_puts(&entry->expected, "");
        kgen_text_puts(&entry->found, "");
        if (getenv("KGEN_LISTING_UPDATE") == NULL)
            assert_string_equal(entry->found.data, entry->expected.data);
        kgen_text_free(&entry->expected);
        kgen_text_free(&entry->found);
    }
    /* Every vector operation is in the listing. */
    for (const struct kgen_vector_op *vector_op; (vector_op = kgen_vector_op_at(operations)) != NULL;
         operations++) {
        char call[40];
        snprintf(call, sizeof call, "%s(", vector_op->name);
        if (strstr(file.data, call) == NULL)
            fail_msg("%s does not list %s", listing->path, vector_op->name);
    }
    print_message("%s: %zu statements\n", listing->path, listing->count);
    assert_true(operations > 0 && listing->count >= operations);
    kgen_text_free(&file);
    free(listing);
}

static void test_avx512(void **state)
{
    (void)state;
    check(KGEN_ISA_AVX512);
}

static void test_avx2(void **state)
{
    (void)state;
    check(KGEN_ISA_AVX2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_avx512), cmocka_unit_test(test_avx2)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
