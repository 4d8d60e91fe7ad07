/*
 * Making the edits of a repair.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/write.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io/edited.h"

#define SECTOR 512 /* bytes: what a disk writes whole, or not at all */

static bool failed(GError **errp, int failure, const char *what, const Edit *edit)
{
    g_set_error(errp, BLOCK_ERROR, -failure, "Could not %s %s (%" PRIu64 " bytes at 0x%" PRIx64 "): %s", what,
                ImageCheckStructure_str(edit->structure), edit->size, edit->offset, g_strerror(-failure));
    return false;
}

/* Reads what the range of @edit is after it is made; to be freed by the caller. */
static uint8_t *read_after(BlockSource *view, const Edits *edits, const Edit *edit, GError **errp)
{
    g_autofree uint8_t *after = g_try_malloc(edit->size);
    int failure = after ? block_source_edited_bytes(view, edits_index(edits, edit), NULL, after) : -ENOMEM;

    return failure ? (failed(errp, failure, "read", edit), NULL) : g_steal_pointer(&after);
}

bool edits_save(const Edits *edits, BlockSource *source, UndoFile *undo, GError **errp)
{
    g_autoptr(BlockSource) view = block_source_new_edited(source, edits);
    g_autoptr(GPtrArray) order = edits_in_order(edits);
    unsigned step = 0;

    for (guint i = 0; i < order->len; i++) {
        const Edit *edit = g_ptr_array_index(order, i);
        g_autofree uint8_t *after = read_after(view, edits, edit, errp);

        if (!after || (edit->step != step && !undo_file_barrier(undo, errp)) ||
            !undo_file_save(undo, edit->offset, after, edit->size, errp)) {
            return false;
        }
        step = edit->step;
    }
    return undo_file_seal(undo, errp);
}

/* ---- new structures ---- */

static bool flush(BlockSource *source, GError **errp)
{
    int failure = block_source_flush(source);

    if (failure) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not flush the image: %s", g_strerror(-failure));
    }
    return !failure;
}

static bool fill(const Edits *edits, const Edit *edit, BlockSource *source, BlockSource *view, GError **errp)
{
    g_autofree uint8_t *after = NULL;
    int failure = -EOPNOTSUPP;

    if (edit->copies && !block_source_edited_from_edited(view, edits_index(edits, edit))) {
        failure = block_source_copy(source, edit->from, edit->offset, edit->size);
    }
    if (failure == -EOPNOTSUPP) {
        after = read_after(view, edits, edit, errp);
        if (!after) {
            return false;
        }
        failure = block_source_write(source, after, edit->size, edit->offset);
    }
    return !failure || failed(errp, failure, "write", edit);
}

static bool fill_all(const Edits *edits, BlockSource *source, GError **errp)
{
    g_autoptr(BlockSource) view = block_source_new_edited(source, edits);
    g_autoptr(GPtrArray) order = edits_in_order(edits);
    guint i;

    for (i = 0; i < order->len && ((const Edit *)g_ptr_array_index(order, i))->step == 0; i++) {
        if (!fill(edits, g_ptr_array_index(order, i), source, view, errp)) {
            return false;
        }
    }
    return i == 0 || flush(source, errp);
}

/* What @error kept from being done: it may be the disk that is broken, and not full. */
static const char *not_written_anew(const GError *error)
{
    bool no_room = g_error_matches(error, BLOCK_ERROR, ENOSPC) || g_error_matches(error, BLOCK_ERROR, EDQUOT) ||
                   g_error_matches(error, BLOCK_ERROR, EFBIG);

    return no_room ? "No room for what must be written anew" : "What must be written anew could not be written";
}

bool edits_fill_free_space(const Edits *edits, BlockSource *source, GError **errp)
{
    uint64_t length = source->length;
    g_autoptr(GError) error = NULL;

    if (fill_all(edits, source, &error)) {
        return true;
    }
    if (source->length > length) {
        block_source_truncate(source, length); /* if that fails, there are bytes that nobody looks at */
    }
    g_propagate_prefixed_error(errp, g_error_copy(error), "%s, and nothing was changed: ", not_written_anew(error));
    return false;
}

/* ---- all else ---- */

/* Writes the sectors of @then that are not as in @now, each row of them at once. */
static int write_differences(const Edit *edit, BlockSource *source, const uint8_t *now, const uint8_t *then)
{
    int failure = 0;

    for (uint64_t at = 0, end; !failure && edit_next_difference(now, then, edit->size, &at, &end); at = end) {
        failure = block_source_write(source, then + at, end - at, edit->offset + at);
    }
    return failure;
}

/* Makes a change to what is there, which is what the edits before have left. */
static bool change(const Edit *edit, BlockSource *source, GError **errp)
{
    g_autofree uint8_t *now = g_try_malloc(edit->size);
    g_autofree uint8_t *then = g_try_malloc(edit->size);
    int failure = now && then ? block_source_read(source, now, edit->size, edit->offset) : -ENOMEM;

    if (failure) {
        return failed(errp, failure, "read", edit);
    }
    memcpy(then, now, edit->size);
    failure = edit->change(edit, then) ? write_differences(edit, source, now, then) : -ENOMEM;
    return !failure || failed(errp, failure, "write", edit);
}

static bool apply_edit(const Edit *edit, BlockSource *source, bool durable, GError **errp)
{
    int failure;

    if (edit->change) {
        return change(edit, source, errp);
    }
    failure = durable ? block_source_write_durably(source, edit->bytes, edit->size, edit->offset)
                      : block_source_write(source, edit->bytes, edit->size, edit->offset);
    return !failure || failed(errp, failure, "write", edit);
}

bool edits_apply(const Edits *edits, BlockSource *source, GError **errp)
{
    g_autoptr(GPtrArray) order = edits_in_order(edits);
    bool ok = true;

    for (guint i = 0, end; ok && i < order->len; i = end) {
        const Edit *first = g_ptr_array_index(order, i);
        bool durable;

        for (end = i + 1; end < order->len && ((const Edit *)g_ptr_array_index(order, end))->step == first->step;) {
            end++;
        }
        if (first->step == 0) {
            continue;
        }
        /* one write, as that which switches the header over, is on disk after one request where the source has that */
        durable = end == i + 1 && first->bytes;
        for (guint k = i; ok && k < end; k++) {
            ok = apply_edit(g_ptr_array_index(order, k), source, durable, errp);
        }
        ok = ok && (durable || flush(source, errp));
    }
    return ok;
}
