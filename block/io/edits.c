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

static Edit *edit_at(const Edits *edits, guint i)
{
    return &g_array_index(edits->items, Edit, i);
}

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
    Edit added = *edit;

    assert(!edit->bytes + !edit->copies + !edit->change == 2 && edit->size);
    assert(edit->offset <= UINT64_MAX - edit->size && phase < EDIT_PHASE__MAX);
    assert(!edit->copies || phase == EDIT_PHASE_FREE_SPACE);
    added.phase = phase;
    added.step = 0;
    g_array_append_val(edits->items, added);
}

void edits_add_word(Edits *edits, EditPhase phase, const Edit *edit, uint64_t value)
{
    Edit word = *edit;

    word.size = sizeof(value);
    word.bytes = g_malloc(word.size);
    store_be64(word.bytes, value);
    edits_add(edits, phase, &word);
}

static int compare_phases(const void *a, const void *b, void *unused)
{
    const Edit *x = a, *y = b;

    return (x->phase > y->phase) - (x->phase < y->phase);
}

/*
 * Makes the last edit, the only one in use of its pass, part of the one edit of the step before, if both write bytes
 * that are neighbours in a sector: there is no state in between. A repair that was broken off there might find no place
 * for what is next.
 */
static void join_last(Edits *edits)
{
    guint last = edits->items->len - 1;
    Edit *edit = edit_at(edits, last), *before = edit_at(edits, edits->begin - 1);
    bool alone = before->step && (edits->begin == 1 || edit_at(edits, edits->begin - 2)->step != before->step);

    if (!alone || !edit->bytes || !before->bytes || edit->offset + edit->size != before->offset ||
        edit->offset / SECTOR != (before->offset + before->size - 1) / SECTOR) {
        return;
    }
    assert(edit->step == before->step + 1 && edits->steps == edit->step);
    edit->bytes = g_realloc(edit->bytes, edit->size + before->size);
    memcpy(edit->bytes + edit->size, before->bytes, before->size);
    g_free(before->bytes);
    before->bytes = g_steal_pointer(&edit->bytes);
    before->offset = edit->offset;
    before->size += edit->size;
    edits->steps--;
    g_array_set_size(edits->items, last);
}

void edits_end_pass(Edits *edits)
{
    guint begin = edits->begin, n = edits->items->len - begin, in_use = 0;

    if (!n) {
        return;
    }
    g_qsort_with_data(edit_at(edits, begin), (gint)n, sizeof(Edit), compare_phases, NULL);
    for (guint i = begin; i < begin + n; i++) {
        Edit *edit = edit_at(edits, i);

        if (edit->phase != EDIT_PHASE_FREE_SPACE) {
            assert(i == begin || edit_at(edits, i - 1)->phase <= edit->phase);
            edits->steps += in_use++ == 0 || edit_at(edits, i - 1)->phase != edit->phase;
            edit->step = edits->steps;
        }
    }
    if (begin && n > 1 && in_use == 1) {
        join_last(edits);
    }
    edits->begin = edits->items->len;
}

unsigned edits_steps(const Edits *edits)
{
    return edits->steps;
}

bool edits_next_of_step(const Edits *edits, unsigned step, size_t *i)
{
    while (*i < edits->items->len && edit_at(edits, (guint)*i)->step != step) {
        ++*i;
    }
    return *i < edits->items->len;
}

size_t edits_n(const Edits *edits)
{
    return edits->items->len;
}

const Edit *edits_at(const Edits *edits, size_t i)
{
    assert(i < edits->items->len);
    return edit_at(edits, (guint)i);
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
