/* SPDX-License-Identifier: MIT */
/* The script for zsh. */
#include "runtime/command/completion.h"
#include "runtime/command/options_table.h"

static const char zsh_begin[] = "#compdef kgen\n"
                                "# Completion of kgen for zsh, made by kgen completion zsh.\n"
                                "_kgen_list()\n"
                                "{\n"
                                "    _sequence compadd - \"$@\"\n"
                                "}\n"
                                "_kgen_words()\n"
                                "{\n"
                                "    compadd -- ${=1}\n"
                                "    [[ -z $2 ]] || _files\n"
                                "}\n"
                                "_kgen()\n"
                                "{\n"
                                "    local -a commands\n"
                                "    commands=(\n";
static const char zsh_cases[] = "    )\n"
                                "    if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then\n"
                                "        _describe -t commands command commands\n"
                                "        _files\n"
                                "        return\n"
                                "    fi\n"
                                "    local command=$words[2]\n"
                                "    if [[ -n ${(M)commands:#$command:*} ]]; then\n"
                                "        shift words\n"
                                "        ((CURRENT--))\n"
                                "    fi\n"
                                "    case $command in\n";
static const char zsh_end[] = "    esac\n"
                              "}\n"
                              "if [[ $funcstack[1] == _kgen ]]; then\n"
                              "    _kgen \"$@\"\n"
                              "else\n"
                              "    compdef _kgen kgen\n"
                              "fi\n";

/* Appends text between single quotes that stand already; what ends an explanation, or begins an action, gets
 * a backslash. */
static void put(const char *text, struct kgen_text *script)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\'')
            kgen_text_puts(script, "'\\'");
        else if (*at == '[' || *at == ']' || *at == ':' || *at == '\\')
            kgen_text_puts(script, "\\");
        kgen_text_append(script, at, 1);
    }
}

/* Appends what completes the value of an option: ":NAME:(avx512 avx2)". */
static void put_value(const struct kgen_option_info *info, struct kgen_text *script)
{
    struct kgen_text words = {0};
    kgen_option_words(info, &words);
    kgen_text_puts(script, ":");
    put(info->argument, script);
    if (words.failed)
        script->failed = true;
    else if (words.length > 0 && kgen_option_is_list(info))
        kgen_text_printf(script, ": _kgen_list %s", words.data);
    else if (words.length > 0)
        kgen_text_printf(script, ":(%s)", words.data);
    else
        kgen_text_puts(script, kgen_option_is_path(info) ? ":_files" : ": ");
    kgen_text_free(&words);
}

static void put_option(const struct kgen_option_info *info, struct kgen_text *script)
{
    const char *equals = info->argument != NULL ? "=" : "";
    if (info->letter != 0)
        kgen_text_printf(script, "            '(-%c --%s)'{-%c,--%s%s}'[", info->letter, info->name,
                         info->letter, info->name, equals);
    else
        kgen_text_printf(script, "            '--%s%s[", info->name, equals);
    put(info->help, script);
    kgen_text_puts(script, "]");
    if (info->argument != NULL)
        put_value(info, script);
    kgen_text_puts(script, "' \\\n");
}

/* Appends the case of a command; that of the command without a name is the last. */
static void put_case(enum kgen_command command, struct kgen_text *script)
{
    const struct kgen_option_info *info;
    const char *name = kgen_command_info_of(command)->name;
    struct kgen_text words = {0};
    const bool files = kgen_command_words(command, &words);
    kgen_text_printf(script, "    %s)\n        _arguments -s -S \\\n", name != NULL ? name : "*");
    for (size_t i = 0; (info = kgen_option_at(i)) != NULL; i++) {
        if (kgen_command_takes(command, info))
            put_option(info, script);
    }
    if (words.failed)
        script->failed = true;
    else
        kgen_text_printf(script, "            '*:argument: _kgen_words \"%s\" %s'\n        ;;\n",
                         words.length > 0 ? words.data : "", files ? "files" : "");
    kgen_text_free(&words);
}

void kgen_completion_zsh(struct kgen_text *script)
{
    kgen_text_puts(script, zsh_begin);
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++) {
        const struct kgen_command_info *info = kgen_command_info_of((enum kgen_command)i);
        if (info->name == NULL)
            continue;
        kgen_text_printf(script, "        '%s:", info->name);
        put(info->summary, script);
        kgen_text_puts(script, "'\n");
    }
    kgen_text_puts(script, zsh_cases);
    for (int i = KGEN_COMMAND_COUNT - 1; i >= 0; i--) {
        if (kgen_command_info_of((enum kgen_command)i)->name != NULL)
            put_case((enum kgen_command)i, script);
    }
    put_case(KGEN_COMMAND_GENERATE, script);
    kgen_text_puts(script, zsh_end);
}
