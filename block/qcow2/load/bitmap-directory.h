/*
 * The bitmap directory (docs/interop/qcow2-format.rst 11, docs/interop/check-behaviour.rst 2.4).
 *
 * The stock tool cannot open an image whose bitmaps are damaged. Here each fault is a corruption, and what can be
 * followed in spite of it is counted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_BITMAP_DIRECTORY_H
#define BLOCK_QCOW2_LOAD_BITMAP_DIRECTORY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"
#include "block/source.h"

typedef struct Qcow2Bitmap {
    uint64_t entry_offset; /* of the directory entry in the file */
    uint64_t table_offset;
    uint32_t table_size; /* entries */
    bool in_use;         /* it was not closed */
    bool table_valid;    /* the table can be followed */
    const char *fault;   /* the fault of the entry; NULL: none */
    char *name;          /* as stored, up to the first NUL */
} Qcow2Bitmap;

typedef struct Qcow2BitmapDirectory {
    GArray *items;     /* Qcow2Bitmap */
    const char *fault; /* the fault of the directory behind the last item; NULL: none */
} Qcow2BitmapDirectory;

/*
 * Reads the directory that @extensions point at. False and @errp set when it cannot be read at all, or when memory is
 * short; all other faults are in @directory.
 */
bool qcow2_read_bitmap_directory(BlockSource *source, const Qcow2HeaderFields *header,
                                 const Qcow2Extensions *extensions, Qcow2BitmapDirectory *directory, GError **errp);

/*
 * The pure part of it: @bytes are the first @size bytes of the directory, zeros from the @held bytes on that the file
 * has; all of an entry without a fault that begins in these. No entry begins behind them.
 */
void qcow2_parse_bitmap_directory(const uint8_t *bytes, uint64_t size, uint64_t held, const Qcow2HeaderFields *header,
                                  const Qcow2Extensions *extensions, Qcow2BitmapDirectory *directory);
void qcow2_bitmap_directory_clear(Qcow2BitmapDirectory *directory);

/* The fault of an entry of a bitmap table; NULL: none. */
const char *qcow2_bitmap_table_entry_fault(uint64_t entry, const Qcow2HeaderFields *header);

#endif
