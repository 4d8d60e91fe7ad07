/*
 * References that a restore is about to add.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/restore-references.h"

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "util/number.h"

#define L1_PART 512u /* entries of an L1 table that are read at once */

bool new_references_init(NewReferences *n, Allocator *alloc)
{
    const Qcow2HeaderFields *h = alloc->targets->in->header;

    *n = (NewReferences){
        .alloc = alloc,
        .targets = alloc->targets,
        .added = refmap_new(refmap_clusters(alloc->targets->counts)),
        .log = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange)),
        .contents = qcow2_l2_result_new(h),
        .bytes = g_try_malloc(h->cluster_size),
    };
    return n->contents && n->bytes;
}

void new_references_clear(NewReferences *n)
{
    g_clear_pointer(&n->added, refmap_free);
    g_clear_pointer(&n->log, g_array_unref);
    g_clear_pointer(&n->contents, qcow2_l2_result_free);
    g_clear_pointer(&n->bytes, g_free);
}

static const Qcow2HeaderFields *header_of(const NewReferences *n)
{
    return n->targets->in->header;
}

static uint64_t cluster_of(const NewReferences *n, uint64_t offset)
{
    return offset >> header_of(n)->cluster_bits;
}

static bool refuse(Refusal *refusal, const char *why, uint64_t offset)
{
    *refusal = (Refusal){why, offset};
    return false;
}

/* ---- one cluster ---- */

uint64_t new_references_count(const NewReferences *n, uint64_t cluster)
{
    uint64_t count = target_counts_computed(n->targets, cluster) + refmap_get(n->added, cluster), stored;

    return qcow2_stored_count(n->targets->stored, cluster, &stored) ? MAX(stored, count) : count;
}

bool new_references_has(const NewReferences *n, uint64_t cluster)
{
    return refmap_get(n->added, cluster) != 0;
}

/* False where @cluster cannot have @weight references more: it is somebody else's, or its count cannot rise. */
static bool has_room(const NewReferences *n, uint64_t cluster, uint64_t weight, Refusal *refusal)
{
    const TargetCounts *t = n->targets;
    uint64_t offset = cluster << header_of(n)->cluster_bits, block, stored;
    uint64_t refs = target_counts_computed(n->targets, cluster), all = refs + refmap_get(n->added, cluster) + weight;

    if (cluster >= t->layout->file_clusters) {
        return refuse(refusal, "an entry leads out of the file, to", offset);
    }
    if (!qcow2_stored_count(t->stored, cluster, &stored)) {
        return refuse(refusal, "no reference count is known of the cluster at", offset);
    }
    if (stored >= all) {
        return true;
    }
    if (refs || stored || all > t->in->check->counting.max) {
        return refuse(refusal, "something else uses the cluster at", offset);
    }
    return blocks_writable(t, cluster >> qcow2_refblock_bits(header_of(n)), &block) ||
           refuse(refusal, "no reference count can be written of the cluster at", offset);
}

/* Adds @weight references to @cluster, as to all others of the log. */
static bool add(NewReferences *n, uint64_t cluster, uint64_t weight, GError **errp)
{
    Qcow2ClusterRange *last = n->log->len ? &g_array_index(n->log, Qcow2ClusterRange, n->log->len - 1) : NULL;
    Qcow2ClusterRange range = {cluster, 1};

    if (!refmap_add(n->added, cluster, 1, weight)) {
        return repair_no_memory(errp);
    }
    if (last && last->first + last->n == cluster) {
        last->n++;
    } else {
        g_array_append_val(n->log, range);
    }
    return true;
}

/* Takes all of the log back where what it belongs to is refused, and empties it. */
static void end_log(NewReferences *n, uint64_t weight, const Refusal *refusal)
{
    for (guint i = 0; refusal->why && i < n->log->len; i++) {
        const Qcow2ClusterRange *range = &g_array_index(n->log, Qcow2ClusterRange, i);

        for (uint64_t c = range->first; c < range->first + range->n; c++) {
            refmap_subtract(n->added, c, weight);
        }
    }
    g_array_set_size(n->log, 0);
}

/* How often there are structures that are counted at @cluster. */
static uint64_t structures(const NewReferences *n, uint64_t cluster)
{
    return refmap_get(n->targets->layout->metadata.refs, cluster);
}

/* Adds references to clusters where no structure is. They are refused at the first one that has no room. */
static bool add_range(NewReferences *n, uint64_t first, uint64_t clusters, uint64_t weight, Refusal *refusal,
                      GError **errp)
{
    for (uint64_t c = first; c < first + clusters && !refusal->why; c++) {
        if (structures(n, c)) {
            refuse(refusal, "another structure is at", c << header_of(n)->cluster_bits);
        } else if (has_room(n, c, weight, refusal) && !add(n, c, weight, errp)) {
            return false;
        }
    }
    return true;
}

/* ---- L2 tables ---- */

/* Reads the cluster at @offset; false and *refusal set where that fails. */
static bool read_table(NewReferences *n, uint64_t offset, Refusal *refusal)
{
    return !block_source_read(n->targets->in->image->source, n->bytes, header_of(n)->cluster_size, offset) ||
           refuse(refusal, "there was an error of reading at", offset);
}

/* False where the bytes at @offset cannot be those of an L2 table. */
static bool read_l2(NewReferences *n, uint64_t offset, Refusal *refusal)
{
    const Qcow2HeaderFields *h = header_of(n);

    if (offset % h->cluster_size || offset < h->cluster_size) {
        return refuse(refusal, "no L2 table can be at", offset);
    }
    if (!read_table(n, offset, refusal)) {
        return false;
    }
    qcow2_l2_decode(h, n->bytes, n->contents);
    return (qcow2_may_be_l2(n->bytes, h->cluster_size, h, n->targets->in->check->counting.file_end) &&
            n->contents->faults->len <= qcow2_bearable_damage(n->contents->allocated)) ||
           refuse(refusal, "the bytes cannot be those of an L2 table, at", offset);
}

/* Adds references to what the table that was read refers to. */
static bool add_contents(NewReferences *n, uint64_t weight, Refusal *refusal, GError **errp)
{
    const Qcow2L2Result *c = n->contents;
    bool ok = true;

    for (uint32_t i = 0; ok && !refusal->why && i < c->n_runs; i++) {
        ok = add_range(n, cluster_of(n, c->runs[i].offset), c->runs[i].n, weight, refusal, errp);
    }
    for (guint i = 0; ok && !refusal->why && i < c->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(c->extents, Qcow2Extent, i);
        uint64_t first = cluster_of(n, e->offset), last = cluster_of(n, e->offset + e->length - 1);

        ok = add_range(n, first, last - first + 1, weight, refusal, errp);
    }
    return ok;
}

/* A table may be in use already. */
static bool add_table(NewReferences *n, uint64_t offset, uint64_t weight, Refusal *refusal, GError **errp)
{
    uint64_t table = cluster_of(n, offset);

    if (!read_l2(n, offset, refusal)) {
        return true;
    }
    if (structures(n, table) != layout_l2_tables_in(n->targets->layout, table)) {
        refuse(refusal, "another structure is at", offset);
        return true;
    }
    return !has_room(n, table, weight, refusal) ||
           (add(n, table, weight, errp) &&
            (qcow2_has_data_file(header_of(n)) || add_contents(n, weight, refusal, errp)));
}

bool new_references_add_l2(NewReferences *n, uint64_t offset, uint64_t weight, Refusal *refusal, GError **errp)
{
    bool ok;

    *refusal = (Refusal){0};
    ok = add_table(n, offset, weight, refusal, errp);
    end_log(n, weight, refusal);
    return ok;
}

/* ---- L1 tables, and data ---- */

static bool add_tables(NewReferences *n, uint64_t offset, uint64_t entries, Refusal *refusal, GError **errp)
{
    uint8_t part[L1_PART * 8];

    for (uint64_t i = 0; i < entries && !refusal->why; i++) {
        uint64_t at = i % L1_PART, word;
        size_t size = (size_t)MIN(L1_PART, entries - i) * 8;

        if (at == 0 && block_source_read(n->targets->in->image->source, part, size, offset + i * 8)) {
            refuse(refusal, "there was an error of reading at", offset + i * 8);
            return true;
        }
        word = load_be64(part + at * 8);
        if (word && !add_table(n, word & QCOW2_OFFSET_MASK, 1, refusal, errp)) {
            return false;
        }
    }
    return true;
}

bool new_references_add_l1(NewReferences *n, uint64_t offset, uint64_t entries, Refusal *refusal, GError **errp)
{
    uint64_t clusters = DIV_ROUND_UP(entries * 8, header_of(n)->cluster_size);
    bool ok;

    *refusal = (Refusal){0};
    ok = add_range(n, cluster_of(n, offset), clusters, 1, refusal, errp) &&
         (refusal->why || add_tables(n, offset, entries, refusal, errp));
    end_log(n, 1, refusal);
    return ok;
}

bool new_references_add_data(NewReferences *n, uint64_t cluster, uint64_t weight, Refusal *refusal, GError **errp)
{
    bool ok;

    *refusal = (Refusal){0};
    ok = add_range(n, cluster, 1, weight, refusal, errp);
    end_log(n, weight, refusal);
    return ok;
}

/* ---- edits ---- */

static bool set_flag(NewReferences *n, uint32_t entry, uint64_t offset)
{
    uint8_t *word = n->bytes + (size_t)entry * qcow2_l2_entry_size(header_of(n));
    bool one = qcow2_has_data_file(header_of(n)) || new_references_count(n, cluster_of(n, offset)) == 1;
    uint64_t old = load_be64(word), new = (old & ~QCOW2_OFLAG_COPIED) | (one ? QCOW2_OFLAG_COPIED : 0);

    store_be64(word, new);
    return old != new;
}

void new_references_add_flags(NewReferences *n, Edits *edits, uint64_t offset, const Edit *like)
{
    const Qcow2HeaderFields *h = header_of(n);
    Edit edit = *like;
    Refusal refusal = {0};
    bool changed = false;

    if (target_counts_computed(n->targets, cluster_of(n, offset)) || !read_l2(n, offset, &refusal)) {
        return;
    }
    for (uint32_t i = 0; i < n->contents->n_runs; i++) {
        const Qcow2Run *run = &n->contents->runs[i];

        for (uint32_t k = 0; k < run->n; k++) {
            changed |= set_flag(n, run->index + k, run->offset + ((uint64_t)k << h->cluster_bits));
        }
    }
    if (changed) {
        edit.offset = offset;
        edit.size = h->cluster_size;
        edit.structure = IMAGE_CHECK_STRUCTURE_L2;
        edit.count = 0;
        edit.what = "set COPIED flags right";
        edit.bytes = g_memdup2(n->bytes, h->cluster_size);
        edits_add(edits, EDIT_PHASE_RAISE, &edit);
    }
}

bool new_references_want_counts(NewReferences *n, GError **errp)
{
    RefMapRun run;

    for (uint64_t at = 0; refmap_next_run(n->added, at, UINT64_MAX, &run); at = run.first + run.n) {
        for (uint64_t i = run.first; i < run.first + run.n; i++) {
            uint64_t kept = n->targets->kept ? refmap_get(n->targets->kept, i) : 0;

            if (run.count > kept && !allocator_add_references(n->alloc, i, run.count - kept, errp)) {
                return false;
            }
        }
    }
    return true;
}
