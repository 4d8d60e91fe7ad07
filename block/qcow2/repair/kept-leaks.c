/*
 * Leaked clusters that a repair keeps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/kept-leaks.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/load/snapshot-traces.h"
#include "block/qcow2/repair/passes.h"
#include "util/text.h"

#define MAX_LINES 16 /* of lost structures */

/*
 * Faults behind which there may be clusters that then look as if they were leaked: what refers to them cannot be read,
 * or refers to a place where they are not. Where an entry has a bit wrong, others of it may be.
 */
#define MAY_CAUSE_FALSE_LEAKS                                                                                          \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOTS_TOO_MANY) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE) |                                                       \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG) |                                                         \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_REGION_BEYOND_END) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_L1_TOO_LARGE) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L1_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_L1_RESERVED_BITS) |              \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L2_TABLE_UNALIGNED) | QCOW2_FINDING_BIT(QCOW2_FINDING_L2_UNREADABLE) |            \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L2_RESERVED_BITS) | QCOW2_FINDING_BIT(QCOW2_FINDING_COMPRESSED_COPIED) |          \
     QCOW2_FINDING_BIT(QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE) |                                                      \
     QCOW2_FINDING_BIT(QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS) | QCOW2_FINDING_BIT(QCOW2_FINDING_DATA_UNALIGNED) |  \
     QCOW2_FINDING_BIT(QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS) |                                                   \
     QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_DIRECTORY_DAMAGED) |                                                       \
     QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_DAMAGED) |  \
     QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_TABLE_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_TABLE_ENTRY))

bool repair_may_cause_false_leaks(const RepairInput *in)
{
    return repair_found_any(in, MAY_CAUSE_FALSE_LEAKS);
}

/* ---- traces of what was lost ---- */

/* Returns true if the cluster at @offset has a count that nothing accounts for, or one that is not known. */
static bool looks_leaked(const TargetCounts *t, uint64_t offset)
{
    uint64_t cluster = offset >> t->in->header->cluster_bits, stored;

    return cluster < t->layout->file_clusters && !layout_in_use(t->layout, cluster) &&
           (!qcow2_stored_count(t->stored, cluster, &stored) || stored > refmap_get(t->counts, cluster));
}

/* What looks like an entry and was not read counts where what it refers to is not in use. */
static bool snapshot_unlisted(const TargetCounts *t)
{
    const Qcow2Check *check = t->in->check;
    g_autoptr(GArray) l1_tables = qcow2_snapshots_unlisted(check->image->source, t->in->header, &check->snapshots);
    bool any = false;

    for (guint i = 0; i < l1_tables->len && !any; i++) {
        uint64_t offset = g_array_index(l1_tables, uint64_t, i);

        any = !offset || looks_leaked(t, offset);
    }
    return any;
}

static bool snapshot_orphaned(const TargetCounts *t)
{
    const GArray *snapshots = t->in->check->snapshots.items;
    bool any = false;

    for (guint i = 0; i < snapshots->len && !any; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots, Qcow2Snapshot, i);

        any = qcow2_snapshot_is_zeros(s) || s->lost_tree ||
              (!s->l1_size && s->l1_table_offset && looks_leaked(t, s->l1_table_offset));
    }
    return any;
}

/* Finds what is orphaned in leaked clusters, be it that their counts are not known, although no fault says so. */
static void find_orphaned(TargetCounts *t)
{
    const RepairInput *in = t->in;

    if (!in->check->report.leaks && !in->check->report.check_errors) {
        return;
    }
    t->snapshot_unlisted = snapshot_unlisted(t);
    if ((in->header->autoclear_features & QCOW2_AUTOCLEAR_BITMAPS) && !in->image->extensions.has_bitmaps) {
        t->orphaned = "the header says that there are bitmaps, but not where";
    } else if (t->snapshot_unlisted || snapshot_orphaned(t)) {
        t->orphaned = "the snapshot table has traces of a snapshot that is lost";
    } else if (in->check->luks.state != QCOW2_LUKS_WHOLE) {
        t->orphaned = "the encryption header is not where the image says, or not all of it";
    }
}

/* ---- keeping ---- */

/* How many references to @cluster are leaked, those that stay included. */
static uint64_t leaked_references(const TargetCounts *t, uint64_t cluster)
{
    uint64_t computed = target_counts_computed(t, cluster), stored;

    if (!qcow2_stored_count(t->stored, cluster, &stored)) {
        stored = cluster < t->layout->file_clusters; /* where nothing is known of the count, there may be something */
    }
    return stored > computed ? stored - computed : 0;
}

/* The same when the repair began; any number where the block of @cluster was missing, and nothing used the cluster. */
static uint64_t leaked_at_first(const TargetCounts *first, uint64_t cluster)
{
    bool unknown = !target_counts_has_block(first, cluster >> qcow2_refblock_bits(first->in->header));

    return unknown && !target_counts_computed(first, cluster) ? UINT64_MAX : leaked_references(first, cluster);
}

/* Keeps leaked references: all, or those to the clusters of @lost. What this repair has set free does not stay. */
static bool keep(TargetCounts *t, const RefMap *lost)
{
    /* nothing is lowered where leaks are not to be repaired at all */
    bool may_lower_used = !lost && repair_wants(t->in, QCOW2_FINDING_LEAK);
    CountRun run;

    t->kept = refmap_new(refmap_clusters(t->counts));
    for (uint64_t at = 0; target_counts_next_run(t, at, &run); at = run.first + run.n) {
        for (uint64_t i = run.first; i < run.first + run.n; i++) {
            uint64_t leaked = leaked_references(t, i);

            leaked = t->in->first ? MIN(leaked, leaked_at_first(t->in->first, i)) : leaked;
            if (!leaked || (may_lower_used && layout_in_use(t->layout, i)) || (lost && !refmap_get(lost, i))) {
                continue;
            }
            if (!refmap_add(t->counts, i, 1, leaked) || !refmap_add(t->kept, i, 1, leaked)) {
                return false;
            }
            t->leaks_kept++;
        }
    }
    return true;
}

bool keep_leaks(TargetCounts *t, Qcow2Check *check, GError **errp)
{
    bool careful = !t->in->options->free_lost;

    assert(check == t->in->check && !t->kept);
    if (careful) {
        find_orphaned(t);
    }
    t->keep_leaks =
        t->orphaned || (careful && repair_may_cause_false_leaks(t->in)) || !repair_wants(t->in, QCOW2_FINDING_LEAK);
    if (careful && (!t->keep_leaks || t->in->options->restore) && check->report.leaks) {
        if (!qcow2_find_lost_data(check, &t->lost, errp)) {
            return false;
        }
        t->keep_leaks |= t->lost.everything;
        if (!t->keep_leaks && !restore_blocks_keep(t, &t->lost)) {
            return repair_no_memory(errp);
        }
    }
    return !(t->keep_leaks || t->lost.n_kept) || keep(t, t->keep_leaks ? NULL : t->lost.kept) || repair_no_memory(errp);
}

/* ---- reporting ---- */

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
    if (lost->n_blocks) {
        repair_say(in,
                   "  %" PRIu64
                   " clusters with the counts of a refcount block that is missing; --attach OFFSET=reftable:N "
                   "puts one back\n",
                   lost->n_blocks);
    }
    if (lost->unreadable) {
        repair_say(in, "  %" PRIu64 " clusters that could not be read\n", lost->unreadable);
    }
}

/* What is cut off has no place, nor has what is found as a reason for others. */
static bool is_restorable(const Qcow2Evidence *e)
{
    return e->kind != QCOW2_EVIDENCE_CUT_OFF && e->kind != QCOW2_EVIDENCE_SNAPSHOT_TABLE;
}

/* Names the way back, of which the first part does what is proved. */
static void report_way_back(const RepairInput *in, const Qcow2LostData *lost)
{
    unsigned n[3] = {0}; /* by ImageCheckEvidence */
    ImageCheckEvidence weakest = IMAGE_CHECK_EVIDENCE_GUESSED;

    for (guint i = 0; i < lost->items->len; i++) {
        const Qcow2Evidence *e = &g_array_index(lost->items, Qcow2Evidence, i);

        n[e->certainty] += is_restorable(e);
    }
    while (weakest > IMAGE_CHECK_EVIDENCE_PROVED && !n[weakest]) {
        weakest--;
    }
    if (!n[weakest] || (in->options->restore && weakest <= in->options->min_evidence)) {
        return;
    }
    repair_say(in, "To bring back what is %s: qemu-img check -r all --restore --undo-file FILE%s%s\n",
               ImageCheckEvidence_str(weakest), weakest ? " --min-evidence " : "",
               weakest ? ImageCheckEvidence_str(weakest) : "");
    if (n[IMAGE_CHECK_EVIDENCE_PROVED] && weakest && !in->options->restore) {
        repair_say(in, "Without --min-evidence it brings back what is proved only.\n");
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
        report_way_back(in, &t->lost);
        return;
    }
    repair_say(in,
               "Leaked clusters are kept, as %s, and something may be in them. --free-lost frees them all the same.\n",
               t->orphaned ? t->orphaned : "one of the faults above may be what makes them look leaked");
}
