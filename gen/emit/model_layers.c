/* SPDX-License-Identifier: MIT */
/* The layers of a model: a function for each kind, and a loop over those that are alike. */
#include "gen/emit/model.h"

#include <stdlib.h>
#include <string.h>

/* Where so many runs of equal layers follow one another, a table says which function is whose. */
enum { RUNS_MAX = 6 };

/* The texts of all layers. */
struct layers {
    struct kgen_text *texts; /* of each, owned */
    size_t *kinds;           /* of each: the first layer with the same text */
    size_t count, runs;
    size_t
        end; /* the bytes at the end of all texts that are equal, and have a function of their own; 0: none */
};

static int make_texts(struct kgen_emit_model *model, const struct kgen_emit_model_pass *pass,
                      struct layers *layers)
{
    layers->count = (size_t)model->graph->layers;
    layers->texts = calloc(layers->count + 1, sizeof *layers->texts);
    layers->kinds = calloc(layers->count + 1, sizeof *layers->kinds);
    if (layers->texts == NULL || layers->kinds == NULL)
        return -1;
    for (size_t i = 0; i < layers->count; i++) {
        size_t begin, end;
        kgen_emit_model_group(model, (int64_t)i, false, &begin, &end);
        kgen_text_puts(&layers->texts[i], "");
        pass->put(model, begin, end, &layers->texts[i]);
        if (layers->texts[i].failed)
            return -1;
        layers->kinds[i] = 0;
        while (strcmp(layers->texts[layers->kinds[i]].data, layers->texts[i].data) != 0)
            layers->kinds[i]++;
        layers->runs += i == 0 || layers->kinds[i] != layers->kinds[i - 1];
    }
    return 0;
}

/* Whether a statement begins at a place of a text. */
static bool is_statement(const char *text, const char *at)
{
    return (at == text || at[-1] == '\n') && strncmp(at, "    ", 4) == 0 && at[4] != ' ' && at[4] != '}';
}

/* Finds the statements at the end that layers of all kinds have. */
static void find_end(struct layers *layers)
{
    enum { LEAST = 8 }; /* lines that are worth a function */
    const struct kgen_text *first = &layers->texts[0];
    size_t common = first->length, lines = 0;
    bool differ = false;
    for (size_t i = 1; i < layers->count; i++) {
        const struct kgen_text *other = &layers->texts[i];
        size_t same = 0;
        while (same < common && same < other->length &&
               first->data[first->length - same - 1] == other->data[other->length - same - 1])
            same++;
        common = same;
        differ = differ || layers->kinds[i] != 0;
    }
    const char *at = first->data + first->length - common;
    while (*at != '\0' && !is_statement(first->data, at))
        at++;
    for (const char *line = at; (line = strchr(line, '\n')) != NULL; line++)
        lines++;
    layers->end = differ && lines >= LEAST ? strlen(at) : 0;
}

/* " 0, 2 to 5" */
static void put_numbers(const struct layers *layers, size_t kind, struct kgen_text *text)
{
    const char *separator = " ";
    for (size_t i = kind; i < layers->count; i++) {
        if (layers->kinds[i] != kind)
            continue;
        size_t last = i;
        while (last + 1 < layers->count && layers->kinds[last + 1] == kind)
            last++;
        kgen_text_printf(text, "%s%zu", separator, i);
        if (last > i)
            kgen_text_printf(text, "%s%zu", last == i + 1 ? ", " : " to ", last);
        separator = ", ";
        i = last;
    }
}

static void put_functions(const struct layers *layers, const struct kgen_emit_model_pass *pass,
                          struct kgen_text *text)
{
    if (layers->end > 0)
        kgen_text_printf(text, "\n/* What all layers end with. */\nstatic void %slayer_end(%s)\n{\n%s}\n",
                         pass->name, pass->parameters,
                         layers->texts[0].data + layers->texts[0].length - layers->end);
    for (size_t i = 0; i < layers->count; i++) {
        if (layers->kinds[i] != i)
            continue;
        size_t count = 0;
        for (size_t j = i; j < layers->count; j++)
            count += layers->kinds[j] == i;
        kgen_text_printf(text, "\n/* Layer%s", count > 1 ? "s" : "");
        put_numbers(layers, i, text);
        kgen_text_printf(text, ". */\nstatic void %slayer_%zu(%s)\n{\n%.*s", pass->name, i, pass->parameters,
                         (int)(layers->texts[i].length - layers->end), layers->texts[i].data);
        if (layers->end > 0)
            kgen_text_printf(text, "    %slayer_end(%s);\n", pass->name, pass->within);
        kgen_text_puts(text, "}\n");
    }
}

/* Appends arguments with a number in the place of "#". */
static void put_arguments(const char *arguments, const char *number, struct kgen_text *text)
{
    for (const char *at = arguments; *at != '\0'; at++) {
        if (*at == '#')
            kgen_text_puts(text, number);
        else
            kgen_text_append(text, at, 1);
    }
}

static void put_run(const struct kgen_emit_model_pass *pass, size_t kind, size_t first, size_t end,
                    struct kgen_text *text)
{
    struct kgen_text number = {0};
    kgen_text_printf(&number, "%zu", first);
    if (end - first > 1)
        kgen_text_printf(text, "    for (size_t i = %zu; i < %zu; i++)\n    ", first, end);
    kgen_text_printf(text, "    %slayer_%zu(", pass->name, kind);
    put_arguments(pass->call, end - first > 1 || number.failed ? "i" : number.data, text);
    kgen_text_puts(text, ");\n");
    kgen_text_free(&number);
}

static void put_table(const struct layers *layers, const struct kgen_emit_model_pass *pass,
                      struct kgen_text *text)
{
    kgen_text_printf(text, "    static void (*const layers[])(%s) = {", pass->parameters);
    for (size_t i = 0; i < layers->count; i++)
        kgen_text_printf(text, "%s%slayer_%zu", i > 0 ? ", " : "", pass->name, layers->kinds[i]);
    kgen_text_printf(text, "};\n    for (size_t i = 0; i < %zu; i++)\n        layers[i](", layers->count);
    put_arguments(pass->call, "i", text);
    kgen_text_puts(text, ");\n");
}

static void put_calls(const struct layers *layers, const struct kgen_emit_model_pass *pass,
                      struct kgen_text *text)
{
    if (layers->runs > RUNS_MAX) {
        put_table(layers, pass, text);
        return;
    }
    for (size_t i = 0, end; i < layers->count; i = end) {
        end = i + 1;
        while (end < layers->count && layers->kinds[end] == layers->kinds[i])
            end++;
        put_run(pass, layers->kinds[i], i, end, text);
    }
}

int kgen_emit_model_put_layers(struct kgen_emit_model *model, const struct kgen_emit_model_pass *pass,
                               struct kgen_text *functions, struct kgen_text *text)
{
    struct layers layers = {.count = 0};
    size_t begin, end;
    const int result = make_texts(model, pass, &layers);
    if (result == 0) {
        find_end(&layers);
        kgen_emit_model_group(model, -1, false, &begin, &end);
        pass->put(model, begin, end, text);
        put_functions(&layers, pass, functions);
        put_calls(&layers, pass, text);
        kgen_emit_model_group(model, -1, true, &begin, &end);
        pass->put(model, begin, end, text);
    }
    for (size_t i = 0; layers.texts != NULL && i < layers.count; i++)
        kgen_text_free(&layers.texts[i]);
    free(layers.texts);
    free(layers.kinds);
    return result;
}
