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
 * Rolls @image back with the undo file @file, or verifies with --dry-run that this is possible, and prints the result
 * to stdout. @image has to be open for writing, except for a dry run. Returns false and sets @errp on failure.
 */
bool rollback_image(const CheckOptions *options, BlockSource *file, BlockSource *image, GError **errp);

#endif
