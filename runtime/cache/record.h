/* SPDX-License-Identifier: MIT */
/* The lines of the cache's file. Internal to the cache.
 *
 * A record begins {"key":"<16 hexadecimal digits>","schema":<number>, and ends "chosen":true} or
 * "chosen":false}, so that opening a large file indexes its records without parsing them. A line in any other
 * layout is parsed, and counts if it says the same. */
#ifndef KGEN_CACHE_RECORD_H
#define KGEN_CACHE_RECORD_H

#include "runtime/cache/cache.h"

enum kgen_line_kind {
    KGEN_LINE_RECORD,
    KGEN_LINE_FACT,
    KGEN_LINE_FOREIGN, /* of another schema version */
    KGEN_LINE_CUT,     /* the beginning of a line of ours: what an interrupted write leaves */
    KGEN_LINE_BLANK,
    KGEN_LINE_BAD
};

/* Says what a line (without its newline) is, and the key of a record or fact. */
enum kgen_line_kind kgen_line_classify(const char *line, size_t length, uint64_t *key);

/* Whether the line of a record says that it is the winner's. */
bool kgen_line_is_chosen(const char *line, size_t length);

/* Appends the line of a record, newline included. Fails where record->problem is not a JSON object on one
 * line. Numbers that JSON cannot hold are written as null. */
int kgen_line_write_record(const struct kgen_record *record, struct kgen_text *line,
                           struct kgen_error *error);
/* The same for a fact; value must be finite. */
int kgen_line_write_fact(const char *machine, const char *name, double value, struct kgen_text *line,
                         struct kgen_error *error);

/* What a machine is, as the fact "machine" whose value is kgen_machine_write's object. */
int kgen_line_write_machine(const struct kgen_machine *machine, struct kgen_text *line,
                            struct kgen_error *error);
/* Reads the description of a machine. Returns 0 where the line is that fact of that machine. */
int kgen_line_parse_machine(const char *line, size_t length, const char *identity,
                            struct kgen_machine *machine);
#define KGEN_FACT_MACHINE "machine"

uint64_t kgen_fact_key(const char *machine, const char *name);

/* A record read from a line, and the memory its strings lie in. */
struct kgen_parsed_record {
    struct kgen_record record;
    void *json;                      /* owned */
    char *problem;                   /* owned */
    struct kgen_parsed_record *next; /* for a list of its owner */
};
/* Returns NULL where the line is damaged, or is no record of this key. */
struct kgen_parsed_record *kgen_line_parse_record(const char *line, size_t length, uint64_t key);
/* Says in text what is wrong with a line that is no record or fact, or cannot be parsed. */
void kgen_line_fault(const char *line, size_t length, char *text, size_t size);
/* NULL is fine. */
void kgen_parsed_record_free(struct kgen_parsed_record *parsed);

/* Returns 0 and the value where the line is that fact of that machine. */
int kgen_line_parse_fact(const char *line, size_t length, const char *machine, const char *name,
                         double *value);

#endif
