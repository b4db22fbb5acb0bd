/* SPDX-License-Identifier: MIT */
/* sched_getaffinity and CPU_COUNT are not in POSIX. */
#define _GNU_SOURCE
#include "runtime/machine/machine.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

static int usable_threads(void)
{
    cpu_set_t processors;
    if (sched_getaffinity(0, sizeof processors, &processors) == 0)
        return CPU_COUNT(&processors);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

/* Reads the first line of a file; line is empty where there is none. */
static void read_line(const char *path, char *line, int size)
{
    line[0] = '\0';
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    if (fgets(line, size, file) == NULL)
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    fclose(file);
}

static size_t parse_size(const char *text)
{
    char *end;
    size_t size = strtoull(text, &end, 10);
    return *end == 'K' ? size << 10 : *end == 'M' ? size << 20 : *end == 'G' ? size << 30 : size;
}

static size_t configured(int name)
{
    long size = sysconf(name);
    return size > 0 ? (size_t)size : 0;
}

static void detect_caches(struct kgen_machine *machine)
{
    size_t *sizes[] = {&machine->l1d_bytes, &machine->l2_bytes, &machine->l3_bytes};
    for (int i = 0; i < 16; i++) {
        char path[96], level[16], type[32], size[32];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
        read_line(path, level, sizeof level);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
        read_line(path, type, sizeof type);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        read_line(path, size, sizeof size);
        int number = level[0] - '0';
        if (number >= 1 && number <= (int)KGEN_COUNT_OF(sizes) && strcmp(type, "Instruction") != 0)
            *sizes[number - 1] = parse_size(size);
    }
#if defined(_SC_LEVEL1_DCACHE_SIZE)
    const int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    for (size_t i = 0; i < KGEN_COUNT_OF(sizes); i++) {
        if (*sizes[i] == 0)
            *sizes[i] = configured(names[i]);
    }
#endif
}

#if defined(__x86_64__)

struct registers {
    unsigned a, b, c, d;
};

static struct registers cpuid(unsigned leaf, unsigned subleaf)
{
    struct registers r = {0};
    if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0)
        return (struct registers){0};
    return r;
}

/* XCR0: the registers that the operating system saves. */
static uint64_t saved_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* The features that instruction sets ask for: bit of ebx or ecx of a leaf of cpuid, and what of XCR0 the
 * operating system must save. */
enum { SAVES_YMM = 1 << 1 | 1 << 2, SAVES_ZMM = SAVES_YMM | 1 << 5 | 1 << 6 | 1 << 7 };
static const struct {
    const char *name;
    unsigned leaf;
    char reg;
    unsigned bit, saved;
} features[] = {
    {"fma", 1, 'c', 12, SAVES_YMM},        {"f16c", 1, 'c', 29, SAVES_YMM},
    {"avx2", 7, 'b', 5, SAVES_YMM},        {"bmi2", 7, 'b', 8, 0},
    {"avx512f", 7, 'b', 16, SAVES_ZMM},    {"avx512dq", 7, 'b', 17, SAVES_ZMM},
    {"avx512bw", 7, 'b', 30, SAVES_ZMM},   {"avx512vl", 7, 'b', 31, SAVES_ZMM},
    {"avx512vnni", 7, 'c', 11, SAVES_ZMM},
};

static unsigned detect_isas(void)
{
    const unsigned basic = cpuid(1, 0).c, osxsave_and_avx = 1u << 27 | 1u << 28;
    const uint64_t state = (basic & osxsave_and_avx) == osxsave_and_avx ? saved_state() : 0;
    char found[256] = "";
    for (size_t i = 0; i < KGEN_COUNT_OF(features); i++) {
        const struct registers r = cpuid(features[i].leaf, 0);
        const unsigned bits = features[i].reg == 'b' ? r.b : r.c;
        const size_t length = strlen(found);
        if ((bits >> features[i].bit & 1) != 0 && (state & features[i].saved) == features[i].saved)
            snprintf(found + length, sizeof found - length, " %s", features[i].name);
    }
    return kgen_isas_of_features(found);
}

static void copy_trimmed(char *to, size_t size, const char *from)
{
    from += strspn(from, " ");
    snprintf(to, size, "%s", from);
    for (size_t length = strlen(to); length > 0 && to[length - 1] == ' '; length--)
        to[length - 1] = '\0';
}

static void detect_processor(struct kgen_machine *machine)
{
    snprintf(machine->architecture, sizeof machine->architecture, "x86_64");
    const struct registers vendor = cpuid(0, 0), version = cpuid(1, 0);
    const unsigned letters[] = {vendor.b, vendor.d, vendor.c};
    memcpy(machine->vendor, letters, sizeof letters);
    unsigned family = version.a >> 8 & 15, model = version.a >> 4 & 15;
    if (family == 6 || family == 15)
        model += (version.a >> 16 & 15) << 4;
    if (family == 15)
        family += version.a >> 20 & 255;
    machine->family = (int)family;
    machine->model = (int)model;
    machine->stepping = (int)(version.a & 15);
    char name[49] = "";
    for (unsigned i = 0; i < 3; i++) {
        const struct registers part = cpuid(0x80000002 + i, 0);
        memcpy(name + 16 * i, &part, sizeof part);
    }
    copy_trimmed(machine->name, sizeof machine->name, name);
    machine->isas = detect_isas();
}

#elif defined(__aarch64__)

/* The number after "name : " in a line of /proc/cpuinfo, or -1 where the line says something else. */
static int cpuinfo_number(const char *line, const char *name)
{
    const char *colon = strchr(line, ':');
    return strncmp(line, name, strlen(name)) == 0 && colon != NULL ? (int)strtol(colon + 1, NULL, 0) : -1;
}

/* The lines of the first processor in /proc/cpuinfo hold the fields of its MIDR register. */
static void detect_processor(struct kgen_machine *machine)
{
    snprintf(machine->architecture, sizeof machine->architecture, "aarch64");
    const unsigned long advanced_simd = 1ul << 1;
    machine->isas = kgen_isas_of_features((getauxval(AT_HWCAP) & advanced_simd) != 0 ? "asimd" : "");
    int implementer = 0, variant = 0, revision = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL && line[0] != '\n') {
        int number;
        if ((number = cpuinfo_number(line, "CPU implementer")) >= 0)
            implementer = number;
        else if ((number = cpuinfo_number(line, "CPU architecture")) >= 0)
            machine->family = number;
        else if ((number = cpuinfo_number(line, "CPU part")) >= 0)
            machine->model = number;
        else if ((number = cpuinfo_number(line, "CPU variant")) >= 0)
            variant = number;
        else if ((number = cpuinfo_number(line, "CPU revision")) >= 0)
            revision = number;
    }
    if (file != NULL)
        fclose(file);
    machine->stepping = variant * 16 + revision;
    snprintf(machine->vendor, sizeof machine->vendor, "0x%02x", (unsigned)implementer & 255);
    snprintf(machine->name, sizeof machine->name, "AArch64 implementer 0x%02x part 0x%03x",
             (unsigned)implementer, (unsigned)machine->model);
}

#else

static void detect_processor(struct kgen_machine *machine)
{
    snprintf(machine->architecture, sizeof machine->architecture, "unknown");
    machine->isas = kgen_isas_of_features("");
}

#endif

static void identify(struct kgen_machine *machine)
{
    uint64_t hash = kgen_hash_string(KGEN_HASH_START, machine->architecture);
    hash = kgen_hash_string(hash, machine->vendor);
    hash = kgen_hash_string(hash, machine->name);
    const uint64_t numbers[] = {(uint64_t)machine->family,   (uint64_t)machine->model,
                                (uint64_t)machine->stepping, (uint64_t)machine->l1d_bytes,
                                (uint64_t)machine->l2_bytes, (uint64_t)machine->l3_bytes,
                                (uint64_t)machine->isas};
    hash = kgen_hash(hash, numbers, sizeof numbers);
    snprintf(machine->identity, sizeof machine->identity, "%016" PRIx64, hash);
}

void kgen_machine_detect(struct kgen_machine *machine)
{
    *machine = (struct kgen_machine){0};
    detect_processor(machine);
    detect_caches(machine);
    machine->threads = usable_threads();
    identify(machine);
}

enum kgen_isa kgen_machine_best_isa(const struct kgen_machine *machine)
{
    return kgen_isas_widest(machine->isas);
}

size_t kgen_machine_last_level_cache(const struct kgen_machine *machine)
{
    size_t greatest = machine->l1d_bytes;
    if (machine->l2_bytes > greatest)
        greatest = machine->l2_bytes;
    if (machine->l3_bytes > greatest)
        greatest = machine->l3_bytes;
    return greatest;
}
