/* SPDX-License-Identifier: MIT */
/* Problems given in C become a spec. */
#include "runtime/api/plan.h"

#include <stdlib.h>
#include <string.h>

static const char source[] = "requests";

enum member_kind { MEMBER_INT64, MEMBER_INT, MEMBER_REAL, MEMBER_WORD };

#define MEMBER(name, kind)                                                                                   \
    {                                                                                                        \
#name, kind, offsetof(struct kgen_request, name)                                                     \
    }

/* Called as the fields of problems are. */
static const struct {
    const char *name;
    enum member_kind kind;
    size_t offset;
} members[] = {
    MEMBER(N, MEMBER_INT64),
    MEMBER(K, MEMBER_INT64),
    MEMBER(bits, MEMBER_INT64),
    MEMBER(group_size, MEMBER_INT64),
    MEMBER(mode, MEMBER_WORD),
    MEMBER(scales, MEMBER_WORD),
    MEMBER(activations, MEMBER_WORD),
    MEMBER(layout, MEMBER_WORD),
    MEMBER(rows, MEMBER_INT64),
    MEMBER(size, MEMBER_INT64),
    MEMBER(residual, MEMBER_INT),
    MEMBER(weight_plus_one, MEMBER_INT),
    MEMBER(eps, MEMBER_REAL),
    MEMBER(heads, MEMBER_INT64),
    MEMBER(head_dim, MEMBER_INT64),
    MEMBER(rotary_dim, MEMBER_INT64),
    MEMBER(pairing, MEMBER_WORD),
    MEMBER(scaling, MEMBER_WORD),
    MEMBER(theta, MEMBER_REAL),
    MEMBER(factor, MEMBER_REAL),
    MEMBER(low_freq_factor, MEMBER_REAL),
    MEMBER(high_freq_factor, MEMBER_REAL),
    MEMBER(original_max_position_embeddings, MEMBER_INT64),
};

/* A member as it stands in the request. */
struct value {
    bool given;
    int64_t integer;
    double real;
    const char *word;
};

static struct value read_member(const struct kgen_request *request, size_t index)
{
    const char *at = (const char *)request + members[index].offset;
    struct value value = {0};
    int small;
    switch (members[index].kind) {
    case MEMBER_INT64:
        memcpy(&value.integer, at, sizeof value.integer);
        value.given = value.integer != 0;
        break;
    case MEMBER_INT:
        memcpy(&small, at, sizeof small);
        value.integer = small;
        value.given = small != 0;
        break;
    case MEMBER_REAL:
        memcpy(&value.real, at, sizeof value.real);
        value.given = value.real < 0 || value.real > 0 || value.real != value.real;
        break;
    case MEMBER_WORD:
        memcpy(&value.word, at, sizeof value.word);
        value.given = value.word != NULL;
        break;
    }
    return value;
}

static int find_word(const char *name)
{
    for (int word = KGEN_WORD_NONE + 1; word < KGEN_WORD_COUNT; word++) {
        if (strcmp(kgen_word_name((enum kgen_word)word), name) == 0)
            return word;
    }
    return KGEN_WORD_NONE;
}

static const struct kgen_field *find_field(const struct kgen_op_info *op, const char *name)
{
    for (size_t i = 0; i < op->field_count; i++) {
        if (strcmp(op->fields[i].name, name) == 0)
            return &op->fields[i];
    }
    return NULL;
}

static int set_field(struct kgen_problem *problem, const struct kgen_field *field, const struct value *value,
                     int number, struct kgen_error *error)
{
    if (field->kind == KGEN_FIELD_REAL)
        kgen_field_set_real(problem, field, value->real);
    else
        kgen_field_set(problem, field,
                       field->kind == KGEN_FIELD_WORD ? find_word(value->word) : value->integer);
    if (kgen_field_holds(problem, field))
        return 0;
    struct kgen_text allowed = {0};
    kgen_field_describe(field, &allowed);
    kgen_error_set(error, KGEN_ERROR_USAGE, source, number, 0, "%s must be %s", field->name,
                   allowed.failed ? "another" : allowed.data);
    kgen_text_free(&allowed);
    return -1;
}

static int read_request(const struct kgen_request *request, int number, struct kgen_problem *problem,
                        struct kgen_error *error)
{
    enum kgen_op op;
    if (request->op == NULL || kgen_op_parse(request->op, &op) != 0)
        return kgen_error_set(error, KGEN_ERROR_USAGE, source, number, 0, "there is no op \"%s\"",
                              request->op != NULL ? request->op : "");
    const struct kgen_op_info *info = kgen_op_info(op);
    kgen_problem_init(problem, op);
    for (size_t i = 0; i < KGEN_COUNT_OF(members); i++) {
        const struct value value = read_member(request, i);
        const struct kgen_field *field = find_field(info, members[i].name);
        if (value.given && field == NULL)
            return kgen_error_set(error, KGEN_ERROR_USAGE, source, number, 0, "%s has no %s", info->name,
                                  members[i].name);
        if (value.given && set_field(problem, field, &value, number, error) != 0)
            return -1;
        if (!value.given && field != NULL && field->required)
            return kgen_error_set(error, KGEN_ERROR_USAGE, source, number, 0, "%s needs %s: %s", info->name,
                                  field->name, field->meaning);
    }
    if (op == KGEN_OP_ROPE && problem->rotary_dim == 0)
        problem->rotary_dim = problem->head_dim;
    struct kgen_error found = {0};
    if (kgen_problem_check(problem, source, number, 0, &found) == 0)
        return 0;
    found.code = KGEN_ERROR_USAGE;
    if (error->code == KGEN_ERROR_NONE)
        *error = found;
    return -1;
}

/* Adds a problem to the entries, or its tensor to the entry that has it. */
static int add_entry(struct kgen_spec *spec, const struct kgen_problem *problem, const char *tensor)
{
    struct kgen_text text = {0}, wanted = {0}, tensors = {0};
    struct kgen_spec_entry *entry = NULL;
    kgen_problem_write(problem, &wanted);
    for (size_t i = 0; i < spec->count && entry == NULL; i++) {
        kgen_text_clear(&text);
        kgen_problem_write(&spec->entries[i].problem, &text);
        if (!text.failed && !wanted.failed && strcmp(text.data, wanted.data) == 0)
            entry = &spec->entries[i];
    }
    kgen_text_free(&text);
    const bool failed = wanted.failed;
    kgen_text_free(&wanted);
    if (entry == NULL) {
        entry = &spec->entries[spec->count++];
        *entry = (struct kgen_spec_entry){.problem = *problem};
    }
    if (entry->tensors != NULL)
        kgen_text_puts(&tensors, entry->tensors);
    if (tensor != NULL)
        kgen_text_printf(&tensors, "%s%s", tensors.length > 0 ? ", " : "", tensor);
    else
        kgen_text_puts(&tensors, "");
    free(entry->tensors);
    entry->tensors = tensors.data;
    entry->calls++;
    return failed || tensors.failed ? -1 : 0;
}

struct kgen_spec *kgen_requests_read(const struct kgen_request *requests, size_t count,
                                     struct kgen_error *error)
{
    if (count == 0) {
        kgen_error_set(error, KGEN_ERROR_USAGE, source, 0, 0, "there is nothing to solve");
        return NULL;
    }
    struct kgen_spec *spec = calloc(1, sizeof *spec);
    if (spec != NULL) {
        spec->name = strdup(source);
        spec->identifier = strdup(source);
        spec->summary = strdup("");
        spec->entries = calloc(count, sizeof *spec->entries);
    }
    int result = spec != NULL && spec->name != NULL && spec->identifier != NULL && spec->summary != NULL &&
                         spec->entries != NULL
                     ? 0
                     : kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct kgen_problem problem;
        result = read_request(&requests[i], (int)i + 1, &problem, error);
        if (result == 0 && add_entry(spec, &problem, requests[i].tensor) != 0)
            result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    if (result == 0)
        return spec;
    kgen_spec_free(spec);
    return NULL;
}
