/*
 * Block sources: where the bytes of an image come from.
 *
 * A format driver sees nothing of files, devices or servers but this. Offsets and lengths are bytes. Reading beyond the
 * end gives zeros, as in the stock tool (docs/interop/check-behaviour.rst 2.7), so that no reader needs a special case
 * for a table that crosses the end of the file.
 *
 * A source is opened by the function of its kind and closed with block_source_close(). Reads may be issued from
 * any number of threads at once; nothing else may. For many reads in flight each reading thread makes a reader of its
 * own.
 *
 * A source that was opened as writable can be changed, by one thread, while nothing is read. Written bytes are on disk,
 * and survive a crash, only after a later flush has succeeded; until then any part of them may or may not be there, in
 * any order. After a failed flush the state of the disk is unknown, so the source refuses all further changes and
 * flushes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_SOURCE_H
#define BLOCK_SOURCE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block/error.h"

typedef struct BlockSource BlockSource;
typedef struct BlockReader BlockReader;

/* One read. The caller keeps it, and the buffer, until it is complete. */
typedef struct BlockRequest {
    uint64_t offset;
    size_t size; /* 1 .. 2^30 */
    void *buffer;
    int error; /* once complete: 0, all bytes being there, or a negative errno value */
} BlockRequest;

/* A state of a source: it differs after another program wrote to it. */
typedef struct BlockSourceState {
    uint64_t length;
    int64_t changed_at; /* nanoseconds since 1970, as exact as the file system has it; 0 where not known */
} BlockSourceState;

typedef struct BlockSourceOps {
    /*
     * Reads up to @size bytes (1 .. 2^30) at @offset, all of which lie below the length. Returns how many were
     * read, 0 when the file ends at @offset after all, or a negative errno value. May block.
     */
    ssize_t (*read_at)(BlockSource *source, void *buffer, size_t size, uint64_t offset);

    /*
     * Makes a reader for the calling thread, or returns NULL where that is not possible (now); reads then go
     * through read_at one by one. NULL: always so.
     */
    BlockReader *(*reader_new)(BlockSource *source);

    /*
     * The first offset at or behind @offset where the file has data rather than a hole, the length where there is
     * none. Any thread may ask. NULL: holes are not known.
     */
    uint64_t (*next_data)(BlockSource *source, uint64_t offset);

    /* The first offset at or behind @offset where a hole begins, or the length. NULL exactly where next_data is. */
    uint64_t (*next_hole)(BlockSource *source, uint64_t offset);

    /*
     * Writes up to @size bytes (1 .. 2^30) at @offset, which may lie behind the length where the source can grow;
     * -ENOSPC where it cannot. Returns how many were written, at least 1, or a negative errno value. NULL, as are
     * flush, truncate and punch: not offered.
     */
    ssize_t (*write_at)(BlockSource *source, const void *buffer, size_t size, uint64_t offset);

    /*
     * As write_at, but the bytes are on disk when it returns, in less time than with a flush; -EOPNOTSUPP if that is
     * not possible. NULL: never.
     */
    ssize_t (*write_durably_at)(BlockSource *source, const void *buffer, size_t size, uint64_t offset);

    /* Returns 0 when all that was written before is on disk, or a negative errno value. */
    int (*flush)(BlockSource *source);

    /* Makes the source @length bytes long; new bytes are zeros. Returns 0 or a negative errno value. */
    int (*truncate)(BlockSource *source, uint64_t length);

    /*
     * Gives back the space of a range below the length, whose bytes are then each zero or as before. Returns 0 or a
     * negative errno value, -EOPNOTSUPP where that is not possible (here).
     */
    int (*punch)(BlockSource *source, uint64_t offset, uint64_t size);

    /* The state at this moment. NULL: it is not known. */
    BlockSourceState (*state)(BlockSource *source);

    /* Frees what the kind of source allocated, the BlockSource included. */
    void (*close)(BlockSource *source);
} BlockSourceOps;

struct BlockSource {
    const BlockSourceOps *ops;
    uint64_t length;   /* bytes, as found when the source was opened, or as changed by the functions below */
    bool writable;     /* set by the kind of source */
    bool fixed_length; /* it cannot become longer; set by the kind of source */

    /* Reads are fastest where offset, size and buffer are multiples of it; 0: any are. Set by the kind of source. */
    uint32_t alignment;

    /* What was done so far; kept by the functions below, atomically. */
    uint64_t bytes_read;
    uint64_t requests;
    uint64_t failed_reads;
    gint read_error;    /* of the last read that failed, a negative errno value */
    uint64_t latency;   /* of one read that had to wait, and for no other, microseconds; 0: none had to */
    gint lost;          /* nothing can be read any more: the server is gone for good; set by the kind of source */
    const char *reader; /* what had reads in flight, for whoever wants to know; NULL: nothing had to wait */

    /* The first bytes, which need not be asked for again; kept by the functions below. NULL: none are there. */
    uint8_t *head;
    size_t head_size;

    int flush_error; /* of the first flush that failed, a negative errno value; kept by the functions below */
};

/* What a kind of source does for a reader; requests handed to it lie wholly below the length. */
typedef struct BlockReaderOps {
    /* Starts @request. True when it is complete already; else wait() returns it some time. Does not block long. */
    bool (*submit)(BlockReader *reader, BlockRequest *request);

    /* Returns a request that was submitted and is now complete; blocks until there is one. At least one is in flight.
     */
    BlockRequest *(*wait)(BlockReader *reader);

    /* Frees the reader. Nothing is in flight. */
    void (*close)(BlockReader *reader);
} BlockReaderOps;

struct BlockReader {
    const BlockReaderOps *ops;
    BlockSource *source;
    unsigned max_in_flight; /* no more requests than this may be in flight at once; at least 1 */
};

/* Never fails: where the source has no readers of its own, one that reads when submitting. */
BlockReader *block_reader_new(BlockSource *source);

/* As BlockReaderOps, for any request below BLOCK_SOURCE_MAX_LENGTH: what lies beyond the end is zeros. */
bool block_reader_submit(BlockReader *reader, BlockRequest *request);
BlockRequest *block_reader_wait(BlockReader *reader);

/* For kinds of readers: reads the rest of @request, behind its first @done bytes, with read_at. May block. */
void block_request_finish(BlockSource *source, BlockRequest *request, size_t done);

void block_reader_free(BlockReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockReader, block_reader_free)

/* How a file is read when more than one read is to be in flight. */
typedef enum FileReaderKind {
    FILE_READER_AUTO,     /* io_uring, or threads where that cannot be had */
    FILE_READER_IO_URING, /* no reads in flight where it cannot be had */
    FILE_READER_THREADS,
    FILE_READER_INLINE, /* one read after the other */
} FileReaderKind;

typedef struct FileOptions {
    bool force_share; /* share the image with writers; -U */
    bool no_locking;  /* take no locks at all; file.locking=off */
    bool direct;      /* O_DIRECT; -T none and -T directsync */
    bool writable;    /* open for a repair; not together with force_share */
    bool create;      /* make the file, which must not exist, for its owner alone; with writable */
    bool sync;        /* each write is on disk when it is done; -T writethrough and -T directsync */
    bool no_flush;    /* a flush does nothing; -T unsafe */
    FileReaderKind reader;
} FileOptions;

/*
 * Opens a regular file or a block device for reading, or for reading and writing, and takes the locks of a plain check
 * or of a repair (docs/interop/check-behaviour.rst 2.8). A device cannot be made longer. NULL and @errp set on failure;
 * the message is what follows the colon in "Could not open 'NAME': ", so that a caller can put the name in front as the
 * user gave it.
 */
BlockSource *block_source_open_file(const char *path, const FileOptions *options, GError **errp);

/* A source over @size bytes at @bytes, which the caller keeps alive as long as the source. Never fails. */
BlockSource *block_source_new_memory(const void *bytes, size_t size);

/*
 * A source that can be written, over a copy of the @size bytes at @bytes. It grows up to @limit bytes, beyond which it
 * is full. Never fails.
 */
BlockSource *block_source_new_writable_memory(const void *bytes, size_t size, size_t limit);

/* The bytes of such a source, source->length of them, until it is changed or closed. */
const uint8_t *block_source_memory_bytes(const BlockSource *source);

/*
 * A source over the @size bytes at @start of @whole, which have to lie inside it; closing it closes @whole. With
 * BLOCK_WINDOW_TO_END it has all from @start on, and can become longer where @whole can. Nothing outside is read or
 * written. Never fails.
 */
#define BLOCK_WINDOW_TO_END UINT64_MAX

BlockSource *block_source_new_window(BlockSource *whole, uint64_t start, uint64_t size);

/*
 * Reads exactly @size bytes at @offset into @buffer; what lies beyond the end of the source reads as zeros.
 * Returns 0 or a negative errno value: -EIO where offset + size exceeds BLOCK_SOURCE_MAX_LENGTH.
 */
#define BLOCK_SOURCE_MAX_LENGTH UINT64_C(0x7fffffffc0000000) /* bytes; found by experiment with the stock tool */

int block_source_read(BlockSource *source, void *buffer, size_t size, uint64_t offset);

/*
 * Changes to a source. All return 0 or a negative errno value: -EROFS where the source is not writable, -EIO beyond
 * BLOCK_SOURCE_MAX_LENGTH, -ENOSPC where the source should grow and cannot. After an error any part of the change
 * may have been made.
 */
int block_source_write(BlockSource *source, const void *buffer, size_t size, uint64_t offset); /* all of it */

/* The same, and all that was written is on disk when it returns 0. What was written before it need not be. */
int block_source_write_durably(BlockSource *source, const void *buffer, size_t size, uint64_t offset);

int block_source_flush(BlockSource *source);
int block_source_truncate(BlockSource *source, uint64_t length); /* -ENOTSUP where the length is fixed */

/* Gives back space if the source can do that: see BlockSourceOps.punch. The range is cut at the end of the source. */
int block_source_punch(BlockSource *source, uint64_t offset, uint64_t size);

/* As BlockSourceOps. Where holes are not known, all is data: @offset, and the length. */
uint64_t block_source_next_data(BlockSource *source, uint64_t offset);
uint64_t block_source_next_hole(BlockSource *source, uint64_t offset);

/* Returns true if the range is within the length of the file, and known to be all hole. */
bool block_source_is_hole(BlockSource *source, uint64_t offset, uint64_t size);

/* The state at this moment; where it is not known, the length as it was when the source was opened. */
BlockSourceState block_source_state(BlockSource *source);

/*
 * For kinds of sources whose reads take long: keeps the first @size bytes, which were read at once by @requests when
 * the source was opened, and gives reads that lie in them from there. Takes @bytes. @latency: microseconds until the
 * first of them came.
 */
#define BLOCK_SOURCE_HEAD (256u << 10) /* bytes: in most images the header, the refcount table, and the L1 table */

void block_source_keep_head(BlockSource *source, uint8_t *bytes, size_t size, unsigned requests, int64_t latency);

/* Reads from here on give what the source has now, and nothing that was kept before. No reader is there. */
void block_source_refresh(BlockSource *source);

/* The same, and takes the length that the source has now, when another program writes to it. */
void block_source_follow(BlockSource *source);

void block_source_close(BlockSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockSource, block_source_close)

#endif
