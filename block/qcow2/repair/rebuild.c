/*
 * Refcount blocks and their table, where they cannot be used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

/* Faults for which blocks and their table may change. */
#define BLOCKS_FAULTS (BLOCKS_UNUSABLE | QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_TOO_LOW))

/* Returns true if refcount blocks and their table may change for one of @kinds. */
static bool may_change_blocks(const RepairInput *in, uint64_t kinds)
{
    return in->options->all && (!in->options->only || repair_found_any(in, kinds & in->options->only));
}

bool rebuild_wanted(const RepairInput *in)
{
    return may_change_blocks(in, BLOCKS_FAULTS);
}

/* ---- entries that nothing needs ---- */

/* Clears them, if the table is @writable. Returns true if there are any. */
static bool clear_harmful(const TargetCounts *t, bool writable, Edits *edits)
{
    bool any = false;

    for (size_t i = 0; i < t->in->image->refcount_table.n; i++) {
        Edit edit = {
            .offset = t->in->header->refcount_table_offset + i * 8,
            .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
            .why = repair_why(t->in, edits, BLOCKS_FAULTS),
            .count = 1,
            .what = "clear an entry that nothing needs",
        };
        bool harmful = blocks_entry_harmful(t, i);

        any |= harmful;
        if (harmful && writable) {
            edits_add_word(edits, EDIT_PHASE_SWITCH, &edit, 0);
            repair_say(t->in, "Repairing refcount table entry %zu: cleared, as nothing needs it\n", i);
        }
    }
    return any;
}

/* ---- the new ones ---- */

typedef struct Rebuild {
    Allocator *alloc;
    GArray *blocks;      /* uint64_t: offset of the new block by index; 0 = none */
    uint64_t table;      /* offset */
    uint64_t n_clusters; /* of the table */
} Rebuild;

static uint64_t *new_block(const Rebuild *r, uint64_t index)
{
    return &g_array_index(r->blocks, uint64_t, index);
}

/* Finds a place for @n clusters without which there can be no new counts. */
static bool place(Rebuild *r, uint64_t n, uint64_t *offset, GError **errp)
{
    const RepairInput *in = r->alloc->targets->in;

    if (!allocator_reserve(r->alloc, n, 1, offset, errp)) {
        return false;
    }
    if (!*offset && in->image->source->fixed_length) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOSPC,
                            "No room for new reference counts, and nothing was changed: the image is full, and cannot "
                            "be made longer where it is. Copy it to a larger place first");
    } else if (!*offset) {
        g_set_error(errp, BLOCK_ERROR, ENOSPC,
                    "No place for new reference counts in the file, nor behind its end, as something is said to be "
                    "there already (at 0x%" PRIx64 "). Nothing was changed; 'qemu-img convert' can copy what can be "
                    "read to a new image",
                    (layout_append_end(r->alloc->targets->layout) + 1) << in->header->cluster_bits);
    }
    return *offset != 0;
}

/* Gives every block that is needed a place. A place may need another block, before or behind. */
static bool place_blocks(Rebuild *r, GError **errp)
{
    bool more = true;

    while (more) {
        more = false;
        g_array_set_size(r->blocks, (guint)target_counts_blocks_end(r->alloc->targets));
        for (uint64_t i = 0; (i = target_counts_next_block(r->alloc->targets, i)) < r->blocks->len; i++) {
            if (*new_block(r, i)) {
                continue;
            }
            if (!place(r, 1, new_block(r, i), errp)) {
                return false;
            }
            more = true;
        }
    }
    return true;
}

static bool place_all(Rebuild *r, GError **errp)
{
    for (;;) {
        uint64_t wanted;

        if (!place_blocks(r, errp)) {
            return false;
        }
        wanted = DIV_ROUND_UP((uint64_t)r->blocks->len * 8, r->alloc->targets->in->header->cluster_size);
        if (wanted <= r->n_clusters) {
            return true;
        }
        if (!allocator_release(r->alloc, r->table, r->n_clusters, errp)) {
            return false;
        }
        r->n_clusters = wanted;
        if (!place(r, wanted, &r->table, errp)) {
            return false;
        }
    }
}

static bool fill_new_block(const Edit *edit, uint8_t *bytes)
{
    memset(bytes, 0, edit->size);
    target_counts_fill_block(edit->opaque, edit->key, bytes);
    return true;
}

static void add_edits(const Rebuild *r, const RepairInput *in, Edits *edits)
{
    Edit edit = {.why = repair_why(in, edits, BLOCKS_FAULTS)};
    Qcow2DiskHeader new = {.refcount_table_offset = GUINT64_TO_BE(r->table),
                           .refcount_table_clusters = GUINT32_TO_BE(r->n_clusters)};

    for (uint64_t i = 0; i < r->blocks->len; i++) {
        edit.offset = *new_block(r, i);
        edit.size = in->header->cluster_size;
        edit.structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK;
        edit.what = "a new block";
        edit.change = fill_new_block;
        edit.opaque = r->alloc->targets;
        edit.key = i;
        if (edit.offset) {
            edits_add(edits, EDIT_PHASE_FREE_SPACE, &edit);
        }
    }
    assert(r->n_clusters << in->header->cluster_bits >= r->blocks->len * UINT64_C(8));
    edit = (Edit){.offset = r->table, .size = r->n_clusters << in->header->cluster_bits, .why = edit.why};
    edit.structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE;
    edit.what = "a new table";
    edit.bytes = g_malloc0(edit.size);
    for (uint64_t i = 0; i < r->blocks->len; i++) {
        store_be64(edit.bytes + i * 8, *new_block(r, i));
    }
    edits_add(edits, EDIT_PHASE_FREE_SPACE, &edit);

    edit = (Edit){.offset = offsetof(Qcow2DiskHeader, refcount_table_offset), .why = edit.why, .count = 1};
    edit.size = offsetof(Qcow2DiskHeader, nb_snapshots) - edit.offset;
    edit.structure = IMAGE_CHECK_STRUCTURE_HEADER;
    edit.what = "refer to the new tables";
    edit.bytes = g_memdup2((const uint8_t *)&new + edit.offset, edit.size);
    edits_add(edits, EDIT_PHASE_SWITCH, &edit);
}

static bool rebuild(const RepairInput *in, Allocator *alloc, Edits *edits, GError **errp)
{
    g_autoptr(GArray) blocks = g_array_new(FALSE, TRUE, sizeof(uint64_t));
    Rebuild r = {.alloc = alloc, .blocks = blocks};

    repair_say(in, "Rebuilding refcount structure\n");
    if (!place_all(&r, errp)) {
        return false;
    }
    if (r.n_clusters << in->header->cluster_bits > QCOW2_MAX_REFTABLE_BYTES) {
        g_set_error_literal(errp, BLOCK_ERROR, EFBIG, "The new refcount table would be too large");
        return false;
    }
    g_array_set_size(alloc->ranges, 0); /* the new blocks count it */
    add_edits(&r, in, edits);
    alloc->reserved->rebuilt = true;
    return true;
}

bool repair_blocks(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits, GError **errp)
{
    bool writable, harmful = false;

    blocks_table_sound(alloc->targets, &writable);
    if (may_change_blocks(in, BLOCKS_UNUSABLE)) {
        harmful = clear_harmful(alloc->targets, writable, edits);
    }
    if ((harmful && writable) || !(rebuild_wanted(in) || (in->options->all && alloc->reserved->any)) ||
        !(harmful || blocks_must_rebuild(alloc->targets)) || !allocator_header_writable(alloc)) {
        return true;
    }
    return rebuild(in, alloc, edits, errp);
}
