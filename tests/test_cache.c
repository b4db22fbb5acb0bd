/* SPDX-License-Identifier: MIT */
/* The cache: what is remembered is found again, and no state of its file or folder stops it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../runtime/cache.h"

#define PROBLEM "{\"op\":\"qmv\",\"N\":7,\"eps\":1e-06}"

struct fixture {
    char folder[64];
    char file[96];
    int warnings;
    char last[2048];
};

static void note(void *context, int level, const char *message)
{
    struct fixture *fixture = context;
    fixture->warnings += level == 0;
    snprintf(fixture->last, sizeof fixture->last, "%s", message);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/kgen-cache-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->file, sizeof fixture->file, "%s/records.jsonl", fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    unlink(fixture->file);
    rmdir(fixture->file);
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static struct kgen_cache *reopen(struct fixture *fixture, struct kgen_cache *cache)
{
    kgen_cache_close(cache);
    struct kgen_error error = {0};
    cache = kgen_cache_open(fixture->folder, note, fixture, &error);
    assert_non_null(cache);
    return cache;
}

static struct kgen_record sample(uint64_t key)
{
    return (struct kgen_record){
        .key = key,
        .machine = "00112233445566aa",
        .problem = PROBLEM,
        .variant = "qmv_i8 avx512 rows=4 prefetch=512",
        .engine = "tcc 0.9.27 lowering 1",
        .effort = "measure",
        .verdict = KGEN_PASSED,
        .detail = "",
        .error_of_bound = 0.25,
        .cases = 31,
        .compile_seconds = 0.0009,
        .cold_seconds = 0.000311,
        .hot_seconds = 0.0001005,
        .repeats = 12,
        .final_seconds = 0.00031,
        .read_seconds = 0.0003,
        .chosen = true,
    };
}

static void append(struct kgen_cache *cache, const struct kgen_record *record)
{
    struct kgen_error error = {0};
    assert_int_equal(kgen_cache_append(cache, record, &error), 0);
}

static void put_file(const struct fixture *fixture, const char *data, size_t length)
{
    FILE *file = fopen(fixture->file, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static struct kgen_text get_file(const struct fixture *fixture)
{
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_file_read(fixture->file, 1 << 28, &text, &error), 0);
    return text;
}

static size_t count_lines(const struct fixture *fixture)
{
    struct kgen_text text = get_file(fixture);
    size_t lines = 0;
    for (size_t i = 0; i < text.length; i++)
        lines += text.data[i] == '\n';
    kgen_text_free(&text);
    return lines;
}

static void assert_same(const struct kgen_record *found, const struct kgen_record *expected)
{
    assert_non_null(found);
    assert_int_equal(found->key, expected->key);
    assert_string_equal(found->machine, expected->machine);
    assert_string_equal(found->problem, expected->problem);
    assert_string_equal(found->variant, expected->variant);
    assert_string_equal(found->engine, expected->engine);
    assert_string_equal(found->effort, expected->effort);
    assert_int_equal(found->verdict, expected->verdict);
    assert_string_equal(found->detail, expected->detail);
    assert_int_equal(found->cases, expected->cases);
    assert_int_equal(found->repeats, expected->repeats);
    assert_int_equal(found->chosen, expected->chosen);
    const double pairs[][2] = {
        {found->error_of_bound, expected->error_of_bound},
        {found->compile_seconds, expected->compile_seconds},
        {found->cold_seconds, expected->cold_seconds},
        {found->hot_seconds, expected->hot_seconds},
        {found->final_seconds, expected->final_seconds},
        {found->read_seconds, expected->read_seconds},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(pairs); i++)
        assert_true(fabs(pairs[i][0] - pairs[i][1]) <= 1e-8 * fabs(pairs[i][1]));
}

/* The same values in the run that measured and in the runs after it. */
static void test_round_trip(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache = reopen(fixture, NULL);
    struct kgen_record records[KGEN_VERDICT_COUNT];
    for (int i = 0; i < KGEN_VERDICT_COUNT; i++) {
        records[i] = sample(UINT64_C(0xfedcba9876543210) + (uint64_t)i);
        records[i].verdict = (enum kgen_verdict)i;
        records[i].chosen = i == 0;
        records[i].detail = i == 0 ? "" : "y[17] = \"3.5\" \\ \t tab, µ, case \x01";
        append(cache, &records[i]);
        assert_same(kgen_cache_find(cache, records[i].key), &records[i]);
    }
    struct kgen_record before = *kgen_cache_find(cache, records[3].key);
    double cold = before.cold_seconds, hot = before.hot_seconds;
    cache = reopen(fixture, cache);
    assert_int_equal(kgen_cache_count(cache), KGEN_VERDICT_COUNT);
    for (int i = 0; i < KGEN_VERDICT_COUNT; i++) {
        assert_same(kgen_cache_find(cache, records[i].key), &records[i]);
        assert_ptr_equal(kgen_cache_find(cache, records[i].key), kgen_cache_at(cache, (size_t)i));
    }
    assert_true(kgen_cache_find(cache, records[3].key)->cold_seconds == cold);
    assert_true(kgen_cache_find(cache, records[3].key)->hot_seconds == hot);
    assert_null(kgen_cache_find(cache, 1));
    assert_null(kgen_cache_at(cache, KGEN_VERDICT_COUNT));
    assert_string_equal(kgen_cache_path(cache), fixture->folder);
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

static void test_line_layout(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache = reopen(fixture, NULL);
    struct kgen_record record = sample(0x1f);
    append(cache, &record);
    kgen_cache_close(cache);
    struct kgen_text text = get_file(fixture);
    assert_string_equal(
        text.data,
        "{\"key\":\"000000000000001f\",\"schema\":1,\"machine\":\"00112233445566aa\",\"problem\":" PROBLEM
        ",\"variant\":\"qmv_i8 avx512 rows=4 prefetch=512\",\"engine\":\"tcc 0.9.27 lowering 1\","
        "\"effort\":\"measure\",\"verdict\":\"passed\",\"detail\":\"\",\"error_of_bound\":0.25,"
        "\"cases\":31,\"compile_us\":900,\"cold_us\":311,\"hot_us\":100.5,\"final_us\":310,\"read_us\":300,"
        "\"repeats\":12,\"chosen\":true}\n");
    kgen_text_free(&text);
}

static void test_later_record_replaces(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache = reopen(fixture, NULL);
    struct kgen_record record = sample(5), other = sample(6);
    record.chosen = false;
    append(cache, &record);
    append(cache, &other);
    struct kgen_record again = *kgen_cache_find(cache, 5);
    again.chosen = true; /* its strings belong to the entry that it replaces */
    append(cache, &again);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(kgen_cache_count(cache), 2);
        assert_true(kgen_cache_find(cache, 5)->chosen);
        assert_int_equal(kgen_cache_at(cache, 0)->key, 5);
        cache = reopen(fixture, cache);
    }
    kgen_cache_close(cache);
}

static void test_numbers_json_cannot_hold(void **state)
{
    struct fixture *fixture = *state;
    const double values[] = {INFINITY, -INFINITY, NAN, -0.0};
    struct kgen_cache *cache = reopen(fixture, NULL);
    for (size_t i = 0; i < KGEN_COUNT_OF(values); i++) {
        struct kgen_record record = sample(i + 1);
        record.verdict = KGEN_WRONG_ELEMENT;
        record.error_of_bound = record.hot_seconds = values[i];
        record.detail = "bad utf-8: \xff\xc0\xed\xa0\x80.";
        append(cache, &record);
        struct kgen_error error = {0};
        int result = kgen_cache_set_fact(cache, "m", "odd", values[i], &error);
        assert_int_equal(result, isfinite(values[i]) ? 0 : -1);
    }
    cache = reopen(fixture, cache);
    for (size_t i = 0; i < KGEN_COUNT_OF(values); i++) {
        const struct kgen_record *found = kgen_cache_find(cache, i + 1);
        assert_non_null(found);
        assert_true(isfinite(values[i]) ? found->error_of_bound == 0 : isinf(found->error_of_bound));
        assert_true(found->hot_seconds == 0 && !signbit(found->hot_seconds));
        assert_string_equal(found->detail, "bad utf-8: ?????.");
    }
    kgen_cache_close(cache);
    struct kgen_text text = get_file(fixture);
    for (char *line = strtok(text.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        json_t *root = json_loads(line, 0, NULL);
        assert_non_null(root);
        json_decref(root);
        assert_null(strstr(line, ":-0"));
    }
    kgen_text_free(&text);
    assert_int_equal(fixture->warnings, 0);
}

static void test_problem_must_be_an_object(void **state)
{
    struct fixture *fixture = *state;
    const char *problems[] = {"", "[]", "{", "{\"a\":1}\n", "qmv", NULL};
    struct kgen_cache *cache = reopen(fixture, NULL);
    for (size_t i = 0; i < KGEN_COUNT_OF(problems); i++) {
        struct kgen_record record = sample(9);
        struct kgen_error error = {0};
        record.problem = problems[i];
        assert_int_equal(kgen_cache_append(cache, &record, &error), -1);
        assert_int_equal(error.code, KGEN_ERROR_USAGE);
    }
    assert_int_equal(kgen_cache_count(cache), 0);
    kgen_cache_close(cache);
}

/* A line of a valid record with this key. */
static void add_line(struct kgen_text *text, unsigned key, const char *schema, bool newline)
{
    kgen_text_printf(
        text,
        "{\"key\":\"%016x\",\"schema\":%s,\"machine\":\"00\",\"problem\":" PROBLEM
        ",\"variant\":\"v\",\"engine\":\"e\",\"effort\":\"measure\",\"verdict\":\"passed\",\"detail\":"
        "\"\",\"error_of_bound\":0.5,\"cases\":1,\"compile_us\":1,\"cold_us\":%u,\"hot_us\":1,"
        "\"final_us\":1,\"read_us\":1,\"repeats\":1,\"chosen\":false}%s",
        key, schema, key, newline ? "\n" : "");
}

/* What a file may hold besides good lines, and what is to become of it. */
static const struct {
    const char *label, *text;
    int warnings;
    const char *message;
} odd_lines[] = {
    {"words", "not json at all\n", 1, "records.jsonl:2: 1 damaged line "},
    {"two bad lines", "x\n[1,2]\n", 1, "records.jsonl:2: 2 damaged lines "},
    {"an object of no kind", "{\"schema\":1}\n", 1, ":2: 1 damaged"},
    {"an object without a schema", "{}\n", 1, ":2: 1 damaged"},
    {"a key that is none", "{\"key\":\"xyz\",\"schema\":1}\n", 1, ":2: 1 damaged"},
    {"a fact without a value", "{\"fact\":\"f\",\"schema\":1,\"machine\":\"m\"}\n", 1, ":2: 1 damaged"},
    {"deep nesting", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", 1, ":2: 1 damaged"},
    {"a number too large", "{\"schema\":1e999}\n", 1, ":2: 1 damaged"},
    {"blank lines", "\n  \n\r\n", 0, ""},
    {"another schema", "{\"schema\":2,\"anything\":true}\n", 0, ""},
    {"a record of another schema", "{\"key\":\"00000000000000ff\",\"schema\":2,\"x\":1,\"chosen\":true}\n", 0,
     ""},
    {"a line cut short", "{\"key\":\"0000000000\n", 0, ""},
    {"a line cut after its first letters", "{\"k\n", 0, ""},
    {"a fact cut short", "{\"fact\":\"read_band\n", 0, ""},
};

/* Whatever stands in the last line may be a line that another process is writing. */
static void test_odd_last_line(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_text text = {0};
    add_line(&text, 1, "1", true);
    kgen_text_puts(&text, "tail of something");
    put_file(fixture, text.data, text.length);
    struct kgen_cache *cache = reopen(fixture, NULL);
    assert_int_equal(kgen_cache_count(cache), 1);
    assert_int_equal(fixture->warnings, 0);
    kgen_cache_close(cache);
    kgen_text_free(&text);
}

static void test_odd_lines(void **state)
{
    struct fixture *fixture = *state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(odd_lines); i++, cases++) {
        struct kgen_text text = {0};
        add_line(&text, 1, "1", true);
        kgen_text_puts(&text, odd_lines[i].text);
        add_line(&text, 2, "1", true);
        put_file(fixture, text.data, text.length);
        fixture->warnings = 0;
        fixture->last[0] = '\0';
        struct kgen_cache *cache = reopen(fixture, NULL);
        print_message("case: %s\n", odd_lines[i].label);
        assert_int_equal(fixture->warnings, odd_lines[i].warnings);
        assert_non_null(strstr(fixture->last, odd_lines[i].message));
        assert_int_equal(kgen_cache_count(cache), 2);
        assert_non_null(kgen_cache_find(cache, 1));
        assert_non_null(kgen_cache_find(cache, 2));
        kgen_cache_close(cache);
        struct kgen_text after = get_file(fixture);
        assert_string_equal(after.data, text.data);
        kgen_text_free(&after);
        kgen_text_free(&text);
    }
    assert_true(cases > 0);
}

/* Every way to cut the last line short: it is ignored, and the next one is not glued to it. */
static void test_cut_anywhere(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_text text = {0};
    add_line(&text, 1, "1", true);
    size_t first = text.length;
    add_line(&text, 2, "1", true);
    size_t cases = 0;
    for (size_t length = first; length <= text.length; length++, cases++) {
        put_file(fixture, text.data, length);
        fixture->warnings = 0;
        struct kgen_cache *cache = reopen(fixture, NULL);
        bool whole = length + 1 >= text.length;
        assert_int_equal(kgen_cache_count(cache), whole ? 2 : 1);
        struct kgen_record record = sample(3);
        append(cache, &record);
        cache = reopen(fixture, cache);
        assert_int_equal(kgen_cache_count(cache), whole ? 3 : 2);
        assert_same(kgen_cache_find(cache, 3), &record);
        assert_true(kgen_cache_find(cache, 1)->cold_seconds > 0);
        kgen_cache_close(cache);
        assert_int_equal(fixture->warnings, 0);
    }
    assert_true(cases > 100);
    kgen_text_free(&text);
}

/* A record that begins and ends well and is damaged between: found when it is asked for. */
static void test_damage_within(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *from, *to;
    } edits[] = {
        {"\"verdict\":\"passed\"", "\"verdict\":\"gassed\""},
        {"\"cases\":1", "\"cases\":-1"},
        {"\"cases\":1", "\"cases\":\"\""},
        {"\"cold_us\":1", "\"cold_us\":-"},
        {"\"problem\":{", "\"problex\":{"},
        {"\"variant\":\"v\"", "\"variant\":333"},
        {"\"repeats\":1", "\"repeats\"\x01"
                          "1"},
        {"\"machine\":\"00\"", "\"machine\":null"},
        {"\"schema\":1,", "\"schema\":1,\"key\":\"0000000000000002\","},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(edits); i++) {
        struct kgen_text line = {0}, text = {0};
        add_line(&line, 1, "1", true);
        char *at = strstr(line.data, edits[i].from);
        assert_non_null(at);
        kgen_text_append(&text, line.data, (size_t)(at - line.data));
        kgen_text_puts(&text, edits[i].to);
        kgen_text_puts(&text, at + strlen(edits[i].from));
        put_file(fixture, text.data, text.length);
        fixture->warnings = 0;
        struct kgen_cache *cache = reopen(fixture, NULL);
        assert_null(kgen_cache_find(cache, 1));
        assert_int_equal(fixture->warnings, 1);
        if (kgen_cache_count(cache) > 0)
            assert_null(kgen_cache_at(cache, 0));
        struct kgen_record record = sample(1);
        append(cache, &record);
        assert_same(kgen_cache_find(cache, 1), &record);
        kgen_cache_close(cache);
        kgen_text_free(&line);
        kgen_text_free(&text);
    }
}

/* A file that went through another JSON tool. */
static void test_other_layout(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_text line = {0};
    add_line(&line, 7, "1", false);
    json_t *root = json_loads(line.data, 0, NULL);
    char *text = json_dumps(root, JSON_SORT_KEYS);
    assert_non_null(text);
    put_file(fixture, text, strlen(text));
    struct kgen_cache *cache = reopen(fixture, NULL);
    const struct kgen_record *found = kgen_cache_find(cache, 7);
    assert_non_null(found);
    json_t *problem = json_loads(found->problem, 0, NULL);
    assert_true(json_equal(problem, json_object_get(root, "problem")));
    json_decref(problem);
    json_decref(root);
    free(text);
    kgen_text_free(&line);
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void test_random_bytes(void **state)
{
    struct fixture *fixture = *state;
    uint64_t seed = 42;
    for (int round = 0; round < 200; round++) {
        char bytes[4096];
        size_t length = next_random(&seed) % sizeof bytes;
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)next_random(&seed);
        put_file(fixture, bytes, length);
        struct kgen_cache *cache = reopen(fixture, NULL);
        struct kgen_record record = sample(1);
        append(cache, &record);
        cache = reopen(fixture, cache);
        assert_same(kgen_cache_find(cache, 1), &record);
        kgen_cache_close(cache);
    }
    assert_true(fixture->warnings > 0);
}

/* One byte of a good file changed, at every place: never a crash, and the other record stays. */
static void test_flipped_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_text text = {0};
    add_line(&text, 1, "1", true);
    size_t first = text.length;
    add_line(&text, 2, "1", true);
    static const char replacements[] = {'\0', '"', '}', '{', 'x', (char)0xff};
    for (size_t i = 0; i < first - 1; i++) {
        char old = text.data[i];
        text.data[i] = replacements[i % sizeof replacements];
        put_file(fixture, text.data, text.length);
        struct kgen_cache *cache = reopen(fixture, NULL);
        assert_non_null(kgen_cache_find(cache, 2));
        for (size_t j = 0; j < kgen_cache_count(cache); j++)
            (void)kgen_cache_at(cache, j);
        kgen_cache_close(cache);
        text.data[i] = old;
    }
    kgen_text_free(&text);
}

static void test_facts(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache = reopen(fixture, NULL);
    struct kgen_error error = {0};
    double value = 0;
    assert_int_equal(kgen_cache_fact(cache, "m", "read_bandwidth_1", &value), -1);
    assert_int_equal(kgen_cache_set_fact(cache, "m", "read_bandwidth_1", 1e9, &error), 0);
    assert_int_equal(kgen_cache_set_fact(cache, "m", "read_bandwidth_1", 42123456789.0, &error), 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(kgen_cache_fact(cache, "m", "read_bandwidth_1", &value), 0);
        assert_true(fabs(value - 42123456789.0) < 100);
        assert_int_equal(kgen_cache_fact(cache, "n", "read_bandwidth_1", &value), -1);
        assert_int_equal(kgen_cache_fact(cache, "m", "read_bandwidth_2", &value), -1);
        assert_int_equal(kgen_cache_count(cache), 0);
        cache = reopen(fixture, cache);
    }
    kgen_cache_close(cache);
}

static void test_memory_only(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_error error = {0};
    struct kgen_cache *cache = kgen_cache_open(NULL, note, fixture, &error);
    assert_non_null(cache);
    struct kgen_record record = sample(4);
    append(cache, &record);
    assert_same(kgen_cache_find(cache, 4), &record);
    assert_string_equal(kgen_cache_path(cache), "");
    assert_int_equal(kgen_cache_clear(cache, &error), 0);
    assert_int_equal(kgen_cache_count(cache), 0);
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

/* Works in memory, with one warning. */
static void use_unwritable(struct fixture *fixture, const char *folder)
{
    struct kgen_error error = {0};
    fixture->warnings = 0;
    struct kgen_cache *cache = kgen_cache_open(folder, note, fixture, &error);
    assert_non_null(cache);
    for (uint64_t key = 1; key < 4; key++) {
        struct kgen_record record = sample(key);
        append(cache, &record);
        assert_same(kgen_cache_find(cache, key), &record);
    }
    assert_int_equal(fixture->warnings, 1);
    kgen_cache_close(cache);
}

static void test_unusable_folders(void **state)
{
    struct fixture *fixture = *state;
    use_unwritable(fixture, "/dev/null");
    use_unwritable(fixture, "/dev/null/below/a/file");
    use_unwritable(fixture, "/proc/kgen");
    assert_int_equal(mkdir(fixture->file, 0777), 0);
    use_unwritable(fixture, fixture->folder); /* records.jsonl is a folder */
    assert_int_equal(rmdir(fixture->file), 0);
    assert_int_equal(mkfifo(fixture->file, 0666), 0);
    use_unwritable(fixture, fixture->folder);
}

/* In a child, since root must give its rights up to be refused anything. */
static int in_child(struct fixture *fixture, void work(struct fixture *fixture))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work(fixture);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}

static void read_as_nobody(struct fixture *fixture)
{
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(2);
    struct kgen_cache *cache = kgen_cache_open(fixture->folder, note, fixture, NULL);
    struct kgen_record record = sample(2);
    bool right = cache != NULL && fixture->warnings == 1 && kgen_cache_find(cache, 1) != NULL &&
                 kgen_cache_append(cache, &record, NULL) == 0 && kgen_cache_find(cache, 2) != NULL &&
                 fixture->warnings == 1;
    kgen_cache_close(cache);
    if (!right)
        _exit(3);
}

static void test_read_only_file(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache = reopen(fixture, NULL);
    struct kgen_record record = sample(1);
    append(cache, &record);
    kgen_cache_close(cache);
    assert_int_equal(chmod(fixture->file, 0444), 0);
    assert_int_equal(chmod(fixture->folder, 0555), 0);
    int status = in_child(fixture, read_as_nobody);
    assert_int_equal(chmod(fixture->folder, 0755), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(count_lines(fixture), 1);
}

/* A file that may not grow behaves as a full disk does. */
static void fill_the_disk(struct fixture *fixture)
{
    struct rlimit limit = {.rlim_cur = 3000, .rlim_max = 3000};
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
    struct kgen_cache *cache = kgen_cache_open(fixture->folder, note, fixture, NULL);
    for (uint64_t key = 1; key <= 20; key++) {
        struct kgen_record record = sample(key);
        if (kgen_cache_append(cache, &record, NULL) != 0)
            _exit(3);
    }
    for (uint64_t key = 1; key <= 20; key++) {
        if (kgen_cache_find(cache, key) == NULL)
            _exit(4);
    }
    if (fixture->warnings != 1)
        _exit(5);
    kgen_cache_close(cache);
}

static void test_full_disk(void **state)
{
    struct fixture *fixture = *state;
    int status = in_child(fixture, fill_the_disk);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct kgen_text text = get_file(fixture);
    assert_int_equal(text.data[text.length - 1], '\n'); /* the line that did not fit was taken back */
    kgen_text_free(&text);
    struct kgen_cache *cache = reopen(fixture, NULL);
    assert_in_range(kgen_cache_count(cache), 3, 19);
    assert_int_equal(kgen_cache_count(cache), count_lines(fixture));
    assert_int_equal(fixture->warnings, 0);
    kgen_cache_close(cache);
}

static void test_compaction(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_text text = {0};
    kgen_text_puts(&text, "{\"schema\":99}\n");
    kgen_text_puts(&text, "bad\n");
    for (unsigned i = 0; i < 1200; i++)
        add_line(&text, 1 + i % 100, "1", true);
    kgen_text_puts(&text, "{\"fact\":\"f\",\"schema\":1,\"machine\":\"m\",\"value\":1}\n");
    kgen_text_puts(&text, "{\"fact\":\"f\",\"schema\":1,\"machine\":\"m\",\"value\":2}\n");
    kgen_text_puts(&text, "{\"key\":\"00");
    put_file(fixture, text.data, text.length);
    kgen_text_free(&text);

    struct kgen_cache *other = reopen(fixture, NULL);
    assert_int_equal(count_lines(fixture), 103);
    struct kgen_cache *cache = reopen(fixture, NULL);
    assert_int_equal(kgen_cache_count(cache), 100);
    double value = 0;
    assert_int_equal(kgen_cache_fact(cache, "m", "f", &value), 0);
    assert_true(value == 2);
    /* Both the one that compacted and one that opened later go on with the new file. */
    struct kgen_record record = sample(1000), second = sample(1001);
    append(other, &record);
    append(cache, &second);
    kgen_cache_close(other);
    cache = reopen(fixture, cache);
    assert_int_equal(kgen_cache_count(cache), 102);
    kgen_cache_close(cache);
}

static void test_no_compaction_without_the_lock(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_text text = {0};
    for (unsigned i = 0; i < 1200; i++)
        add_line(&text, 1, "1", true);
    put_file(fixture, text.data, text.length);
    kgen_text_free(&text);
    int descriptor = open(fixture->file, O_RDWR);
    assert_int_equal(flock(descriptor, LOCK_EX), 0);
    struct kgen_cache *cache = reopen(fixture, NULL);
    assert_int_equal(kgen_cache_count(cache), 1);
    assert_int_equal(count_lines(fixture), 1200);
    close(descriptor);
    cache = reopen(fixture, cache);
    assert_int_equal(count_lines(fixture), 1);
    kgen_cache_close(cache);
}

/* A file replaced or removed by another process while it is open. */
static void test_replaced_while_open(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache = reopen(fixture, NULL);
    struct kgen_record record = sample(1);
    assert_int_equal(unlink(fixture->file), 0);
    append(cache, &record);
    assert_int_equal(count_lines(fixture), 1);
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

static void test_lock_held_by_a_stopped_process(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache = reopen(fixture, NULL);
    int descriptor = open(fixture->file, O_RDWR);
    assert_int_equal(flock(descriptor, LOCK_EX), 0);
    struct kgen_record record = sample(1);
    append(cache, &record);
    close(descriptor);
    kgen_cache_close(cache);
    assert_int_equal(count_lines(fixture), 1);
}

#define WRITERS 4
#define WRITER_RECORDS 200

static void test_several_writers(void **state)
{
    struct fixture *fixture = *state;
    pid_t children[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct kgen_cache *cache = kgen_cache_open(fixture->folder, note, fixture, NULL);
            for (unsigned j = 0; j < WRITER_RECORDS; j++) {
                struct kgen_record record = sample(i * 1000 + j);
                if (kgen_cache_append(cache, &record, NULL) != 0)
                    _exit(1);
            }
            kgen_cache_close(cache);
            _exit(fixture->warnings);
        }
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    struct kgen_cache *cache = reopen(fixture, NULL);
    assert_int_equal(kgen_cache_count(cache), WRITERS * WRITER_RECORDS);
    for (size_t i = 0; i < kgen_cache_count(cache); i++)
        assert_non_null(kgen_cache_at(cache, i));
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

static void make_file(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static void test_clear(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache = reopen(fixture, NULL);
    struct kgen_record record = sample(1);
    append(cache, &record);
    char objects[128], kept[128];
    snprintf(objects, sizeof objects, "%s/" KGEN_CACHE_OBJECTS, fixture->folder);
    snprintf(kept, sizeof kept, "%s/notes.txt", fixture->folder);
    assert_int_equal(mkdir(objects, 0777), 0);
    make_file(objects, "0123456789abcdef.so");
    make_file(fixture->folder, "records.jsonl.77.tmp");
    make_file(fixture->folder, "notes.txt");
    struct kgen_error error = {0};
    assert_int_equal(kgen_cache_clear(cache, &error), 0);
    assert_int_equal(kgen_cache_count(cache), 0);
    assert_int_equal(access(fixture->file, F_OK), -1);
    assert_int_equal(access(objects, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
    append(cache, &record);
    cache = reopen(fixture, cache);
    assert_int_equal(kgen_cache_count(cache), 1);
    assert_int_equal(kgen_cache_clear(cache, &error), 0);
    kgen_cache_close(cache);
    assert_int_equal(unlink(kept), 0);
    assert_int_equal(fixture->warnings, 0);
    assert_int_equal(rmdir(fixture->folder), 0); /* nothing else was left */
}

static void test_keys(void **state)
{
    (void)state;
    const uint64_t key = kgen_record_key("m", "p", 1, "e");
    assert_int_equal(key, kgen_record_key("m", "p", 1, "e"));
    const uint64_t others[] = {kgen_record_key("n", "p", 1, "e"), kgen_record_key("m", "q", 1, "e"),
                               kgen_record_key("m", "p", 2, "e"), kgen_record_key("m", "p", 1, "f"),
                               kgen_record_key("mp", "", 1, "e")};
    for (size_t i = 0; i < KGEN_COUNT_OF(others); i++)
        assert_true(others[i] != key);
}

static void test_folder(void **state)
{
    (void)state;
    static const struct {
        const char *given, *own, *caches, *home, *expected;
    } cases[] = {
        {"given", "/own", "/caches", "/home", "given"},         {NULL, "/own", "/caches", "/home", "/own"},
        {NULL, NULL, "/caches", "/home", "/caches/kgen"},       {NULL, "", "", "/home", "/home/.cache/kgen"},
        {NULL, NULL, "relative", "/home", "/home/.cache/kgen"}, {NULL, NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const char *names[] = {"KGEN_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
        const char *values[] = {cases[i].own, cases[i].caches, cases[i].home};
        for (size_t j = 0; j < KGEN_COUNT_OF(names); j++)
            assert_int_equal(values[j] != NULL ? setenv(names[j], values[j], 1) : unsetenv(names[j]), 0);
        struct kgen_text folder = {0};
        assert_int_equal(kgen_cache_folder(cases[i].given, &folder), cases[i].expected != NULL ? 0 : -1);
        if (cases[i].expected != NULL)
            assert_string_equal(folder.data, cases[i].expected);
        kgen_text_free(&folder);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_line_layout),
        TEST(test_later_record_replaces),
        TEST(test_numbers_json_cannot_hold),
        TEST(test_problem_must_be_an_object),
        TEST(test_odd_lines),
        TEST(test_odd_last_line),
        TEST(test_cut_anywhere),
        TEST(test_damage_within),
        TEST(test_other_layout),
        TEST(test_random_bytes),
        TEST(test_flipped_bytes),
        TEST(test_facts),
        TEST(test_memory_only),
        TEST(test_unusable_folders),
        TEST(test_read_only_file),
        TEST(test_full_disk),
        TEST(test_compaction),
        TEST(test_no_compaction_without_the_lock),
        TEST(test_replaced_while_open),
        TEST(test_lock_held_by_a_stopped_process),
        TEST(test_several_writers),
        TEST(test_clear),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
