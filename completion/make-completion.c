/*
 * Prints the completion of a shell for qemu-img, made from the tables of options: make-completion bash|zsh|fish.
 *
 * make-completion list prints the options of check instead, one a line, for tests: letter, name, argument, class
 * ("stock" or "own") and the version from which stock tools have the long name, separated by tabs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/fallback.h"
#include "ui/options/check-table.h"
#include "ui/options/metadump-table.h"
#include "ui/options/rescue-table.h"

typedef struct Command {
    const char *name;
    const OptionTable *table;
} Command;

static const Command commands[] = {
    {"check", &check_option_table},
    {"metadump", &metadump_option_table},
    {"rescue", &rescue_option_table},
};

typedef void PrintOption(const Command *command, const Option *option);

/* Options for developers are in the manual page only. */
static void for_each_option(const Command *command, PrintOption *print)
{
    for (size_t i = 0; i < command->table->n; i++) {
        if (command->table->rows[i].group != OPTION_GROUP_DEBUG) {
            print(command, &command->table->rows[i]);
        }
    }
}

static void print_commands(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        printf("%s ", commands[i].name);
    }
    for (const char *const *name = stock_commands; *name; name++) {
        printf("%s ", *name);
    }
}

/* The names by which the program is one of its own commands, each behind a blank. */
static void print_own_programs(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        printf(" qemu-img-%s", commands[i].name);
    }
}

/* The first clause of the help, to be freed. */
static char *description(const Option *option)
{
    return g_strndup(option->help, strcspn(option->help, ";"));
}

/* ---- bash ---- */

static void print_bash_word(const Command *command, const Option *option)
{
    if (option->name) {
        printf("%s--%s%s", option == command->table->rows ? "" : " ", option->name, option->argument ? "=" : "");
    } else {
        printf("%s-%c", option == command->table->rows ? "" : " ", option->letter);
    }
}

static void print_bash_value(const Command *command, const Option *option)
{
    if (!option->argument) {
        return;
    }
    if (option->letter) {
        printf("    %s-%c%s", command->name, option->letter, option->name ? " | " : "");
    } else {
        fputs("    ", stdout);
    }
    if (option->name) {
        printf("%s--%s", command->name, option->name);
    }
    if (option->values) {
        printf(") COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", option->values);
    } else if (option->file) {
        printf(") _filedir %s ;;\n", g_str_equal(option->file, "*") ? "" : option->file);
    } else {
        puts(") ;;");
    }
}

static void print_bash(void)
{
    fputs("# SPDX-License-Identifier: GPL-2.0-or-later\n"
          "# shellcheck shell=bash disable=SC2034,SC2154,SC2207\n"
          "# Completion of qemu-img for bash. Made by make-completion.\n"
          "\n"
          "# The values of option $2 of command $1; fails where it takes none.\n"
          "_qemu_img_value()\n"
          "{\n"
          "    case $1$2 in\n",
          stdout);
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        for_each_option(&commands[i], print_bash_value);
    }
    fputs("    *) return 1 ;;\n"
          "    esac\n"
          "}\n"
          "\n"
          "_qemu_img()\n"
          "{\n"
          "    local cur prev words cword split options\n"
          "    _init_completion -s || return\n"
          "\n"
          "    # qemu-img-check is qemu-img check\n"
          "    if [[ ${1##*/} == qemu-img-* ]]; then\n"
          "        words=(qemu-img \"${1##*qemu-img-}\" \"${words[@]:1}\")\n"
          "        cword=$((cword + 1))\n"
          "    fi\n"
          "    if [ \"$cword\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    print_commands();
    fputs("--help --version' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    case ${words[1]} in\n",
          stdout);
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        printf("    %s) options='", commands[i].name);
        for_each_option(&commands[i], print_bash_word);
        puts("' ;;");
    }
    fputs("    esac\n"
          "    _qemu_img_value \"${words[1]}\" \"$prev\" && return\n"
          "    if [[ $options && $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
          "        [[ ${COMPREPLY-} == *= ]] && compopt -o nospace\n"
          "        return\n"
          "    fi\n"
          "    _filedir\n"
          "} && complete -F _qemu_img qemu-img",
          stdout);
    print_own_programs();
    putchar('\n');
}

/* ---- zsh ---- */

/* @name with its dashes, and what follows it where it has an argument. */
static void print_zsh_name(const Option *option, const char *name, const char *end)
{
    g_autofree char *text = description(option);
    const char *value = option->values ? option->values : "";
    const char *suffix = option->file && !g_str_equal(option->file, "*") ? option->file : NULL;

    printf("    '*%s%s[", name, option->argument ? end : "");
    for (const char *c = text; *c; c++) {
        if (*c == '\'') {
            fputs("'\\''", stdout);
        } else {
            printf("%s%c", strchr("[]:\\", *c) ? "\\" : "", *c);
        }
    }
    fputs("]", stdout);
    if (option->argument) {
        printf(":%s:", option->argument);
        if (suffix) {
            printf("_files -g \"*.%s(-.)\"", suffix);
        } else if (option->file) {
            fputs("_files", stdout);
        } else {
            printf("(%s)", value);
        }
    }
    puts("'");
}

static void print_zsh_option(const Command *command, const Option *option)
{
    if (option->letter) {
        g_autofree char *letter = g_strdup_printf("-%c", option->letter);

        print_zsh_name(option, letter, "+");
    }
    if (option->name) {
        g_autofree char *name = g_strdup_printf("--%s", option->name);

        print_zsh_name(option, name, "=");
    }
}

static void print_zsh(void)
{
    fputs("#compdef qemu-img", stdout);
    print_own_programs();
    fputs("\n"
          "# SPDX-License-Identifier: GPL-2.0-or-later\n"
          "# Completion of qemu-img for zsh. Made by make-completion.\n"
          "\n"
          "local curcontext=$curcontext state line\n"
          "local -a options\n"
          "\n"
          "# qemu-img-check is qemu-img check\n"
          "if [[ $service == qemu-img-* ]]; then\n"
          "    words[1]=${service#qemu-img-}\n"
          "else\n"
          "    _arguments -C '1:command:(",
          stdout);
    print_commands();
    fputs("--help --version)' '*::argument:->arguments'\n"
          "    [[ $state == arguments ]] || return\n"
          "fi\n"
          "case $words[1] in\n",
          stdout);
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        printf("%s) options=(\n", commands[i].name);
        for_each_option(&commands[i], print_zsh_option);
        puts("    ) ;;");
    }
    puts("esac\n"
         "_arguments -s $options '*:image:_files'");
}

/* ---- fish ---- */

static void print_fish_line(const Option *option, const char *program, const char *condition)
{
    g_autofree char *text = description(option);
    g_auto(GStrv) parts = g_strsplit(text, "'", -1);
    g_autofree char *quoted = g_strjoinv("\\'", parts);

    printf("complete -c %s%s", program, condition);
    if (option->letter) {
        printf(" -s %c", option->letter);
    }
    if (option->name) {
        printf(" -l %s", option->name);
    }
    if (option->argument) {
        printf("%s", option->file ? " -r" : " -x");
    }
    if (option->values) {
        printf(" -a '%s'", option->values);
    }
    printf(" -d '%s'\n", quoted);
}

static void print_fish_option(const Command *command, const Option *option)
{
    g_autofree char *condition = g_strdup_printf(" -n '__fish_seen_subcommand_from %s'", command->name);
    g_autofree char *program = g_strdup_printf("qemu-img-%s", command->name);

    print_fish_line(option, "qemu-img", condition);
    print_fish_line(option, program, "");
}

static void print_fish(void)
{
    fputs("# SPDX-License-Identifier: GPL-2.0-or-later\n"
          "# Completion of qemu-img for fish. Made by make-completion.\n"
          "complete -c qemu-img -f -n __fish_use_subcommand -a '",
          stdout);
    print_commands();
    puts("'");
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        for_each_option(&commands[i], print_fish_option);
    }
}

/* ---- the list ---- */

static void print_row(const Option *option)
{
    char letter[2] = {option->letter, '\0'};

    printf("%s\t%s\t%s\t%s\t%s\n", letter, option->name ? option->name : "", option->argument ? option->argument : "",
           option->class == OPTION_STOCK ? "stock" : "own", option->newer_name ? "10.1" : "7.2");
}

static void print_list(void)
{
    for (size_t i = 0; i < check_option_table.n; i++) {
        print_row(&check_option_table.rows[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } outputs[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}, {"list", print_list}};

    for (size_t i = 0; argc == 2 && i < G_N_ELEMENTS(outputs); i++) {
        if (g_str_equal(argv[1], outputs[i].name)) {
            outputs[i].print();
            return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    }
    fputs("usage: make-completion bash|zsh|fish|list\n", stderr);
    return EXIT_FAILURE;
}
