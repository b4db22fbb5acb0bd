/* SPDX-License-Identifier: MIT */
#include "runtime/tune/contest.h"

#include <stdlib.h>

#include "runtime/tune/reader.h"

/* The state of a running contest. */
struct state {
    struct kgen_team *team; /* one for all: the idle threads of a second team would disturb */
    struct kgen_reader *reader;
    struct kgen_timed timed[KGEN_CONTESTANTS];
    size_t opened;
    double *samples; /* rounds for each contestant, then for the reader */
};

static void announce(const struct kgen_contest *contest, size_t kernel)
{
    if (contest->before != NULL)
        contest->before(contest->context, kernel);
}

static int open_state(struct state *state, const struct kgen_contest *contest,
                      const struct kgen_contestant *contestants, size_t count, struct kgen_error *error)
{
    const struct kgen_problem *problem = &contestants[0].kernel.problem;
    const int threads = (int)problem->threads;
    state->samples = calloc((count + 1) * contest->rounds + 1, sizeof *state->samples);
    if (state->samples == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    state->team = kgen_team_new(threads, error);
    if (state->team == NULL)
        return -1;
    kgen_team_pin(state->team);
    if (kgen_timing_is_cold(problem)) {
        state->reader = kgen_reader_open(contest->machine, contest->templates, threads, error);
        if (state->reader == NULL)
            return -1;
    }
    for (size_t i = 0; i < count; i++, state->opened++) {
        announce(contest, i);
        if (kgen_timed_open(&state->timed[i], &contestants[i].kernel, contest->buffers, state->team, error) !=
            0)
            return -1;
    }
    return 0;
}

static bool takes_part(const struct kgen_contestant *contestant, unsigned round)
{
    return contestant->most_rounds == 0 || round < contestant->most_rounds;
}

/* Each round begins with another kernel, because what a kernel leaves in the caches may speed up the next. */
static void run_rounds(struct state *state, const struct kgen_contest *contest,
                       const struct kgen_contestant *contestants, size_t count)
{
    const bool cold = state->reader != NULL;
    const unsigned rounds = contest->rounds;
    size_t copy = 0;
    for (unsigned round = 0; round < rounds; round++) {
        if (cold)
            state->samples[count * rounds + round] =
                kgen_reader_pass(state->reader, kgen_timing_buffers_copy(contest->buffers, copy++),
                                 contest->buffers->copy_bytes, state->team);
        for (size_t place = 0; place < count; place++) {
            const size_t i = (round + place) % count;
            if (!takes_part(&contestants[i], round))
                continue;
            announce(contest, i);
            state->timed[i].next_copy = copy;
            state->samples[i * rounds + round] = kgen_timed_sample(&state->timed[i], cold);
            copy = state->timed[i].next_copy;
        }
    }
}

/* The level of a round: the median of the samples in it, of the reader and the kernels that take part in all
 * rounds. */
static double level_of(const struct state *state, const struct kgen_contest *contest,
                       const struct kgen_contestant *contestants, size_t count, unsigned round)
{
    double samples[KGEN_CONTESTANTS + 1];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (takes_part(&contestants[i], contest->rounds - 1))
            samples[used++] = state->samples[i * contest->rounds + round];
    }
    if (state->reader != NULL)
        samples[used++] = state->samples[count * contest->rounds + round];
    return used > 0 ? kgen_median(samples, used) : 1;
}

/* The machine may be faster in some rounds than in others, by more than the kernels differ. So each sample is
 * divided by the level of its round, and the median of these is multiplied by the median level. */
static void compute_times(struct state *state, const struct kgen_contest *contest,
                          struct kgen_contestant *contestants, size_t count, double *read_seconds)
{
    const unsigned rounds = contest->rounds;
    double levels[KGEN_CONTEST_ROUNDS];
    for (unsigned round = 0; round < rounds; round++) {
        const double level = levels[round] = level_of(state, contest, contestants, count, round);
        for (size_t i = 0; i <= count; i++)
            state->samples[i * rounds + round] /= level;
    }
    const double level = kgen_median(levels, rounds), noise = kgen_noise(levels, rounds);
    for (size_t i = 0; i < count; i++) {
        const unsigned most = contestants[i].most_rounds;
        contestants[i].noise = noise;
        contestants[i].seconds =
            level * kgen_median(state->samples + i * rounds, most > 0 && most < rounds ? most : rounds);
    }
    if (state->reader != NULL)
        *read_seconds = level * kgen_median(state->samples + count * rounds, rounds);
}

int kgen_contest_run(const struct kgen_contest *contest, struct kgen_contestant *contestants, size_t count,
                     double *read_seconds, struct kgen_error *error)
{
    struct state state = {0};
    *read_seconds = 0;
    if (count == 0 || count > KGEN_CONTESTANTS || contest->rounds == 0 ||
        contest->rounds > KGEN_CONTEST_ROUNDS)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "a contest of %zu kernels in %u rounds",
                              count, contest->rounds);
    const int result = open_state(&state, contest, contestants, count, error);
    if (result == 0) {
        run_rounds(&state, contest, contestants, count);
        compute_times(&state, contest, contestants, count, read_seconds);
    }
    for (size_t i = 0; i < state.opened; i++)
        kgen_timed_close(&state.timed[i]);
    kgen_reader_close(state.reader);
    kgen_team_free(state.team);
    free(state.samples);
    return result;
}
