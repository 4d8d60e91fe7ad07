/*
 * Reporting what is wrong in the trees of an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/tree-report.h"

#include <errno.h>

#include "block/qcow2/check/slot-list.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

struct Qcow2TreeReport {
    Qcow2Walk *walk;
    const Qcow2HeaderFields *header;
    const Qcow2Tables *l1_tables;
    const Qcow2StoredCounts *stored;
    Qcow2Counting *counting;
    Qcow2Slots slots; /* L1 entries that have something to report */
};

static bool slot_reportable(const Qcow2TreeReport *t, uint64_t value)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;
    const Qcow2TableFaults *f = qcow2_walk_faults(t->walk, table, false);

    return (value & QCOW2_L1_RESERVED) || table % t->header->cluster_size ||
           qcow2_region_reportable(t->counting, table, t->header->cluster_size) || (f && (f->faults->len || f->more));
}

static void collect_slots(Qcow2TreeReport *t)
{
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(t->l1_tables, &n_spans);

    for (size_t s = 0; s < n_spans; s++) {
        for (uint64_t i = 0; spans[s].slots && i < spans[s].n; i++) {
            uint64_t value = spans[s].slots[i];

            if (value && slot_reportable(t, value)) {
                qcow2_slots_add(&t->slots, spans[s].offset + i * 8, value);
            }
        }
    }
}

Qcow2TreeReport *qcow2_tree_report_new(Qcow2Walk *walk, const Qcow2Tables *l1_tables, const Qcow2StoredCounts *stored,
                                       Qcow2Counting *counting)
{
    Qcow2TreeReport *t = g_new(Qcow2TreeReport, 1);

    *t = (Qcow2TreeReport){
        .walk = walk,
        .header = counting->header,
        .l1_tables = l1_tables,
        .stored = stored,
        .counting = counting,
    };
    collect_slots(t);
    return t;
}

void qcow2_tree_report_free(Qcow2TreeReport *t)
{
    if (t) {
        qcow2_slots_clear(&t->slots);
        g_free(t);
    }
}

/* A L1 entry that is looked at: where it is, and in which tree. */
typedef struct TreeSlot {
    Qcow2Location location;
    uint64_t index; /* in its L1 table */
    uint64_t value;
} TreeSlot;

static TreeSlot tree_slot(const Qcow2TreeReport *t, const Qcow2Location *l1_table, uint64_t offset, uint64_t value)
{
    uint64_t index = (offset - l1_table->cluster_offset) / 8;

    return (TreeSlot){
        .location = qcow2_location_l1_entry(t->header, l1_table->snapshot, offset, index, value),
        .index = index,
        .value = value,
    };
}

/* The range of the file that @f is about, as far as it is in this file. */
static void set_fault_range(const Qcow2TreeReport *t, const Qcow2L2Fault *f, Qcow2Location *location)
{
    Qcow2Extent extent = {.offset = f->values[0], .length = (uint32_t)f->values[1]};

    switch (f->kind) {
    case QCOW2_FINDING_L2_RESERVED_BITS:
    case QCOW2_FINDING_L2_COPIED_WRONG:
        extent.offset &= QCOW2_OFFSET_MASK;
        extent.length = extent.offset ? (uint32_t)t->header->cluster_size : 0;
        break;
    case QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS:
        extent = qcow2_l2_compressed_extent(t->header, f->values[1], f->index);
        break;
    default:
        break;
    }
    if (!qcow2_has_data_file(t->header)) {
        location->cluster_offset = extent.offset;
        location->cluster_size = extent.length;
    }
}

static Qcow2Location fault_location(const Qcow2TreeReport *t, const TreeSlot *slot, const Qcow2L2Fault *f)
{
    Qcow2Location location;

    if (f->kind == QCOW2_FINDING_L2_UNREADABLE) {
        location = slot->location;
        location.structure = IMAGE_CHECK_STRUCTURE_L2;
        return location;
    }
    location = qcow2_location_l2_entry(t->header, &slot->location, slot->index, f->index);
    set_fault_range(t, f, &location);
    if (f->kind == QCOW2_FINDING_L2_COPIED_WRONG) {
        location.has_refcount = true;
        location.refcount = f->values[1];
    }
    return location;
}

static void report_fault(Qcow2TreeReport *t, const TreeSlot *slot, const Qcow2L2Fault *f, Qcow2Report *report)
{
    Qcow2Location location = fault_location(t, slot, f);

    switch (f->kind) {
    case QCOW2_FINDING_REFCOUNT_OVERFLOW:
        qcow2_report_region(t->counting, &location, report);
        return;
    case QCOW2_FINDING_L2_UNREADABLE:
        qcow2_report_failure(report, (int)f->values[0]);
        break;
    default:
        break;
    }
    qcow2_report(report, &(Qcow2Finding){f->kind, {f->values[0], f->values[1]}, .location = location});
}

/* Overflows are counted together in the end: qcow2_report_overflows(). */
static void count_unreported(ImageCheckFindingKind kind, uint64_t n, Qcow2Report *report)
{
    if (kind != QCOW2_FINDING_REFCOUNT_OVERFLOW) {
        qcow2_count_unreported(report, kind, n);
    }
}

static void count_more_faults(const Qcow2TableFaults *f, uint64_t weight, Qcow2Report *report)
{
    for (guint i = 0; f && f->more && i < f->more->len; i++) {
        const Qcow2MoreFaults *more = &g_array_index(f->more, Qcow2MoreFaults, i);

        count_unreported(more->kind, more->n * weight, report);
    }
}

static void report_slot(Qcow2TreeReport *t, const TreeSlot *slot, Qcow2Report *report)
{
    uint64_t table = slot->location.cluster_offset;
    const Qcow2TableFaults *f = qcow2_walk_faults(t->walk, table, !qcow2_report_full(report));

    report->examined++;
    if (slot->value & QCOW2_L1_RESERVED) {
        qcow2_report(report,
                     &(Qcow2Finding){QCOW2_FINDING_L1_RESERVED_BITS, {slot->value}, .location = slot->location});
    }
    qcow2_report_region(t->counting, &slot->location, report);
    if (table % t->header->cluster_size) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_L2_TABLE_UNALIGNED, {table}, .location = slot->location});
    }
    for (size_t i = 0; f && i < f->faults->len; i++) {
        report_fault(t, slot, &g_array_index(f->faults, Qcow2L2Fault, i), report);
    }
    count_more_faults(f, 1, report);
    if (report->repairing) {
        /* repaired, they are gone where the table is referred to again */
        qcow2_walk_forget_faults(t->walk, table, report->repairing);
    }
}

/* Reports that entries [@first, @first + @n) of the L1 table that @referrer refers to cannot be read. */
static void report_unread_l1(const Qcow2TreeReport *t, const Qcow2Location *referrer, uint64_t first, uint64_t n,
                             int error, Qcow2Report *report)
{
    unsigned reach = t->header->l2_bits + t->header->cluster_bits; /* log2 of the guest bytes behind an entry */
    uint64_t guest = first << reach, size = n << reach;
    Qcow2Location location = *referrer;

    location.structure = IMAGE_CHECK_STRUCTURE_L1;
    location.cluster_offset += first * 8;
    location.cluster_size = n * 8;
    /* what a snapshot has behind the end of the disk is no guest data, or that of a larger disk */
    qcow2_location_set_guest(&location, t->header, guest,
                             guest < t->header->size ? MIN(size, t->header->size - guest) : size);
    qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_L1_UNREADABLE, .location = location});
    qcow2_report_failure(report, -error);
}

/* Reports what of the L1 table that @referrer refers to cannot be read. False where there is nothing else. */
static bool report_unread_parts(const Qcow2TreeReport *t, const Qcow2Location *referrer, uint64_t *end,
                                Qcow2Report *report)
{
    uint64_t entries = referrer->cluster_size / 8;
    uint64_t first = 0, n;
    int error;

    if (!add_u64(referrer->cluster_offset, referrer->cluster_size, end) || *end > BLOCK_SOURCE_MAX_LENGTH) {
        report_unread_l1(t, referrer, 0, entries, -EIO, report);
        return false;
    }
    while ((n = qcow2_tables_unread_part(t->l1_tables, referrer->cluster_offset, entries, &first, &error))) {
        report_unread_l1(t, referrer, first, n, error, report);
        first += n;
    }
    return true;
}

void qcow2_tree_report(Qcow2TreeReport *t, const Qcow2Location *referrer, Qcow2Report *report)
{
    size_t i, last;
    uint64_t end;

    if (!referrer->cluster_size) {
        return;
    }
    qcow2_report_region(t->counting, referrer, report);
    if (!report_unread_parts(t, referrer, &end, report)) {
        return;
    }
    last = qcow2_slots_find(&t->slots, end);
    for (i = qcow2_slots_find(&t->slots, referrer->cluster_offset); i < last && !qcow2_report_full(report); i++) {
        const Qcow2Slot *reportable = qcow2_slot(&t->slots, i);
        TreeSlot slot = tree_slot(t, referrer, reportable->offset, reportable->value);

        report_slot(t, &slot, report);
    }
    qcow2_slots_leave_out(&t->slots, i, last);
}

/* Counts @weight references to the table at @offset without a message, but for overflows. */
static void count_unreported_table(Qcow2TreeReport *t, uint64_t table, uint64_t weight, Qcow2Report *report)
{
    const Qcow2TableFaults *f = qcow2_walk_faults(t->walk, table, false);

    for (size_t i = 0; f && i < f->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(f->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_L2_UNREADABLE) {
            qcow2_report_failure(report, (int)fault->values[0]);
        }
        count_unreported(fault->kind, weight, report);
    }
    count_more_faults(f, weight, report);
}

static void count_unreported_slot(Qcow2TreeReport *t, uint64_t value, uint64_t weight, Qcow2Report *report)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;

    if (value & QCOW2_L1_RESERVED) {
        qcow2_count_unreported(report, QCOW2_FINDING_L1_RESERVED_BITS, weight);
    }
    if (qcow2_region_beyond_end(t->counting, table, t->header->cluster_size)) {
        qcow2_count_unreported(report, QCOW2_FINDING_REGION_BEYOND_END, weight);
    }
    if (table % t->header->cluster_size) {
        qcow2_count_unreported(report, QCOW2_FINDING_L2_TABLE_UNALIGNED, weight);
    }
}

/* What is counted of the slots that were left out. */
typedef struct Unreported {
    Qcow2TreeReport *trees;
    Qcow2Report *report;
    GArray *tables; /* Qcow2TableRef: those that the slots refer to */
} Unreported;

static void count_slot(void *opaque, uint64_t value, uint64_t weight)
{
    Unreported *u = opaque;
    Qcow2TableRef ref = {.offset = value & QCOW2_OFFSET_MASK, .weight = weight};

    count_unreported_slot(u->trees, value, weight, u->report);
    g_array_append_val(u->tables, ref);
}

/* Each slot is examined once, and each table that they refer to, however many trees have them. */
void qcow2_tree_report_count_unreported(Qcow2TreeReport *t, Qcow2Report *report)
{
    g_autoptr(GArray) refs = g_array_new(FALSE, FALSE, sizeof(Qcow2TableRef));
    Unreported u = {.trees = t, .report = report, .tables = refs};

    qcow2_slots_count_unreported(&t->slots, count_slot, &u);
    qcow2_table_refs_sort(refs);
    for (size_t i = 0; i < refs->len; i++) {
        count_unreported_table(t, qcow2_table_ref(refs, i)->offset, qcow2_table_ref(refs, i)->weight, report);
    }
}

static void report_l1_copied(const TreeSlot *slot, uint64_t count, Qcow2Report *report)
{
    Qcow2Finding finding = {
        QCOW2_FINDING_L1_COPIED_WRONG, {slot->index, slot->value, count}, .location = slot->location};

    finding.location.has_refcount = true;
    finding.location.refcount = count;
    qcow2_report(report, &finding);
}

/* Returns how many of the entries were reported before the report was full. */
static uint32_t report_copied_fault(Qcow2TreeReport *t, const TreeSlot *slot, const Qcow2CopiedFault *f,
                                    Qcow2Report *report)
{
    uint32_t i;

    for (i = 0; i < f->n && !qcow2_report_full(report); i++) {
        uint64_t entry = f->entry + ((uint64_t)i << t->header->cluster_bits);

        report_fault(t, slot, &(Qcow2L2Fault){f->index + i, QCOW2_FINDING_L2_COPIED_WRONG, {entry, f->count}}, report);
    }
    return i;
}

static void report_copied_faults(Qcow2TreeReport *t, const TreeSlot *slot, const Qcow2TableFaults *f,
                                 Qcow2Report *report)
{
    uint64_t unreported = f->more_copied;

    for (guint i = 0; i < f->copied->len; i++) {
        const Qcow2CopiedFault *fault = &g_array_index(f->copied, Qcow2CopiedFault, i);

        unreported += fault->n - report_copied_fault(t, slot, fault, report);
    }
    qcow2_count_unreported(report, QCOW2_FINDING_L2_COPIED_WRONG, unreported);
}

static void report_copied_slot(Qcow2TreeReport *t, const TreeSlot *slot, const Qcow2FlagRepair *repair,
                               Qcow2Report *report)
{
    uint64_t table = slot->location.cluster_offset, repairing = report->repairing;
    const Qcow2TableFaults *f;
    uint64_t count;
    bool repaired;

    if (!table || !qcow2_stored_count(t->stored, table >> t->header->cluster_bits, &count)) {
        return;
    }
    if ((count == 1) != !!(slot->value & QCOW2_OFLAG_COPIED)) {
        repaired = repair && repair->l1_entry(repair->opaque, slot->location.entry_offset, slot->value);
        report->repairing = repaired ? QCOW2_FINDING_BIT(QCOW2_FINDING_L1_COPIED_WRONG) : 0;
        report_l1_copied(slot, count, report);
    }
    f = qcow2_walk_faults(t->walk, table, !qcow2_report_full(report));
    if (f && (f->copied->len || f->more_copied)) {
        repaired = repair && repair->l2_table(repair->opaque, table);
        report->repairing = repaired ? QCOW2_FINDING_BIT(QCOW2_FINDING_L2_COPIED_WRONG) : 0;
        report_copied_faults(t, slot, f, report);
        /* repaired, they are gone where the table is referred to again */
        qcow2_walk_forget_faults(t->walk, table, report->repairing);
    }
    report->repairing = repairing;
}

void qcow2_tree_report_copied(Qcow2TreeReport *t, uint64_t offset, uint64_t entries, const Qcow2FlagRepair *repair,
                              Qcow2Report *report)
{
    Qcow2Location l1_table = qcow2_location_range(IMAGE_CHECK_STRUCTURE_L1, offset, entries * 8);
    uint64_t first = 0, n;
    const uint64_t *slots;

    while ((n = qcow2_tables_part(t->l1_tables, offset, entries, &first, &slots))) {
        for (uint64_t i = 0; i < n; i++) {
            TreeSlot slot = tree_slot(t, &l1_table, offset + (first + i) * 8, slots[i]);

            report_copied_slot(t, &slot, repair, report);
        }
        first += n;
    }
}
