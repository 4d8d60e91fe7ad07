/*
 * The name of an image below another, as the header of that one has it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHAIN_NAME_H
#define UI_CHAIN_NAME_H

#include <stdbool.h>

/*
 * Returns @name as a name for the command line: a path that is not absolute goes from the folder of @overlay, the path
 * of the image that has the name; what has a protocol in front stays as it is. The caller frees it.
 */
char *backing_name_resolve(const char *name, const char *overlay);

/* Returns true if @name is neither a path nor "file:" and a path: it may lead anywhere. */
bool backing_name_is_remote(const char *name);

#endif
