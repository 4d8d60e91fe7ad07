/*
 * The locks by which programs that use an image agree (docs/interop/check-behaviour.rst 2.8).
 *
 * They belong to the open file, and are dropped when it is closed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_FILE_LOCKS_H
#define BLOCK_IO_FILE_LOCKS_H

#include <glib.h>
#include <stdbool.h>

typedef enum FileUse {
    FILE_USE_CHECK,  /* others may read */
    FILE_USE_SHARED, /* others may do anything that does not forbid reading */
    FILE_USE_REPAIR, /* others may do nothing that needs the image to stay as it is */
} FileUse;

/* Takes the locks of @use for @fd. False and @errp set where another program is in the way; @path is for the message.
 */
bool file_locks_take(int fd, FileUse use, const char *path, GError **errp);

#endif
