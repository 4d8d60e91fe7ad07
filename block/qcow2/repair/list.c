/*
 * The edits of a repair as a list for whoever wants to see them first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/plan.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "block/io/edited.h"
#include "block/qcow2/format/format.h"

#define WORD      8     /* bytes of what refers to something, in all tables */
#define MAX_SHOWN 24    /* bytes of an edit that are shown */
#define MAX_WORDS 10000 /* that are listed one by one; of tables beyond it is said how many change in each */

typedef struct Lister {
    const Qcow2HeaderFields *header; /* of the image; NULL: no edit changes counts */
    BlockSource *view;
    ImageCheckEditList *list;
    int64_t step;
    uint64_t words_left; /* that may still be listed one by one */
    bool failed;         /* memory is short */
} Lister;

/* Appends what @edit, or a part of it, does to @size bytes at @offset. NULL when memory is short. */
static ImageCheckEdit *append(Lister *l, const Edit *edit, ImageCheckEditAction action, uint64_t offset, uint64_t size)
{
    ImageCheckEdit *item = qapi_append_ImageCheckEdit(l->list);

    l->failed |= !item;
    if (item) {
        item->step = l->step;
        item->action = action;
        item->structure = edit->structure;
        item->offset = (int64_t)offset;
        item->size = (int64_t)size;
        item->count = (int64_t)edit->count;
        item->has_why = edit->why != QCOW2_FINDING__MAX;
        item->why = edit->why;
        item->has_evidence = edit->has_evidence;
        item->evidence = edit->evidence;
        item->what = g_strdup(edit->what);
    }
    return item;
}

static char *hexadecimal(const uint8_t *bytes, size_t size)
{
    GString *text = g_string_sized_new(size * 2);

    for (size_t i = 0; i < size; i++) {
        g_string_append_printf(text, "%02x", bytes[i]);
    }
    return g_string_free(text, FALSE);
}

/* Appends the write of the @size bytes at @at of @edit, which are shown if they are few. */
static void list_write(Lister *l, const Edit *edit, uint64_t at, uint64_t size, const uint8_t *now, const uint8_t *then)
{
    ImageCheckEdit *item = append(l, edit, IMAGE_CHECK_EDIT_ACTION_WRITE, edit->offset + at, size);

    if (item && size <= MAX_SHOWN) {
        item->old = hexadecimal(now + at, size);
        item->new = hexadecimal(then + at, size);
    }
}

/* Lists each word of a table that changes; where they are too many, how many there are. */
static void list_words(Lister *l, const Edit *edit, const uint8_t *now, const uint8_t *then)
{
    Edit part = *edit;

    part.count = 0;
    for (uint64_t at = 0; at < edit->size; at += WORD) {
        part.count += memcmp(now + at, then + at, WORD) != 0;
    }
    if (part.count > l->words_left) {
        append(l, &part, IMAGE_CHECK_EDIT_ACTION_WRITE, edit->offset, edit->size);
        return;
    }
    l->words_left -= part.count;
    part.count = 1;
    for (uint64_t at = 0; at < edit->size; at += WORD) {
        if (memcmp(now + at, then + at, WORD)) {
            list_write(l, &part, at, WORD, now, then);
        }
    }
}

/* ---- counts ---- */

static uint64_t count_at(const Lister *l, const uint8_t *block, uint64_t index)
{
    uint64_t count;

    assert(l->header);
    qcow2_unpack_refcounts(block, l->header->refcount_order, index, 1, &count);
    return count;
}

/* Lists that the @n counts from @index on become @new, which are @old. */
static void list_change(Lister *l, const Edit *edit, uint64_t index, uint64_t n, uint64_t old, uint64_t new)
{
    /* counts narrower than a byte need not begin or end with one */
    uint64_t first = (index << l->header->refcount_order) / 8;
    uint64_t end = (((index + n) << l->header->refcount_order) + 7) / 8;
    ImageCheckEdit *item = append(l, edit, IMAGE_CHECK_EDIT_ACTION_COUNTS, edit->offset + first, end - first);

    if (item) {
        item->count = (int64_t)n;
        item->clusters = g_new0(Qcow2Allocation, 1);
        item->clusters->offset = ((edit->key << qcow2_refblock_bits(l->header)) + index) << l->header->cluster_bits;
        item->clusters->size = n << l->header->cluster_bits;
        item->has_old_refcount = item->has_new_refcount = true;
        item->old_refcount = old;
        item->new_refcount = new;
    }
}

/* Lists what becomes of the counts of a block: clusters in a row whose counts change in the same way are one item. */
static void list_counts(Lister *l, const Edit *edit, const uint8_t *now, const uint8_t *then)
{
    uint64_t in_block = UINT64_C(1) << qcow2_refblock_bits(l->header), n;

    for (uint64_t i = 0; i < in_block; i += n) {
        uint64_t old = count_at(l, now, i), new = count_at(l, then, i);

        for (n = 1; i + n < in_block && count_at(l, now, i + n) == old && count_at(l, then, i + n) == new;) {
            n++;
        }
        if (old != new) {
            list_change(l, edit, i, n, old, new);
        }
    }
}

/* ---- all of it ---- */

static void list_space(Lister *l, const RepairPlan *plan)
{
    Edit edit = {
        .structure = IMAGE_CHECK_STRUCTURE_NONE,
        .why = repair_why(&plan->found->in, plan->edits, QCOW2_FINDING_BIT(QCOW2_FINDING_LEAK)),
        .what = "give back the space of free clusters",
    };
    unsigned bits = l->header->cluster_bits;
    Qcow2ClusterRange freed;

    l->step++;
    for (uint64_t at = 0; !l->failed && repair_plan_next_freed(plan, at, &freed); at = freed.first + freed.n) {
        edit.count = freed.n;
        append(l, &edit, IMAGE_CHECK_EDIT_ACTION_PUNCH, freed.first << bits, freed.n << bits);
    }
}

/* What is new is listed without its bytes. */
static void list_new(Lister *l, const Edit *edit)
{
    ImageCheckEditAction action = edit->copies ? IMAGE_CHECK_EDIT_ACTION_COPY : IMAGE_CHECK_EDIT_ACTION_WRITE;
    ImageCheckEdit *item = append(l, edit, action, edit->offset, edit->size);

    if (item && edit->copies) {
        item->has_from = true;
        item->from = (int64_t)edit->from;
    }
}

/* Lists a change to what is there. */
static void list_change_of(Lister *l, const Edits *edits, size_t i)
{
    const Edit *edit = edits_at(edits, i);
    g_autofree uint8_t *now = g_try_malloc(edit->size);
    g_autofree uint8_t *then = g_try_malloc(edit->size);

    if (!now || !then || block_source_edited_bytes(l->view, i, now, then)) {
        l->failed = true;
    } else if (edit->bytes) {
        list_write(l, edit, 0, edit->size, now, then);
    } else if (edit->structure == IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK) {
        list_counts(l, edit, now, then);
    } else {
        list_words(l, edit, now, then);
    }
}

static void list_edits(Lister *l, const Edits *edits)
{
    for (unsigned step = 0; step <= edits_steps(edits); step++) {
        size_t i = 0;

        /* steps are counted from 1 on, and there may be nothing new */
        l->step += edits_next_of_step(edits, step, &i);
        for (; !l->failed && edits_next_of_step(edits, step, &i); i++) {
            if (step == 0) {
                list_new(l, edits_at(edits, i));
            } else {
                list_change_of(l, edits, i);
            }
        }
    }
}

bool repair_list(const Edits *edits, const RepairPlan *plan, BlockSource *source, ImageCheckEditList *list,
                 GError **errp)
{
    g_autoptr(BlockSource) view = block_source_new_edited(source, edits);
    Lister l = {
        .header = plan ? plan->found->in.header : NULL,
        .view = view,
        .list = list,
        .words_left = MAX_WORDS,
    };

    list_edits(&l, edits);
    if (plan && plan->frees_space) {
        list_space(&l, plan);
    }
    return !l.failed || repair_no_memory(errp);
}
