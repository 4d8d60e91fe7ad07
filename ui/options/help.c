/*
 * The help of a command: see ui/options/help.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/help.h"

#include <glib.h>
#include <stdio.h>

#include "ui/output/wrap.h"

#define COLUMNS     79u
#define HELP_COLUMN 26u /* where the text of an option begins */

static void print_option(const Option *option)
{
    g_autofree char *signature = option_signature(option);
    /* Long names stand below one another, with a letter in front or without. */
    int column = printf("  %s%s", option->letter ? "" : "    ", signature);

    if (column < 0) {
        return; /* the caller looks at the error flag of stdout */
    }
    if ((size_t)column + 2 > HELP_COLUMN) {
        printf("\n");
        column = 0;
    }
    printf("%*s", (int)HELP_COLUMN - column, "");
    print_wrapped(stdout, option->help, HELP_COLUMN, HELP_COLUMN, COLUMNS);
}

void options_print_help(const OptionTable *table)
{
    const char *heading = NULL;

    printf("usage: qemu-img %s\n\n", table->synopsis);
    print_wrapped(stdout, table->about, 0, 0, COLUMNS);
    if (table->stock_synopsis) {
        printf("\nThe options of the stock qemu-img, on the line that programs look for:\n  %s\n",
               table->stock_synopsis);
    }
    for (size_t i = 0; i < table->n; i++) {
        const Option *option = &table->rows[i];
        const char *group = table->groups ? table->groups[option->group] : "";

        if (option->group == OPTION_GROUP_DEBUG) {
            continue;
        }
        if (!heading || !g_str_equal(group, heading)) {
            printf("\n%s%s", group, *group ? ":\n" : "");
            heading = group;
        }
        print_option(option);
    }
    printf("\n%s", table->epilogue);
}
