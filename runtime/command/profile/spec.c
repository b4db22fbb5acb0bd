/* SPDX-License-Identifier: MIT */
/* The specs of kgen profile: models without weights. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gen/base/file.h"
#include "gen/ops/buffers.h"
#include "runtime/command/profile/profile.h"

bool kgen_profile_is_spec(const char *path)
{
    struct stat status;
    if (strcmp(path, "-") == 0)
        return true;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        /* A folder with weights has one of these. */
        static const char *const files[] = {"model.safetensors", "model.safetensors.index.json"};
        bool found = false;
        for (size_t i = 0; i < KGEN_COUNT_OF(files); i++) {
            char file[4096];
            snprintf(file, sizeof file, "%s/%s", path, files[i]);
            found = found || stat(file, &status) == 0;
        }
        return !found;
    }
    const char *dot = strrchr(path, '.');
    return dot != NULL && strcmp(dot, ".json") == 0;
}

static int read_text(const char *path, struct kgen_text *text, struct kgen_error *error)
{
    struct stat status;
    char file[4096];
    if (strcmp(path, "-") == 0)
        return kgen_command_read_input(text, error);
    const bool is_folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    snprintf(file, sizeof file, "%s%s", path, is_folder ? "/config.json" : "");
    return kgen_file_read(file, KGEN_SPEC_BYTES_MAX, text, error);
}

/* The bytes of all matrices and vectors of a model; what nodes share counts once for each. */
static double weight_bytes(const struct kgen_graph *graph)
{
    double bytes = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        struct kgen_buffers buffers;
        if (graph->nodes[i].status != KGEN_GRAPH_DERIVED)
            continue;
        kgen_problem_buffers(&graph->nodes[i].problem, &buffers);
        for (size_t j = 0; j < buffers.count; j++) {
            const bool is_large =
                buffers.items[j].role == KGEN_WEIGHTS || buffers.items[j].role == KGEN_STATE;
            bytes += is_large ? (double)buffers.items[j].bytes : 0;
        }
    }
    return bytes;
}

/* Bytes of memory that processes may still take without swapping; 0: not known. */
static double free_memory(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    char line[256];
    long long kilobytes = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL && kilobytes == 0)
        sscanf(line, "MemAvailable: %lld kB", &kilobytes);
    if (file != NULL)
        fclose(file);
    return (double)kilobytes * 1024;
}

static int check_memory(const struct kgen_profile *profile, const struct kgen_spec *spec,
                        struct kgen_error *error)
{
    const double bytes = weight_bytes(spec->graph), room = free_memory() * 0.9;
    if (room <= 0 || bytes <= room)
        return 0;
    const double part = room / bytes * (double)spec->graph->layers * 0.8;
    kgen_error_set(error, KGEN_ERROR_MEMORY, profile->source, 0, 0,
                   "weights and caches would take %.1f GB, and %.1f GB of memory are free", bytes * 1e-9,
                   room * 1e-9);
    kgen_error_hint(error, "--layers %lld keeps so many of the %lld layers",
                    part >= 1 ? (long long)part : 1LL, (long long)spec->graph->layers);
    return -1;
}

/* Replaces the number of layers in the text. */
static int keep_layers(struct kgen_profile *profile, int64_t layers, struct kgen_error *error)
{
    json_t *config = json_loadb(profile->config.data, profile->config.length, 0, NULL);
    char *written = NULL;
    if (json_is_object(config) && json_is_integer(json_object_get(config, "num_hidden_layers")) &&
        json_object_set_new(config, "num_hidden_layers", json_integer(layers)) == 0)
        written = json_dumps(config, JSON_INDENT(1));
    kgen_text_clear(&profile->config);
    kgen_text_puts(&profile->config, written != NULL ? written : "");
    json_decref(config);
    const bool failed = written == NULL;
    free(written);
    return failed ? kgen_error_set(error, KGEN_ERROR_SPEC, profile->source, 0, 0,
                                   "--layers wants a config with num_hidden_layers")
                  : 0;
}

int kgen_profile_read_spec(struct kgen_profile *profile, const struct kgen_options *options,
                           struct kgen_error *error)
{
    if (read_text(profile->source, &profile->config, error) != 0)
        return -1;
    struct kgen_spec *spec =
        kgen_spec_parse(profile->source, profile->config.data, profile->config.length, &options->spec, error);
    if (spec == NULL)
        return -1;
    int result = 0;
    profile->model_layers = spec->graph->layers;
    if (spec->graph->layers == 0) {
        result =
            kgen_error_set(error, KGEN_ERROR_SPEC, profile->source, 0, 0, "a list of problems has no steps");
        kgen_error_hint(error, "kgen profile wants a checkpoint, or the config.json of a model");
    } else if (options->layers > spec->graph->layers) {
        result = kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "--layers %lld: the model has %lld",
                                (long long)options->layers, (long long)spec->graph->layers);
    } else if (options->layers > 0) {
        result = keep_layers(profile, options->layers, error);
        kgen_spec_free(spec);
        spec = NULL;
        if (result == 0 && (spec = kgen_spec_parse(profile->source, profile->config.data,
                                                   profile->config.length, &options->spec, error)) == NULL)
            result = -1;
    }
    if (result == 0)
        result = check_memory(profile, spec, error);
    kgen_spec_free(spec);
    return result;
}
