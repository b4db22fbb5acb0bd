/* SPDX-License-Identifier: MIT */
/* Devices: each target has one; kernels compiled, run and timed through its row, on memory of its own. */
#include "gen/template/template.h"
#include "runtime/jit/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 64 };

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; kgen_target_at(i) != NULL; i++)
        assert_non_null(kgen_device_of_target(kgen_target_at(i)));
    const struct kgen_target unknown = {.name = "cobol"};
    assert_null(kgen_device_of_target(&unknown));
    for (int isa = 0; isa < KGEN_ISA_COUNT; isa++)
        assert_ptr_equal(kgen_device_of_isa((enum kgen_isa)isa), kgen_device_cpu());
    assert_string_equal(kgen_device_cpu()->name, "cpu");
}

static void test_memory(void **state)
{
    (void)state;
    const struct kgen_device_functions *device = kgen_device_cpu();
    static const size_t sizes[] = {1, 63, 64, 4097, 3 << 20};
    static const unsigned char zeros[4] = {0}, bytes[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(sizes); i++) {
        const enum kgen_memory kind = i % 2 == 0 ? KGEN_MEMORY_SMALL : KGEN_MEMORY_LARGE;
        const size_t size = sizes[i / 2], length = size < 4 ? size : 4;
        unsigned char found[4] = {9, 9, 9, 9};
        struct kgen_error error = {0};
        void *memory = device->allocate(kind, size, &error);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % (kind == KGEN_MEMORY_SMALL ? 64 : 4096), 0);
        assert_int_equal(device->read(memory, size - length, found, length, &error), 0);
        assert_memory_equal(found, zeros, length);
        assert_int_equal(device->write(memory, size - length, bytes, length, &error), 0);
        assert_int_equal(device->read(memory, size - length, found, length, &error), 0);
        assert_memory_equal(found, bytes, length);
        assert_memory_equal((unsigned char *)device->map(memory) + size - length, bytes, length);
        device->deallocate(kind, memory, size);
    }
    for (int kind = KGEN_MEMORY_SMALL; kind <= KGEN_MEMORY_LARGE; kind++) {
        struct kgen_error error = {0};
        assert_null(device->allocate((enum kgen_memory)kind, SIZE_MAX - 4096, &error));
        assert_int_equal(error.code, KGEN_ERROR_MEMORY);
        device->deallocate((enum kgen_memory)kind, NULL, 0);
    }
}

/* The kernel of `add` by plain C, on memory of the device. */
struct added {
    const struct kgen_device_functions *device;
    struct kgen_templates *templates;
    struct kgen_code *code;
    struct kgen_kernel kernel;
    struct kgen_arguments arguments;
    void *a, *b, *y;
    unsigned nexts; /* calls of next */
};

static void open_added(struct added *added)
{
    struct kgen_error error = {0};
    struct kgen_problem problem;
    struct kgen_variants variants;
    *added = (struct added){.device = kgen_device_of_isa(KGEN_ISA_GENERIC)};
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", COUNT);
    added->templates = kgen_templates_open(NULL, "c", &error);
    assert_non_null(added->templates);
    assert_int_equal(
        kgen_variants_list(added->templates, &problem, 1u << KGEN_ISA_GENERIC, &variants, &error), 0);
    assert_true(variants.count > 0);
    const struct kgen_compile_options options = {.engine = KGEN_ENGINE_TCC};
    added->code = added->device->compile(&variants.items[0], &problem, &options, &added->kernel, &error);
    if (added->code == NULL)
        fail_msg("%s", error.message);
    assert_non_null(added->device->symbol(added->code, "kernel"));
    assert_null(added->device->symbol(added->code, "no_kernel"));
    kgen_variants_free(&variants);
    added->arguments.buffers[0] = added->a =
        added->device->allocate(KGEN_MEMORY_SMALL, COUNT * sizeof(float), &error);
    added->arguments.buffers[1] = added->b =
        added->device->allocate(KGEN_MEMORY_SMALL, COUNT * sizeof(float), &error);
    added->arguments.buffers[2] = added->y =
        added->device->allocate(KGEN_MEMORY_SMALL, COUNT * sizeof(float), &error);
}

static void close_added(struct added *added)
{
    added->device->deallocate(KGEN_MEMORY_SMALL, added->a, COUNT * sizeof(float));
    added->device->deallocate(KGEN_MEMORY_SMALL, added->b, COUNT * sizeof(float));
    added->device->deallocate(KGEN_MEMORY_SMALL, added->y, COUNT * sizeof(float));
    added->device->release(added->code);
    kgen_templates_free(added->templates);
}

static void expect_sums(const struct added *added, float first)
{
    float y[COUNT];
    assert_int_equal(added->device->read(added->y, 0, y, sizeof y, NULL), 0);
    for (int i = 0; i < COUNT; i++)
        assert_true(y[i] == first + (float)i);
}

static void put_inputs(const struct added *added, float first)
{
    float a[COUNT], b[COUNT];
    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)i;
        b[i] = first;
    }
    assert_int_equal(added->device->write(added->a, 0, a, sizeof a, NULL), 0);
    assert_int_equal(added->device->write(added->b, 0, b, sizeof b, NULL), 0);
}

static void test_run(void **state)
{
    (void)state;
    struct added added;
    open_added(&added);
    put_inputs(&added, 100);
    added.device->run(&added.kernel, &added.arguments, NULL);
    expect_sums(&added, 100);
    close_added(&added);
}

/* Each call finds other inputs. */
static void next(void *context, struct kgen_arguments *arguments)
{
    struct added *added = context;
    assert_ptr_equal(arguments, &added->arguments);
    put_inputs(added, (float)added->nexts++);
}

/* As many calls as were asked for, each after next; no time is judged. */
static void test_time(void **state)
{
    (void)state;
    static const unsigned counts[] = {1, 2, 7};
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(counts); i++) {
        struct added added;
        open_added(&added);
        const struct kgen_timed_calls calls = {.kernel = &added.kernel,
                                               .arguments = &added.arguments,
                                               .next = next,
                                               .context = &added,
                                               .count = counts[i / 2],
                                               .prepare_once = i % 2 == 1};
        double prepare_seconds = -1;
        const double seconds = added.device->time(&calls, &prepare_seconds);
        assert_true(seconds >= prepare_seconds);
        assert_true(prepare_seconds >= 0 && (calls.prepare_once || prepare_seconds <= 0));
        assert_int_equal(added.nexts, counts[i / 2]);
        expect_sums(&added, (float)(counts[i / 2] - 1));
        close_added(&added);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
