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

    assert(!edit->bytes + !edit->copies + !edit->change + !edit->run == 3);
    assert((edit->size == 0) == (edit->run != NULL));
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

void edits_end_pass(Edits *edits)
{
    guint n = edits->items->len - edits->begin;
    g_autofree Edit *pass = n ? g_memdup2(&g_array_index(edits->items, Edit, edits->begin), n * sizeof(Edit))
                              : NULL; /* no bytes: no data */

    for (EditPhase phase = 0; n && phase < EDIT_PHASE__MAX; phase++) {
        guint before = edits->begin;

        for (guint i = 0; i < n; i++) {
            if (pass[i].phase == phase) {
                pass[i].step = phase == EDIT_PHASE_FREE_SPACE ? 0 : edits->steps + 1;
                g_array_index(edits->items, Edit, edits->begin++) = pass[i];
            }
        }
        edits->steps += phase != EDIT_PHASE_FREE_SPACE && edits->begin > before;
    }
    assert(edits->begin == edits->items->len);
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

bool edits_any(const Edits *edits, size_t first, EditPhase phase)
{
    for (size_t i = first; i < edits_n(edits); i++) {
        if (edits_at(edits, i)->phase == phase) {
            return true;
        }
    }
    return false;
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
