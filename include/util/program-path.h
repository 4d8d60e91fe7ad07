/*
 * The file of the running program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_PROGRAM_PATH_H
#define UTIL_PROGRAM_PATH_H

/* Returns its path, also where there is no /proc; then as it was named when it was run. The caller frees it. */
char *program_path(void);

#endif
