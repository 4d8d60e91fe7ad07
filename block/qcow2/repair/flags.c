/*
 * COPIED flags: set exactly where the final reference count is 1.
 *
 * Only the tables with wrong flags are kept; which flags they are is found out again when they are reported and when
 * they are written, as there may be many.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include <errno.h>
#include <string.h>

#include "block/io/prefetch.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

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
    uint64_t count; /* final reference count */
} WrongFlag;

/* ---- one table ---- */

static void add_flag(const Qcow2Repair *r, const uint8_t *bytes, uint32_t index, uint64_t count, GArray *flags)
{
    WrongFlag flag = {
        .index = index,
        .entry = load_be64(bytes + (size_t)index * qcow2_l2_entry_size(r->header)),
        .count = count,
    };

    g_array_append_val(flags, flag);
}

static void find_in_run(const Qcow2Repair *r, const uint8_t *bytes, const Qcow2Run *run, GArray *flags)
{
    uint64_t first = run->offset >> r->header->cluster_bits;
    uint64_t i = 0, count = 0;

    while ((i += qcow2_repair_final_mismatch(r, first + i, run->n - i, run->copied)) < run->n) {
        qcow2_repair_final(r, first + i, &count);
        add_flag(r, bytes, run->index + i, count, flags);
        i++;
    }
}

static int compare_flags(const void *a, const void *b)
{
    const WrongFlag *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

/* The wrong flags of a table, in the order of its entries; those which other edits overwrite are left out. */
static void find_in_table(const Qcow2Repair *r, uint64_t table, const uint8_t *bytes, const Qcow2L2Result *contents,
                          GArray *flags)
{
    bool data_file = qcow2_has_data_file(r->header);
    guint kept = 0;

    g_array_set_size(flags, 0);
    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];

        for (uint32_t k = 0; data_file && !run->copied && k < run->n; k++) {
            add_flag(r, bytes, run->index + k, 1, flags);
        }
        if (!data_file) {
            find_in_run(r, bytes, run, flags);
        }
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);
        bool copied = bytes[(size_t)e->index * qcow2_l2_entry_size(r->header)] & 0x80;
        uint64_t count = 1;

        if (!e->compressed && (data_file || qcow2_repair_final(r, e->offset >> r->header->cluster_bits, &count)) &&
            (count == 1) != copied) {
            add_flag(r, bytes, e->index, count, flags);
        }
    }
    g_array_sort(flags, compare_flags);
    for (guint i = 0; i < flags->len; i++) {
        WrongFlag flag = g_array_index(flags, WrongFlag, i);

        if (!qcow2_repair_entry_edited(r, table, flag.index)) {
            g_array_index(flags, WrongFlag, kept++) = flag;
        }
    }
    g_array_set_size(flags, kept);
}

/* ---- whether they can be written ---- */

/*
 * True where all that @cluster is used as are L1 and L2 tables, and no guest reads it. A word that is an entry of both
 * then has the same COPIED flag in both, as it refers to the same cluster; but with a data file, to clusters of two
 * files. Where there are more references than could be counted, one of them may be that of guest data.
 */
static bool flags_writable(const Qcow2Repair *r, uint64_t cluster)
{
    uint64_t l2 = qcow2_repair_l2_tables_in(r, cluster);
    uint64_t users = refmap_get(r->metadata.refs, cluster);
    uint64_t l1 = l2 == users ? 0 : qcow2_repair_l1_tables_in(r, cluster);

    return users == l1 + l2 && !(l1 && l2 && qcow2_has_data_file(r->header)) &&
           !qcow2_repair_in_odd_table(r, cluster) && !qcow2_count_incomplete(&r->check.counting, cluster) &&
           !qcow2_repair_read_by_guest(r, cluster);
}

/* ---- finding ---- */

typedef struct FlagSearch {
    const Qcow2Repair *r;
    GArray *tables; /* FlaggedTable */
    GArray *flags;  /* WrongFlag, of one table */
} FlagSearch;

static bool visit_flags(void *state, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    FlagSearch *s = state;
    FlaggedTable flagged = {.offset = table->offset};

    if (!table->active) {
        return true;
    }
    find_in_table(s->r, table->offset, bytes, contents, s->flags);
    for (guint i = 0; i < s->flags->len; i++) {
        if (g_array_index(s->flags, WrongFlag, i).entry & QCOW2_OFLAG_COPIED) {
            flagged.wrongly_set++;
        } else {
            flagged.wrongly_clear++;
        }
    }
    if (s->flags->len) {
        flagged.writable = table->offset % s->r->header->cluster_size == 0 &&
                           flags_writable(s->r, table->offset >> s->r->header->cluster_bits);
        g_array_append_val(s->tables, flagged);
    }
    return true;
}

static int compare_tables(const void *a, const void *b)
{
    const FlaggedTable *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

bool qcow2_repair_find_flags(Qcow2Repair *r, GError **errp)
{
    FlagSearch searches[BLOCK_MAX_WORKERS];
    void *states[BLOCK_MAX_WORKERS];
    Qcow2TableVisitor visitor = {.visit = visit_flags, .states = states};
    bool ok;

    r->flagged = g_array_new(FALSE, FALSE, sizeof(FlaggedTable));
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        searches[i] = (FlagSearch){
            .r = r,
            .tables = g_array_new(FALSE, FALSE, sizeof(FlaggedTable)),
            .flags = g_array_new(FALSE, FALSE, sizeof(WrongFlag)),
        };
        states[i] = &searches[i];
    }
    ok = qcow2_walk_visit(r->check.walk, &visitor, errp);
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        g_array_append_vals(r->flagged, searches[i].tables->data, searches[i].tables->len);
        g_array_free(searches[i].tables, TRUE);
        g_array_free(searches[i].flags, TRUE);
    }
    g_array_sort(r->flagged, compare_tables);
    return ok;
}

/* ---- writing ---- */

/* Sets the flags of a table right; those that are to be cleared only, or all. */
static bool change_table(const Edit *edit, uint8_t *bytes, bool clear_only, GError **errp)
{
    const Qcow2Repair *r = edit->opaque;
    g_autoptr(Qcow2L2Result) contents = qcow2_l2_result_new(r->header);
    g_autoptr(GArray) flags = g_array_new(FALSE, FALSE, sizeof(WrongFlag));

    if (!contents) {
        return qcow2_repair_no_memory(errp);
    }
    qcow2_l2_decode(r->header, bytes, contents);
    find_in_table(r, edit->offset, bytes, contents, flags);
    for (guint i = 0; i < flags->len; i++) {
        const WrongFlag *flag = &g_array_index(flags, WrongFlag, i);

        if ((flag->entry & QCOW2_OFLAG_COPIED) || !clear_only) {
            store_be64(bytes + (size_t)flag->index * qcow2_l2_entry_size(r->header), flag->entry ^ QCOW2_OFLAG_COPIED);
        }
    }
    return true;
}

static bool clear_table_flags(const Edit *edit, uint8_t *bytes, GError **errp)
{
    return change_table(edit, bytes, true, errp);
}

static bool settle_table_flags(const Edit *edit, uint8_t *bytes, GError **errp)
{
    return change_table(edit, bytes, false, errp);
}

/* True where the flag of L1 entry @value is wrong, and *count is the final count of the L2 table. */
static bool slot_wrong(const Qcow2Repair *r, uint64_t value, uint64_t *count)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;

    return table && qcow2_repair_final(r, table >> r->header->cluster_bits, count) &&
           (*count == 1) != !!(value & QCOW2_OFLAG_COPIED);
}

static bool slot_writable(const Qcow2Repair *r, uint64_t offset, uint64_t value)
{
    uint64_t cluster = offset >> r->header->cluster_bits;
    /* as an L2 entry it would have no such flag: a compressed cluster's, or the second word of one */
    bool no_flag = (value & QCOW2_OFLAG_COMPRESSED) || offset % qcow2_l2_entry_size(r->header);

    return flags_writable(r, cluster) && !(no_flag && qcow2_repair_l2_tables_in(r, cluster));
}

static void change_l1(const Edit *edit, uint8_t *bytes, bool clear_only)
{
    const Qcow2Repair *r = edit->opaque;

    for (uint64_t i = 0; i + 8 <= edit->size; i += 8) {
        uint64_t value = load_be64(bytes + i), count;

        if (slot_wrong(r, value, &count) && slot_writable(r, edit->offset + i, value) &&
            ((value & QCOW2_OFLAG_COPIED) || !clear_only)) {
            store_be64(bytes + i, value ^ QCOW2_OFLAG_COPIED);
        }
    }
}

static bool clear_l1_flags(const Edit *edit, uint8_t *bytes, GError **errp)
{
    change_l1(edit, bytes, true);
    return true;
}

static bool settle_l1_flags(const Edit *edit, uint8_t *bytes, GError **errp)
{
    change_l1(edit, bytes, false);
    return true;
}

/* The edits of a table, or of a part of the L1 table, with so many flags that are wrong. */
static void add_edits(Qcow2Repair *r, Edit edit, uint64_t wrongly_set, uint64_t wrongly_clear)
{
    bool l1 = edit.structure == IMAGE_CHECK_STRUCTURE_L1;

    edit.why = l1 ? QCOW2_FINDING_L1_COPIED_WRONG : QCOW2_FINDING_L2_COPIED_WRONG;
    edit.opaque = r;
    if (wrongly_set) {
        edit.what = "clear COPIED flags";
        edit.count = wrongly_set;
        edit.change = l1 ? clear_l1_flags : clear_table_flags;
        edits_add(r->edits, EDIT_PHASE_ENTRIES, &edit);
    }
    if (wrongly_clear) {
        edit.what = "set COPIED flags";
        edit.count = wrongly_clear;
        edit.change = l1 ? settle_l1_flags : settle_table_flags;
        edits_add(r->edits, EDIT_PHASE_COPIED, &edit);
    }
}

/* ---- reporting, with the edits on the way ---- */

typedef struct FlagReport {
    Qcow2Repair *r;
    bool repair;
    Qcow2Report *report;
    Qcow2L2Result *contents;
    uint8_t *bytes;
    GArray *flags;
} FlagReport;

/* Reports a flag, which is being repaired if it can be. */
static void report_flag(FlagReport *f, const Qcow2Finding *finding, bool writable)
{
    f->report->repairing = f->repair && writable ? QCOW2_FINDING_BIT(finding->kind) : 0;
    qcow2_report(f->report, finding);
    f->report->repairing = 0;
}

/* Where a wrong flag of the table is that entry @l1_index refers to. */
static Qcow2Location flag_location(const Qcow2Repair *r, const Qcow2Location *l1_entry, uint64_t l1_index,
                                   const WrongFlag *flag)
{
    Qcow2Location location = qcow2_location_l2_entry(r->header, l1_entry, l1_index, flag->index);

    location.cluster_offset = flag->entry & QCOW2_OFFSET_MASK;
    location.cluster_size = qcow2_has_data_file(r->header) ? 0 : r->header->cluster_size;
    location.has_refcount = true;
    location.refcount = flag->count;
    return location;
}

static bool report_table(FlagReport *f, FlaggedTable *table, const Qcow2Location *l1_entry, uint64_t l1_index,
                         GError **errp)
{
    Qcow2Repair *r = f->r;
    int failure = block_source_read(r->image->source, f->bytes, r->header->cluster_size, table->offset);

    if (failure) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not read the L2 table at 0x%" PRIx64 ": %s", table->offset,
                    g_strerror(-failure));
        return false;
    }
    qcow2_l2_decode(r->header, f->bytes, f->contents);
    find_in_table(r, table->offset, f->bytes, f->contents, f->flags);
    for (guint i = 0; i < f->flags->len; i++) {
        const WrongFlag *flag = &g_array_index(f->flags, WrongFlag, i);

        report_flag(f,
                    &(Qcow2Finding){QCOW2_FINDING_L2_COPIED_WRONG,
                                    {flag->entry, flag->count},
                                    .location = flag_location(r, l1_entry, l1_index, flag)},
                    table->writable);
    }
    if (f->repair && table->writable && !table->reported) {
        add_edits(
            r, (Edit){.offset = table->offset, .size = r->header->cluster_size, .structure = IMAGE_CHECK_STRUCTURE_L2},
            table->wrongly_set, table->wrongly_clear);
    }
    table->reported = true;
    return true;
}

static FlaggedTable *find_flagged(const Qcow2Repair *r, uint64_t offset)
{
    FlaggedTable wanted = {.offset = offset};

    return r->flagged->len ? bsearch(&wanted, r->flagged->data, r->flagged->len, sizeof(wanted), compare_tables) : NULL;
}

static bool report_slots(FlagReport *f, uint64_t first, const uint64_t *slots, uint64_t n, GError **errp)
{
    Qcow2Repair *r = f->r;
    Edit edit = {
        .offset = r->header->l1_table_offset + first * 8,
        .size = n * 8,
        .structure = IMAGE_CHECK_STRUCTURE_L1,
    };
    uint64_t wrong[2] = {0, 0}; /* flags that are clear, and set */

    for (uint64_t i = 0; i < n; i++) {
        uint64_t table = slots[i] & QCOW2_OFFSET_MASK, count;
        Qcow2Location location = qcow2_location_l1_entry(r->header, NULL, edit.offset + i * 8, first + i, slots[i]);
        FlaggedTable *flagged;

        if (!table || qcow2_repair_table_moved(r, table) ||
            !qcow2_repair_final(r, table >> r->header->cluster_bits, &count)) {
            continue;
        }
        if (slot_wrong(r, slots[i], &count) &&
            !qcow2_repair_postponed(r, (edit.offset + i * 8) >> r->header->cluster_bits)) {
            bool writable = slot_writable(r, edit.offset + i * 8, slots[i]);

            location.has_refcount = true;
            location.refcount = count;
            report_flag(
                f, &(Qcow2Finding){QCOW2_FINDING_L1_COPIED_WRONG, {first + i, slots[i], count}, .location = location},
                writable);
            wrong[slots[i] >> 63] += writable;
        }
        flagged = find_flagged(r, table);
        /* once repaired, the flags are right where the table is referred to again */
        if (flagged && !qcow2_repair_postponed(r, table >> r->header->cluster_bits) &&
            !(flagged->reported && f->repair && flagged->writable) &&
            !report_table(f, flagged, &location, first + i, errp)) {
            return false;
        }
    }
    if (f->repair) {
        add_edits(r, edit, wrong[1], wrong[0]);
    }
    return true;
}

bool qcow2_repair_report_flags(Qcow2Repair *r, bool repair, Qcow2Report *report, GError **errp)
{
    g_autoptr(Qcow2L2Result) contents = qcow2_l2_result_new(r->header);
    g_autofree uint8_t *bytes = g_try_malloc(r->header->cluster_size);
    g_autoptr(GArray) flags = g_array_new(FALSE, FALSE, sizeof(WrongFlag));
    FlagReport f = {.r = r, .repair = repair, .report = report, .contents = contents, .bytes = bytes, .flags = flags};
    uint64_t first = 0, n;
    const uint64_t *slots;

    if (!contents || !bytes) {
        return qcow2_repair_no_memory(errp);
    }
    while ((n = qcow2_tables_part(r->check.regions.l1_tables, r->header->l1_table_offset, r->header->l1_size, &first,
                                  &slots))) {
        if (!report_slots(&f, first, slots, n, errp)) {
            return false;
        }
        first += n;
    }
    return true;
}
