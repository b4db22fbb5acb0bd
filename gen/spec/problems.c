/* SPDX-License-Identifier: MIT */
/* The spec that lists its problems. */
#include "gen/ops/format.h"
#include "gen/spec/reader.h"

#include <string.h>

#define PROBLEMS_MAX 4096
#define OPS_MAX 256
#define CALLS_MAX 1000000000

static int read_op(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                   const struct kgen_op **op)
{
    const char *name = NULL;
    int found = kgen_spec_string(reader, path, object, "op", &name);
    if (found < 0)
        return -1;
    const char *names[OPS_MAX];
    size_t count = 0;
    while (count < kgen_op_count() && count < OPS_MAX) {
        names[count] = kgen_op_at(count)->name;
        count++;
    }
    if (found == 0) {
        kgen_spec_fail(reader, path, "a problem needs \"op\"");
        kgen_spec_hint_nearest(reader, "", names, count);
        return -1;
    }
    *op = kgen_op_find(name);
    if (*op != NULL)
        return 0;
    struct kgen_json_path member = {path, "op", 0};
    kgen_spec_fail(reader, &member, "there is no op \"%s\"", name);
    kgen_spec_hint_nearest(reader, name, names, count);
    return -1;
}

static int check_keys(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                      json_t *object, const struct kgen_op *op)
{
    const char *names[3 + 2 * KGEN_FIELDS_MAX] = {"op", "tensors", "calls"};
    size_t count = 3;
    for (size_t i = 0; i < op->field_count; i++) {
        names[count++] = op->fields[i].name;
        if (op->fields[i].former != NULL)
            names[count++] = op->fields[i].former;
    }
    struct kgen_text owner = {0};
    kgen_text_printf(&owner, "a problem of op %s", op->name);
    int result = owner.failed ? kgen_spec_fail_memory(reader)
                              : kgen_spec_check_keys(reader, path, object, owner.data, names, count);
    kgen_text_free(&owner);
    return result;
}

/* The options that give fields, and whether a problem of the list took each. */
static const char *const option_fields[] = {"bits",   "group_size",  "scale_dtype", "activation_dtype",
                                            "layout", "cache_dtype", "context"};

static bool is_given(const struct kgen_spec_options *options, size_t field)
{
    const int64_t values[] = {
        options->bits,   options->group_size,  options->scale_dtype, options->activation_dtypes[0],
        options->layout, options->cache_dtype, options->context};
    return values[field] != 0;
}

static int note_taken(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                      json_t *object, const struct kgen_op *op, unsigned *taken)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(option_fields); i++) {
        const struct kgen_field *field = kgen_op_field(op, option_fields[i]);
        const char *key;
        json_t *value = NULL;
        if (field != NULL && kgen_spec_member(reader, path, object, field, &key, &value) != 0)
            return -1;
        if (field != NULL && value == NULL)
            *taken |= 1u << i;
    }
    return 0;
}

/* A problem's own fields stand above the options, so that an option may change nothing. */
static int warn_of_options(struct kgen_spec_reader *reader, unsigned taken)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(option_fields); i++) {
        if (!is_given(reader->options, i) || (taken >> i & 1) != 0)
            continue;
        if (kgen_spec_warn(reader, "the option for %s changes nothing: no problem leaves it open.",
                           option_fields[i]) != 0)
            return -1;
    }
    if (reader->options->output_activation_dtype != KGEN_CONSTANT_NONE &&
        kgen_spec_warn(reader, "the option for output_activation_dtype changes nothing: it is for models.") !=
            0)
        return -1;
    return reader->options->prompt_rows > 0
               ? kgen_spec_warn(reader, "the option for prompt_rows changes nothing: it is for models.")
               : 0;
}

/* What the command line and the head of the spec give to problems that do not say it themselves. */
static void set_defaults(const struct kgen_spec_reader *reader, struct kgen_problem *problem)
{
    kgen_problem_set(problem, "bits", reader->options->bits);
    kgen_problem_set(problem, "group_size", reader->options->group_size);
    if (reader->scale_dtype != KGEN_CONSTANT_NONE)
        kgen_problem_set(problem, "scale_dtype", reader->scale_dtype);
    kgen_problem_set(problem, "layout", reader->layout);
    if (reader->options->cache_dtype != KGEN_CONSTANT_NONE)
        kgen_problem_set(problem, "cache_dtype", reader->options->cache_dtype);
    kgen_problem_set(problem, "context", reader->options->context);
}

/* A scheme with scales of one dtype has those where nobody says another. */
static void follow_scheme(struct kgen_problem *problem)
{
    const struct kgen_format *format = kgen_problem_format(problem);
    if (format != NULL && format->scale_dtype != 0)
        kgen_problem_set(problem, "scale_dtype", format->scale_dtype);
}

/* Reads what the problem says, lets the op set what follows from it, and asks for the rest. */
static int read_fields(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       json_t *object, struct kgen_problem *problem)
{
    const struct kgen_op *op = problem->op;
    bool scale_dtype = reader->scale_dtype != KGEN_CONSTANT_NONE;
    for (size_t i = 0; i < op->field_count; i++) {
        const struct kgen_field *field = &op->fields[i];
        struct kgen_json_path member = {path, field->name, 0};
        json_t *value;
        if (kgen_spec_member(reader, path, object, field, &member.key, &value) != 0)
            return -1;
        if (value != NULL && strcmp(field->name, "activation_dtype") != 0 &&
            kgen_spec_field(reader, &member, value, op->name, field, problem) != 0)
            return -1;
        scale_dtype = scale_dtype || (value != NULL && strcmp(field->name, "scale_dtype") == 0);
    }
    if (!scale_dtype)
        follow_scheme(problem);
    kgen_problem_complete(problem);
    for (size_t i = 0; i < op->field_count; i++) {
        const struct kgen_field *field = &op->fields[i];
        if (field->required && kgen_problem_value(problem, field)->integer == 0)
            return kgen_spec_fail(reader, path, "%s needs \"%s\": %s", op->name, field->name, field->meaning);
    }
    return 0;
}

static int add_problem(struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                       const struct kgen_problem *problem, const char *tensors, int64_t calls)
{
    const bool weight = kgen_problem_has(problem, "K");
    struct kgen_json_path place = {path, "K", 0};
    const struct kgen_json_path *blame = weight ? &place : path;
    const struct kgen_field *precision = kgen_op_field(problem->op, "activation_dtype");
    if (precision == NULL)
        return kgen_spec_add(reader, blame, problem, tensors, -1, calls);

    int64_t words[KGEN_SPEC_PRECISIONS_MAX];
    size_t count = reader->activation_count;
    memcpy(words, reader->activation_dtypes, sizeof words);
    struct kgen_json_path member = {path, NULL, 0};
    json_t *value;
    if (kgen_spec_member(reader, path, object, precision, &member.key, &value) != 0 ||
        (value != NULL && kgen_spec_activation_dtypes(reader, &member, value, words, &count) != 0))
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct kgen_problem each = *problem;
        kgen_problem_value(&each, precision)->integer = words[i];
        if (kgen_spec_add(reader, blame, &each, tensors, -1, calls) != 0)
            return -1;
    }
    return 0;
}

static int read_problem(struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                        unsigned *taken)
{
    if (!json_is_object(object)) {
        char found[KGEN_SPEC_EXCERPT];
        return kgen_spec_fail(reader, path, "a problem must be an object, not %s",
                              kgen_spec_excerpt(reader, path, found));
    }
    const struct kgen_op *op = NULL;
    if (read_op(reader, path, object, &op) != 0)
        return -1;
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    set_defaults(reader, &problem);
    const char *tensors = NULL;
    int64_t calls = 1;
    if (check_keys(reader, path, object, op) != 0 || note_taken(reader, path, object, op, taken) != 0 ||
        read_fields(reader, path, object, &problem) != 0 ||
        kgen_spec_string(reader, path, object, "tensors", &tensors) < 0 ||
        kgen_spec_integer(reader, path, object, "calls", 1, CALLS_MAX, &calls) < 0)
        return -1;
    return add_problem(reader, path, object, &problem, tensors, calls);
}

int kgen_spec_read_problems(struct kgen_spec_reader *reader, json_t *root)
{
    static const char *const names[] = {"kgen_schema",      "name",        "scale_dtype", "scales",
                                        "activation_dtype", "activations", "layout",      "problems"};
    if (kgen_spec_check_keys(reader, NULL, root, "a list of problems", names, KGEN_COUNT_OF(names)) != 0)
        return -1;
    json_t *problems = json_object_get(root, "problems");
    struct kgen_json_path path = {NULL, "problems", 0};
    if (!json_is_array(problems)) {
        char found[KGEN_SPEC_EXCERPT];
        return kgen_spec_fail(reader, &path, "\"problems\" must be an array, not %s",
                              kgen_spec_excerpt(reader, &path, found));
    }
    size_t count = json_array_size(problems);
    if (count == 0)
        return kgen_spec_fail(reader, &path, "\"problems\" is empty: there is nothing to solve");
    if (count > PROBLEMS_MAX)
        return kgen_spec_fail(reader, &path, "\"problems\" has %zu problems; %d are the most", count,
                              PROBLEMS_MAX);
    unsigned taken = 0;
    for (size_t i = 0; i < count; i++) {
        struct kgen_json_path element = {&path, NULL, i};
        if (read_problem(reader, &element, json_array_get(problems, i), &taken) != 0)
            return -1;
    }
    if (warn_of_options(reader, taken) != 0)
        return -1;
    struct kgen_text summary = {0};
    kgen_text_printf(&summary, "a list of %zu problem%s", count, count == 1 ? "" : "s");
    reader->spec->summary = summary.data;
    return summary.failed ? kgen_spec_fail_memory(reader) : 0;
}
