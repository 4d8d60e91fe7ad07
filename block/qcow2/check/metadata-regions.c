/*
 * The steps of a check.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/metadata-regions.h"

#include <errno.h>
#include <stddef.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

typedef enum RegionKind {
    STEP_REGION, /* bytes of the file that are metadata */
    STEP_TREE,   /* an L1 table and the tree below it */
    STEP_BITMAP, /* a bitmap table and the clusters that it names */
    STEP_FAULT,  /* nothing to count, something to report */
} RegionKind;

typedef struct Region {
    RegionKind kind;
    const Qcow2Bitmap *bitmap;
    Qcow2Finding fault; /* for all kinds it has the place: the word that refers to the region, and the region */
} Region;

/* ---- listing ---- */

/* The region of @size bytes at @offset, to which the header refers @field bytes into the file. */
static Qcow2Location from_header(uint64_t field, uint64_t offset, uint64_t size)
{
    return qcow2_location(IMAGE_CHECK_STRUCTURE_HEADER, field, offset, size);
}

static void add_region(Qcow2Regions *s, Qcow2Location location)
{
    Region step = {.kind = STEP_REGION, .fault.location = location};

    g_array_append_val(s->items, step);
}

static void add_fault(Qcow2Regions *s, Qcow2Finding fault)
{
    Region step = {.kind = STEP_FAULT, .fault = fault};

    g_array_append_val(s->items, step);
}

static bool can_be_read(uint64_t offset, uint64_t size)
{
    uint64_t end;

    return add_u64(offset, size, &end) && end <= BLOCK_SOURCE_MAX_LENGTH;
}

/* The tree of @snapshot, an index, whose L1 table @referrer refers to. */
static void add_tree(Qcow2Regions *s, Qcow2Location referrer, int snapshot)
{
    Region step = {.kind = STEP_TREE, .fault.location = referrer};
    Qcow2Tree tree = {.offset = referrer.cluster_offset, .entries = referrer.cluster_size / 8, .snapshot = snapshot};

    g_array_append_val(s->items, step);
    if (tree.entries && can_be_read(tree.offset, referrer.cluster_size)) {
        qcow2_tables_add(s->l1_tables, tree.offset, tree.entries, snapshot == QCOW2_TREE_ACTIVE);
        g_array_append_val(s->trees, tree);
    }
}

static void sort_trees(Qcow2Regions *s)
{
    uint64_t end = 0;
    guint widest = 0;

    ARRAY_SORT(s->trees, Qcow2Tree, offset);
    for (guint i = 0; i < s->trees->len; i++) {
        Qcow2Tree *tree = &g_array_index(s->trees, Qcow2Tree, i);

        if (tree->offset + tree->entries * 8 >= end) {
            end = tree->offset + tree->entries * 8;
            widest = i;
        }
        tree->widest = widest;
        if (tree->snapshot == QCOW2_TREE_ACTIVE) {
            s->active = tree;
        }
    }
}

static bool tree_has_slot(const Qcow2Tree *tree, uint64_t slot)
{
    return slot >= tree->offset && slot - tree->offset < tree->entries * 8;
}

const Qcow2Tree *qcow2_regions_find_tree(const Qcow2Regions *s, uint64_t slot, uint64_t *l1_index)
{
    size_t behind = ARRAY_FIRST_NOT_BELOW(s->trees, Qcow2Tree, offset, slot + 1);
    const Qcow2Tree *found = s->active;

    /* of those that begin before the slot, one has it if the one that ends last does */
    if (behind > 0 && (!found || !tree_has_slot(found, slot))) {
        found = &g_array_index(s->trees, Qcow2Tree, g_array_index(s->trees, Qcow2Tree, behind - 1).widest);
    }
    if (!found || !tree_has_slot(found, slot)) {
        return NULL;
    }
    *l1_index = (slot - found->offset) / 8;
    return found;
}

static void add_snapshot(Qcow2Regions *s, const Qcow2Snapshot *snapshot, int index)
{
    Qcow2Location at = qcow2_location(IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE,
                                      snapshot->entry_offset + offsetof(Qcow2DiskSnapshot, l1_table_offset),
                                      snapshot->l1_table_offset, UINT64_C(8) * snapshot->l1_size);

    at.snapshot = snapshot->name;
    if (qcow2_snapshot_l1_valid(snapshot, &s->image->header)) {
        add_tree(s, at, index);
    } else if (snapshot->l1_table_offset % s->image->header.cluster_size) {
        add_fault(s, (Qcow2Finding){QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED,
                                    {snapshot->l1_table_offset},
                                    {snapshot->id, snapshot->name},
                                    at});
    } else {
        at.entry_offset = snapshot->entry_offset + offsetof(Qcow2DiskSnapshot, l1_size);
        add_fault(s, (Qcow2Finding){
                         QCOW2_FINDING_SNAPSHOT_L1_TOO_LARGE, {snapshot->l1_size}, {snapshot->id, snapshot->name}, at});
    }
}

static void add_snapshots(Qcow2Regions *s, const Qcow2Snapshots *snapshots)
{
    const Qcow2HeaderFields *h = &s->image->header;

    if (qcow2_has_data_file(h) && snapshots->items->len) {
        add_fault(s, (Qcow2Finding){QCOW2_FINDING_SNAPSHOTS_WITH_DATA_FILE,
                                    {snapshots->items->len},
                                    .location = from_header(offsetof(Qcow2DiskHeader, nb_snapshots), 0, 0)});
    }
    for (size_t i = 0; i < snapshots->items->len; i++) {
        add_snapshot(s, &g_array_index(snapshots->items, Qcow2Snapshot, i), (int)i);
    }
    add_region(s,
               from_header(offsetof(Qcow2DiskHeader, snapshots_offset), h->snapshots_offset, snapshots->table_length));
}

static void add_bitmap(Qcow2Regions *s, const Qcow2Bitmap *b)
{
    Region step = {
        .kind = STEP_BITMAP,
        .fault.location = qcow2_location(IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY, b->entry_offset, b->table_offset,
                                         UINT64_C(8) * b->table_size),
        .bitmap = b,
    };

    if (b->fault) {
        add_fault(s, (Qcow2Finding){
                         QCOW2_FINDING_BITMAP_DAMAGED, {b->entry_offset}, {b->name, b->fault}, step.fault.location});
    }
    if (b->table_valid) {
        g_array_append_val(s->items, step);
        if (can_be_read(b->table_offset, step.fault.location.cluster_size)) {
            qcow2_tables_add(s->bitmap_tables, b->table_offset, b->table_size, false);
        }
    }
}

static void add_bitmaps(Qcow2Regions *s, const Qcow2BitmapDirectory *bitmaps)
{
    const Qcow2Extensions *e = &s->image->extensions;
    Qcow2Location directory =
        from_header(e->bitmap_directory_entry, e->bitmap_directory_offset, e->bitmap_directory_size);

    add_region(s, directory);
    for (size_t i = 0; i < bitmaps->items->len; i++) {
        add_bitmap(s, &g_array_index(bitmaps->items, Qcow2Bitmap, i));
    }
    if (bitmaps->fault) {
        add_fault(s, (Qcow2Finding){QCOW2_FINDING_BITMAP_DIRECTORY_DAMAGED,
                                    {e->bitmap_directory_offset},
                                    {bitmaps->fault},
                                    qcow2_location_range(IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY,
                                                         e->bitmap_directory_offset, e->bitmap_directory_size)});
    }
}

static void add_all(Qcow2Regions *s, const Qcow2Snapshots *snapshots, const Qcow2BitmapDirectory *bitmaps)
{
    const Qcow2HeaderFields *h = &s->image->header;
    const Qcow2Extensions *e = &s->image->extensions;

    add_region(s, qcow2_location_range(IMAGE_CHECK_STRUCTURE_HEADER, 0, h->cluster_size));
    add_tree(s, from_header(offsetof(Qcow2DiskHeader, l1_table_offset), h->l1_table_offset, UINT64_C(8) * h->l1_size),
             QCOW2_TREE_ACTIVE);
    add_snapshots(s, snapshots);
    add_region(s, from_header(offsetof(Qcow2DiskHeader, refcount_table_offset), h->refcount_table_offset,
                              (uint64_t)h->refcount_table_clusters << h->cluster_bits));
    if (e->has_crypt_header) {
        add_region(s, from_header(e->crypt_header_entry, e->crypt_header_offset, e->crypt_header_length));
    }
    if (e->has_bitmaps) {
        add_bitmaps(s, bitmaps);
    }
}

bool qcow2_regions_init(Qcow2Regions *s, const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                        const Qcow2BitmapDirectory *bitmaps, const BlockReadOptions *options, GError **errp)
{
    *s = (Qcow2Regions){
        .image = image,
        .items = g_array_new(FALSE, FALSE, sizeof(Region)),
        .l1_tables = qcow2_tables_new(),
        .bitmap_tables = qcow2_tables_new(),
        .trees = g_array_new(FALSE, FALSE, sizeof(Qcow2Tree)),
    };
    add_all(s, snapshots, bitmaps);
    sort_trees(s);
    return qcow2_tables_load(s->l1_tables, image->source, options, errp) &&
           qcow2_tables_load(s->bitmap_tables, image->source, options, errp);
}

void qcow2_regions_clear(Qcow2Regions *s)
{
    g_clear_pointer(&s->items, g_array_unref);
    g_clear_pointer(&s->l1_tables, qcow2_tables_free);
    g_clear_pointer(&s->bitmap_tables, qcow2_tables_free);
    qcow2_slots_clear(&s->bad_bitmap_slots);
    g_clear_pointer(&s->trees, g_array_unref);
}

/* ---- counting ---- */

static bool count_bitmap_slot(Qcow2Counting *c, const Qcow2TableSpan *span, uint64_t i)
{
    uint64_t offset = span->slots[i] & QCOW2_OFFSET_MASK;

    if (!offset || qcow2_bitmap_table_entry_fault(span->slots[i], c->header)) {
        return true;
    }
    return qcow2_count_reference(c, offset, c->header->cluster_size, span->weight);
}

static bool count_bitmap_clusters(Qcow2Regions *s, Qcow2Counting *c)
{
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(s->bitmap_tables, &n_spans);

    for (size_t k = 0; k < n_spans; k++) {
        for (uint64_t i = 0; spans[k].slots && i < spans[k].n; i++) {
            if (!count_bitmap_slot(c, &spans[k], i)) {
                return false;
            }
        }
    }
    return true;
}

bool qcow2_regions_count(Qcow2Regions *s, Qcow2Counting *c, GError **errp)
{
    bool ok = true;

    for (size_t i = 0; ok && i < s->items->len; i++) {
        const Region *step = &g_array_index(s->items, Region, i);

        ok = step->kind == STEP_FAULT ||
             qcow2_count_region(c, step->fault.location.cluster_offset, step->fault.location.cluster_size, 1);
    }
    if (!ok || !count_bitmap_clusters(s, c)) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for counting references");
        return false;
    }
    return true;
}

/* ---- reporting ---- */

static void collect_bad_bitmap_slots(Qcow2Regions *s, Qcow2Counting *c)
{
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(s->bitmap_tables, &n_spans);

    for (size_t k = 0; k < n_spans; k++) {
        for (uint64_t i = 0; spans[k].slots && i < spans[k].n; i++) {
            uint64_t value = spans[k].slots[i];
            uint64_t offset = value & QCOW2_OFFSET_MASK;

            if (qcow2_bitmap_table_entry_fault(value, c->header) ||
                (offset && qcow2_region_reportable(c, offset, c->header->cluster_size))) {
                qcow2_slots_add(&s->bad_bitmap_slots, spans[k].offset + i * 8, value);
            }
        }
    }
}

static void report_bitmap_slot(Qcow2Counting *c, const Region *step, const Qcow2Slot *slot, Qcow2Report *report)
{
    const char *fault = qcow2_bitmap_table_entry_fault(slot->value, c->header);
    uint64_t index = (slot->offset - step->fault.location.cluster_offset) / 8;
    Qcow2Location location = qcow2_location(IMAGE_CHECK_STRUCTURE_BITMAP_TABLE, slot->offset,
                                            slot->value & QCOW2_OFFSET_MASK, c->header->cluster_size);

    if (fault) {
        qcow2_report(
            report, &(Qcow2Finding){
                        QCOW2_FINDING_BITMAP_TABLE_ENTRY, {index, slot->value}, {step->bitmap->name, fault}, location});
    } else {
        qcow2_report_region(c, &location, report);
    }
}

/* Reports that @n bytes of the table of @step, from byte @first on, cannot be read. */
static void report_unread_bitmap_table(const Region *step, uint64_t first, uint64_t n, int error, Qcow2Report *report)
{
    Qcow2Location table = step->fault.location;

    table.structure = IMAGE_CHECK_STRUCTURE_BITMAP_TABLE;
    table.cluster_offset += first;
    table.cluster_size = n;
    qcow2_report(
        report,
        &(Qcow2Finding){QCOW2_FINDING_BITMAP_TABLE_UNREADABLE, {table.cluster_offset}, {step->bitmap->name}, table});
    qcow2_report_failure(report, -error);
}

static void report_bitmap(Qcow2Regions *s, Qcow2Counting *c, const Region *step, Qcow2Report *report)
{
    uint64_t offset = step->fault.location.cluster_offset, size = step->fault.location.cluster_size;
    uint64_t first = 0, n;
    int error;
    size_t i, last;

    qcow2_report_region(c, &step->fault.location, report);
    if (!can_be_read(offset, size)) {
        report_unread_bitmap_table(step, 0, size, -EIO, report);
        return;
    }
    while ((n = qcow2_tables_unread_part(s->bitmap_tables, offset, size / 8, &first, &error))) {
        report_unread_bitmap_table(step, first * 8, n * 8, error, report);
        first += n;
    }
    last = qcow2_slots_find(&s->bad_bitmap_slots, offset + size);
    for (i = qcow2_slots_find(&s->bad_bitmap_slots, offset); i < last && !qcow2_report_full(report); i++) {
        report_bitmap_slot(c, step, qcow2_slot(&s->bad_bitmap_slots, i), report);
    }
    qcow2_slots_leave_out(&s->bad_bitmap_slots, i, last);
}

typedef struct UnreportedBitmaps {
    const Qcow2Counting *counting;
    Qcow2Report *report;
} UnreportedBitmaps;

static void count_bitmap_slot_unreported(void *opaque, uint64_t value, uint64_t tables)
{
    UnreportedBitmaps *u = opaque;
    const Qcow2HeaderFields *h = u->counting->header;

    if (qcow2_bitmap_table_entry_fault(value, h)) {
        qcow2_count_unreported(u->report, QCOW2_FINDING_BITMAP_TABLE_ENTRY, tables);
    } else if (qcow2_region_beyond_end(u->counting, value & QCOW2_OFFSET_MASK, h->cluster_size)) {
        qcow2_count_unreported(u->report, QCOW2_FINDING_REGION_BEYOND_END, tables);
    }
}

void qcow2_regions_report(Qcow2Regions *s, Qcow2Counting *c, Qcow2TreeReport *trees, Qcow2Report *report)
{
    UnreportedBitmaps unreported = {.counting = c, .report = report};

    collect_bad_bitmap_slots(s, c);
    for (size_t i = 0; i < s->items->len; i++) {
        const Region *step = &g_array_index(s->items, Region, i);

        switch (step->kind) {
        case STEP_REGION:
            qcow2_report_region(c, &step->fault.location, report);
            break;
        case STEP_TREE:
            qcow2_tree_report(trees, &step->fault.location, report);
            break;
        case STEP_BITMAP:
            report_bitmap(s, c, step, report);
            break;
        case STEP_FAULT:
            qcow2_report(report, &step->fault);
            break;
        }
    }
    qcow2_tree_report_count_unreported(trees, report);
    qcow2_slots_count_unreported(&s->bad_bitmap_slots, count_bitmap_slot_unreported, &unreported);
    qcow2_report_overflows(c, report);
}
