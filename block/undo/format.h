/*
 * The undo file at a glance; docs/interop/undo-file.rst describes it.
 *
 *     header | record | record | ... | end record
 *
 * All numbers are big-endian. Each record ends with a SHA-256 over the digest before it, its own head and its payload;
 * the digest before the first record is that of the header. This chain detects records that are cut off, changed, left
 * out or exchanged.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_UNDO_FORMAT_H
#define BLOCK_UNDO_FORMAT_H

#include <assert.h>
#include <stdint.h>

#define UNDO_MAGIC         "\x89QCUNDO\n"
#define UNDO_VERSION       1
#define UNDO_DIGEST_SIZE   32
#define UNDO_IDENTITY_SIZE 4096u /* bytes from the start of the image that identify it; all of a shorter one */
#define UNDO_SECTOR        512u  /* bytes that a disk writes as a whole or not at all */
#define UNDO_NAME_SIZE     4096u /* of the name of an image, at most */

typedef struct UndoHeader {
    char magic[8];
    uint32_t version;
    uint32_t reserved;                  /* 0 */
    uint64_t image_length;              /* before the repair, bytes */
    uint8_t identity[UNDO_DIGEST_SIZE]; /* of the first bytes of the image before the repair */
    uint8_t digest[UNDO_DIGEST_SIZE];   /* of all above */
} UndoHeader;
static_assert(sizeof(UndoHeader) == 88, "the header has no padding");

typedef enum UndoRecordType {
    UNDO_RECORD_RANGE = 1,   /* [offset, offset + size) of the image */
    UNDO_RECORD_LENGTH = 2,  /* offset: the length of the image after the repair */
    UNDO_RECORD_BARRIER = 3, /* the repair flushes here */
    UNDO_RECORD_END = 4,     /* offset: number of records before this one */
    UNDO_RECORD_NAME = 5,    /* the payload, of size bytes, is the name of the image */
} UndoRecordType;

/* Of a range: the new bytes are known, and follow the old ones. */
#define UNDO_FLAG_NEW 1u

/*
 * The payload of a range is its old bytes, as far as the range lies below the old length of the image, then its new
 * bytes, if the flag is set. Other records but names have none, and their unused members are 0.
 */
typedef struct UndoRecord {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t size; /* bytes, at least 1 */
} UndoRecord;
static_assert(sizeof(UndoRecord) == 24, "a record has no padding");

#endif
