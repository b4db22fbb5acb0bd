/* SPDX-License-Identifier: MIT */
/* kgen machine: what was detected, and the read bandwidth, measured anew and remembered. */
#include <stdio.h>

#include "runtime/command/json.h"
#include "runtime/command/progress.h"

static void print_size(const char *name, size_t bytes)
{
    if (bytes == 0)
        printf("%-20s unknown\n", name);
    else if (bytes >= (size_t)1 << 20)
        printf("%-20s %.4g MiB\n", name, (double)bytes / 1048576);
    else
        printf("%-20s %.4g KiB\n", name, (double)bytes / 1024);
}

static void print_text(const struct kgen_session *session, const struct kgen_bandwidth *bandwidth)
{
    const struct kgen_machine *machine = &session->machine;
    struct kgen_text isas = {0}, engine = {0};
    kgen_isas_write(machine->isas, &isas);
    if (kgen_engine_describe(KGEN_ENGINE_TCC, NULL, &engine, NULL) != 0)
        kgen_text_puts(&engine, "none");
    printf("%-20s %s\n", "processor", machine->name);
    printf("%-20s %s, %s family %d model %d stepping %d\n", "architecture", machine->architecture,
           machine->vendor, machine->family, machine->model, machine->stepping);
    printf("%-20s %s\n", "identity", machine->identity);
    printf("%-20s %s\n", "instruction sets", isas.failed ? "?" : isas.data);
    printf("%-20s %d\n", "threads", machine->threads);
    print_size("L1 data cache", machine->l1d_bytes);
    print_size("L2 cache", machine->l2_bytes);
    print_size("L3 cache", machine->l3_bytes);
    if (bandwidth != NULL) {
        printf("%-20s %.1f GB/s with 1 thread\n", "read bandwidth", bandwidth->one_thread * 1e-9);
        printf("%-20s %.1f GB/s with %d thread%s\n", "", bandwidth->all_threads * 1e-9, bandwidth->threads,
               kgen_plural((size_t)bandwidth->threads));
        printf("%-20s %.1f%% between the quartiles of reading%s\n", "noise", bandwidth->noise * 100,
               kgen_bandwidth_is_noisy(bandwidth) ? ": the machine is busy, measure again later" : "");
    }
    printf("%-20s %s\n", "engine", engine.failed ? "?" : engine.data);
    const char *folder = kgen_cache_path(session->cache);
    printf("%-20s %s\n", "cache", folder[0] != '\0' ? folder : "none");
    kgen_text_free(&isas);
    kgen_text_free(&engine);
}

int kgen_command_machine(const struct kgen_options *options)
{
    struct kgen_session session = {0};
    struct kgen_error error = {0};
    struct kgen_bandwidth bandwidth;
    int status;
    if (kgen_session_open(&session, options, NULL, &error) != 0 ||
        kgen_session_open_cache(&session, options, &error) != 0) {
        status = kgen_fail(&error);
    } else {
        struct kgen_progress progress;
        kgen_progress_init(&progress, options, 0);
        kgen_progress_note(&progress, "measuring the read bandwidth");
        const bool measured = kgen_session_bandwidth(&session, true, &bandwidth, &error) == 0;
        kgen_progress_clear(&progress);
        status = measured ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
        if (!measured)
            kgen_say_error(&error);
        if (!options->json)
            print_text(&session, measured ? &bandwidth : NULL);
        else if (kgen_json_print(json_pack("{s:s, s:o, s:o, s:o}", "kgen", KGEN_VERSION, "machine",
                                           kgen_json_machine(&session.machine), "read_bandwidth",
                                           kgen_json_bandwidth(measured ? &bandwidth : NULL), "cache",
                                           kgen_json_string(kgen_cache_path(session.cache)))) != 0)
            status = KGEN_EXIT_FAILED;
    }
    kgen_session_close(&session);
    return kgen_finish_output(status);
}
