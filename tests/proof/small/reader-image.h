/*
 * The parts of the independent reader: bytes of the file, the header, and opening as the stock tool does it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_SMALL_READER_IMAGE_H
#define TESTS_PROOF_SMALL_READER_IMAGE_H

#include "reader.h"

#define READER_COPIED      (UINT64_C(1) << 63)
#define READER_COMPRESSED  (UINT64_C(1) << 62)
#define READER_OFFSET_MASK UINT64_C(0x00fffffffffffe00)

#define READER_MAX_CLUSTERS   (READER_MAX_BYTES / 512 + 2)
#define READER_MAX_L1_ENTRIES 4194304u

typedef struct ReaderImage {
    const uint8_t *bytes;
    uint64_t length;

    uint32_t version;
    uint64_t backing_offset;
    uint32_t backing_size;
    unsigned cluster_bits;
    uint64_t cluster_size;
    uint64_t size;
    uint32_t crypt_method;
    uint32_t l1_size;
    uint64_t l1_offset;
    uint64_t table_offset;   /* refcount table */
    uint32_t table_clusters; /* clusters */
    uint32_t n_snapshots;
    uint64_t snapshots_offset;
    uint64_t incompatible, autoclear;
    uint32_t order;
    uint32_t header_length;

    bool data_file, extended;
    bool has_crypt_header;
    uint64_t crypt_offset, crypt_length;
    bool has_data_file_name;
    bool bitmaps; /* valid ones */
    uint32_t n_bitmaps;
    uint64_t directory_size, directory_offset;
} ReaderImage;

/* One entry of the bitmap directory. */
typedef struct ReaderBitmap {
    uint64_t table_offset;
    uint32_t table_size;
    uint32_t flags;
    uint8_t type, granularity;
    uint16_t name_size;
    uint32_t extra_size;
    const char *fault; /* NULL: none */
    bool has_table;    /* whatever else is wrong, there may be one where it says */
} ReaderBitmap;

/*
 * Whether no read of these bytes fails: whole sectors of 512 bytes are read, and none ends at 2^63 or behind. (For the
 * stock tool, a read of nothing does not fail.)
 */
bool reader_readable(uint64_t offset, uint64_t size);

/* Behind the end of the file are zeros. */
void reader_get(const ReaderImage *image, uint64_t offset, void *to, uint64_t size);
uint64_t reader_get64(const ReaderImage *image, uint64_t offset);
uint32_t reader_get32(const ReaderImage *image, uint64_t offset);
uint32_t reader_get16(const ReaderImage *image, uint64_t offset);
uint32_t reader_get8(const ReaderImage *image, uint64_t offset);

bool reader_aligned(const ReaderImage *image, uint64_t offset);

/* Reads the header and all else that opening reads. Sets refusals of @result, and notes stale bitmaps. */
void reader_open(ReaderImage *image, ReaderResult *result);

/* The entry of the bitmap directory at @at, which is moved on; false where the directory cannot have it. */
bool reader_next_bitmap(const ReaderImage *image, uint64_t *at, ReaderBitmap *bitmap);

/* What the stock tool does not accept in a bitmap's table entry. */
bool reader_bad_bitmap_entry(const ReaderImage *image, uint64_t entry);

/* Whether the table has as many entries as the disk needs. */
bool reader_bitmap_fits(const ReaderImage *image, const ReaderBitmap *bitmap);

typedef struct Reader {
    ReaderImage image;
    ReaderResult *result;
    uint64_t references[READER_MAX_CLUSTERS];
    uint64_t n; /* of references */
    uint64_t max_count;
    bool unaligned_block_told;
} Reader;

/* What a finding adds to. */
typedef enum ReaderCounter { NONE, CORRUPTION, LEAK, ERROR } ReaderCounter;

typedef enum ReaderEntryKind { COMPRESSED, ALLOCATED, PLAIN_ZERO, UNALLOCATED } ReaderEntryKind;

void reader_found(Reader *reader, ReaderCounter counter, ReaderKind kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The length of the file as the limits have it. */
uint64_t reader_file_length(const Reader *reader);

/* Count(offset, size) of section 3.2. */
void reader_count(Reader *reader, uint64_t offset, uint64_t size);

/* Section 3.3; of the active table with statistics. */
void reader_walk_l1(Reader *reader, uint64_t l1, uint32_t entries, bool active);

ReaderEntryKind reader_kind_of(const ReaderImage *image, uint64_t entry);

#endif
