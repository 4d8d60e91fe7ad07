/*
 * Evidence: which leaked clusters are the last copy of somebody's data, and what speaks for it.
 *
 *     surplus      clusters with more references stored than counted            evidence-surplus.h
 *     candidates   leaked clusters that are tables, by their form and by what   evidence-candidates.h, -forms.h
 *                  they refer to
 *     places       where a table is missing, and which of them was whose        evidence-places.h, -sharing.h
 *     emptied      tables, or parts of them, that are zeros while clusters      evidence-emptied.h
 *                  leak that they may have mapped
 *     cut off      tables that go on behind the end of the file                 evidence-cut.h
 *
 * A leaked cluster is kept for one of four reasons: it is a lost table; a lost table refers to it; it fits an emptied
 * part of a table; it could not be read. All else that leaks is rubbish.
 *
 * Reads what is leaked, in the order of the file; the L2 tables in use once more only where a lost table shares
 * clusters with one, or something leaks that no lost table explains. Memory: about 50 bytes for each lost table, and a
 * counter for each cluster that is kept. Not thread safe; reads on several threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_H

#include "block/qcow2/check/check.h"
#include "block/qcow2/inspect/lost-data.h"

/* For a counted and reported check whose counts are not yet forgotten. False and @errp set when memory is short. */
bool qcow2_find_lost_data(Qcow2Check *check, Qcow2LostData *lost, GError **errp);

#endif
