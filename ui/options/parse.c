/*
 * The command line of `qemu-img check`: see ui/options/parse.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/parse.h"

#include "ui/options/check-table.h"
#include "ui/options/help.h"
#include "ui/options/reader.h"
#include "ui/options/rules.h"

/* Keeps an option of the stock tool's, in case the stock tool does the work. */
static void keep_for_stock_tool(CheckOptions *options, const Option *option, const char *argument)
{
    GPtrArray *words = options->stock_arguments;

    g_ptr_array_add(words, option->letter ? g_strdup_printf("-%c", option->letter) : option_word(option));
    if (argument) {
        /* lines are made of what it prints */
        g_ptr_array_add(words, g_strdup(g_str_equal(argument, "jsonl") ? "json" : argument));
    }
}

static bool take_option(void *opaque, const Option *option, const char *argument, bool newer)
{
    CheckOptions *options = opaque;

    if (option->class == OPTION_STOCK) {
        keep_for_stock_tool(options, option, argument);
    } else if (option->class == OPTION_OWN) {
        options->own_option = option->name;
    }
    options->has_extras |= option->class == OPTION_DROPPABLE || newer;
    if (!options->about_check && !option->for_rollback) {
        options->about_check = option;
    }
    if (argument) {
        options->last_taken = option;
        options->last_argument = argument;
    }
    option_store(option, options, argument);
    return !option->parse || option->parse(options, argument);
}

/* For callers that cannot add an option. -M asks for the metadata all the same. */
static bool environment_forbids_viscera(const CheckOptions *options)
{
    return options->dump_meta == 0 && g_strcmp0(g_getenv("QEMU_IMG_CHECK_VISCERA"), "off") == 0;
}

CheckParsed check_options_parse(int argc, char **argv, CheckOptions *options)
{
    int first;
    OptionsRead read = options_read(&check_option_table, argc, argv, take_option, options, &first);

    if (read == OPTIONS_HELP) {
        return CHECK_PARSED_HELP;
    }
    if (options->foreign_object) {
        return CHECK_PARSED_RUN;
    }
    if (read != OPTIONS_READ) {
        return CHECK_PARSED_REFUSED;
    }
    options->filenames = argv + first;
    options->many = argc - first > 1 || options->files_from;
    options->filename = options->many ? NULL : argv[first];
    options->no_dump_meta |= environment_forbids_viscera(options);
    if (!check_options_judge(options)) {
        return CHECK_PARSED_REFUSED;
    }
    if (options->lines) {
        options->no_dump_meta |= !options->dump_meta;
        options->all_fields = true;
    }
    return CHECK_PARSED_RUN;
}

void check_options_print_help(void)
{
    options_print_help(&check_option_table);
}
