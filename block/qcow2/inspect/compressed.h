/*
 * Verifying compressed clusters: reads the data of each, and decompresses it.
 *
 * The check's own pass over the tables shows the compressed clusters; those with the lowest offsets in the file, up to
 * LIMIT_COMPRESSED, are kept and verified in that order. For the others the tables are read again, as often as needed:
 * memory does not grow with the image. Data that several entries share, in one table or in those of snapshots, is read
 * and decompressed once.
 *
 * What is damaged goes to qcow2/inspect/unreadable.h, which finds by itself what ends beyond the end of the file.
 *
 * Memory: two lists of LIMIT_COMPRESSED numbers of 8 bytes for each thread, the reads in flight, a decompressor and a
 * cluster for each thread. Not thread safe; the visitor is called by several threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_COMPRESSED_H
#define BLOCK_QCOW2_INSPECT_COMPRESSED_H

#include "block/qcow2/check/check.h"
#include "block/qcow2/inspect/unreadable.h"

typedef struct Qcow2CompressedVerifier Qcow2CompressedVerifier;

/* For a check of @image, before it begins. All is borrowed. @found gets the clusters that are damaged. */
Qcow2CompressedVerifier *qcow2_compressed_new(const Qcow2Image *image, const DecompressOps *ops,
                                              Qcow2UnreadableFinder *found);
void qcow2_compressed_free(Qcow2CompressedVerifier *verifier);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2CompressedVerifier, qcow2_compressed_free)

/* The visitor for qcow2_check_count(). */
const Qcow2TableVisitor *qcow2_compressed_visitor(const Qcow2CompressedVerifier *verifier);

/*
 * Verifies, after qcow2_check_report(), once. Reads that fail are failures of @check. False and @errp set if memory is
 * short or the source is lost.
 */
bool qcow2_compressed_verify(Qcow2CompressedVerifier *verifier, Qcow2Check *check, GError **errp);

/*
 * Examines @length bytes of compressed data, at least 1, of an image with @header. Returns what is wrong with it; 0:
 * nothing. @decompressor is one of @ops, for a cluster.
 */
Qcow2UnreadableReason qcow2_compressed_examine(const DecompressOps *ops, Decompressor *decompressor,
                                               const Qcow2HeaderFields *header, const uint8_t *data, size_t length);

/* Fills the numbers of @result, once all is verified. */
void qcow2_compressed_finish(const Qcow2CompressedVerifier *verifier, ImageCheck *result);

#endif
