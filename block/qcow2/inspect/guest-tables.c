/*
 * The L2 tables of the active disk in their order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/guest-tables.h"

#include <assert.h>

#include "block/qcow2/format/l2.h"
#include "util/number.h"

static bool fail(GError **errp, int error, const char *message)
{
    g_set_error_literal(errp, BLOCK_ERROR, error, message);
    return false;
}

bool qcow2_guest_tables_open(Qcow2GuestTables *t, const Qcow2Image *image, GError **errp)
{
    const Qcow2HeaderFields *h = &image->header;
    uint64_t held = image->source->length > h->l1_table_offset ? image->source->length - h->l1_table_offset : 0;

    *t = (Qcow2GuestTables){
        .source = image->source,
        .header = h,
        .n_l1 = MIN(h->l1_size, DIV_ROUND_UP(held, 8)), /* behind the end of the file there are zeros */
        .loads = DIV_ROUND_UP(image->source->length, h->cluster_size),
    };
    t->table = g_try_malloc(h->cluster_size);
    t->l1 = g_try_malloc_n(MAX(t->n_l1, 1), 8);
    if (!t->table || !t->l1) {
        return fail(errp, ENOMEM, g_strerror(ENOMEM));
    }
    if (block_source_read(t->source, t->l1, t->n_l1 * 8, h->l1_table_offset)) {
        return fail(errp, EIO, "the L1 table cannot be read");
    }
    for (uint64_t i = 0; i < t->n_l1; i++) {
        t->l1[i] = GUINT64_FROM_BE(t->l1[i]);
    }
    return true;
}

void qcow2_guest_tables_clear(Qcow2GuestTables *t)
{
    g_clear_pointer(&t->l1, g_free);
    g_clear_pointer(&t->table, g_free);
}

uint64_t qcow2_guest_tables_next(const Qcow2GuestTables *t, uint64_t index)
{
    while (index < t->n_l1 && !(t->l1[index] & QCOW2_OFFSET_MASK)) {
        index++;
    }
    return MIN(index, t->n_l1);
}

bool qcow2_guest_tables_load(Qcow2GuestTables *t, uint64_t index, GError **errp)
{
    uint64_t offset = t->l1[index] & QCOW2_OFFSET_MASK;

    assert(index < t->n_l1 && offset);
    if (t->loads == 0) {
        return fail(errp, EINVAL, "there are more L2 tables than the file has room for");
    }
    t->loads--;
    if (block_source_read(t->source, t->table, t->header->cluster_size, offset)) {
        return fail(errp, EIO, "an L2 table cannot be read");
    }
    return true;
}

uint64_t qcow2_guest_entry(const Qcow2GuestTables *t, uint64_t index)
{
    return load_be64(t->table + index * qcow2_l2_entry_size(t->header));
}

Qcow2GuestState qcow2_guest_state(const Qcow2GuestTables *t, uint64_t index)
{
    uint64_t entry = qcow2_guest_entry(t, index);

    if (entry & QCOW2_OFLAG_COMPRESSED) {
        return QCOW2_GUEST_DATA;
    }
    if (qcow2_has_extended_l2(t->header)) {
        uint64_t bits = load_be64(t->table + index * 16 + 8);

        return (uint32_t)bits ? QCOW2_GUEST_DATA : bits >> QCOW2_SUBCLUSTERS ? QCOW2_GUEST_ZERO : QCOW2_GUEST_BELOW;
    }
    if ((entry & QCOW2_OFLAG_ZERO) && t->header->version >= 3) {
        return QCOW2_GUEST_ZERO;
    }
    return entry & QCOW2_OFFSET_MASK ? QCOW2_GUEST_DATA : QCOW2_GUEST_BELOW;
}
