/*
 * Refcount blocks and the refcount table: what can stay, and making all of it anew.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include <errno.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

/* Where the block is that entry @i names; false where it cannot be one. */
static bool block_location(const Qcow2Repair *r, size_t i, uint64_t *offset)
{
    uint64_t entry = r->image->refcount_table.entries[i];

    *offset = entry & QCOW2_REFTABLE_OFFSET_MASK;
    return !(entry & QCOW2_REFTABLE_RESERVED) && *offset % r->header->cluster_size == 0 &&
           !qcow2_region_beyond_end(&r->check.counting, *offset, r->header->cluster_size) &&
           *offset >> r->header->cluster_bits < refmap_clusters(r->check.counting.refs);
}

/* True where nothing but the refcount table is in its clusters, so that it can be changed where it is, if it must. */
static bool table_sound(const Qcow2Repair *r)
{
    const Qcow2HeaderFields *h = r->header;
    uint64_t first = h->refcount_table_offset >> h->cluster_bits;

    if (qcow2_region_beyond_end(&r->check.counting, h->refcount_table_offset,
                                (uint64_t)h->refcount_table_clusters << h->cluster_bits)) {
        return false;
    }
    for (uint64_t i = first; i < first + h->refcount_table_clusters; i++) {
        if (refmap_get(r->metadata.refs, i) != 1 || (r->cleared && qcow2_repair_read_by_guest(r, i))) {
            return false;
        }
    }
    return h->refcount_table_clusters > 0;
}

/* True where @cluster has more than one reference, or reader, be it that its count cannot say so. */
static bool is_shared(const Qcow2Repair *r, uint64_t cluster)
{
    return refmap_get(r->wanted, cluster) > 1 || qcow2_count_incomplete(&r->check.counting, cluster) ||
           qcow2_repair_read_by_guest(r, cluster);
}

/* Entry @i is not needed, and names nothing, or something that it must not share. */
static bool entry_harmful(const Qcow2Repair *r, size_t i)
{
    uint64_t offset;

    return !block_location(r, i, &offset) || (offset && is_shared(r, offset >> r->header->cluster_bits));
}

bool qcow2_repair_entry_cleared(const Qcow2Repair *r, uint64_t index)
{
    return r->cleared && g_hash_table_contains(r->cleared, GSIZE_TO_POINTER(index));
}

/* What is wrong with entry @i, which is harmful. */
static ImageCheckFindingKind fault_of_entry(const Qcow2Repair *r, size_t i)
{
    uint64_t entry = r->image->refcount_table.entries[i], offset;

    if (entry & QCOW2_REFTABLE_RESERVED) {
        return QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS;
    }
    if (entry % r->header->cluster_size) {
        return QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED;
    }
    return block_location(r, i, &offset) ? QCOW2_FINDING_REFCOUNT_BLOCK_SHARED : QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE;
}

/* What entry @i names is no block any more. */
static bool clear_entry(Qcow2Repair *r, size_t i, GError **errp)
{
    uint64_t offset;

    if (!r->cleared) {
        r->cleared = g_hash_table_new(NULL, NULL);
    }
    g_hash_table_add(r->cleared, GSIZE_TO_POINTER(i));
    return !block_location(r, i, &offset) ||
           (qcow2_repair_drop(r, offset, r->header->cluster_size, 1, errp) &&
            (refmap_subtract(r->metadata.refs, offset >> r->header->cluster_bits, 1) || qcow2_repair_no_memory(errp)));
}

bool qcow2_repair_clear_entries(Qcow2Repair *r, GError **errp)
{
    for (size_t i = 0; i < r->image->refcount_table.n; i++) {
        if (r->image->refcount_table.entries[i] && !qcow2_repair_block_needed(r, i) && entry_harmful(r, i) &&
            !clear_entry(r, i, errp)) {
            return false;
        }
    }
    return true;
}

void qcow2_repair_add_cleared(Qcow2Repair *r)
{
    for (size_t i = 0; i < r->image->refcount_table.n; i++) {
        Edit edit = {
            .offset = r->header->refcount_table_offset + i * 8,
            .size = 8,
            .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
            .why = fault_of_entry(r, i),
            .count = 1,
            .what = "clear an entry that nothing needs",
        };

        if (!qcow2_repair_entry_cleared(r, i)) {
            continue;
        }
        edit.bytes = g_malloc0(edit.size);
        edits_add(r->edits, EDIT_PHASE_LOWER, &edit);
        if (r->messages) {
            fprintf(r->messages, "Repairing refcount table entry %zu: cleared, as nothing needs it\n", i);
        }
    }
}

/* Entry @i is needed: true where its block can be written where it is. */
static bool block_sound(const Qcow2Repair *r, size_t i)
{
    uint64_t offset, count;

    return i < r->image->refcount_table.n && block_location(r, i, &offset) && offset &&
           refmap_get(r->wanted, offset >> r->header->cluster_bits) == 1 &&
           !is_shared(r, offset >> r->header->cluster_bits) &&
           qcow2_stored_count(r->check.stored, (uint64_t)i << qcow2_refblock_bits(r->header), &count);
}

bool qcow2_repair_any_block_shared(const Qcow2Repair *r)
{
    for (size_t i = 0; i < r->image->refcount_table.n; i++) {
        uint64_t offset;

        if (block_location(r, i, &offset) && offset && is_shared(r, offset >> r->header->cluster_bits)) {
            return true;
        }
    }
    return false;
}

bool qcow2_repair_must_rebuild(const Qcow2Repair *r)
{
    if (!table_sound(r)) {
        return true;
    }
    for (uint64_t i = 0; i < qcow2_repair_blocks_end(r); i++) {
        if (qcow2_repair_block_needed(r, i) && !block_sound(r, i)) {
            return true;
        }
    }
    return false;
}

/* ---- the new ones ---- */

/* One that has more references than can be stored keeps the greatest count: how many others there are is not known. */
static bool forget_reference(Qcow2Repair *r, uint64_t cluster)
{
    return (qcow2_count_incomplete(&r->check.counting, cluster) || refmap_subtract(r->wanted, cluster, 1)) &&
           refmap_subtract(r->metadata.refs, cluster, 1);
}

/* The old table and blocks are in use no more. */
static bool forget_old_structures(Qcow2Repair *r, GError **errp)
{
    const Qcow2HeaderFields *h = r->header;
    uint64_t size = (uint64_t)h->refcount_table_clusters << h->cluster_bits;

    if (!qcow2_region_beyond_end(&r->check.counting, h->refcount_table_offset, size)) {
        for (uint64_t i = 0; i < h->refcount_table_clusters; i++) {
            if (!forget_reference(r, (h->refcount_table_offset >> h->cluster_bits) + i)) {
                return qcow2_repair_no_memory(errp);
            }
        }
    }
    for (size_t i = 0; i < r->image->refcount_table.n; i++) {
        uint64_t offset;

        if (!qcow2_repair_entry_cleared(r, i) && block_location(r, i, &offset) && offset &&
            !forget_reference(r, offset >> h->cluster_bits)) {
            return qcow2_repair_no_memory(errp);
        }
    }
    return true;
}

static uint64_t *new_block(const Qcow2Repair *r, uint64_t index)
{
    return &g_array_index(r->new_blocks, uint64_t, index);
}

ImageCheckFindingKind qcow2_repair_why_rebuilt(const Qcow2Repair *r)
{
    static const ImageCheckFindingKind kinds[] = {
        QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS,
        QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED,
        QCOW2_FINDING_REFCOUNT_BLOCK_SHARED,
        QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE,
        QCOW2_FINDING_REFCOUNT_TOO_LOW,
    };

    return qcow2_repair_first_seen(r, kinds, G_N_ELEMENTS(kinds));
}

/* Finds a place for @n clusters without which there can be no new counts. */
static bool location(Qcow2Repair *r, uint64_t n, uint64_t *offset, GError **errp)
{
    if (!qcow2_repair_allocate(r, n, 1, offset, errp)) {
        return false;
    }
    if (!*offset && r->image->source->fixed_length) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOSPC,
                            "No room for new reference counts, and nothing was changed: the image is full, and cannot "
                            "be made longer where it is. Copy it to a larger place first");
    } else if (!*offset) {
        g_set_error(errp, BLOCK_ERROR, ENOSPC,
                    "No place for new reference counts in the file, nor behind its end, as something is said to be "
                    "there already (at 0x%" PRIx64 "). Nothing was changed; 'qemu-img convert' can copy what can be "
                    "read to a new image",
                    (r->append_end + 1) << r->header->cluster_bits);
    }
    return *offset != 0;
}

/* Gives every block that is needed a place. A place may need another block, before or behind. */
static bool place_blocks(Qcow2Repair *r, GError **errp)
{
    bool more = true;

    while (more) {
        more = false;
        g_array_set_size(r->new_blocks, qcow2_repair_blocks_end(r));
        for (uint64_t i = 0; i < r->new_blocks->len; i++) {
            if (*new_block(r, i) || !qcow2_repair_block_needed(r, i)) {
                continue;
            }
            if (!location(r, 1, new_block(r, i), errp)) {
                return false;
            }
            more = true;
        }
    }
    return true;
}

static bool place_table(Qcow2Repair *r, uint64_t *clusters, GError **errp)
{
    *clusters = 0;
    for (;;) {
        uint64_t wanted;

        if (!place_blocks(r, errp)) {
            return false;
        }
        wanted = DIV_ROUND_UP((uint64_t)r->new_blocks->len * 8, r->header->cluster_size);
        if (wanted <= *clusters) {
            return true;
        }
        for (uint64_t i = 0; i < *clusters; i++) {
            if (!refmap_subtract(r->wanted, (r->new_table >> r->header->cluster_bits) + i, 1)) {
                return qcow2_repair_no_memory(errp);
            }
        }
        *clusters = wanted;
        if (!location(r, wanted, &r->new_table, errp)) {
            return false;
        }
    }
}

/* Puts the counts that are wanted into a block of zeros. */
static void fill_block(const Qcow2Repair *r, uint64_t block, uint8_t *bytes)
{
    unsigned bits = qcow2_refblock_bits(r->header);
    uint64_t from = block << bits, to = MIN((block + 1) << bits, refmap_clusters(r->wanted));
    uint64_t max = r->check.counting.max;

    for (uint64_t at = from; at < to;) {
        uint64_t index = at >> COUNTERS_PER_PIECE_BITS;
        const Counters *piece = refmap_next_piece(r->wanted, &index);
        uint64_t first = MAX(at, index << COUNTERS_PER_PIECE_BITS);
        size_t in_piece = first & (COUNTERS_PER_PIECE - 1);
        uint64_t end = MIN(to, (first | (COUNTERS_PER_PIECE - 1)) + 1);

        if (!piece || first >= to) {
            break;
        }
        for (uint64_t i = first; i < end;) {
            size_t k = in_piece + (i - first);
            size_t n = counters_stretch(piece, k, k + (end - i));

            qcow2_pack_refcounts(bytes, r->header->refcount_order, i - from, n, MIN(counters_get(piece, k), max));
            i += n;
        }
        at = end;
    }
}

/* Adds to the counts of a block what the plan takes away, or has them as they are wanted. */
static void apply_dropped(const Qcow2Repair *r, uint64_t index, uint8_t *bytes, bool add)
{
    unsigned bits = qcow2_refblock_bits(r->header);
    uint64_t from = index << bits, to = (index + 1) << bits;

    for (uint64_t at = from; at < to;) {
        uint64_t piece_index = at >> COUNTERS_PER_PIECE_BITS;
        const Counters *piece = refmap_next_piece(r->dropped, &piece_index);
        uint64_t first = MAX(at, piece_index << COUNTERS_PER_PIECE_BITS);
        uint64_t end = MIN(to, (first | (COUNTERS_PER_PIECE - 1)) + 1);

        if (!piece || first >= to) {
            return;
        }
        for (uint64_t i = first; i < end; i++) {
            uint64_t dropped = counters_get(piece, i & (COUNTERS_PER_PIECE - 1));
            uint64_t wanted = refmap_get(r->wanted, i);

            if (dropped) {
                qcow2_pack_refcounts(bytes, r->header->refcount_order, i - from, 1,
                                     MIN(wanted + (add ? dropped : 0), r->check.counting.max));
            }
        }
        at = end;
    }
}

/* What a new block has before references that the plan takes away are gone. */
static bool fill_new_block(const Edit *edit, uint8_t *bytes, GError **errp)
{
    memset(bytes, 0, edit->size);
    fill_block(edit->opaque, edit->key, bytes);
    apply_dropped(edit->opaque, edit->key, bytes, true);
    return true;
}

static bool settle_new_block(const Edit *edit, uint8_t *bytes, GError **errp)
{
    apply_dropped(edit->opaque, edit->key, bytes, false);
    return true;
}

static bool any_dropped(const Qcow2Repair *r, uint64_t index)
{
    unsigned bits = qcow2_refblock_bits(r->header);
    uint64_t piece = (index << bits) >> COUNTERS_PER_PIECE_BITS;

    return refmap_next_piece(r->dropped, &piece) && piece << COUNTERS_PER_PIECE_BITS < (index + 1) << bits;
}

static void add_new_blocks(Qcow2Repair *r)
{
    for (uint64_t i = 0; i < r->new_blocks->len; i++) {
        Edit edit = {
            .offset = *new_block(r, i),
            .size = r->header->cluster_size,
            .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK,
            .why = qcow2_repair_why_rebuilt(r),
            .what = "a new block",
            .change = fill_new_block,
            .opaque = r,
            .key = i,
        };

        if (!edit.offset) {
            continue;
        }
        edits_add(r->edits, EDIT_PHASE_FREE_SPACE, &edit);
        if (any_dropped(r, i)) {
            edit.what = "lower reference counts";
            edit.change = settle_new_block;
            edits_add(r->edits, EDIT_PHASE_LOWER, &edit);
        }
    }
}

static void add_new_table(Qcow2Repair *r, uint64_t clusters)
{
    Edit table = {
        .offset = r->new_table,
        .size = clusters << r->header->cluster_bits,
        .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
        .why = qcow2_repair_why_rebuilt(r),
        .what = "a new table",
        .bytes = g_malloc0(clusters << r->header->cluster_bits),
    };

    for (uint64_t i = 0; i < r->new_blocks->len; i++) {
        store_be64(table.bytes + i * 8, *new_block(r, i));
    }
    edits_add(r->edits, EDIT_PHASE_FREE_SPACE, &table);
}

bool qcow2_repair_place_rebuilt(Qcow2Repair *r, GError **errp)
{
    uint64_t clusters;

    if (!place_table(r, &clusters, errp)) {
        return false;
    }
    if (clusters << r->header->cluster_bits > QCOW2_MAX_REFTABLE_BYTES) {
        g_set_error_literal(errp, BLOCK_ERROR, EFBIG, "The new refcount table would be too large");
        return false;
    }
    r->new_table_clusters = clusters;
    add_new_blocks(r);
    add_new_table(r, clusters);
    return true;
}

bool qcow2_repair_begin_rebuild(Qcow2Repair *r, GError **errp)
{
    r->rebuild = true;
    r->new_blocks = g_array_new(FALSE, TRUE, sizeof(uint64_t));
    return forget_old_structures(r, errp);
}
