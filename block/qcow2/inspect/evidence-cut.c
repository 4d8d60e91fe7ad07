/*
 * Tables that the end of the file cuts off.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-cut.h"

#include "block/qcow2/inspect/users.h"
#include "util/number.h"
#include "util/search.h"

typedef struct CutOff {
    const Qcow2Check *check;
    Qcow2LostData *lost;
} CutOff;

static void add_item(const CutOff *c, ImageCheckStructure structure, uint64_t offset, uint64_t size)
{
    Qcow2Evidence e = {
        .kind = QCOW2_EVIDENCE_CUT_OFF,
        .certainty = IMAGE_CHECK_EVIDENCE_GUESSED,
        .structure = structure,
        .offset = offset,
        .size = size,
        .reason = g_strdup_printf("the file ends at 0x%" PRIx64, c->check->image->source->length),
    };

    c->lost->everything = true;
    if (c->lost->items->len < QCOW2_MAX_EVIDENCE) {
        g_array_append_val(c->lost->items, e);
    } else {
        c->lost->unlisted++;
        g_free(e.reason);
    }
}

static bool is_cut_off(const CutOff *c, uint64_t offset, uint64_t size)
{
    uint64_t length = c->check->image->source->length;

    return offset < length && size > length - offset;
}

static bool look_at(void *opaque, const Qcow2User *u)
{
    const CutOff *c = opaque;
    bool table = u->structure == IMAGE_CHECK_STRUCTURE_L1 || u->structure == IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE ||
                 u->structure == IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY ||
                 u->structure == IMAGE_CHECK_STRUCTURE_BITMAP_TABLE;

    if (table && is_cut_off(c, u->offset, u->size)) {
        add_item(c, u->structure, u->offset, u->size);
    }
    return true;
}

static void look_at_l2_tables(const CutOff *c)
{
    uint64_t size = c->check->image->header.cluster_size, length = c->check->image->source->length;
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(c->check->walk, &n);

    for (size_t i = FIRST_NOT_BELOW(tables, n, Qcow2TableRef, offset, length - MIN(length, size));
         i < n && tables[i].offset < length; i++) {
        if (tables[i].offset % size == 0 && is_cut_off(c, tables[i].offset, size)) {
            add_item(c, IMAGE_CHECK_STRUCTURE_L2, tables[i].offset, size);
        }
    }
}

void qcow2_find_cut_off(const Qcow2Check *check, Qcow2LostData *lost)
{
    CutOff c = {check, lost};

    qcow2_visit_metadata(check, look_at, &c);
    look_at_l2_tables(&c);
}
