/* SPDX-License-Identifier: MIT */
/* kgen cache and kgen explain --machine as their users call them. */
#define _DEFAULT_SOURCE /* MNT_DETACH */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command_fixture.h"
#include "runtime/cache/cache.h"
#include "runtime/tune/tune.h"

#define OTHER "00000000000000aa"

static const char spec[] = "{\"name\": \"two\", \"problems\": [{\"op\": \"add\", \"size\": 100}, "
                           "{\"op\": \"rms_norm\", \"size\": 33}]}\n";

/* A template whose kernels are wrong. */
static const char wrong[] =
    "$template add_wrong \"y = a\"\n$op add\n$isa generic\n"
    "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n"
    "{\n    (void)b;\n    for (size_t i = begin; i < end; i++)\n        y[i] = a[i];\n}\n";

static struct kgen_cache *open_cache(const char *folder)
{
    struct kgen_error error = {0};
    struct kgen_cache *cache = kgen_cache_open(folder, NULL, NULL, &error);
    assert_non_null(cache);
    return cache;
}

/* The key of the first record that is chosen. */
static uint64_t winner_of(const char *folder)
{
    struct kgen_cache *cache = open_cache(folder);
    uint64_t key = 0;
    for (size_t i = 0; i < kgen_cache_count(cache) && key == 0; i++)
        key = kgen_cache_at(cache, i)->chosen ? kgen_cache_at(cache, i)->key : 0;
    kgen_cache_close(cache);
    assert_true(key != 0);
    return key;
}

/* A command line, its exit status, and a part of what it prints. In order: later ones rest on earlier. */
static const struct {
    const char *line;
    int status;
    const char *out, *err;
} cases[] = {
    {"cache show", 2, NULL, "an argument is missing: kgen cache show KEY"},
    {"cache path more", 2, NULL, "one argument too many: 'more'"},
    {"cache list --other-machines", 2, NULL, "takes no option --other-machines"},
    {"cache verify --machine x", 2, NULL, "takes no option --machine"},
    {"cache burn", 2, NULL, "kgen cache --help"},
    {"cache show zz", 2, NULL, "no record's key begins with 'zz'"},
    {"cache list", 0, "2 winners among", ""},
    {"cache list --problem rms_norm", 0, "1 winner among", ""},
    {"cache list --problem size=100", 0, "1 winner among", ""},
    {"cache list --machine nowhere", 0, "0 winners among 0", ""},
    {"cache list --json", 0, "\"layers\"", ""},
    {"cache export --problem rms_norm", 0, "\"op\":\"rms_norm\"", ""},
    {"cache export all.jsonl", 0, " records written to all.jsonl", ""},
    {"cache export no/such/folder.jsonl", 2, NULL, "no/such/folder.jsonl"},
    {"cache import nowhere.jsonl", 2, NULL, "nowhere.jsonl"},
    {"cache import all.jsonl", 0, "0 records taken", ""},
    {"cache import all.jsonl --cache new", 0, ", 0 known already, 0 lines rejected", ""},
    {"cache import bad.jsonl", 1, "2 lines rejected", "bad.jsonl:1: not JSON"},
    {"cache import bad.jsonl all.jsonl --cache newer", 0, "2 lines rejected", "bad.jsonl:2: neither"},
    {"cache merge new newer --cache merged", 0, " 0 lines rejected", ""},
    {"cache merge nowhere --cache merged", 2, NULL, "nowhere"},
    {"cache merge new --json --cache merged", 0, "\"rejected\": 0", ""},
    {"cache list --cache merged", 0, "2 winners among", ""},
    {"spec.json --cache merged -q -o out --no-retune", 0, "all from the cache", ""},
    {"cache verify --cache merged", 0, "2 winners proven again, 0 failed, 0 stale", ""},
    {"cache verify --cache merged --problem add --json", 0, "\"passed\": 1", ""},
    {"cache prune --cache merged", 0, "0 records of earlier versions and 0 of other machines", ""},
    {"cache clear --cache merged --dry-run", 0, "would be removed", ""},
    {"cache clear --cache merged", 0, "removed", ""},
    {"cache list --cache merged", 0, "0 winners among 0", ""},
};

static void test_command_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        kgen_test_expect(cases[i].line, cases[i].status, cases[i].out, cases[i].err);
}

static void test_show(void **state)
{
    (void)state;
    char line[64], key[32];
    snprintf(key, sizeof key, "%016" PRIx64, winner_of("cache-here"));
    snprintf(line, sizeof line, "cache show %.8s", key);
    kgen_test_expect(line, 0, key, "");
    kgen_test_expect(line, 0, "machine", "");
    snprintf(line, sizeof line, "cache show %s --json", key);
    kgen_test_expect(line, 0, "\"chosen\": true", "");
}

/* Gives another machine the records that this one has, keys and all. */
static void give_to_other_machine(const char *from, const char *to)
{
    struct kgen_error error = {0};
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    struct kgen_cache *mine = open_cache(from), *theirs = open_cache(to);
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", 100);
    struct kgen_text text = {0};
    kgen_problem_write(&problem, &text);
    struct kgen_variants variants;
    assert_int_equal(kgen_variants_list(templates, &problem, machine.isas, &variants, &error), 0);
    size_t given = 0;
    for (size_t i = 0; i < kgen_cache_count(mine); i++) {
        struct kgen_record record = *kgen_cache_at(mine, i);
        for (size_t j = 0; j < variants.count; j++) {
            const uint64_t hash = kgen_variant_hash(&variants.items[j]);
            if (kgen_record_key(record.machine, text.data, hash, record.engine) != record.key)
                continue;
            record.machine = OTHER;
            record.key = kgen_record_key(OTHER, text.data, hash, record.engine);
            assert_int_equal(kgen_cache_append(theirs, &record, &error), 0);
            given++;
            break;
        }
    }
    assert_true(given > 0);
    snprintf(machine.identity, sizeof machine.identity, OTHER);
    snprintf(machine.name, sizeof machine.name, "Another Processor");
    assert_int_equal(kgen_cache_set_machine(theirs, &machine, &error), 0);
    kgen_variants_free(&variants);
    kgen_text_free(&text);
    kgen_cache_close(mine);
    kgen_cache_close(theirs);
    kgen_templates_free(templates);
}

static void test_other_machine(void **state)
{
    (void)state;
    give_to_other_machine("cache-here", "foreign");
    kgen_test_expect("explain spec.json add --cache foreign", 2, NULL,
                     "knows nothing of this on this machine");
    kgen_test_expect("explain spec.json add --cache foreign --machine 000000", 0, "chosen: add", "");
    kgen_test_expect("explain spec.json add --cache foreign --machine 00 --json", 0, "Another Processor", "");
    kgen_test_expect("explain spec.json add --cache foreign --machine ff", 2, NULL, "it knows: " OTHER);
    kgen_test_expect("cache list --cache foreign", 0, OTHER, "");
    /* Nothing of it is used here, or thrown away unasked. */
    kgen_test_expect("spec.json --cache foreign -q -o out", 0, " compiled in this run", "");
    kgen_test_expect("cache verify --cache foreign", 0, "2 winners proven again", "");
    kgen_test_expect("cache prune --cache foreign", 0, "0 records of earlier versions and 0 of other", "");
    kgen_test_expect("cache prune --cache foreign --other-machines -n", 0, "of other machines would go", "");
    kgen_test_expect("cache list --cache foreign --machine " OTHER, 0, "1 winner among", "");
    kgen_test_expect("cache prune --cache foreign --other-machines", 0, "of other machines removed", "");
    kgen_test_expect("cache list --cache foreign --machine " OTHER, 0, "0 winners among 0", "");
    kgen_test_expect("cache list --cache foreign", 0, "2 winners", "");
}

/* Records of a template that is no more. */
static void test_prune(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    kgen_test_expect("cache import all.jsonl --cache old", 0, NULL, NULL);
    struct kgen_cache *cache = open_cache("old");
    const size_t count = kgen_cache_count(cache);
    struct kgen_record record = *kgen_cache_at(cache, 0);
    record.key ^= 1;
    assert_int_equal(kgen_cache_append(cache, &record, &error), 0);
    kgen_cache_close(cache);
    kgen_test_expect("cache prune --cache old --dry-run", 0, "1 record of earlier versions", "");
    kgen_test_expect("cache prune --cache old --json", 0, "\"stale\": 1", "");
    kgen_test_expect("cache prune --cache old", 0, "0 records of earlier versions", "");
    cache = open_cache("old");
    assert_int_equal(kgen_cache_count(cache), count);
    kgen_cache_close(cache);
}

/* Records of templates of one's own stay, unless the folder that they come from is given and says otherwise;
 * and then those of kgen's templates stay. */
static void test_prune_keeps_own_templates(void **state)
{
    (void)state;
    static const char right[] =
        "$template add_own \"y = a + b\"\n$op add\n$isa generic\n"
        "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n"
        "{\n    for (size_t i = begin; i < end; i++)\n        y[i] = a[i] + b[i];\n}\n";
    char command[PATH_MAX + 128];
    assert_int_equal(mkdir("own", 0777), 0);
    assert_int_equal(mkdir("own/c", 0777), 0);
    snprintf(command, sizeof command,
             "cd %s/templates/c && cp *.h.in *.inc read_bandwidth.c.in rms_norm*.in \"$OLDPWD/own/c\"",
             kgen_test_source);
    assert_int_equal(system(command), 0);
    kgen_test_put_file("own/c/add_own.c.in", right);
    kgen_test_expect("cache import all.jsonl --cache mixed", 0, NULL, NULL);
    struct kgen_cache *cache = open_cache("mixed");
    const size_t count = kgen_cache_count(cache);
    kgen_cache_close(cache);
    kgen_test_expect("tune spec.json --effort estimate --templates own --cache mixed -q", 0, NULL, NULL);
    kgen_test_expect("cache prune --cache mixed", 0, "0 records of earlier versions",
                     "templates of one's own");
    kgen_test_expect("cache prune --cache mixed --templates own", 0, "0 records of earlier versions",
                     "templates of kgen");
    cache = open_cache("mixed");
    assert_int_equal(kgen_cache_count(cache), count + 1); /* rms_norm is that of kgen */
    kgen_cache_close(cache);
    kgen_test_put_file("own/c/add_own.c.in", wrong);
    assert_int_equal(rename("own/c/add_own.c.in", "own/c/add_wrong.c.in"), 0);
    kgen_test_expect("cache prune --cache mixed --json", 0, "\"stale\": 0", "");
    kgen_test_expect("cache prune --cache mixed --templates own", 0, "1 record of earlier versions", NULL);
}

/* An instruction set that there is not is refused on import, and found by verify. */
static void test_unknown_isa(void **state)
{
    (void)state;
    kgen_test_expect("cache import all.jsonl --cache isa", 0, NULL, NULL);
    assert_int_equal(system("sed 's/\"variant\":\"\\([a-z_]*\\) [a-z0-9]*/\"variant\":\"\\1 avx999/' "
                            "all.jsonl >avx999.jsonl"),
                     0);
    kgen_test_expect("cache import avx999.jsonl --cache isa", 1, "0 records taken",
                     "a record of an unknown instruction set: ");
    assert_int_equal(
        system("cp -r isa isa999 && sed -i 's/\"variant\":\"\\([a-z_]*\\) [a-z0-9]*/\"variant\":\"\\1 "
               "avx999/' isa999/records.jsonl"),
        0);
    kgen_test_expect("cache verify --cache isa999", 1, "another name", NULL);
}

/* A winner that is wrong is found out, and wins no more. */
/* The records that ship: each is a winner of a template as it is now. */
static void test_shipped_records(void **state)
{
    (void)state;
    glob_t files;
    char pattern[PATH_MAX + 64], line[PATH_MAX + 64];
    snprintf(pattern, sizeof pattern, "%s/runtime/records/*.jsonl", kgen_test_source);
    if (glob(pattern, 0, NULL, &files) != 0) {
        printf("skipped: there are no records at %s\n", pattern);
        skip();
    }
    for (size_t i = 0; i < files.gl_pathc; i++) {
        snprintf(line, sizeof line, "cache import %s --cache shipped", files.gl_pathv[i]);
        kgen_test_expect(line, 0, ", 0 known already, 0 lines rejected", "");
    }
    globfree(&files);
    kgen_test_expect("cache prune --cache shipped --dry-run", 0, "0 records of earlier versions", "");
    struct kgen_cache *cache = open_cache("shipped");
    assert_true(kgen_cache_count(cache) > 0);
    for (size_t i = 0; i < kgen_cache_count(cache); i++) {
        const struct kgen_record *record = kgen_cache_at(cache, i);
        assert_true(record->chosen);
        assert_string_equal(record->effort, "patient");
    }
    kgen_cache_close(cache);
}

static void test_verify_finds_a_wrong_winner(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    assert_int_equal(mkdir("wrong", 0777), 0);
    assert_int_equal(mkdir("wrong/c", 0777), 0);
    kgen_test_put_file("wrong/c/add_wrong.c.in", wrong);
    struct kgen_templates *templates = kgen_templates_open("wrong", "c", &error);
    assert_non_null(templates);
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", 100);
    struct kgen_text text = {0}, engine = {0};
    kgen_problem_write(&problem, &text);
    assert_int_equal(kgen_engine_describe(KGEN_ENGINE_TCC, NULL, &engine, &error), 0);
    struct kgen_variants variants;
    assert_int_equal(kgen_variants_list(templates, &problem, machine.isas, &variants, &error), 0);
    assert_int_equal(variants.count, 1);
    const uint64_t hash = kgen_variant_hash(&variants.items[0]);
    const struct kgen_record record = {.key = kgen_record_key(machine.identity, text.data, hash, engine.data),
                                       .machine = machine.identity,
                                       .problem = text.data,
                                       .variant = "add_wrong generic",
                                       .engine = engine.data,
                                       .effort = "measure",
                                       .detail = "",
                                       .hot_seconds = 1e-9,
                                       .chosen = true};
    struct kgen_cache *cache = open_cache("lies");
    assert_int_equal(kgen_cache_append(cache, &record, &error), 0);
    kgen_cache_close(cache);
    kgen_variants_free(&variants);
    kgen_text_free(&text);
    kgen_text_free(&engine);
    kgen_templates_free(templates);
    kgen_test_expect("cache verify --cache lies", 0, "0 winners proven again, 0 failed, 1 stale", "");
    kgen_test_expect("cache verify --cache lies --templates wrong -n", 1, "wrong_element", "");
    kgen_test_expect("cache list --cache lies", 0, "1 winner among", "");
    kgen_test_expect("cache verify --cache lies --templates wrong", 1, "1 failed", "");
    kgen_test_expect("cache list --cache lies", 0, "0 winners among 1 record, 1 of which failed", "");
}

/* Records that no kgen wrote: of a problem that lacks a member, has one too many, or is far too large.
 * Verifying says so of each, and goes on with the others. */
static void test_verify_of_odd_records(void **state)
{
    (void)state;
    static const struct {
        const char *problem, *said;
    } odd[] = {
        {"{\"op\":\"qmv\",\"N\":64,\"K\":64,\"threads\":1}", "its problem cannot be"},
        {"{\"op\":\"dequantize\",\"N\":64,\"K\":64,\"bits\":4,\"group_size\":0,\"threads\":1}",
         "its problem cannot be"},
        {"{\"op\":\"add\",\"size\":100}", "\"threads\" is not from 1 to 1024"},
        {"{\"op\":\"add\",\"size\":100,\"threads\":1000000000}", "\"threads\" is not from 1 to 1024"},
        {"{\"op\":\"add\",\"size\":-1,\"threads\":1}", "its problem cannot be"},
        {"{\"op\":\"nothing\",\"size\":1,\"threads\":1}", "an op that this kgen does not know"},
        {"{\"op\":\"rms_norm\",\"rows\":1,\"size\":268435456,\"residual\":false,"
         "\"weight_plus_one\":false,\"eps\":1e-06,\"threads\":1}",
         "GiB of memory"},
    };
    struct kgen_machine machine;
    struct kgen_error error = {0};
    kgen_machine_detect(&machine);
    assert_int_equal(system("rm -rf odd && cp -r cache-here odd"), 0);
    struct kgen_cache *cache = open_cache("odd");
    for (size_t i = 0; i < KGEN_COUNT_OF(odd); i++) {
        const struct kgen_record record = {.key = i + 1,
                                           .machine = machine.identity,
                                           .problem = odd[i].problem,
                                           .variant = "odd generic",
                                           .engine = "tcc",
                                           .effort = "measure",
                                           .detail = "",
                                           .hot_seconds = 1e-9,
                                           .chosen = true};
        assert_int_equal(kgen_cache_append(cache, &record, &error), 0);
    }
    kgen_cache_close(cache);
    for (size_t i = 0; i < KGEN_COUNT_OF(odd); i++)
        kgen_test_expect("cache verify --cache odd", 0, odd[i].said, "");
    kgen_test_expect("cache verify --cache odd", 0, "2 winners proven again, 0 failed, 0 stale, 7 skipped",
                     "");
    kgen_test_expect("cache verify --cache odd --json", 0, "\"skipped\": 7", "");
    kgen_test_expect("cache list --cache odd", 0, "9 winners among", "");
    /* Nor are they taken into another cache. */
    kgen_test_expect("cache merge odd --cache tidy", 0, "6 lines rejected",
                     "a record whose problem cannot be");
}

/* A full disk, and a home that cannot be written: a warning, and the run does its work. */
static void test_full_disk_and_read_only_home(void **state)
{
    (void)state;
    if (mkdir("disk", 0777) != 0 || mount("tmpfs", "disk", "tmpfs", 0, "size=4k") != 0) {
        printf("skipped: a small file system cannot be mounted here (root only)\n");
        skip();
    }
    kgen_test_expect("spec.json --cache disk -q -o out", 0, "written to out/",
                     "nothing more will be remembered");
    kgen_test_expect("cache list --cache disk", 0, " records", NULL); /* whole lines alone */
    const int remounted = mount("tmpfs", "disk", "tmpfs", MS_REMOUNT | MS_RDONLY, NULL);
    char cache[PATH_MAX];
    snprintf(cache, sizeof cache, "%s/disk/home", kgen_test_folder);
    setenv("HOME", cache, 1);
    unsetenv("KGEN_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    if (remounted == 0)
        kgen_test_expect("spec.json -q -o out", 0, "written to out/", "nothing new will be remembered");
    setenv("KGEN_CACHE_DIR", "cache-here", 1);
    umount("disk");
    assert_int_equal(remounted, 0);
}

static int group_setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_put_file("spec.json", spec);
    kgen_test_put_file("bad.jsonl", "garbage\n{}\n");
    kgen_test_expect("tune spec.json -q", 0, "candidates proven", "");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    umount2("disk", MNT_DETACH); /* where a test failed */
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_lines),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_other_machine),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_prune_keeps_own_templates),
        cmocka_unit_test(test_unknown_isa),
        cmocka_unit_test(test_shipped_records),
        cmocka_unit_test(test_verify_finds_a_wrong_winner),
        cmocka_unit_test(test_verify_of_odd_records),
        cmocka_unit_test(test_full_disk_and_read_only_home),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
