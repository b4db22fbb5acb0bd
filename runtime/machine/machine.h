/* SPDX-License-Identifier: MIT */
/* What this machine is. */
#ifndef KGEN_MACHINE_H
#define KGEN_MACHINE_H

#include "gen/base/isa.h"

struct kgen_machine {
    char architecture[16]; /* "x86_64", "aarch64" */
    char vendor[16];       /* "AuthenticAMD", ... */
    char name[64];         /* the processor's own name */
    int family, model, stepping;
    int threads;                          /* processors this process may use */
    size_t l1d_bytes, l2_bytes, l3_bytes; /* 0 where unknown */
    unsigned isas;                        /* bits 1 << isa; generic is always there */
    char identity[17];                    /* a hash of all members above except threads, in hexadecimal */
};

void kgen_machine_detect(struct kgen_machine *machine);
/* The widest instruction set of the machine. */
enum kgen_isa kgen_machine_best_isa(const struct kgen_machine *machine);
/* The size of the largest cache: cold inputs must be larger. */
size_t kgen_machine_last_level_cache(const struct kgen_machine *machine);

/* Appends the machine as a JSON object on one line, and reads it back. Reading returns -1 where the text is
 * no JSON object; members that it lacks are left 0. */
int kgen_machine_write(const struct kgen_machine *machine, struct kgen_text *text);
int kgen_machine_read(const char *text, size_t length, struct kgen_machine *machine);

#endif
