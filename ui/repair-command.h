/*
 * The repair of `qemu-img check -r`, and what --attach, --drop and --zero ask for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPAIR_COMMAND_H
#define UI_REPAIR_COMMAND_H

#include "block/qcow2.h"
#include "block/undo/file.h"
#include "ui/options/options.h"

/*
 * Repairs @image as @options ask, saves the overwritten bytes in @undo, which may be NULL, and checks the image again
 * as @how asks; @result is that of the second check. Returns false and sets @errp, a complete message, on failure.
 */
bool repair_opened(const CheckOptions *options, UndoFile *undo, Qcow2Image *image, const Qcow2CheckOptions *how,
                   Qcow2CheckResult *result, GError **errp);

/* The same of a --drop from the header of the image in @source, which need not be one that can be opened. */
bool repair_header(const CheckOptions *options, UndoFile *undo, BlockSource *source, const Qcow2CheckOptions *how,
                   Qcow2CheckResult *result, GError **errp);

#endif
