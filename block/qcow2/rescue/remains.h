/*
 * The remains of a header: its fields as they are, whatever else is damaged.
 *
 * Nothing here is to be believed before it was compared with what was found in the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_REMAINS_H
#define BLOCK_QCOW2_RESCUE_REMAINS_H

#include "block/qcow2/format/header.h"
#include "block/source.h"

typedef struct Qcow2Remains {
    Qcow2HeaderFields header; /* the fields as stored; what follows from them is 0 */
    uint8_t compression_type;
    bool is_qcow2; /* most of the fields that can be judged alone are possible */

    char *backing_name;   /* NULL: there is none */
    char *backing_format; /* NULL: there is none */
    bool has_crypt_header;
    uint64_t crypt_offset; /* of the LUKS header, and its length in bytes */
    uint64_t crypt_length;
    bool has_data_file;      /* the guest's data lie in another file */
    Qcow2Extensions bitmaps; /* what it says of bitmaps, whether they are valid or not, and nothing else */
} Qcow2Remains;

/* Reads cluster 0 of @source. An unreadable one is all zeros. */
void qcow2_read_remains(BlockSource *source, Qcow2Remains *remains);
void qcow2_remains_clear(Qcow2Remains *remains);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Remains, qcow2_remains_clear)

#endif
