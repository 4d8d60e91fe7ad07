/*
 * Drops what keeps an image from being opened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/drop.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

#define SECTOR  512u        /* bytes: what a disk writes wholly or not at all */
#define DROPPED 0x64726f70u /* a type of extension that nobody knows, and so is passed over */

#define AT(member)  offsetof(Qcow2DiskHeader, member)
#define END(member) (AT(member) + sizeof(((Qcow2DiskHeader *)NULL)->member))

static bool refuse(GError **errp, int error, const char *text)
{
    g_set_error(errp, BLOCK_ERROR, error, "%s", text);
    return false;
}

/* Sets the bytes [@first, @end) to zeros; false where they are. */
static bool clear_bytes(uint8_t *sector, size_t first, size_t end)
{
    static const uint8_t zeros[16] = {0};
    bool any = memcmp(sector + first, zeros, end - first) != 0;

    g_assert(end - first <= sizeof(zeros));
    memset(sector + first, 0, end - first);
    return any;
}

static bool drop_bitmaps(uint8_t *sector)
{
    uint64_t features = load_be64(sector + AT(autoclear_features));

    store_be64(sector + AT(autoclear_features), features & ~(uint64_t)QCOW2_AUTOCLEAR_BITMAPS);
    return load_be32(sector + AT(version)) >= 3 && (features & QCOW2_AUTOCLEAR_BITMAPS);
}

/* The extension is given another type, as those behind it may not move; it lies in the first sector, or is not there.
 */
static void drop_crypt_extension(uint8_t *sector)
{
    uint32_t length =
        load_be32(sector + AT(version)) >= 3 ? load_be32(sector + AT(header_length)) : AT(incompatible_features);

    for (uint64_t at = length; at + 8 <= SECTOR;) {
        uint32_t type = load_be32(sector + at);

        if (type == QCOW2_EXT_CRYPT_HEADER) {
            store_be32(sector + at, DROPPED);
        }
        if (!type) {
            break;
        }
        at += 8 + DIV_ROUND_UP((uint64_t)load_be32(sector + at + 4), 8) * 8;
    }
}

static bool drop_encryption(uint8_t *sector)
{
    bool any = clear_bytes(sector, AT(crypt_method), END(crypt_method));

    if (any) {
        drop_crypt_extension(sector);
    }
    return any;
}

static bool drop(uint8_t *sector, Qcow2RequestKind kind)
{
    switch (kind) {
    case QCOW2_REQUEST_DROP_BITMAPS:
        return drop_bitmaps(sector);
    case QCOW2_REQUEST_DROP_SNAPSHOTS:
        return clear_bytes(sector, AT(nb_snapshots), END(snapshots_offset));
    case QCOW2_REQUEST_DROP_BACKING_NAME:
        return clear_bytes(sector, AT(backing_file_offset), END(backing_file_size));
    default:
        return drop_encryption(sector);
    }
}

/* One edit of the words that differ: within a sector, it is made wholly or not at all. */
static Edits *edit_of(const uint8_t *now, const uint8_t *then)
{
    Edits *edits = edits_new();
    Edit edit = {
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = QCOW2_FINDING__MAX,
        .count = 1,
        .what = "drop what is there",
    };
    uint64_t end = SECTOR;

    while (now[edit.offset] == then[edit.offset]) {
        edit.offset++;
    }
    while (now[end - 1] == then[end - 1]) {
        end--;
    }
    edit.size = end - edit.offset;
    edit.bytes = g_memdup2(then + edit.offset, edit.size);
    edits_add(edits, EDIT_PHASE_SWITCH, &edit);
    edits_end_pass(edits);
    return edits;
}

Edits *drop_from_header(BlockSource *source, const Qcow2Request *request, GError **errp)
{
    uint8_t now[SECTOR], then[SECTOR];
    int failure = block_source_read(source, now, sizeof(now), 0);

    if (failure) {
        refuse(errp, -failure, "The header cannot be read");
        return NULL;
    }
    memcpy(then, now, sizeof(then));
    if (load_be32(now) != QCOW2_MAGIC || !drop(then, request->kind)) {
        refuse(errp, EINVAL, "There is nothing to drop: the header has no such thing");
        return NULL;
    }
    return edit_of(now, then);
}
