/* SPDX-License-Identifier: MIT */
/* The template language. templates/README.md describes it. */
#ifndef KGEN_TEMPLATE_H
#define KGEN_TEMPLATE_H

#include "gen/base/isa.h"
#include "gen/ops/problem.h"
#include "gen/template/lines.h"

#define KGEN_PARAM_MAX 12
#define KGEN_PARAM_VALUE_MAX 16

/* What names mean to a template. Zero-initialise; the strings are borrowed and must outlive the bindings. */
struct kgen_binding {
    const char *name;
    int64_t value;            /* where text and table are NULL */
    const char *word;         /* of a value that is a named constant: what ${name} prints; otherwise NULL */
    const char *text;         /* printed by ${name} */
    const char *const *table; /* printed by ${name[i]}; table_count strings */
    size_t table_count;
};
struct kgen_bindings {
    struct kgen_binding *items; /* owned */
    size_t count, capacity;
    bool failed; /* out of memory */
};
void kgen_bind_value(struct kgen_bindings *bindings, const char *name, int64_t value);
/* A value that is a named constant, which ${name} prints in place of a number. */
void kgen_bind_constant(struct kgen_bindings *bindings, const char *name, int64_t value, const char *word);
void kgen_bind_text(struct kgen_bindings *bindings, const char *name, const char *text);
void kgen_bind_table(struct kgen_bindings *bindings, const char *name, const char *const *table,
                     size_t count);
void kgen_bindings_free(struct kgen_bindings *bindings);

struct kgen_param {
    char name[32];
    int64_t values[KGEN_PARAM_VALUE_MAX]; /* the first is the default */
    size_t count;
};

struct kgen_template; /* a parsed template; read-only after parsing, safe to use from several threads */

/* The set of templates of one target. */
struct kgen_templates;

/* Opens the templates of target ("c"): those embedded in the binary, or with folder not NULL the files of
 * folder/<target>. Files to include and support texts that the folder does not have are those embedded; its
 * templates of ops are its own alone. Every template is parsed, with its includes. The caller frees the set,
 * which owns the templates. */
struct kgen_templates *kgen_templates_open(const char *folder, const char *target, struct kgen_error *error);
/* Opens the templates of a target that are in the binary, and parses each when it is first asked for. */
struct kgen_templates *kgen_templates_open_embedded(const char *target, struct kgen_error *error);
/* Lays one set over another: its templates take the place of those of the same name below, and the others
 * compete with them. Each template keeps the includes of its own set. Takes both over, also when it fails;
 * NULL for either (an open that failed) gives NULL. */
struct kgen_templates *kgen_templates_lay(struct kgen_templates *over, struct kgen_templates *under,
                                          struct kgen_error *error);
/* Gives the folder of the user's templates: $KGEN_TEMPLATES_DIR, else $XDG_DATA_HOME/kgen/templates, else
 * $HOME/.local/share/kgen/templates. Returns 0; -1 where there is none of them, or the first is set and
 * empty, which says that there is none. */
int kgen_templates_user_folder(struct kgen_text *folder);
/* The templates in use: those of folder where it is not NULL; else those embedded, with the user's over them
 * where their folder has one for the target. Those embedded are parsed when they are first asked for. */
struct kgen_templates *kgen_templates_open_used(const char *folder, const char *target,
                                                struct kgen_error *error);
/* A set without templates, for kgen_template_parse: the files to include of a folder (its path as it is), and
 * those embedded for the target that it does not have. */
struct kgen_templates *kgen_templates_open_includes(const char *folder, const char *target,
                                                    struct kgen_error *error);
void kgen_templates_free(struct kgen_templates *templates);
size_t kgen_templates_count(const struct kgen_templates *templates);
/* Whether the set is of a folder, and not those embedded. Of one set over another: whether both are. */
bool kgen_templates_are_own(const struct kgen_templates *templates);
/* Whether one template of the set is of a folder. */
bool kgen_templates_own(const struct kgen_templates *templates, const struct kgen_template *tmpl);
/* In the order of their names. NULL where the template was not parsed yet and memory is short. */
const struct kgen_template *kgen_templates_at(const struct kgen_templates *templates, size_t index);
/* Parses the templates that are not parsed yet. Returns 0, or -1 with an error. */
int kgen_templates_parse(const struct kgen_templates *templates, struct kgen_error *error);
/* The name of that template, which need not be parsed for it. */
const char *kgen_templates_name_at(const struct kgen_templates *templates, size_t index);
/* Gives that template where it declares the op; *tmpl is NULL where it does not, and it is not parsed for the
 * question. Returns 0, or -1 with an error. */
int kgen_templates_serving(const struct kgen_templates *templates, size_t index, const struct kgen_op *op,
                           const struct kgen_template **tmpl, struct kgen_error *error);
/* Finds support texts, too, which the index does not count where they are not the folder's. NULL where there
 * is none of that name, or it was not parsed yet and memory is short. */
const struct kgen_template *kgen_templates_find(const struct kgen_templates *templates, const char *name);

/* Parses one template from text that lies in no set; its includes come from templates, which may be NULL and
 * outlives it. Freed by kgen_template_free; those of a set are not. */
struct kgen_template *kgen_template_parse(const char *source, const char *text, size_t length,
                                          const struct kgen_templates *templates, struct kgen_error *error);
void kgen_template_free(struct kgen_template *tmpl);

const char *kgen_template_name(const struct kgen_template *tmpl);
const char *kgen_template_summary(const struct kgen_template *tmpl);
/* The name of its file for errors: "templates/c/qmv.c.in", or the path of a file of a folder. */
const char *kgen_template_source(const struct kgen_template *tmpl);
/* The text of that file. */
const char *kgen_template_file_text(const struct kgen_template *tmpl);
/* The first; NULL for a template that declares no op, such as the support header. */
const struct kgen_op *kgen_template_op(const struct kgen_template *tmpl);
/* The second op that a template declares, or NULL. */
const struct kgen_op *kgen_template_other_op(const struct kgen_template *tmpl);
/* Whether the template declares the op. */
bool kgen_template_serves(const struct kgen_template *tmpl, const struct kgen_op *op);
/* A bit (1 << isa) for each instruction set. */
unsigned kgen_template_isas(const struct kgen_template *tmpl);
size_t kgen_template_param_count(const struct kgen_template *tmpl);
const struct kgen_param *kgen_template_param(const struct kgen_template *tmpl, size_t index);
/* Of the text of the template and of everything it includes. */
uint64_t kgen_template_hash(const struct kgen_template *tmpl);

/* Evaluates the $require and `when` lines. Returns 1 where all allow the variant; 0 where one does not, with
 * *reason its text (owned by the template); -1 on an error. *unused has a bit (1 << index) for each parameter
 * whose `when` is 0: its value makes no difference, and the variant's name leaves it out. */
int kgen_template_allows(const struct kgen_template *tmpl, const struct kgen_bindings *bindings,
                         unsigned *unused, const char **reason, struct kgen_error *error);

/* The same for many variants of one template, which differ in the values of their parameters. The bindings,
 * which need hold no parameters, and error outlive the conditions; allow reports to that error. NULL values
 * stand for those of the bindings. close takes NULL. Not safe to use from several threads. */
struct kgen_conditions;
struct kgen_conditions *kgen_conditions_open(const struct kgen_template *tmpl,
                                             const struct kgen_bindings *bindings, struct kgen_error *error);
int kgen_conditions_allow(struct kgen_conditions *conditions, const int64_t *values, unsigned *unused,
                          const char **reason);
void kgen_conditions_close(struct kgen_conditions *conditions);

/* Appends the text for these bindings to out. Errors carry the file:line:column of the template, or of what
 * it includes, and leave out as it was. Of several bindings of a name the last counts. */
int kgen_template_instantiate(const struct kgen_template *tmpl, const struct kgen_bindings *bindings,
                              struct kgen_text *out, struct kgen_error *error);
/* The same, and says where each line of the text comes from. lines is empty before, and the caller frees it,
 * also after an error; NULL: as above. */
int kgen_template_instantiate_lines(const struct kgen_template *tmpl, const struct kgen_bindings *bindings,
                                    struct kgen_text *out, struct kgen_line_map *lines,
                                    struct kgen_error *error);

#endif
