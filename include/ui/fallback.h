/*
 * The stock qemu-img, which does whatever this program does not.
 *
 * It is looked for in $QEMU_IMG_FALLBACK; if that is not set, at the path fixed when this program was configured,
 * and then in the folders of $PATH, where this program itself is passed over. That the stock tool in turn is a
 * script that ends up here again is noticed by an environment variable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_FALLBACK_H
#define UI_FALLBACK_H

#include <glib.h>

/* The commands of the stock tool besides check, NULL at the end: for telling a missing tool from a misspelt word. */
extern const char *const stock_commands[];

/* Replaces this program by the stock tool, with the arguments @argv. Returns only if that failed, with @errp set. */
void fallback_exec(char **argv, GError **errp);

/* Runs the stock tool with @argv and waits for it. False and @errp set if it could not be run. */
gboolean fallback_run(char **argv, GError **errp);

#endif
