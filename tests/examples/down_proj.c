/* SPDX-License-Identifier: MIT */
#include <kgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    static const char *const names[] = {"weights", "scales", "biases", "x", "y", "workspace"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) { /* weights: yours, as MLX stores them */
        size_t size = (kgen_function_buffer_size(down, names[i]) + 63) / 64 * 64;
        kgen_call_set(&call, down, names[i], memset(aligned_alloc(64, size), 0, size), &status);
    }
    kgen_function_prepare(down, &call, &status);
    pthread_t other;
    pthread_create(&other, NULL, run_half, &(size_t){1});
    run_half(&(size_t){0});
    pthread_join(other, NULL);
    kgen_function_finish(down, &call, &status);
    const float *y = call.buffers[kgen_function_buffer(down, "y")];
    printf("%zu rows, y[0] = %g\n", kgen_function_range(down), y[0]);
    kgen_plan_free(plan);
    kgen_close(context);
}
