/*
 * COPIED flags: set exactly where the reference count is 1.
 *
 * Only the tables with wrong flags are kept; which flags they are is found out again when they are reported and when
 * they are written, as there may be many.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/flags.h"

#include <errno.h>
#include <stdlib.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/repair/tables.h"
#include "util/number.h"
#include "util/search.h"

#define MAX_SLOTS 4096 /* L1 entries that one edit is about */

/* An L2 table with wrong flags. */
typedef struct FlaggedTable {
    uint64_t offset;
    uint64_t wrongly_set;
    uint64_t wrongly_clear;
    bool writable;
    bool reported;
} FlaggedTable;

/* A wrong flag. */
typedef struct WrongFlag {
    uint32_t index;
    uint64_t entry;
    uint64_t count; /* reference count */
} WrongFlag;

/* ---- one table ---- */

static void add_flag(const CountedImage *f, const uint8_t *bytes, uint32_t index, uint64_t count, GArray *flags)
{
    WrongFlag flag = {
        .index = index,
        .entry = load_be64(bytes + (size_t)index * qcow2_l2_entry_size(f->in->header)),
        .count = count,
    };

    g_array_append_val(flags, flag);
}

static void find_in_run(const CountedImage *f, const uint8_t *bytes, const Qcow2Run *run, GArray *flags)
{
    uint64_t first = run->offset >> f->in->header->cluster_bits;
    uint64_t i = 0, count = 0;

    while ((i += qcow2_stored_counts_copied_mismatch(f->targets->stored, first + i, run->n - i, run->copied)) <
           run->n) {
        qcow2_stored_count(f->targets->stored, first + i, &count);
        add_flag(f, bytes, run->index + (uint32_t)i, count, flags);
        i++;
    }
}

static int compare_flags(const void *a, const void *b)
{
    const WrongFlag *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

/* The wrong flags of a table, in the order of its entries. */
static void find_in_table(const CountedImage *f, const uint8_t *bytes, const Qcow2L2Result *contents, GArray *flags)
{
    bool data_file = qcow2_has_data_file(f->in->header);

    g_array_set_size(flags, 0);
    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];

        for (uint32_t k = 0; data_file && !run->copied && k < run->n; k++) {
            add_flag(f, bytes, run->index + k, 1, flags);
        }
        if (!data_file) {
            find_in_run(f, bytes, run, flags);
        }
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);
        bool copied = bytes[(size_t)e->index * qcow2_l2_entry_size(f->in->header)] & 0x80;
        uint64_t count = 1;

        if (!e->compressed &&
            (data_file || qcow2_stored_count(f->targets->stored, e->offset >> f->in->header->cluster_bits, &count)) &&
            (count == 1) != copied) {
            add_flag(f, bytes, e->index, count, flags);
        }
    }
    g_array_sort(flags, compare_flags);
}

/* ---- whether they can be written ---- */

/*
 * True where all that @cluster is used as are L1 and L2 tables, and no guest reads it. A word that is an entry of both
 * then has the same COPIED flag in both, as it refers to the same cluster; but with a data file, to clusters of two
 * files. Where there are more references than could be counted, one of them may be that of guest data.
 */
static bool flags_writable(const CountedImage *f, uint64_t cluster)
{
    uint64_t l2 = layout_l2_tables_in(f->layout, cluster);
    uint64_t users = refmap_get(f->layout->metadata.refs, cluster);
    uint64_t l1 = l2 == users ? 0 : layout_l1_tables_in(f->layout, cluster);

    return users == l1 + l2 && !(l1 && l2 && qcow2_has_data_file(f->in->header)) &&
           !layout_in_unaligned_table(f->layout, cluster) &&
           !qcow2_count_incomplete(&f->in->check->counting, cluster) && !layout_read_by_guest(f->layout, cluster);
}

/* ---- finding ---- */

static bool visit_table(void *state, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    TableSearch *s = state;
    const CountedImage *f = s->opaque;
    FlaggedTable flagged = {.offset = table->offset};
    g_autoptr(GArray) flags = NULL;

    if (!table->active) {
        return true;
    }
    flags = g_array_new(FALSE, FALSE, sizeof(WrongFlag));
    find_in_table(f, bytes, contents, flags);
    for (guint i = 0; i < flags->len; i++) {
        flagged.wrongly_set += (g_array_index(flags, WrongFlag, i).entry & QCOW2_OFLAG_COPIED) != 0;
    }
    flagged.wrongly_clear = flags->len - flagged.wrongly_set;
    if (flags->len) {
        flagged.writable = table->offset % f->in->header->cluster_size == 0 &&
                           flags_writable(f, table->offset >> f->in->header->cluster_bits);
        g_array_append_val(s->found, flagged);
    }
    return true;
}

/* ---- writing ---- */

/* Sets the flags of a table right; those that are to be cleared only, or all. */
static bool change_table(const Edit *edit, uint8_t *bytes, bool clear_only)
{
    const CountedImage *f = edit->opaque;
    g_autoptr(Qcow2L2Result) contents = qcow2_l2_result_new(f->in->header);
    g_autoptr(GArray) flags = g_array_new(FALSE, FALSE, sizeof(WrongFlag));

    if (!contents) {
        return false;
    }
    qcow2_l2_decode(f->in->header, bytes, contents);
    find_in_table(f, bytes, contents, flags);
    for (guint i = 0; i < flags->len; i++) {
        const WrongFlag *flag = &g_array_index(flags, WrongFlag, i);

        if ((flag->entry & QCOW2_OFLAG_COPIED) || !clear_only) {
            store_be64(bytes + (size_t)flag->index * qcow2_l2_entry_size(f->in->header),
                       flag->entry ^ QCOW2_OFLAG_COPIED);
        }
    }
    return true;
}

static bool clear_table_flags(const Edit *edit, uint8_t *bytes)
{
    return change_table(edit, bytes, true);
}

static bool settle_table_flags(const Edit *edit, uint8_t *bytes)
{
    return change_table(edit, bytes, false);
}

/* True where the flag of L1 entry @value is wrong, and *count is that of the L2 table. */
static bool slot_wrong(const CountedImage *f, uint64_t value, uint64_t *count)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;

    return table && qcow2_stored_count(f->targets->stored, table >> f->in->header->cluster_bits, count) &&
           (*count == 1) != !!(value & QCOW2_OFLAG_COPIED);
}

static bool slot_writable(const CountedImage *f, uint64_t offset, uint64_t value)
{
    uint64_t cluster = offset >> f->in->header->cluster_bits;
    /* as an L2 entry it would have no such flag: a compressed cluster's, or the second word of one */
    bool no_flag = (value & QCOW2_OFLAG_COMPRESSED) || offset % qcow2_l2_entry_size(f->in->header);

    return flags_writable(f, cluster) && !(no_flag && layout_l2_tables_in(f->layout, cluster));
}

static void change_l1(const Edit *edit, uint8_t *bytes, bool clear_only)
{
    const CountedImage *f = edit->opaque;

    for (uint64_t i = 0; i + 8 <= edit->size; i += 8) {
        uint64_t value = load_be64(bytes + i), count;

        if (slot_wrong(f, value, &count) && slot_writable(f, edit->offset + i, value) &&
            ((value & QCOW2_OFLAG_COPIED) || !clear_only)) {
            store_be64(bytes + i, value ^ QCOW2_OFLAG_COPIED);
        }
    }
}

static bool clear_l1_flags(const Edit *edit, uint8_t *bytes)
{
    change_l1(edit, bytes, true);
    return true;
}

static bool settle_l1_flags(const Edit *edit, uint8_t *bytes)
{
    change_l1(edit, bytes, false);
    return true;
}

/* ---- reporting, with the edits on the way ---- */

typedef struct FlagRepair {
    const CountedImage *image;
    bool repair; /* else they are only reported */
    Edits *edits;
    GArray *tables; /* FlaggedTable, sorted by offset */
    Qcow2L2Result *contents;
    uint8_t *bytes;
    GArray *wrong; /* WrongFlag, of one table */
} FlagRepair;

/* The edits of a table, or of a part of the L1 table, with so many flags that are wrong. */
static void add_edits(FlagRepair *r, Edit edit, uint64_t wrongly_set, uint64_t wrongly_clear)
{
    bool l1 = edit.structure == IMAGE_CHECK_STRUCTURE_L1;

    edit.why = l1 ? QCOW2_FINDING_L1_COPIED_WRONG : QCOW2_FINDING_L2_COPIED_WRONG;
    edit.opaque = (void *)r->image;
    if (wrongly_set) {
        edit.what = "clear COPIED flags";
        edit.count = wrongly_set;
        edit.change = l1 ? clear_l1_flags : clear_table_flags;
        edits_add(r->edits, EDIT_PHASE_SWITCH, &edit);
    }
    if (wrongly_clear) {
        edit.what = "set COPIED flags";
        edit.count = wrongly_clear;
        edit.change = l1 ? settle_l1_flags : settle_table_flags;
        edits_add(r->edits, EDIT_PHASE_LOWER, &edit);
    }
}

/* Reports a flag, which is being repaired if it can be. */
static void report_flag(const FlagRepair *r, const Qcow2Finding *finding, bool writable)
{
    Qcow2Report *report = r->image->in->flags;

    report->repairing = r->repair && writable ? QCOW2_FINDING_BIT(finding->kind) : 0;
    qcow2_report(report, finding);
    report->repairing = 0;
}

/* Where a wrong flag of the table is that entry @l1_index refers to. */
static Qcow2Location flag_location(const CountedImage *f, const Qcow2Location *l1_entry, uint64_t l1_index,
                                   const WrongFlag *flag)
{
    Qcow2Location location = qcow2_location_l2_entry(f->in->header, l1_entry, l1_index, flag->index);

    location.cluster_offset = flag->entry & QCOW2_OFFSET_MASK;
    location.cluster_size = qcow2_has_data_file(f->in->header) ? 0 : f->in->header->cluster_size;
    location.has_refcount = true;
    location.refcount = flag->count;
    return location;
}

static bool report_table(FlagRepair *r, FlaggedTable *table, const Qcow2Location *l1_entry, uint64_t l1_index,
                         GError **errp)
{
    const CountedImage *f = r->image;
    Edit edit = {.offset = table->offset, .size = f->in->header->cluster_size, .structure = IMAGE_CHECK_STRUCTURE_L2};
    int failure = block_source_read(f->in->image->source, r->bytes, f->in->header->cluster_size, table->offset);

    if (failure) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not read the L2 table at 0x%" PRIx64 ": %s", table->offset,
                    g_strerror(-failure));
        return false;
    }
    qcow2_l2_decode(f->in->header, r->bytes, r->contents);
    find_in_table(f, r->bytes, r->contents, r->wrong);
    for (guint i = 0; i < r->wrong->len; i++) {
        const WrongFlag *flag = &g_array_index(r->wrong, WrongFlag, i);

        report_flag(r,
                    &(Qcow2Finding){QCOW2_FINDING_L2_COPIED_WRONG,
                                    {flag->entry, flag->count},
                                    .location = flag_location(f, l1_entry, l1_index, flag)},
                    table->writable);
    }
    if (r->repair && table->writable && !table->reported) {
        add_edits(r, edit, table->wrongly_set, table->wrongly_clear);
    }
    table->reported = true;
    return true;
}

/* The table at @offset if it has wrong flags, else NULL. */
static FlaggedTable *find_flagged(const FlagRepair *r, uint64_t offset)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(r->tables, FlaggedTable, offset, offset);
    FlaggedTable *found = i < r->tables->len ? &g_array_index(r->tables, FlaggedTable, i) : NULL;

    return found && found->offset == offset ? found : NULL;
}

static bool report_slots(FlagRepair *r, uint64_t first, const uint64_t *slots, uint64_t n, GError **errp)
{
    const CountedImage *f = r->image;
    Edit edit = {
        .offset = f->in->header->l1_table_offset + first * 8,
        .size = n * 8,
        .structure = IMAGE_CHECK_STRUCTURE_L1,
    };
    uint64_t wrong[2] = {0, 0}; /* flags that are clear, and set */

    for (uint64_t i = 0; i < n; i++) {
        uint64_t table = slots[i] & QCOW2_OFFSET_MASK, count;
        Qcow2Location location = qcow2_location_l1_entry(f->in->header, NULL, edit.offset + i * 8, first + i, slots[i]);
        FlaggedTable *flagged;

        if (!table || !qcow2_stored_count(f->targets->stored, table >> f->in->header->cluster_bits, &count)) {
            continue;
        }
        if (slot_wrong(f, slots[i], &count)) {
            bool writable = slot_writable(f, edit.offset + i * 8, slots[i]);

            location.has_refcount = true;
            location.refcount = count;
            report_flag(
                r, &(Qcow2Finding){QCOW2_FINDING_L1_COPIED_WRONG, {first + i, slots[i], count}, .location = location},
                writable);
            wrong[slots[i] >> 63] += writable;
        }
        flagged = find_flagged(r, table);
        /* once repaired, the flags are right where the table is referred to again */
        if (flagged && !(flagged->reported && r->repair && flagged->writable) &&
            !report_table(r, flagged, &location, first + i, errp)) {
            return false;
        }
    }
    if (r->repair) {
        add_edits(r, edit, wrong[1], wrong[0]);
    }
    return true;
}

static bool report_all(FlagRepair *r, GError **errp)
{
    const Qcow2HeaderFields *h = r->image->in->header;
    uint64_t first = 0, n;
    const uint64_t *slots;

    while ((n = qcow2_tables_part(r->image->in->check->regions.l1_tables, h->l1_table_offset, h->l1_size, &first,
                                  &slots))) {
        n = MIN(n, MAX_SLOTS);
        if (!report_slots(r, first, slots, n, errp)) {
            return false;
        }
        first += n;
    }
    return true;
}

/* True where COPIED flags are repaired: always or, if only leaks are to be, where nothing else is wrong. */
static bool flags_wanted(const RepairInput *in, const Allocator *alloc)
{
    uint64_t corruptions = in->report->corruptions - in->report->count_by_kind[QCOW2_FINDING_SNAPSHOT_INCOMPLETE];

    return repair_wants(in, QCOW2_FINDING_L1_COPIED_WRONG) &&
           (in->options->all || (!corruptions && !in->report->check_errors && !alloc->targets->leaks_kept));
}

bool flags_wrong(const Qcow2Check *check)
{
    const Qcow2HeaderFields *h = &check->image->header;
    Qcow2Report report = {.max_messages = 1}; /* one is enough: the others are counted at once */

    qcow2_tree_report_copied(check->trees, h->l1_table_offset, h->l1_size, NULL, &report);
    return report.corruptions != 0;
}

bool repair_flags(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits, GError **errp)
{
    FlagRepair r = {.image = &alloc->image, .repair = flags_wanted(in, alloc), .edits = edits};
    g_autoptr(Qcow2L2Result) contents = NULL;
    g_autofree uint8_t *bytes = NULL;
    g_autoptr(GArray) wrong = NULL;
    g_autoptr(GArray) tables = NULL;

    if (!flags_wrong(in->check)) {
        return true;
    }
    r.contents = contents = qcow2_l2_result_new(in->header);
    r.bytes = bytes = g_try_malloc(in->header->cluster_size);
    r.wrong = wrong = g_array_new(FALSE, FALSE, sizeof(WrongFlag));
    if (!contents || !bytes) {
        return repair_no_memory(errp);
    }
    r.tables = tables = tables_search(in->check, visit_table, &alloc->image, sizeof(FlaggedTable), errp);
    if (!tables || !report_all(&r, errp)) {
        return false;
    }
    qcow2_report_summary(in->flags);
    return true;
}
