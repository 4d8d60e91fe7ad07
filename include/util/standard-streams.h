/*
 * The descriptors of standard input, output and error, each of which may have been closed by who started the program.
 *
 * The next file that is opened would get such a number, and what is printed would go into it: into the image, into the
 * undo file, to the server.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_STANDARD_STREAMS_H
#define UTIL_STANDARD_STREAMS_H

#include <glib.h>
#include <stdbool.h>

/*
 * Takes those numbers that are free. Reading from such a descriptor and writing to it fail with EBADF, as they did
 * before. To be called before any file is opened; programs that are started then inherit them. False and @errp set
 * where a number stays free: nothing may be opened then.
 */
bool standard_streams_reserve(GError **errp);

#endif
