/*
 * The descriptors of standard input, output and error, which may be closed when the program starts.
 *
 * The next opened file would get such a number, and output would go into it: the image, the undo file, a connection.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_STANDARD_STREAMS_H
#define UTIL_STANDARD_STREAMS_H

#include <glib.h>
#include <stdbool.h>

/*
 * Occupies the numbers that are free; reading and writing there still fail with EBADF. Call it before any file is
 * opened. Programs started later inherit them. Returns false and sets @errp if a number stays free: open nothing then.
 */
bool standard_streams_reserve(GError **errp);

#endif
