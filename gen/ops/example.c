/* SPDX-License-Identifier: MIT */
#include "gen/ops/example.h"

/* What a required field may be, the first first. */
static const int64_t sizes[] = {64, 4, 32, 128, 256, 16, 8, 2, 1};
enum { MOST_TRIES = 100000 };

/* Sets each required field by the digits of a number. Returns false beyond the last number. */
static bool set_fields(const struct kgen_op *op, size_t number, struct kgen_problem *problem)
{
    kgen_problem_init(problem, op);
    for (size_t i = op->field_count; i-- > 0;) {
        if (!op->fields[i].required)
            continue;
        if (op->fields[i].kind == KGEN_FIELD_REAL) {
            problem->values[i].real = op->fields[i].minimum;
            continue;
        }
        problem->values[i].integer = sizes[number % KGEN_COUNT_OF(sizes)];
        number /= KGEN_COUNT_OF(sizes);
    }
    return number == 0;
}

int kgen_problem_example(const struct kgen_op *op, struct kgen_problem *problem)
{
    for (size_t number = 0; number < MOST_TRIES && set_fields(op, number, problem); number++) {
        kgen_problem_complete(problem);
        if (kgen_problem_check(problem, NULL, 0, 0, NULL) == 0)
            return 0;
    }
    return -1;
}

void kgen_problem_write_required(const struct kgen_problem *problem, struct kgen_text *text)
{
    kgen_text_printf(text, "{\"op\":\"%s\"", problem->op->name);
    for (size_t i = 0; i < problem->op->field_count; i++) {
        const struct kgen_field *field = &problem->op->fields[i];
        if (!field->required)
            continue;
        kgen_text_printf(text, ",\"%s\":", field->name);
        if (field->kind == KGEN_FIELD_REAL)
            kgen_text_real(text, problem->values[i].real);
        else
            kgen_text_printf(text, "%lld", (long long)problem->values[i].integer);
    }
    kgen_text_puts(text, "}");
}
