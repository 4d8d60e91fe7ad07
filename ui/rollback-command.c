/*
 * `qemu-img check --rollback`: see ui/rollback-command.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/rollback-command.h"

#include "block/undo/rollback.h"
#include "block/undo/verify.h"
#include "ui/output/json.h"

static void print_json(const CheckOptions *options, const UndoRollback *rollback, uint64_t length)
{
    const GArray *differences = rollback->differences;
    g_autofree Qcow2Allocation *places = g_new(Qcow2Allocation, differences->len);
    ImageRollback result = {
        .filename = (char *)options->filename,
        .undo_file = (char *)options->rollback,
        .done = !options->dry_run,
        .length = length,
        .original_length = rollback->contents.old_length,
        .bytes = rollback->bytes,
        .places = {.items = places, .len = differences->len},
    };

    for (guint i = 0; i < differences->len; i++) {
        const UndoDifference *difference = &g_array_index(differences, UndoDifference, i);

        places[i] = (Qcow2Allocation){.offset = difference->offset, .size = difference->size};
    }
    print_rollback_json(stdout, &result);
}

bool rollback_image(const CheckOptions *options, BlockSource *file, BlockSource *image, GError **errp)
{
    g_auto(UndoRollback) rollback = {0};
    bool in_words = !options->quiet && !options->json;
    uint64_t length = image->length;

    if (!undo_rollback_verify(&rollback, file, options->rollback, image, errp)) {
        return false;
    }
    if (in_words) {
        undo_rollback_announce(&rollback, options->dry_run, stdout);
    }
    if (!options->dry_run && !undo_rollback_apply(&rollback, errp)) {
        return false;
    }
    if (in_words) {
        puts(options->dry_run ? "Nothing was written, as this is a dry run."
                              : "The image is what it was before the repair.");
    } else if (!options->quiet) {
        print_json(options, &rollback, length);
    }
    return true;
}
