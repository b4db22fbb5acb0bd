/* SPDX-License-Identifier: MIT */
/* kgen completion, and the script for bash. */
#include "runtime/command/completion.h"
#include "runtime/command/command.h"
#include "runtime/command/options_table.h"

#include <stdio.h>
#include <string.h>

/* Between the parts that come from the tables. */
static const char bash_begin[] =
    "# Completion of kgen for bash, made by kgen completion bash.\n"
    "_kgen()\n"
    "{\n"
    "    local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD - 1]}\"\n"
    "    local command= words= files= list= head= file\n"
    "    COMPREPLY=()\n"
    "    # bash makes three words of --option=value.\n"
    "    if [[ $current == \"=\" ]]; then\n"
    "        current=\n"
    "    elif [[ $previous == \"=\" ]]; then\n"
    "        previous=\"${COMP_WORDS[COMP_CWORD - 2]}\"\n"
    "    fi\n"
    "    if ((COMP_CWORD > 1)); then\n"
    "        case \"${COMP_WORDS[1]}\" in\n";
static const char bash_values[] = "        esac\n"
                                  "    fi\n"
                                  "    case \"$command:$previous\" in\n";
static const char bash_options[] = "    *:*)\n"
                                   "        if [[ $current == -* ]]; then\n"
                                   "            case \"$command\" in\n";
static const char bash_arguments[] = "            esac\n"
                                     "        else\n"
                                     "            case \"$command\" in\n";
static const char bash_end[] =
    "            esac\n"
    "        fi\n"
    "        ;;\n"
    "    esac\n"
    "    if [[ -n $list && $current == *,* ]]; then\n"
    "        head=\"${current%,*},\"\n"
    "    fi\n"
    "    COMPREPLY=($(compgen -P \"$head\" -W \"$words\" -- \"${current#\"$head\"}\"))\n"
    "    if [[ -n $files ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        while IFS= read -r file; do\n"
    "            COMPREPLY+=(\"$file\")\n"
    "        done < <(compgen -f -- \"$current\")\n"
    "    fi\n"
    "}\n"
    "complete -F _kgen kgen\n";

static const char *name_of(enum kgen_command command)
{
    const char *name = kgen_command_info_of(command)->name;
    return name != NULL ? name : "";
}

/* Appends the names of the commands with a separator between them. */
static void put_commands(const char *separator, struct kgen_text *script)
{
    size_t count = 0;
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++) {
        if (name_of((enum kgen_command)i)[0] != '\0')
            kgen_text_printf(script, "%s%s", count++ > 0 ? separator : "", name_of((enum kgen_command)i));
    }
}

/* Appends the case of one option that has a value. Its letter may mean another option for another command. */
static void put_value(const struct kgen_option_info *info, struct kgen_text *script)
{
    kgen_text_printf(script, "    *:--%s", info->name);
    if (info->former != NULL)
        kgen_text_printf(script, "|*:--%s", info->former);
    for (int i = 0; i < KGEN_COMMAND_COUNT && info->letter != 0; i++) {
        if (kgen_command_takes((enum kgen_command)i, info))
            kgen_text_printf(script, "|%s:-%c", name_of((enum kgen_command)i), info->letter);
    }
    struct kgen_text words = {0};
    kgen_option_words(info, &words);
    if (words.failed)
        script->failed = true;
    else if (words.length > 0)
        kgen_text_printf(script, ") words=\"%s\"%s ;;\n", words.data,
                         kgen_option_is_list(info) ? " list=1" : "");
    else
        kgen_text_puts(script, kgen_option_is_path(info) ? ") files=1 ;;\n" : ") return ;;\n");
    kgen_text_free(&words);
}

static void put_options(enum kgen_command command, struct kgen_text *script)
{
    const struct kgen_option_info *info;
    size_t count = 0;
    kgen_text_printf(script, "            \"%s\") words=\"", name_of(command));
    for (size_t i = 0; (info = kgen_option_at(i)) != NULL; i++) {
        if (!kgen_command_takes(command, info))
            continue;
        kgen_text_printf(script, "%s--%s", count++ > 0 ? " " : "", info->name);
        if (info->letter != 0)
            kgen_text_printf(script, " -%c", info->letter);
    }
    kgen_text_puts(script, "\" ;;\n");
}

static void put_arguments(enum kgen_command command, struct kgen_text *script)
{
    struct kgen_text words = {0};
    const bool files = kgen_command_words(command, &words);
    kgen_text_printf(script, "            \"%s\") words=\"%s\"%s", name_of(command),
                     words.length > 0 && !words.failed ? words.data : "", files ? " files=1" : "");
    if (words.failed)
        script->failed = true;
    if (name_of(command)[0] == '\0') {
        kgen_text_puts(script, "; ((COMP_CWORD > 1)) || words=\"");
        put_commands(" ", script);
        kgen_text_puts(script, "\"");
    }
    kgen_text_puts(script, " ;;\n");
    kgen_text_free(&words);
}

void kgen_completion_bash(struct kgen_text *script)
{
    const struct kgen_option_info *info;
    kgen_text_puts(script, bash_begin);
    kgen_text_puts(script, "        ");
    put_commands("|", script);
    kgen_text_puts(script, ") command=\"${COMP_WORDS[1]}\" ;;\n");
    kgen_text_puts(script, bash_values);
    for (size_t i = 0; (info = kgen_option_at(i)) != NULL; i++) {
        if (info->argument != NULL)
            put_value(info, script);
    }
    kgen_text_puts(script, bash_options);
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++)
        put_options((enum kgen_command)i, script);
    kgen_text_puts(script, bash_arguments);
    for (int i = 0; i < KGEN_COMMAND_COUNT; i++)
        put_arguments((enum kgen_command)i, script);
    kgen_text_puts(script, bash_end);
}

int kgen_command_completion(const struct kgen_options *options)
{
    static const struct {
        const char *name;
        void (*write)(struct kgen_text *script);
    } shells[] = {{"bash", kgen_completion_bash}, {"zsh", kgen_completion_zsh}};
    struct kgen_error error = {0};
    struct kgen_text script = {0};
    bool known = false;
    for (size_t i = 0; i < KGEN_COUNT_OF(shells); i++) {
        if (strcmp(options->arguments[0], shells[i].name) != 0)
            continue;
        shells[i].write(&script);
        known = true;
    }
    int status = KGEN_EXIT_DONE;
    if (!known) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no completion for the shell '%s'",
                       options->arguments[0]);
        kgen_error_hint(&error, "kgen completion bash, or kgen completion zsh");
        status = kgen_fail(&error);
    } else if (script.failed) {
        kgen_error_set(&error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        status = kgen_fail(&error);
    } else {
        fputs(script.data, stdout);
    }
    kgen_text_free(&script);
    return kgen_finish_output(status);
}
