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

struct member {
    struct kgen_team *team;
    pthread_t thread;
    size_t part;
};

struct kgen_team {
    size_t parts;
    size_t started; /* threads besides the caller's */
    struct member *members;
    kgen_team_job *job;
    void *context;
    atomic_uint generation; /* of the job; the threads wait for it to change */
    atomic_size_t working;
    atomic_bool ending;
    atomic_int looks;
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

/* Returns when the generation differs from the one that was seen. */
static void wait_for_job(struct kgen_team *team, unsigned seen)
{
    for (int i = 0; i < atomic_load(&team->looks) + YIELDS; i++) {
        if (atomic_load(&team->generation) != seen)
            return;
        if (i < atomic_load(&team->looks))
            relax();
        else
            sched_yield();
    }
    pthread_mutex_lock(&team->mutex);
    while (atomic_load(&team->generation) == seen)
        pthread_cond_wait(&team->wake, &team->mutex);
    pthread_mutex_unlock(&team->mutex);
}

static void next_generation(struct kgen_team *team)
{
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->generation, 1);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->mutex);
}

static void *work(void *argument)
{
    const struct member *member = argument;
    struct kgen_team *team = member->team;
    for (unsigned seen = 0;; seen++) {
        wait_for_job(team, seen);
        if (atomic_load(&team->ending))
            return NULL;
        team->job(team->context, member->part, team->parts);
        atomic_fetch_sub(&team->working, 1);
    }
}

struct kgen_team *kgen_team_new(int parts, struct kgen_error *error)
{
    struct kgen_team *team = calloc(1, sizeof *team);
    struct member *members = calloc(parts > 1 ? (size_t)parts : 1, sizeof *members);
    if (team == NULL || members == NULL) {
        free(team);
        free(members);
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return NULL;
    }
    team->parts = parts > 1 ? (size_t)parts : 1;
    team->members = members;
    atomic_store(&team->looks, LOOKS);
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->wake, NULL);
    while (team->started + 1 < team->parts) {
        struct member *member = &members[team->started];
        *member = (struct member){.team = team, .part = team->started + 1};
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
    next_generation(team);
    for (size_t i = 0; i < team->started; i++)
        pthread_join(team->members[i].thread, NULL);
    unpin(team);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->mutex);
    free(team->members);
    free(team);
}

void kgen_team_run(struct kgen_team *team, kgen_team_job *job, void *context)
{
    if (team == NULL) {
        job(context, 0, 1);
        return;
    }
    team->job = job;
    team->context = context;
    atomic_store(&team->working, team->started);
    if (team->started > 0)
        next_generation(team);
    job(context, 0, team->parts);
    for (size_t part = team->started + 1; part < team->parts; part++)
        job(context, part, team->parts);
    for (int i = 0; atomic_load(&team->working) > 0; i++) {
        if (i < atomic_load(&team->looks))
            relax();
        else
            sched_yield();
    }
}
