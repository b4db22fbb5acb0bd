/* SPDX-License-Identifier: MIT */
/* Where functions come from, and what is said of it; searches, their limits and their
 * cancelling. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "runtime/api/plan.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const add = "{\"op\":\"add\",\"size\":1000}";
static const char *const norm = "{\"op\":\"rms_norm\",\"size\":512}";

/* Plans one problem and expects a function of that origin. */
static struct kgen_function_facts plan_one(const struct kgen_settings *settings, const char *problem,
                                           enum kgen_origin origin)
{
    struct kgen_context *context = api_open(settings);
    struct kgen_status status = {0};
    struct kgen_plan *plan = api_plan(context, &problem, 1, &status);
    assert_string_equal(status.message, "");
    struct kgen_function_facts facts;
    kgen_function_query(kgen_plan_at(plan, 0), &facts, sizeof facts);
    assert_string_equal(kgen_origin_name(facts.origin), kgen_origin_name(origin));
    api_compute(kgen_plan_at(plan, 0), NULL);
    kgen_plan_free(plan);
    kgen_close(context);
    facts.name = facts.problem = facts.op = facts.tensors = facts.variant = NULL; /* gone */
    return facts;
}

static void test_search_then_record(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_MEASURE);
    struct kgen_function_facts facts = plan_one(&settings, norm, KGEN_ORIGIN_TUNED);
    assert_true(facts.seconds > 0 && facts.checked);
    assert_non_null(strstr(fixture->messages, "(tuned)"));
    assert_int_equal(fixture->counts[KGEN_LOG_CHOICE], 1);
    facts = plan_one(&settings, norm, KGEN_ORIGIN_RECORD);
    assert_true(facts.seconds > 0 && facts.checked);
    settings.no_check = 1;
    assert_false(plan_one(&settings, norm, KGEN_ORIGIN_RECORD).checked);
    settings.effort = KGEN_ESTIMATE;
    settings.cache_only = 1;
    plan_one(&settings, norm, KGEN_ORIGIN_RECORD);
    /* A greater effort is not satisfied by it. */
    settings = api_settings(fixture, KGEN_PATIENT);
    plan_one(&settings, norm, KGEN_ORIGIN_TUNED);
    settings.no_cache = 1;
    settings.effort = KGEN_ESTIMATE;
    plan_one(&settings, norm, KGEN_ORIGIN_DEFAULT);
    /* cache_only searches nothing. */
    settings = api_settings(fixture, KGEN_MEASURE);
    settings.cache_only = 1;
    plan_one(&settings, add, KGEN_ORIGIN_DEFAULT);
}

/* ---- a template that computes something else ---- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Makes <folder>/t/c with the templates of this source tree, of which add subtracts. */
static void break_add(const char *folder)
{
    char command[512];
    snprintf(command, sizeof command,
             "mkdir -p %s/t && cp -r templates/c %s/t && sed -i 's/kv_add/kv_sub/' %s/t/c/add.c.in", folder,
             folder, folder);
    assert_int_equal(system(command), 0);
}

static void test_broken_default(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    char templates[128];
    snprintf(templates, sizeof templates, "%s/t", fixture->folder);
    break_add(fixture->folder);
    settings.templates_folder = templates;
    struct kgen_context *context = api_open(&settings);
    const bool has_vectors = kgen_machine_best_isa(&context->machine) != KGEN_ISA_GENERIC;
    kgen_close(context);
    if (!has_vectors) {
        print_message("skipped: this machine has plain C only\n");
        skip();
    }
    plan_one(&settings, add, KGEN_ORIGIN_GENERIC);
    assert_int_equal(fixture->counts[KGEN_LOG_WARNING], 1);
    assert_non_null(strstr(fixture->messages, "(default) is passed over: wrong_element"));
}

/* Adds a record that says that a variant won on a machine. */
static void remember(const struct kgen_context *context, const struct kgen_machine *machine,
                     const struct kgen_variant *variant, const struct kgen_problem *problem)
{
    struct kgen_text problem_text = {0}, name = {0};
    kgen_problem_write(problem, &problem_text);
    kgen_variant_name(variant, &name);
    const struct kgen_record record = {
        .key = kgen_record_key(machine->identity, problem_text.data, kgen_variant_hash(variant),
                               context->engine.data),
        .machine = machine->identity,
        .problem = problem_text.data,
        .variant = name.data,
        .engine = context->engine.data,
        .effort = "measure",
        .verdict = KGEN_PASSED,
        .detail = "",
        .hot_seconds = 1e-6,
        .repeats = 5,
        .chosen = true,
    };
    assert_int_equal(kgen_cache_set_machine(context->cache, machine, NULL), 0);
    assert_int_equal(kgen_cache_append(context->cache, &record, NULL), 0);
    kgen_text_free(&problem_text);
    kgen_text_free(&name);
}

/* Writes a record of the last variant of a problem, or of the first of a template (NULL: any), for this
 * machine changed in its model or name (NULL: as it is). */
static void remember_elsewhere(const struct kgen_settings *settings, const char *problem_text,
                               const char *tmpl, int model_offset, const char *identity)
{
    struct kgen_context *context = api_open(settings);
    char text[256];
    const int length = snprintf(text, sizeof text, "{\"problems\":[%s]}", problem_text);
    struct kgen_spec *spec = kgen_spec_parse("problem.json", text, (size_t)length, NULL, NULL);
    assert_non_null(spec);
    struct kgen_machine machine = context->machine;
    machine.model += model_offset;
    if (identity != NULL)
        strcpy(machine.identity, identity);
    struct kgen_problem problem = spec->entries[0].problem;
    problem.threads = kgen_tune_threads(&problem, context->settings.threads);
    struct kgen_variants variants;
    assert_int_equal(kgen_variants_list(context->templates, &problem, context->machine.isas, &variants, NULL),
                     0);
    size_t i = 0;
    while (i + 1 < variants.count &&
           (tmpl == NULL || strcmp(kgen_template_name(variants.items[i].tmpl), tmpl) != 0))
        i++;
    assert_true(i < variants.count);
    remember(context, &machine, &variants.items[i], &problem);
    kgen_variants_free(&variants);
    kgen_spec_free(spec);
    kgen_close(context);
}

static void test_other_machines(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    remember_elsewhere(&settings, norm, NULL, 1, "0123456789abcdef");
    assert_true(plan_one(&settings, norm, KGEN_ORIGIN_INSTRUCTION_SET).seconds <= 0);
    remember_elsewhere(&settings, norm, NULL, 0, "fedcba9876543210");
    assert_true(plan_one(&settings, norm, KGEN_ORIGIN_MICROARCHITECTURE).checked);
    assert_int_equal(fixture->counts[KGEN_LOG_WARNING], 0);
}

/* A record of this machine whose kernel does not pass its check: plain C, so that every machine has it. */
static void test_broken_record(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_MEASURE);
    char templates[128], path[160], command[512];
    snprintf(templates, sizeof templates, "%s/t", fixture->folder);
    snprintf(command, sizeof command, "mkdir -p %s && cp -r templates/c %s", templates, templates);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/c/add_wrong.c.in", templates);
    write_file(path, "$template add_wrong \"y = a\"\n$op add\n$isa generic\n"
                     "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n"
                     "{\n    (void)b;\n    for (size_t i = begin; i < end; i++)\n        y[i] = a[i];\n}\n");
    settings.templates_folder = templates;
    remember_elsewhere(&settings, add, "add_wrong", 0, NULL);
    plan_one(&settings, add, KGEN_ORIGIN_DEFAULT);
    assert_int_equal(fixture->counts[KGEN_LOG_WARNING], 1);
    assert_non_null(strstr(fixture->messages, "(record) is passed over: wrong_element"));
}

/* A template that came after the choice: what was chosen without it is used as long as nothing is searched.
 */
static void test_new_template(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_MEASURE);
    char templates[128], path[160], command[512];
    snprintf(templates, sizeof templates, "%s/t", fixture->folder);
    snprintf(command, sizeof command, "mkdir -p %s && cp -r templates/c %s", templates, templates);
    assert_int_equal(system(command), 0);
    settings.templates_folder = templates;
    plan_one(&settings, add, KGEN_ORIGIN_TUNED);
    plan_one(&settings, add, KGEN_ORIGIN_RECORD);
    /* As it is now, under a second name. */
    snprintf(path, sizeof path, "%s/c/add_again.c.in", templates);
    snprintf(command, sizeof command, "sed 's/^$template add /$template add_again /' %s/c/add.c.in > %s",
             templates, path);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command,
             "sed 's/^$template add_generic /$template add_generic_again /' %s/c/add_generic.c.in > "
             "%s/c/add_generic_again.c.in",
             templates, templates);
    assert_int_equal(system(command), 0);
    settings.cache_only = 1;
    plan_one(&settings, add, KGEN_ORIGIN_RECORD);
    settings.cache_only = 0;
    settings.seconds = 1e-6;
    plan_one(&settings, add, KGEN_ORIGIN_RECORD);
    settings.seconds = 0;
    plan_one(&settings, add, KGEN_ORIGIN_TUNED);
    plan_one(&settings, add, KGEN_ORIGIN_RECORD);
}

static void test_no_variant(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    char templates[128], command[512];
    snprintf(templates, sizeof templates, "%s/t", fixture->folder);
    break_add(fixture->folder);
    settings.templates_folder = templates;
    snprintf(command, sizeof command, "sed -i 's/\\(a\\[[^]]*\\]\\) + /\\1 - /' %s/t/c/add_generic.c.in",
             fixture->folder);
    assert_int_equal(system(command), 0);
    struct kgen_context *context = api_open(&settings);
    struct kgen_status status = {0};
    assert_null(api_plan(context, &add, 1, &status));
    assert_int_equal(status.code, KGEN_NO_FUNCTION);
    assert_non_null(strstr(status.message, "add_n1000"));
    kgen_close(context);
    /* And with no template of the op at all. */
    snprintf(command, sizeof command, "rm %s/t/c/add*.c.in", fixture->folder);
    assert_int_equal(system(command), 0);
    context = api_open(&settings);
    status = (struct kgen_status){0};
    assert_null(api_plan(context, &add, 1, &status));
    assert_int_equal(status.code, KGEN_NO_FUNCTION);
    assert_non_null(strstr(status.message, "no template solves"));
    kgen_close(context);
    /* A template that cannot be read. */
    snprintf(command, sizeof command, "%s/t/c/add.c.in", fixture->folder);
    write_file(command, "$if (\n");
    status = (struct kgen_status){0};
    assert_null(kgen_open(&settings, &status));
    assert_int_equal(status.code, KGEN_INTERNAL);
    assert_non_null(strstr(status.source, "add.c.in"));
}

/* Every problem is served, however short the time. */
static void test_time_limit(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_MEASURE);
    const double limits[] = {1e-6, 0.3};
    for (size_t i = 0; i < KGEN_COUNT_OF(limits); i++) {
        settings.seconds = limits[i];
        struct kgen_context *context = api_open(&settings);
        struct kgen_status status = {0};
        struct kgen_plan *plan = kgen_plan_file(context, "specs/qwen3-0.6b.json", &status);
        assert_string_equal(status.message, "");
        struct kgen_plan_facts facts;
        kgen_plan_query(plan, &facts, sizeof facts);
        assert_int_equal(facts.time_was_up, 1);
        assert_int_equal(facts.recorded + facts.searched + facts.fallbacks, kgen_plan_count(plan));
        kgen_plan_free(plan);
        kgen_close(context);
    }
}

static volatile int cancel_flag;

static void cancel_after(void *context, int level, const char *message)
{
    (void)message;
    unsigned *left = context;
    if (level == KGEN_LOG_CANDIDATE && *left > 0 && --*left == 0)
        cancel_flag = 1;
}

static void test_cancel(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_MEASURE);
    unsigned left = 2;
    settings.log = cancel_after;
    settings.log_context = &left;
    settings.log_level = KGEN_LOG_CANDIDATE;
    settings.cancel = &cancel_flag;
    cancel_flag = 0;
    struct kgen_context *context = api_open(&settings);
    struct kgen_status status = {0};
    assert_null(api_plan(context, &norm, 1, &status));
    assert_int_equal(status.code, KGEN_CANCELLED);
    assert_int_equal(left, 0);
    /* Cancelled from the start, and with nothing to search. */
    settings.effort = KGEN_ESTIMATE;
    status = (struct kgen_status){0};
    assert_null(api_plan(context, &add, 1, &status));
    assert_int_equal(status.code, KGEN_CANCELLED);
    kgen_close(context);
    /* What was learned is there: two candidates of the four. */
    cancel_flag = 0;
    struct kgen_text folder = {0};
    struct kgen_cache *cache = kgen_cache_open(fixture->folder, NULL, NULL, NULL);
    assert_int_equal(kgen_cache_count(cache), 2);
    kgen_cache_close(cache);
    kgen_text_free(&folder);
}

/* KGEN_VERBOSE and stderr. */
static void test_verbose(void **state)
{
    struct api_fixture *fixture = *state;
    static const struct {
        const char *value;
        bool choice, candidate, text;
    } cases[] = {
        {NULL, false, false, false}, {"0", false, false, false}, {"1", true, false, false},
        {"2", true, true, false},    {"3", true, true, true},    {"4", false, false, false},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_settings settings = api_settings(fixture, KGEN_MEASURE);
        settings.log = NULL;
        settings.no_cache = 1;
        char path[128], said[65536] = "";
        snprintf(path, sizeof path, "%s/stderr", fixture->folder);
        fflush(stderr);
        const int kept = dup(STDERR_FILENO), file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        dup2(file, STDERR_FILENO);
        if (cases[i].value != NULL)
            setenv("KGEN_VERBOSE", cases[i].value, 1);
        else
            unsetenv("KGEN_VERBOSE");
        plan_one(&settings, norm, KGEN_ORIGIN_TUNED);
        unsetenv("KGEN_VERBOSE");
        dup2(kept, STDERR_FILENO);
        close(kept);
        assert_true(pread(file, said, sizeof said - 1, 0) >= 0);
        close(file);
        assert_int_equal(strstr(said, "kgen: rms_norm_r1_s512") != NULL, cases[i].choice);
        assert_int_equal(strstr(said, "candidate 1 of") != NULL, cases[i].candidate);
        assert_int_equal(strstr(said, "void kernel(") != NULL, cases[i].text);
        assert_int_equal(said[0] != '\0', cases[i].choice);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_search_then_record, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_broken_default, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_broken_record, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_new_template, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_other_machines, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_no_variant, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_time_limit, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_cancel, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_verbose, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
