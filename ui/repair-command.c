/*
 * The repair of `qemu-img check -r`: see ui/repair-command.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/repair-command.h"

#include "block/repair.h"

static Qcow2RepairOptions repair_options(const CheckOptions *options, UndoFile *undo, const Qcow2CheckOptions *how)
{
    return (Qcow2RepairOptions){
        .all = options->repair_all,
        .dry_run = options->dry_run,
        .free_lost = options->free_lost,
        .restore = options->restore,
        .min_evidence = options->min_evidence,
        .only = options->only,
        .request = options->request.kind ? &options->request : NULL,
        .undo = undo,
        .check = how,
    };
}

bool repair_header(const CheckOptions *options, UndoFile *undo, BlockSource *source, const Qcow2CheckOptions *how,
                   Qcow2CheckResult *result, GError **errp)
{
    Qcow2RepairOptions repair = repair_options(options, undo, how);
    Qcow2RepairResult done = {0};
    bool dropped = qcow2_drop_from_header(source, &repair, &done, errp);

    *result = done.check;
    return dropped;
}

bool repair_opened(const CheckOptions *options, UndoFile *undo, Qcow2Image *image, const Qcow2CheckOptions *how,
                   Qcow2CheckResult *result, GError **errp)
{
    Qcow2RepairOptions repair = repair_options(options, undo, how);
    Qcow2RepairResult done = {0};
    bool repaired = qcow2_repair(image, &repair, &done, errp);

    *result = done.check;
    if (!repaired) {
        g_prefix_error(errp, "Repair failed: ");
    }
    return repaired;
}
