/*
 * Making the edits of a repair.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/write.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io/edited.h"

static bool failed(GError **errp, int failure, const char *what, const Edit *edit)
{
    g_set_error(errp, BLOCK_ERROR, -failure, "Could not %s %s (%" PRIu64 " bytes at 0x%" PRIx64 "): %s", what,
                ImageCheckStructure_str(edit->structure), edit->size, edit->offset, g_strerror(-failure));
    return false;
}

/* Reads what the range of edit @i is after it is made; to be freed by the caller. */
static uint8_t *read_after(BlockSource *view, const Edits *edits, size_t i, GError **errp)
{
    g_autofree uint8_t *after = g_try_malloc(edits_at(edits, i)->size);
    int failure = after ? block_source_edited_bytes(view, i, NULL, after) : -ENOMEM;

    return failure ? (failed(errp, failure, "read", edits_at(edits, i)), NULL) : g_steal_pointer(&after);
}

bool edits_save(const Edits *edits, BlockSource *source, UndoFile *undo, GError **errp)
{
    g_autoptr(BlockSource) view = block_source_new_edited(source, edits);

    for (unsigned step = 0; step <= edits_steps(edits); step++) {
        if (step > 0 && !undo_file_barrier(undo, errp)) {
            return false;
        }
        for (size_t i = 0; edits_next_of_step(edits, step, &i); i++) {
            const Edit *edit = edits_at(edits, i);
            g_autofree uint8_t *after = read_after(view, edits, i, errp);

            if (!after || !undo_file_save(undo, edit->offset, after, edit->size, errp)) {
                return false;
            }
        }
    }
    return undo_file_seal(undo, errp);
}

static bool flush(BlockSource *source, GError **errp)
{
    int failure = block_source_flush(source);

    if (failure) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not flush the image: %s", g_strerror(-failure));
    }
    return !failure;
}

/* ---- new structures ---- */

static bool fill_all(const Edits *edits, BlockSource *source, GError **errp)
{
    g_autoptr(BlockSource) view = block_source_new_edited(source, edits);
    bool any = false;

    for (size_t i = 0; edits_next_of_step(edits, 0, &i); i++) {
        const Edit *edit = edits_at(edits, i);
        g_autofree uint8_t *bytes = read_after(view, edits, i, errp);
        int failure = bytes ? block_source_write(source, bytes, edit->size, edit->offset) : 0;

        if (!bytes || failure) {
            return bytes && failed(errp, failure, "write", edit);
        }
        any = true;
    }
    return !any || flush(source, errp);
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
    g_propagate_prefixed_error(errp, g_error_copy(error),
                               "%s, and nothing else was changed: ", not_written_anew(error));
    return false;
}

/* ---- all else ---- */

/* Makes a change to what is there, which is what the edits before have left: writes the sectors that differ. */
static bool change(const Edit *edit, BlockSource *source, GError **errp)
{
    g_autofree uint8_t *now = g_try_malloc(edit->size);
    g_autofree uint8_t *then = g_try_malloc(edit->size);
    int failure = now && then ? block_source_read(source, now, edit->size, edit->offset) : -ENOMEM;

    if (failure) {
        return failed(errp, failure, "read", edit);
    }
    memcpy(then, now, edit->size);
    failure = edit->change(edit, then) ? 0 : -ENOMEM;
    for (uint64_t at = 0, end; !failure && edit_next_difference(now, then, edit->size, &at, &end); at = end) {
        failure = block_source_write(source, then + at, end - at, edit->offset + at);
    }
    return !failure || failed(errp, failure, "write", edit);
}

static bool make(const Edit *edit, BlockSource *source, bool durable, GError **errp)
{
    int failure;

    assert(!edit->copies); /* only free space is filled with them */
    if (edit->change) {
        return change(edit, source, errp);
    }
    failure = durable ? block_source_write_durably(source, edit->bytes, edit->size, edit->offset)
                      : block_source_write(source, edit->bytes, edit->size, edit->offset);
    return !failure || failed(errp, failure, "write", edit);
}

/* One write alone, such as that which switches the header over, is on disk after one request if the source has that. */
static bool make_step(const Edits *edits, unsigned step, BlockSource *source, GError **errp)
{
    size_t i = 0, next;
    bool ok = true, durable;

    edits_next_of_step(edits, step, &i);
    next = i + 1;
    durable = edits_at(edits, i)->bytes && !edits_next_of_step(edits, step, &next);
    for (; ok && edits_next_of_step(edits, step, &i); i++) {
        ok = make(edits_at(edits, i), source, durable, errp);
    }
    return ok && (durable || flush(source, errp));
}

bool edits_apply(const Edits *edits, BlockSource *source, GError **errp)
{
    for (unsigned step = 1; step <= edits_steps(edits); step++) {
        if (!make_step(edits, step, source, errp)) {
            return false;
        }
    }
    return true;
}
