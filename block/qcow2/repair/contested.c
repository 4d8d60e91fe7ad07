/*
 * Guest data that lies on metadata: the entries get copies of it, in an order in which no guest sees a difference.
 *
 * An entry is overwritten only where no other guest data lies on its table, else that would change. So an entry waits
 * for those that lie on its table; where these wait in turn, be it for one another, it is the table that is copied, as
 * L1 entries can be switched over to the copy without a change to the table. What is found to wait is done in the next
 * round (qcow2/repair/rounds.c), which finds it in a table where nothing lies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/repair/entries.h"
#include "util/number.h"

/* ---- finding the entries ---- */

/* True where @cluster is metadata, and has more users besides. */
static bool contested(const Qcow2Repair *r, uint64_t cluster)
{
    uint64_t metadata = refmap_get(r->metadata.refs, cluster);

    return metadata && qcow2_repair_contested(r, cluster, metadata);
}

static bool lies_on_metadata(const Qcow2Repair *r, const Qcow2EntryEdit *e)
{
    for (uint64_t i = qcow2_repair_first_cluster(r, e); i <= qcow2_repair_last_cluster(r, e); i++) {
        if (e->counted ? contested(r, i) : refmap_get(r->metadata.refs, i) != 0) {
            return true;
        }
    }
    return false;
}

/* What is read where an entry has a cluster but says that it is zeros does not depend on that. */
static bool is_read(const Qcow2HeaderFields *h, const Qcow2EntryEdit *e)
{
    if (e->compressed) {
        return true;
    }
    return qcow2_has_extended_l2(h) ? e->bitmap & UINT32_MAX : h->version < 3 || !(e->entry & QCOW2_OFLAG_ZERO);
}

static void visit_extent(Qcow2EntrySearch *s, const Qcow2TableRef *table, const uint8_t *bytes,
                         const Qcow2Extent *extent, bool counted)
{
    const Qcow2Repair *r = s->r;
    Qcow2EntryEdit e = qcow2_repair_entry(r, table, bytes, extent);

    e.read = is_read(r->header, &e);
    e.counted = counted && !qcow2_region_beyond_end(&r->check.counting, e.offset, e.length);
    e.movable = e.counted && r->header->crypt_method == QCOW2_CRYPT_NONE && /* else it can only be read where it is */
                qcow2_repair_table_writable(r, table->offset, table->weight);
    if (qcow2_repair_first_cluster(r, &e) < r->file_clusters && (!e.counted || lies_on_metadata(r, &e))) {
        g_array_append_val(s->found, e);
    }
}

/* Compressed data that is not counted where it is, but that a guest reads all the same. */
static void visit_faults(Qcow2EntrySearch *s, const Qcow2TableRef *table, const uint8_t *bytes,
                         const Qcow2L2Result *contents)
{
    for (guint i = 0; i < contents->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(contents->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS) {
            uint64_t entry = load_be64(bytes + (size_t)fault->index * qcow2_l2_entry_size(s->r->header));
            Qcow2Extent extent = qcow2_l2_compressed_extent(s->r->header, entry, fault->index);

            visit_extent(s, table, bytes, &extent, false);
        }
    }
}

static bool visit_contested(void *state, const Qcow2TableRef *table, const uint8_t *bytes,
                            const Qcow2L2Result *contents)
{
    Qcow2EntrySearch *s = state;
    const Qcow2HeaderFields *h = s->r->header;

    if (!qcow2_repair_sole_table(s->r, table->offset, table->weight)) {
        return true;
    }
    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];
        uint64_t inside = qcow2_clusters_inside(&s->r->check.counting, run->offset, run->n);

        for (uint32_t k = 0; k < inside; k++) {
            Qcow2Extent extent = {
                .offset = run->offset + ((uint64_t)k << h->cluster_bits),
                .length = h->cluster_size,
                .index = run->index + k,
            };

            if (contested(s->r, extent.offset >> h->cluster_bits)) {
                visit_extent(s, table, bytes, &extent, true);
            }
        }
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);

        if (e->compressed) { /* data at an odd place is damaged otherwise already */
            visit_extent(s, table, bytes, e, true);
        }
    }
    visit_faults(s, table, bytes, contents);
    return true;
}

/* ---- what a guest reads of metadata ---- */

bool qcow2_repair_read_by_guest(const Qcow2Repair *r, uint64_t cluster)
{
    return r->guest_reads && refmap_get(r->guest_reads, cluster);
}

bool qcow2_repair_postponed(const Qcow2Repair *r, uint64_t cluster)
{
    return r->moves && qcow2_repair_read_by_guest(r, cluster);
}

bool qcow2_repair_find_contested(Qcow2Repair *r, GError **errp)
{
    const uint64_t *seen = r->check.report.count_by_kind;
    bool uncounted = seen[QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS] || seen[QCOW2_FINDING_REGION_BEYOND_END];

    if (qcow2_has_data_file(r->header) || (!uncounted && !qcow2_repair_any_metadata(r, qcow2_repair_contested))) {
        return true;
    }
    r->contested = qcow2_repair_search_entries(r, visit_contested, errp);
    if (!r->contested) {
        return false;
    }
    r->guest_reads = refmap_new(r->file_clusters);
    for (guint i = 0; i < r->contested->len; i++) {
        const Qcow2EntryEdit *e = &g_array_index(r->contested, Qcow2EntryEdit, i);
        uint64_t first = qcow2_repair_first_cluster(r, e);

        if (e->read && !refmap_add(r->guest_reads, first, qcow2_repair_last_cluster(r, e) - first + 1, 1)) {
            return qcow2_repair_no_memory(errp);
        }
        if (!e->counted) {
            qcow2_repair_claim(r, e->offset, e->length); /* or the place would be free */
        }
    }
    qcow2_cluster_ranges_sort(r->structures);
    return true;
}

/* @e has another place, or is alone where it is. */
static bool forget_reads(Qcow2Repair *r, const Qcow2EntryEdit *e, GError **errp)
{
    for (uint64_t i = qcow2_repair_first_cluster(r, e); e->read && i <= qcow2_repair_last_cluster(r, e); i++) {
        if (!refmap_subtract(r->guest_reads, i, 1)) {
            return qcow2_repair_no_memory(errp);
        }
    }
    return true;
}

/* True where nothing else of a guest lies on the table of @e. */
static bool is_ready(const Qcow2Repair *r, const Qcow2EntryEdit *e)
{
    uint64_t table = e->table >> r->header->cluster_bits;
    bool itself = e->read && qcow2_repair_first_cluster(r, e) <= table && table <= qcow2_repair_last_cluster(r, e);

    return e->movable && refmap_get(r->guest_reads, table) == itself;
}

/* ---- entries ---- */

ImageCheckFindingKind qcow2_repair_why_moved(const Qcow2Repair *r)
{
    static const ImageCheckFindingKind kinds[] = {
        QCOW2_FINDING_REFCOUNT_TOO_LOW,
        QCOW2_FINDING_REFCOUNT_BLOCK_SHARED,
        QCOW2_FINDING_REFCOUNT_OVERFLOW,
    };

    return qcow2_repair_first_seen(r, kinds, G_N_ELEMENTS(kinds));
}

/* Where in a cluster a copy begins: compressed data keeps its place in the sector, and so its length. */
static uint64_t place_in_copy(const Qcow2EntryEdit *e)
{
    return e->compressed ? e->offset % QCOW2_SECTOR_SIZE : 0;
}

static uint64_t moved_entry(const Qcow2Repair *r, const Qcow2EntryEdit *e)
{
    uint64_t offset_mask =
        e->compressed ? (UINT64_C(1) << (70 - r->header->cluster_bits)) - 1 : QCOW2_OFFSET_MASK | QCOW2_OFLAG_COPIED;
    uint64_t entry = (e->entry & ~offset_mask) | e->to;

    /* a table that only the active tree has, and once: so has it the copy */
    return !e->compressed && e->active && e->weight == 1 ? entry | QCOW2_OFLAG_COPIED : entry;
}

static uint64_t entry_offset(const Qcow2Repair *r, const Qcow2EntryEdit *e)
{
    return e->table + (uint64_t)e->index * qcow2_l2_entry_size(r->header);
}

/* Finds a place for a copy of what @e refers to. */
static bool copy_data(Qcow2Repair *r, Qcow2EntryEdit *e, GError **errp)
{
    uint64_t clusters = DIV_ROUND_UP(place_in_copy(e) + e->length, r->header->cluster_size);
    Edit copy = {
        .size = e->length,
        .structure = e->compressed ? IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA : IMAGE_CHECK_STRUCTURE_DATA,
        .why = qcow2_repair_why_moved(r),
        .what = "a copy of guest data that lies on metadata",
        .copies = true,
        .from = e->offset,
    };

    if (!qcow2_repair_allocate(r, clusters, e->weight, &copy.offset, errp)) {
        return false;
    }
    if (!copy.offset) {
        /* it stays where it is, with a count that says so */
        if (r->messages) {
            fprintf(r->messages, "No place for a copy of data that lies on metadata: l2_entry=%" PRIx64 "\n", e->entry);
        }
        return true;
    }
    copy.offset += place_in_copy(e);
    e->to = copy.offset;
    r->moves = true;
    edits_add(r->edits, EDIT_PHASE_FREE_SPACE, &copy);
    g_array_append_vals(r->moved, e, 1);
    if (r->messages) {
        fprintf(r->messages,
                "Repairing data cluster: l2_entry=%" PRIx64 " (at 0x%" PRIx64
                ") lies on metadata, and gets a copy of its own at 0x%" PRIx64 "\n",
                e->entry, entry_offset(r, e), e->to);
    }
    return qcow2_repair_drop(r, e->offset, e->length, e->weight, errp) && forget_reads(r, e, errp);
}

/* Finds out who has to wait; where structures were given up, what lay on them need not move any more. */
static bool look_who_is_ready(Qcow2Repair *r, GError **errp)
{
    guint kept = 0;

    for (guint i = 0; i < r->contested->len; i++) {
        Qcow2EntryEdit e = g_array_index(r->contested, Qcow2EntryEdit, i);

        if (lies_on_metadata(r, &e)) {
            g_array_index(r->contested, Qcow2EntryEdit, kept++) = e;
        } else if (!forget_reads(r, &e, errp)) {
            return false;
        }
    }
    g_array_set_size(r->contested, kept);
    for (guint i = 0; i < kept; i++) {
        Qcow2EntryEdit *e = &g_array_index(r->contested, Qcow2EntryEdit, i);

        e->ready = is_ready(r, e);
    }
    return true;
}

bool qcow2_repair_find_moved(Qcow2Repair *r, GError **errp)
{
    if (!r->contested) {
        return true;
    }
    r->moved = g_array_new(FALSE, FALSE, sizeof(Qcow2EntryEdit));
    if (!look_who_is_ready(r, errp) || !qcow2_repair_move_tables(r, errp)) {
        return false;
    }
    for (guint i = 0; i < r->contested->len; i++) {
        Qcow2EntryEdit *e = &g_array_index(r->contested, Qcow2EntryEdit, i);

        if (e->ready && !copy_data(r, e, errp)) {
            return false;
        }
    }
    return true;
}

bool qcow2_repair_waits(const Qcow2Repair *r)
{
    for (guint i = 0; r->moves && i < r->contested->len; i++) {
        const Qcow2EntryEdit *e = &g_array_index(r->contested, Qcow2EntryEdit, i);

        if (e->movable && !e->ready) {
            return true;
        }
    }
    return false;
}

void qcow2_repair_say_stays(const Qcow2Repair *r, FILE *messages)
{
    const Qcow2EntryEdit *first = NULL;
    guint n = 0;

    for (guint i = 0; r->moved && i < r->contested->len; i++) {
        const Qcow2EntryEdit *e = &g_array_index(r->contested, Qcow2EntryEdit, i);

        if (e->read && !e->to) {
            first = first ? first : e;
            n++;
        }
    }
    if (n && messages) {
        fprintf(messages,
                "Guest data stays on metadata, which is left as it is there: %u L2 entries, the first of them "
                "l2_entry=%" PRIx64 " (at 0x%" PRIx64 "). There is no place for a copy, or data that is encrypted, or "
                "what else is read there would change. 'qemu-img convert' can copy what can be read to a new image.\n",
                n, first->entry, entry_offset(r, first));
    }
}

void qcow2_repair_add_moved(Qcow2Repair *r)
{
    bool header_changes = edits_any(r->edits, EDIT_PHASE_AUTOCLEAR, EDIT_PHASE_AUTOCLEAR) ||
                          edits_any(r->edits, EDIT_PHASE_SWITCH, EDIT_PHASE_SWITCH);

    for (guint i = 0; r->moved && i < r->moved->len; i++) {
        const Qcow2EntryEdit *e = &g_array_index(r->moved, Qcow2EntryEdit, i);
        Edit edit = {
            .offset = entry_offset(r, e),
            .structure = IMAGE_CHECK_STRUCTURE_L2,
            .why = qcow2_repair_why_moved(r),
            .count = 1,
            .what = "refer to the copy",
        };
        bool off_header = header_changes && qcow2_repair_first_cluster(r, e) == 0;

        edits_add_word(r->edits, off_header ? EDIT_PHASE_OFF_HEADER : EDIT_PHASE_MOVE, &edit, moved_entry(r, e));
    }
}
