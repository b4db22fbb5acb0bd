/* SPDX-License-Identifier: MIT */
/* The tables of options and commands, from which the command line is read, and help, the man page and
 * completion are written. Internal to the command line. */
#ifndef KGEN_OPTIONS_TABLE_H
#define KGEN_OPTIONS_TABLE_H

#include "runtime/command/options_values.h"

struct kgen_option_info {
    const char *name;
    const char *former;   /* NULL, or an earlier name, which is still understood */
    char letter;          /* 0: none */
    const char *argument; /* NULL: a flag */
    unsigned commands;
    kgen_read_value *read; /* for an option that is neither a flag nor a string */
    size_t offset;         /* otherwise, of a bool or const char * in struct kgen_options */
    bool changes_output;   /* part of the command line in the headers of the output */
    const char *help;
};

struct kgen_command_info {
    const char *name; /* NULL: the command without a name */
    const char *usage, *summary;
    size_t least, most; /* arguments */
};

/* The options in the order of their table; NULL behind the last. */
const struct kgen_option_info *kgen_option_at(size_t index);
/* Never NULL for a valid command. */
const struct kgen_command_info *kgen_command_info_of(enum kgen_command command);
/* Its name, or "SPEC" of the command without one. */
const char *kgen_command_label(enum kgen_command command);
bool kgen_command_takes(enum kgen_command command, const struct kgen_option_info *info);

/* The parts of kgen cache in the order of their table. Returns false behind the last. */
bool kgen_cache_part_at(size_t index, struct kgen_command_info *part);

/* The exit statuses, and the environment variables that count. */
struct kgen_exit_info {
    int status;
    const char *meaning;
};
const struct kgen_exit_info *kgen_exit_info_at(size_t index); /* NULL behind the last */
struct kgen_variable_info {
    const char *name, *meaning;
};
const struct kgen_variable_info *kgen_variable_info_at(size_t index); /* NULL behind the last */

/* Appends the words that the value of an option may be, with blanks between them; nothing where it is a
 * number, a path or any text. */
void kgen_option_words(const struct kgen_option_info *info, struct kgen_text *words);
/* Whether the value of an option is a list of such words, with commas between them. */
bool kgen_option_is_list(const struct kgen_option_info *info);
/* Whether it is the path of a file or folder. */
bool kgen_option_is_path(const struct kgen_option_info *info);

/* Appends the words that the arguments of a command may be, as its usage says: names of ops, of templates,
 * words to choose from. Returns whether they may be files, too. */
bool kgen_command_words(enum kgen_command command, struct kgen_text *words);

#endif
