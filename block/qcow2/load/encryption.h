/*
 * The LUKS header of an encrypted image: whether it is there at all. The check needs no key, and the rest of the image
 * is counted without one; but with a damaged header nobody can read the guest's disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_ENCRYPTION_H
#define BLOCK_QCOW2_LOAD_ENCRYPTION_H

#include "block/qcow2/load/image.h"

/* How much of a LUKS header has the numbers that say where its key material lies, bytes. */
#define QCOW2_LUKS_HEADER_SIZE 592

typedef enum Qcow2LuksState {
    QCOW2_LUKS_WHOLE,  /* or there is none, as the image is not encrypted that way */
    QCOW2_LUKS_GONE,   /* without its key material no byte of the guest's disk can be decrypted */
    QCOW2_LUKS_SHORT,  /* the length in the image leaves out key material, which may still be there */
    QCOW2_LUKS_UNREAD, /* an I/O error */
} Qcow2LuksState;

typedef struct Qcow2LuksHeader {
    Qcow2LuksState state;
    const char *problem; /* a static text that continues "the encryption header"; NULL: it is whole */
    uint8_t
        bytes[QCOW2_LUKS_HEADER_SIZE]; /* its beginning; zeros if it was not read, or is beyond the end of the file */
} Qcow2LuksHeader;

/* Reads the beginning of the LUKS header of @image into @luks. Keys are not verified. Never fails. */
void qcow2_luks_read(Qcow2LuksHeader *luks, const Qcow2Image *image);

/*
 * Leaves in the @header of QCOW2_LUKS_HEADER_SIZE bytes what decides on Qcow2LuksHeader.state: which key slots are in
 * use, where their material lies and how large it is. Salts, digests and the names of ciphers become zeros.
 */
void qcow2_luks_keep_form(uint8_t *header);

#endif
