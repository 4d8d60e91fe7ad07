/*
 * Hints.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/diagnostics.h"

#include <string.h>

#include "block/io/prefetch.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/evidence.h"
#include "block/qcow2/inspect/lost-blocks.h"
#include "block/qcow2/inspect/users.h"
#include "util/number.h"

#define MAX_PROBES (1u << 16)           /* questions to the file system */
#define MAX_LOOKS  (UINT64_C(16) << 20) /* at clusters of metadata */

/* How full an L2 table is. */
typedef struct TableFill {
    uint64_t offset;
    uint32_t used; /* entries that refer to clusters */
    bool empty;    /* not even a flag is set */
} TableFill;

typedef struct DiagnosticsWorker {
    const Qcow2Diagnostics *diagnostics;
    GArray *fills; /* TableFill */
} DiagnosticsWorker;

struct Qcow2Diagnostics {
    const Qcow2HeaderFields *header;
    Qcow2TableVisitor visitor;
    DiagnosticsWorker workers[BLOCK_MAX_WORKERS];
    void *states[BLOCK_MAX_WORKERS];
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

static bool note_fill(void *state, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    DiagnosticsWorker *w = state;
    TableFill fill = {.offset = table->offset, .used = used_entries(contents)};

    fill.empty = !fill.used && !bytes[0] && memcmp(bytes, bytes + 1, w->diagnostics->header->cluster_size - 1) == 0;
    g_array_append_val(w->fills, fill);
    return true;
}

Qcow2Diagnostics *qcow2_diagnostics_new(const Qcow2Image *image)
{
    Qcow2Diagnostics *h = g_new0(Qcow2Diagnostics, 1);

    h->header = &image->header;
    h->visitor = (Qcow2TableVisitor){.visit = note_fill, .states = h->states};
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        h->workers[i] = (DiagnosticsWorker){.diagnostics = h, .fills = g_array_new(FALSE, FALSE, sizeof(TableFill))};
        h->states[i] = &h->workers[i];
    }
    return h;
}

void qcow2_diagnostics_free(Qcow2Diagnostics *h)
{
    if (h) {
        for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
            g_array_unref(h->workers[i].fills);
        }
        g_free(h);
    }
}

const Qcow2TableVisitor *qcow2_diagnostics_visitor(const Qcow2Diagnostics *h)
{
    return &h->visitor;
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

static int compare_fills(const void *a, const void *b)
{
    const TableFill *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* What all workers have seen: TableFill, sorted. */
static GArray *all_fills(const Qcow2Diagnostics *h)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(TableFill));

    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        g_array_append_vals(all, h->workers[i].fills->data, h->workers[i].fills->len);
    }
    g_array_sort(all, compare_fills);
    return all;
}

static Fill fill_of(const Qcow2Check *c, const GArray *fills, uint64_t slot)
{
    const Qcow2HeaderFields *h = &c->image->header;
    TableFill key = {.offset = slot & QCOW2_OFFSET_MASK};
    guint i;
    const TableFill *fill;

    if (!key.offset) {
        return FILL_NONE;
    }
    if (!g_array_binary_search((GArray *)fills, &key, compare_fills, &i)) {
        /* tables in holes are not shown to visitors */
        return block_source_is_hole(c->image->source, key.offset, h->cluster_size) ? FILL_EMPTY : FILL_NONE;
    }
    fill = &g_array_index(fills, TableFill, i);
    if (fill->empty) {
        return FILL_EMPTY;
    }
    return fill->used >= (UINT32_C(15) << h->l2_bits) / 16 ? FILL_FULL : FILL_SOME;
}

static void find_empty_tables(const Qcow2Diagnostics *diagnostics, Qcow2Check *c)
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

/* ---- metadata with another user that its reference count includes ---- */

/* The references to @cluster where they are more than @expected, and as many as are stored; else 0. */
static uint64_t unseen_references(const Qcow2Check *c, uint64_t cluster, uint64_t expected)
{
    uint64_t references = cluster < refmap_clusters(c->counting.refs) ? refmap_get(c->counting.refs, cluster) : 0;
    uint64_t count;

    return references > expected && qcow2_stored_count(c->stored, cluster, &count) && count == references ? references
                                                                                                          : 0;
}

static const char *snapshot_name(const Qcow2Check *c, int snapshot)
{
    return snapshot == QCOW2_TREE_ACTIVE ? NULL : g_array_index(c->snapshots.items, Qcow2Snapshot, snapshot).name;
}

static void add_shared(Qcow2Check *c, Qcow2Location location, uint64_t cluster, uint64_t references)
{
    location.cluster_offset = cluster << c->image->header.cluster_bits;
    location.cluster_size = c->image->header.cluster_size;
    location.has_refcount = location.has_reference = true;
    location.refcount = location.reference = references;
    add_note(c, QCOW2_FINDING_METADATA_SHARED, location);
}

/* Looking at all clusters of all metadata but L2 tables. */
typedef struct MetadataLook {
    Qcow2Check *check;
    uint64_t left; /* clusters: snapshots may claim the same L1 table thousands of times */
} MetadataLook;

static bool look_at_metadata(void *opaque, const Qcow2User *u)
{
    MetadataLook *look = opaque;
    Qcow2Check *c = look->check;
    Qcow2Location location = qcow2_location(u->structure, u->entry_offset, 0, 0);
    uint64_t first, n;

    location.has_entry = u->structure != IMAGE_CHECK_STRUCTURE_HEADER;
    location.snapshot = snapshot_name(c, u->snapshot);
    /* a refcount block that is shared is a fault */
    if (u->structure == IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK ||
        !qcow2_region_clusters(&c->counting, u->offset, u->size, &first, &n)) {
        return true;
    }
    for (uint64_t i = first; i < first + n && look->left; i++, look->left--) {
        uint64_t references = unseen_references(c, i, u->weight);

        if (references) {
            add_shared(c, location, i, references);
        }
    }
    return look->left;
}

static void find_shared_metadata(Qcow2Check *c)
{
    MetadataLook look = {.check = c, .left = MAX_LOOKS};

    qcow2_visit_metadata(c, look_at_metadata, &look);
}

static void find_shared_tables(Qcow2Check *c)
{
    const Qcow2HeaderFields *h = &c->image->header;
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(c->walk, &n);

    for (size_t i = 0; i < n; i++) {
        uint64_t references = unseen_references(c, tables[i].offset >> h->cluster_bits, tables[i].weight);
        uint64_t index;
        const Qcow2Tree *tree;
        Qcow2Location location;

        if (!references || !(tree = qcow2_regions_find_tree(&c->regions, tables[i].slot, &index))) {
            continue;
        }
        location =
            qcow2_location_l1_entry(h, snapshot_name(c, tree->snapshot), tables[i].slot, index, tables[i].offset);
        location.structure = IMAGE_CHECK_STRUCTURE_L2;
        add_shared(c, location, tables[i].offset >> h->cluster_bits, references);
    }
}

/* ---- data where nothing is said to be ---- */

/* The piece of computed counts that was found last: finding one takes a look at all levels of the map. */
typedef struct ComputedPiece {
    const Counters *counters; /* NULL: nothing is computed from @from on */
    uint64_t index;
    uint64_t from; /* it is the first piece at or behind this one */
    bool known;
} ComputedPiece;

static void find_computed(const Qcow2Check *c, uint64_t index, ComputedPiece *p)
{
    if (!p->known || index < p->from || (p->counters && index > p->index)) {
        *p = (ComputedPiece){.index = index, .from = index, .known = true};
        p->counters = refmap_next_piece(c->counting.refs, &p->index);
    }
}

/*
 * The number of clusters from @at on, at least 1, of which the same is to be said: *unused where both counts are 0. It
 * is not where the stored count is above 0 or unknown, and then nobody has to look at what is computed.
 */
static uint64_t next_stretch(const Qcow2Check *c, uint64_t at, ComputedPiece *p, bool *unused)
{
    uint64_t index = at >> COUNTERS_PER_PIECE_BITS, end = (index + 1) << COUNTERS_PER_PIECE_BITS;
    uint64_t stored_mask = (UINT64_C(1) << qcow2_stored_counts_piece_bits(c->stored)) - 1;
    uint64_t i = at & (COUNTERS_PER_PIECE - 1), k = at & stored_mask;
    const Counters *stored = qcow2_stored_counts_piece(c->stored, at);
    uint64_t count;

    end = MIN(end, (at | stored_mask) + 1);
    *unused = false;
    if (!stored) {
        return end - at;
    }
    end = at + counters_same(stored, k, k + (end - at), &count);
    if (count != 0) {
        return end - at;
    }
    find_computed(c, index, p);
    *unused = true;
    if (p->counters && p->index == index) {
        end = at + counters_same(p->counters, i, i + (end - at), &count);
        *unused = count == 0;
    }
    return end - at;
}

/* Adds what clusters [first, end) have of data; returns false when enough has been asked. */
static bool find_data(Qcow2Check *c, uint64_t first, uint64_t end, unsigned *probes)
{
    const Qcow2HeaderFields *h = &c->image->header;
    BlockSource *source = c->image->source;

    while (first < end) {
        uint64_t data;

        if (++*probes > MAX_PROBES) {
            return false;
        }
        data = source->ops->next_data(source, first << h->cluster_bits);
        if (data >= end << h->cluster_bits || data >= source->length) {
            return true;
        }
        first = data >> h->cluster_bits;
        add_note(c, QCOW2_FINDING_UNMAPPED_DATA,
                 qcow2_location_range(IMAGE_CHECK_STRUCTURE_NONE, first << h->cluster_bits, h->cluster_size));
        first++;
    }
    return true;
}

static void find_unmapped_data(Qcow2Check *c)
{
    uint64_t clusters = DIV_ROUND_UP(c->image->source->length, c->image->header.cluster_size);
    ComputedPiece piece = {0};
    unsigned probes = 0;

    for (uint64_t at = 0, n; c->image->source->ops->next_data && at < clusters; at += n) {
        bool unused;

        n = MIN(next_stretch(c, at, &piece, &unused), clusters - at);
        if (unused && !find_data(c, at, at + n, &probes)) {
            return;
        }
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

static bool find_lost_data(Qcow2Check *c, GError **errp)
{
    g_auto(Qcow2LostData) lost = {0};

    if (!qcow2_find_lost_data(c, &lost, errp)) {
        return false;
    }
    for (guint i = 0; i < lost.items->len; i++) {
        add_evidence(c, &g_array_index(lost.items, Qcow2Evidence, i));
    }
    return true;
}

bool qcow2_add_diagnostics(Qcow2Diagnostics *diagnostics, Qcow2Check *c, GError **errp)
{
    find_empty_tables(diagnostics, c);
    find_shared_metadata(c);
    find_shared_tables(c);
    if (!find_lost_data(c, errp)) {
        return false;
    }
    qcow2_find_lost_blocks(c);
    find_unmapped_data(c);
    return true;
}
