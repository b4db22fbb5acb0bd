/* SPDX-License-Identifier: MIT */
#include "runtime/machine/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the beginning of a file; a file that cannot be read is empty. */
static void read_text(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    const size_t length = file != NULL ? fread(text, 1, size - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    text[length] = '\0';
}

/* A number of bytes; UINT64_MAX where there is none, such as "max". */
static uint64_t number_of(const char *text)
{
    char *end;
    const unsigned long long number = strtoull(text, &end, 10);
    return end == text ? UINT64_MAX : number;
}

uint64_t kgen_memory_available_of(const char *meminfo, const char *limit, const char *used)
{
    static const char key[] = "MemAvailable:";
    const char *line = strstr(meminfo, key);
    const uint64_t kilobytes = line != NULL ? number_of(line + sizeof key - 1) : UINT64_MAX;
    const uint64_t available = kilobytes <= UINT64_MAX / 1024 ? kilobytes * 1024 : 0;
    const uint64_t most = number_of(limit), taken = number_of(used);
    if (most == UINT64_MAX || taken == UINT64_MAX)
        return available;
    const uint64_t left = most > taken ? most - taken : 1;
    return available == 0 || left < available ? left : available;
}

uint64_t kgen_memory_available(void)
{
    char meminfo[1024], limit[32], used[32];
    read_text("/proc/meminfo", meminfo, sizeof meminfo);
    read_text("/sys/fs/cgroup/memory.max", limit, sizeof limit);
    read_text("/sys/fs/cgroup/memory.current", used, sizeof used);
    return kgen_memory_available_of(meminfo, limit, used);
}
