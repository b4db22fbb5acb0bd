/* SPDX-License-Identifier: MIT */
/* The cache in layers, what it knows of other machines, claims, and records on their way between caches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "gen/base/file.h"
#include "runtime/cache/claim.h"
#include "runtime/cache/exchange.h"
#include "runtime/tune/timing.h"

#define ADD "{\"op\":\"add\",\"size\":100,\"threads\":1}"
#define SWIGLU "{\"op\":\"swiglu\",\"size\":100,\"threads\":1}"
#define MANY 100000

static char folder[64];
static int warnings;
static char last[2048];

static void note(void *context, int level, const char *message)
{
    (void)context;
    warnings += level == 0;
    snprintf(last, sizeof last, "%s", message);
}

static int setup(void **state)
{
    (void)state;
    warnings = 0;
    snprintf(folder, sizeof folder, "/tmp/kgen-layers-XXXXXX");
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static struct kgen_record sample(uint64_t key, const char *machine, const char *problem)
{
    return (struct kgen_record){.key = key,
                                .machine = machine,
                                .problem = problem,
                                .variant = "add avx2",
                                .engine = "tcc 1",
                                .effort = "measure",
                                .detail = "",
                                .cases = 5,
                                .hot_seconds = 1e-6,
                                .repeats = 3};
}

static struct kgen_cache *open_cache(const char *path)
{
    struct kgen_error error = {0};
    struct kgen_cache *cache = kgen_cache_open(path, note, NULL, &error);
    assert_non_null(cache);
    return cache;
}

static void append(struct kgen_cache *cache, uint64_t key, const char *machine, const char *problem,
                   const char *effort, bool chosen)
{
    struct kgen_error error = {0};
    struct kgen_record record = sample(key, machine, problem);
    record.effort = effort;
    record.chosen = chosen;
    assert_int_equal(kgen_cache_append(cache, &record, &error), 0);
}

/* A folder with one record of a key in a file of a name. */
static void make_layer(const char *path, const char *name, uint64_t key, const char *effort)
{
    struct kgen_cache *cache = open_cache("making");
    char to[256];
    append(cache, key, "aaaa", ADD, effort, true);
    kgen_cache_close(cache);
    mkdir(path, 0777);
    snprintf(to, sizeof to, "%s/%s", path, name);
    assert_int_equal(rename("making/records.jsonl", to), 0);
}

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void assert_effort(const struct kgen_cache *cache, uint64_t key, const char *effort)
{
    const struct kgen_record *record = kgen_cache_find(cache, key);
    if (effort == NULL) {
        assert_null(record);
        return;
    }
    assert_non_null(record);
    assert_string_equal(record->effort, effort);
}

static void test_order_of_layers(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    make_layer("system", "b.jsonl", 1, "measure");
    make_layer("system", "a.jsonl", 2, "patient");
    make_layer("system", "c.jsonl", 2, "exhaustive"); /* behind a.jsonl */
    make_layer("system", "d.txt", 3, "measure");      /* no records by its name */
    make_layer("shipped", "x.jsonl", 1, "exhaustive");
    make_layer("shipped", "y.jsonl", 4, "exhaustive");
    put_file("system/bad.jsonl", "no record\n\n");
    mkdir("system/folder.jsonl", 0777);
    struct kgen_cache *cache = open_cache("user");
    append(cache, 4, "aaaa", ADD, "estimate", false);
    assert_int_equal(kgen_cache_add_layer(cache, "system", &error), 0);
    assert_int_equal(warnings, 2); /* the bad line; what is no regular file */
    assert_int_equal(kgen_cache_add_layer(cache, "shipped", &error), 0);
    assert_int_equal(kgen_cache_add_layer(cache, "nowhere", &error), 0);
    assert_int_equal(warnings, 2);
    assert_effort(cache, 1, "measure");
    assert_effort(cache, 2, "patient");
    assert_effort(cache, 3, NULL);
    assert_effort(cache, 4, "estimate");
    assert_int_equal(kgen_cache_count(cache), 1);
    size_t layers = 0, records = 0;
    for (const struct kgen_cache *at = kgen_cache_beneath(cache); at != NULL; at = kgen_cache_beneath(at)) {
        layers++;
        records += kgen_cache_count(at);
    }
    assert_int_equal(layers, 6);
    assert_int_equal(records, 5);
    kgen_cache_close(cache);
}

/* Writing goes to the user's layer alone, and clearing too. */
static void test_layers_are_not_written(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    make_layer("system", "records.jsonl", 1, "measure");
    assert_int_equal(chmod("system/records.jsonl", 0444), 0);
    struct kgen_text before = {0}, after = {0};
    assert_int_equal(kgen_file_read("system/records.jsonl", 4096, &before, &error), 0);
    assert_int_equal(setenv("KGEN_SYSTEM_CACHE_DIR", "system", 1), 0);
    struct kgen_cache *cache = kgen_cache_open_layers("user", note, NULL, &error);
    assert_non_null(cache);
    append(cache, 1, "aaaa", ADD, "patient", true);
    assert_int_equal(kgen_cache_set_fact(cache, "aaaa", "speed", 3, &error), 0);
    assert_effort(cache, 1, "patient");
    assert_int_equal(kgen_cache_clear(cache, &error), 0);
    assert_effort(cache, 1, "measure");
    kgen_cache_close(cache);
    assert_int_equal(unsetenv("KGEN_SYSTEM_CACHE_DIR"), 0);
    assert_int_equal(kgen_file_read("system/records.jsonl", 4096, &after, &error), 0);
    assert_string_equal(before.data, after.data);
    assert_int_not_equal(access("system/claims", F_OK), 0);
    assert_int_equal(warnings, 0);
    kgen_text_free(&before);
    kgen_text_free(&after);
}

static struct kgen_machine sample_machine(const char *identity)
{
    struct kgen_machine machine = {.family = 26, .model = 2, .stepping = 1, .threads = 8};
    snprintf(machine.identity, sizeof machine.identity, "%s", identity);
    snprintf(machine.architecture, sizeof machine.architecture, "x86_64");
    snprintf(machine.vendor, sizeof machine.vendor, "AuthenticAMD");
    snprintf(machine.name, sizeof machine.name, "a \"processor\" \\ of \xc3\xa9lite");
    machine.l3_bytes = (size_t)1 << 25;
    machine.isas = 1u << KGEN_ISA_AVX2 | 1u << KGEN_ISA_GENERIC;
    return machine;
}

static void test_machines(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    const struct kgen_machine machine = sample_machine("aaaa");
    struct kgen_cache *cache = open_cache("user");
    struct kgen_machine found;
    assert_int_equal(kgen_cache_machine(cache, "aaaa", &found), -1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(kgen_cache_set_machine(cache, &machine, &error), 0);
    kgen_cache_close(cache);
    struct kgen_text text = {0};
    assert_int_equal(kgen_file_read("user/records.jsonl", 4096, &text, &error), 0);
    assert_ptr_equal(strchr(text.data, '\n'), text.data + text.length - 1); /* one line */
    kgen_text_free(&text);
    cache = open_cache("other");
    assert_int_equal(kgen_cache_add_layer(cache, "user/records.jsonl", &error), 0);
    assert_int_equal(kgen_cache_machine(cache, "aaaa", &found), 0);
    assert_string_equal(found.identity, machine.identity);
    assert_string_equal(found.architecture, machine.architecture);
    assert_string_equal(found.vendor, machine.vendor);
    assert_string_equal(found.name, machine.name);
    assert_int_equal(found.family, 26);
    assert_int_equal(found.model, 2);
    assert_int_equal(found.stepping, 1);
    assert_int_equal(found.threads, 8);
    assert_int_equal(found.l1d_bytes, 0);
    assert_int_equal(found.l3_bytes, machine.l3_bytes);
    assert_int_equal(found.isas, machine.isas);
    assert_int_equal(warnings, 0);
    kgen_cache_close(cache);
}

struct visits {
    size_t count, known, most;
    uint64_t keys[8];
};

static int visit(void *context, const struct kgen_record *record, const struct kgen_machine *machine)
{
    struct visits *visits = context;
    visits->known += machine != NULL;
    visits->keys[visits->count++] = record->key;
    return visits->count == visits->most ? 7 : 0;
}

static void test_related(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    const struct kgen_machine machine = sample_machine("bbbb");
    make_layer("system", "x.jsonl", 9, "measure"); /* chosen, of aaaa */
    struct kgen_cache *cache = open_cache("user");
    assert_int_equal(kgen_cache_add_layer(cache, "system", &error), 0);
    append(cache, 1, "here", ADD, "measure", true);
    append(cache, 2, "bbbb", ADD, "measure", false);
    append(cache, 3, "bbbb", SWIGLU, "measure", true);
    append(cache, 4, "bbbb", ADD, "measure", true);
    assert_int_equal(kgen_cache_set_machine(cache, &machine, &error), 0);
    struct visits visits = {0};
    assert_int_equal(kgen_cache_find_related(cache, "here", ADD, "tcc 1", visit, &visits), 0);
    assert_int_equal(visits.count, 3);
    assert_int_equal(visits.keys[0], 4);
    assert_int_equal(visits.keys[1], 9);
    assert_int_equal(visits.keys[2], 2);
    assert_int_equal(visits.known, 2); /* nothing is known of aaaa */
    visits = (struct visits){.most = 1};
    assert_int_equal(kgen_cache_find_related(cache, "here", ADD, "tcc 1", visit, &visits), 7);
    assert_int_equal(visits.count, 1);
    visits = (struct visits){0};
    assert_int_equal(kgen_cache_find_related(cache, "here", ADD, "tcc 2", visit, &visits), 0);
    assert_int_equal(visits.count, 0);
    kgen_cache_close(cache);
}

/* Two openings of one folder: each sees what the other appends, and keeps what it was given. */
static void test_refresh(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_cache *a = open_cache("user"), *b = open_cache("user");
    append(a, 1, "aaaa", ADD, "measure", false);
    assert_null(kgen_cache_find(b, 1));
    assert_int_equal(kgen_cache_refresh(b, &error), 0);
    const struct kgen_record *held = kgen_cache_find(b, 1);
    assert_non_null(held);
    append(a, 1, "aaaa", ADD, "patient", true);
    append(b, 2, "aaaa", ADD, "measure", false);
    assert_int_equal(kgen_cache_refresh(b, &error), 0);
    assert_effort(b, 1, "patient");
    assert_effort(b, 2, "measure");
    assert_string_equal(held->effort, "measure"); /* still readable */
    /* A file that takes the place of the other, without record 1. */
    const uint64_t keys[] = {1};
    assert_int_equal(kgen_cache_remove(a, keys, 1, &error), 0);
    assert_null(kgen_cache_find(a, 1));
    assert_effort(a, 2, "measure");
    append(a, 3, "aaaa", ADD, "measure", false);
    assert_int_equal(kgen_cache_refresh(b, &error), 0);
    assert_effort(b, 3, "measure");
    kgen_cache_close(a);
    kgen_cache_close(b);
    a = open_cache("user");
    assert_int_equal(kgen_cache_count(a), 2);
    kgen_cache_close(a);
    assert_int_equal(warnings, 0);
}

static void test_claims(void **state)
{
    (void)state;
    struct kgen_cache *a = open_cache("user"), *b = open_cache("user");
    assert_true(kgen_cache_claim(a, UINT64_MAX));
    assert_true(kgen_cache_claim(a, UINT64_MAX)); /* it has it */
    assert_false(kgen_cache_claim(b, UINT64_MAX));
    assert_true(kgen_cache_claim(b, 0));
    assert_false(kgen_cache_claim(a, 0));
    kgen_cache_release(a, UINT64_MAX);
    assert_true(kgen_cache_claim(b, UINT64_MAX));
    kgen_cache_close(b); /* gives up what it had */
    assert_true(kgen_cache_claim(a, UINT64_MAX));
    assert_true(kgen_cache_claim(a, 0));
    kgen_cache_close(a);
    a = open_cache("user");
    b = open_cache(NULL);
    const pid_t child = fork();
    if (child == 0) {
        struct kgen_cache *own = open_cache("user");
        _exit(kgen_cache_claim(own, 5) ? 0 : 1); /* dies with its claim */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(kgen_cache_claim(a, 5));
    assert_true(kgen_cache_claim(b, 5)); /* a cache of no file shares nothing */
    kgen_cache_close(a);
    kgen_cache_close(b);
}

/* Claims that are files count while their makers live, or for a while where that cannot be known. */
static void test_claim_files(void **state)
{
    (void)state;
    char mine[512] = "", text[600], host[128] = "";
    assert_int_equal(kgen_claim_file_take("claim"), 1);
    assert_int_equal(kgen_claim_file_take("claim"), 0);
    FILE *file = fopen("claim", "r");
    assert_non_null(file);
    assert_non_null(fgets(mine, sizeof mine, file));
    fclose(file);
    kgen_claim_file_drop("claim");
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    const char *boot = mine + strlen(host) + 1;
    const int place = (int)(strstr(mine, "] ") - mine) + 2;
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    assert_int_equal(waitpid(dead, NULL, 0), dead);
    enum form { MINE, DEAD, OTHER_START, REBOOTED, OTHER_NAMESPACE, OTHER_HOST, EMPTY, CUT };
    static const struct {
        enum form form;
        long age; /* in the future where a stall of this process must not change the verdict */
        int taken;
    } cases[] = {
        {MINE, 0, 0},        {MINE, KGEN_CLAIM_SECONDS + 10, 1},
        {DEAD, 0, 1},        {OTHER_START, 0, 1},
        {REBOOTED, 0, 1},    {OTHER_NAMESPACE, 0, 0},
        {OTHER_HOST, 60, 0}, {OTHER_HOST, KGEN_CLAIM_SECONDS + 10, 1},
        {EMPTY, -600, 0},    {EMPTY, 40, 1},
        {CUT, -600, 0},      {CUT, 40, 1},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        snprintf(text, sizeof text, "%s", mine);
        if (cases[i].form == DEAD)
            snprintf(text + place, sizeof text - (size_t)place, "%ld 12345\n", (long)dead);
        else if (cases[i].form == OTHER_START)
            snprintf(text + place, sizeof text - (size_t)place, "%ld 1\n", (long)getpid());
        else if (cases[i].form == REBOOTED)
            text[boot - mine] = boot[0] == '0' ? '1' : '0';
        else if (cases[i].form == OTHER_NAMESPACE)
            text[place - 3] = text[place - 3] == '0' ? '1' : '0';
        else if (cases[i].form == OTHER_HOST)
            text[0] = text[0] == 'x' ? 'y' : 'x';
        else if (cases[i].form == EMPTY)
            text[0] = '\0';
        else if (cases[i].form == CUT)
            text[place / 2] = '\0';
        put_file("claim", text);
        const time_t then = time(NULL) - cases[i].age;
        assert_int_equal(utime("claim", &(struct utimbuf){then, then}), 0);
        const int taken = kgen_claim_file_take("claim");
        if (taken != cases[i].taken)
            fail_msg("case %zu: taken %d: %s", i, taken, text);
        unlink("claim");
    }
    assert_int_equal(kgen_claim_file_take("no/such/claim"), -1);
    assert_int_equal(system("test -z \"$(ls)\""), 0); /* nothing is left behind */
}

/* Wherever a process is killed, its claim is free at once. */
static void test_claim_files_of_the_killed(void **state)
{
    (void)state;
    for (long i = 0; i < 400; i++) {
        const pid_t child = fork();
        while (child == 0) {
            kgen_claim_file_take("claim");
            kgen_claim_file_drop("claim");
        }
        nanosleep(&(struct timespec){.tv_nsec = 200000 + i * 997}, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        if (kgen_claim_file_take("claim") != 1)
            fail_msg("the claim of killed process %ld still holds", i);
        kgen_claim_file_drop("claim");
    }
    assert_int_equal(system("rm -f claim.*"), 0);
}

struct rejections {
    size_t count;
    char text[1024];
};

static void reject(void *context, size_t line, const char *reason)
{
    struct rejections *rejections = context;
    const size_t length = strlen(rejections->text);
    rejections->count++;
    snprintf(rejections->text + length, sizeof rejections->text - length, "%zu: %s\n", line, reason);
}

static void test_export_and_import(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    const struct kgen_machine machine = sample_machine("aaaa");
    struct kgen_cache *from = open_cache("from"), *to = open_cache("to");
    append(from, 1, "aaaa", ADD, "measure", true);
    append(from, 2, "bbbb", SWIGLU, "measure", false);
    append(from, 3, "aaaa", ADD, "patient", false);
    append(from, 4, "aaaa", ADD, "measure", false);
    assert_int_equal(kgen_cache_set_machine(from, &machine, &error), 0);
    append(to, 1, "aaaa", ADD, "measure", false); /* theirs is the winner */
    append(to, 3, "aaaa", ADD, "measure", true);  /* theirs is of a greater effort */
    append(to, 4, "aaaa", ADD, "patient", false); /* ours is */
    struct kgen_text lines = {0};
    assert_int_equal(kgen_cache_export(from, NULL, NULL, &lines, &error), 4);
    kgen_text_puts(&lines, "\nnonsense\n"
                           "{\"key\":\"00000000000000\n"
                           "{\"key\":\"0000000000000001\",\"schema\":99}\n"
                           "{\"some\":\"thing\"}\n"
                           "{\"key\":\"0000000000000009\",\"schema\":1,\"problem\":{\"op\":\"add\"}}\n"
                           "{\"key\":\"9\",\"schema\":1}\n"
                           "{\"fact\":\"speed\",\"schema\":1,\"machine\":\"aaaa\",\"value\":\"fast\"}\n");
    struct kgen_import counts = {0};
    struct rejections rejections = {0};
    assert_int_equal(kgen_cache_import(to, lines.data, lines.length, reject, &rejections, &counts, &error),
                     0);
    assert_int_equal(counts.taken, 3);
    assert_int_equal(counts.known, 1);
    assert_int_equal(counts.facts, 1);
    assert_int_equal(counts.rejected, 7);
    assert_int_equal(rejections.count, 7);
    static const char *const reasons[] = {
        "7: not JSON",      "8: a record cut short",          "9: of cache schema 99; this kgen reads 1",
        "10: neither",      "11: a record whose \"machine\"", "12: a record whose key",
        "13: a fact whose",
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(reasons); i++) {
        if (strstr(rejections.text, reasons[i]) == NULL)
            fail_msg("'%s' is missing in:\n%s", reasons[i], rejections.text);
    }
    kgen_cache_close(from);
    kgen_cache_close(to);
    to = open_cache("to");
    assert_effort(to, 3, "patient");
    assert_effort(to, 4, "patient");
    assert_true(kgen_cache_find(to, 1)->chosen);
    assert_string_equal(kgen_cache_find(to, 2)->machine, "bbbb");
    struct kgen_machine found;
    assert_int_equal(kgen_cache_machine(to, "aaaa", &found), 0);
    kgen_cache_close(to);
    kgen_text_free(&lines);
}

/* 100,000 records are found again; the time is printed, make bench and a person judge it. */
static void test_many_records(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_cache *cache = open_cache("user");
    append(cache, 1, "aaaa", ADD, "measure", true);
    kgen_cache_close(cache);
    struct kgen_text line = {0};
    assert_int_equal(kgen_file_read("user/records.jsonl", 4096, &line, &error), 0);
    FILE *file = fopen("user/records.jsonl", "w");
    assert_non_null(file);
    for (uint64_t i = 0; i < MANY; i++)
        fprintf(file, "{\"key\":\"%016" PRIx64 "%s", i * UINT64_C(0x9e3779b97f4a7c15),
                line.data + strlen("{\"key\":\"") + 16);
    assert_int_equal(fclose(file), 0);
    kgen_text_free(&line);
    double least = 1e9;
    for (int i = 0; i < 3; i++) {
        const double start = kgen_clock();
        cache = open_cache("user");
        const double seconds = kgen_clock() - start;
        least = seconds < least ? seconds : least;
        assert_int_equal(kgen_cache_count(cache), MANY);
        assert_effort(cache, UINT64_C(77777) * UINT64_C(0x9e3779b97f4a7c15), "measure");
        kgen_cache_close(cache);
    }
    printf("%d records are opened in %.1f ms\n", MANY, least * 1e3);
    assert_int_equal(warnings, 0);
}

/* Records of another version only: said once, kept in place. */
static void test_other_version(void **state)
{
    (void)state;
    static const char line[] = "{\"key\":\"0000000000000001\",\"schema\":99,\"what\":1,\"chosen\":true}\n";
    assert_int_equal(mkdir("user", 0777), 0);
    put_file("user/records.jsonl", line);
    struct kgen_cache *cache = open_cache("user");
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(last, "1 records of another version"));
    append(cache, 2, "aaaa", ADD, "measure", true);
    kgen_cache_close(cache);
    cache = open_cache("user");
    assert_int_equal(warnings, 1); /* with records of ours, it is no more than information */
    assert_int_equal(kgen_cache_count(cache), 1);
    kgen_cache_close(cache);
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_file_read("user/records.jsonl", 4096, &text, &error), 0);
    assert_memory_equal(text.data, line, strlen(line));
    kgen_text_free(&text);
}

/* What a record says of its problem is that problem, with the fields that are left out at their defaults. */
static void test_problems_come_back(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t op = 0; op < kgen_op_count(); op++) {
        for (int tiles = 0; tiles < (kgen_op_field(kgen_op_at(op), "layout") != NULL ? 2 : 1);
             tiles++, executed++) {
            struct kgen_problem problem, back;
            struct kgen_text text = {0}, again = {0};
            kgen_problem_init(&problem, kgen_op_at(op));
            for (size_t i = 0; i < problem.op->field_count; i++) {
                const struct kgen_field *field = &problem.op->fields[i];
                if (field->required)
                    problem.values[i].integer = field->allowed != NULL ? field->allowed[1] : 128;
            }
            kgen_problem_set(&problem, "rotary_dim", 64);
            if (tiles)
                kgen_problem_set(&problem, "layout", KGEN_TILES16);
            problem.threads = 3;
            assert_int_equal(kgen_problem_check(&problem, "test", 0, 0, NULL), 0);
            kgen_problem_write(&problem, &text);
            const struct kgen_record record = sample(1, "m", text.data);
            assert_int_equal(kgen_record_problem(&record, &back, NULL), 0);
            assert_int_equal(kgen_problem_check(&back, "test", 0, 0, NULL), 0);
            kgen_problem_write(&back, &again);
            assert_string_equal(again.data, text.data);
            assert_int_equal(kgen_problem_get(&back, "layout"), kgen_problem_get(&problem, "layout"));
            kgen_text_free(&text);
            kgen_text_free(&again);
        }
    }
    assert_int_equal(executed, kgen_op_count() + 4); /* products have layouts */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_problems_come_back),
        TEST(test_order_of_layers),
        TEST(test_layers_are_not_written),
        TEST(test_machines),
        TEST(test_related),
        TEST(test_refresh),
        TEST(test_claims),
        TEST(test_claim_files),
        TEST(test_claim_files_of_the_killed),
        TEST(test_export_and_import),
        TEST(test_many_records),
        TEST(test_other_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
