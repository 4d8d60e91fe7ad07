/*
 * Lost data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/lost-data.h"

#include <inttypes.h>

static void clear_item(gpointer item)
{
    g_free(((Qcow2Evidence *)item)->reason);
}

void qcow2_lost_data_init(Qcow2LostData *lost, uint64_t clusters)
{
    *lost = (Qcow2LostData){.items = g_array_new(FALSE, FALSE, sizeof(Qcow2Evidence)), .kept = refmap_new(clusters)};
    g_array_set_clear_func(lost->items, clear_item);
}

void qcow2_lost_data_clear(Qcow2LostData *lost)
{
    g_clear_pointer(&lost->items, g_array_unref);
    g_clear_pointer(&lost->kept, refmap_free);
}

/* ---- in words ---- */

char *qcow2_evidence_origin(const Qcow2Evidence *e)
{
    const char *certainty = ImageCheckEvidence_str(e->certainty);

    if (!e->has_guest) {
        return g_strdup_printf("What it was is %s: %s.", certainty, e->reason);
    }
    return g_strdup_printf("It looks like the table that mapped guest 0x%" PRIx64 "-0x%" PRIx64 " (%s: %s).",
                           e->guest_offset, e->guest_offset + e->guest_size - 1, certainty, e->reason);
}

static char *cut_off(const Qcow2Evidence *e)
{
    return g_strdup_printf("%s at 0x%" PRIx64 " of 0x%" PRIx64 " bytes goes on behind the end of the file",
                           ImageCheckStructure_str(e->structure), e->offset, e->size);
}

static char *what(const Qcow2Evidence *e)
{
    switch (e->kind) {
    case QCOW2_EVIDENCE_L2:
        return g_strdup_printf("an L2 table at 0x%" PRIx64 ", with %" PRIu64 " of %" PRIu64 " clusters leaked",
                               e->offset, e->lost, e->named);
    case QCOW2_EVIDENCE_L2_USER:
        return g_strdup_printf("an L2 table at 0x%" PRIx64 ", which has lost a reference, as have %" PRIu64
                               " of %" PRIu64 " clusters",
                               e->offset, e->lost, e->named);
    case QCOW2_EVIDENCE_L1:
        return g_strdup_printf("an L1 table at 0x%" PRIx64 ", with %" PRIu64 " of %" PRIu64 " L2 tables leaked",
                               e->offset, e->lost, e->named);
    case QCOW2_EVIDENCE_SNAPSHOT_TABLE:
        return g_strdup_printf("a snapshot table at 0x%" PRIx64, e->offset);
    case QCOW2_EVIDENCE_EMPTIED:
        return g_strdup_printf("%" PRIu64 " leaked clusters, which zeros in the L2 table at 0x%" PRIx64
                               " may have mapped",
                               e->lost, e->offset);
    case QCOW2_EVIDENCE_CUT_OFF:
        return cut_off(e);
    }
    g_assert_not_reached();
}

char *qcow2_evidence_text(const Qcow2Evidence *e)
{
    g_autofree char *text = what(e);
    g_autofree char *origin = qcow2_evidence_origin(e);

    return g_strdup_printf("%s. %s", text, origin);
}
