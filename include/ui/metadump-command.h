/*
 * `qemu-img metadump`: copies the metadata of an image, and none of its data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_METADUMP_COMMAND_H
#define UI_METADUMP_COMMAND_H

/* Runs the command line whose word "metadump" is argv[@command], and returns the exit status of the program. */
int metadump_command(int argc, char **argv, int command);

#endif
