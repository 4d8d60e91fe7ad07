/*
 * A repair as a list of edits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/edits.h"

#include <assert.h>
#include <string.h>

#include "util/number.h"

#define SECTOR 512 /* bytes: the unit in which a change is written */

struct Edits {
    GArray *items;  /* Edit */
    guint begin;    /* index of the first one of the pass under way */
    unsigned steps; /* so far, but for that of the free space, which is step 0 */
};

static void clear_edit(gpointer opaque)
{
    g_free(((Edit *)opaque)->bytes);
}

Edits *edits_new(void)
{
    Edits *edits = g_new0(Edits, 1);

    edits->items = g_array_new(FALSE, FALSE, sizeof(Edit));
    g_array_set_clear_func(edits->items, clear_edit);
    return edits;
}

void edits_free(Edits *edits)
{
    if (edits) {
        g_array_unref(edits->items);
        g_free(edits);
    }
}

void edits_add(Edits *edits, EditPhase phase, const Edit *edit)
{
    Edit *added;

    assert(!edit->bytes + !edit->copies + !edit->change == 2 && edit->size);
    g_array_append_vals(edits->items, edit, 1);
    added = &g_array_index(edits->items, Edit, edits->items->len - 1);
    added->phase = phase;
    added->step = 0;
}

void edits_add_word(Edits *edits, EditPhase phase, const Edit *edit, uint64_t value)
{
    Edit word = *edit;

    word.size = sizeof(value);
    word.bytes = g_malloc(word.size);
    store_be64(word.bytes, value);
    edits_add(edits, phase, &word);
}

/*
 * Makes @edit one with the edit of the step before, if that is the only one, and both write bytes that are neighbours
 * in a sector: there is no state in between. A repair that was broken off there might find no place for what is next.
 */
static bool join(Edits *edits, const Edit *edit)
{
    guint last = edits->begin;
    Edit *before = NULL;
    uint8_t *bytes;

    while (last > 0 && (!before || before->phase == EDIT_PHASE_FREE_SPACE)) {
        before = &g_array_index(edits->items, Edit, --last);
    }
    if (!before || before->phase == EDIT_PHASE_FREE_SPACE || !before->bytes || !edit->bytes ||
        edit->offset + edit->size != before->offset ||
        edit->offset / SECTOR != (before->offset + before->size - 1) / SECTOR ||
        (last > 0 && g_array_index(edits->items, Edit, last - 1).step == before->step)) {
        return false;
    }
    bytes = g_malloc(edit->size + before->size);
    memcpy(bytes, edit->bytes, edit->size);
    memcpy(bytes + edit->size, before->bytes, before->size);
    g_free(before->bytes);
    g_free(edit->bytes);
    before->bytes = bytes;
    before->offset = edit->offset;
    before->size += edit->size;
    return true;
}

void edits_end_pass(Edits *edits)
{
    guint n = edits->items->len - edits->begin, in_use = 0;
    g_autofree Edit *pass = n ? g_memdup2(&g_array_index(edits->items, Edit, edits->begin), n * sizeof(Edit))
                              : NULL; /* no bytes: no data */

    for (guint i = 0; i < n; i++) {
        in_use += pass[i].phase != EDIT_PHASE_FREE_SPACE;
    }
    for (EditPhase phase = 0; n && phase < EDIT_PHASE__MAX; phase++) {
        guint before = edits->begin;

        for (guint i = 0; i < n; i++) {
            if (pass[i].phase != phase || (in_use == 1 && n > 1 && phase && join(edits, &pass[i]))) {
                continue;
            }
            pass[i].step = phase == EDIT_PHASE_FREE_SPACE ? 0 : edits->steps + 1;
            g_array_index(edits->items, Edit, edits->begin++) = pass[i];
        }
        edits->steps += phase != EDIT_PHASE_FREE_SPACE && edits->begin > before;
    }
    /* what was joined is not to be freed */
    if (edits->begin < edits->items->len) {
        memset(&g_array_index(edits->items, Edit, edits->begin), 0, (edits->items->len - edits->begin) * sizeof(Edit));
    }
    g_array_set_size(edits->items, edits->begin);
}

GPtrArray *edits_in_order(const Edits *edits)
{
    GPtrArray *order = g_ptr_array_new();

    for (int new = 1; new >= 0; new --) {
        for (guint i = 0; i < edits->items->len; i++) {
            Edit *edit = &g_array_index(edits->items, Edit, i);

            if ((edit->step == 0) == new) {
                g_ptr_array_add(order, edit);
            }
        }
    }
    return order;
}

size_t edits_index(const Edits *edits, const Edit *edit)
{
    return edit - (const Edit *)(const void *)edits->items->data;
}

size_t edits_n(const Edits *edits)
{
    return edits->items->len;
}

const Edit *edits_at(const Edits *edits, size_t i)
{
    assert(i < edits->items->len);
    return &g_array_index(edits->items, Edit, i);
}

void edits_clear(Edits *edits)
{
    g_array_set_size(edits->items, 0);
    edits->begin = 0;
    edits->steps = 0;
}

bool edit_next_difference(const uint8_t *now, const uint8_t *then, uint64_t size, uint64_t *first, uint64_t *end)
{
    uint64_t at = *first;

    while (at < size && !memcmp(now + at, then + at, MIN(SECTOR, size - at))) {
        at += MIN(SECTOR, size - at);
    }
    *first = at;
    while (at < size && memcmp(now + at, then + at, MIN(SECTOR, size - at))) {
        at += MIN(SECTOR, size - at);
    }
    *end = at;
    return *end > *first;
}
