/*
 * `qemu-img check --rollback`: taking a repair back, or showing what that would do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_ROLLBACK_COMMAND_H
#define UI_ROLLBACK_COMMAND_H

#include "block/source.h"
#include "ui/options/options.h"

/*
 * Does what @options say of a rollback to @image, with the undo file that is open as @file, and prints it to stdout.
 * For a dry run the image need not be open for writing. False and @errp set when it is not possible, or fails.
 */
bool rollback_image(const CheckOptions *options, BlockSource *file, BlockSource *image, GError **errp);

#endif
