/*
 * The reference counts that a repaired image is to have: what they are, and their edits in the blocks that there are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include <errno.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

#define MAX_TAIL (UINT64_C(16) << 20) /* bytes at the end of the file that an interrupted repair may have written */

static const Counters no_counts;

bool qcow2_repair_no_memory(GError **errp)
{
    g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for planning the repair");
    return false;
}

/* ---- stored and wanted counts side by side ---- */

/* Clusters from one on that are in one piece of either side. */
typedef struct View {
    uint64_t n;
    const Counters *stored; /* NULL: unknown */
    size_t stored_at;
    const Counters *wanted;
    size_t wanted_at;
} View;

/* What there is at @cluster, up to @end; both sides are @no_counts where there is nothing for many clusters. */
static View view_at(const Qcow2Repair *r, uint64_t cluster, uint64_t end)
{
    uint64_t index = cluster >> COUNTERS_PER_PIECE_BITS;
    uint64_t stored_mask = (UINT64_C(1) << qcow2_stored_counts_piece_bits(r->check.stored)) - 1;
    const Counters *wanted = refmap_next_piece(r->wanted, &index);
    uint64_t wanted_from = wanted ? index << COUNTERS_PER_PIECE_BITS : UINT64_MAX;
    uint64_t stored_from = qcow2_stored_counts_next(r->check.stored, cluster);
    View v = {.stored = &no_counts, .wanted = &no_counts};

    if (MAX(wanted_from, cluster) > cluster && stored_from > cluster) {
        v.n = MIN(end, MIN(wanted_from, stored_from)) - cluster;
        return v;
    }
    if (wanted_from <= cluster) {
        v.wanted = wanted;
        v.wanted_at = cluster & (COUNTERS_PER_PIECE - 1);
    }
    v.stored = qcow2_stored_counts_piece(r->check.stored, cluster);
    v.stored_at = cluster & stored_mask;
    /* a stored piece is never larger than a wanted one */
    v.n = MIN(end, (cluster | stored_mask) + 1) - cluster;
    return v;
}

static uint64_t wanted_of(const View *v, uint64_t i)
{
    return counters_get(v->wanted, v->wanted_at + i);
}

/* How many clusters from @i on, below @end, have the same two counts as it. */
static uint64_t same_counts(const View *v, uint64_t i, uint64_t end)
{
    uint64_t wanted = wanted_of(v, i);
    uint64_t stored = v->stored ? counters_get(v->stored, v->stored_at + i) : 0;
    uint64_t at = i;

    while (at < end && wanted_of(v, at) == wanted &&
           (!v->stored || counters_get(v->stored, v->stored_at + at) == stored)) {
        uint64_t step = counters_stretch(v->wanted, v->wanted_at + at, v->wanted_at + end);

        if (v->stored) {
            step = MIN(step, counters_stretch(v->stored, v->stored_at + at, v->stored_at + end));
        }
        at += step;
    }
    return at - i;
}

bool qcow2_repair_next_run(const Qcow2Repair *r, uint64_t at, Qcow2CountRun *run)
{
    uint64_t end = refmap_clusters(r->wanted);

    while (at < end) {
        View v = view_at(r, at, end);
        uint64_t i = v.stored
                         ? counters_mismatch(v.stored, v.stored_at, v.wanted, v.wanted_at, MIN(v.n, COUNTERS_PER_PIECE))
                         : 0;

        if (v.stored == &no_counts && v.wanted == &no_counts) {
            i = v.n;
        }
        if (i < v.n) {
            *run = (Qcow2CountRun){
                .first = at + i,
                .n = same_counts(&v, i, v.n),
                .stored = v.stored ? counters_get(v.stored, v.stored_at + i) : 0,
                .wanted = wanted_of(&v, i),
                .known = v.stored != NULL,
            };
            return true;
        }
        at += v.n;
    }
    return false;
}

static uint64_t final_count(const Qcow2Repair *r, uint64_t stored, uint64_t wanted, bool known)
{
    if (r->rebuild || !known) {
        return wanted;
    }
    return (stored < wanted ? r->may_raise : r->may_lower) ? wanted : stored;
}

uint64_t qcow2_repair_final_of_run(const Qcow2Repair *r, const Qcow2CountRun *run)
{
    return final_count(r, run->stored, run->wanted, run->known);
}

bool qcow2_repair_final(const Qcow2Repair *r, uint64_t cluster, uint64_t *count)
{
    uint64_t stored = 0;
    bool known = qcow2_stored_count(r->check.stored, cluster, &stored);

    if (cluster >= refmap_clusters(r->wanted)) {
        *count = r->rebuild ? 0 : stored; /* behind the end of the file */
        return known || r->rebuild;
    }
    *count = final_count(r, stored, refmap_get(r->wanted, cluster), known);
    return known || r->rebuild;
}

uint64_t qcow2_repair_final_mismatch(const Qcow2Repair *r, uint64_t first, uint64_t n, bool copied)
{
    uint64_t end = MIN(first + n, refmap_clusters(r->wanted));
    uint64_t count;

    for (uint64_t at = first; at < end;) {
        View v = view_at(r, at, end);

        if (!v.stored && !r->rebuild) {
            at += v.n;
            continue;
        }
        for (uint64_t i = 0; i < v.n;) {
            uint64_t stored = v.stored ? counters_get(v.stored, v.stored_at + i) : 0;

            if ((final_count(r, stored, wanted_of(&v, i), v.stored != NULL) == 1) != copied) {
                return at + i - first;
            }
            i += same_counts(&v, i, v.n);
        }
        at += v.n;
    }
    for (uint64_t at = MAX(first, end); at < first + n; at++) {
        if (qcow2_repair_final(r, at, &count) && (count == 1) != copied) {
            return at - first;
        }
    }
    return n;
}

/* ---- changing what is wanted ---- */

bool qcow2_repair_drop(Qcow2Repair *r, uint64_t offset, uint64_t size, uint64_t weight, GError **errp)
{
    uint64_t first = offset >> r->header->cluster_bits;
    uint64_t last = (offset + size - 1) >> r->header->cluster_bits;

    if (qcow2_region_beyond_end(&r->check.counting, offset, size)) {
        return true; /* was not counted */
    }
    for (uint64_t i = first; i <= last; i++) {
        /* one that has more references than can be stored keeps the greatest count */
        if (qcow2_count_incomplete(&r->check.counting, i)) {
            continue;
        }
        if (!refmap_subtract(r->wanted, i, weight) || !refmap_add(r->dropped, i, 1, weight)) {
            return qcow2_repair_no_memory(errp);
        }
    }
    return true;
}

/* The cluster behind the last one that anything refers to; or, where that is far from the end of the file, a later one.
 */
static uint64_t find_in_use_end(const Qcow2Repair *r)
{
    uint64_t at = r->file_clusters, least = at - MIN(at, MAX_TAIL >> r->header->cluster_bits), end;

    while (at > least && !refmap_get(r->wanted, at - 1) && !qcow2_repair_in_structure(r, at - 1, &end)) {
        at--;
    }
    return at;
}

bool qcow2_repair_keep_leaks(Qcow2Repair *r, GError **errp)
{
    /* nothing is lowered where leaks are not to be repaired at all */
    bool may_lower_used = qcow2_repair_wants(r, QCOW2_FINDING_LEAK);
    Qcow2CountRun run;

    r->in_use_end = find_in_use_end(r);
    for (uint64_t at = 0; qcow2_repair_next_run(r, at, &run); at = run.first + run.n) {
        for (uint64_t i = run.first; i < run.first + run.n; i++) {
            /* where nothing is known of the count, there may be something */
            uint64_t stored = run.known ? run.stored : i < r->file_clusters;
            uint64_t dropped = refmap_get(r->dropped, i);
            uint64_t leaked = stored > run.wanted ? stored - run.wanted : 0;

            leaked -= MIN(leaked, dropped); /* what the plan itself sets free is no loss */
            if (leaked && may_lower_used && qcow2_repair_in_use(r, i)) {
                continue;
            }
            if (leaked && !refmap_add(r->wanted, i, 1, leaked)) {
                return qcow2_repair_no_memory(errp);
            }
            r->leaks_kept += leaked != 0;
        }
    }
    return true;
}

static bool has_block(const Qcow2Repair *r, uint64_t index)
{
    return index < r->image->refcount_table.n && r->image->refcount_table.entries[index] & QCOW2_REFTABLE_OFFSET_MASK;
}

/* ---- free space ---- */

/* True where the file has data in @cluster, or may have; *next is the first cluster behind it where it has none. */
static bool has_data(const Qcow2Repair *r, uint64_t cluster, uint64_t *next)
{
    BlockSource *source = r->image->source;
    uint64_t at = cluster << r->header->cluster_bits;
    uint64_t data = source->ops->next_data ? source->ops->next_data(source, at) : at;

    if (data >= at + r->header->cluster_size) {
        return false;
    }
    data = source->ops->next_data ? source->ops->next_hole(source, data) : source->length;
    *next = MAX(cluster + 1, (data + r->header->cluster_size - 1) >> r->header->cluster_bits);
    return true;
}

/*
 * True where nothing lies in @cluster; else *next is the first cluster behind it worth a look. Where no count is known
 * and there are data, they may be those of a table that was lost: only with @reuse is that free, as is what is leaked
 * and to be freed.
 */
static bool is_free(const Qcow2Repair *r, uint64_t cluster, bool reuse, uint64_t *next)
{
    View v = view_at(r, cluster, r->file_clusters);

    if (qcow2_repair_in_structure(r, cluster, next)) {
        return false;
    }
    if (wanted_of(&v, 0)) {
        *next = cluster + counters_stretch(v.wanted, v.wanted_at, v.wanted_at + v.n);
        return false;
    }
    *next = cluster + 1;
    if (refmap_get(r->dropped, cluster)) {
        return false;
    }
    if (v.stored && has_block(r, cluster >> qcow2_refblock_bits(r->header)) && (!reuse || r->keep_leaks)) {
        return counters_get(v.stored, v.stored_at) == 0;
    }
    /* nobody says that it is free, but all that is in use is known */
    return !r->keep_leaks && (reuse || !has_data(r, cluster, next));
}

/* The first of @n clusters behind the end of the file that nothing is in yet, from @first on, which may lie before it.
 */
static uint64_t find_at_end(const Qcow2Repair *r, uint64_t first, uint64_t n)
{
    uint64_t table = r->header->refcount_table_offset >> r->header->cluster_bits;
    uint64_t table_end = table + r->header->refcount_table_clusters;
    uint64_t next;

    for (uint64_t at = first; at < refmap_clusters(r->wanted); at++) {
        /* what was appended before, and what an unaligned structure at the end of the file needs */
        bool taken = refmap_get(r->wanted, at) || refmap_get(r->dropped, at);

        /* a last cluster that is not whole has as much in it as another */
        if (taken || (at < r->file_clusters && !is_free(r, at, true, &next))) {
            first = at + 1;
        }
    }
    /* a table behind the end is all zeros; after a crash it must not be what was written, with the header as it was */
    return first < table_end && first + n > table ? table_end : first;
}

/* Finds @n free clusters in a row in the file from *first on; else *first is where those at the end of it begin. */
static bool find_inside(const Qcow2Repair *r, uint64_t n, bool reuse, uint64_t *first)
{
    /* a last cluster that is not whole is as good as one behind the end */
    uint64_t whole = r->image->source->length >> r->header->cluster_bits;
    uint64_t start = *first, at = start;

    while (at < whole && at - *first < n) {
        uint64_t next;

        if (is_free(r, at, reuse, &next)) {
            at++;
        } else {
            *first = at = next;
        }
    }
    if (at - *first < n) {
        *first = MAX(start, MIN(*first, whole));
        return false;
    }
    return true;
}

/* One place behind another is looked for where single clusters are: what is before it is taken. */
static bool found(uint64_t n, uint64_t first, uint64_t *next)
{
    if (n == 1) {
        *next = first + 1;
    }
    return true;
}

/* Finds @n clusters in a row that nothing lies in; false where there are none. */
static bool find_place(Qcow2Repair *r, uint64_t n, uint64_t *first)
{
    *first = MAX(r->next_free, 1);
    if (find_inside(r, n, false, first)) {
        return found(n, *first, &r->next_free);
    }
    *first = find_at_end(r, *first, n);
    if (*first + n <= r->append_end && !r->image->source->fixed_length) {
        return found(n, *first, &r->next_free);
    }
    *first = MAX(r->next_reused, 1);
    return find_inside(r, n, true, first) && found(n, *first, &r->next_reused);
}

bool qcow2_repair_allocate(Qcow2Repair *r, uint64_t n, uint64_t weight, uint64_t *offset, GError **errp)
{
    uint64_t first;

    *offset = 0;
    if (!find_place(r, n, &first)) {
        r->no_place = true;
        return true;
    }
    *offset = first << r->header->cluster_bits;
    r->allocated = r->may_raise = true;
    return refmap_add(r->wanted, first, n, MIN(weight, r->check.counting.max)) || qcow2_repair_no_memory(errp);
}

/* ---- which blocks there must be ---- */

uint64_t qcow2_repair_blocks_end(const Qcow2Repair *r)
{
    unsigned bits = qcow2_refblock_bits(r->header);

    return (refmap_clusters(r->wanted) + (UINT64_C(1) << bits) - 1) >> bits;
}

bool qcow2_repair_block_needed(const Qcow2Repair *r, uint64_t index)
{
    unsigned bits = qcow2_refblock_bits(r->header);
    uint64_t at = index << bits, end = (index + 1) << bits;

    while (at < end) {
        uint64_t piece_index = at >> COUNTERS_PER_PIECE_BITS;
        const Counters *piece = refmap_next_piece(r->wanted, &piece_index);
        uint64_t from = piece_index << COUNTERS_PER_PIECE_BITS;
        size_t first;

        if (!piece || from >= end) {
            return false;
        }
        at = MAX(at, from);
        first = at & (COUNTERS_PER_PIECE - 1);
        if (counters_used(piece, first, MIN(end - at, COUNTERS_PER_PIECE - first))) {
            return true;
        }
        at = from + COUNTERS_PER_PIECE;
    }
    return false;
}

/* ---- edits ---- */

/* Sets the counts of @run that are in the block of clusters [from, to) to @count. */
static void set_counts(const Qcow2Repair *r, uint8_t *bytes, uint64_t from, uint64_t to, const Qcow2CountRun *run,
                       uint64_t count)
{
    uint64_t first = MAX(from, run->first);
    uint64_t last = MIN(to, run->first + run->n);

    qcow2_pack_refcounts(bytes, r->header->refcount_order, first - from, last - first, count);
}

static void change_counts(const Edit *edit, uint8_t *bytes, bool raise_only)
{
    const Qcow2Repair *r = edit->opaque;
    unsigned bits = qcow2_refblock_bits(r->header);
    uint64_t from = edit->key << bits, to = (edit->key + 1) << bits;
    Qcow2CountRun run;

    for (uint64_t at = from; qcow2_repair_next_run(r, at, &run) && run.first < to; at = run.first + run.n) {
        uint64_t count = qcow2_repair_final_of_run(r, &run);

        if (!raise_only || count > run.stored) {
            set_counts(r, bytes, from, to, &run, count);
        }
    }
}

static bool raise_counts(const Edit *edit, uint8_t *bytes, GError **errp)
{
    change_counts(edit, bytes, true);
    return true;
}

static bool settle_counts(const Edit *edit, uint8_t *bytes, GError **errp)
{
    change_counts(edit, bytes, false);
    return true;
}

/* How many counts of a block become higher and lower. */
typedef struct BlockChanges {
    uint64_t index;
    uint64_t raised;
    uint64_t lowered;
} BlockChanges;

static void add_block(Qcow2Repair *r, const BlockChanges *changes)
{
    Edit edit;

    if (!changes->raised && !changes->lowered) {
        return;
    }
    edit = (Edit){
        .offset = r->image->refcount_table.entries[changes->index] & QCOW2_REFTABLE_OFFSET_MASK,
        .size = r->header->cluster_size,
        .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK,
        .opaque = r,
        .key = changes->index,
    };

    if (changes->raised) {
        edit.why = qcow2_repair_reason(r, QCOW2_FINDING_REFCOUNT_TOO_LOW);
        edit.what = "raise reference counts";
        edit.count = changes->raised;
        edit.change = raise_counts;
        edits_add(r->edits, EDIT_PHASE_RAISE, &edit);
    }
    if (changes->lowered) {
        edit.why = qcow2_repair_reason(r, QCOW2_FINDING_LEAK);
        edit.what = "lower reference counts";
        edit.count = changes->lowered;
        edit.change = settle_counts;
        edits_add(r->edits, EDIT_PHASE_LOWER, &edit);
    }
}

bool qcow2_repair_block_written(const Qcow2Repair *r, uint64_t index)
{
    return has_block(r, index) && !qcow2_repair_entry_cleared(r, index);
}

void qcow2_repair_add_counts(Qcow2Repair *r)
{
    unsigned bits = qcow2_refblock_bits(r->header);
    BlockChanges changes = {0};
    Qcow2CountRun run;

    for (uint64_t at = 0; qcow2_repair_next_run(r, at, &run); at = run.first + run.n) {
        uint64_t count = qcow2_repair_final_of_run(r, &run);

        if (!run.known || count == run.stored || !qcow2_repair_block_written(r, run.first >> bits)) {
            continue;
        }
        if (run.first >> bits != changes.index) {
            add_block(r, &changes);
            changes = (BlockChanges){.index = run.first >> bits};
        }
        *(count > run.stored ? &changes.raised : &changes.lowered) += run.n;
    }
    add_block(r, &changes);
}

/* ---- giving back space ---- */

static bool punch(const Edit *edit, BlockSource *source, GError **errp)
{
    const Qcow2Repair *r = edit->opaque;
    unsigned bits = r->header->cluster_bits;
    uint64_t first = 0, end = 0;
    Qcow2CountRun run;

    for (uint64_t at = 0; qcow2_repair_next_run(r, at, &run); at = run.first + run.n) {
        if (!run.known || !run.stored || qcow2_repair_final_of_run(r, &run)) {
            continue;
        }
        if (run.first != end) {
            /* the space is free in either case: that it cannot be given back is no failure */
            block_source_punch(source, first << bits, (end - first) << bits);
            first = run.first;
        }
        end = run.first + run.n;
    }
    block_source_punch(source, first << bits, (end - first) << bits);
    return true;
}

void qcow2_repair_add_punch(Qcow2Repair *r)
{
    Edit edit = {
        .structure = IMAGE_CHECK_STRUCTURE_NONE,
        .why = qcow2_repair_reason(r, QCOW2_FINDING_LEAK),
        .what = "give back the space of free clusters",
        .run = punch,
        .opaque = r,
    };
    Qcow2CountRun run;

    for (uint64_t at = 0; qcow2_repair_next_run(r, at, &run); at = run.first + run.n) {
        if (run.known && run.stored && !qcow2_repair_final_of_run(r, &run)) {
            edit.count += run.n;
        }
    }
    if (edit.count) {
        edits_add(r->edits, EDIT_PHASE_PUNCH, &edit);
    }
}
