/*
 * Allocations that may fail, made to fail: GLib's functions for them, in place of GLib's.
 *
 * Linking this replaces them for the whole program. Requests are counted over all threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_CRASH_ALLOCATIONS_H
#define TESTS_CRASH_ALLOCATIONS_H

#include <glib.h>

/* From now on counts anew from 1, and lets request @n fail; 0: none. */
void crash_allocations_fail_at(guint n);

/* How many requests there have been since then. */
guint crash_allocations(void);

#endif
