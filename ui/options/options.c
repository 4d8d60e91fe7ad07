/*
 * What the options of `qemu-img check` ask for: see ui/options/options.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/options.h"

CheckOptions check_options_new(void)
{
    return (CheckOptions){
        .progress_fd = -1,
        .object_ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .stock_arguments = g_ptr_array_new_with_free_func(g_free),
    };
}

void check_options_clear(CheckOptions *options)
{
    g_clear_pointer(&options->object_ids, g_hash_table_unref);
    g_clear_pointer(&options->stock_arguments, g_ptr_array_unref);
    g_clear_pointer(&options->request.name, g_free);
}

char **check_options_stock_argv(const CheckOptions *options, char *program)
{
    static char check[] = "check";
    static char end_of_options[] = "--";
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    g_ptr_array_add(argv, program);
    g_ptr_array_add(argv, check);
    g_ptr_array_extend(argv, options->stock_arguments, NULL, NULL);
    g_ptr_array_add(argv, end_of_options);
    g_ptr_array_add(argv, (char *)options->filename);
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&argv), FALSE);
}
