/*
 * Diagnostics.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/diagnostics.h"

#include <string.h>

#include "block/qcow2/check/collect.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/bitmaps.h"
#include "block/qcow2/inspect/evidence.h"
#include "block/qcow2/inspect/evidence-cut.h"
#include "block/qcow2/inspect/judgement.h"
#include "block/qcow2/inspect/lost-blocks.h"
#include "block/qcow2/inspect/shared.h"
#include "block/qcow2/inspect/unmapped.h"
#include "block/qcow2/inspect/unreadable.h"
#include "util/search.h"
#include "util/zeros.h"

/* How full an L2 table is. */
typedef struct TableFill {
    uint64_t offset;
    uint32_t used; /* entries that refer to clusters */
    bool empty;    /* not even a flag is set */
} TableFill;

struct Qcow2Diagnostics {
    const Qcow2HeaderFields *header;
    Qcow2Collect fills; /* TableFill */
};

/* ---- while the tables are read ---- */

static uint32_t used_entries(const Qcow2L2Result *contents)
{
    uint32_t used = contents->extents->len;

    for (uint32_t i = 0; i < contents->n_runs; i++) {
        used += contents->runs[i].n;
    }
    return used;
}

static bool note_fill(void *opaque, GArray *items, const Qcow2TableRef *table, const uint8_t *bytes,
                      const Qcow2L2Result *contents)
{
    const Qcow2Diagnostics *h = opaque;
    TableFill fill = {.offset = table->offset, .used = used_entries(contents)};

    fill.empty = !fill.used && is_zeros(bytes, h->header->cluster_size);
    g_array_append_val(items, fill);
    return true;
}

Qcow2Diagnostics *qcow2_diagnostics_new(const Qcow2Image *image)
{
    Qcow2Diagnostics *h = g_new0(Qcow2Diagnostics, 1);

    h->header = &image->header;
    qcow2_collect_init(&h->fills, note_fill, sizeof(TableFill), h);
    return h;
}

void qcow2_diagnostics_free(Qcow2Diagnostics *h)
{
    if (h) {
        qcow2_collect_clear(&h->fills);
        g_free(h);
    }
}

const Qcow2TableVisitor *qcow2_diagnostics_visitor(const Qcow2Diagnostics *h)
{
    return &h->fills.visitor;
}

static void add_note(Qcow2Check *c, ImageCheckFindingKind kind, Qcow2Location location)
{
    qcow2_collector_add(c->collector, &(Qcow2Finding){kind, .location = location});
}

/* ---- empty tables ---- */

typedef enum Fill {
    FILL_NONE, /* no table, or one of which nothing is known */
    FILL_EMPTY,
    FILL_SOME,
    FILL_FULL,
} Fill;

/* What all workers have seen: TableFill, sorted. */
static GArray *all_fills(Qcow2Diagnostics *h)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(TableFill));

    qcow2_collect_take(&h->fills, all);
    ARRAY_SORT(all, TableFill, offset);
    return all;
}

static Fill fill_of(const Qcow2Check *c, const GArray *fills, uint64_t slot)
{
    const Qcow2HeaderFields *h = &c->image->header;
    uint64_t offset = slot & QCOW2_OFFSET_MASK;
    guint i = ARRAY_FIRST_NOT_BELOW(fills, TableFill, offset, offset);
    const TableFill *fill = i < fills->len ? &g_array_index(fills, TableFill, i) : NULL;

    if (!offset) {
        return FILL_NONE;
    }
    if (!fill || fill->offset != offset) {
        /* tables in holes are not shown to visitors */
        return block_source_is_hole(c->image->source, offset, h->cluster_size) ? FILL_EMPTY : FILL_NONE;
    }
    if (fill->empty) {
        return FILL_EMPTY;
    }
    return fill->used >= (UINT32_C(15) << h->l2_bits) / 16 ? FILL_FULL : FILL_SOME;
}

static void find_empty_tables(Qcow2Diagnostics *diagnostics, Qcow2Check *c)
{
    const Qcow2HeaderFields *h = &c->image->header;
    g_autoptr(GArray) fills = all_fills(diagnostics);
    uint64_t first = 0, n;
    const uint64_t *slots;

    while ((n = qcow2_tables_part(c->regions.l1_tables, h->l1_table_offset, h->l1_size, &first, &slots))) {
        for (uint64_t i = 1; i + 1 < n; i++) {
            if (fill_of(c, fills, slots[i - 1]) == FILL_FULL && fill_of(c, fills, slots[i]) == FILL_EMPTY &&
                fill_of(c, fills, slots[i + 1]) == FILL_FULL) {
                Qcow2Location location =
                    qcow2_location_l1_entry(h, NULL, h->l1_table_offset + (first + i) * 8, first + i, slots[i]);

                location.structure = IMAGE_CHECK_STRUCTURE_L2;
                add_note(c, QCOW2_FINDING_EMPTY_L2, location);
            }
        }
        first += n;
    }
}

/* ---- what was lost ---- */

static ImageCheckFindingKind kind_of(Qcow2EvidenceKind kind)
{
    switch (kind) {
    case QCOW2_EVIDENCE_L2:
        return QCOW2_FINDING_LEAKED_L2;
    case QCOW2_EVIDENCE_L2_USER:
        return QCOW2_FINDING_L2_REFERENCE_LOST;
    case QCOW2_EVIDENCE_L1:
        return QCOW2_FINDING_LEAKED_L1;
    case QCOW2_EVIDENCE_SNAPSHOT_TABLE:
        return QCOW2_FINDING_LEAKED_SNAPSHOT_TABLE;
    case QCOW2_EVIDENCE_EMPTIED:
        return QCOW2_FINDING_EMPTIED_L2;
    case QCOW2_EVIDENCE_CUT_OFF:
        return QCOW2_FINDING_TABLE_CUT_OFF;
    }
    g_assert_not_reached();
}

static ImageCheckStructure structure_of(const Qcow2Evidence *e)
{
    switch (e->kind) {
    case QCOW2_EVIDENCE_L1:
        return IMAGE_CHECK_STRUCTURE_L1;
    case QCOW2_EVIDENCE_SNAPSHOT_TABLE:
        return IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE;
    case QCOW2_EVIDENCE_CUT_OFF:
        return e->structure;
    default:
        return IMAGE_CHECK_STRUCTURE_L2;
    }
}

static const char *snapshot_name(const Qcow2Check *c, int snapshot)
{
    return snapshot == QCOW2_TREE_ACTIVE ? NULL : g_array_index(c->snapshots.items, Qcow2Snapshot, snapshot).name;
}

static void add_evidence(Qcow2Check *c, const Qcow2Evidence *e)
{
    g_autofree char *origin = qcow2_evidence_origin(e);
    g_autofree char *text = g_strdup_printf(" %s", origin);
    Qcow2Finding finding = {
        .kind = kind_of(e->kind),
        .values = {e->lost, e->named},
        .texts = {text},
        .location = qcow2_location_range(structure_of(e), e->offset, e->size),
        .has_evidence = true,
        .evidence = e->certainty,
    };

    if (e->has_entry) {
        finding.location.has_entry = true;
        finding.location.entry_offset = e->entry_offset;
        finding.location.snapshot = snapshot_name(c, e->tree);
    }
    if (e->has_guest && e->tree == QCOW2_TREE_ACTIVE) {
        qcow2_location_set_guest(&finding.location, &c->image->header, e->guest_offset, e->guest_size);
    }
    qcow2_collector_add(c->collector, &finding);
}

/* All that is noted in the list of findings, in the order of the list. */
static void add_notes(Qcow2Diagnostics *diagnostics, Qcow2Check *c, const GArray *unreadable, const Qcow2LostData *lost)
{
    find_empty_tables(diagnostics, c);
    for (guint i = 0; i < lost->items->len; i++) {
        add_evidence(c, &g_array_index(lost->items, Qcow2Evidence, i));
    }
    qcow2_find_lost_blocks(c);
    qcow2_find_unmapped_data(c);
    qcow2_unreadable_note(c, unreadable);
}

/* Without a @search nothing is read: only tables that the end of the file cuts off are found. */
static bool find_lost(Qcow2Check *c, bool search, Qcow2LostData *lost, GError **errp)
{
    if (search) {
        return qcow2_find_lost_data(c, lost, errp);
    }
    qcow2_lost_data_init(lost, 0);
    qcow2_find_cut_off(c, lost);
    return true;
}

bool qcow2_add_diagnostics(Qcow2Diagnostics *diagnostics, Qcow2UnreadableFinder *finder, Qcow2Check *c, bool changed,
                           ImageCheck *result, GError **errp)
{
    bool search = diagnostics || c->options->lost_data;
    g_auto(Qcow2LostData) lost = {0};
    uint64_t more;
    g_autoptr(GArray) unreadable = qcow2_unreadable_finish(finder, &more);
    Qcow2JudgementInput found = {
        .unreadable = unreadable, .unreadable_more = more, .lost = &lost, .searched = search, .changed = changed};

    if (!qcow2_find_shared(c, &found.shared, errp) || !find_lost(c, search, &lost, errp)) {
        return false;
    }
    if (diagnostics) {
        add_notes(diagnostics, c, unreadable, &lost);
    }
    found.bitmaps_doubtful = qcow2_find_doubtful_bitmaps(c);
    if (c->options->judgement && !qcow2_judge(c, &found, result, errp)) {
        return false;
    }
    if (search) {
        g_clear_pointer(&c->kept, refmap_free);
        c->kept = g_steal_pointer(&lost.kept);
        c->all_kept = lost.everything;
    }
    return true;
}
