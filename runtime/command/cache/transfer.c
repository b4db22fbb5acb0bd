/* SPDX-License-Identifier: MIT */
/* kgen cache export, import, merge. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gen/base/file.h"
#include "runtime/cache/file.h"
#include "runtime/command/cache/parts.h"
#include "runtime/command/json.h"

#define SIZE_LIMIT ((size_t)1 << 31)
/* More rejected lines than these are counted, but not named. */
#define MOST_NAMED 20

int kgen_cache_export_command(const struct kgen_cache_call *call)
{
    struct kgen_text lines = {0};
    struct kgen_error error = {0};
    const char *path = call->count > 0 ? call->arguments[0] : NULL;
    const long count = kgen_cache_export(call->session->cache, kgen_cache_selects,
                                         (void *)(uintptr_t)call->options, &lines, &error);
    int status = KGEN_EXIT_DONE;
    if (count < 0 || (path != NULL &&
                      kgen_file_write(path, lines.length > 0 ? lines.data : "", lines.length, &error) != 0))
        status = kgen_fail(&error);
    else if (path == NULL && lines.length > 0)
        fwrite(lines.data, 1, lines.length, stdout); /* kgen_finish_output says where it fails */
    else if (path != NULL && call->options->json)
        status = kgen_json_print(json_pack("{s:s, s:I}", "file", path, "records", (json_int_t)count)) == 0
                     ? status
                     : KGEN_EXIT_FAILED;
    else if (path != NULL)
        printf("%ld records written to %s\n", count, path);
    kgen_text_free(&lines);
    return status;
}

/* The progress of an import, and its source. */
struct import {
    const char *source;
    struct kgen_import counts;
    size_t named; /* rejected lines */
};

static void name_line(void *context, size_t line, const char *reason)
{
    struct import *import = context;
    if (import->named++ < MOST_NAMED)
        kgen_say_warning("%s:%zu: %s", import->source, line, reason);
    else if (import->named == MOST_NAMED + 1)
        kgen_say_warning("%s: more lines are rejected", import->source);
}

static int read_stdin(struct kgen_text *text, struct kgen_error *error)
{
    char block[65536];
    size_t length;
    while ((length = fread(block, 1, sizeof block, stdin)) > 0)
        kgen_text_append(text, block, length);
    if (ferror(stdin))
        return kgen_error_set(error, KGEN_ERROR_IO, "-", 0, 0, "cannot read stdin: %s", strerror(errno));
    return text->failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}

/* A file, or the records of a folder. */
static int read_source(const char *source, struct kgen_text *text, struct kgen_error *error)
{
    if (strcmp(source, "-") == 0)
        return read_stdin(text, error);
    struct stat status;
    if (stat(source, &status) != 0 || !S_ISDIR(status.st_mode))
        return kgen_file_read(source, SIZE_LIMIT, text, error);
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/" KGEN_CACHE_RECORDS, source);
    const int result = path.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory")
                                   : kgen_file_read(path.data, SIZE_LIMIT, text, error);
    kgen_text_free(&path);
    return result;
}

int kgen_cache_import_command(const struct kgen_cache_call *call)
{
    struct import import = {0};
    struct kgen_error error = {0};
    int result = 0;
    for (size_t i = 0; result == 0 && i < call->count; i++) {
        struct kgen_text text = {0};
        import.source = call->arguments[i];
        import.named = 0;
        result = read_source(import.source, &text, &error);
        if (result == 0)
            result = kgen_cache_import(call->session->cache, text.data, text.length, name_line, &import,
                                       &import.counts, &error);
        kgen_text_free(&text);
    }
    const struct kgen_import *counts = &import.counts;
    if (call->options->json) {
        if (kgen_json_print(json_pack("{s:I, s:I, s:I, s:I}", "taken", (json_int_t)counts->taken, "known",
                                      (json_int_t)counts->known, "facts", (json_int_t)counts->facts,
                                      "rejected", (json_int_t)counts->rejected)) != 0)
            return KGEN_EXIT_FAILED;
    } else {
        printf("%zu record%s taken, %zu known already, %zu line%s rejected\n", counts->taken,
               kgen_plural(counts->taken), counts->known, counts->rejected, kgen_plural(counts->rejected));
    }
    if (result != 0)
        return kgen_fail(&error);
    /* An empty file is no error: a share of the work may hold no candidates. */
    const bool any = counts->taken + counts->known + counts->facts > 0;
    return any || counts->rejected == 0 ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
}
