/* SPDX-License-Identifier: MIT */
#include <kgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const struct kgen_function *down;
static struct kgen_call call;

static void *run_half(void *half)
{
    size_t part = *(size_t *)half;
    kgen_function_run_range(down, &call, kgen_function_part(down, part, 2),
                            kgen_function_part(down, part + 1, 2), NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    struct kgen_status status = {0};
    struct kgen_context *context = kgen_open(NULL, &status);
    struct kgen_plan *plan = context ? kgen_plan_file(context, argv[argc - 1], &status) : NULL;
    down = plan ? kgen_plan_find(plan, "layers.*.mlp.down_proj", NULL, &status) : NULL;
    if (!down)
        return fprintf(stderr, "%s\n", kgen_status_format(&status, (char[1024]){0}, 1024)), 1;
    call.weights = calloc(1, kgen_function_buffer_size(down, "weights")); /* yours, as MLX stores them */
    call.scales = calloc(1, kgen_function_buffer_size(down, "scales"));
    call.biases = calloc(1, kgen_function_buffer_size(down, "biases"));
    call.x = calloc(1, kgen_function_buffer_size(down, "x"));
    call.y = calloc(1, kgen_function_buffer_size(down, "y"));
    call.workspace = aligned_alloc(64, (kgen_function_workspace_size(down) + 63) / 64 * 64);
    kgen_function_prepare(down, &call, &status);
    pthread_t other;
    pthread_create(&other, NULL, run_half, &(size_t){1});
    run_half(&(size_t){0});
    pthread_join(other, NULL);
    printf("%zu rows, y[0] = %g\n", kgen_function_range(down), call.y[0]);
    kgen_plan_free(plan);
    kgen_close(context);
}
