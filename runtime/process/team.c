/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* pthread_setaffinity_np */
#include "runtime/process/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

/* How long a thread polls for a job before it sleeps: so many times without a pause, then so many times with
 * sched_yield between. A pinned team polls longer, as it may get the core back only milliseconds after a
 * yield. */
enum { LOOKS = 4000, PINNED_LOOKS = 200000, YIELDS = 2000 };

/* A part has at least so many bytes, where there are more than threads, and a thread has so many parts at
 * most. */
enum { PART_BYTES = 98304, PARTS_OF_THREAD = 8 };

/* A job and the next of its parts that nobody has taken, in one word, so that a thread that comes late takes
 * no part of a later job for one of its own. */
enum { PARTS_SHIFT = 16, GENERATION_SHIFT = 32, PARTS_MASK = KGEN_TEAM_PARTS_MAX };

struct member {
    struct kgen_team *team;
    pthread_t thread;
    size_t index;
};

struct kgen_team {
    size_t threads;
    size_t started; /* besides the caller's */
    struct member *members;
    _Atomic uint64_t ticket;
    atomic_size_t done; /* parts of the job */
    /* Read only by threads that have taken a part. */
    kgen_team_shared_job *job;
    void *context;
    atomic_bool ending;
    atomic_int looks;
    atomic_uint sleeping;
    pthread_mutex_t mutex; /* for threads that sleep */
    pthread_cond_t wake;
#if defined(__linux__)
    bool pinned;
    cpu_set_t unpinned; /* the caller's affinity before */
#endif
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t generation_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> GENERATION_SHIFT);
}

/* Returns the generation of a job that is not the one that was seen, or 0 where the team ends. */
static uint32_t wait_for_job(struct kgen_team *team, uint32_t seen)
{
    uint32_t generation;
    for (int i = 0; i < atomic_load(&team->looks) + YIELDS; i++) {
        generation = generation_of(atomic_load(&team->ticket));
        if (generation != seen)
            return generation;
        if (i < atomic_load(&team->looks))
            relax();
        else
            sched_yield();
    }
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->sleeping, 1);
    while ((generation = generation_of(atomic_load(&team->ticket))) == seen)
        pthread_cond_wait(&team->wake, &team->mutex);
    atomic_fetch_sub(&team->sleeping, 1);
    pthread_mutex_unlock(&team->mutex);
    return generation;
}

/* Begins a job. Its fields are set. */
static uint32_t next_generation(struct kgen_team *team, size_t parts)
{
    uint32_t generation = generation_of(atomic_load(&team->ticket)) + 1;
    atomic_store(&team->ticket, (uint64_t)generation << GENERATION_SHIFT | (uint64_t)parts << PARTS_SHIFT);
    if (atomic_load(&team->sleeping) > 0) {
        pthread_mutex_lock(&team->mutex);
        pthread_cond_broadcast(&team->wake);
        pthread_mutex_unlock(&team->mutex);
    }
    return generation;
}

/* Takes parts of a job and runs them, until none is left. */
static void run_parts(struct kgen_team *team, uint32_t generation, size_t thread)
{
    uint64_t ticket = atomic_load(&team->ticket);
    for (;;) {
        const size_t parts = ticket >> PARTS_SHIFT & PARTS_MASK, part = ticket & PARTS_MASK;
        if (generation_of(ticket) != generation || part == parts)
            return;
        if (!atomic_compare_exchange_weak(&team->ticket, &ticket, ticket + 1))
            continue;
        team->job(team->context, part, parts, thread);
        atomic_fetch_add(&team->done, 1);
        ticket = atomic_load(&team->ticket);
    }
}

static void *work(void *argument)
{
    const struct member *member = argument;
    struct kgen_team *team = member->team;
    for (uint32_t seen = 0;;) {
        seen = wait_for_job(team, seen);
        if (atomic_load(&team->ending))
            return NULL;
        run_parts(team, seen, member->index);
    }
}

struct kgen_team *kgen_team_new(int threads, struct kgen_error *error)
{
    struct kgen_team *team = calloc(1, sizeof *team);
    struct member *members = calloc(threads > 1 ? (size_t)threads : 1, sizeof *members);
    if (team == NULL || members == NULL) {
        free(team);
        free(members);
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return NULL;
    }
    team->threads = threads > 1 ? (size_t)threads : 1;
    team->members = members;
    atomic_store(&team->looks, LOOKS);
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->wake, NULL);
    while (team->started + 1 < team->threads) {
        struct member *member = &members[team->started];
        *member = (struct member){.team = team, .index = team->started + 1};
        if (pthread_create(&member->thread, NULL, work, member) != 0)
            break;
        team->started++;
    }
    return team;
}

#if defined(__linux__)
void kgen_team_pin(struct kgen_team *team)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 ||
        (size_t)CPU_COUNT(&allowed) != team->started + 1)
        return;
    team->pinned = true;
    atomic_store(&team->looks, PINNED_LOOKS);
    team->unpinned = allowed;
    size_t thread = 0;
    for (size_t processor = 0; processor < CPU_SETSIZE; processor++) {
        if (!CPU_ISSET(processor, &allowed))
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(processor, &one);
        pthread_setaffinity_np(thread == 0 ? pthread_self() : team->members[thread - 1].thread, sizeof one,
                               &one);
        thread++;
    }
}

static void unpin(struct kgen_team *team)
{
    if (team->pinned)
        pthread_setaffinity_np(pthread_self(), sizeof team->unpinned, &team->unpinned);
}
#else
void kgen_team_pin(struct kgen_team *team)
{
    (void)team;
}

static void unpin(struct kgen_team *team)
{
    (void)team;
}
#endif

void kgen_team_free(struct kgen_team *team)
{
    if (team == NULL)
        return;
    atomic_store(&team->ending, true);
    next_generation(team, 0);
    for (size_t i = 0; i < team->started; i++)
        pthread_join(team->members[i].thread, NULL);
    unpin(team);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->mutex);
    free(team->members);
    free(team);
}

void kgen_team_share(struct kgen_team *team, size_t parts, kgen_team_shared_job *job, void *context)
{
    if (team == NULL) {
        for (size_t part = 0; part < parts; part++)
            job(context, part, parts, 0);
        return;
    }
    team->job = job;
    team->context = context;
    atomic_store(&team->done, 0);
    run_parts(team, next_generation(team, parts), 0);
    for (int i = 0; atomic_load(&team->done) < parts; i++) {
        if (i < atomic_load(&team->looks))
            relax();
        else
            sched_yield();
    }
}

/* A job that does not ask which thread runs it. */
struct plain_job {
    kgen_team_job *job;
    void *context;
};

static void run_plain(void *context, size_t part, size_t parts, size_t thread)
{
    const struct plain_job *plain = context;
    (void)thread;
    plain->job(plain->context, part, parts);
}

void kgen_team_run(struct kgen_team *team, kgen_team_job *job, void *context)
{
    struct plain_job plain = {job, context};
    kgen_team_share(team, team != NULL ? team->threads : 1, run_plain, &plain);
}

size_t kgen_team_threads(const struct kgen_team *team)
{
    return team != NULL ? team->threads : 1;
}

size_t kgen_team_parts(const struct kgen_team *team, size_t bytes)
{
    const size_t threads = kgen_team_threads(team), parts = bytes / PART_BYTES;
    const size_t most = threads * PARTS_OF_THREAD;
    if (threads == 1 || parts < threads)
        return threads;
    /* As many for each thread, where they are as fast. */
    const size_t even = (parts + threads - 1) / threads * threads;
    return even < most ? even : most;
}

/* A job whose parts begin when every thread has taken one. */
struct meeting {
    struct plain_job plain;
    atomic_size_t arrived;
};

static void meet(void *context, size_t part, size_t parts, size_t thread)
{
    struct meeting *meeting = context;
    (void)part;
    atomic_fetch_add(&meeting->arrived, 1);
    while (atomic_load(&meeting->arrived) < parts)
        sched_yield();
    if (meeting->plain.job != NULL)
        meeting->plain.job(meeting->plain.context, thread, parts);
}

void kgen_team_run_together(struct kgen_team *team, kgen_team_job *job, void *context)
{
    struct meeting meeting = {.plain = {job, context}};
    kgen_team_share(team, team != NULL ? team->started + 1 : 1, meet, &meeting);
}

void kgen_team_wake(struct kgen_team *team)
{
    if (team != NULL)
        kgen_team_run_together(team, NULL, NULL);
}
