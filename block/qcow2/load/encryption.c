/*
 * The LUKS header of an encrypted image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/encryption.h"

#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/zeros.h"

/* Version 1 of the LUKS on-disk format: numbers are big-endian, and offsets of key material are in sectors. */
#define LUKS_MAGIC         "LUKS\xba\xbe"
#define LUKS_MAGIC_SIZE    6
#define LUKS_KEY_BYTES     108
#define LUKS_SLOTS         208
#define LUKS_SLOT_SIZE     48
#define LUKS_N_SLOTS       8
#define LUKS_SLOT_MATERIAL 40
#define LUKS_SLOT_STRIPES  44
#define LUKS_SLOT_IN_USE   UINT32_C(0x00ac71f3)
G_STATIC_ASSERT(LUKS_SLOTS + LUKS_N_SLOTS * LUKS_SLOT_SIZE == QCOW2_LUKS_HEADER_SIZE);

/* The end of the key material of the slots in use, bytes from the start of the header. */
static uint64_t material_end(const uint8_t *header)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < LUKS_N_SLOTS; i++) {
        const uint8_t *slot = header + LUKS_SLOTS + (size_t)i * LUKS_SLOT_SIZE;
        uint64_t size = (uint64_t)load_be32(header + LUKS_KEY_BYTES) * load_be32(slot + LUKS_SLOT_STRIPES);

        if (load_be32(slot) == LUKS_SLOT_IN_USE) {
            end = MAX(end, (uint64_t)load_be32(slot + LUKS_SLOT_MATERIAL) * QCOW2_SECTOR_SIZE + MIN(size, UINT32_MAX));
        }
    }
    return end;
}

static Qcow2LuksState state_of(const Qcow2LuksHeader *luks, uint64_t claimed_length, const char **problem)
{
    if (is_zeros(luks->bytes, sizeof(luks->bytes))) {
        *problem = "is zeros";
        return QCOW2_LUKS_GONE;
    }
    if (memcmp(luks->bytes, LUKS_MAGIC, LUKS_MAGIC_SIZE) != 0) {
        *problem = "is no LUKS header";
        return QCOW2_LUKS_GONE;
    }
    if (claimed_length < MAX(material_end(luks->bytes), sizeof(luks->bytes))) {
        *problem = "is longer than the image says";
        return QCOW2_LUKS_SHORT;
    }
    return QCOW2_LUKS_WHOLE;
}

void qcow2_luks_read(Qcow2LuksHeader *luks, const Qcow2Image *image)
{
    const Qcow2Extensions *e = &image->extensions;

    *luks = (Qcow2LuksHeader){.state = QCOW2_LUKS_WHOLE};
    if (!e->has_crypt_header) {
        return;
    }
    if (e->crypt_header_offset >= image->source->length) {
        luks->problem = "is beyond the end of the file";
        luks->state = QCOW2_LUKS_GONE;
    } else if (block_source_read(image->source, luks->bytes, sizeof(luks->bytes), e->crypt_header_offset) < 0) {
        memset(luks->bytes, 0, sizeof(luks->bytes));
        luks->problem = "cannot be read";
        luks->state = QCOW2_LUKS_UNREAD;
    } else {
        luks->state = state_of(luks, e->crypt_header_length, &luks->problem);
    }
}

static void keep(uint8_t *to, const uint8_t *from, size_t offset, size_t size)
{
    memcpy(to + offset, from + offset, size);
}

void qcow2_luks_keep_form(uint8_t *header)
{
    uint8_t form[QCOW2_LUKS_HEADER_SIZE] = {0};

    keep(form, header, 0, LUKS_MAGIC_SIZE);
    keep(form, header, LUKS_KEY_BYTES, 4);
    for (size_t i = 0; i < LUKS_N_SLOTS; i++) {
        size_t slot = LUKS_SLOTS + i * LUKS_SLOT_SIZE;

        keep(form, header, slot, 4);
        keep(form, header, slot + LUKS_SLOT_MATERIAL, 4);
        keep(form, header, slot + LUKS_SLOT_STRIPES, 4);
    }
    memcpy(header, form, sizeof(form));
}
