/*
 * What becomes of the process when GLib cannot go on.
 *
 * Where a size comes from an image, memory is asked for in ways that may fail, and the lack of it is an error like others.
 * GLib's containers and strings are not so: when there is no memory for them, GLib ends the process by a signal, with a
 * core dump. With this it ends with a message and exit status 1, as after any other error. Nothing is cleaned up but
 * output files that have a name already (util/output-file.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_FATAL_ERROR_H
#define UTIL_FATAL_ERROR_H

/* Called once, by a program that has set its name, before it starts threads. */
void fatal_error_exits(void);

#endif
