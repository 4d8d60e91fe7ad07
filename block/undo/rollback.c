/*
 * Taking a repair back: see block/undo/rollback.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/undo/rollback.h"

#include <errno.h>
#include <string.h>

#include "block/undo/verify.h"
#include "util/number.h"
#include "util/text.h"

#define CHUNK (64u << 10)
#define SHOWN 20 /* places: counts that differ may be many, each a byte or two */

void undo_rollback_announce(const UndoRollback *rollback, bool dry_run, FILE *say)
{
    const GArray *differences = rollback->differences;
    uint64_t length = rollback->image->length, old_length = rollback->contents.old_length;

    for (guint i = 0; i < MIN(differences->len, SHOWN); i++) {
        const UndoDifference *difference = &g_array_index(differences, UndoDifference, i);

        fprintf(say, "%s %" PRIu64 " byte%s at offset %" PRIu64 "\n", dry_run ? "Would put back" : "Putting back",
                difference->size, difference->size == 1 ? "" : "s", difference->offset);
    }
    if (differences->len > SHOWN) {
        fprintf(say, "%s bytes at %u more places\n", dry_run ? "Would put back" : "Putting back",
                differences->len - SHOWN);
    }
    if (length != old_length) {
        fprintf(say, "%s the length from %" PRIu64 " to %" PRIu64 " bytes\n", dry_run ? "Would set" : "Setting", length,
                old_length);
    } else if (rollback->bytes == 0) {
        fprintf(say, "The image is as it was before the repair; nothing is to be put back.\n");
        return;
    }
    fprintf(say, "Bytes that differ from what was there before the repair: %" PRIu64 "\n", rollback->bytes);
    fflush(say);
}

static bool failed(int failure, const char *what, GError **errp)
{
    if (failure != 0) {
        g_set_error(errp, BLOCK_ERROR, -failure,
                    "Could not %s: %s. The rollback is not complete; it can be done again with the same undo file",
                    what, g_strerror(-failure));
    }
    return failure != 0;
}

/* Writes @size bytes of @file at @position to @offset of the image, unless they are there. Sets *@wrote if it did. */
static bool restore_chunk(BlockSource *file, uint64_t position, BlockSource *image, uint64_t offset, size_t size,
                          bool *wrote, GError **errp)
{
    char old[CHUNK], now[CHUNK];

    if (failed(block_source_read(file, old, size, position), "read the undo file", errp) ||
        failed(block_source_read(image, now, size, offset), "read the image", errp)) {
        return false;
    }
    if (offset + size <= image->length && memcmp(old, now, size) == 0) {
        return true;
    }
    *wrote = true;
    return !failed(block_source_write(image, old, size, offset), "write to the image", errp);
}

static bool restore_range(const UndoRange *range, BlockSource *file, BlockSource *image, bool *wrote, GError **errp)
{
    for (uint64_t done = 0; done < range->old_size; done += CHUNK) {
        if (!restore_chunk(file, range->position + done, image, range->offset + done,
                           MIN(range->old_size - done, CHUNK), wrote, errp)) {
            return false;
        }
    }
    return true;
}

static bool restore_ranges(const UndoContents *contents, BlockSource *file, BlockSource *image, GError **errp)
{
    bool wrote = false;

    for (guint i = contents->ranges->len; i-- > 0;) {
        const UndoRange *range = &g_array_index(contents->ranges, UndoRange, i);

        if (!restore_range(range, file, image, &wrote, errp)) {
            return false;
        }
        if (range->after_barrier && wrote) {
            if (failed(block_source_flush(image), "flush the image", errp)) {
                return false;
            }
            wrote = false;
        }
    }
    return true;
}

/* What was left in the page cache by an interrupted rollback is flushed with the rest. */
bool undo_rollback_apply(const UndoRollback *rollback, GError **errp)
{
    BlockSource *image = rollback->image;

    return restore_ranges(&rollback->contents, rollback->file, image, errp) &&
           !failed(block_source_flush(image), "flush the image", errp) &&
           !failed(block_source_truncate(image, rollback->contents.old_length), "set the length of the image", errp) &&
           !failed(block_source_flush(image), "flush the image", errp);
}

/* A refusal ends with the name of the image to which the undo file belongs. */
static bool verify_named(const UndoContents *contents, BlockSource *file, BlockSource *image, GArray *differences,
                         GError **errp)
{
    g_autoptr(GError) error = NULL;

    if (undo_verify(contents, file, image, differences, &error)) {
        return true;
    }
    if (contents->name && error->code == EINVAL) {
        g_set_error(errp, BLOCK_ERROR, error->code, "%s. It was made by a repair of '%s'", error->message,
                    contents->name);
    } else {
        g_propagate_error(errp, g_steal_pointer(&error));
    }
    return false;
}

bool undo_rollback_verify(UndoRollback *rollback, BlockSource *file, const char *name, BlockSource *image,
                          GError **errp)
{
    *rollback = (UndoRollback){
        .file = file,
        .image = image,
        .differences = g_array_new(false, false, sizeof(UndoDifference)),
    };
    if (!undo_contents_read(&rollback->contents, file, errp) ||
        !verify_named(&rollback->contents, file, image, rollback->differences, errp)) {
        g_autofree char *shown = text_escape(name, strlen(name));

        g_prefix_error(errp, "Could not use undo file '%s': ", shown);
        return false;
    }
    for (guint i = 0; i < rollback->differences->len; i++) {
        rollback->bytes += g_array_index(rollback->differences, UndoDifference, i).size;
    }
    return true;
}

void undo_rollback_clear(UndoRollback *rollback)
{
    undo_contents_clear(&rollback->contents);
    g_clear_pointer(&rollback->differences, g_array_unref);
}

bool undo_rollback_from(BlockSource *file, const char *name, BlockSource *image, FILE *say, GError **errp)
{
    g_auto(UndoRollback) rollback = {0};

    if (!undo_rollback_verify(&rollback, file, name, image, errp)) {
        return false;
    }
    if (say) {
        undo_rollback_announce(&rollback, false, say);
    }
    return undo_rollback_apply(&rollback, errp);
}

BlockSource *undo_rollback_open(const char *path, GError **errp)
{
    g_autoptr(GError) error = NULL;
    BlockSource *file = block_source_open_file(path, &(FileOptions){.no_locking = true}, &error);

    if (!file) {
        g_autofree char *shown = text_escape(path, strlen(path));

        g_set_error(errp, BLOCK_ERROR, error->code, "Could not open undo file '%s': %s", shown,
                    g_strerror(error->code));
    }
    return file;
}
