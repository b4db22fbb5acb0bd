/* SPDX-License-Identifier: MIT */
/* What kgen try works on: the problems, and the templates that differ from those in use. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gen/ops/constant.h"
#include "runtime/command/arguments.h"
#include "runtime/command/replay/replay.h"
#include "runtime/command/try/try.h"

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

/* ---- the problems ---- */

static bool holds_safetensors(const char *folder)
{
    static const char ending[] = ".safetensors";
    DIR *directory = opendir(folder);
    bool found = false;
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        const size_t length = strlen(entry->d_name);
        found = found ||
                (length > sizeof ending && strcmp(entry->d_name + length - sizeof ending + 1, ending) == 0);
    }
    if (directory != NULL)
        closedir(directory);
    return found;
}

/* A spec is JSON text, and a folder without weights. */
static bool is_checkpoint(const char *source)
{
    struct stat status;
    int first = '{';
    if (strcmp(source, "-") == 0 || kgen_is_problem_text(source) || stat(source, &status) != 0)
        return false;
    if (S_ISDIR(status.st_mode))
        return holds_safetensors(source);
    FILE *file = fopen(source, "rb");
    while (file != NULL && (first = getc(file)) != EOF && strchr(" \t\r\n\xef\xbb\xbf", first) != NULL)
        continue;
    if (file != NULL)
        fclose(file);
    return first != '{' && first != '[' && first != EOF;
}

static const char *name_of(int64_t constant)
{
    return constant != KGEN_CONSTANT_NONE ? kgen_constant_name(constant) : NULL;
}

/* The problems that kgen generate has of the checkpoint. */
static int open_checkpoint(struct kgen_try *trial, struct kgen_error *error)
{
    const struct kgen_spec_options *spec = &trial->options.spec;
    const struct kgen_model_options options = {.activation_dtype = name_of(spec->activation_dtypes[0]),
                                               .output_activation_dtype =
                                                   name_of(spec->output_activation_dtype),
                                               .layout = name_of(spec->layout),
                                               .cache_dtype = name_of(spec->cache_dtype),
                                               .context = spec->context,
                                               .prompt_rows = spec->prompt_rows};
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(trial->source, error);
    struct kgen_text config = {0};
    if (checkpoint != NULL && kgen_model_write_config(checkpoint, &options, &config, error) == 0)
        trial->session.spec = kgen_spec_parse(trial->source, config.data, config.length, NULL, error);
    kgen_text_free(&config);
    kgen_checkpoint_free(checkpoint);
    return trial->session.spec != NULL ? kgen_session_start(&trial->session, &trial->options, error) : -1;
}

/* The settings of a replay are those of its pack, which must be of the checkpoint. */
static int read_pack(struct kgen_try *trial, struct kgen_error *error)
{
    struct kgen_pack pack = {0};
    struct kgen_pack_identity identity;
    if (!trial->is_checkpoint) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "--replay needs a checkpoint, and %s is a spec",
                       trial->source);
        kgen_error_hint(error, "kgen try DIR CHECKPOINT --replay PACK.json");
        return -1;
    }
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(trial->source, error);
    int result = checkpoint != NULL ? kgen_pack_read(trial->options.pack, &pack, error) : -1;
    if (result == 0)
        result = kgen_pack_identify(checkpoint, &identity, error);
    if (result == 0)
        result = kgen_pack_check_identity(&pack, trial->options.pack, &identity, trial->source, error);
    if (result == 0)
        kgen_replay_take_settings(&pack.settings, &trial->options);
    kgen_checkpoint_free(checkpoint);
    kgen_pack_free(&pack);
    return result;
}

static int open_problems(struct kgen_try *trial, struct kgen_error *error)
{
    struct kgen_session *session = &trial->session;
    trial->is_checkpoint = is_checkpoint(trial->source);
    if (trial->options.pack != NULL && read_pack(trial, error) != 0)
        return -1;
    if ((trial->is_checkpoint
             ? open_checkpoint(trial, error)
             : kgen_session_open_problem(session, &trial->options, trial->source, error)) != 0)
        return -1;
    trial->problem_count = session->spec->count;
    trial->problems = calloc(trial->problem_count + 1, sizeof *trial->problems);
    if (trial->problems == NULL)
        return fail_memory(error);
    for (size_t i = 0; i < trial->problem_count; i++)
        trial->problems[i].entry = &session->spec->entries[i];
    return 0;
}

/* ---- the templates ---- */

bool kgen_try_is_changed(const struct kgen_try *trial, const struct kgen_template *tmpl)
{
    for (size_t i = 0; i < trial->changed_count; i++) {
        if (trial->changed[i] == tmpl)
            return true;
    }
    return false;
}

/* Lists the templates of the folder that are not in use with the same text. */
static int find_changed(struct kgen_try *trial, const struct kgen_templates *folder, struct kgen_error *error)
{
    trial->changed = calloc(kgen_templates_count(folder) + 1, sizeof *trial->changed);
    if (trial->changed == NULL)
        return fail_memory(error);
    for (size_t i = 0; i < kgen_templates_count(folder); i++) {
        const struct kgen_template *tmpl = kgen_templates_at(folder, i);
        const struct kgen_template *known =
            kgen_templates_find(trial->session.templates, kgen_template_name(tmpl));
        if (known != NULL && kgen_template_hash(known) == kgen_template_hash(tmpl))
            continue;
        if (kgen_template_op(tmpl) != NULL)
            trial->changed[trial->changed_count++] = tmpl;
        else
            kgen_say_warning("%s solves no op, and is not tried", kgen_template_source(tmpl));
    }
    return 0;
}

/* Opens the folder's templates, which the trial then owns. One that is not valid is the first that smoke
 * sees. */
static int open_templates(struct kgen_try *trial, struct kgen_error *error)
{
    struct kgen_error invalid = {0};
    struct kgen_templates *folder = kgen_templates_open(trial->folder, trial->options.target, &invalid);
    if (folder == NULL && invalid.code == KGEN_ERROR_TEMPLATE) {
        char text[1024];
        trial->stages[0].begun = true;
        trial->stages[0].proof.failed = true;
        kgen_verification_fail(&trial->stages[0].proof.verification, KGEN_COMPILE_FAILED, &invalid);
        kgen_text_puts(&trial->stages[0].where, invalid.source);
        kgen_try_because(trial, "smoke: %s", kgen_error_format(&invalid, text, sizeof text));
        return 1;
    }
    if (folder == NULL) {
        *error = invalid;
        return -1;
    }
    trial->with = kgen_templates_lay(
        folder, kgen_templates_open_used(trial->options.templates, trial->options.target, error), error);
    return trial->with != NULL ? find_changed(trial, folder, error) : -1;
}

/* Lists the changed templates and the problems that they serve. */
static int find_pairs(struct kgen_try *trial, struct kgen_error *error)
{
    trial->pairs = calloc(trial->changed_count * trial->problem_count + 1, sizeof *trial->pairs);
    if (trial->pairs == NULL)
        return fail_memory(error);
    for (size_t i = 0; i < trial->changed_count; i++) {
        const struct kgen_template *tmpl = trial->changed[i];
        const size_t before = trial->pair_count;
        for (size_t j = 0; j < trial->problem_count; j++) {
            const struct kgen_problem *problem = &trial->problems[j].entry->problem;
            struct kgen_try_pair *pair = &trial->pairs[trial->pair_count];
            if (problem->op != kgen_template_op(tmpl))
                continue;
            if (kgen_variants_of_template(tmpl, problem, trial->session.machine.isas, &pair->variants,
                                          error) != 0)
                return -1;
            pair->tmpl = tmpl;
            pair->problem = j;
            if (pair->variants.count == 0)
                continue;
            trial->problems[j].served = true;
            trial->pair_count++;
        }
        if (trial->pair_count == before && !trial->options.quiet)
            kgen_say_warning("%s serves no problem of %s on this machine, and is not tried",
                             kgen_template_source(tmpl), trial->source);
    }
    return 0;
}

int kgen_try_open(struct kgen_try *trial, struct kgen_error *error)
{
    if (open_problems(trial, error) != 0)
        return -1;
    const int opened = open_templates(trial, error);
    if (opened != 0)
        return opened;
    if (trial->changed_count == 0) {
        kgen_try_because(trial, "no template of %s differs from those in use", trial->folder);
        return 1;
    }
    if (find_pairs(trial, error) != 0)
        return -1;
    if (trial->pair_count > 0)
        return 0;
    kgen_try_because(trial, "no changed template of %s serves a problem of %s on this machine", trial->folder,
                     trial->source);
    return 1;
}
