/* SPDX-License-Identifier: MIT */
#include "runtime/tune/shipped.h"
#include "gen/ops/signature.h"
#include "runtime/jit/compile.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Compiling all kernels of a spec in one piece takes seconds; proving one takes less. */
enum { COMPILE_SECONDS = 300, PROOF_SECONDS = 60 };

#define FACT_NAME_SIZE 40

/* A compiler runs for each at once. With fewer kernels than this in a piece, the header takes longer. */
enum { MOST_PIECES = 8, LEAST_KERNELS = 4 };

/* A kernel to be proven for a problem. */
struct proof {
    size_t entry;
    size_t piece; /* the one that has its kernel */
    const struct kgen_problem *problem;
    const struct kgen_emit_kernel *kernel;
    char fact[FACT_NAME_SIZE];
};

/* Kernels that are compiled together. */
struct piece {
    const struct kgen_shipped_options *options;
    enum kgen_isa isa;
    struct kgen_text text;
    struct kgen_code *code; /* in the worker */
    struct kgen_error error;
};

/* The proofs of one run for one instruction set. A compiler takes longest over the header of intrinsics, so
 * their kernels are compiled in few pieces: one for each thread. */
struct batch {
    const struct kgen_shipped_options *options;
    struct kgen_shipped *shipped;
    enum kgen_isa isa;
    struct proof *proofs;
    size_t count;
    struct piece pieces[MOST_PIECES];
    size_t piece_count;
    bool compiled; /* in the worker */
    struct kgen_error *error;
    bool error_set;
    bool no_vectors; /* the compiler has none of the instruction set */
};

struct result {
    struct kgen_verification verification;
    bool no_vectors;
};

/* All that a proof depends on, apart from the machine. */
static void fact_name(const struct kgen_shipped_options *options, const char *compiler,
                      const struct proof *proof, const char *problem, char name[FACT_NAME_SIZE])
{
    uint64_t hash = kgen_hash_string(KGEN_HASH_START, compiler);
    hash = kgen_hash_string(hash, options->cc.header);
    hash = kgen_hash_string(hash, kgen_isa_info(proof->kernel->variant.isa)->name);
    hash = kgen_hash_string(hash, proof->kernel->text.data);
    hash = kgen_hash_string(hash, problem);
    hash = kgen_hash(hash, &options->seed, sizeof options->seed);
    snprintf(name, FACT_NAME_SIZE, "shipped_%016" PRIx64, hash);
}

/* Whether the compiler has an instruction set's intrinsics and makes code for this machine. It may not: $CC
 * may be TinyCC, or a compiler for another architecture. */
static bool compiles_vectors(const struct batch *batch)
{
    static const char intrinsics[] = "#if !defined(__GNUC__) || defined(__TINYC__)\n"
                                     "#error \"no intrinsics\"\n"
                                     "#endif\n"
                                     "#if defined(__x86_64__)\n"
                                     "#include <immintrin.h>\n"
                                     "#endif\n";
    struct kgen_text text = {0};
    struct kgen_cc_options options = batch->options->cc;
    options.header = "";
    kgen_text_puts(&text, kgen_isa_info(batch->isa)->guard != NULL ? intrinsics : "");
    kgen_text_puts(&text, "int kgen_probe(void);\nint kgen_probe(void)\n{\n    return 0;\n}\n");
    struct kgen_code *code =
        text.failed ? NULL
                    : kgen_jit_compile(KGEN_ENGINE_CC, "probe.c", text.data, batch->isa, &options, NULL);
    const bool compiles = code != NULL && kgen_code_symbol(code, "kgen_probe") != NULL;
    kgen_code_free(code);
    kgen_text_free(&text);
    return compiles;
}

static void *compile_piece(void *context)
{
    struct piece *piece = context;
    piece->code = kgen_jit_compile(KGEN_ENGINE_CC, "kernels.c", piece->text.data, piece->isa,
                                   &piece->options->cc, &piece->error);
    return NULL;
}

/* Compiles all pieces, each in a thread. Where the system gives no thread, the caller does the work. */
static void compile_pieces(struct batch *batch)
{
    pthread_t threads[MOST_PIECES];
    bool started[MOST_PIECES] = {false};
    for (size_t i = 1; i < batch->piece_count; i++)
        started[i] = pthread_create(&threads[i], NULL, compile_piece, &batch->pieces[i]) == 0;
    for (size_t i = 0; i < batch->piece_count; i++) {
        if (!started[i])
            compile_piece(&batch->pieces[i]);
    }
    for (size_t i = 1; i < batch->piece_count; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
    }
}

/* Why a piece is refused, at the line of the template: found by compiling each of its kernels alone, as the
 * text of a template gives it. Where each of them is taken, the error is that of the piece. */
static struct kgen_error find_refused(const struct batch *batch, size_t piece)
{
    const struct kgen_compile_options options = {.engine = KGEN_ENGINE_CC, .cc = &batch->options->cc};
    for (size_t i = 0; i < batch->count; i++) {
        const struct proof *proof = &batch->proofs[i];
        struct kgen_error error = {0};
        struct kgen_kernel kernel;
        if (proof->piece != piece)
            continue;
        struct kgen_code *code =
            kgen_kernel_compile(&proof->kernel->variant, proof->problem, &options, &kernel, &error);
        kgen_code_free(code);
        if (code == NULL)
            return error;
    }
    return batch->pieces[piece].error;
}

/* In the worker: compiles the kernels of the batch, once. Returns the code that has a proof's kernel. */
static struct kgen_code *compile(struct batch *batch, const struct proof *proof, struct result *result)
{
    const struct piece *piece = &batch->pieces[proof->piece];
    if (!batch->compiled)
        compile_pieces(batch);
    batch->compiled = true;
    if (piece->code != NULL)
        return piece->code;
    result->no_vectors = !compiles_vectors(batch);
    result->verification.verdict = KGEN_COMPILE_FAILED;
    const struct kgen_error error = result->no_vectors ? piece->error : find_refused(batch, proof->piece);
    kgen_error_format(&error, result->verification.detail, sizeof result->verification.detail);
    return NULL;
}

static void prove_job(size_t index, void *memory, struct kgen_worker *worker, void *context)
{
    struct batch *batch = context;
    const struct proof *proof = &batch->proofs[index];
    struct result *result = memory;
    struct kgen_error error = {0};
    struct kgen_kernel kernel;
    kgen_worker_stage(worker, "compile", COMPILE_SECONDS);
    const struct kgen_code *code = compile(batch, proof, result);
    if (code == NULL)
        return;
    kgen_worker_stage(worker, "verify", PROOF_SECONDS);
    const struct kgen_verify_options options = {.seed = batch->options->seed,
                                                .threads = batch->options->threads,
                                                .guards = kgen_worker_guards(worker)};
    if (kgen_kernel_find(proof->problem, code, proof->kernel->name.data, &kernel, &error) != 0 ||
        kgen_verify(&kernel, &options, &result->verification, &error) != 0) {
        result->verification.verdict = KGEN_WORKER_EXITED;
        kgen_error_format(&error, result->verification.detail, sizeof result->verification.detail);
    }
}

static int prove_report(size_t index, const struct kgen_outcome *outcome, const void *memory, void *context)
{
    struct batch *batch = context;
    const struct proof *proof = &batch->proofs[index];
    struct result result;
    memcpy(&result, memory, sizeof result);
    if (outcome->kind != KGEN_OUTCOME_DONE)
        kgen_outcome_verdict(outcome, &result.verification);
    if (result.no_vectors) {
        batch->no_vectors = true;
        return 1;
    }
    if (result.verification.verdict != KGEN_PASSED) {
        batch->shipped->failed_entry = proof->entry;
        batch->shipped->failure = result.verification;
        return 1;
    }
    batch->shipped->proven++;
    batch->error_set = kgen_cache_set_fact(batch->options->cache, batch->options->machine, proof->fact,
                                           result.verification.error_of_bound, batch->error) != 0;
    return batch->error_set;
}

/* Puts the kernel of a proof into the shortest piece, unless an earlier proof of the batch has the same
 * kernel. */
static void add_text(struct batch *batch, size_t index)
{
    struct proof *proof = &batch->proofs[index];
    for (size_t i = 0; i < index; i++) {
        if (batch->proofs[i].kernel == proof->kernel) {
            proof->piece = batch->proofs[i].piece;
            return;
        }
    }
    for (size_t i = 0; i < batch->piece_count; i++) {
        if (batch->pieces[i].text.length < batch->pieces[proof->piece].text.length)
            proof->piece = i;
    }
    struct kgen_text *text = &batch->pieces[proof->piece].text;
    kgen_text_append(text, proof->kernel->text.data, proof->kernel->text.length);
    kgen_signature_calls(proof->problem, proof->kernel->name.data, text);
}

/* Divides the text of all kernels into pieces, one for each thread where there are enough. */
static int make_pieces(struct batch *batch)
{
    const size_t threads = (size_t)(batch->options->threads > 0 ? batch->options->threads : 1);
    size_t pieces = batch->count / LEAST_KERNELS;
    pieces = pieces > threads ? threads : pieces;
    batch->piece_count = pieces > MOST_PIECES ? MOST_PIECES : pieces > 0 ? pieces : 1;
    for (size_t i = 0; i < batch->piece_count; i++)
        batch->pieces[i] = (struct piece){.options = batch->options, .isa = batch->isa};
    for (size_t i = 0; i < batch->count; i++)
        add_text(batch, i);
    for (size_t i = 0; i < batch->piece_count; i++) {
        kgen_text_puts(&batch->pieces[i].text, "");
        if (batch->pieces[i].text.failed)
            return kgen_error_set(batch->error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    return 0;
}

/* Proves what the batch holds. Returns 0, 1 when cancelled, -1. */
static int run_batch(struct batch *batch)
{
    if (make_pieces(batch) != 0)
        return -1;
    const struct kgen_worker_options options = {.limit_seconds = COMPILE_SECONDS,
                                                .cancel = batch->options->cancel};
    int result = kgen_workers_run(&options, batch->count, sizeof(struct result), prove_job, prove_report,
                                  batch, batch->error);
    if (batch->error_set)
        return -1;
    if (batch->no_vectors) {
        snprintf(batch->shipped->reason, sizeof batch->shipped->reason, "the compiler compiles no %s",
                 kgen_isa_info(batch->isa)->name);
        return 0;
    }
    return result == 1 && batch->shipped->failed_entry != SIZE_MAX ? 0 : result;
}

/* Lists the proofs that are not known yet, for one instruction set. */
static int collect(struct batch *batch, const struct kgen_emission *emission, const struct kgen_spec *spec,
                   const struct kgen_variant *tuned, size_t count)
{
    struct kgen_text problem = {0};
    bool failed = false;
    for (size_t i = 0; i < count; i++) {
        if (tuned[i].tmpl == NULL || tuned[i].isa != batch->isa)
            continue;
        struct proof *proof = &batch->proofs[batch->count];
        *proof = (struct proof){.entry = i,
                                .problem = &spec->entries[i].problem,
                                .kernel = kgen_emission_kernel(emission, i, tuned[i].isa)};
        kgen_text_clear(&problem);
        kgen_problem_write(proof->problem, &problem);
        failed = failed || problem.failed;
        if (failed)
            break;
        double error_of_bound;
        fact_name(batch->options, batch->shipped->compiler, proof, problem.data, proof->fact);
        if (kgen_cache_fact(batch->options->cache, batch->options->machine, proof->fact, &error_of_bound) ==
            0) {
            batch->shipped->proven++;
            batch->shipped->from_cache++;
        } else {
            batch->count++;
        }
    }
    kgen_text_free(&problem);
    return failed ? kgen_error_set(batch->error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}

/* Asks the compiler what it is. */
static bool find_compiler(const struct kgen_shipped_options *options, struct kgen_shipped *shipped)
{
    struct kgen_text description = {0};
    struct kgen_error error = {0};
    const bool found =
        kgen_engine_describe(KGEN_ENGINE_CC, &options->cc, &description, &error) == 0 && !description.failed;
    if (found)
        snprintf(shipped->compiler, sizeof shipped->compiler, "%s", description.data);
    else
        snprintf(shipped->reason, sizeof shipped->reason, "no compiler (%s)", error.message);
    kgen_text_free(&description);
    return found;
}

int kgen_shipped_prove(const struct kgen_shipped_options *options, const struct kgen_emission *emission,
                       const struct kgen_spec *spec, const struct kgen_variant *tuned, size_t count,
                       struct kgen_shipped *shipped, struct kgen_error *error)
{
    *shipped = (struct kgen_shipped){.failed_entry = SIZE_MAX};
    struct kgen_shipped_options with_header = *options;
    with_header.cc.header = kgen_emission_header(emission);
    if (!find_compiler(options, shipped))
        return 0;
    struct proof *proofs = calloc(count + 1, sizeof *proofs);
    if (proofs == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    int result = 0;
    for (int isa = KGEN_ISA_COUNT; isa-- > 0 && result == 0 && shipped->failed_entry == SIZE_MAX;) {
        struct batch batch = {.options = &with_header,
                              .shipped = shipped,
                              .isa = (enum kgen_isa)isa,
                              .proofs = proofs,
                              .error = error};
        result = collect(&batch, emission, spec, tuned, count);
        if (result == 0 && batch.count > 0)
            result = run_batch(&batch);
        for (size_t i = 0; i < batch.piece_count; i++)
            kgen_text_free(&batch.pieces[i].text);
    }
    free(proofs);
    return result;
}
