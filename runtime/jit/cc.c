/* SPDX-License-Identifier: MIT */
/* The system's compiler, through a shared object. */
#include "gen/base/file.h"
#include "gen/target/target.h"
#include "runtime/jit/internal.h"
#include "runtime/jit/objects.h"
#include "runtime/machine/machine.h"
#include "runtime/process/program.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGUMENT_MAX 64

/* No compiler runs this long for one kernel: a folder that is older belongs to a killed one. */
#define ABANDONED_SECONDS 3600.0

/* A command line: the words point into text. */
struct command {
    struct kgen_text text;
    const char *words[ARGUMENT_MAX + 1];
    size_t count;
};

static const char *compiler_of(const struct kgen_cc_options *options)
{
    if (options != NULL && options->compiler != NULL)
        return options->compiler;
    const char *from_environment = getenv("CC");
    return from_environment != NULL && from_environment[0] != '\0' ? from_environment : "cc";
}

static const char *flags_of(const struct kgen_cc_options *options)
{
    return options != NULL && options->flags != NULL ? options->flags : "-O3 -march=native";
}

/* Splits the compiler and its flags at blanks. */
static int command_begin(struct command *command, const struct kgen_cc_options *options, bool with_flags,
                         struct kgen_error *error)
{
    const char *compiler = compiler_of(options);
    if (compiler[strspn(compiler, " \t")] == '\0')
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the compiler has no name");
    kgen_text_puts(&command->text, compiler);
    kgen_text_printf(&command->text, " %s", with_flags ? flags_of(options) : "");
    if (command->text.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (char *p = command->text.data; *(p += strspn(p, " \t")) != '\0';) {
        if (command->count > ARGUMENT_MAX - 16)
            return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "too many compiler flags");
        command->words[command->count++] = p;
        p += strcspn(p, " \t");
        if (*p != '\0')
            *p++ = '\0';
    }
    return 0;
}

static int run_compiler(const struct kgen_cc_options *options, const char *const *more, bool with_flags,
                        struct kgen_text *output, struct kgen_error *error)
{
    struct command command = {0};
    int status = command_begin(&command, options, with_flags, error);
    if (status == 0) {
        for (; *more != NULL; more++)
            command.words[command.count++] = *more;
        status = kgen_program_run(command.words, output, error);
    }
    kgen_text_free(&command.text);
    return status;
}

int kgen_jit_cc_describe(const struct kgen_cc_options *options, struct kgen_text *out,
                         struct kgen_error *error)
{
    struct kgen_text output = {0};
    int status = run_compiler(options, (const char *[]){"--version", NULL}, false, &output, error);
    if (status > 0)
        status =
            kgen_error_set(error, KGEN_ERROR_COMPILE, NULL, 0, 0, "%s --version fails", compiler_of(options));
    if (status == 0) {
        kgen_text_append(out, output.data != NULL ? output.data : "",
                         strcspn(output.data != NULL ? output.data : "", "\n"));
        kgen_text_printf(out, " %s", flags_of(options));
        if (out->failed)
            status = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    kgen_text_free(&output);
    return status;
}

/* Appends the text for the compiler: the support header, then the kernel. */
static int put_source(struct kgen_text *out, const char *source, const char *vector_c, enum kgen_isa isa,
                      const struct kgen_cc_options *options, struct kgen_error *error)
{
    kgen_text_printf(out, "#define %s\n#include <math.h>\n", kgen_isa_info(isa)->header_name);
    if (options != NULL && options->header != NULL)
        kgen_text_puts(out, options->header);
    else if (kgen_target_put_support(kgen_target_of_isa(isa), NULL, out, error) != 0)
        return -1;
    kgen_text_puts(out, "\n");
    kgen_jit_put_line(out, source);
    kgen_text_puts(out, vector_c);
    return out->failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory") : 0;
}

/* Reports the first lines of the compiler's output, with the place of its first error. */
static int compiler_error(const char *source, const struct kgen_text *output, struct kgen_error *error)
{
    const char *text = output->data != NULL ? output->data : "";
    const char *found = strstr(text, "error: ");
    int line = 0, column = 0;
    if (found != NULL) {
        const char *start = found;
        while (start > text && start[-1] != '\n')
            start--;
        size_t length = strlen(source);
        if (strncmp(start, source, length) != 0 || sscanf(start + length, ":%d:%d", &line, &column) < 1)
            line = column = 0;
    } else {
        found = text;
    }
    int length = 0;
    for (int lines = 0; found[length] != '\0' && lines < 4; length++)
        lines += found[length] == '\n';
    while (length > 0 && found[length - 1] == '\n')
        length--;
    return kgen_error_set(error, KGEN_ERROR_COMPILE, source, line, column,
                          "the compiler refused the text: %.*s", length, found);
}

/* Compiles the text into a shared object under the name object. */
static int compile(const char *folder, const char *object, const char *source, const struct kgen_text *text,
                   const struct kgen_cc_options *options, struct kgen_error *error)
{
    struct kgen_text path = {0}, output = {0};
    kgen_text_printf(&path, "%s/kernel.c", folder);
    int result = path.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory")
                             : kgen_file_write(path.data, text->data, text->length, error);
    if (result == 0) {
        const char *more[] = {"-shared", "-fPIC", "-o", object, path.data, "-lm", NULL};
        int status = run_compiler(options, more, true, &output, error);
        result = status <= 0 ? status : compiler_error(source, &output, error);
        unlink(path.data);
    }
    kgen_text_free(&output);
    kgen_text_free(&path);
    return result;
}

static int load(struct kgen_code *code, const char *object, const char *source, struct kgen_error *error)
{
    code->handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
    if (code->handle == NULL)
        return kgen_error_set(error, KGEN_ERROR_COMPILE, source, 0, 0, "cannot load the shared object: %s",
                              dlerror());
    return 0;
}

/* Compiles in folder, which is new, moves the object to keep, unless that is NULL, and loads it. */
static int compile_in(struct kgen_code *code, const char *folder, const char *keep, const char *source,
                      const struct kgen_text *text, const struct kgen_cc_options *options,
                      struct kgen_error *error)
{
    struct kgen_text object = {0};
    kgen_text_printf(&object, "%s/kernel.so", folder);
    if (object.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
    int result = compile(folder, object.data, source, text, options, error);
    /* The compiler has set the mode by the umask, which may let others write. */
    if (result == 0 && keep != NULL && (chmod(object.data, 0700) != 0 || rename(object.data, keep) != 0))
        result = kgen_error_set(error, KGEN_ERROR_IO, keep, 0, 0, "cannot keep the shared object: %s",
                                strerror(errno));
    if (result == 0)
        result = load(code, keep != NULL ? keep : object.data, source, error);
    unlink(object.data);
    kgen_text_free(&object);
    return result;
}

/* Compiles in a folder of its own, which is removed afterwards. */
static int compile_apart(struct kgen_code *code, const char *keep, const char *source,
                         const struct kgen_text *text, const struct kgen_cc_options *options,
                         struct kgen_error *error)
{
    const char *parent = getenv("TMPDIR");
    struct kgen_text folder = {0};
    if (keep != NULL)
        kgen_text_printf(&folder, "%s.XXXXXX", keep);
    else
        kgen_text_printf(&folder, "%s/kgen-XXXXXX", parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    int result = -1;
    if (folder.failed) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
    } else if (mkdtemp(folder.data) == NULL) {
        kgen_error_set(error, KGEN_ERROR_IO, folder.data, 0, 0, "cannot make a temporary folder: %s",
                       strerror(errno));
    } else {
        result = compile_in(code, folder.data, keep, source, text, options, error);
        rmdir(folder.data);
    }
    kgen_text_free(&folder);
    return result;
}

/* The name under which the folder of the options keeps the object of this text. The flags make code for the
 * machine that compiles it, and machines may share the folder. */
static int kept_name(struct kgen_text *name, const struct kgen_text *text,
                     const struct kgen_cc_options *options, struct kgen_error *error)
{
    struct kgen_text description = {0};
    struct kgen_machine machine = {0};
    if (options->machine == NULL)
        kgen_machine_detect(&machine);
    int result = kgen_jit_cc_describe(options, &description, error);
    if (result == 0) {
        uint64_t hash = kgen_hash_string(KGEN_HASH_START, description.data);
        hash = kgen_hash_string(hash, compiler_of(options));
        hash = kgen_hash_string(hash, options->machine != NULL ? options->machine : machine.identity);
        hash = kgen_hash(hash, text->data, text->length);
        kgen_text_printf(name, "%s/%016" PRIx64 ".so", options->folder, hash);
        if (name->failed)
            result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    kgen_text_free(&description);
    return result;
}

/* Loads the kept object of this text, or compiles and keeps it. */
static int load_or_keep(struct kgen_code *code, const char *source, const struct kgen_text *text,
                        const struct kgen_cc_options *options, struct kgen_error *error)
{
    struct kgen_text name = {0};
    int result = kgen_objects_folder(options->folder, error);
    if (result == 0)
        result = kept_name(&name, text, options, error);
    int usable = 0;
    if (result == 0)
        usable = kgen_objects_check(name.data, error);
    if (usable < 0)
        result = -1;
    /* An object that was cut short does not load, and is compiled again. */
    if (result == 0 && (usable == 0 || load(code, name.data, source, NULL) != 0)) {
        kgen_objects_remove_abandoned(options->folder, ABANDONED_SECONDS);
        result = compile_apart(code, name.data, source, text, options, error);
    }
    kgen_text_free(&name);
    return result;
}

int kgen_jit_cc(struct kgen_code *code, const char *source, const char *vector_c, enum kgen_isa isa,
                const struct kgen_cc_options *options, struct kgen_error *error)
{
    struct kgen_text text = {0};
    int result = put_source(&text, source, vector_c, isa, options, error);
    if (result == 0)
        result = options != NULL && options->folder != NULL
                     ? load_or_keep(code, source, &text, options, error)
                     : compile_apart(code, NULL, source, &text, options, error);
    kgen_text_free(&text);
    return result;
}
