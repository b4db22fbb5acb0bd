/* SPDX-License-Identifier: MIT */
/* The spec that lists its problems. */
#include "gen/spec/reader.h"

#include <string.h>

#define PROBLEMS_MAX 4096
#define CALLS_MAX 1000000000

static int read_op(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                   enum kgen_op *op)
{
    const char *name = NULL;
    int found = kgen_spec_string(reader, path, object, "op", &name);
    if (found < 0)
        return -1;
    const char *names[KGEN_OP_COUNT];
    for (size_t i = 0; i < KGEN_OP_COUNT; i++)
        names[i] = kgen_op_info((enum kgen_op)i)->name;
    if (found == 0) {
        kgen_spec_fail(reader, path, "a problem needs \"op\"");
        kgen_spec_hint_nearest(reader, "", names, KGEN_OP_COUNT);
        return -1;
    }
    if (kgen_op_parse(name, op) == 0)
        return 0;
    struct kgen_json_path member = {path, "op", 0};
    kgen_spec_fail(reader, &member, "there is no op \"%s\"", name);
    kgen_spec_hint_nearest(reader, name, names, KGEN_OP_COUNT);
    return -1;
}

static int check_keys(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                      json_t *object, const struct kgen_op_info *info)
{
    const char *names[32] = {"op", "tensors", "calls"};
    size_t count = 3;
    for (size_t i = 0; i < info->field_count && count < KGEN_COUNT_OF(names); i++)
        names[count++] = info->fields[i].name;
    struct kgen_text owner = {0};
    kgen_text_printf(&owner, "a problem of op %s", info->name);
    int result = owner.failed ? kgen_spec_fail_memory(reader)
                              : kgen_spec_check_keys(reader, path, object, owner.data, names, count);
    kgen_text_free(&owner);
    return result;
}

/* What the command line and the head of the spec give to problems that do not say it themselves. */
static void set_defaults(const struct kgen_spec_reader *reader, struct kgen_problem *problem)
{
    if (problem->op != KGEN_OP_QMV && problem->op != KGEN_OP_DEQUANTIZE)
        return;
    problem->bits = reader->options->bits;
    problem->group_size = reader->options->group_size;
    if (reader->scales != KGEN_WORD_NONE)
        problem->scales = reader->scales;
    if (problem->op == KGEN_OP_QMV)
        problem->layout = reader->layout;
}

static int read_fields(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       json_t *object, struct kgen_problem *problem)
{
    const struct kgen_op_info *info = kgen_op_info(problem->op);
    for (size_t i = 0; i < info->field_count; i++) {
        const struct kgen_field *field = &info->fields[i];
        json_t *value = json_object_get(object, field->name);
        if (strcmp(field->name, "activations") == 0)
            continue;
        struct kgen_json_path member = {path, field->name, 0};
        if (value != NULL) {
            if (kgen_spec_field(reader, &member, value, info->name, field, problem) != 0)
                return -1;
        } else if (field->required && kgen_field_get(problem, field) == 0) {
            kgen_spec_fail(reader, path, "%s needs \"%s\": %s", info->name, field->name, field->meaning);
            return -1;
        }
    }
    if (problem->op == KGEN_OP_ROPE && problem->rotary_dim == 0)
        problem->rotary_dim = problem->head_dim;
    return 0;
}

static int add_problem(struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                       const struct kgen_problem *problem, const char *tensors, int64_t calls)
{
    bool weight = problem->op == KGEN_OP_QMV || problem->op == KGEN_OP_DEQUANTIZE;
    struct kgen_json_path place = {path, "K", 0};
    const struct kgen_json_path *blame = weight ? &place : path;
    if (problem->op != KGEN_OP_QMV)
        return kgen_spec_add(reader, blame, problem, tensors, -1, calls);

    int64_t words[3];
    size_t count = reader->activation_count;
    memcpy(words, reader->activations, sizeof words);
    json_t *value = json_object_get(object, "activations");
    struct kgen_json_path member = {path, "activations", 0};
    if (value != NULL && kgen_spec_activations(reader, &member, value, words, &count) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct kgen_problem each = *problem;
        each.activations = words[i];
        if (kgen_spec_add(reader, blame, &each, tensors, -1, calls) != 0)
            return -1;
    }
    return 0;
}

static int read_problem(struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object)
{
    if (!json_is_object(object)) {
        char found[KGEN_SPEC_EXCERPT];
        return kgen_spec_fail(reader, path, "a problem must be an object, not %s",
                              kgen_spec_excerpt(reader, path, found));
    }
    enum kgen_op op = KGEN_OP_COUNT;
    if (read_op(reader, path, object, &op) != 0)
        return -1;
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    set_defaults(reader, &problem);
    const char *tensors = NULL;
    int64_t calls = 1;
    if (check_keys(reader, path, object, kgen_op_info(op)) != 0 ||
        read_fields(reader, path, object, &problem) != 0 ||
        kgen_spec_string(reader, path, object, "tensors", &tensors) < 0 ||
        kgen_spec_integer(reader, path, object, "calls", 1, CALLS_MAX, &calls) < 0)
        return -1;
    return add_problem(reader, path, object, &problem, tensors, calls);
}

int kgen_spec_read_problems(struct kgen_spec_reader *reader, json_t *root)
{
    static const char *const names[] = {"kgen_schema", "name", "scales", "activations", "layout", "problems"};
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
    for (size_t i = 0; i < count; i++) {
        struct kgen_json_path element = {&path, NULL, i};
        if (read_problem(reader, &element, json_array_get(problems, i)) != 0)
            return -1;
    }
    struct kgen_text summary = {0};
    kgen_text_printf(&summary, "a list of %zu problem%s", count, count == 1 ? "" : "s");
    reader->spec->summary = summary.data;
    return summary.failed ? kgen_spec_fail_memory(reader) : 0;
}
