/* SPDX-License-Identifier: MIT */
/* Packages that are damaged or of another version are refused, and writing that is ended loses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "api_fixture.h"
#include "gen/base/file.h"
#include "gguf_fixture.h"
#include "package_fixture.h"

#define SEED UINT64_C(76)
#define FILE_LIMIT ((size_t)16 << 20)

/* The paths of a checkpoint and a package of the fixture. */
static void name_files(const struct api_fixture *fixture, char model[128], char package[128])
{
    snprintf(model, 128, "%s/model.gguf", fixture->folder);
    snprintf(package, 128, "%s/model.kgen", fixture->folder);
}

/* ---- what is refused ---- */

/* Where the value of a key of eight bytes or fewer lies. */
static size_t value_at(const struct kgen_text *file, const char *key)
{
    struct kgen_error error = {0};
    struct kgen_gguf *gguf = kgen_gguf_parse("file", file->data, file->length, &error);
    assert_non_null(gguf);
    const struct kgen_gguf_value *value = kgen_gguf_find(gguf, key);
    assert_non_null(value);
    const size_t at = (size_t)((const char *)value->data - file->data);
    kgen_gguf_close(gguf);
    return at;
}

/* Replaces the first place of a text in the header by another of the same length. */
static void replace(struct kgen_text *file, const char *from, const char *to)
{
    const size_t length = strlen(from);
    assert_int_equal(strlen(to), length);
    for (size_t i = 0; i + length < file->length; i++) {
        if (memcmp(file->data + i, from, length) != 0)
            continue;
        memcpy(file->data + i, to, length);
        return;
    }
    fail_msg("there is no %s", from);
}

/* Makes the hash of the metadata right again. */
static void hash_again(struct kgen_text *file)
{
    struct kgen_error error = {0};
    struct kgen_gguf *gguf = kgen_gguf_parse("file", file->data, file->length, &error);
    assert_non_null(gguf);
    const size_t at = value_at(file, "kgen.package.hash");
    memset(file->data + at, 0, 8);
    const uint64_t hash = kgen_hash(KGEN_HASH_START, file->data, kgen_gguf_data_begin(gguf));
    for (size_t i = 0; i < 8; i++)
        file->data[at + i] = (char)(unsigned char)(hash >> (8 * i));
    kgen_gguf_close(gguf);
}

static const struct damage_case {
    const char *key;       /* its value counts one more; or NULL */
    const char *from, *to; /* a text of the metadata; or NULL */
    bool hashed;           /* the hash is that of what is there */
    const char *message;
} damages[] = {
    {"kgen.package.version", NULL, NULL, false, "has the version 2, and this kgen reads 1"},
    {"kgen.package.layout", NULL, NULL, false, "is made for version 2 of the layouts of weights"},
    {"kgen.package.hash", NULL, NULL, false, "its metadata are not those that were written"},
    {NULL, "a name", "a nama", false, "its metadata are not those that were written"},
    {NULL, "\"columns\":64", "\"columns\":32", true, "lacks a part of"},
    {NULL, "\"columns\":64", "\"columns\":63", true, "of a format that is not known"},
    {NULL, "\"bits\":4", "\"bits\":9", true, "of a format that is not known"},
    {NULL, "\"mode\":\"affine\"", "\"mode\":\"stored\"", true, "of a format that is not known"},
    {NULL, "\"mode\":\"affine\"", "\"mode\":\"mxfp4 \"", true, "of a format that is not known"},
    {NULL, "\"rows\":[64]", "\"rows\":[-6]", true, "without a name, or without rows"},
    {NULL, "\"names\"", "\"gnats\"", true, "has weights with 0 names"},
    {NULL, "k_proj.weight\"", "q_proj.weight\"", true, "has model.layers.0.self_attn.q_proj.weight twice"},
    {NULL, "kgen.package.weights", "kgen.package.heights", true, "has no list of weights"},
    {NULL, "kgen.package.layout_name", "kgen.package.layout_nome", true,
     "has no \"kgen.package.layout_name\""},
};

static void test_damages(void **state)
{
    char model[128], package[128];
    struct kgen_text good = {0};
    struct kgen_error error = {0};
    name_files(*state, model, package);
    kgen_test_write_llama(model, &kgen_test_small_llama, SEED, &kgen_test_mixed_types);
    kgen_test_pack_well(model, package, &kgen_test_in_tiles);
    assert_int_equal(kgen_file_read(package, FILE_LIMIT, &good, &error), 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(damages); i++) {
        struct kgen_text file = {0};
        kgen_text_append(&file, good.data, good.length);
        if (damages[i].key != NULL)
            file.data[value_at(&file, damages[i].key)]++;
        else
            replace(&file, damages[i].from, damages[i].to);
        if (damages[i].hashed)
            hash_again(&file);
        struct kgen_error refused = {0};
        struct kgen_checkpoint *checkpoint =
            kgen_checkpoint_parse("damaged.kgen", file.data, file.length, &refused);
        if (checkpoint != NULL || strstr(refused.message, damages[i].message) == NULL ||
            refused.code != KGEN_ERROR_SPEC || strstr(refused.hint, "kgen pack") == NULL)
            fail_msg("case %zu: %s; %s", i, refused.message, refused.hint);
        kgen_text_free(&file);
    }
    kgen_text_free(&good);
}

/* A damaged weight is found by reading all of them; a file that is cut short when it is opened. */
static void test_damaged_weights(void **state)
{
    char model[128], package[128];
    struct kgen_text file = {0};
    struct kgen_error error = {0};
    name_files(*state, model, package);
    kgen_test_write_llama(model, &kgen_test_small_llama, SEED, &kgen_test_mixed_types);
    kgen_test_pack_well(model, package, &kgen_test_in_tiles);
    assert_int_equal(kgen_file_read(package, FILE_LIMIT, &file, &error), 0);
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_parse("p.kgen", file.data, file.length, &error);
    const struct kgen_package *opened = kgen_checkpoint_package(checkpoint);
    assert_int_equal(kgen_package_check(opened, NULL, NULL, &error), 0);
    const size_t count = kgen_package_weights_count(opened);
    assert_true(count > 10);
    for (size_t i = 0; i < count; i++) {
        const struct kgen_package_weights *weights = kgen_package_weights_at(opened, i);
        for (size_t j = 0; j < KGEN_FORMAT_ARRAYS_MAX && weights->arrays[j] != NULL; j++) {
            char *byte = file.data + weights->arrays[j]->offset + weights->arrays[j]->bytes - 1;
            struct kgen_error found = {0};
            assert_int_equal(weights->arrays[j]->offset % KGEN_PACKAGE_ALIGNMENT, 0);
            *byte = (char)(*byte ^ 1);
            assert_int_equal(kgen_package_check(opened, NULL, NULL, &found), -1);
            *byte = (char)(*byte ^ 1);
            assert_non_null(strstr(found.message, "does not have the bytes that were written"));
            char tensor[80];
            kgen_gguf_show(weights->arrays[j]->name, tensor, sizeof tensor);
            assert_non_null(strstr(found.message, tensor));
        }
    }
    kgen_checkpoint_free(checkpoint);
    assert_null(kgen_checkpoint_parse("p.kgen", file.data, file.length - 100, &error));
    assert_non_null(strstr(error.message, "which ends after"));
    kgen_text_free(&file);
}

/* ---- writing ---- */

static int end_at_once(void *context, uint64_t done, uint64_t bytes)
{
    (void)context;
    return done * 2 > bytes ? 1 : 0;
}

static size_t count_files(const char *folder, const char *part)
{
    size_t count = 0;
    DIR *open = opendir(folder);
    assert_non_null(open);
    for (const struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open))
        count += strstr(entry->d_name, part) != NULL ? 1 : 0;
    closedir(open);
    return count;
}

/* Writing that is ended, or fails, leaves what was there, and nothing else. */
static void test_nothing_is_lost(void **state)
{
    const struct api_fixture *fixture = *state;
    char model[128], package[128];
    struct kgen_package_summary summary;
    struct kgen_error error = {0};
    struct kgen_text before = {0}, after = {0};
    struct kgen_test_packing packing = kgen_test_in_tiles;
    name_files(fixture, model, package);
    kgen_test_write_llama(model, &kgen_test_small_llama, SEED, &kgen_test_mixed_types);
    kgen_test_pack_well(model, package, &kgen_test_as_stored);
    assert_int_equal(kgen_file_read(package, FILE_LIMIT, &before, &error), 0);
    packing.progress = end_at_once;
    assert_int_equal(kgen_test_pack(model, package, &packing, &summary, &error), -1);
    assert_int_equal(error.code, KGEN_ERROR_NONE);
    assert_int_equal(kgen_file_read(package, FILE_LIMIT, &after, &error), 0);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.data, after.data, before.length);
    assert_int_equal(count_files(fixture->folder, ".tmp"), 0);
    assert_int_equal(kgen_test_pack(model, "no/such/folder/p.kgen", &kgen_test_in_tiles, &summary, &error),
                     -1);
    assert_int_equal(error.code, KGEN_ERROR_IO);
    /* The same checkpoint makes the same bytes. */
    kgen_test_pack_well(model, package, &kgen_test_as_stored);
    assert_int_equal(kgen_file_read(package, FILE_LIMIT, &after, &error), 0);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.data, after.data, before.length);
    kgen_text_free(&before);
    kgen_text_free(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_damages, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_weights, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_lost, api_setup, api_teardown),
    };
    return cmocka_run_group_tests_name("packages that are refused", tests, NULL, NULL);
}
