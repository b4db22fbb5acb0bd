/* SPDX-License-Identifier: MIT */
/* Writes the C file that holds the templates: embed OUT.c templates/c/a.c.in ... Runs on the building
 * machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last two parts of a path: folder and file. */
static const char *short_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    while (slash != NULL && slash > path && slash[-1] != '/')
        slash--;
    return slash != NULL ? slash : path;
}

static void write_character(FILE *out, int c)
{
    if (c == '"' || c == '\\' || c == '?') /* ?? could begin a trigraph */
        fprintf(out, "\\%c", c);
    else if (c == '\t')
        fputs("\\t", out);
    else if (c >= 0x20 && c < 0x7f)
        fputc(c, out);
    else
        fprintf(out, "\\%03o", (unsigned)c);
}

/* One string literal a line of the file. */
static int write_text(FILE *out, const char *path, size_t number)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL) {
        perror(path);
        return -1;
    }
    fprintf(out, "static const char text_%zu[] =\n    \"", number);
    for (int c = fgetc(in); c != EOF; c = fgetc(in)) {
        if (c == '\n')
            fputs("\\n\"\n    \"", out);
        else
            write_character(out, c);
    }
    fputs("\";\n\n", out);
    int failed = ferror(in);
    if (failed)
        perror(path);
    fclose(in);
    return failed ? -1 : 0;
}

static int write_table(FILE *out, char **paths, size_t count)
{
    fputs("/* Written by gen/template/embed/embed.c from the files below. */\n#include "
          "\"gen/template/embedded.h\"\n\n",
          out);
    for (size_t i = 0; i < count; i++) {
        if (write_text(out, paths[i], i) != 0)
            return -1;
    }
    fputs("const struct kgen_embedded_file kgen_embedded_files[] = {\n", out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "    {\"%s\", text_%zu, sizeof text_%zu - 1},\n", short_path(paths[i]), i, i);
    fputs("    {NULL, NULL, 0},\n};\n", out);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: embed OUT.c [FILE ...]\n", stderr);
        return EXIT_FAILURE;
    }
    FILE *out = fopen(argv[1], "wb");
    if (out == NULL) {
        perror(argv[1]);
        return EXIT_FAILURE;
    }
    int failed = write_table(out, argv + 2, (size_t)argc - 2) != 0 || ferror(out);
    if (fclose(out) != 0 || failed) {
        fprintf(stderr, "embed: %s is not written\n", argv[1]);
        remove(argv[1]);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
