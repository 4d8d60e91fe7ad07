/*
 * An option of a command: see ui/options/option.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/option.h"

#include <glib.h>

char *option_word(const Option *option)
{
    return option->name ? g_strdup_printf("--%s", option->name) : g_strdup_printf("-%c", option->letter);
}

char *option_signature(const Option *option)
{
    g_autofree char *letter = option->letter ? g_strdup_printf("-%c", option->letter) : g_strdup("");
    g_autofree char *name = option->name ? g_strdup_printf("--%s", option->name) : g_strdup("");

    return g_strconcat(letter, *letter && *name ? ", " : "", name,
                       !option->argument ? ""
                       : *name           ? "="
                                         : " ",
                       option->argument, NULL);
}

void option_store(const Option *option, void *options, const char *argument)
{
    if (option->flag) {
        *(bool *)((char *)options + option->flag) = true;
    } else if (option->text) {
        *(const char **)(void *)((char *)options + option->text) = argument;
    }
}
