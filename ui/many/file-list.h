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
 * Appends the names in the file at @path, "-" being the standard input, to @names, which frees them. A list that
 * has a zero byte anywhere has one behind each name; any other has one name a line. Empty names are passed over.
 * False and @errp set when the list cannot be read.
 */
bool file_list_read(const char *path, GPtrArray *names, GError **errp);

#endif
