/* SPDX-License-Identifier: MIT */
/* How long it takes to open a large cache, as every start of a program does: `make bench-cache`, RECORDS=n
 * for another size. The file is in the page cache, as it is for the second program that reads it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gen/base/file.h"
#include "runtime/cache/cache.h"
#include "runtime/cache/record.h"

#define RUNS 21
#define DEFAULT_RECORDS 100000L

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* A file as searches leave it: every record of its own key, one in 400 a winner's. */
static int write_records(const char *path, long count)
{
    struct kgen_text lines = {0};
    for (long i = 0; i < count; i++) {
        char problem[160], variant[96];
        snprintf(problem, sizeof problem,
                 "{\"op\":\"qmv\",\"N\":%ld,\"K\":4096,\"bits\":4,\"group_size\":64,\"mode\":\"affine\","
                 "\"scale_dtype\":\"f16\",\"activation_dtype\":\"f32\",\"threads\":2}",
                 1024 + i / 400);
        snprintf(variant, sizeof variant, "qmv avx512 rows=%ld unroll=%ld prefetch=%ld", 1 + i % 8,
                 1 + i / 8 % 8, i / 64 % 7 * 256);
        struct kgen_record record = {
            .machine = "00112233445566aa",
            .problem = problem,
            .variant = variant,
            .engine = "tcc 0.9.27 lowering 1",
            .effort = "measure",
            .verdict = KGEN_PASSED,
            .detail = "",
            .error_of_bound = 0.0123456,
            .cases = 31,
            .compile_seconds = 0.000912,
            .cold_seconds = 0.000311456,
            .hot_seconds = 0.00010045,
            .repeats = 12,
            .chosen = i % 400 == 7,
        };
        record.key = kgen_record_key(record.machine, problem, (uint64_t)i, record.engine);
        if (kgen_line_write_record(&record, &lines, NULL) != 0)
            return -1;
    }
    const int result = lines.failed ? -1 : kgen_file_write(path, lines.data, lines.length, NULL);
    kgen_text_free(&lines);
    return result;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Returns the seconds of one opening, or -1. */
static double open_once(const char *folder, size_t expected, double *close_seconds)
{
    const double begin = now();
    struct kgen_cache *cache = kgen_cache_open(folder, NULL, NULL, NULL);
    const double opened = now();
    const bool right = cache != NULL && kgen_cache_count(cache) == expected;
    const double before_close = now();
    kgen_cache_close(cache);
    *close_seconds = now() - before_close;
    return right ? opened - begin : -1;
}

int main(int argc, char **argv)
{
    const long records = argc > 1 ? atol(argv[1]) : DEFAULT_RECORDS;
    char folder[] = "/tmp/kgen-bench-XXXXXX", path[64];
    if (records <= 0 || mkdtemp(folder) == NULL) {
        fprintf(stderr, "usage: cache_load [RECORDS]\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/records.jsonl", folder);
    double seconds[RUNS], closes[RUNS];
    int status = write_records(path, records) == 0 ? 0 : 1;
    for (int i = 0; status == 0 && i < RUNS; i++) {
        seconds[i] = open_once(folder, (size_t)records, &closes[i]);
        status = seconds[i] > 0 ? 0 : 1;
    }
    struct stat file = {0};
    stat(path, &file);
    unlink(path);
    rmdir(folder);
    if (status != 0) {
        fprintf(stderr, "the cache was not read as it was written\n");
        return 1;
    }
    qsort(seconds, RUNS, sizeof *seconds, compare);
    qsort(closes, RUNS, sizeof *closes, compare);
    printf("%ld records, %.1f MB: open %.1f ms (median of %d; %.1f to %.1f), close %.1f ms\n", records,
           (double)file.st_size * 1e-6, seconds[RUNS / 2] * 1e3, RUNS, seconds[0] * 1e3,
           seconds[RUNS - 1] * 1e3, closes[RUNS / 2] * 1e3);
    return 0;
}
