/*
 * Puts entries of emptied L2 tables back: clusters that leak, in the order of the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/restore.h"

#include <inttypes.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"
#include "util/zeros.h"

#define ALL_SUBCLUSTERS UINT64_C(0xffffffff) /* are allocated */

/* The clusters that go into the entries of one table. */
typedef struct Filling {
    GArray *clusters; /* uint64_t, in the order of the entries */
    uint32_t first;   /* index of the entry of the first */
    uint32_t zeros;   /* entries there are from the beginning of the range on */
    uint64_t weight;  /* references to the table */
} Filling;

/* Returns true if nothing refers to @cluster, and its stored count says that something did: the targets keep it. */
static bool is_leaked(const TargetCounts *t, uint64_t cluster)
{
    uint64_t kept = t->kept ? refmap_get(t->kept, cluster) : 0;

    return kept && refmap_get(t->counts, cluster) == kept;
}

/* Clusters that leak among those of @e, as many as fit; those that a lost table refers to are not among them. */
static void find_clusters(const Restore *r, const Qcow2Evidence *e, Filling *f)
{
    const TargetCounts *t = r->alloc->targets;

    for (uint64_t c = e->first_cluster; c < e->end_cluster && f->clusters->len < f->zeros; c++) {
        bool others = refmap_get(t->lost.kept, c) > !e->anywhere;

        if (is_leaked(t, c) && !others && !new_references_has(&r->references, c)) {
            g_array_append_val(f->clusters, c);
        }
    }
}

/* The table in use at the offset of @e, where it can be written to; NULL: it cannot. */
static const Qcow2TableRef *find_table(const Restore *r, const Qcow2Evidence *e)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(r->in->check->walk, &n);
    size_t i = FIRST_NOT_BELOW(tables, n, Qcow2TableRef, offset, e->offset);

    return i < n && tables[i].offset == e->offset && layout_table_writable(r->layout, e->offset, tables[i].weight) &&
                   !layout_overlapped(r->layout, e->offset >> r->in->header->cluster_bits, tables[i].weight) &&
                   !layout_read_by_guest(r->layout, e->offset >> r->in->header->cluster_bits)
               ? &tables[i]
               : NULL;
}

/* Returns true if the entries of @f are zeros in the file. */
static bool entries_are_zeros(const Restore *r, const Qcow2Evidence *e, const Filling *f)
{
    size_t entry = qcow2_l2_entry_size(r->in->header), size = f->clusters->len * entry;
    g_autofree uint8_t *bytes = g_malloc(size); /* within a cluster */

    return !block_source_read(r->in->image->source, bytes, size, e->offset + f->first * entry) && is_zeros(bytes, size);
}

/* Refers to all clusters of @f, or none: *refusal. */
static bool add_references(Restore *r, const Filling *f, Refusal *refusal)
{
    for (guint i = 0; i < f->clusters->len; i++) {
        uint64_t cluster = g_array_index(f->clusters, uint64_t, i);

        if (!new_references_add_data(&r->references, cluster, f->weight, refusal, r->errp)) {
            return false;
        }
        if (refusal->why) {
            while (i-- > 0) {
                refmap_subtract(r->references.added, g_array_index(f->clusters, uint64_t, i), f->weight);
            }
            return true;
        }
    }
    return true;
}

static void add_edit(Restore *r, const Qcow2Evidence *e, const Filling *f)
{
    const Qcow2HeaderFields *h = r->in->header;
    size_t entry = qcow2_l2_entry_size(h);
    Edit edit = restore_edit(r, e, QCOW2_FINDING_EMPTIED_L2);

    edit.offset = e->offset + f->first * entry;
    edit.size = f->clusters->len * entry;
    edit.structure = IMAGE_CHECK_STRUCTURE_L2;
    edit.count = f->clusters->len;
    edit.what = "refer to lost clusters";
    edit.bytes = g_malloc0(edit.size);
    for (guint i = 0; i < f->clusters->len; i++) {
        uint64_t cluster = g_array_index(f->clusters, uint64_t, i);
        bool one = new_references_count(&r->references, cluster) == 1;

        store_be64(edit.bytes + i * entry, cluster << h->cluster_bits | (one ? QCOW2_OFLAG_COPIED : 0));
        if (entry == 16) {
            store_be64(edit.bytes + i * entry + 8, ALL_SUBCLUSTERS);
        }
    }
    edits_add(r->edits, EDIT_PHASE_SWITCH, &edit);
}

/* An exact fit is what was inferred: without one there is none. */
static bool fits(const Qcow2Evidence *e, const Filling *f)
{
    return f->clusters->len && (e->certainty != IMAGE_CHECK_EVIDENCE_INFERRED || f->clusters->len == f->zeros);
}

static bool fill(Restore *r, const Qcow2Evidence *e, Filling *f)
{
    unsigned bits = r->in->header->cluster_bits;
    const Qcow2TableRef *table = find_table(r, e);
    g_autofree char *place = NULL;
    Refusal refusal = {0};

    if (!table || !e->end_cluster) {
        return true;
    }
    f->weight = table->weight;
    f->zeros = (uint32_t)(e->guest_size >> bits);
    f->first = (uint32_t)(e->guest_offset >> bits) & ((1u << r->in->header->l2_bits) - 1);
    find_clusters(r, e, f);
    if (!fits(e, f)) {
        return true;
    }
    f->first += e->at_end ? f->zeros - f->clusters->len : 0;
    if (!entries_are_zeros(r, e, f)) {
        return true;
    }
    if (!add_references(r, f, &refusal)) {
        return false;
    }
    if (refusal.why) {
        restore_say_refused(r, "L2 table", e->offset, &refusal);
        return true;
    }
    add_edit(r, e, f);
    place = g_strdup_printf("that of %u lost clusters from guest 0x%" PRIx64 " on", f->clusters->len,
                            e->guest_offset + (e->at_end ? e->guest_size - ((uint64_t)f->clusters->len << bits) : 0));
    restore_accept(r, e, "L2 table", place);
    return true;
}

static bool restore_item(Restore *r, const Qcow2Evidence *e)
{
    Filling f = {.clusters = g_array_new(FALSE, FALSE, sizeof(uint64_t))};
    bool ok = !restore_wanted(r, e, QCOW2_FINDING_EMPTIED_L2) || fill(r, e, &f);

    g_array_unref(f.clusters);
    return ok;
}

/* The surer ones first. Which subclusters were allocated is never known: it was in the entries. */
bool restore_emptied(Restore *r)
{
    const GArray *items = r->alloc->targets->lost.items;
    bool extended = qcow2_has_extended_l2(r->in->header);

    for (ImageCheckEvidence class = IMAGE_CHECK_EVIDENCE_PROVED; class <= IMAGE_CHECK_EVIDENCE_GUESSED; class ++) {
        for (guint i = 0; i < items->len; i++) {
            Qcow2Evidence e = g_array_index(items, Qcow2Evidence, i);

            e.certainty = extended ? IMAGE_CHECK_EVIDENCE_GUESSED : e.certainty;
            if (e.kind == QCOW2_EVIDENCE_EMPTIED && e.certainty == class && !restore_item(r, &e)) {
                return false;
            }
        }
    }
    return true;
}
