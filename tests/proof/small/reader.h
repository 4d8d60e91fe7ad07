/*
 * An independent reader of qcow2 images: what a check must find, from the description of the format and of the stock
 * tool's check alone. It shares nothing with the program, and was written without a look at it.
 *
 * It is for small images in memory: a file of at most READER_MAX_BYTES. Not thread safe: one result at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_SMALL_READER_H
#define TESTS_PROOF_SMALL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READER_MAX_BYTES ((uint64_t)1 << 20)
#define READER_MAX_TEXT  ((size_t)1 << 16) /* bytes of messages that are kept */

/* Kinds of findings, for classes of outcome. */
typedef enum ReaderKind {
    SNAPSHOT_TABLE_ABORTS,
    SNAPSHOT_INCOMPLETE,
    SNAPSHOTS_WITH_DATA_FILE,
    SNAPSHOT_L1_UNALIGNED,
    SNAPSHOT_L1_TOO_LARGE,
    BEYOND_END,
    OVERFLOW_OF_COUNT,
    L1_UNREADABLE,
    L1_RESERVED_BITS,
    L2_UNALIGNED,
    L2_RESERVED_BITS,
    COMPRESSED_COPIED,
    COMPRESSED_WITH_DATA_FILE,
    COMPRESSED_WITH_SUBCLUSTERS,
    SUBCLUSTERS_CONTRADICT,
    DATA_UNALIGNED,
    PREALLOCATED_UNALIGNED,
    UNALLOCATED_WITH_SUBCLUSTERS,
    BITMAPS_STALE,
    BITMAPS_DAMAGED,
    BLOCK_RESERVED,
    BLOCK_UNALIGNED,
    BLOCK_OUTSIDE,
    BLOCK_SHARED,
    COUNT_UNREADABLE,
    COUNT_ZERO,
    COUNT_LOW,
    COUNT_HIGH,
    L1_COPIED,
    L2_COPIED,
    READER_KINDS
} ReaderKind;

extern const char *const reader_kind_names[READER_KINDS];

typedef struct ReaderResult {
    /* Why nobody opens the image, in the words of the stock tool; NULL: it opens. */
    const char *refusal;
    /* Why the stock tool alone does not open it, though this program does (docs/interop/differences.rst); or NULL. */
    const char *stock_refusal;
    /* The stock tool gives up in the middle, where this program goes on. */
    bool stock_aborts;
    /* The counts below and the text are all that there is to find; else they are the least. */
    bool exact;
    /* The stock tool opens other files, or takes minutes. */
    bool not_for_stock;

    uint64_t corruptions, leaks, errors;
    uint64_t flags;    /* of the corruptions: wrong COPIED flags */
    uint64_t harmless; /* of these: COPIED flags that are missing, so that a write copies the cluster first */
    uint64_t total, allocated, fragmented, compressed; /* clusters */
    uint64_t end;                                      /* image end offset, bytes; with no errors only */
    uint32_t kinds;                                    /* a bit for each ReaderKind */

    char text[READER_MAX_TEXT]; /* the lines on standard error, ended by a NUL */
    size_t text_size;
    bool text_cut;
} ReaderResult;

/* Checks the @length bytes at @bytes. @result is overwritten. */
void reader_check(const uint8_t *bytes, uint64_t length, ReaderResult *result);

#endif
