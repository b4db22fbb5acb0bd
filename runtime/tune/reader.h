/* SPDX-License-Identifier: MIT */
/* The reader reads memory, as fast as this machine can, and does nothing else. The times of kernels are
 * compared with its time for the same bytes. */
#ifndef KGEN_READER_H
#define KGEN_READER_H

#include "gen/template/template.h"
#include "runtime/machine/machine.h"
#include "runtime/process/team.h"

/* Parts of a pass are multiples of this, and so is what a pass reads. */
#define KGEN_READER_MULTIPLE ((size_t)4096)

struct kgen_reader; /* one thread at a time */

/* Compiles templates/c/read_bandwidth.c.in for the machine's widest vectors through TinyCC; so call it in a
 * worker process. parts is the number of parts of the teams that will use it. Returns NULL and fills error on
 * failure. */
struct kgen_reader *kgen_reader_open(const struct kgen_machine *machine,
                                     const struct kgen_templates *templates, int parts,
                                     struct kgen_error *error);
void kgen_reader_close(struct kgen_reader *reader);

/* Reads bytes (a multiple of KGEN_READER_MULTIPLE) once, divided over the team (NULL: this thread). Returns
 * the seconds it took. */
double kgen_reader_pass(struct kgen_reader *reader, const void *data, size_t bytes, struct kgen_team *team);

#endif
