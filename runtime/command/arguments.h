/* SPDX-License-Identifier: MIT */
/* The problem and the variant that arguments of the command line name. */
#ifndef KGEN_COMMAND_ARGUMENTS_H
#define KGEN_COMMAND_ARGUMENTS_H

#include "runtime/command/command.h"

/* Whether an argument is the text of a problem, and not the path of a spec: it begins with '{'. */
bool kgen_is_problem_text(const char *argument);

/* Opens a session on a spec, or on one problem: source is its text in JSON, or as for kgen_command_spec,
 * where the file or standard input may hold one problem, {"op": ...}, as well. The key "threads" of such a
 * problem, which canonical texts have, counts unless the options say their own. */
int kgen_session_open_problem(struct kgen_session *session, const struct kgen_options *options,
                              const char *source, struct kgen_error *error);

/* Finds the one problem of the session's spec that wanted selects (NULL: any) and that is of op (NULL: of
 * any). Several or none are a KGEN_ERROR_USAGE, which lists the numbers of several. */
const struct kgen_problem *kgen_session_find_problem(const struct kgen_session *session, const char *source,
                                                     const char *wanted, const struct kgen_op *op,
                                                     struct kgen_error *error);

/* A variant named on the command line, and its template where that is a file of its own. */
struct kgen_named_template {
    const struct kgen_template *tmpl;
    struct kgen_template *own;       /* owned, or NULL */
    struct kgen_templates *includes; /* owned, or NULL */
};
/* Finds a template by its name, or reads a file: a name that has a '/' or ends in ".c.in". Free it with
 * kgen_named_template_free, also after an error. */
int kgen_named_template_open(struct kgen_named_template *named, const struct kgen_session *session,
                             const struct kgen_options *options, const char *name, struct kgen_error *error);
void kgen_named_template_free(struct kgen_named_template *named);

/* Finds the first variant of a template for the problem whose instruction set and parameters are as words
 * say: NAME=VALUE, or the name of an instruction set, several in one word where blanks are between them. A
 * parameter that is not named has the first of its values that goes with the others. Where neither the words
 * nor --isa name an instruction set: the widest one of isas; where the template has none of these and any is
 * true, its own widest. Fails with KGEN_ERROR_USAGE for words that are wrong, with KGEN_ERROR_CANDIDATE where
 * the template has no such variant, and says why. */
int kgen_variant_of_words(const struct kgen_template *tmpl, const struct kgen_problem *problem,
                          const struct kgen_options *options, char *const *words, size_t count, unsigned isas,
                          bool any, struct kgen_variant *variant, struct kgen_error *error);

#endif
