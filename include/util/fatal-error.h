/*
 * The end of the process when GLib runs out of memory.
 *
 * Sizes from an image are allocated in ways that can fail, and a failure is an error like others. GLib's containers and
 * strings instead end the process by a signal, with a core dump. With this it ends with a message and exit status 1.
 * Only output files that have a name are cleaned up (util/output-file.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_FATAL_ERROR_H
#define UTIL_FATAL_ERROR_H

/* Call it once, after g_set_prgname() and before threads are started. */
void fatal_error_exits(void);

#endif
