/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/spec/spec.h"
#include "package_fixture.h"

const struct kgen_test_packing kgen_test_in_tiles = {.activation_dtype = KGEN_I24, .layout = KGEN_TILES16};
const struct kgen_test_packing kgen_test_as_stored = {.activation_dtype = KGEN_F32, .layout = KGEN_STORED};

int kgen_test_pack(const char *from, const char *to, const struct kgen_test_packing *packing,
                   struct kgen_package_summary *summary, struct kgen_error *error)
{
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(from, error);
    struct kgen_text config = {0}, values = {0};
    int result = checkpoint == NULL ? -1 : kgen_package_config(checkpoint, &packing->formats, &config, error);
    const struct kgen_spec_options options = {.activation_dtypes = {packing->activation_dtype},
                                              .layout = packing->layout};
    struct kgen_spec *spec =
        result == 0 ? kgen_spec_parse(from, config.data, config.length, &options, error) : NULL;
    result = spec == NULL ? -1 : 0;
    if (result == 0) {
        kgen_package_put_string(&values, "general.name", "a name", 6);
        const struct kgen_package_parts parts = {.checkpoint = checkpoint,
                                                 .graph = spec->graph,
                                                 .config = config.data,
                                                 .activation_dtype = packing->activation_dtype,
                                                 .layout = packing->layout,
                                                 .values = &values,
                                                 .value_count = 1,
                                                 .threads = 2,
                                                 .progress = packing->progress};
        result = kgen_package_write(to, &parts, summary, error);
    }
    kgen_spec_free(spec);
    kgen_text_free(&config);
    kgen_text_free(&values);
    kgen_checkpoint_free(checkpoint);
    return result;
}

struct kgen_package_summary kgen_test_pack_well(const char *from, const char *to,
                                                const struct kgen_test_packing *packing)
{
    struct kgen_package_summary summary;
    struct kgen_error error = {0};
    char text[1200];
    if (kgen_test_pack(from, to, packing, &summary, &error) != 0)
        fail_msg("%s: %s", from, kgen_error_format(&error, text, sizeof text));
    return summary;
}

struct kgen_checkpoint *kgen_test_open_checkpoint(const char *path)
{
    struct kgen_error error = {0};
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(path, &error);
    if (checkpoint == NULL)
        fail_msg("%s: %s", path, error.message);
    return checkpoint;
}
