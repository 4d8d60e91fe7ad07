/*
 * The edits of a repair as a list for whoever wants to see them first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include <errno.h>
#include <string.h>

#include "block/qcow2/format/format.h"

#define WORD      8     /* bytes of what refers to something, in all tables */
#define MAX_SHOWN 24    /* bytes of an edit that are shown */
#define MAX_WORDS 10000 /* that are listed one by one; of tables beyond it is said how many change in each */

typedef struct Lister {
    const Qcow2Repair *r;
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

/* What is there, and what @edit, which changes that, makes of it; to be freed. False where it cannot be known. */
static bool look_ahead(const Lister *l, const Edit *edit, uint8_t **now, uint8_t **then)
{
    *now = g_try_malloc(edit->size);
    *then = g_try_malloc(edit->size);
    if (!*now || !*then || block_source_read(l->r->image->source, *now, edit->size, edit->offset)) {
        return false;
    }
    memcpy(*then, *now, edit->size);
    return edit->change(edit, *then, NULL);
}

/*
 * Where @edit changes words of a table, as many as it has to set right, lists each of them, and returns true. What
 * several edits make of the same bytes is not followed here.
 */
static bool list_words(Lister *l, const Edit *edit)
{
    g_autofree uint8_t *now = NULL;
    g_autofree uint8_t *then = NULL;

    if (!edit->count || edit->count > l->words_left || edit->size % WORD || !look_ahead(l, edit, &now, &then) ||
        count_changed_words(now, then, edit->size) != edit->count) {
        return false;
    }
    l->words_left -= edit->count;
    for (uint64_t at = 0; at < edit->size && !l->error; at += WORD) {
        ImageCheckEdit *item = word_differs(now, then, at) ? append(l, IMAGE_CHECK_EDIT_ACTION_WRITE, edit) : NULL;

        if (item) {
            item->offset += at;
            item->size = WORD;
            item->count = 1;
            item->old = hexadecimal(now + at, WORD);
            item->new = hexadecimal(then + at, WORD);
        }
    }
    return true;
}

static void list_plain(Lister *l, const Edit *edit)
{
    ImageCheckEdit *item = append(l, edit->copies ? IMAGE_CHECK_EDIT_ACTION_COPY : IMAGE_CHECK_EDIT_ACTION_WRITE, edit);
    uint8_t now[MAX_SHOWN];

    if (!item) {
        return;
    }
    item->has_from = edit->copies;
    item->from = edit->from;
    if (!edit->bytes || edit->size > MAX_SHOWN) {
        return;
    }
    item->new = hexadecimal(edit->bytes, edit->size);
    if (!block_source_read(l->r->image->source, now, edit->size, edit->offset)) {
        item->old = hexadecimal(now, edit->size);
    }
}

/* ---- counts and free space, which are not in the edits but in the counts ---- */

/* Clusters in a row that change in the same way. */
typedef struct Change {
    uint64_t first;
    uint64_t n; /* 0: none yet */
    uint64_t old;
    uint64_t new;
} Change;

/* Lists the counts of @c, which are in refcount block @block, from its count @index on. */
static void list_counts_in_block(Lister *l, const Change *c, uint64_t block, uint64_t index)
{
    const Qcow2Repair *r = l->r;
    bool raised = c->new > c->old;
    /* counts narrower than a byte need not begin or end with one */
    uint64_t begin = (index << r->header->refcount_order) / 8;
    uint64_t end = (((index + c->n) << r->header->refcount_order) + 7) / 8;
    Edit edit = {
        .offset = (r->image->refcount_table.entries[block] & QCOW2_REFTABLE_OFFSET_MASK) + begin,
        .size = end - begin,
        .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK,
        .why = qcow2_repair_reason(r, raised ? QCOW2_FINDING_REFCOUNT_TOO_LOW : QCOW2_FINDING_LEAK),
        .count = c->n,
        .what = raised ? "raise reference counts" : "lower reference counts",
    };
    ImageCheckEdit *item = append(l, IMAGE_CHECK_EDIT_ACTION_COUNTS, &edit);

    if (item) {
        item->clusters = g_new0(Qcow2Allocation, 1);
        item->clusters->offset = c->first << r->header->cluster_bits;
        item->clusters->size = c->n << r->header->cluster_bits;
        item->has_old_refcount = item->has_new_refcount = true;
        item->old_refcount = c->old;
        item->new_refcount = c->new;
    }
}

/* Clusters that are neighbours can have their counts in blocks that are not. */
static void list_counts(Lister *l, const Change *c)
{
    unsigned bits = qcow2_refblock_bits(l->r->header);
    uint64_t in_block = UINT64_C(1) << bits;
    Change part = *c;

    for (uint64_t done = 0; done < c->n && !l->error; done += part.n) {
        uint64_t index = (c->first + done) & (in_block - 1);

        part.first = c->first + done;
        part.n = MIN(c->n - done, in_block - index);
        if (qcow2_repair_block_written(l->r, part.first >> bits)) {
            list_counts_in_block(l, &part, part.first >> bits, index);
        }
    }
}

static void list_punch(Lister *l, const Change *c)
{
    Edit edit = {
        .offset = c->first << l->r->header->cluster_bits,
        .size = c->n << l->r->header->cluster_bits,
        .structure = IMAGE_CHECK_STRUCTURE_NONE,
        .why = qcow2_repair_reason(l->r, QCOW2_FINDING_LEAK),
        .count = c->n,
        .what = "give back the space of free clusters",
    };

    append(l, IMAGE_CHECK_EDIT_ACTION_PUNCH, &edit);
}

/* True where the counts of @run change in @phase; for free space the counts themselves do not matter. */
static bool changes_in(const Qcow2Repair *r, EditPhase phase, const Qcow2CountRun *run, Change *change)
{
    uint64_t final = qcow2_repair_final_of_run(r, run);

    *change = (Change){.first = run->first, .n = run->n, .old = run->stored, .new = final};
    switch (phase) {
    case EDIT_PHASE_RAISE:
        return run->known && final > run->stored;
    case EDIT_PHASE_LOWER:
        return run->known && final < run->stored;
    default:
        change->old = 0;
        return run->known && run->stored && !final;
    }
}

/* Lists what changes in @phase, neighbours together. */
static void list_changes(Lister *l, EditPhase phase, void (*list)(Lister *, const Change *))
{
    Change pending = {0}, next;
    Qcow2CountRun run;

    for (uint64_t at = 0; qcow2_repair_next_run(l->r, at, &run); at = run.first + run.n) {
        if (!changes_in(l->r, phase, &run, &next)) {
            continue;
        }
        if (pending.n && next.first == pending.first + pending.n && next.old == pending.old &&
            next.new == pending.new) {
            pending.n += next.n;
            continue;
        }
        if (pending.n) {
            list(l, &pending);
        }
        pending = next;
    }
    if (pending.n) {
        list(l, &pending);
    }
}

/* ---- all of it ---- */

static bool is_count_edit(const Edit *edit)
{
    return edit->change && edit->structure == IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK && edit->count;
}

static void list_phase(Lister *l, EditPhase phase)
{
    size_t n;
    const Edit *edits = edits_of(l->r->edits, phase, &n);
    bool counts = false;

    l->step += n != 0;
    for (size_t i = 0; i < n && !l->error; i++) {
        if (edits[i].run) {
            list_changes(l, phase, list_punch);
        } else if (is_count_edit(&edits[i])) {
            counts = true;
        } else if (!edits[i].change || !list_words(l, &edits[i])) {
            list_plain(l, &edits[i]);
        }
    }
    if (counts) {
        list_changes(l, phase, list_counts);
    }
}

bool qcow2_repair_list(const Qcow2Repair *r, ImageCheckEditList *list, GError **errp)
{
    Lister l = {
        .r = r,
        .list = list,
        .step = list->len ? list->items[list->len - 1].step : 0,
        .words_left = MAX_WORDS - MIN(list->len, MAX_WORDS), /* those of earlier rounds, and a few others */
    };

    for (EditPhase phase = 0; phase < EDIT_PHASE__MAX && !l.error; phase++) {
        list_phase(&l, phase);
    }
    return !l.error || qcow2_repair_no_memory(errp);
}
