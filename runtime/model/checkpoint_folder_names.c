/* SPDX-License-Identifier: MIT */
/* The names of a folder's tensors. Of a model of text and images those of the text have a prefix, which
 * Hugging Face's library and mlx-lm write differently. */
#include "runtime/model/checkpoint_folder.h"

#include <stdio.h>
#include <string.h>

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool kgen_checkpoint_folder_name(const char *stored, char name[KGEN_CHECKPOINT_NAME_MAX])
{
    /* Images, and the prediction of further tokens. */
    static const char *const others[] = {"model.visual.", "visual.", "vision_tower.", "mtp."};
    static const struct {
        const char *stored, *name;
    } prefixes[] = {{"model.language_model.", "model."}, {"language_model.", ""}};
    for (size_t i = 0; i < KGEN_COUNT_OF(others); i++) {
        if (begins_with(stored, others[i]))
            return false;
    }
    const char *prefix = "";
    for (size_t i = 0; i < KGEN_COUNT_OF(prefixes); i++) {
        if (!begins_with(stored, prefixes[i].stored))
            continue;
        prefix = prefixes[i].name;
        stored += strlen(prefixes[i].stored);
        break;
    }
    if (snprintf(name, KGEN_CHECKPOINT_NAME_MAX, "%s%s", prefix, stored) >= KGEN_CHECKPOINT_NAME_MAX)
        name[0] = '\0';
    return true;
}
