/*
 * `qemu-img check`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_COMMAND_H
#define UI_CHECK_COMMAND_H

/*
 * Runs the check of a command line whose word "check" is argv[@command], and returns the exit status of the program.
 * Passes all of @argv to the stock tool if the check is one that only that can do.
 */
int check_command(int argc, char **argv, int command);

#endif
