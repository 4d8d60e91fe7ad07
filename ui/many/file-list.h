/*
 * Lists of file names: --files-from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_FILE_LIST_H
#define UI_MANY_FILE_LIST_H

#include <glib.h>
#include <stdbool.h>

/*
 * Appends the names in the file @path to @names, which frees them; "-" is standard input. In a list with a zero byte
 * anywhere each name ends with one; in any other each line is a name. Skips empty names. Returns false and sets @errp
 * if the list cannot be read.
 */
bool file_list_read(const char *path, GPtrArray *names, GError **errp);

#endif
