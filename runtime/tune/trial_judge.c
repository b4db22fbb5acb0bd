/* SPDX-License-Identifier: MIT */
/* What the sessions of a comparison say: a sign test, which asks nothing of how times are distributed. */
#include "runtime/tune/trial.h"

#include "runtime/tune/timing.h"

#include <math.h>
#include <string.h>

/* How likely at least hits of count fair coins are heads. */
static double tail(unsigned count, unsigned hits)
{
    double sum = 0, ways = 1;
    for (unsigned i = 0; i <= count; i++) {
        sum += i >= hits ? ways : 0;
        ways = ways * (count - i) / (i + 1);
    }
    return ldexp(sum, -(int)count);
}

unsigned kgen_comparison_sessions(size_t comparisons)
{
    const double doubt = KGEN_COMPARISON_DOUBT / (comparisons > 0 ? (double)comparisons : 1);
    unsigned sessions = 1;
    while (sessions < KGEN_COMPARISON_SESSIONS && tail(sessions, sessions - 1) > doubt)
        sessions++;
    return sessions;
}

void kgen_comparison_judge(struct kgen_comparison *comparison, size_t comparisons)
{
    const double doubt = KGEN_COMPARISON_DOUBT / (comparisons > 0 ? (double)comparisons : 1);
    const unsigned count = comparison->sessions;
    double sorted[KGEN_COMPARISON_SESSIONS];
    unsigned faster = 0, slower = 0, outside = 0;
    for (unsigned i = 0; i < count; i++) {
        faster += comparison->ratios[i] >= 1 + KGEN_COMPARISON_GAIN;
        slower += comparison->first_ratios[i] <= 1 - KGEN_COMPARISON_GAIN;
    }
    memcpy(sorted, comparison->ratios, count * sizeof *sorted);
    comparison->ratio = kgen_median(sorted, count);
    /* The order statistics between which the median lies. */
    while (2 * (outside + 1) < count && tail(count, count - outside - 1) <= doubt)
        outside++;
    comparison->low = sorted[outside];
    comparison->high = sorted[count - 1 - outside];
    comparison->doubt_faster = tail(count, faster);
    comparison->doubt_slower = tail(count, slower);
    comparison->result = comparison->doubt_faster <= doubt   ? KGEN_COMPARISON_FASTER
                         : comparison->doubt_slower <= doubt ? KGEN_COMPARISON_SLOWER
                                                             : KGEN_COMPARISON_SAME;
}
