/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* realpath */
/* Reads a spec: the options, the keys that both kinds have, and the name. */
#include "gen/base/file.h"
#include "gen/base/strings.h"
#include "gen/spec/json_load.h"
#include "gen/spec/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_LENGTH_MAX 100

/* ---- the name ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_character(char c)
{
    return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
}

/* Checks a name. It becomes the name of a folder and a part of C identifiers, so that "..", "-x" and ".x" are
 * refused. */
static bool is_name(const char *name, size_t length)
{
    if (length == 0 || length > NAME_LENGTH_MAX || name[0] == '.' || name[0] == '-')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!is_name_character(name[i]))
            return false;
    }
    return true;
}

/* Makes a name of any text: what a name cannot have becomes "_". The caller frees it. */
static char *make_name(const char *text, size_t length)
{
    while (length > 0 && (*text == '.' || *text == '-')) {
        text++;
        length--;
    }
    if (length == 0)
        return strdup("spec");
    char *name = strndup(text, length < NAME_LENGTH_MAX ? length : NAME_LENGTH_MAX);
    for (char *c = name; c != NULL && *c != '\0'; c++) {
        if (!is_name_character(*c))
            *c = '_';
    }
    return name;
}

static bool is_keyword(const char *word)
{
    static const char *const keywords[] = {
        "alignas", "alignof",       "asm",      "auto",     "bool",         "break",  "case",    "char",
        "const",   "continue",      "default",  "do",       "double",       "else",   "enum",    "extern",
        "false",   "float",         "for",      "goto",     "if",           "inline", "int",     "long",
        "main",    "nullptr",       "register", "restrict", "return",       "short",  "signed",  "sizeof",
        "static",  "static_assert", "struct",   "switch",   "thread_local", "true",   "typedef", "typeof",
        "union",   "unsigned",      "void",     "volatile", "while"};
    return kgen_string_find(keywords, KGEN_COUNT_OF(keywords), word) >= 0;
}

static char *make_identifier(const char *name)
{
    struct kgen_text text = {0};
    for (const char *c = name; *c != '\0'; c++) {
        char letter = *c;
        if (letter >= 'A' && letter <= 'Z')
            letter = (char)(letter - 'A' + 'a');
        else if (!is_letter(letter) && !is_digit(letter))
            letter = '_';
        kgen_text_append(&text, &letter, 1);
    }
    if (!text.failed && is_letter(text.data[0]) && !is_keyword(text.data))
        return text.data;
    struct kgen_text prefixed = {0};
    if (!text.failed)
        kgen_text_printf(&prefixed, "kgen_%s", text.data);
    kgen_text_free(&text);
    return prefixed.data;
}

static int set_name(struct kgen_spec_reader *reader, json_t *root)
{
    struct kgen_json_path path = {NULL, "name", 0};
    const char *name = NULL;
    int found = kgen_spec_string(reader, NULL, root, "name", &name);
    if (found < 0)
        return -1;
    size_t length = name != NULL ? strlen(name) : 0;
    if (found == 1 && !is_name(name, length)) {
        kgen_spec_fail(reader, &path, "\"%.*s\" cannot be a name", NAME_LENGTH_MAX, name);
        kgen_error_hint(reader->error,
                        "a name is made of letters, digits, '-', '_' and '.', does not start with "
                        "'-' or '.', and has at most %d characters",
                        NAME_LENGTH_MAX);
        return -1;
    }
    if (found == 0) {
        const char *slash = strrchr(reader->file_name, '/');
        name = slash != NULL ? slash + 1 : reader->file_name;
        length = strlen(name);
        if (length > 5 && strcmp(name + length - 5, ".json") == 0)
            length -= 5;
    }
    reader->spec->name = found == 0 ? make_name(name, length) : strndup(name, length);
    if (reader->spec->name != NULL)
        reader->spec->identifier = make_identifier(reader->spec->name);
    return reader->spec->identifier != NULL ? 0 : kgen_spec_fail_memory(reader);
}

/* ---- keys of both kinds, and options ---- */

/* The first op that has a field of that name; there is one. */
static const struct kgen_op *op_of_option(const char *name)
{
    size_t i = 0;
    while (i + 1 < kgen_op_count() && kgen_op_field(kgen_op_at(i), name) == NULL)
        i++;
    return kgen_op_at(i);
}

/* Whether the field of that name may have the value; if not, appends to expected what it may have. */
static bool option_holds(const char *name, int64_t value, struct kgen_text *expected)
{
    const struct kgen_op *op = op_of_option(name);
    const struct kgen_field *field = kgen_op_field(op, name);
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    kgen_problem_value(&problem, field)->integer = value;
    if (kgen_field_holds(&problem, field))
        return true;
    kgen_field_describe(field, expected);
    return false;
}

int kgen_spec_option_parse(const char *name, const char *text, int64_t *value, struct kgen_text *expected)
{
    char *end;
    *value = kgen_constant_find(text);
    if (kgen_op_field(op_of_option(name), name)->kind == KGEN_FIELD_INTEGER) {
        errno = 0;
        *value = strtoll(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0')
            *value = -1;
    }
    return option_holds(name, *value, expected) ? 0 : -1;
}

static int check_option(const struct kgen_spec_reader *reader, const char *name, int64_t value)
{
    struct kgen_text expected = {0};
    if (value == 0 || option_holds(name, value, &expected))
        return 0;
    if (expected.failed)
        kgen_spec_fail_memory(reader);
    else
        kgen_error_set(reader->error, KGEN_ERROR_USAGE, NULL, 0, 0, "the option %s must be %s, not %lld",
                       name, expected.data, (long long)value);
    kgen_text_free(&expected);
    return -1;
}

static int check_options(const struct kgen_spec_reader *reader)
{
    const struct kgen_spec_options *options = reader->options;
    if (check_option(reader, "bits", options->bits) != 0 ||
        check_option(reader, "group_size", options->group_size) != 0 ||
        check_option(reader, "scale_dtype", options->scale_dtype) != 0 ||
        check_option(reader, "layout", options->layout) != 0 ||
        check_option(reader, "cache_dtype", options->cache_dtype) != 0 ||
        check_option(reader, "context", options->context) != 0)
        return -1;
    if (options->prompt_rows < 0 || options->prompt_rows > KGEN_SPEC_PROMPT_ROWS_MAX)
        return kgen_error_set(reader->error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "the option prompt_rows must be an integer from 1 to %d, not %lld",
                              KGEN_SPEC_PROMPT_ROWS_MAX, (long long)options->prompt_rows);
    if (check_option(reader, "activation_dtype", options->output_activation_dtype) != 0)
        return -1;
    for (size_t i = 0; i < KGEN_COUNT_OF(options->activation_dtypes); i++) {
        if (check_option(reader, "activation_dtype", options->activation_dtypes[i]) != 0)
            return -1;
    }
    return 0;
}

/* Reads a key that gives the default of a field for every qmv; an option of the command line replaces it. */
static int read_head_word(const struct kgen_spec_reader *reader, json_t *root, const char *name,
                          int64_t option, int64_t *word)
{
    const struct kgen_field *field = kgen_spec_find_field("qmv", name);
    struct kgen_json_path path = {NULL, name, 0};
    struct kgen_problem problem;
    json_t *value;
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    if (kgen_spec_member(reader, NULL, root, field, &path.key, &value) != 0)
        return -1;
    if (value != NULL && kgen_spec_field(reader, &path, value, "the spec", field, &problem) != 0)
        return -1;
    if (value != NULL)
        *word = kgen_problem_value(&problem, field)->integer;
    if (option != KGEN_CONSTANT_NONE)
        *word = option;
    return 0;
}

/* Reads the precision of a model's output projection, of which a list of problems has none. */
static int read_output_precision(struct kgen_spec_reader *reader, json_t *root)
{
    const struct kgen_field *field = kgen_spec_find_field("qmv", "activation_dtype");
    struct kgen_json_path path = {NULL, "output_activation_dtype", 0};
    json_t *value = json_object_get(root, path.key);
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    value = json_is_null(value) ? NULL : value;
    if (value != NULL && kgen_spec_field(reader, &path, value, "the spec", field, &problem) != 0)
        return -1;
    reader->output_activation_dtype =
        value != NULL ? kgen_problem_value(&problem, field)->integer : KGEN_CONSTANT_NONE;
    if (reader->options->output_activation_dtype != KGEN_CONSTANT_NONE)
        reader->output_activation_dtype = reader->options->output_activation_dtype;
    return 0;
}

/* Reads the keys of both kinds. Options of the command line replace them. */
static int read_head(struct kgen_spec_reader *reader, json_t *root)
{
    const struct kgen_spec_options *options = reader->options;
    struct kgen_json_path schema_path = {NULL, "kgen_schema", 0};
    struct kgen_json_path activations_path = {NULL, NULL, 0};
    int64_t schema = KGEN_SPEC_SCHEMA;
    if (kgen_spec_integer(reader, NULL, root, "kgen_schema", 1, INT32_MAX, &schema) < 0)
        return -1;
    if (schema != KGEN_SPEC_SCHEMA)
        return kgen_spec_fail(reader, &schema_path, "the spec is of schema %lld; this kgen reads schema %d",
                              (long long)schema, KGEN_SPEC_SCHEMA);
    bool fuse = true;
    if (kgen_spec_boolean(reader, NULL, root, "fuse_products", &fuse) < 0)
        return -1;
    reader->separate = !fuse;
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    reader->layout = kgen_problem_get(&problem, "layout");
    if (read_head_word(reader, root, "scale_dtype", options->scale_dtype, &reader->scale_dtype) != 0 ||
        read_head_word(reader, root, "layout", options->layout, &reader->layout) != 0 ||
        read_output_precision(reader, root) != 0)
        return -1;
    json_t *activations;
    if (kgen_spec_member(reader, NULL, root, kgen_spec_find_field("qmv", "activation_dtype"),
                         &activations_path.key, &activations) != 0)
        return -1;
    if (activations != NULL &&
        kgen_spec_activation_dtypes(reader, &activations_path, activations, reader->activation_dtypes,
                                    &reader->activation_count) != 0)
        return -1;
    size_t count = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(options->activation_dtypes); i++) {
        bool repeated = false;
        for (size_t j = 0; j < i; j++)
            repeated = repeated || options->activation_dtypes[j] == options->activation_dtypes[i];
        if (options->activation_dtypes[i] != KGEN_CONSTANT_NONE && !repeated)
            reader->activation_dtypes[count++] = options->activation_dtypes[i];
    }
    if (count > 0)
        reader->activation_count = count;
    if (reader->activation_count == 0) {
        reader->activation_dtypes[0] = kgen_problem_get(&problem, "activation_dtype");
        reader->activation_count = 1;
    }
    return 0;
}

/* ---- the spec ---- */

static json_t *load(const struct kgen_spec_reader *reader)
{
    const char *text = reader->text;
    size_t length = reader->length;
    size_t blank = 0;
    while (blank < length && memchr(" \t\r\n", text[blank], 4) != NULL)
        blank++;
    if (blank == length) {
        kgen_error_set(reader->error, KGEN_ERROR_SPEC, reader->source, 1, 1, "the spec is empty");
        return NULL;
    }
    json_error_t error;
    json_t *root = kgen_json_load(text, length, &error);
    if (root == NULL && json_error_code(&error) == json_error_out_of_memory) {
        kgen_spec_fail_memory(reader);
    } else if (root == NULL) {
        kgen_spec_make_printable(error.text);
        kgen_error_set(reader->error, KGEN_ERROR_SPEC, reader->source, error.line > 0 ? error.line : 1,
                       error.column > 0 ? error.column : 1, "not valid JSON: %s", error.text);
    } else if (!json_is_object(root)) {
        kgen_spec_fail(reader, NULL, "a spec must be an object, not an array");
        json_decref(root);
        root = NULL;
    }
    return root;
}

static int read_root(struct kgen_spec_reader *reader, json_t *root)
{
    if (read_head(reader, root) != 0)
        return -1;
    bool is_list = json_object_get(root, "problems") != NULL;
    struct kgen_json_path path = {NULL, "problems", 0};
    if (is_list &&
        (json_object_get(root, "architectures") != NULL || json_object_get(root, "model_type") != NULL))
        return kgen_spec_fail_key(reader, &path, "a spec is a model or a list of problems, not both");
    int result = is_list ? kgen_spec_read_problems(reader, root) : kgen_spec_read_model(reader, root);
    if (result != 0 || set_name(reader, root) != 0 || kgen_spec_entries_finish(reader) != 0)
        return -1;
    if (is_list && kgen_spec_graph_of_list(reader) != 0)
        return -1;
    kgen_graph_finish(reader->spec->graph);
    return 0;
}

/* file_name names the spec where it does not do so itself. */
static struct kgen_spec *parse(const char *source, const char *file_name, const char *text, size_t length,
                               const struct kgen_spec_options *options, struct kgen_error *error)
{
    static const char mark[] = "\xef\xbb\xbf"; /* of byte order, in UTF-8 */
    const size_t skipped = length >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
    static const struct kgen_spec_options none;
    struct kgen_error ignored = {0};
    struct kgen_spec_reader reader = {.source = source,
                                      .file_name = file_name,
                                      .text = text + skipped,
                                      .length = length - skipped,
                                      .options = options != NULL ? options : &none,
                                      .error = error != NULL ? error : &ignored};
    reader.spec = calloc(1, sizeof *reader.spec);
    if (reader.spec != NULL)
        reader.spec->graph = kgen_graph_new();
    if (reader.spec == NULL || reader.spec->graph == NULL) {
        kgen_spec_fail_memory(&reader);
        kgen_spec_free(reader.spec);
        return NULL;
    }
    reader.spec->hash = kgen_hash(KGEN_HASH_START, text, length);
    json_t *root = check_options(&reader) == 0 ? load(&reader) : NULL;
    int result = root != NULL ? read_root(&reader, root) : -1;
    json_decref(root);
    kgen_spec_entries_discard(&reader);
    if (result == 0)
        return reader.spec;
    kgen_spec_free(reader.spec);
    return NULL;
}

struct kgen_spec *kgen_spec_parse(const char *source, const char *text, size_t length,
                                  const struct kgen_spec_options *options, struct kgen_error *error)
{
    return parse(source, source, text, length, options, error);
}

/* The file of a spec: of a folder its config.json. Also gives the path of which the last part is its name. */
static int find_file(const char *path, struct kgen_text *file, struct kgen_text *named,
                     struct kgen_error *error)
{
    struct stat status;
    kgen_text_puts(file, path);
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        char *real = realpath(path, NULL); /* so that "." has a name */
        kgen_text_puts(named, real != NULL ? real : path);
        free(real);
        kgen_text_printf(file, "%sconfig.json", path[strlen(path) - 1] == '/' ? "" : "/");
        if (!file->failed && access(file->data, F_OK) != 0)
            return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "this is a folder without a config.json");
    } else {
        kgen_text_puts(named, path);
    }
    if (file->failed || named->failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, path, 0, 0, "out of memory");
    return 0;
}

struct kgen_spec *kgen_spec_read(const char *path, const struct kgen_spec_options *options,
                                 struct kgen_error *error)
{
    struct kgen_text text = {0};
    struct kgen_spec *spec = NULL;
    struct kgen_text file = {0}, named = {0};
    if (find_file(path, &file, &named, error) == 0 &&
        kgen_file_read(file.data, KGEN_SPEC_BYTES_MAX, &text, error) == 0)
        spec = parse(file.data, named.data, text.data, text.length, options, error);
    kgen_text_free(&file);
    kgen_text_free(&named);
    kgen_text_free(&text);
    return spec;
}

void kgen_spec_free(struct kgen_spec *spec)
{
    if (spec == NULL)
        return;
    for (size_t i = 0; i < spec->count; i++)
        free(spec->entries[i].tensors);
    for (size_t i = 0; i < spec->warning_count; i++)
        free(spec->warnings[i]);
    kgen_graph_free(spec->graph);
    free(spec->entries);
    free(spec->warnings);
    free(spec->name);
    free(spec->identifier);
    free(spec->summary);
    free(spec);
}
