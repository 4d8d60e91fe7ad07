/*
 * The edits of a repair as a list for whoever wants to see them first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/plan.h"

#include <errno.h>
#include <string.h>

#include "block/io/edited.h"

#include "block/qcow2/format/format.h"

#define WORD      8     /* bytes of what refers to something, in all tables */
#define MAX_SHOWN 24    /* bytes of an edit that are shown */
#define MAX_WORDS 10000 /* that are listed one by one; of tables beyond it is said how many change in each */
#define COUNTS    1024  /* counts of a block that are looked at together */

typedef struct Lister {
    const RepairPlan *plan;
    const Qcow2HeaderFields *header;
    BlockSource *view;
    ImageCheckEditList *list;
    int64_t step;
    uint64_t words_left; /* that may still be listed one by one */
    int error;           /* positive errno value: the list could not be made */
} Lister;

static ImageCheckEdit *append(Lister *l, ImageCheckEditAction action, const Edit *edit)
{
    ImageCheckEdit *item = qapi_append_ImageCheckEdit(l->list);

    if (!item) {
        l->error = ENOMEM;
        return NULL;
    }
    item->step = l->step;
    item->action = action;
    item->structure = edit->structure;
    item->offset = edit->offset;
    item->size = edit->size;
    item->count = edit->count;
    item->why = edit->why;
    item->what = g_strdup(edit->what);
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

static bool word_differs(const uint8_t *now, const uint8_t *then, uint64_t at)
{
    return memcmp(now + at, then + at, WORD) != 0;
}

static uint64_t count_changed_words(const uint8_t *now, const uint8_t *then, uint64_t size)
{
    uint64_t n = 0;

    for (uint64_t at = 0; at < size; at += WORD) {
        n += word_differs(now, then, at);
    }
    return n;
}

/* Lists each word of a table that changes; where they are too many, how many there are. */
static void list_words(Lister *l, const Edit *edit, const uint8_t *now, const uint8_t *then)
{
    uint64_t n = count_changed_words(now, then, edit->size);
    Edit part = *edit;

    part.count = n;
    if (n > l->words_left) {
        append(l, IMAGE_CHECK_EDIT_ACTION_WRITE, &part);
        return;
    }
    l->words_left -= n;
    part.size = WORD;
    part.count = 1;
    for (uint64_t at = 0; at < edit->size && !l->error; at += WORD) {
        ImageCheckEdit *item;

        part.offset = edit->offset + at;
        item = word_differs(now, then, at) ? append(l, IMAGE_CHECK_EDIT_ACTION_WRITE, &part) : NULL;
        if (item) {
            item->old = hexadecimal(now + at, WORD);
            item->new = hexadecimal(then + at, WORD);
        }
    }
}

/* Lists a write or a copy; @now is what is there, NULL where that is not shown. */
static void list_plain(Lister *l, const Edit *edit, const uint8_t *now)
{
    ImageCheckEdit *item = append(l, edit->copies ? IMAGE_CHECK_EDIT_ACTION_COPY : IMAGE_CHECK_EDIT_ACTION_WRITE, edit);

    if (item) {
        item->has_from = edit->copies;
        item->from = edit->from;
    }
    if (item && now && edit->bytes && edit->size <= MAX_SHOWN) {
        item->new = hexadecimal(edit->bytes, edit->size);
        item->old = hexadecimal(now, edit->size);
    }
}

/* ---- counts ---- */

/* Clusters in a row whose counts change in the same way. */
typedef struct Change {
    uint64_t index; /* in their block */
    uint64_t n;     /* 0: none yet */
    uint64_t old;
    uint64_t new;
} Change;

static void list_change(Lister *l, const Edit *edit, const Change *c)
{
    unsigned order = l->header->refcount_order;
    Edit part = *edit;
    ImageCheckEdit *item;

    if (!c->n) {
        return;
    }
    /* counts narrower than a byte need not begin or end with one */
    part.offset += (c->index << order) / 8;
    part.size = (((c->index + c->n) << order) + 7) / 8 - (c->index << order) / 8;
    part.count = c->n;
    item = append(l, IMAGE_CHECK_EDIT_ACTION_COUNTS, &part);
    if (item) {
        item->clusters = g_new0(Qcow2Allocation, 1);
        item->clusters->offset = ((edit->key << qcow2_refblock_bits(l->header)) + c->index) << l->header->cluster_bits;
        item->clusters->size = c->n << l->header->cluster_bits;
        item->has_old_refcount = item->has_new_refcount = true;
        item->old_refcount = c->old;
        item->new_refcount = c->new;
    }
}

/* Lists what becomes of the counts of a block. */
static void list_counts(Lister *l, const Edit *edit, const uint8_t *now, const uint8_t *then)
{
    uint64_t in_block = UINT64_C(1) << qcow2_refblock_bits(l->header);
    uint64_t old[COUNTS], new[COUNTS];
    Change pending = {0};

    for (uint64_t i = 0; i < in_block && !l->error; i++) {
        uint64_t k = i % COUNTS;

        if (k == 0) {
            qcow2_unpack_refcounts(now, l->header->refcount_order, i, MIN(COUNTS, in_block - i), old);
            qcow2_unpack_refcounts(then, l->header->refcount_order, i, MIN(COUNTS, in_block - i), new);
        }
        if (pending.n && (old[k] != pending.old || new[k] != pending.new)) {
            list_change(l, edit, &pending);
            pending.n = 0;
        }
        if (old[k] != new[k]) {
            pending = (Change){pending.n ? pending.index : i, pending.n + 1, old[k], new[k]};
        }
    }
    list_change(l, edit, &pending);
}

/* ---- all of it ---- */

static void list_space(Lister *l)
{
    Edit edit = {
        .structure = IMAGE_CHECK_STRUCTURE_NONE,
        .why = repair_reason(&repair_plan_found(l->plan)->in, l->plan->edits, QCOW2_FINDING_LEAK),
        .what = "give back the space of free clusters",
    };
    Qcow2ClusterRange freed;

    l->step++;
    for (uint64_t at = 0; !l->error && repair_plan_next_freed(l->plan, at, &freed); at = freed.first + freed.n) {
        edit.offset = freed.first << l->header->cluster_bits;
        edit.size = freed.n << l->header->cluster_bits;
        edit.count = freed.n;
        append(l, IMAGE_CHECK_EDIT_ACTION_PUNCH, &edit);
    }
}

static void list_edit(Lister *l, const Edit *edit)
{
    bool shown = edit->phase != EDIT_PHASE_FREE_SPACE;
    g_autofree uint8_t *now = shown ? g_try_malloc(edit->size) : NULL;
    g_autofree uint8_t *then = shown ? g_try_malloc(edit->size) : NULL;

    if (shown && (!now || !then || block_source_edited_bytes(l->view, edits_index(l->plan->edits, edit), now, then))) {
        l->error = ENOMEM;
    } else if (shown && edit->change && edit->structure == IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK) {
        list_counts(l, edit, now, then);
    } else if (shown && edit->change) {
        list_words(l, edit, now, then);
    } else {
        list_plain(l, edit, now);
    }
}

bool repair_plan_list(const RepairPlan *plan, BlockSource *source, ImageCheckEditList *list, GError **errp)
{
    g_autoptr(BlockSource) view = block_source_new_edited(source, plan->edits);
    g_autoptr(GPtrArray) order = edits_in_order(plan->edits);
    Lister l = {
        .plan = plan,
        .header = repair_plan_found(plan)->in.header,
        .view = view,
        .list = list,
        .words_left = MAX_WORDS,
    };

    for (guint i = 0; i < order->len && !l.error; i++) {
        const Edit *edit = g_ptr_array_index(order, i);

        l.step += i == 0 || edit->step != ((const Edit *)g_ptr_array_index(order, i - 1))->step;
        list_edit(&l, edit);
    }
    if (plan->frees_space) {
        list_space(&l);
    }
    return !l.error || repair_no_memory(errp);
}
