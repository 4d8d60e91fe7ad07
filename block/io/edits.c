/*
 * A repair as a list of edits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/edits.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io/overlay.h"
#include "util/number.h"

#define SECTOR       512         /* bytes: the unit in which differences are looked for */
#define MAX_FORESEEN (64u << 20) /* bytes that several edits write, kept to know what they make of them together */

struct Edits {
    GArray *phases[EDIT_PHASE__MAX]; /* Edit */
};

static void clear_edit(gpointer opaque)
{
    g_free(((Edit *)opaque)->bytes);
}

Edits *edits_new(void)
{
    Edits *edits = g_new(Edits, 1);

    for (unsigned i = 0; i < EDIT_PHASE__MAX; i++) {
        edits->phases[i] = g_array_new(FALSE, FALSE, sizeof(Edit));
        g_array_set_clear_func(edits->phases[i], clear_edit);
    }
    return edits;
}

void edits_free(Edits *edits)
{
    if (edits) {
        for (unsigned i = 0; i < EDIT_PHASE__MAX; i++) {
            g_array_unref(edits->phases[i]);
        }
        g_free(edits);
    }
}

void edits_add(Edits *edits, EditPhase phase, const Edit *edit)
{
    g_array_append_vals(edits->phases[phase], edit, 1);
}

void edits_add_word(Edits *edits, EditPhase phase, const Edit *edit, uint64_t value)
{
    Edit word = *edit;

    word.size = sizeof(value);
    word.bytes = g_malloc(word.size);
    store_be64(word.bytes, value);
    edits_add(edits, phase, &word);
}

void edits_drop(Edits *edits, EditPhase phase)
{
    g_array_set_size(edits->phases[phase], 0);
}

const Edit *edits_of(const Edits *edits, EditPhase phase, size_t *n)
{
    *n = edits->phases[phase]->len;
    return (const Edit *)(void *)edits->phases[phase]->data;
}

bool edits_any(const Edits *edits, EditPhase first, EditPhase last)
{
    for (EditPhase phase = first; phase <= last; phase++) {
        if (edits->phases[phase]->len) {
            return true;
        }
    }
    return false;
}

static bool failed(GError **errp, int failure, const char *what, const Edit *edit)
{
    g_set_error(errp, BLOCK_ERROR, -failure, "Could not %s %s (%" PRIu64 " bytes at 0x%" PRIx64 "): %s", what,
                ImageCheckStructure_str(edit->structure), edit->size, edit->offset, g_strerror(-failure));
    return false;
}

/*
 * What @edit makes of its range: *now gets what is there, *then what will be, both to be freed; *now is NULL where
 * that does not matter.
 */
static bool make_bytes(const Edit *edit, BlockSource *source, uint8_t **now, uint8_t **then, GError **errp)
{
    g_autofree uint8_t *old = NULL;
    g_autofree uint8_t *new = g_try_malloc(edit->size);
    int failure = new ? 0 : -ENOMEM;

    if (!failure && edit->bytes) {
        memcpy(new, edit->bytes, edit->size);
    } else if (!failure) {
        failure = block_source_read(source, new, edit->size, edit->copies ? edit->from : edit->offset);
    }
    if (!failure && edit->change) {
        old = g_try_malloc(edit->size);
        failure = old ? 0 : -ENOMEM;
    }
    if (failure) {
        return failed(errp, failure, "read", edit);
    }
    if (edit->change) {
        memcpy(old, new, edit->size);
        if (!edit->change(edit, new, errp)) {
            return false;
        }
    }
    *now = g_steal_pointer(&old);
    *then = g_steal_pointer(&new);
    return true;
}

/* ---- saving ---- */

typedef struct Saver {
    GHashTable *again;     /* the edits of whose bytes others have some */
    BlockSource *foreseen; /* what the file will be where these are, as far as they are saved */
    bool lost;             /* that is not known any more */
    UndoFile *undo;
} Saver;

static int compare_locations(const void *a, const void *b)
{
    const Edit *const *x = a, *const *y = b;

    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

/* The edits that write bytes, in the order of the file. */
static GPtrArray *sorted_edits(const Edits *edits)
{
    GPtrArray *sorted = g_ptr_array_new();

    for (EditPhase phase = 0; phase < EDIT_PHASE__MAX; phase++) {
        for (guint i = 0; i < edits->phases[phase]->len; i++) {
            Edit *edit = &g_array_index(edits->phases[phase], Edit, i);

            if (edit->size) {
                g_ptr_array_add(sorted, edit);
            }
        }
    }
    g_ptr_array_sort(sorted, compare_locations);
    return sorted;
}

static GHashTable *edits_that_overlap(const Edits *edits)
{
    g_autoptr(GPtrArray) sorted = sorted_edits(edits);
    GHashTable *again = g_hash_table_new(NULL, NULL);
    Edit *reaching = NULL; /* the one before that ends last */

    for (guint i = 0; i < sorted->len; i++) {
        Edit *edit = g_ptr_array_index(sorted, i);

        if (reaching && edit->offset < reaching->offset + reaching->size) {
            g_hash_table_add(again, reaching);
            g_hash_table_add(again, edit);
        }
        if (!reaching || edit->offset + edit->size > reaching->offset + reaching->size) {
            reaching = edit;
        }
    }
    return again;
}

static bool save_edit(Saver *s, const Edit *edit, GError **errp)
{
    g_autofree uint8_t *now = NULL;
    g_autofree uint8_t *then = NULL;
    bool again = g_hash_table_contains(s->again, edit);

    if (!edit->size) {
        return true;
    }
    if (s->lost && again && edit->change) {
        return undo_file_save(s->undo, edit->offset, NULL, edit->size, errp);
    }
    if (!make_bytes(edit, s->foreseen, &now, &then, errp)) {
        return false;
    }
    s->lost |= again && block_source_write(s->foreseen, then, edit->size, edit->offset);
    return undo_file_save(s->undo, edit->offset, then, edit->size, errp);
}

static bool save_phases(Saver *s, const Edits *edits, GError **errp)
{
    for (EditPhase phase = 0; phase < EDIT_PHASE__MAX; phase++) {
        for (guint i = 0; i < edits->phases[phase]->len; i++) {
            if (!save_edit(s, &g_array_index(edits->phases[phase], Edit, i), errp)) {
                return false;
            }
        }
        if (edits->phases[phase]->len && !undo_file_barrier(s->undo, errp)) {
            return false;
        }
    }
    return true;
}

bool edits_save(const Edits *edits, BlockSource *source, UndoFile *undo, GError **errp)
{
    g_autoptr(GHashTable) again = edits_that_overlap(edits);
    g_autoptr(BlockSource) foreseen = block_source_new_overlay(source, MAX_FORESEEN);
    Saver s = {.again = again, .foreseen = foreseen, .undo = undo};

    return save_phases(&s, edits, errp);
}

/* ---- applying ---- */

/* Writes the sectors of @then that are not as in @now, each row of them at once. */
static int write_differences(const Edit *edit, BlockSource *source, const uint8_t *now, const uint8_t *then)
{
    uint64_t at = 0;

    while (at < edit->size) {
        uint64_t end = at;

        while (end < edit->size && memcmp(now + end, then + end, MIN(SECTOR, edit->size - end))) {
            end += MIN(SECTOR, edit->size - end);
        }
        if (end > at) {
            int failure = block_source_write(source, then + at, end - at, edit->offset + at);

            if (failure) {
                return failure;
            }
        }
        at = MAX(end, at + SECTOR);
    }
    return 0;
}

typedef int WriteBytes(BlockSource *source, const void *buffer, size_t size, uint64_t offset);

static bool apply_edit(const Edit *edit, BlockSource *source, WriteBytes *write_bytes, GError **errp)
{
    g_autofree uint8_t *now = NULL;
    g_autofree uint8_t *then = NULL;
    int failure = edit->copies ? block_source_copy(source, edit->from, edit->offset, edit->size) : -EOPNOTSUPP;

    if (failure != -EOPNOTSUPP) {
        return !failure || failed(errp, failure, "copy", edit);
    }
    if (edit->run) {
        return edit->run(edit, source, errp);
    }
    if (!make_bytes(edit, source, &now, &then, errp)) {
        return false;
    }
    failure = now ? write_differences(edit, source, now, then) : write_bytes(source, then, edit->size, edit->offset);
    return !failure || failed(errp, failure, "write", edit);
}

/* Such a phase, as the one that switches the header over, is on disk after one request where the source has that. */
static bool is_one_write(const GArray *edits)
{
    const Edit *only = (const Edit *)(void *)edits->data;

    return edits->len == 1 && !only->run && !only->change;
}

static bool apply_phase(const GArray *edits, BlockSource *source, GError **errp)
{
    bool durable = is_one_write(edits);
    int failure;

    for (guint i = 0; i < edits->len; i++) {
        if (!apply_edit(&g_array_index(edits, Edit, i), source,
                        durable ? block_source_write_durably : block_source_write, errp)) {
            return false;
        }
    }
    failure = edits->len && !durable ? block_source_flush(source) : 0;
    if (failure) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not flush the image: %s", g_strerror(-failure));
    }
    return !failure;
}

bool edits_apply(const Edits *edits, EditPhase first, EditPhase last, BlockSource *source, GError **errp)
{
    for (EditPhase phase = first; phase <= last; phase++) {
        if (!apply_phase(edits->phases[phase], source, errp)) {
            return false;
        }
    }
    return true;
}
