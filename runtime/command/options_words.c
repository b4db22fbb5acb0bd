/* SPDX-License-Identifier: MIT */
/* The words that options and arguments may be, from the tables that read them. */
#include "gen/ops/constant.h"
#include "gen/ops/op.h"
#include "gen/target/target.h"
#include "gen/template/template.h"
#include "runtime/command/options_table.h"

#include <ctype.h>
#include <string.h>

static void put_word(const char *word, struct kgen_text *words)
{
    kgen_text_printf(words, "%s%s", words->length > 0 ? " " : "", word);
}

static void put_isas(struct kgen_text *words)
{
    for (int isa = KGEN_ISA_COUNT - 1; isa >= 0; isa--)
        put_word(kgen_isa_info((enum kgen_isa)isa)->name, words);
    put_word("auto", words);
}

static void put_engines(struct kgen_text *words)
{
    put_word(kgen_engine_name(KGEN_ENGINE_TCC), words);
    put_word(kgen_engine_name(KGEN_ENGINE_CC), words);
}

static void put_efforts(struct kgen_text *words)
{
    for (int effort = 0; effort < KGEN_EFFORT_COUNT; effort++)
        put_word(kgen_effort_name((enum kgen_search_effort)effort), words);
}

static void put_targets(struct kgen_text *words)
{
    const struct kgen_target *target;
    for (size_t i = 0; (target = kgen_target_at(i)) != NULL; i++)
        put_word(target->name, words);
}

/* The allowed values of a field, of the first op that has it. */
static void put_field(const char *name, struct kgen_text *words)
{
    const struct kgen_field *field = NULL;
    for (size_t i = 0; i < kgen_op_count() && field == NULL; i++)
        field = kgen_op_field(kgen_op_at(i), name);
    for (const int *value = field != NULL ? field->allowed : NULL; value != NULL && *value != -1; value++) {
        if (field->kind == KGEN_FIELD_CONSTANT)
            put_word(kgen_constant_name(*value), words);
        else
            kgen_text_printf(words, "%s%d", words->length > 0 ? " " : "", *value);
    }
}

static const struct {
    kgen_read_value *read;
    void (*put)(struct kgen_text *words); /* or: */
    const char *field;
    bool list;
} readers[] = {
    {kgen_read_isa, put_isas, NULL, false},
    {kgen_read_engine, put_engines, NULL, false},
    {kgen_read_effort, put_efforts, NULL, false},
    {kgen_read_target, put_targets, NULL, false},
    {kgen_read_bits, NULL, "bits", false},
    {kgen_read_group_size, NULL, "group_size", false},
    {kgen_read_activation_dtypes, NULL, "activation_dtype", true},
    {kgen_read_output_activation_dtype, NULL, "activation_dtype", false},
    {kgen_read_cache_type, NULL, "cache_dtype", false},
    {kgen_read_layout, NULL, "layout", false},
    {kgen_read_scale_dtype, NULL, "scale_dtype", false},
};

void kgen_option_words(const struct kgen_option_info *info, struct kgen_text *words)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(readers) && info->read != NULL; i++) {
        if (readers[i].read != info->read)
            continue;
        if (readers[i].put != NULL)
            readers[i].put(words);
        else
            put_field(readers[i].field, words);
    }
}

bool kgen_option_is_list(const struct kgen_option_info *info)
{
    bool list = false;
    for (size_t i = 0; i < KGEN_COUNT_OF(readers) && info->read != NULL; i++)
        list = list || (readers[i].read == info->read && readers[i].list);
    return list;
}

bool kgen_option_is_path(const struct kgen_option_info *info)
{
    static const char *const paths[] = {"FILE", "DIR", "PATH"};
    bool path = false;
    for (size_t i = 0; i < KGEN_COUNT_OF(paths) && info->argument != NULL; i++)
        path = path || strcmp(info->argument, paths[i]) == 0;
    return path;
}

/* ---- arguments ---- */

static void put_ops(struct kgen_text *words)
{
    for (size_t i = 0; i < kgen_op_count(); i++)
        put_word(kgen_op_at(i)->name, words);
}

static void put_templates(struct kgen_text *words)
{
    struct kgen_templates *templates = kgen_templates_open(NULL, kgen_target_at(0)->name, NULL);
    for (size_t i = 0; i < kgen_templates_count(templates); i++) {
        const struct kgen_template *tmpl = kgen_templates_at(templates, i);
        if (kgen_template_op(tmpl) != NULL)
            put_word(kgen_template_name(tmpl), words);
    }
    kgen_templates_free(templates);
}

static void put_commands(struct kgen_text *words)
{
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++) {
        const char *name = kgen_command_info_of((enum kgen_command)i)->name;
        if (name != NULL)
            put_word(name, words);
    }
}

/* One word of a usage, without brackets: the name of what it stands for, or one that is written as it is. */
static bool put_usage_word(const char *word, bool first, struct kgen_text *words)
{
    static const struct {
        const char *name;
        void (*put)(struct kgen_text *words);
    } names[] = {{"OP", put_ops}, {"TEMPLATE", put_templates}, {"COMMAND", put_commands}};
    static const char *const files[] = {"SPEC", "CHECKPOINT", "PACK.json", "FILE"};
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        if (strcmp(word, names[i].name) == 0)
            names[i].put(words);
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++) {
        if (strcmp(word, files[i]) == 0)
            return true;
    }
    if (!first && islower((unsigned char)word[0]) && strcmp(word, "options") != 0)
        put_word(word, words);
    return false;
}

bool kgen_command_words(enum kgen_command command, struct kgen_text *words)
{
    static const char between[] = " []|.";
    bool files = false;
    if (command == KGEN_COMMAND_CACHE) {
        struct kgen_command_info part;
        for (size_t i = 0; kgen_cache_part_at(i, &part); i++)
            put_word(part.name, words);
        return true;
    }
    const char *usage = kgen_command_info_of(command)->usage;
    bool option = false;
    for (const char *at = usage; *at != '\0';) {
        /* "PACK.json" is one word, "..." none. */
        size_t length = strcspn(at, " []|");
        if (length == 0 || strspn(at, between) >= length) {
            at += length > 0 ? length : 1;
            continue;
        }
        char word[32] = "";
        if (length < sizeof word)
            memcpy(word, at, length);
        /* Behind an option stands its value. */
        if (!option && word[0] != '-')
            files = put_usage_word(word, at == usage, words) || files;
        option = word[0] == '-' && at[length] == ' ';
        at += length;
    }
    return files;
}
