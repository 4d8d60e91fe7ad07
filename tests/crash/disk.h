/*
 * A disk for tests: a source in memory that writes down all that is done to it, and fails when it is told to.
 *
 * Several disks may share a journal, in which everything is in the order in which it happened. The journal outlives
 * them. Reads may come from several threads; all else is one thread's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include "block/source.h"

#define CRASH_DISKS  2u
#define CRASH_SECTOR 512u /* bytes that a disk writes wholly or not at all */

typedef enum CrashOpKind { CRASH_WRITE, CRASH_TRUNCATE, CRASH_PUNCH, CRASH_FLUSH } CrashOpKind;

/* Something that was done. A flush has neither offset nor size; a truncate has its length as offset. */
typedef struct CrashOp {
    CrashOpKind kind;
    unsigned disk;
    uint64_t offset;
    uint64_t size;
    uint8_t *bytes; /* of a write */
} CrashOp;

/* What goes wrong, once. */
typedef struct CrashFault {
    guint at;          /* the number of the request that fails, counted from 1 over all disks; 0: none */
    int error;         /* a negative errno value; 0: a write that writes less than it was asked to */
    bool half_a_write; /* a write that fails has written its first half, in whole sectors */
} CrashFault;

typedef struct CrashJournal {
    GArray *ops; /* of CrashOp */
    CrashFault fault;
    guint requests; /* atomic */
} CrashJournal;

CrashJournal *crash_journal_new(void);
void crash_journal_free(CrashJournal *journal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CrashJournal, crash_journal_free)

/* Disk @disk (below CRASH_DISKS) of @journal, with a copy of the @size bytes at @bytes; it holds @limit bytes at most.
 */
BlockSource *crash_disk_new(CrashJournal *journal, unsigned disk, const void *bytes, size_t size, size_t limit);

/* The bytes that it has now; source->length of them. */
const uint8_t *crash_disk_bytes(const BlockSource *disk);

#endif
