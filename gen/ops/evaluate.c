/* SPDX-License-Identifier: MIT */
/* Expressions of fields, as the tables of ops use them for shapes and conditions. */
#include "gen/ops/problem.h"

#include <ctype.h>
#include <string.h>

struct evaluation {
    const char *at;
    const struct kgen_problem *problem;
    bool fits;
};

static int64_t comparison(struct evaluation *e);

static void skip_spaces(struct evaluation *e)
{
    e->at += strspn(e->at, " ");
}

static bool take(struct evaluation *e, const char *symbol)
{
    skip_spaces(e);
    const size_t length = strlen(symbol);
    if (strncmp(e->at, symbol, length) != 0)
        return false;
    e->at += length;
    return true;
}

static int64_t number(struct evaluation *e)
{
    int64_t value = 0;
    for (; isdigit((unsigned char)*e->at); e->at++)
        value = value * 10 + (*e->at - '0');
    return value;
}

static int64_t name(struct evaluation *e)
{
    char text[64];
    size_t length = 0;
    for (; isalnum((unsigned char)*e->at) || *e->at == '_'; e->at++) {
        if (length + 1 < sizeof text)
            text[length++] = *e->at;
    }
    text[length] = '\0';
    if (kgen_problem_has(e->problem, text))
        return kgen_problem_get(e->problem, text);
    return kgen_constant_find(text);
}

static int64_t operand(struct evaluation *e)
{
    if (take(e, "(")) {
        const int64_t value = comparison(e);
        take(e, ")");
        return value;
    }
    skip_spaces(e);
    return isdigit((unsigned char)*e->at) ? number(e) : name(e);
}

static int64_t product(struct evaluation *e)
{
    int64_t value = operand(e);
    for (;;) {
        if (take(e, "*")) {
            if (__builtin_mul_overflow(value, operand(e), &value))
                e->fits = false;
        } else if (take(e, "/")) {
            const int64_t divisor = operand(e);
            value = divisor != 0 ? value / divisor : 0;
        } else {
            return value;
        }
    }
}

static int64_t sum(struct evaluation *e)
{
    int64_t value = product(e);
    for (;;) {
        if (take(e, "+")) {
            if (__builtin_add_overflow(value, product(e), &value))
                e->fits = false;
        } else if (take(e, "-")) {
            if (__builtin_sub_overflow(value, product(e), &value))
                e->fits = false;
        } else {
            return value;
        }
    }
}

static int64_t comparison(struct evaluation *e)
{
    const int64_t value = sum(e);
    if (take(e, "=="))
        return value == sum(e);
    if (take(e, "!="))
        return value != sum(e);
    if (take(e, "<"))
        return value < sum(e);
    if (take(e, ">"))
        return value > sum(e);
    return value;
}

bool kgen_problem_evaluate(const char *expression, const struct kgen_problem *problem, int64_t *value)
{
    struct evaluation e = {expression, problem, true};
    *value = comparison(&e);
    return e.fits && *value <= INT64_MAX / 2;
}
