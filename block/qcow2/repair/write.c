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

/* Reads what the range of edit @i is before it is made and after it; to be freed. */
static bool read_bytes(BlockSource *view, const Edits *edits, size_t i, uint8_t **before, uint8_t **after,
                       GError **errp)
{
    const Edit *edit = edits_at(edits, i);
    g_autofree uint8_t *then = g_try_malloc(edit->size);
    g_autofree uint8_t *now = before ? g_try_malloc(edit->size) : NULL;
    int failure = then && (now || !before) ? block_source_edited_bytes(view, i, now, then) : -ENOMEM;

    if (failure) {
        return failed(errp, failure, "read", edit);
    }
    if (before) {
        *before = g_steal_pointer(&now);
    }
    *after = g_steal_pointer(&then);
    return true;
}

/* ---- saving ---- */

static bool save_edit(BlockSource *view, const Edits *edits, size_t i, UndoFile *undo, GError **errp)
{
    const Edit *edit = edits_at(edits, i);
    g_autofree uint8_t *after = NULL;

    return !edit->size || (read_bytes(view, edits, i, NULL, &after, errp) &&
                           undo_file_save(undo, edit->offset, after, edit->size, errp));
}

bool edits_save(const Edits *edits, BlockSource *source, UndoFile *undo, GError **errp)
{
    g_autoptr(BlockSource) view = block_source_new_edited(source, edits);
    bool ok = true;
    unsigned step = 0;

    for (size_t i = 0; ok && i < edits_n(edits); i++) {
        ok = edits_at(edits, i)->step != 0 || save_edit(view, edits, i, undo, errp);
    }
    for (size_t i = 0; ok && i < edits_n(edits); i++) {
        if (edits_at(edits, i)->step != 0) {
            ok = (edits_at(edits, i)->step == step || undo_file_barrier(undo, errp)) &&
                 save_edit(view, edits, i, undo, errp);
            step = edits_at(edits, i)->step;
        }
    }
    return ok && undo_file_seal(undo, errp);
}

/* ---- new structures ---- */

static bool fill(const Edits *edits, size_t i, BlockSource *source, BlockSource *view, GError **errp)
{
    const Edit *edit = edits_at(edits, i);
    g_autofree uint8_t *after = NULL;
    int failure = -EOPNOTSUPP;

    if (edit->copies && !block_source_edited_from_edited(view, i)) {
        failure = block_source_copy(source, edit->from, edit->offset, edit->size);
    }
    if (failure != -EOPNOTSUPP) {
        return !failure || failed(errp, failure, "copy", edit);
    }
    if (!read_bytes(view, edits, i, NULL, &after, errp)) {
        return false;
    }
    failure = block_source_write(source, after, edit->size, edit->offset);
    return !failure || failed(errp, failure, "write", edit);
}

static bool flush(BlockSource *source, GError **errp)
{
    int failure = block_source_flush(source);

    if (failure) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not flush the image: %s", g_strerror(-failure));
    }
    return !failure;
}

static bool fill_all(const Edits *edits, BlockSource *source, GError **errp)
{
    g_autoptr(BlockSource) view = block_source_new_edited(source, edits);
    bool any = false, ok = true;

    for (size_t i = 0; ok && i < edits_n(edits); i++) {
        if (edits_at(edits, i)->step == 0) {
            any = true;
            ok = fill(edits, i, source, view, errp);
        }
    }
    return ok && (!any || flush(source, errp));
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

    if (edit->run) {
        edit->run(edit, source);
        return true;
    }
    if (edit->change) {
        return change(edit, source, errp);
    }
    failure = durable ? block_source_write_durably(source, edit->bytes, edit->size, edit->offset)
                      : block_source_write(source, edit->bytes, edit->size, edit->offset);
    return !failure || failed(errp, failure, "write", edit);
}

static const Edit *edit_of(const GPtrArray *edits, guint i)
{
    return g_ptr_array_index(edits, i);
}

/* The edit behind the last one of the step of edit @i. */
static guint step_end(const GPtrArray *edits, guint i)
{
    unsigned step = edit_of(edits, i)->step;

    while (i < edits->len && edit_of(edits, i)->step == step) {
        i++;
    }
    return i;
}

/* A step of one write, as that which switches the header over, is on disk after one request where the source has that.
 */
static bool apply_step(const GPtrArray *edits, guint first, guint end, BlockSource *source, GError **errp)
{
    bool durable = end - first == 1 && edit_of(edits, first)->bytes;

    for (guint i = first; i < end; i++) {
        if (!apply_edit(edit_of(edits, i), source, durable, errp)) {
            return false;
        }
    }
    return durable || flush(source, errp);
}

/* True where edit @i is the whole of a step, and one write of bytes that are known. */
static bool is_one_write(const GPtrArray *edits, guint i)
{
    return i < edits->len && edit_of(edits, i)->bytes && step_end(edits, i) == i + 1 &&
           (i == 0 || edit_of(edits, i - 1)->step != edit_of(edits, i)->step);
}

/*
 * Two tables that the header refers to are switched over at once, as the fields are neighbours: a repair that was
 * broken off in between might find no place for the second. True, and *joined is the write, where @i and the next are
 * such.
 */
static bool join_steps(const GPtrArray *edits, guint i, Edit *joined)
{
    const Edit *a = edit_of(edits, i), *b;

    if (!is_one_write(edits, i) || !is_one_write(edits, i + 1)) {
        return false;
    }
    b = edit_of(edits, i + 1);
    if (b->offset + b->size != a->offset || b->offset / SECTOR != (a->offset + a->size - 1) / SECTOR) {
        return false;
    }
    *joined = *a;
    joined->offset = b->offset;
    joined->size = a->size + b->size;
    joined->bytes = g_malloc(joined->size);
    memcpy(joined->bytes, b->bytes, b->size);
    memcpy(joined->bytes + b->size, a->bytes, a->size);
    return true;
}

bool edits_apply(const Edits *edits, BlockSource *source, GError **errp)
{
    g_autoptr(GPtrArray) rest = g_ptr_array_new();
    bool ok = true;

    for (size_t i = 0; i < edits_n(edits); i++) {
        if (edits_at(edits, i)->step != 0) {
            g_ptr_array_add(rest, (gpointer)edits_at(edits, i));
        }
    }
    for (guint i = 0, end; ok && i < rest->len; i = end) {
        Edit joined;

        end = step_end(rest, i);
        if (join_steps(rest, i, &joined)) {
            end++;
            ok = apply_edit(&joined, source, true, errp);
            g_free(joined.bytes);
        } else {
            ok = apply_step(rest, i, end, source, errp);
        }
    }
    return ok;
}
