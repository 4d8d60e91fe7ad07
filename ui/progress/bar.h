/*
 * The progress bar as a line of text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_PROGRESS_BAR_H
#define UI_PROGRESS_BAR_H

#include "qapi/qapi-types.h"

/* Returns the bar for a terminal of @columns: at most @columns - 1 characters of ASCII. The caller frees it. */
char *progress_bar(const ImageCheckProgress *progress, unsigned columns);

#endif
