/* SPDX-License-Identifier: MIT */
/* Many processes at one cache, killed processes, shares of the work: no record is lost or torn, no candidate
 * is tried twice, no lock is left behind. On file systems with locks, and on one where locking fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "runtime/cache/record.h"
#include "without_locks.h"

#define PROCESSES 8
#define SHARES 3
#define KILLS 50
#define KILLS_WITHOUT_LOCKS 15
#define SEED UINT64_C(20240817)
#define LEAST_TRIED 6 /* a search that has only begun has fewer */

/* Small, so that a candidate takes a millisecond. */
static const char spec[] = "{\"name\": \"small\", \"problems\": [{\"op\": \"qmv\", \"N\": 16, \"K\": 64, "
                           "\"bits\": 4, \"group_size\": 64},"
                           "{\"op\": \"rms_norm\", \"size\": 256}, {\"op\": \"add\", \"size\": 100}]}\n";

/* What the lines of a cache say. */
struct census {
    size_t lines, torn;
    size_t tried;    /* records written when a candidate had been tried */
    size_t repeated; /* of them, those of a key that had one before */
    size_t keys, chosen;
};

static int compare_keys(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct census take_census(const char *path)
{
    struct census census = {0};
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_file_read(path, 1 << 26, &text, &error), 0);
    uint64_t *keys = calloc(text.length / 64 + 1, sizeof *keys);
    assert_non_null(keys);
    for (char *line = text.data, *end; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        uint64_t key;
        const size_t length = (size_t)(end - line);
        const enum kgen_line_kind kind = kgen_line_classify(line, length, &key);
        census.lines++;
        census.torn += kind != KGEN_LINE_RECORD && kind != KGEN_LINE_FACT && kind != KGEN_LINE_BLANK;
        struct kgen_parsed_record *parsed =
            kind == KGEN_LINE_RECORD ? kgen_line_parse_record(line, length, key) : NULL;
        census.torn += kind == KGEN_LINE_RECORD && parsed == NULL;
        if (parsed != NULL && parsed->record.final_seconds <= 0 && !parsed->record.chosen)
            keys[census.tried++] = key;
        census.chosen += parsed != NULL && parsed->record.chosen;
        kgen_parsed_record_free(parsed);
    }
    qsort(keys, census.tried, sizeof *keys, compare_keys);
    for (size_t i = 1; i < census.tried; i++)
        census.repeated += keys[i] == keys[i - 1];
    census.keys = census.tried - census.repeated;
    free(keys);
    kgen_text_free(&text);
    return census;
}

static void remove_folder(const char *path)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

/* The candidates of the spec. A search need not try them all, but none twice. */
static size_t candidates(void)
{
    static size_t count;
    if (count == 0) {
        struct kgen_test_outcome outcome = kgen_test_run("small.json --dry-run --json -q");
        json_t *root = json_loads(outcome.out.data, 0, NULL);
        const json_t *problems = json_object_get(root, "problems");
        for (size_t i = 0; i < json_array_size(problems); i++)
            count += (size_t)json_integer_value(json_object_get(json_array_get(problems, i), "candidates"));
        json_decref(root);
        kgen_test_outcome_free(&outcome);
        assert_true(count > 20);
    }
    return count;
}

/* The number that a run says it compiled: those it tried, and its finalists. */
static size_t compiled_by(const struct kgen_test_outcome *outcome)
{
    json_t *root = json_loads(outcome->out.data, 0, NULL);
    assert_non_null(root);
    const json_int_t compiled =
        json_integer_value(json_object_get(json_object_get(root, "candidates"), "compiled"));
    json_decref(root);
    return (size_t)compiled;
}

/* The winners that a run reports, as text. */
static char *winners_of(const struct kgen_test_outcome *outcome)
{
    json_t *root = json_loads(outcome->out.data, 0, NULL), *names = json_array();
    const json_t *problems = json_object_get(root, "problems");
    for (size_t i = 0; i < json_array_size(problems); i++)
        json_array_append(names,
                          json_object_get(json_object_get(json_array_get(problems, i), "variant"), "name"));
    char *text = json_dumps(names, 0);
    json_decref(names);
    json_decref(root);
    assert_non_null(text);
    return text;
}

static void run_together(void)
{
    pid_t children[PROCESSES];
    char line[128], name[16];
    remove_folder("together");
    for (int i = 0; i < PROCESSES; i++) {
        snprintf(name, sizeof name, "p%d", i);
        snprintf(line, sizeof line, "small.json --cache together -o out%d -q --json --no-retune", i);
        children[i] = kgen_test_start(line, name);
    }
    size_t compiled = 0;
    char *winners = NULL;
    for (int i = 0; i < PROCESSES; i++) {
        snprintf(name, sizeof name, "p%d", i);
        struct kgen_test_outcome outcome = kgen_test_finish(children[i], name);
        if (outcome.status != 0)
            fail_msg("process %d: exit status %d\n%s", i, outcome.status, outcome.err.data);
        assert_string_equal(outcome.err.data != NULL ? outcome.err.data : "", "");
        compiled += compiled_by(&outcome);
        char *own = winners_of(&outcome);
        if (winners != NULL)
            assert_string_equal(own, winners);
        free(winners);
        winners = own;
        kgen_test_outcome_free(&outcome);
    }
    free(winners);
    const struct census census = take_census("together/records.jsonl");
    assert_int_equal(census.torn, 0);
    assert_int_equal(census.repeated, 0);
    assert_in_range(census.keys, LEAST_TRIED, candidates());
    assert_int_equal(census.chosen, 3);
    /* Besides, at most 4 finalists of each problem were compiled, once. */
    assert_in_range(compiled, census.keys, census.keys + 3 * 4);
}

static void test_processes_at_once(void **state)
{
    (void)state;
    run_together();
}

/* prepare is what each process does to its file system's locks. */
static void run_together_without_locks(void prepare(void))
{
    if (kgen_test_can_refuse_locks() != 0) {
        printf("skipped: this kernel lets no process refuse itself locks (seccomp)\n");
        skip();
    }
    kgen_test_before_exec = prepare;
    run_together();
    kgen_test_before_exec = NULL;
    assert_true(kgen_test_exists("together/claims.d")); /* the claims were files indeed */
}

static void test_processes_at_once_without_locks(void **state)
{
    (void)state;
    run_together_without_locks(kgen_test_refuse_locks);
}

static void test_processes_at_once_with_locks_for_all(void **state)
{
    (void)state;
    run_together_without_locks(kgen_test_grant_locks);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Runs kgen, and kills it after some milliseconds. True where it was still running. */
static bool run_and_kill(unsigned milliseconds)
{
    const pid_t child = kgen_test_start("tune small.json --cache killed -q --no-retune", "killed");
    nanosleep(&(struct timespec){.tv_nsec = (long)milliseconds * 1000000}, NULL);
    struct kgen_text before = {0}, after = {0};
    const bool any = kgen_file_read("killed/records.jsonl", 1 << 26, &before, NULL) == 0;
    kill(child, SIGKILL); /* that process alone, as the kernel does for want of memory */
    struct kgen_test_outcome outcome = kgen_test_finish(child, "killed");
    const bool killed = outcome.status == -1;
    if (!killed && outcome.status != 0)
        fail_msg("exit status %d\n%s", outcome.status, outcome.err.data);
    assert_string_equal(outcome.err.data != NULL ? outcome.err.data : "", "");
    kgen_test_outcome_free(&outcome);
    if (any) { /* every byte of before is there */
        assert_int_equal(kgen_file_read("killed/records.jsonl", 1 << 26, &after, NULL), 0);
        assert_true(after.length >= before.length);
        assert_memory_equal(after.data, before.data, before.length);
    }
    kgen_text_free(&before);
    kgen_text_free(&after);
    return killed;
}

/* Kills runs of one search until it is complete, then begins the next, and so on. */
static void kill_runs(size_t kills, size_t *completed)
{
    uint64_t random = SEED;
    for (size_t done = 0; done < kills;) {
        remove_folder("killed");
        assert_int_equal(mkdir("killed", 0777), 0);
        assert_int_equal(system("cp seed/records.jsonl killed/"), 0); /* the bandwidth is known */
        while (run_and_kill(5 + (unsigned)(next_random(&random) % 250)) && ++done < kills)
            continue;
        /* What is left is done at once: no lock of the dead is in the way. */
        kgen_test_expect("tune small.json --cache killed -q --no-retune", 0, NULL, NULL);
        const struct census census = take_census("killed/records.jsonl");
        assert_int_equal(census.torn, 0);
        assert_int_equal(census.repeated, 0);
        assert_in_range(census.keys, LEAST_TRIED, candidates());
        assert_int_equal(census.chosen, 3);
        (*completed)++;
    }
}

static void test_killed_at_random(void **state)
{
    (void)state;
    size_t completed = 0;
    kill_runs(KILLS, &completed);
    assert_true(completed > 0);
    printf("%d runs killed; %zu searches completed\n", KILLS, completed);
}

static void test_killed_at_random_without_locks(void **state)
{
    (void)state;
    if (kgen_test_can_refuse_locks() != 0) {
        printf("skipped: this kernel lets no process refuse itself locks (seccomp)\n");
        skip();
    }
    size_t completed = 0;
    kgen_test_before_exec = kgen_test_refuse_locks;
    kill_runs(KILLS_WITHOUT_LOCKS, &completed);
    kgen_test_before_exec = NULL;
    assert_true(completed > 0);
}

/* The caches of the shares, merged, hold every candidate once; a run chooses from them. */
static void check_shares(void)
{
    char line[128];
    size_t length = (size_t)snprintf(line, sizeof line, "cache merge --cache merged");
    for (int i = 1; i <= SHARES; i++)
        length += (size_t)snprintf(line + length, sizeof line - length, " share%d", i);
    remove_folder("merged");
    kgen_test_expect(line, 0, " 0 known already, 0 lines rejected", NULL);
    const struct census census = take_census("merged/records.jsonl");
    assert_int_equal(census.keys, candidates());
    assert_int_equal(census.chosen, 0);
    struct kgen_test_outcome outcome = kgen_test_run("small.json --cache merged -o merged-out -q --json");
    assert_int_equal(outcome.status, 0);
    assert_in_range(compiled_by(&outcome), 3, 3 * 4); /* the finalists alone */
    kgen_test_outcome_free(&outcome);
    kgen_test_expect("small.json --cache merged -o merged-out -q --no-retune", 0, "all from the cache", NULL);
}

static void test_shares(void **state)
{
    (void)state;
    char line[128], path[64];
    size_t sum = 0;
    for (int i = 1; i <= SHARES; i++) {
        snprintf(path, sizeof path, "share%d", i);
        remove_folder(path);
        snprintf(line, sizeof line, "tune small.json --shard %d/%d --cache share%d -q", i, SHARES, i);
        kgen_test_expect(line, 0, "no winner is chosen", NULL);
        snprintf(path, sizeof path, "share%d/records.jsonl", i);
        const struct census census = take_census(path);
        assert_int_equal(census.repeated, 0);
        assert_true(census.keys > 0);
        sum += census.keys;
    }
    assert_int_equal(sum, candidates());
    check_shares();
    assert_false(kgen_test_exists("out"));
}

static bool has_program(const char *name)
{
    char command[128];
    snprintf(command, sizeof command, "command -v %s > launcher.log 2>&1", name);
    return system(command) == 0;
}

static void run_launcher(const char *command)
{
    char path[64];
    for (int i = 1; i <= SHARES; i++) {
        snprintf(path, sizeof path, "share%d", i);
        remove_folder(path);
    }
    const int status = system(command);
    if (status != 0)
        fail_msg("exit status %d of: %s", status, command);
    check_shares();
}

static void test_gnu_parallel(void **state)
{
    (void)state;
    if (!has_program("parallel")) {
        printf("skipped: GNU parallel is not installed (package parallel)\n");
        skip();
    }
    char command[2 * PATH_MAX];
    snprintf(command, sizeof command,
             "parallel --will-cite '%s tune small.json -q --shard {}/%d --cache share{}' ::: 1 2 3 "
             "> launcher.log 2>&1 < /dev/null",
             kgen_test_binary, SHARES);
    run_launcher(command);
}

static void test_mpirun(void **state)
{
    (void)state;
    if (!has_program("mpirun")) {
        printf("skipped: OpenMPI's mpirun is not installed (package openmpi-bin)\n");
        skip();
    }
    char command[2 * PATH_MAX];
    snprintf(command, sizeof command,
             "mpirun --allow-run-as-root --oversubscribe --bind-to none -n %d sh -c "
             "'i=$((OMPI_COMM_WORLD_RANK + 1)); "
             "exec %s tune small.json -q --shard $i/$OMPI_COMM_WORLD_SIZE --cache share$i' "
             "> launcher.log 2>&1 < /dev/null",
             SHARES, kgen_test_binary);
    run_launcher(command);
}

static int group_setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_put_file("small.json", spec);
    kgen_test_expect("machine --cache seed -q", 0, NULL, NULL);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processes_at_once),
        cmocka_unit_test(test_processes_at_once_without_locks),
        cmocka_unit_test(test_processes_at_once_with_locks_for_all),
        cmocka_unit_test(test_killed_at_random),
        cmocka_unit_test(test_killed_at_random_without_locks),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_gnu_parallel),
        cmocka_unit_test(test_mpirun),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
