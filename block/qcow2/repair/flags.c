/*
 * COPIED flags: set exactly where the reference count is 1.
 *
 * Edits know no more than the table that they are about: which flags are wrong is found out again when they are made,
 * as there may be many.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include <assert.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

#define L1_PART 4096u /* bytes of an L1 table that one edit is about */

/*
 * Returns true if all that @cluster is used as are L1 and L2 tables, and no guest reads it. A word that is an entry of
 * both then has the same COPIED flag in both, as it refers to the same cluster; but with a data file, to clusters of
 * two files. Where there are more references than could be counted, one of them may be that of guest data.
 */
static bool is_writable(const TargetCounts *t, uint64_t cluster)
{
    uint64_t l2 = layout_l2_tables_in(t->layout, cluster), l1;

    return layout_only_tables_in(t->layout, cluster, l2, &l1) && !(l1 && l2 && qcow2_has_data_file(t->in->header)) &&
           !layout_in_unaligned_table(t->layout, cluster) &&
           !qcow2_count_incomplete(&t->in->check->counting, cluster) && !layout_read_by_guest(t->layout, cluster);
}

static bool l1_entry_writable(const TargetCounts *t, uint64_t offset, uint64_t value)
{
    uint64_t cluster = offset >> t->in->header->cluster_bits;
    /* as an L2 entry it would have no such flag: a compressed cluster's, or the second word of one */
    bool no_flag = (value & QCOW2_OFLAG_COMPRESSED) || offset % qcow2_l2_entry_size(t->in->header);

    return is_writable(t, cluster) && !(no_flag && layout_l2_tables_in(t->layout, cluster));
}

/* ---- writing ---- */

/* Sets the flag of the word at @word right, which refers to @offset, in a data file or not. */
static void set_flag(const TargetCounts *t, uint8_t *word, uint64_t offset, bool data_file)
{
    uint64_t count = 1;

    if (data_file || qcow2_stored_count(t->stored, offset >> t->in->header->cluster_bits, &count)) {
        store_be64(word, (load_be64(word) & ~QCOW2_OFLAG_COPIED) | (count == 1 ? QCOW2_OFLAG_COPIED : 0));
    }
}

static bool change_table(const Edit *edit, uint8_t *bytes)
{
    const TargetCounts *t = edit->opaque;
    size_t size = qcow2_l2_entry_size(t->in->header);
    bool data_file = qcow2_has_data_file(t->in->header);
    g_autoptr(Qcow2L2Result) contents = qcow2_l2_result_new(t->in->header);

    if (!contents) {
        return false;
    }
    qcow2_l2_decode(t->in->header, bytes, contents);
    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];

        for (uint64_t k = 0; k < run->n; k++) {
            set_flag(t, bytes + (run->index + k) * size, run->offset + (k << t->in->header->cluster_bits), data_file);
        }
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);

        if (!e->compressed) {
            set_flag(t, bytes + e->index * size, e->offset, data_file);
        }
    }
    return true;
}

static bool change_l1(const Edit *edit, uint8_t *bytes)
{
    const TargetCounts *t = edit->opaque;

    for (uint64_t i = 0; i < edit->size; i += 8) {
        uint64_t value = load_be64(bytes + i);

        if ((value & QCOW2_OFFSET_MASK) && l1_entry_writable(t, edit->offset + i, value)) {
            set_flag(t, bytes + i, value & QCOW2_OFFSET_MASK, false);
        }
    }
    return true;
}

/* ---- what is wrong ---- */

typedef struct FlagRepair {
    const TargetCounts *targets;
    Edits *edits;
    uint64_t l1_done; /* offset behind the last part of the L1 table that has an edit */
} FlagRepair;

static void add_edit(const FlagRepair *r, uint64_t offset, uint64_t end, bool l1)
{
    Edit edit = {
        .offset = offset,
        .size = end - offset,
        .structure = l1 ? IMAGE_CHECK_STRUCTURE_L1 : IMAGE_CHECK_STRUCTURE_L2,
        .why = l1 ? QCOW2_FINDING_L1_COPIED_WRONG : QCOW2_FINDING_L2_COPIED_WRONG,
        .what = "set COPIED flags right",
        .change = l1 ? change_l1 : change_table,
        .opaque = (void *)r->targets,
    };

    edits_add(r->edits, EDIT_PHASE_SWITCH, &edit);
}

static bool repair_l1_entry(void *opaque, uint64_t offset, uint64_t value)
{
    FlagRepair *r = opaque;
    const Qcow2HeaderFields *h = r->targets->in->header;
    uint64_t begin = h->l1_table_offset, end = begin + UINT64_C(8) * h->l1_size;

    assert(begin <= offset && offset < end);
    if (!l1_entry_writable(r->targets, offset, value)) {
        return false;
    }
    if (offset >= r->l1_done) {
        r->l1_done = MIN(end, (offset / L1_PART + 1) * L1_PART);
        add_edit(r, MAX(begin, offset / L1_PART * L1_PART), r->l1_done, true);
    }
    return true;
}

static bool repair_l2_table(void *opaque, uint64_t offset)
{
    const FlagRepair *r = opaque;
    const Qcow2HeaderFields *h = r->targets->in->header;
    bool writable = offset % h->cluster_size == 0 && is_writable(r->targets, offset >> h->cluster_bits);

    if (writable) {
        add_edit(r, offset, offset + h->cluster_size, false);
    }
    return writable;
}

/* Returns true if COPIED flags are repaired: always or, if only leaks are to be, where nothing else is wrong. */
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
    const Qcow2HeaderFields *h = in->header;
    FlagRepair r = {.targets = alloc->targets, .edits = edits};
    Qcow2FlagRepair repair = {.l1_entry = repair_l1_entry, .l2_table = repair_l2_table, .opaque = &r};
    Qcow2Report later = {
        .messages = in->messages, .max_messages = in->options->check->max_messages, .written = in->report->written};
    Qcow2Report *report = repair_first_time(in, "flags") ? in->report : &later;

    if (flags_wrong(in->check)) {
        qcow2_tree_report_copied(in->check->trees, h->l1_table_offset, h->l1_size,
                                 flags_wanted(in, alloc) ? &repair : NULL, report);
        qcow2_report_summary(report);
    }
    return true;
}
