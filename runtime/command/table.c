/* SPDX-License-Identifier: MIT */
#include "runtime/command/table.h"

#include <stdlib.h>
#include <string.h>

void kgen_table_cell(struct kgen_table *table, const char *format, ...)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity == 0 ? 64 : table->capacity * 2;
        char **cells = realloc(table->cells, capacity * sizeof *cells);
        if (cells == NULL) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    struct kgen_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    kgen_text_vprintf(&text, format, arguments);
    va_end(arguments);
    if (text.failed) {
        kgen_text_free(&text);
        table->failed = true;
        return;
    }
    table->cells[table->count++] = text.data;
}

void kgen_table_time(struct kgen_table *table, double seconds)
{
    const double microseconds = seconds * 1e6;
    if (microseconds > 0)
        kgen_table_cell(table, "%.*f", microseconds < 10 ? 3 : microseconds < 100 ? 2 : 1, microseconds);
    else
        kgen_table_cell(table, "-");
}

/* The width of a UTF-8 text in columns; every character counts as one. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* The bytes of the first width characters. */
static size_t bytes_of(const char *text, size_t width)
{
    size_t at = 0;
    for (; text[at] != '\0'; at++) {
        if (((unsigned char)text[at] & 0xc0) != 0x80 && width-- == 0)
            break;
    }
    return at;
}

static size_t shown_width(const struct kgen_column *column, const char *text)
{
    const size_t width = width_of(text);
    return column->most > 0 && width > column->most ? column->most : width;
}

static void print_cell(FILE *file, const struct kgen_column *column, const char *text, size_t width,
                       bool last)
{
    const size_t shown = shown_width(column, text);
    const bool cut = shown < width_of(text);
    const size_t bytes = cut ? bytes_of(text, shown - 3) : strlen(text);
    const int padding = (int)(width - shown);
    if (column->right)
        fprintf(file, "%*s", padding, "");
    fprintf(file, "%.*s%s", (int)bytes, text, cut ? "..." : "");
    if (!last)
        fprintf(file, "%*s", column->right ? 2 : padding + 2, "");
    else
        fputc('\n', file);
}

int kgen_table_print(const struct kgen_table *table, FILE *file)
{
    size_t *widths = calloc(table->column_count, sizeof *widths);
    if (widths == NULL || table->failed) {
        free(widths);
        return -1;
    }
    for (size_t i = 0; i < table->column_count; i++)
        widths[i] = shown_width(&table->columns[i], table->columns[i].title);
    for (size_t i = 0; i < table->count; i++) {
        const size_t column = i % table->column_count;
        const size_t width = shown_width(&table->columns[column], table->cells[i]);
        if (width > widths[column])
            widths[column] = width;
    }
    for (size_t i = 0; i < table->column_count; i++)
        print_cell(file, &table->columns[i], table->columns[i].title, widths[i],
                   i + 1 == table->column_count);
    for (size_t i = 0; i < table->count; i++) {
        const size_t column = i % table->column_count;
        print_cell(file, &table->columns[column], table->cells[i], widths[column],
                   column + 1 == table->column_count);
    }
    free(widths);
    return 0;
}

void kgen_table_free(struct kgen_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct kgen_table){0};
}
