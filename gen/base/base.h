/* SPDX-License-Identifier: MIT */
/* What every file of kgen may use: errors that carry a place, text that grows, hashes. */
#ifndef KGEN_BASE_H
#define KGEN_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KGEN_VERSION "0.1.0"

#define KGEN_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__GNUC__)
#define KGEN_PRINTF(format_index, first_argument)                                                            \
    __attribute__((format(printf, format_index, first_argument)))
#else
#define KGEN_PRINTF(format_index, first_argument)
#endif

enum kgen_error_code {
    KGEN_ERROR_NONE = 0,
    KGEN_ERROR_USAGE,     /* an invalid argument */
    KGEN_ERROR_SPEC,      /* the spec or the checkpoint is invalid */
    KGEN_ERROR_TEMPLATE,  /* a template is invalid */
    KGEN_ERROR_CANDIDATE, /* this machine cannot compile or run the variant */
    KGEN_ERROR_COMPILE,   /* the compiler refused the text */
    KGEN_ERROR_IO,        /* a file or folder could not be read or written */
    KGEN_ERROR_MEMORY     /* out of memory */
};

/* An error and its place. Zero-initialise it before the first use. line and column count from 1; 0 means
 * unknown. source is a file name, or empty. hint says how to mend it, or is empty. */
struct kgen_error {
    enum kgen_error_code code;
    int line;
    int column;
    char source[256];
    char message[512];
    char hint[256];
};

/* Fills error unless it already holds one: the first error wins. error may be NULL. source may be NULL.
 * Returns -1, so that a caller can `return kgen_error_set(...)`. */
int kgen_error_set(struct kgen_error *error, enum kgen_error_code code, const char *source, int line,
                   int column, const char *format, ...) KGEN_PRINTF(6, 7);

/* Adds a hint to an error that has none. error may be NULL. */
void kgen_error_hint(struct kgen_error *error, const char *format, ...) KGEN_PRINTF(2, 3);

/* Writes "source:line:column: message" (and "; hint" where there is one) into text of the given size,
 * always terminated. Returns text. */
char *kgen_error_format(const struct kgen_error *error, char *text, size_t size);

/* Text that grows. Zero-initialise it; data is NULL or a terminated string owned by the struct. When memory
 * runs out, failed is set and stays set, and later appends do nothing: check it once, at the end. */
struct kgen_text {
    char *data;
    size_t length;
    size_t capacity;
    bool failed;
};

void kgen_text_append(struct kgen_text *text, const char *data, size_t length);
void kgen_text_puts(struct kgen_text *text, const char *string);
void kgen_text_printf(struct kgen_text *text, const char *format, ...) KGEN_PRINTF(2, 3);
void kgen_text_vprintf(struct kgen_text *text, const char *format, va_list arguments);
/* Appends a finite number in the fewest digits that read back as the same double, with "." whatever the
 * locale; whole numbers below 1e15 without an exponent: "1000000", "1e-06", "0.5". */
void kgen_text_real(struct kgen_text *text, double value);
/* Makes the text empty and keeps its memory. */
void kgen_text_clear(struct kgen_text *text);
/* Frees the memory and makes the struct as new. */
void kgen_text_free(struct kgen_text *text);

/* FNV-1a, 64 bits. Start with KGEN_HASH_START and chain the calls. */
#define KGEN_HASH_START UINT64_C(14695981039346656037)
uint64_t kgen_hash(uint64_t hash, const void *data, size_t length);
/* Hashes the characters of a string and its terminator, so that ("ab","c") differs from ("a","bc"). */
uint64_t kgen_hash_string(uint64_t hash, const char *string);

#endif
