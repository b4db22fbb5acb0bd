/* SPDX-License-Identifier: MIT */
/* The names of verdicts, and the verdict on a job that did not end well. */
#include "gen/base/strings.h"
#include "runtime/prove/verify.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char *const names[KGEN_VERDICT_COUNT] = {
    "passed",         "wrong_element",  "unwritten_element", "write_past_end", "read_past_end",
    "input_changed",  "not_repeatable", "threads_differ",    "crashed",        "timed_out",
    "compile_failed", "no_candidate",   "worker_exited",
};

const char *kgen_verdict_name(enum kgen_verdict verdict)
{
    return names[verdict];
}

int kgen_verdict_parse(const char *name, enum kgen_verdict *verdict)
{
    const int found = kgen_string_find(names, KGEN_VERDICT_COUNT, name);
    if (found >= 0)
        *verdict = (enum kgen_verdict)found;
    return found >= 0 ? 0 : -1;
}

void kgen_verification_fail(struct kgen_verification *verification, enum kgen_verdict verdict,
                            const struct kgen_error *error)
{
    verification->verdict = verdict;
    kgen_error_format(error, verification->detail, sizeof verification->detail);
}

void kgen_verification_not_compiled(struct kgen_verification *verification, const struct kgen_error *error)
{
    kgen_verification_fail(
        verification, error->code == KGEN_ERROR_CANDIDATE ? KGEN_NO_CANDIDATE : KGEN_COMPILE_FAILED, error);
}

static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } signals[] = {
        {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGILL, "SIGILL"},   {SIGFPE, "SIGFPE"},
        {SIGABRT, "SIGABRT"}, {SIGTRAP, "SIGTRAP"}, {SIGKILL, "SIGKILL"}, {SIGTERM, "SIGTERM"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(signals); i++)
        if (signals[i].number == number)
            return signals[i].name;
    return "an unusual signal";
}

/* A fault at a guard: what was done, where. */
static enum kgen_verdict guard_verdict(const struct kgen_outcome *outcome, char *text, size_t size)
{
    const char *did = outcome->fault_is_write ? "wrote" : "read";
    if (outcome->guard_kind == KGEN_GUARD_READ_ONLY) {
        snprintf(text, size, "wrote to %s at byte %zu of its pages", outcome->guarded_buffer,
                 outcome->guard_distance);
        return KGEN_INPUT_CHANGED;
    }
    snprintf(text, size, "%s byte %zu %s %s", did, outcome->guard_distance + 1,
             outcome->guard_kind == KGEN_GUARD_BEFORE ? "before the start of" : "past the end of",
             outcome->guarded_buffer);
    return outcome->fault_is_write ? KGEN_WRITE_PAST_END : KGEN_READ_PAST_END;
}

void kgen_outcome_verdict(const struct kgen_outcome *outcome, struct kgen_verification *verification)
{
    char text[112] = "";
    switch (outcome->kind) {
    case KGEN_OUTCOME_DONE:
        return;
    case KGEN_OUTCOME_SIGNAL:
        verification->verdict = KGEN_CRASHED;
        if (outcome->guarded_buffer != NULL)
            verification->verdict = guard_verdict(outcome, text, sizeof text);
        else if (outcome->fault)
            snprintf(text, sizeof text, "%s: a %s at %#llx", signal_name(outcome->signal),
                     outcome->fault_is_write ? "write" : "read", (unsigned long long)outcome->fault_address);
        else
            snprintf(text, sizeof text, "%s (%d)", signal_name(outcome->signal), outcome->signal);
        break;
    case KGEN_OUTCOME_TIMED_OUT:
        verification->verdict = KGEN_TIMED_OUT;
        snprintf(text, sizeof text, "not done within its time limit");
        break;
    case KGEN_OUTCOME_EXITED:
        verification->verdict = KGEN_WORKER_EXITED;
        snprintf(text, sizeof text, "the process ended with exit status %d", outcome->exit_status);
        break;
    }
    /* Where it happened: the stage, and the case that kgen_verify had at hand. */
    char place[112];
    snprintf(place, sizeof place, "%.*s", (int)sizeof place - 1, verification->detail);
    snprintf(verification->detail, sizeof verification->detail, "%s%s%.*s%s%s%s", text,
             outcome->stage[0] != '\0' ? " in " : "", (int)sizeof outcome->stage, outcome->stage,
             place[0] != '\0' ? " (" : "", place, place[0] != '\0' ? ")" : "");
}
