/* SPDX-License-Identifier: MIT */
/* kgen pack: a checkpoint as a package, a file whose weights kernels read in place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gen/base/clock.h"
#include "gen/base/file.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/json.h"
#include "runtime/machine/machine.h"
#include "runtime/model/package_config.h"
#include "runtime/model/package_write.h"
#include "runtime/model/tokenizer/tokenizer_file.h"

#define TEXT_LIMIT ((size_t)256 << 20)
#define OVERRIDES_LIMIT ((size_t)1 << 20)

struct packing {
    const struct kgen_options *options;
    struct kgen_checkpoint *checkpoint;
    struct kgen_text overrides, config;
    struct kgen_spec *spec;
    struct kgen_text values; /* of the package: its name and tokenizer */
    uint64_t value_count;
    enum kgen_constant activation_dtype, layout;
    struct kgen_package_summary summary;
    bool live; /* a line on stderr is rewritten */
    double begin, shown;
};

/* ---- the values that go with the weights ---- */

static void put_string(struct packing *packing, const char *key, const char *data, size_t length)
{
    kgen_package_put_string(&packing->values, key, data, length);
    packing->value_count++;
}

static bool begins_with(struct kgen_gguf_text text, const char *prefix)
{
    const size_t length = strlen(prefix);
    return text.length >= length && memcmp(text.data, prefix, length) == 0;
}

/* Copies values whose keys begin so, but for those that say how the other file is made. */
static void copy_values(struct packing *packing, const struct kgen_gguf *gguf, const char *prefix)
{
    static const char *const left_out[] = {"general.architecture", "general.alignment", "general.file_type",
                                           "general.quantization_version"};
    for (size_t i = 0; i < kgen_gguf_value_count(gguf); i++) {
        const struct kgen_gguf_value *value = kgen_gguf_value_at(gguf, i);
        bool left = !begins_with(value->key, prefix);
        for (size_t j = 0; j < KGEN_COUNT_OF(left_out); j++)
            left = left || kgen_gguf_text_is(value->key, left_out[j]);
        if (left)
            continue;
        kgen_package_put_value(&packing->values, value);
        packing->value_count++;
    }
}

static void copy_tokenizer(struct packing *packing, const struct kgen_gguf *gguf)
{
    copy_values(packing, gguf, "tokenizer.");
    copy_values(packing, gguf, "kgen.tokenizer.");
}

/* Keeps a file as a value. One that is not there is left out, unless it is needed. */
static int keep_file(struct packing *packing, const char *folder, const char *file, const char *key,
                     bool needed, struct kgen_error *error)
{
    struct kgen_text path = {0}, text = {0};
    kgen_text_printf(&path, "%s%s", folder, file);
    int result = path.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
    if (result == 0 && (needed || access(path.data, F_OK) == 0)) {
        result = kgen_file_read(path.data, TEXT_LIMIT, &text, error);
        if (result == 0)
            put_string(packing, key, text.data != NULL ? text.data : "", text.length);
    }
    kgen_text_free(&path);
    kgen_text_free(&text);
    return result;
}

/* A tokenizer.json, and what is beside it. */
static int keep_json(struct packing *packing, const char *path, bool is_folder, struct kgen_error *error)
{
    struct kgen_text folder = {0};
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    kgen_text_append(&folder, path, is_folder ? strlen(path) : (size_t)(name - path));
    kgen_text_puts(&folder, is_folder ? "/" : "");
    const char *prefix = folder.data != NULL ? folder.data : "";
    const int result =
        folder.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory")
        : keep_file(packing, prefix, is_folder ? "tokenizer.json" : name, KGEN_TOKENIZER_JSON_KEY, true,
                    error) != 0 ||
                keep_file(packing, prefix, "tokenizer_config.json", KGEN_TOKENIZER_CONFIG_KEY, false,
                          error) != 0 ||
                keep_file(packing, prefix, "chat_template.jinja", KGEN_TOKENIZER_CHAT_KEY, false, error) != 0
            ? -1
            : 0;
    kgen_text_free(&folder);
    return result;
}

static int keep_llama2c(struct packing *packing, const char *path, struct kgen_error *error)
{
    struct kgen_text text = {0};
    const int result = kgen_file_read(path, TEXT_LIMIT, &text, error);
    if (result == 0) {
        kgen_package_put_bytes(&packing->values, KGEN_TOKENIZER_LLAMA2C_KEY, text.data, text.length);
        packing->value_count++;
    }
    kgen_text_free(&text);
    return result;
}

/* What a tokenizer is a file of: its first byte that is no blank says so. */
static int keep_tokenizer_file(struct packing *packing, const char *path, struct kgen_error *error)
{
    FILE *file = fopen(path, "rb");
    char head[4] = {0};
    const size_t count = file != NULL ? fread(head, 1, sizeof head, file) : 0;
    if (file != NULL)
        fclose(file);
    const size_t blanks = strspn(head, " \t\r\n") < count ? strspn(head, " \t\r\n") : 0;
    if (memcmp(head, "GGUF", 4) == 0) {
        struct kgen_gguf *gguf = kgen_gguf_open(path, error);
        if (gguf == NULL)
            return -1;
        copy_tokenizer(packing, gguf);
        kgen_gguf_close(gguf);
        return 0;
    }
    return head[blanks] == '{' ? keep_json(packing, path, false, error) : keep_llama2c(packing, path, error);
}

/* The tokenizer that --tokenizer names, which must be one, or that of the checkpoint, which may have none. */
static int keep_tokenizer(struct packing *packing, struct kgen_error *error)
{
    const char *path = packing->options->tokenizer;
    const char *checkpoint = packing->options->arguments[0];
    struct stat status;
    const struct kgen_gguf *gguf = kgen_checkpoint_gguf(packing->checkpoint);
    if (path == NULL && gguf != NULL) {
        copy_tokenizer(packing, gguf);
        return 0;
    }
    if (path == NULL) {
        struct kgen_text file = {0};
        kgen_text_printf(&file, "%s/tokenizer.json", checkpoint);
        const bool there = !file.failed && access(file.data, F_OK) == 0;
        kgen_text_free(&file);
        return there ? keep_json(packing, checkpoint, true, error) : 0;
    }
    struct kgen_tokenizer *tokenizer = kgen_tokenizer_from_file(path, error);
    kgen_tokenizer_free(tokenizer);
    if (tokenizer == NULL)
        return -1;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? keep_json(packing, path, true, error)
                                                               : keep_tokenizer_file(packing, path, error);
}

static int keep_values(struct packing *packing, struct kgen_error *error)
{
    const struct kgen_gguf *gguf = kgen_checkpoint_gguf(packing->checkpoint);
    if (gguf != NULL)
        copy_values(packing, gguf, "general.");
    if (keep_tokenizer(packing, error) != 0)
        return -1;
    return packing->values.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}

/* ---- the weights ---- */

static int read_overrides(struct packing *packing, struct kgen_error *error)
{
    const char *given = packing->options->overrides;
    if (given == NULL)
        return 0;
    if (given[strspn(given, " \t\r\n")] != '{')
        return kgen_file_read(given, OVERRIDES_LIMIT, &packing->overrides, error);
    kgen_text_puts(&packing->overrides, given);
    return packing->overrides.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory")
                                     : 0;
}

/* Sets what the weights are packed for: what the options say, or what the checkpoint was packed for. */
static void choose(struct packing *packing)
{
    const struct kgen_spec_options *spec = &packing->options->spec;
    const struct kgen_package *package = kgen_checkpoint_package(packing->checkpoint);
    struct kgen_package_facts facts = {.activation_dtype = KGEN_I24};
    if (package != NULL)
        kgen_package_query(package, &facts);
    packing->activation_dtype = spec->activation_dtypes[0] != KGEN_CONSTANT_NONE
                                    ? (enum kgen_constant)spec->activation_dtypes[0]
                                    : facts.activation_dtype;
    packing->layout = packing->activation_dtype == KGEN_F32 ? KGEN_STORED : KGEN_TILES16;
    if (spec->layout != KGEN_CONSTANT_NONE)
        packing->layout = (enum kgen_constant)spec->layout;
    else if (package != NULL && spec->activation_dtypes[0] == KGEN_CONSTANT_NONE)
        packing->layout = facts.layout;
}

/* Fails where the checkpoint does not hold what its own config asks for. */
static int check_checkpoint(const struct packing *packing, struct kgen_error *error)
{
    struct kgen_text config = {0};
    struct kgen_checkpoint_mismatches mismatches = {0};
    const char *source = kgen_checkpoint_source(packing->checkpoint);
    struct kgen_spec *spec = NULL;
    if (kgen_checkpoint_config(packing->checkpoint, &config, error) == 0)
        spec = kgen_spec_parse(source, config.data, config.length, NULL, error);
    int result =
        spec == NULL ? -1 : kgen_checkpoint_check(packing->checkpoint, spec->graph, &mismatches, error);
    if (result == 0 && mismatches.count > 0) {
        result = kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "%s: %s", mismatches.items[0].name,
                                mismatches.items[0].what);
        kgen_error_hint(error, "kgen inspect lists all that is wrong");
    }
    kgen_checkpoint_mismatches_free(&mismatches);
    kgen_spec_free(spec);
    kgen_text_free(&config);
    return result;
}

static int open_spec(struct packing *packing, struct kgen_error *error)
{
    const struct kgen_spec_options *given = &packing->options->spec;
    const struct kgen_package_formats formats = {given->bits, given->group_size, given->scale_dtype,
                                                 packing->overrides.data};
    const struct kgen_spec_options options = {.activation_dtypes = {packing->activation_dtype},
                                              .layout = packing->layout};
    if (given->bits == 0 && (given->group_size != 0 || given->scale_dtype != KGEN_CONSTANT_NONE))
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "--group-size and --scale-dtype are for --bits, which is not given");
    if (kgen_package_config(packing->checkpoint, &formats, &packing->config, error) == 0)
        packing->spec = kgen_spec_parse(kgen_checkpoint_source(packing->checkpoint), packing->config.data,
                                        packing->config.length, &options, error);
    return packing->spec != NULL ? 0 : -1;
}

/* An earlier package is replaced, another file only with --force. */
static int check_output(const struct packing *packing, struct kgen_error *error)
{
    const char *path = packing->options->output;
    struct stat status;
    if (stat(path, &status) != 0 || packing->options->force)
        return 0;
    struct kgen_error ignored = {0};
    struct kgen_gguf *gguf = S_ISREG(status.st_mode) ? kgen_gguf_open(path, &ignored) : NULL;
    const bool package = gguf != NULL && kgen_package_is(gguf);
    kgen_gguf_close(gguf);
    if (package)
        return 0;
    kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0, "this is there already, and is no package");
    kgen_error_hint(error, "-o names another file; --force replaces it");
    return -1;
}

static int show(void *context, uint64_t done, uint64_t bytes)
{
    struct packing *packing = context;
    const double now = kgen_clock();
    if (packing->live && now - packing->shown > 0.1) {
        fprintf(stderr, "\r\033[Kpacking: %llu of %llu MB", (unsigned long long)(done >> 20),
                (unsigned long long)(bytes >> 20));
        packing->shown = now;
    }
    return kgen_interrupted ? 1 : 0;
}

static int write_package(struct packing *packing, struct kgen_error *error)
{
    struct kgen_machine machine;
    int threads = packing->options->threads;
    if (threads == 0) {
        kgen_machine_detect(&machine);
        threads = (int)machine.threads;
    }
    const struct kgen_package_parts parts = {.checkpoint = packing->checkpoint,
                                             .graph = packing->spec->graph,
                                             .config = packing->config.data,
                                             .activation_dtype = packing->activation_dtype,
                                             .layout = packing->layout,
                                             .values = &packing->values,
                                             .value_count = packing->value_count,
                                             .threads = threads,
                                             .progress = show,
                                             .progress_context = packing};
    packing->live = !packing->options->quiet && isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL;
    const int result = kgen_package_write(packing->options->output, &parts, &packing->summary, error);
    if (packing->live)
        fputs("\r\033[K", stderr);
    return result;
}

/* ---- the command ---- */

static int print(const struct packing *packing)
{
    const struct kgen_package_summary *summary = &packing->summary;
    const double seconds = kgen_clock() - packing->begin;
    struct kgen_checkpoint_facts facts;
    kgen_checkpoint_query(packing->checkpoint, &facts);
    if (packing->options->json)
        return kgen_json_print(json_pack(
            "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o}", "kgen", KGEN_VERSION, "checkpoint",
            packing->options->arguments[0], "package", packing->options->output, "checkpoint_bytes",
            (json_int_t)facts.bytes, "bytes", (json_int_t)summary->bytes, "matrices",
            (json_int_t)summary->matrices, "quantised", (json_int_t)summary->quantised, "vectors",
            (json_int_t)summary->vectors, "activation_dtype", kgen_constant_name(packing->activation_dtype),
            "layout", kgen_constant_name(packing->layout), "seconds", kgen_json_number(seconds)));
    printf("%s: %llu bytes from %llu; %zu matrices, of which %zu quantised, layout %s, for %s activations; "
           "%.1f s\n",
           packing->options->output, (unsigned long long)summary->bytes, (unsigned long long)facts.bytes,
           summary->matrices, summary->quantised, kgen_constant_name(packing->layout),
           kgen_constant_name(packing->activation_dtype), seconds);
    return 0;
}

static int run(struct packing *packing)
{
    struct kgen_error error = {0};
    packing->begin = kgen_clock();
    if (packing->options->output == NULL) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no file to write to");
        kgen_error_hint(&error, "-o FILE.kgen names it");
        return kgen_fail(&error);
    }
    packing->checkpoint = kgen_checkpoint_open(packing->options->arguments[0], &error);
    if (packing->checkpoint == NULL || check_output(packing, &error) != 0 ||
        read_overrides(packing, &error) != 0 || check_checkpoint(packing, &error) != 0)
        return kgen_fail(&error);
    choose(packing);
    if (open_spec(packing, &error) != 0 || keep_values(packing, &error) != 0)
        return kgen_fail(&error);
    if (write_package(packing, &error) == 0)
        return print(packing) == 0 ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
    if (!kgen_interrupted || error.code != KGEN_ERROR_NONE)
        return kgen_fail(&error);
    if (!packing->options->quiet)
        kgen_say("kgen: interrupted; nothing written");
    return KGEN_EXIT_INTERRUPTED;
}

int kgen_command_pack(const struct kgen_options *options)
{
    struct packing packing = {.options = options};
    kgen_interrupt_catch();
    const int status = run(&packing);
    kgen_spec_free(packing.spec);
    kgen_checkpoint_free(packing.checkpoint);
    kgen_text_free(&packing.overrides);
    kgen_text_free(&packing.config);
    kgen_text_free(&packing.values);
    return kgen_finish_output(status);
}
