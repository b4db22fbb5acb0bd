/* SPDX-License-Identifier: MIT */
#include "runtime/command/locked_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/command/json.h"
#include "runtime/command/report/report.h"

/* Whether the bytes of the spec are others than those that the lock was made from. */
static bool spec_changed(const struct kgen_locked_run *run)
{
    char now[20];
    snprintf(now, sizeof now, "%016" PRIx64, run->session->spec->hash);
    return strcmp(now, run->lock.spec_hash) != 0;
}

static void print_spec_changed(const struct kgen_locked_run *run)
{
    if (spec_changed(run))
        printf("the spec has changed since the lock was made (spec %s), its problems have not\n",
               run->lock.spec_hash);
}

static json_t *lock_json(const struct kgen_locked_run *run)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b}", "file", kgen_json_string(run->path.data), "kgen",
                     kgen_json_string(run->lock.version), "command", kgen_json_string(run->lock.command),
                     "machine", run->lock.machine != NULL ? kgen_json_string(run->lock.machine) : json_null(),
                     "spec_changed", spec_changed(run));
}

/* Names the instruction sets of the problems that were not proven for want of them, and the problems. */
static void print_not_here(const struct kgen_locked_run *run)
{
    for (int isa = KGEN_ISA_COUNT; isa-- > 0;) {
        const char *separator = "problems ";
        for (size_t i = 0; i < run->session->spec->count; i++) {
            if (run->tuned[i].tmpl == NULL || run->proven[i].tmpl != NULL || (int)run->tuned[i].isa != isa)
                continue;
            if (separator[0] != ',')
                printf("not proven here, as this machine has no %s: ",
                       kgen_isa_info((enum kgen_isa)isa)->name);
            printf("%s%zu", separator, i + 1);
            separator = ", ";
        }
        if (separator[0] == ',')
            printf("\n");
    }
}

static json_t *problem_json(const struct kgen_locked_run *run, size_t index)
{
    const struct kgen_problem *problem = &run->session->spec->entries[index].problem;
    const struct kgen_variant *tuned = &run->tuned[index];
    json_t *variant = NULL;
    struct kgen_text name = {0};
    kgen_problem_name(problem, &name);
    if (tuned->tmpl != NULL)
        variant = json_pack("{s:s, s:s, s:o}", "template", kgen_template_name(tuned->tmpl), "isa",
                            kgen_isa_info(tuned->isa)->name, "parameters", kgen_json_parameters(tuned));
    json_t *object =
        json_pack("{s:I, s:s, s:o, s:o, s:b}", "number", (json_int_t)index + 1, "name",
                  name.failed ? "" : name.data, "problem", kgen_json_problem(problem), "variant",
                  variant != NULL ? variant : json_null(), "runs_here", run->proven[index].tmpl != NULL);
    kgen_text_free(&name);
    return object;
}

static int print_json(const struct kgen_locked_run *run)
{
    const bool failed = run->shipped.failed_entry != SIZE_MAX;
    json_t *problems = json_array();
    for (size_t i = 0; i < run->session->spec->count; i++)
        json_array_append_new(problems, problem_json(run, i));
    return kgen_json_print(json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "kgen", KGEN_VERSION, "status",
        failed ? "failed" : "done", "spec", run->session->spec->name, "warnings",
        kgen_json_warnings(run->session->spec), "machine", kgen_json_machine(&run->session->machine), "lock",
        lock_json(run), "problems", problems, "not_proven_here", (json_int_t)run->not_here, "through_cc",
        kgen_report_shipped_json(&run->shipped), "folder",
        failed ? json_null() : kgen_json_string(run->folder.data)));
}

int kgen_locked_print(const struct kgen_locked_run *run)
{
    if (run->options->json)
        return print_json(run);
    const size_t count = run->session->spec->count;
    printf("%zu problem%s as %s has %s, chosen on %s; nothing was tuned\n", count, kgen_plural(count),
           run->path.data, count == 1 ? "it" : "them",
           run->lock.machine != NULL ? run->lock.machine : "no machine");
    print_spec_changed(run);
    kgen_report_print_shipped(&run->shipped);
    print_not_here(run);
    printf("written to %s/\n", run->folder.data);
    return 0;
}

static const char *const states[] = {
    [KGEN_EMIT_DIFFERS] = "differs", [KGEN_EMIT_MISSING] = "missing", [KGEN_EMIT_SURPLUS] = "surplus"};

static int print_differences_json(const struct kgen_locked_run *run,
                                  const struct kgen_emit_differences *differences)
{
    json_t *lists[KGEN_COUNT_OF(states)];
    for (size_t i = 0; i < KGEN_COUNT_OF(states); i++)
        lists[i] = json_array();
    for (size_t i = 0; i < differences->count; i++)
        json_array_append_new(lists[differences->items[i].state],
                              kgen_json_string(differences->items[i].name));
    return kgen_json_print(json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:I, s:o, s:o, s:o}", "kgen", KGEN_VERSION, "status",
        differences->count == 0 ? "same" : "differs", "spec", run->session->spec->name, "folder",
        kgen_json_string(run->folder.data), "lock", lock_json(run), "files", (json_int_t)differences->files,
        states[KGEN_EMIT_DIFFERS], lists[KGEN_EMIT_DIFFERS], states[KGEN_EMIT_MISSING],
        lists[KGEN_EMIT_MISSING], states[KGEN_EMIT_SURPLUS], lists[KGEN_EMIT_SURPLUS]));
}

int kgen_locked_print_differences(const struct kgen_locked_run *run,
                                  const struct kgen_emit_differences *differences)
{
    if (run->options->json)
        return print_differences_json(run, differences);
    for (size_t i = 0; i < differences->count; i++)
        printf("%s  %s\n", states[differences->items[i].state], differences->items[i].name);
    if (differences->count == 0) {
        printf("%s/ is what kgen writes: %zu files\n", run->folder.data, differences->files);
        return 0;
    }
    print_spec_changed(run);
    printf("%s/ is not what kgen writes: %zu file%s\n", run->folder.data, differences->count,
           kgen_plural(differences->count));
    if (!run->options->quiet)
        kgen_say("  hint: --locked in place of --check writes what is right");
    return 0;
}

int kgen_locked_print_misfit(const struct kgen_locked_run *run, const struct kgen_error *error)
{
    return kgen_json_print(json_pack("{s:s, s:s, s:s, s:o, s:o, s:i, s:i, s:o}", "kgen", KGEN_VERSION,
                                     "status", "lock_does_not_fit", "spec", run->session->spec->name,
                                     "folder", kgen_json_string(run->folder.data), "lock",
                                     kgen_json_string(run->path.data), "line", error->line, "column",
                                     error->column, "message", kgen_json_string(error->message)));
}
