/*
 * Looking up an offset: of the file, or of the guest's disk (qapi/explain.json).
 *
 * For a counted and reported image, before its counts are forgotten. Errors: ENOENT for an offset or a snapshot that
 * does not exist, ENOMEM when memory is short. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_LOOKUP_H
#define BLOCK_QCOW2_INSPECT_LOOKUP_H

#include "block/cluster-roles.h"
#include "block/qcow2/check/check.h"

/* Describes @offset of the file; @findings are those of the check. */
ImageCheckHostExplanation *qcow2_lookup_host(Qcow2Check *check, uint64_t offset, const ClusterRoles *roles,
                                             const QapiSequence *findings, GError **errp);

/* Describes the way to @offset of the guest's disk in the tree of the snapshot (name or ID); NULL: active. */
ImageCheckGuestExplanation *qcow2_lookup_guest(const Qcow2Check *check, uint64_t offset, const char *snapshot,
                                               GError **errp);

/*
 * Names the lost table in @answer, of a range without a table, if @findings have one that is known for it above
 * "guessed". Never fails.
 */
void qcow2_lookup_lost_table(ImageCheckGuestExplanation *answer, const QapiSequence *findings);

#endif
