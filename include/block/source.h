/*
 * Block sources: where the bytes of an image come from.
 *
 * A format driver sees nothing of files, devices or servers but this. Offsets and lengths are bytes. Reading
 * beyond the end gives zeros, as the stock tool has it (spec check-behaviour 2.7), so that a table which sticks
 * out of a file needs no special case in any reader.
 *
 * A source is opened by the function of its kind and closed with block_source_close(). Reads may be issued from
 * any number of threads at once; nothing else may. Who wants many reads in flight makes a reader, one for each
 * thread that reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_SOURCE_H
#define BLOCK_SOURCE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct BlockSource BlockSource;
typedef struct BlockReader BlockReader;

/* One read. The caller keeps it, and the buffer, until it is complete. */
typedef struct BlockRequest {
    uint64_t offset;
    size_t size; /* 1 .. 2^30 */
    void *buffer;
    int error; /* once complete: 0, all bytes being there, or a negative errno value */
} BlockRequest;

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
     * none. NULL: holes are not known.
     */
    uint64_t (*next_data)(BlockSource *source, uint64_t offset);

    /* Frees what the kind of source allocated, the BlockSource included. */
    void (*close)(BlockSource *source);
} BlockSourceOps;

struct BlockSource {
    const BlockSourceOps *ops;
    uint64_t length; /* bytes, as found when the source was opened */

    /* What was done so far; kept by the functions below, atomically. */
    uint64_t bytes_read;
    uint64_t requests;
    gint lost;          /* nothing can be read any more: the server is gone for good; set by the kind of source */
    const char *reader; /* what had reads in flight, for whoever wants to know; NULL: nothing had to wait */
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

/* For kinds of readers: reads with read_at what is missing of @request behind its first @done bytes. May block. */
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
    FileReaderKind reader;
} FileOptions;

/*
 * Opens a regular file or a block device for reading, and takes the locks of a plain check (spec
 * check-behaviour 2.8). NULL and @errp set on failure; the message is what follows the colon in
 * "Could not open 'NAME': ", so that a caller can put the name as the user gave it in front.
 */
BlockSource *block_source_open_file(const char *path, const FileOptions *options, GError **errp);

/* A source over @size bytes at @bytes, which the caller keeps alive as long as the source. Never fails. */
BlockSource *block_source_new_memory(const void *bytes, size_t size);

/*
 * Reads exactly @size bytes at @offset into @buffer; what lies beyond the end of the source reads as zeros.
 * Returns 0 or a negative errno value: -EIO where offset + size exceeds BLOCK_SOURCE_MAX_LENGTH.
 */
#define BLOCK_SOURCE_MAX_LENGTH UINT64_C(0x7fffffffc0000000) /* bytes; found by experiment with the stock tool */

int block_source_read(BlockSource *source, void *buffer, size_t size, uint64_t offset);

void block_source_close(BlockSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockSource, block_source_close)

/* The error domain of everything under block/; codes are errno values. */
#define BLOCK_ERROR (block_error_quark())
GQuark block_error_quark(void);

#endif
