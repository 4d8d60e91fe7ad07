/*
 * The repair of `qemu-img check -r`: see ui/repair-command.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/repair-command.h"

#include "block/repair.h"

/*
 * Where nothing was changed, the result is that of the planning, which does not judge. What a check of its own finds is
 * the same.
 */
static bool judge(Qcow2Image *image, const Qcow2CheckOptions *how, ImageCheck *check, GError **errp)
{
    Qcow2CheckOptions quiet = {.judgement = true, .max_messages = how->max_messages, .workers = how->workers};
    Qcow2CheckResult judged = {0};
    ImageCheck *from;

    if (!how->judgement || check->has_judgement) {
        return true;
    }
    if (!qcow2_check(image, &quiet, &judged, errp)) {
        return false;
    }
    from = judged.check;
    check->has_judgement = true;
    check->judgement = from->judgement;
    check->has_guest_bytes_lost = check->has_guest_ranges_lost = true;
    check->guest_bytes_lost = from->guest_bytes_lost;
    check->guest_ranges_lost = from->guest_ranges_lost;
    check->has_guest_lost = from->has_guest_lost;
    check->guest_lost = from->guest_lost;
    from->guest_lost = (Qcow2AllocationList){0};
    check->has_bytes_kept_as_lost = true;
    check->bytes_kept_as_lost = from->bytes_kept_as_lost;
    check->has_file_length = true;
    check->file_length = from->file_length;
    check->has_file_length_least = from->has_file_length_least;
    check->file_length_least = from->file_length_least;
    qcow2_check_result_clear(&judged);
    return true;
}

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
    if (repaired && !judge(image, how, result->check, errp)) {
        return false;
    }
    if (!repaired) {
        g_prefix_error(errp, "Repair failed: ");
    }
    return repaired;
}
