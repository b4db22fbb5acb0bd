/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "runtime/api/ready.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Address space for the code of one kernel. Memory is taken for what is used. */
#define ROOM ((size_t)512 << 10)

/* Seconds that a stage may take before it counts as hung. */
static const double compile_limit = 10, check_limit = 60;

/* Inputs of the checks follow from it. */
static const uint64_t seed = UINT64_C(20240229);

static const char function[] = "kernel";

/* What the child writes into shared memory. */
struct result {
    struct kgen_verification verification;
    struct kgen_kernel kernel;
    void *workspace_size;
    size_t used;
};

struct batch {
    struct kgen_ready *items;
    int threads;
    unsigned char *memory;
    size_t size, page;
    size_t
        used; /* whole pages. The child counts its own, and a new child starts from what its parent knows */
};

static void fail(struct kgen_verification *verification, enum kgen_verdict verdict,
                 const struct kgen_error *error)
{
    verification->verdict = verdict;
    kgen_error_format(error, verification->detail, sizeof verification->detail);
}

static void compile(struct batch *batch, const struct kgen_ready *item, struct result *result)
{
    struct kgen_error error = {0};
    struct kgen_text text = {0};
    struct kgen_code *code = NULL;
    struct kgen_code_room room = {batch->memory + batch->used, batch->size - batch->used, 0};
    if (kgen_variant_text(item->variant, item->problem, function, &text, &error) == 0)
        code = kgen_jit_compile_into(&room, kgen_template_name(item->variant->tmpl), text.data,
                                     item->variant->isa, &error);
    if (code == NULL || kgen_kernel_find(item->problem, code, function, &result->kernel, &error) != 0) {
        fail(&result->verification,
             error.code == KGEN_ERROR_CANDIDATE ? KGEN_NO_CANDIDATE : KGEN_COMPILE_FAILED, &error);
    } else {
        result->workspace_size = kgen_code_symbol(code, "kernel_workspace_size");
        result->used = (room.used + batch->page - 1) / batch->page * batch->page;
    }
    kgen_code_free(code);
    kgen_text_free(&text);
}

static void check(struct batch *batch, const struct kgen_ready *item, struct kgen_worker *worker,
                  struct result *result)
{
    struct kgen_error error = {0};
    const bool full = item->check == KGEN_CHECK_FULL;
    /* A quick check starts no threads: that would take longer than the rest of it. */
    const struct kgen_verify_options options = {
        .seed = seed, .threads = full ? batch->threads : 1, .guards = kgen_worker_guards(worker)};
    struct kgen_verify_cases *cases = full ? kgen_verify_cases_new(item->problem, seed, &error)
                                           : kgen_verify_cases_new_quick(item->problem, seed, &error);
    if (cases == NULL ||
        kgen_verify_with(cases, &result->kernel, &options, &result->verification, &error) != 0)
        fail(&result->verification, KGEN_WORKER_EXITED, &error);
    kgen_verify_cases_free(cases);
}

/* In the child. */
static void ready_job(size_t index, void *result_memory, struct kgen_worker *worker, void *context)
{
    struct batch *batch = context;
    struct result *result = result_memory;
    const struct kgen_ready *item = &batch->items[index];
    kgen_worker_stage(worker, "compile", compile_limit);
    if (mprotect(batch->memory, batch->size, PROT_READ | PROT_WRITE) != 0) {
        struct kgen_error error = {0};
        kgen_error_set(&error, KGEN_ERROR_MEMORY, NULL, 0, 0, "cannot write to memory for code: %s",
                       strerror(errno));
        fail(&result->verification, KGEN_COMPILE_FAILED, &error);
        return;
    }
    compile(batch, item, result);
    if (result->verification.verdict != KGEN_PASSED)
        return;
    /* mprotect has taken the right to execute from the earlier kernels too; theirs were checked already. */
    kgen_worker_stage(worker, "verify", check_limit);
    if (item->check != KGEN_CHECK_NONE)
        check(batch, item, worker, result);
    batch->used += result->used;
}

/* In the parent. */
static int ready_report(size_t index, const struct kgen_outcome *outcome, const void *result_memory,
                        void *context)
{
    struct batch *batch = context;
    struct kgen_ready *item = &batch->items[index];
    struct result result;
    memcpy(&result, result_memory, sizeof result);
    item->verification = result.verification;
    item->kernel = result.kernel;
    item->workspace_size = result.workspace_size;
    kgen_outcome_verdict(outcome, &item->verification);
    /* The code of a kernel that failed its check stays where it is, uncalled. */
    if (outcome->kind == KGEN_OUTCOME_DONE)
        batch->used += result.used;
    return 0;
}

/* Keeps the pages that hold code, for execution. */
static int seal(struct batch *batch, struct kgen_code_pages *pages, struct kgen_error *error)
{
    if (batch->used < batch->size)
        munmap(batch->memory + batch->used, batch->size - batch->used);
    if (batch->used == 0)
        return 0;
    *pages = (struct kgen_code_pages){batch->memory, batch->used};
    __builtin___clear_cache((char *)batch->memory, (char *)batch->memory + batch->used);
    if (mprotect(pages->memory, pages->size, PROT_READ | PROT_EXEC) != 0)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "cannot make memory executable: %s",
                              strerror(errno));
    return 0;
}

int kgen_make_ready(struct kgen_ready *items, size_t count, int threads, const volatile int *cancel,
                    struct kgen_code_pages *pages, struct kgen_error *error)
{
    *pages = (struct kgen_code_pages){0};
    if (count == 0)
        return 0;
    struct batch batch = {.items = items, .threads = threads, .page = (size_t)sysconf(_SC_PAGESIZE)};
    batch.size = count * ROOM;
    batch.memory = mmap(NULL, batch.size, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (batch.memory == MAP_FAILED)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for code");
    const struct kgen_worker_options options = {.limit_seconds = compile_limit, .cancel = cancel};
    const int status =
        kgen_workers_run(&options, count, sizeof(struct result), ready_job, ready_report, &batch, error);
    if (seal(&batch, pages, error) != 0 || status != 0) {
        kgen_code_pages_free(pages);
        return status == 1 ? 1 : -1;
    }
    return 0;
}

void kgen_code_pages_free(struct kgen_code_pages *pages)
{
    if (pages->memory != NULL)
        munmap(pages->memory, pages->size);
    *pages = (struct kgen_code_pages){0};
}
