/*
 * The repair of `qemu-img check -r`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPAIR_COMMAND_H
#define UI_REPAIR_COMMAND_H

#include "block/qcow2.h"
#include "block/undo/file.h"
#include "ui/options/options.h"

/*
 * Repairs @image as @options say, and saves what it overwrites in @undo, which may be NULL; @result is what a check
 * finds afterwards. False and @errp set where that failed; the message is complete.
 */
bool repair_opened(const CheckOptions *options, UndoFile *undo, Qcow2Image *image, const Qcow2CheckOptions *how,
                   Qcow2CheckResult *result, GError **errp);

#endif
