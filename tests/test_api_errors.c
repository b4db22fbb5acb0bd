/* SPDX-License-Identifier: MIT */
/* Every error code that kgen.h says of a function is seen to come from it, and every exported function is
 * either in the table of those or has none. Memory runs out at every allocation. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "failing_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char spec[] = "{\"kgen_schema\":1,\"problems\":[{\"op\":\"add\",\"size\":8}]}";
static const char bad_spec[] = "{\"kgen_schema\":1,\"problems\":[{\"op\":\"add\",\"size\":-8}]}";
static const char *const add = "{\"op\":\"add\",\"size\":8}";
static const char *const rope = "{\"op\":\"rope\",\"heads\":1,\"head_dim\":8}";

static void run(const char *format, const char *folder)
{
    char command[512];
    snprintf(command, sizeof command, format, folder, folder, folder);
    assert_int_equal(system(command), 0);
}

static void write_spec(const struct api_fixture *fixture, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/spec.json", fixture->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* ---- the two functions that make plans ---- */

enum way { BY_FILE, BY_TEXT };

static struct kgen_plan *plan(enum way way, const struct api_fixture *fixture, struct kgen_context *context,
                              bool good, struct kgen_status *status)
{
    const char *text = good ? spec : bad_spec;
    char path[128];
    snprintf(path, sizeof path, "%s/spec.json", fixture->folder);
    return way == BY_FILE ? kgen_plan_file(context, path, status)
                          : kgen_plan_text(context, "text.json", text, strlen(text), status);
}

/* Plans with these settings, which must fail. */
static void fail_plan(enum way way, struct api_fixture *fixture, const struct kgen_settings *settings,
                      bool good, struct kgen_status *status)
{
    write_spec(fixture, good ? spec : bad_spec);
    struct kgen_context *context = api_open(settings);
    assert_null(plan(way, fixture, context, good, status));
    assert_null(plan(way, fixture, context, good, NULL));
    kgen_close(context);
}

static void bad_problem(enum way way, struct api_fixture *fixture, struct kgen_status *status)
{
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    fail_plan(way, fixture, &settings, false, status);
}

static void cancelled(enum way way, struct api_fixture *fixture, struct kgen_status *status)
{
    static const volatile int flag = 1;
    struct kgen_settings settings = api_settings(fixture, KGEN_MEASURE);
    settings.cancel = &flag;
    fail_plan(way, fixture, &settings, true, status);
}

static void with_templates(enum way way, struct api_fixture *fixture, const char *change,
                           struct kgen_status *status)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    char folder[128];
    snprintf(folder, sizeof folder, "%s/t", fixture->folder);
    run("mkdir -p %s/t && cp -r templates/c %s/t", fixture->folder);
    run(change, fixture->folder);
    settings.templates_folder = folder;
    fail_plan(way, fixture, &settings, true, status);
}

static void no_template(enum way way, struct api_fixture *fixture, struct kgen_status *status)
{
    with_templates(way, fixture, "rm %s/t/c/add*.c.in", status);
}

static void faulty_template(enum way way, struct api_fixture *fixture, struct kgen_status *status)
{
    with_templates(way, fixture,
                   "sed -i 's/^.param unroll.*/&\\n$require 1 \\/ (size - size), \"no\"/' %s/t/c/add.c.in",
                   status);
}

/* Whether the system has no more processes to give. */
static bool no_processes;

pid_t __real_fork(void);
pid_t __wrap_fork(void);

pid_t __wrap_fork(void)
{
    errno = EAGAIN;
    return no_processes ? -1 : __real_fork();
}

static void no_children(enum way way, struct api_fixture *fixture, struct kgen_status *status)
{
    write_spec(fixture, spec);
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    no_processes = true;
    struct kgen_plan *made = plan(way, fixture, context, true, status);
    no_processes = false;
    assert_null(made);
    kgen_close(context);
}

/* ---- memory ---- */

/* So many tries in turn that ran out of nothing are the end. */
enum { SPARED = 8 };

/* One try with memory that runs out. NULL: it failed, and status says so. */
typedef void *attempt(const void *context, struct kgen_status *status);
typedef void undo(void *made);

/* Lets memory run out at the first allocation, the second, and so on until there are no more; their number is
 * not always the same. What cannot be done for want of memory either fails with the code, or is done without.
 * Keeps a status. */
static void sweep_memory(attempt try, undo *release, const void *context, struct kgen_status *kept)
{
    size_t failures = 0, spared = 0;
    for (size_t n = 1; spared < SPARED; n++) {
        struct kgen_status status = {0};
        kgen_test_fail_memory(n);
        void *made = try(context, &status);
        const bool failed = kgen_test_memory_failed();
        kgen_test_fail_memory(0);
        if (made == NULL && status.code != KGEN_OUT_OF_MEMORY)
            fail_msg("allocation %zu: code %d, \"%s\"", n, (int)status.code, status.message);
        if (made == NULL) {
            assert_true(failed);
            *kept = status;
            failures++;
        } else {
            release(made);
        }
        spared = failed ? 0 : spared + 1;
    }
    assert_true(failures > 0);
}

static void *try_open(const void *context, struct kgen_status *status)
{
    return kgen_open(context, status);
}

static void undo_open(void *made)
{
    kgen_close(made);
}

static void open_without_memory(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    settings.templates_folder = "templates";
    sweep_memory(try_open, undo_open, &settings, status);
}

struct plan_attempt {
    enum way way;
    const struct api_fixture *fixture;
    struct kgen_context *context;
};

static void *try_plan(const void *context, struct kgen_status *status)
{
    const struct plan_attempt *it = context;
    return plan(it->way, it->fixture, it->context, true, status);
}

static void undo_plan(void *made)
{
    kgen_plan_free(made);
}

static void no_memory(enum way way, struct api_fixture *fixture, struct kgen_status *status)
{
    write_spec(fixture, spec);
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct plan_attempt it = {way, fixture, api_open(&settings)};
    sweep_memory(try_plan, undo_plan, &it, status);
    kgen_close(it.context);
}

static void *try_threads(const void *context, struct kgen_status *status)
{
    (void)context;
    return kgen_threads_open(3, status);
}

static void undo_threads(void *made)
{
    kgen_threads_close(made);
}

static void threads_without_memory(struct api_fixture *fixture, struct kgen_status *status)
{
    (void)fixture;
    sweep_memory(try_threads, undo_threads, NULL, status);
}

/* ---- the other functions ---- */

static void open_bad(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    settings.threads = -1;
    assert_null(kgen_open(&settings, status));
}

static void open_nowhere(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    settings.templates_folder = "/nowhere";
    assert_null(kgen_open(&settings, status));
}

static void open_faulty(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    char folder[128];
    snprintf(folder, sizeof folder, "%s/t", fixture->folder);
    run("mkdir -p %s/t && cp -r templates/c %s/t && echo '$if (' > %s/t/c/add.c.in", fixture->folder);
    settings.templates_folder = folder;
    assert_null(kgen_open(&settings, status));
}

static void threads_bad(struct api_fixture *fixture, struct kgen_status *status)
{
    (void)fixture;
    assert_null(kgen_threads_open(0, status));
}

/* A plan of one problem, for what is asked of plans and functions. */
static struct kgen_plan *plan_one(struct api_fixture *fixture, const char *problem)
{
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_plan *made = api_plan(context, &problem, 1, NULL);
    assert_non_null(made);
    kgen_close(context);
    return made;
}

static void find_nothing(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_plan *made = plan_one(fixture, add);
    assert_null(kgen_plan_find(made, "nothing", NULL, status));
    kgen_plan_free(made);
}

static void run_without_buffers(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_plan *made = plan_one(fixture, add);
    const struct kgen_call call = {0};
    assert_int_equal(kgen_function_run(kgen_plan_at(made, 0), &call, NULL, status), -1);
    kgen_plan_free(made);
}

static void run_no_range(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_plan *made = plan_one(fixture, add);
    float x[8] = {0}, y[8];
    const struct kgen_call call = {.buffers = {x, x, y}};
    assert_int_equal(kgen_function_run_range(kgen_plan_at(made, 0), &call, 0, 9, status), -1);
    kgen_plan_free(made);
}

static void prepare_without_buffers(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_plan *made = plan_one(fixture, rope);
    const struct kgen_call call = {0};
    assert_int_equal(kgen_function_prepare(kgen_plan_at(made, 0), &call, status), -1);
    kgen_plan_free(made);
}

static void finish_without_buffers(struct api_fixture *fixture, struct kgen_status *status)
{
    (void)fixture;
    const struct kgen_call call = {0};
    assert_int_equal(kgen_function_finish(api_function_of_parts(), &call, status), -1);
}

static void set_no_buffer(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_plan *made = plan_one(fixture, rope);
    struct kgen_call call = {0};
    assert_int_equal(kgen_call_set(&call, kgen_plan_at(made, 0), "position", &call, status), -1);
    kgen_plan_free(made);
}

static void set_no_scalar(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_plan *made = plan_one(fixture, rope);
    struct kgen_call call = {0};
    assert_int_equal(kgen_call_set_scalar(&call, kgen_plan_at(made, 0), "x", 1, status), -1);
    kgen_plan_free(made);
}

static void set_scalar_below(struct api_fixture *fixture, struct kgen_status *status)
{
    struct kgen_plan *made = plan_one(fixture, rope);
    struct kgen_call call = {0};
    assert_int_equal(kgen_call_set_scalar(&call, kgen_plan_at(made, 0), "position", -1, status), -1);
    kgen_plan_free(made);
}

static void pack_what_is_not(struct api_fixture *fixture, struct kgen_status *status)
{
    const char *const problems[] = {add, "{\"op\":\"qmv\",\"N\":4,\"K\":64,\"bits\":4,\"group_size\":64}"};
    static const struct {
        size_t function;
        const char *buffer;
        size_t begin, end;
    } cases[] = {{0, "weights", 0, 1}, {1, "x", 0, 1}, {1, "weights", 0, 5}, {1, "weights", 2, 1}};
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_plan *made = api_plan(context, problems, 2, NULL);
    char stored[4 * 32] = {0}, packed[4 * 32];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        *status = (struct kgen_status){0};
        assert_int_equal(kgen_function_pack(kgen_plan_at(made, cases[i].function), cases[i].buffer,
                                            cases[i].begin, cases[i].end, stored, packed, status),
                         -1);
        assert_int_equal(status->code, KGEN_BAD_ARGUMENT);
    }
    kgen_plan_free(made);
    kgen_close(context);
}

/* ---- calls ---- */

/* The texts of the errors, and that they leave the call as it is. */
static void test_call_set(void **state)
{
    const struct kgen_settings settings = api_settings(*state, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_plan *made = api_plan(context, api_problems, api_problem_count, NULL);
    const struct kgen_function *symmetric = kgen_plan_at(made, 2), *ropes = kgen_plan_at(made, 7),
                               *sum = kgen_plan_at(made, 10), *attention = kgen_plan_at(made, 11);
    struct kgen_call call = {0};
    const struct kgen_call nothing = {0};
    const struct {
        const struct kgen_function *function;
        const char *name;
        int64_t value; /* -2: a buffer */
        enum kgen_status_code code;
        const char *says;
    } cases[] = {
        {sum, "x", -2, KGEN_NOT_FOUND, "add_n77 has no buffer \"x\""},
        {sum, "", -2, KGEN_NOT_FOUND, "no buffer \"\""},
        {symmetric, "biases", -2, KGEN_NOT_FOUND, "no buffer \"biases\""},
        {ropes, "position", -2, KGEN_NOT_FOUND, "no buffer \"position\""},
        {ropes, "x", 1, KGEN_NOT_FOUND, "no scalar \"x\""},
        {sum, "position", 1, KGEN_NOT_FOUND, "add_n77 has no scalar \"position\""},
        {ropes, "position", -1, KGEN_BAD_ARGUMENT, "position is 0 to 1099511627776, not -1"},
        {ropes, "position", (INT64_C(1) << 40) + 1, KGEN_BAD_ARGUMENT, "not 1099511627777"},
        {attention, "position", 100, KGEN_BAD_ARGUMENT, "position is 0 to 99, not 100"},
        {ropes, "position", INT64_MIN, KGEN_BAD_ARGUMENT, "not -9223372036854775808"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct kgen_status status = {0};
        const int result =
            cases[i].value == -2
                ? kgen_call_set(&call, cases[i].function, cases[i].name, &call, &status)
                : kgen_call_set_scalar(&call, cases[i].function, cases[i].name, cases[i].value, &status);
        assert_int_equal(result, -1);
        assert_int_equal(status.code, cases[i].code);
        if (strstr(status.message, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", status.message, cases[i].says);
        assert_memory_equal(&call, &nothing, sizeof call);
    }
    float memory[1];
    assert_int_equal(kgen_call_set(&call, sum, "b", memory, NULL), 0);
    assert_ptr_equal(call.buffers[kgen_function_buffer(sum, "b")], memory);
    assert_int_equal(kgen_call_set_scalar(&call, ropes, "position", INT64_C(1) << 40, NULL), 0);
    assert_true(call.scalars[0] == INT64_C(1) << 40);
    assert_int_equal(kgen_call_set_scalar(&call, ropes, "position", 0, NULL), 0);
    assert_true(call.scalars[0] == 0);
    kgen_plan_free(made);
    kgen_close(context);
}

/* ---- the tables ---- */

static const struct {
    const char *function;
    enum kgen_status_code code;
    void (*provoke)(struct api_fixture *fixture, struct kgen_status *status);
} errors[] = {
    {"kgen_open", KGEN_BAD_ARGUMENT, open_bad},
    {"kgen_open", KGEN_IO_FAILED, open_nowhere},
    {"kgen_open", KGEN_INTERNAL, open_faulty},
    {"kgen_open", KGEN_OUT_OF_MEMORY, open_without_memory},
    {"kgen_plan_find", KGEN_NOT_FOUND, find_nothing},
    {"kgen_function_run", KGEN_BAD_ARGUMENT, run_without_buffers},
    {"kgen_function_run_range", KGEN_BAD_ARGUMENT, run_no_range},
    {"kgen_function_prepare", KGEN_BAD_ARGUMENT, prepare_without_buffers},
    {"kgen_function_finish", KGEN_BAD_ARGUMENT, finish_without_buffers},
    {"kgen_call_set", KGEN_NOT_FOUND, set_no_buffer},
    {"kgen_call_set_scalar", KGEN_NOT_FOUND, set_no_scalar},
    {"kgen_call_set_scalar", KGEN_BAD_ARGUMENT, set_scalar_below},
    {"kgen_function_pack", KGEN_BAD_ARGUMENT, pack_what_is_not},
    {"kgen_threads_open", KGEN_BAD_ARGUMENT, threads_bad},
    {"kgen_threads_open", KGEN_OUT_OF_MEMORY, threads_without_memory},
};

static const char *const planners[] = {[BY_FILE] = "kgen_plan_file", [BY_TEXT] = "kgen_plan_text"};

static const struct {
    enum kgen_status_code code;
    void (*provoke)(enum way way, struct api_fixture *fixture, struct kgen_status *status);
} plan_errors[] = {
    {KGEN_BAD_SPEC, bad_problem}, {KGEN_IO_FAILED, no_children},   {KGEN_NO_FUNCTION, no_template},
    {KGEN_CANCELLED, cancelled},  {KGEN_OUT_OF_MEMORY, no_memory}, {KGEN_INTERNAL, faulty_template},
};

/* The functions that cannot fail. */
static const char *const sound[] = {
    "kgen_close",
    "kgen_function_buffer",
    "kgen_function_buffer_count",
    "kgen_function_buffer_query",
    "kgen_function_buffer_size",
    "kgen_function_finish_pointer",
    "kgen_function_layout",
    "kgen_function_packed_offset",
    "kgen_function_packed_size",
    "kgen_function_part",
    "kgen_function_prepare_pointer",
    "kgen_function_query",
    "kgen_function_range",
    "kgen_function_run_pointer",
    "kgen_machine_identity",
    "kgen_plan_at",
    "kgen_plan_count",
    "kgen_plan_free",
    "kgen_plan_query",
    "kgen_origin_name",
    "kgen_settings_init",
    "kgen_status_format",
    "kgen_threads_close",
    "kgen_version",
};

static void check(const char *function, enum kgen_status_code code, const struct kgen_status *status)
{
    if (status->code != code || status->message[0] == '\0')
        fail_msg("%s: code %d in place of %d: \"%s\"", function, (int)status->code, (int)code,
                 status->message);
}

static void test_errors(void **state)
{
    struct api_fixture *fixture = *state;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct kgen_status status = {0};
        errors[i].provoke(fixture, &status);
        check(errors[i].function, errors[i].code, &status);
    }
}

static void test_plan_errors(void **state)
{
    struct api_fixture *fixture = *state;
    for (int way = BY_FILE; way <= BY_TEXT; way++) {
        for (size_t i = 0; i < COUNT_OF(plan_errors); i++) {
            struct kgen_status status = {0};
            plan_errors[i].provoke((enum way)way, fixture, &status);
            check(planners[way], plan_errors[i].code, &status);
        }
    }
}

/* The search too, with all that it proves and times. */
static void test_search_without_memory(void **state)
{
    const struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(*state, KGEN_MEASURE);
    settings.no_cache = 1; /* so that each try searches */
    write_spec(fixture, spec);
    struct plan_attempt it = {BY_FILE, fixture, api_open(&settings)};
    struct kgen_status status = {0};
    sweep_memory(try_plan, undo_plan, &it, &status);
    kgen_close(it.context);
}

static bool is_in_tables(const char *symbol)
{
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        if (strcmp(errors[i].function, symbol) == 0)
            return true;
    }
    for (size_t i = 0; i < COUNT_OF(planners); i++) {
        if (strcmp(planners[i], symbol) == 0)
            return true;
    }
    for (size_t i = 0; i < COUNT_OF(sound); i++) {
        if (strcmp(sound[i], symbol) == 0)
            return true;
    }
    return false;
}

/* A new function of the header comes here too. test_install checks the list, and that tests call each. */
static void test_tables_are_complete(void **state)
{
    (void)state;
    FILE *file = fopen("tests/exported-symbols.txt", "r");
    assert_non_null(file);
    char symbol[128];
    size_t count = 0;
    for (; fscanf(file, "%127s", symbol) == 1; count++) {
        /* Those of models are in the tables of test_api_model_errors.c. */
        if (strncmp(symbol, "kgen_model_", 11) != 0 && !is_in_tables(symbol))
            fail_msg("%s is in none of the tables", symbol);
    }
    fclose(file);
    assert_true(count > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_errors, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_plan_errors, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_search_without_memory, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_call_set, api_setup, api_teardown),
        cmocka_unit_test(test_tables_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
