/*
 * Reports which leaked clusters a repair keeps, and why.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/report-kept.h"

#include <inttypes.h>
#include <string.h>

#include "util/text.h"

#define MAX_LINES 16 /* of lost structures */

static void report_items(const RepairInput *in, const Qcow2LostData *lost)
{
    for (guint i = 0; i < lost->items->len && i < MAX_LINES; i++) {
        g_autofree char *text = qcow2_evidence_text(&g_array_index(lost->items, Qcow2Evidence, i));
        g_autofree char *safe = text_escape(text, strlen(text));

        repair_say(in, "  %s\n", safe);
    }
    if (lost->items->len + lost->unlisted > MAX_LINES) {
        repair_say(in, "  %" PRIu64 " more are not listed; a check with -v lists them\n",
                   lost->items->len + lost->unlisted - MAX_LINES);
    }
    if (lost->unreadable) {
        repair_say(in, "  %" PRIu64 " clusters that could not be read\n", lost->unreadable);
    }
}

void repair_report_kept(const RepairInput *in, const TargetCounts *t)
{
    double mib = (double)(t->leaks_kept << in->header->cluster_bits) / (1 << 20);

    if (!t->leaks_kept || !repair_wants(in, QCOW2_FINDING_LEAK)) {
        return;
    }
    if (t->lost.kept) {
        repair_say(in,
                   "Leaked clusters are kept, as they look like lost data: %" PRIu64 " clusters, %.1f MiB. --free-lost "
                   "frees them all the same.\n",
                   t->leaks_kept, mib);
        report_items(in, &t->lost);
        return;
    }
    repair_say(in,
               "Leaked clusters are kept, as %s, and something may be in them. --free-lost frees them all the same.\n",
               t->orphaned ? t->orphaned : "one of the faults above may be what makes them look leaked");
}
