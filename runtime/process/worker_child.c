/* SPDX-License-Identifier: MIT */
/* The child's side of a worker: it gives up the host's resources, then runs one job after another. */
#define _GNU_SOURCE /* REG_ERR, MAP_ANONYMOUS, syscall */
#include "runtime/process/worker_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

void kgen_worker_stage(struct kgen_worker *worker, const char *stage, double limit_seconds)
{
    struct kgen_worker_shared *shared = worker->shared;
    snprintf(shared->stage, sizeof shared->stage, "%s", stage);
    atomic_store(&shared->deadline, kgen_clock_nanoseconds() + (int64_t)(limit_seconds * 1e9));
}

struct kgen_guard_list *kgen_worker_guards(struct kgen_worker *worker)
{
    return &worker->shared->guards;
}

size_t kgen_worker_number(const struct kgen_worker *worker)
{
    return worker->number;
}

/* The memory into which the signal handler writes a fault. Set in the child only. */
static struct kgen_worker_shared *fault_notes;

/* Whether the signal is a page fault, not for instance a non-canonical address or a kill(). */
static bool is_page_fault(int signal_number, const siginfo_t *information, const ucontext_t *context)
{
    if ((signal_number != SIGSEGV && signal_number != SIGBUS) || information->si_code <= 0)
        return false;
#if defined(__x86_64__)
    return context->uc_mcontext.gregs[REG_TRAPNO] == 14;
#else
    (void)context;
    return true;
#endif
}

static bool page_fault_is_write(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (context->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#elif defined(__aarch64__)
    /* __reserved is a list of records that begin with a magic number and a size. One holds the syndrome
     * register. */
    const unsigned char *record = (const unsigned char *)context->uc_mcontext.__reserved;
    const unsigned char *end = record + sizeof context->uc_mcontext.__reserved;
    while (record + 16 <= end) {
        uint32_t magic, size;
        memcpy(&magic, record, sizeof magic);
        memcpy(&size, record + 4, sizeof size);
        if (magic == 0 || size < 16)
            break;
        if (magic == 0x45535201) {
            uint64_t syndrome;
            memcpy(&syndrome, record + 8, sizeof syndrome);
            return (syndrome >> 6 & 1) != 0;
        }
        record += size;
    }
    return false;
#else
    (void)context;
    return false;
#endif
}

static void note_signal(int signal_number, siginfo_t *information, void *context)
{
    struct kgen_worker_shared *notes = fault_notes;
    notes->signal = signal_number;
    notes->fault = is_page_fault(signal_number, information, context);
    if (notes->fault) {
        notes->fault_is_write = page_fault_is_write(context);
        notes->fault_address = (uintptr_t)information->si_addr;
    }
    /* SA_RESETHAND has restored the default action, which ends the process when this handler returns. */
    raise(signal_number);
}

static void default_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL); /* fails for SIGKILL, SIGSTOP and the C library's own */
}

static void note_faults(struct kgen_worker_shared *shared)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    enum { STACK_BYTES = 65536 };
    fault_notes = shared;
    /* The handler needs a stack of its own where the fault is an overflow of the stack. */
    stack_t stack = {.ss_size = STACK_BYTES};
    stack.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp != MAP_FAILED)
        sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND)};
    action.sa_sigaction = note_signal;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < KGEN_COUNT_OF(signals); i++)
        sigaction(signals[i], &action, NULL);
}

/* Redirects stdin and stdout: stdout carries results, and the child has a copy of the parent's buffer. */
static void silence(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (null > STDERR_FILENO)
        close(null);
}

/* Closes the host's descriptors. Above all, a copy of the socket of another thread's child would keep that
 * thread from seeing its child end. */
static void close_others(int kept)
{
#if defined(SYS_close_range)
    if ((kept <= 3 || syscall(SYS_close_range, 3u, (unsigned)kept - 1, 0u) == 0) &&
        syscall(SYS_close_range, (unsigned)kept + 1, ~0u, 0u) == 0)
        return;
#endif
    const long most = sysconf(_SC_OPEN_MAX);
    for (int i = 3; i < (most > 0 && most < 65536 ? (int)most : 65536); i++) {
        if (i != kept)
            close(i);
    }
}

/* The size of this process's address space; 0 where it is unknown. */
static size_t address_space_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit_resources(size_t memory_bytes)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    size_t used = memory_bytes > 0 ? address_space_bytes() : 0;
    struct rlimit memory;
    if (used == 0 || getrlimit(RLIMIT_AS, &memory) != 0)
        return;
    rlim_t wanted = (rlim_t)used + (rlim_t)memory_bytes;
    if (memory.rlim_max == RLIM_INFINITY || wanted < memory.rlim_max) {
        memory.rlim_cur = wanted;
        setrlimit(RLIMIT_AS, &memory);
    }
}

/* Receives the index of the next job. Returns false where there is none and the child should end. */
static bool next_job(int socket, size_t *index)
{
    unsigned char *to = (unsigned char *)index;
    size_t missing = sizeof *index;
    while (missing > 0) {
        ssize_t length = read(socket, to, missing);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            return false;
        to += length;
        missing -= (size_t)length;
    }
    return true;
}

_Noreturn void kgen_worker_child(struct kgen_worker *worker, pid_t parent, const struct kgen_worker_job *job)
{
    default_signals();
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* the parent ended before prctl */
        _exit(0);
    silence();
    close_others(worker->socket);
    limit_resources(job->memory_bytes);
    note_faults(worker->shared);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    size_t index;
    while (next_job(worker->socket, &index)) {
        job->run(index, worker->shared->result, worker, job->context);
        ssize_t sent;
        do {
            sent = write(worker->socket, "", 1);
        } while (sent < 0 && errno == EINTR);
        if (sent != 1)
            break;
    }
    _exit(0);
}
