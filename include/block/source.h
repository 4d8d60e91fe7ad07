/*
 * Block sources: where the bytes of an image come from.
 *
 * A format driver sees nothing of files, devices or servers but this table of operations. Offsets and lengths
 * are bytes. Reading beyond the end gives zeros, as the stock tool has it (spec check-behaviour 2.7), so that a
 * table which sticks out of a file needs no special case in any reader.
 *
 * A source is opened by the function of its kind and closed with block_source_close(). Reads may be issued from
 * any number of threads at once; nothing else may.
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

typedef struct BlockSourceOps {
    /*
     * Reads up to @size bytes (1 .. 2^30) at @offset, all of which lie below the length. Returns how many were
     * read, 0 when the file ends at @offset after all, or a negative errno value. May block.
     */
    ssize_t (*read_at)(BlockSource *source, void *buffer, size_t size, uint64_t offset);

    /* Frees what the kind of source allocated, the BlockSource included. */
    void (*close)(BlockSource *source);
} BlockSourceOps;

struct BlockSource {
    const BlockSourceOps *ops;
    uint64_t length; /* bytes, as found when the source was opened */
};

typedef struct FileOptions {
    bool force_share; /* share the image with writers; -U */
    bool no_locking;  /* take no locks at all; file.locking=off */
    bool direct;      /* O_DIRECT; -T none and -T directsync */
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
