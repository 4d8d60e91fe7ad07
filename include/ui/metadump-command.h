/*
 * `qemu-img metadump`: an image with the metadata of another one, and nothing of its data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_METADUMP_COMMAND_H
#define UI_METADUMP_COMMAND_H

/* Runs the command whose name is argv[@command]; returns the exit status of the program. */
int metadump_command(int argc, char **argv, int command);

#endif
