/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "runtime/api/load.h"

#include "runtime/jit/compile.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Seconds that a stage may take before it counts as hung. */
static const double compile_limit = 10, check_limit = 60;

/* What the child writes into shared memory. */
struct result {
    struct kgen_verification verification;
    struct kgen_kernel kernel;
    size_t used;
};

/* The part of the memory for code that one child after another writes to. */
struct part {
    unsigned char *memory;
    size_t size;
    size_t used; /* bytes in whole pages. The child counts on from the parent's number */
};

struct batch {
    struct kgen_load *loads;
    int threads;
    size_t page;
    struct part parts[KGEN_WORKERS_MAX]; /* by the number of the child */
};

/* Compiles into the first pages that are not used yet. Only these are writable meanwhile. */
static void compile(const struct part *part, size_t page, const struct kgen_load *load, struct result *result)
{
    struct kgen_error error = {0};
    struct kgen_code *code = NULL;
    struct kgen_code_area area = {part->memory + part->used, KGEN_CODE_AREA_BYTES, 0};
    const struct kgen_compile_options options = {.engine = KGEN_ENGINE_TCC, .area = &area};
    if (mprotect(area.memory, area.size, PROT_READ | PROT_WRITE) != 0)
        kgen_error_set(&error, KGEN_ERROR_MEMORY, NULL, 0, 0, "cannot write to memory for code: %s",
                       strerror(errno));
    else
        code = kgen_kernel_compile(load->variant, load->problem, &options, &result->kernel, &error);
    if (code == NULL) {
        kgen_verification_not_compiled(&result->verification, &error);
    } else {
        result->used = (area.used + page - 1) / page * page;
    }
    kgen_code_free(code);
    mprotect(part->memory + part->used + result->used, KGEN_CODE_AREA_BYTES - result->used, PROT_READ);
}

/* The cases of a check, which a thread makes while the kernel is compiled: of a start-up from the cache, both
 * are the greatest parts. */
struct preparation {
    const struct kgen_load *load;
    struct kgen_verify_cases *cases; /* NULL on failure */
    struct kgen_error error;
    pthread_t thread;
    bool has_thread;
};

static void *prepare(void *context)
{
    struct preparation *preparation = context;
    const struct kgen_problem *problem = preparation->load->problem;
    preparation->cases = preparation->load->check == KGEN_CHECK_FULL
                             ? kgen_verify_cases_new(problem, KGEN_PROOF_SEED, &preparation->error)
                             : kgen_verify_cases_new_quick(problem, KGEN_PROOF_SEED, &preparation->error);
    return NULL;
}

static void begin_preparation(struct preparation *preparation, const struct kgen_load *load)
{
    *preparation = (struct preparation){.load = load};
    if (load->check != KGEN_CHECK_NONE)
        preparation->has_thread = pthread_create(&preparation->thread, NULL, prepare, preparation) == 0;
}

static void end_preparation(struct preparation *preparation)
{
    if (preparation->has_thread)
        pthread_join(preparation->thread, NULL);
    else if (preparation->load->check != KGEN_CHECK_NONE)
        prepare(preparation);
}

static void check(struct batch *batch, struct preparation *preparation, struct kgen_worker *worker,
                  struct result *result)
{
    const bool full = preparation->load->check == KGEN_CHECK_FULL;
    /* A quick check starts no team: that takes longer than the check. */
    const struct kgen_verify_options options = {
        .seed = KGEN_PROOF_SEED, .threads = full ? batch->threads : 1, .guards = kgen_worker_guards(worker)};
    if (preparation->cases == NULL || kgen_verify_with(preparation->cases, &result->kernel, &options,
                                                       &result->verification, &preparation->error) != 0)
        kgen_verification_fail(&result->verification, KGEN_WORKER_EXITED, &preparation->error);
}

/* In the child. */
static void load_job(size_t index, void *result_memory, struct kgen_worker *worker, void *context)
{
    struct batch *batch = context;
    struct result *result = result_memory;
    const struct kgen_load *load = &batch->loads[index];
    struct part *part = &batch->parts[kgen_worker_number(worker)];
    struct preparation preparation;
    kgen_worker_stage(worker, "compile", compile_limit);
    begin_preparation(&preparation, load);
    compile(part, batch->page, load, result);
    kgen_worker_stage(worker, "verify", check_limit);
    end_preparation(&preparation);
    if (result->verification.verdict == KGEN_PASSED) {
        part->used += result->used;
        if (load->check != KGEN_CHECK_NONE)
            check(batch, &preparation, worker, result);
    }
    kgen_verify_cases_free(preparation.cases);
}

/* In the parent. */
static int load_report(size_t index, const struct kgen_outcome *outcome, const void *result_memory,
                       void *context)
{
    struct batch *batch = context;
    struct kgen_load *load = &batch->loads[index];
    struct result result;
    memcpy(&result, result_memory, sizeof result);
    load->verification = result.verification;
    load->kernel = result.kernel;
    kgen_outcome_verdict(outcome, &load->verification);
    /* The code of a kernel that failed its check stays in its pages and is not called. */
    if (outcome->kind == KGEN_OUTCOME_DONE)
        batch->parts[outcome->worker].used += result.used;
    return 0;
}

/* Makes the pages of a part that hold code executable. The others stay in the mapping, which is one, and are
 * not accessible. */
static int seal(const struct part *part, struct kgen_error *error)
{
    __builtin___clear_cache((char *)part->memory, (char *)part->memory + part->used);
    if ((part->used > 0 && mprotect(part->memory, part->used, PROT_READ | PROT_EXEC) != 0) ||
        (part->used < part->size &&
         mprotect(part->memory + part->used, part->size - part->used, PROT_NONE) != 0))
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "cannot make memory executable: %s",
                              strerror(errno));
    return 0;
}

int kgen_kernels_load(struct kgen_load *loads, size_t count, int threads, const volatile int *cancel,
                      struct kgen_code_pages *pages, struct kgen_error *error)
{
    *pages = (struct kgen_code_pages){0};
    if (count == 0)
        return 0;
    size_t workers = threads < 1 ? 1 : threads < KGEN_WORKERS_MAX ? (size_t)threads : KGEN_WORKERS_MAX;
    workers = workers < count ? workers : count;
    /* Any of the children may come to compile nearly all kernels. Memory that is not written to is not used.
     */
    const size_t part_size = count * KGEN_CODE_AREA_BYTES;
    unsigned char *memory =
        mmap(NULL, part_size * workers, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for code");
    *pages = (struct kgen_code_pages){memory, part_size * workers, 0};
    struct batch batch = {.loads = loads, .threads = threads, .page = (size_t)sysconf(_SC_PAGESIZE)};
    for (size_t i = 0; i < workers; i++)
        batch.parts[i] = (struct part){memory + i * part_size, part_size, 0};
    const struct kgen_worker_options options = {
        .limit_seconds = compile_limit, .cancel = cancel, .workers = workers};
    int status =
        kgen_workers_run(&options, count, sizeof(struct result), load_job, load_report, &batch, error);
    for (size_t i = 0; i < workers && status == 0; i++) {
        status = seal(&batch.parts[i], error);
        pages->used += batch.parts[i].used;
    }
    if (status != 0)
        kgen_code_pages_free(pages);
    return status == 1 ? 1 : status != 0 ? -1 : 0;
}

void kgen_code_pages_free(struct kgen_code_pages *pages)
{
    if (pages->memory != NULL)
        munmap(pages->memory, pages->size);
    *pages = (struct kgen_code_pages){0};
}
