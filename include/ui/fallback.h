/*
 * The stock qemu-img, which does everything that this program does not.
 *
 * Its path is $QEMU_IMG_FALLBACK; without that the path fixed by configure; without that qemu-img.distrib beside this
 * program, where a package moves it; without that the first qemu-img in the folders of $PATH that is not this program.
 * An environment variable guards against a stock tool that is a script and
 * runs this program again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_FALLBACK_H
#define UI_FALLBACK_H

#include <glib.h>

/* The commands of the stock tool except check, with NULL at the end. */
extern const char *const stock_commands[];

/* Replaces this program by the stock tool, with the arguments @argv. Returns only on failure, and sets @errp. */
void fallback_exec(char **argv, GError **errp);

/* Runs the stock tool with @argv and waits for it. Returns false and sets @errp if it did not run, or failed. */
gboolean fallback_run(char **argv, GError **errp);

#endif
