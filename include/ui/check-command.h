/*
 * `qemu-img check`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_COMMAND_H
#define UI_CHECK_COMMAND_H

/*
 * Runs the check that @argv + @command asks for, where @argv[command] is the word "check", and returns the exit
 * status of the program. All of @argv goes to the stock tool where the check is its business.
 */
int check_command(int argc, char **argv, int command);

#endif
