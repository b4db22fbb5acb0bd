/* SPDX-License-Identifier: MIT */
#include "runtime/cache/effort.h"

#include "gen/base/strings.h"

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
    const int found = kgen_string_find(names, KGEN_EFFORT_COUNT, name);
    if (found >= 0)
        *effort = (enum kgen_search_effort)found;
    return found >= 0 ? 0 : -1;
}
