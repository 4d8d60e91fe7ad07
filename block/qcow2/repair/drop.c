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

#define WORD   8u
#define SECTOR 512u   /* bytes: what a disk writes wholly or not at all */
#define HEAD   65536u /* bytes in which extensions are looked for */

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

/* Gives the extensions of @type another one; false where there is none. */
static bool drop_extension(uint8_t *head, uint32_t type)
{
    uint32_t length =
        load_be32(head + AT(version)) >= 3 ? load_be32(head + AT(header_length)) : AT(incompatible_features);
    bool any = false;

    for (uint64_t at = length; at + 8 <= HEAD;) {
        uint32_t found = load_be32(head + at);

        if (!found) {
            break;
        }
        if (found == type) {
            store_be32(head + at, QCOW2_EXT_DROPPED);
            any = true;
        }
        at += 8 + DIV_ROUND_UP((uint64_t)load_be32(head + at + 4), 8) * 8;
    }
    return any;
}

/* An extension without the flag would be that of bitmaps which a program that does not know them has made stale. */
static bool drop_bitmaps(uint8_t *head)
{
    uint64_t features = load_be32(head + AT(version)) >= 3 ? load_be64(head + AT(autoclear_features)) : 0;
    bool any = drop_extension(head, QCOW2_EXT_BITMAPS);

    if (features & QCOW2_AUTOCLEAR_BITMAPS) {
        store_be64(head + AT(autoclear_features), features & ~(uint64_t)QCOW2_AUTOCLEAR_BITMAPS);
        any = true;
    }
    return any;
}

static bool drop_encryption(uint8_t *sector)
{
    bool any = clear_bytes(sector, AT(crypt_method), END(crypt_method));

    if (any) {
        drop_extension(sector, QCOW2_EXT_CRYPT_HEADER);
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

/* Adds an edit of the words that differ in [@first, @end). */
static void add_edit(Edits *edits, EditPhase phase, const uint8_t *now, const uint8_t *then, uint64_t first,
                     uint64_t end)
{
    Edit edit = {
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = QCOW2_FINDING__MAX,
        .count = 1,
        .what = "drop what is there",
    };

    while (first < end && memcmp(now + first, then + first, WORD) == 0) {
        first += WORD;
    }
    while (end > first && memcmp(now + end - WORD, then + end - WORD, WORD) == 0) {
        end -= WORD;
    }
    if (first < end) {
        edit.offset = first;
        edit.size = end - first;
        edit.bytes = g_memdup2(then + first, edit.size);
        edits_add(edits, phase, &edit);
    }
}

Edits *drop_from_header(BlockSource *source, const Qcow2Request *request, GError **errp)
{
    g_autofree uint8_t *now = g_malloc(HEAD);
    g_autofree uint8_t *then = NULL;
    int failure = block_source_read(source, now, HEAD, 0);
    Edits *edits;

    if (failure) {
        refuse(errp, -failure, "The header cannot be read");
        return NULL;
    }
    then = g_memdup2(now, HEAD);
    if (load_be32(now) != QCOW2_MAGIC || !drop(then, request->kind)) {
        refuse(errp, EINVAL, "There is nothing to drop: the header has no such thing");
        return NULL;
    }
    /* within a sector, it is made wholly or not at all; an extension alone, in another one, says nothing any more */
    edits = edits_new();
    add_edit(edits, EDIT_PHASE_SWITCH, now, then, 0, SECTOR);
    add_edit(edits, EDIT_PHASE_LOWER, now, then, SECTOR, HEAD);
    edits_end_pass(edits);
    return edits;
}
