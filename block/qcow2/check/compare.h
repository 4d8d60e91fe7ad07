/*
 * Comparing stored with computed reference counts (docs/interop/check-behaviour.rst 4.1).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_COMPARE_H
#define BLOCK_QCOW2_CHECK_COMPARE_H

#include "block/qcow2/findings/report.h"
#include "block/qcow2/load/refcount-blocks.h"
#include "block/clusters/refmap.h"

/*
 * Reports every cluster of @computed whose stored count is different or unknown. Returns the cluster behind the last
 * one that is used by either, at least 1, and sets the stored_end of @report.
 */
uint64_t qcow2_compare_refcounts(const Qcow2HeaderFields *header, const Qcow2StoredCounts *stored,
                                 const RefMap *computed, Qcow2Report *report);

#endif
