/*
 * What a check is asked for beside its verdict: findings, roles of clusters, space, mappings, the answer to a question,
 * viscera.
 *
 * Each is an observer: it may see the L2 tables while they are counted, and fills its part of the result when all is
 * reported. They are finished in the order of the list, so a later one may use what an earlier one has put there.
 *
 * Not thread safe; visitors are called by the threads of the walk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_OBSERVERS_H
#define BLOCK_QCOW2_INSPECT_OBSERVERS_H

#include "block/qcow2/check/check.h"

typedef struct Qcow2Observers Qcow2Observers;

/* Those that @options ask for, of a check of @image that is to begin with @check. All is borrowed. */
Qcow2Observers *qcow2_observers_new(const Qcow2Check *check, Qcow2Image *image, const Qcow2CheckOptions *options);
void qcow2_observers_free(Qcow2Observers *observers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Observers, qcow2_observers_free)

/* What they want to see of the walk, for qcow2_check_count(). */
const Qcow2TableVisitor *const *qcow2_observers_visitors(const Qcow2Observers *observers);

/*
 * Reads the data that is to be verified, after qcow2_check_report() and before the verdict: another program may write
 * to the image meanwhile. False and @errp set when memory is short, or the source is lost.
 */
bool qcow2_observers_read_data(Qcow2Observers *observers, Qcow2Check *check, GError **errp);

/*
 * Fills @result, which has the verdict, after qcow2_check_report(). Once. @check may have no counts any more when this
 * returns. False and @errp set when memory is short.
 */
bool qcow2_observers_finish(Qcow2Observers *observers, Qcow2Check *check, Qcow2CheckResult *result, GError **errp);

#endif
