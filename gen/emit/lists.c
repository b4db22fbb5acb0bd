/* SPDX-License-Identifier: MIT */
/* The files that tell build systems what to compile. */
#include "gen/emit/internal.h"

#include <string.h>

/* Whether a file of the output is to be compiled into a program: the sources of the ops. */
static bool is_source(const char *name)
{
    const size_t length = strlen(name);
    return length > 2 && strcmp(name + length - 2, ".c") == 0 && strchr(name, '/') == NULL;
}

static void put_sources(const struct kgen_emit_files *files, const char *format, struct kgen_text *text)
{
    for (size_t i = 0; i < files->count; i++) {
        if (!is_source(files->items[i].name.data))
            continue;
        kgen_text_puts(text, format);
        kgen_text_puts(text, files->items[i].name.data);
    }
}

int kgen_emit_lists(const struct kgen_emission *emission, struct kgen_error *error)
{
    const struct kgen_emit_input *input = &emission->input;
    const char *identifier = kgen_emit_identifier(input);
    struct kgen_text make = {0}, cmake = {0}, *file;
    kgen_emit_mark(input, "# ", &make);
    kgen_text_printf(&make,
                     "# For make: include this file, and compile $(%s_SOURCES) as C11, with -O3.\n"
                     "%s_SOURCES := $(addprefix $(dir $(lastword $(MAKEFILE_LIST))),",
                     identifier, identifier);
    put_sources(emission->files, " \\\n\t", &make);
    kgen_text_puts(&make, ")\n");
    kgen_emit_mark(input, "# ", &cmake);
    kgen_text_printf(&cmake,
                     "# For CMake: include this file, and compile ${%s_SOURCES} as C11, with -O3.\n"
                     "set(%s_SOURCES",
                     identifier, identifier);
    put_sources(emission->files, "\n  ${CMAKE_CURRENT_LIST_DIR}/", &cmake);
    kgen_text_puts(&cmake, ")\n");
    int result = 0;
    if ((file = kgen_emit_add(emission->files, input, "sources", ".mk", error)) != NULL) {
        *file = make;
        make = (struct kgen_text){0};
    } else {
        result = -1;
    }
    if (result == 0 && (file = kgen_emit_add(emission->files, input, "sources", ".cmake", error)) != NULL) {
        *file = cmake;
        cmake = (struct kgen_text){0};
    } else {
        result = -1;
    }
    kgen_text_free(&make);
    kgen_text_free(&cmake);
    return result;
}
