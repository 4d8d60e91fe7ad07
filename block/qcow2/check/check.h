/*
 * A check under way, as the parts of the driver see it that look further into an image once it is counted: findings,
 * roles of clusters, repair.
 *
 *     LUKS header                         (read)
 *     snapshot table, bitmap directory    (read, and reported while reading)
 *     stored counts, L1 and bitmap tables (loaded)
 *     qcow2_check_count()                 everything is counted; nothing else is reported yet
 *     qcow2_check_report()                all faults, in the stock tool's order
 *
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_CHECK_H
#define BLOCK_QCOW2_CHECK_CHECK_H

#include "block/qcow2-check.h"
#include "block/qcow2/load/bitmap-directory.h"
#include "block/qcow2/load/encryption.h"
#include "block/qcow2/findings/collector.h"
#include "block/qcow2/load/image.h"
#include "block/qcow2/load/snapshot-table.h"
#include "block/qcow2/check/metadata-regions.h"
#include "block/qcow2/check/walk.h"

typedef struct Qcow2Check {
    Qcow2Image *image;                /* borrowed */
    const Qcow2CheckOptions *options; /* borrowed */
    Qcow2Snapshots snapshots;
    Qcow2BitmapDirectory bitmaps;
    Qcow2LuksHeader luks;
    Qcow2Regions regions;
    Qcow2Counting counting;
    Qcow2StoredCounts *stored;
    Qcow2Walk *walk;
    Qcow2TreeReport *trees;
    Qcow2Collector *collector; /* NULL: no list of findings wanted */
    Qcow2Report report;
    RefMap *kept;           /* 1 or more for each leaked cluster that evidence speaks for; NULL: nobody has looked */
    bool all_kept;          /* it speaks for all of them */
    uint64_t unread_blocks; /* reads of refcount blocks that failed */
    uint64_t used_end;      /* cluster behind the last one in use; after qcow2_check_report() */
} Qcow2Check;

/*
 * Reads and counts all that @image refers to; @visitors, as for qcow2_walk_count(), see the L2 tables on the way.
 * @check is cleared in any case by qcow2_check_clear(). False and @errp set when memory is short, or the source is
 * lost.
 */
bool qcow2_check_count(Qcow2Check *check, Qcow2Image *image, const Qcow2CheckOptions *options,
                       const Qcow2TableVisitor *const *visitors, GError **errp);

/* Reports all faults. The refcount blocks are counted here, after everything else. */
bool qcow2_check_report(Qcow2Check *check, GError **errp);

/* The first part of it: all but wrong counts and COPIED flags. */
bool qcow2_check_report_structures(Qcow2Check *check, GError **errp);

/* The second: wrong counts. Sets @check->used_end. */
void qcow2_check_report_counts(Qcow2Check *check, Qcow2Report *report);

/* Frees the counts, which may be large, when nothing asks for them any more. */
void qcow2_check_forget_counts(Qcow2Check *check);

/*
 * False and @errp set where the server that has the image is lost: what was not read must not look like what was read
 * and found wrong.
 */
bool qcow2_check_source_there(const Qcow2Check *check, GError **errp);

void qcow2_check_clear(Qcow2Check *check);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Check, qcow2_check_clear)

#endif
