/* SPDX-License-Identifier: MIT */
#include "runtime/cache/effort.h"

#include <string.h>

static const char *const names[KGEN_EFFORT_COUNT] = {[KGEN_EFFORT_ESTIMATE] = "estimate",
                                                     [KGEN_EFFORT_MEASURE] = "measure",
                                                     [KGEN_EFFORT_PATIENT] = "patient",
                                                     [KGEN_EFFORT_EXHAUSTIVE] = "exhaustive"};

const char *kgen_effort_name(enum kgen_search_effort effort)
{
    return names[effort];
}

int kgen_effort_parse(const char *name, enum kgen_search_effort *effort)
{
    for (int i = 0; i < KGEN_EFFORT_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            *effort = (enum kgen_search_effort)i;
            return 0;
        }
    }
    return -1;
}
