/*
 * `qemu-img rescue`: makes a sound image of one without a usable header or L1 table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_RESCUE_COMMAND_H
#define UI_RESCUE_COMMAND_H

/* Runs the command line whose word "rescue" is argv[@command], and returns the exit status of the program. */
int rescue_command(int argc, char **argv, int command);

#endif
