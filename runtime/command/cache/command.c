/* SPDX-License-Identifier: MIT */
/* kgen cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command/cache/parts.h"
#include "runtime/command/json.h"
#include "runtime/command/options_table.h"

bool kgen_cache_selects(void *context, const struct kgen_record *record)
{
    const struct kgen_options *options = context;
    if (options->machine != NULL && strncmp(record->machine, options->machine, strlen(options->machine)) != 0)
        return false;
    if (options->problem == NULL)
        return true;
    struct kgen_problem problem;
    struct kgen_text text = {0};
    kgen_text_printf(&text, "%s\n", record->problem);
    if (kgen_record_problem(record, &problem, NULL) == 0) {
        kgen_problem_name(&problem, &text);
        kgen_text_puts(&text, "\n");
        kgen_problem_describe(&problem, &text);
    }
    const bool selected = text.failed || strstr(text.data, options->problem) != NULL;
    kgen_text_free(&text);
    return selected;
}

static int print_path(const struct kgen_options *options)
{
    struct kgen_text folder = {0};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    if (kgen_cache_folder(options->cache, &folder) != 0) {
        kgen_error_set(&error, KGEN_ERROR_IO, NULL, 0, 0, "no folder for the cache is known");
        kgen_error_hint(&error, "set KGEN_CACHE_DIR, XDG_CACHE_HOME or HOME, or give --cache DIR");
        status = kgen_fail(&error);
    } else if (!options->json) {
        printf("%s\n", folder.data);
    } else if (kgen_json_print(json_pack("{s:o}", "path", kgen_json_string(folder.data))) != 0) {
        status = KGEN_EXIT_FAILED;
    }
    kgen_text_free(&folder);
    return status;
}

/* Removes the records of the user's cache that --problem and --machine select. */
static int remove_selected(const struct kgen_cache_call *call, size_t *count, struct kgen_error *error)
{
    struct kgen_cache *cache = call->session->cache;
    const size_t total = kgen_cache_count(cache);
    uint64_t *keys = calloc(total + 1, sizeof *keys);
    *count = 0;
    if (keys == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (size_t i = 0; i < total; i++) {
        const struct kgen_record *record = kgen_cache_at(cache, i);
        if (record != NULL && kgen_cache_selects((void *)(uintptr_t)call->options, record))
            keys[(*count)++] = record->key;
    }
    const int result =
        *count > 0 && !call->options->dry_run ? kgen_cache_remove(cache, keys, *count, error) : 0;
    free(keys);
    return result;
}

static int clear(const struct kgen_cache_call *call)
{
    struct kgen_error error = {0};
    size_t count = kgen_cache_count(call->session->cache);
    const bool selects = call->options->problem != NULL || call->options->machine != NULL;
    if (selects ? remove_selected(call, &count, &error) != 0
                : !call->options->dry_run && kgen_cache_clear(call->session->cache, &error) != 0)
        return kgen_fail(&error);
    if (count == 0 && call->options->problem != NULL && !call->options->quiet)
        kgen_say("kgen: '%s' selects no record, which know no tensors; kgen cache list shows their problems",
                 call->options->problem);
    if (call->options->json)
        return kgen_json_print(json_pack("{s:I}", "removed", (json_int_t)count)) == 0 ? KGEN_EXIT_DONE
                                                                                      : KGEN_EXIT_FAILED;
    printf("%zu record%s %s\n", count, kgen_plural(count),
           call->options->dry_run ? "would be removed" : "removed");
    return KGEN_EXIT_DONE;
}

enum { MACHINE = 1, PROBLEM = 2, OTHERS = 4, DRY_RUN = 8 };

static const struct part {
    const char *name, *usage, *summary;
    size_t least, most; /* arguments */
    unsigned options;   /* of those that not every part takes */
    int (*run)(const struct kgen_cache_call *call);
} parts[] = {
    {"path", "path", "print the folder of the cache", 0, 0, 0, NULL},
    {"list", "list", "the winners of every layer, and how many records there are", 0, 0, MACHINE | PROBLEM,
     kgen_cache_list},
    {"show", "show KEY", "all of the records whose keys begin with KEY", 1, 1, 0, kgen_cache_show},
    {"export", "export [FILE]", "write records as lines of JSON to FILE, or stdout", 0, 1, MACHINE | PROBLEM,
     kgen_cache_export_command},
    {"import", "import FILE...", "take in the good records of files; - is stdin", 1, SIZE_MAX, 0,
     kgen_cache_import_command},
    {"merge", "merge FILE|DIR...", "the same, also of the folders of other caches", 1, SIZE_MAX, 0,
     kgen_cache_import_command},
    {"prune", "prune", "remove records that no template of this kgen answers to any more", 0, 0,
     OTHERS | DRY_RUN, kgen_cache_prune},
    {"verify", "verify", "compile and prove the winners for this machine again", 0, 0, PROBLEM | DRY_RUN,
     kgen_cache_verify},
    {"clear", "clear", "remove all of it, or the records that --problem and --machine select", 0, 0,
     MACHINE | PROBLEM | DRY_RUN, clear},
};

bool kgen_cache_part_at(size_t index, struct kgen_command_info *part)
{
    if (index >= KGEN_COUNT_OF(parts))
        return false;
    *part = (struct kgen_command_info){parts[index].name, parts[index].usage, parts[index].summary,
                                       parts[index].least, parts[index].most};
    return true;
}

void kgen_command_cache_help(void)
{
    putchar('\n');
    for (size_t i = 0; i < KGEN_COUNT_OF(parts); i++)
        printf("  %-24s %s\n", parts[i].usage, parts[i].summary);
    printf("\nFirst comes the user's cache, then $KGEN_SYSTEM_CACHE_DIR, else /usr/share/kgen/cache and that "
           "beside the\ninstalled kgen, then the records that ship with kgen. Only the first is written.\n");
}

static int usage_error(const struct part *part, const char *what, const char *word)
{
    struct kgen_error error = {0};
    kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, what, word);
    if (part != NULL)
        kgen_error_hint(&error, "kgen cache %s: %s", part->usage, part->summary);
    else
        kgen_error_hint(&error, "kgen cache --help lists what it can do");
    return kgen_fail(&error);
}

static int check_usage(const struct part *part, const struct kgen_options *options)
{
    const size_t count = options->argument_count - 1;
    if (count < part->least)
        return usage_error(part, "an argument is missing: kgen cache %s", part->usage);
    if (count > part->most)
        return usage_error(part, "one argument too many: '%s'", options->arguments[1 + part->most]);
    const unsigned given = (options->machine != NULL ? MACHINE : 0u) |
                           (options->problem != NULL ? PROBLEM : 0u) |
                           (options->other_machines ? OTHERS : 0u) | (options->dry_run ? DRY_RUN : 0u);
    static const char *const names[] = {"machine", "problem", "other-machines", "dry-run"};
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        if ((given & ~part->options) >> i & 1)
            return usage_error(part, "this part of kgen cache takes no option --%s", names[i]);
    }
    return KGEN_EXIT_DONE;
}

static int run_part(const struct part *part, const struct kgen_options *options)
{
    struct kgen_session session = {0};
    struct kgen_error error = {0};
    const struct kgen_cache_call call = {options, &session, options->arguments + 1,
                                         options->argument_count - 1};
    kgen_machine_detect(&session.machine);
    session.threads = session.machine.threads;
    const int status =
        kgen_session_open_cache(&session, options, &error) != 0 ? kgen_fail(&error) : part->run(&call);
    kgen_session_close(&session);
    return status;
}

int kgen_command_cache(const struct kgen_options *options)
{
    const struct part *part = NULL;
    for (size_t i = 0; i < KGEN_COUNT_OF(parts); i++) {
        if (strcmp(options->arguments[0], parts[i].name) == 0)
            part = &parts[i];
    }
    if (part == NULL)
        return usage_error(NULL, "kgen cache cannot '%s'", options->arguments[0]);
    int status = check_usage(part, options);
    if (status == KGEN_EXIT_DONE)
        status = part->run == NULL ? print_path(options) : run_part(part, options);
    return kgen_finish_output(status);
}
