/* SPDX-License-Identifier: MIT */
/* struct winsize and TIOCGWINSZ are not in POSIX. */
#define _DEFAULT_SOURCE
#include "runtime/command/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DRAWS_PER_SECOND 15.0

static bool is_live_terminal(void)
{
    const char *terminal = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");
    return isatty(STDERR_FILENO) && (no_colour == NULL || no_colour[0] == '\0') &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void kgen_progress_init(struct kgen_progress *progress, const struct kgen_options *options, size_t total)
{
    *progress = (struct kgen_progress){
        .live = !options->quiet && !options->verbose && is_live_terminal(),
        .plain = !options->quiet && !options->verbose && !is_live_terminal(),
        .verbose = options->verbose,
        .total = total,
    };
}

static void draw(struct kgen_progress *progress, const char *text)
{
    if (!progress->live)
        return;
    fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, text);
    fflush(stderr);
    progress->drawn = true;
    progress->last_drawn = seconds_now();
}

void kgen_progress_note(struct kgen_progress *progress, const char *phrase)
{
    if (progress->plain)
        kgen_say("kgen: %s", phrase);
    draw(progress, phrase);
}

void kgen_progress_clear(struct kgen_progress *progress)
{
    if (progress->drawn)
        fprintf(stderr, "\r\033[K");
    progress->drawn = false;
}

void kgen_progress_begin(struct kgen_progress *progress, size_t number, const char *described, double bytes)
{
    progress->problem = described;
    progress->number = number;
    progress->bytes = bytes;
    progress->best = 0;
    progress->said = false;
    progress->last_drawn = 0;
}

static void print_candidate(const struct kgen_progress *progress, const struct kgen_record *record,
                            double seconds, unsigned done, unsigned total)
{
    fprintf(stderr, "[%zu/%zu] %s: %u/%u %s: %s", progress->number, progress->total, progress->problem, done,
            total, record->variant, kgen_verdict_name(record->verdict));
    if (record->verdict != KGEN_PASSED)
        fprintf(stderr, ": %s\n", record->detail);
    else if (seconds > 0)
        fprintf(stderr, ", %.3f of its bound, %.1f us, %.1f GB/s, compiled in %.2f ms\n",
                record->error_of_bound, seconds * 1e6, progress->bytes / seconds * 1e-9,
                record->compile_seconds * 1e3);
    else
        fprintf(stderr, ", %.3f of its bound, compiled in %.2f ms\n", record->error_of_bound,
                record->compile_seconds * 1e3);
}

void kgen_progress_candidate(void *context, const struct kgen_problem *problem,
                             const struct kgen_record *record, unsigned done, unsigned total)
{
    struct kgen_progress *progress = context;
    const double seconds = kgen_record_seconds(problem, record);
    if (record->verdict == KGEN_PASSED && seconds > 0 && progress->bytes / seconds > progress->best)
        progress->best = progress->bytes / seconds;
    if (progress->plain && !progress->said)
        kgen_say("kgen: [%zu/%zu] %s: up to %u candidate%s", progress->number, progress->total,
                 progress->problem, total, kgen_plural(total));
    progress->said = true;
    if (progress->verbose)
        print_candidate(progress, record, seconds, done, total);
    if (!progress->live || (done < total && seconds_now() - progress->last_drawn < 1 / DRAWS_PER_SECOND))
        return;
    char text[512], best[48] = "";
    if (progress->best > 0)
        snprintf(best, sizeof best, ", best %.1f GB/s", progress->best * 1e-9);
    snprintf(text, sizeof text, "[%*zu/%zu] %.300s  %u/%u candidates%s", progress->total < 10 ? 1 : 2,
             progress->number, progress->total, progress->problem, done, total, best);
    draw(progress, text);
}
