/*
 * Reading an undo file: see block/undo/reader.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/undo/reader.h"

#include <errno.h>
#include <string.h>

#include "util/number.h"
#include "util/text.h"

#define BUFFER_SIZE (64u << 10)

typedef struct UndoReader {
    BlockSource *file;
    UndoContents *contents;
    uint64_t position; /* what is before it was read and believed */
    uint64_t records;
    bool barrier; /* since the last range */
    bool ended;
    GChecksum *checksum;
    uint8_t digest[UNDO_DIGEST_SIZE]; /* of the last record, or the header */
} UndoReader;

static bool refuse(GError **errp, const char *why)
{
    g_set_error_literal(errp, BLOCK_ERROR, EINVAL, why);
    return false;
}

static bool refuse_unfinished(GError **errp)
{
    return refuse(errp, "It ends too early. If it was left behind by a repair that was interrupted, that repair has "
                        "written nothing to the image; otherwise the file was cut");
}

static bool read_bytes(UndoReader *reader, void *buffer, size_t size, GError **errp)
{
    int failure;

    if (size > reader->file->length - reader->position) {
        return refuse_unfinished(errp);
    }
    failure = block_source_read(reader->file, buffer, size, reader->position);
    if (failure != 0) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not read it: %s", g_strerror(-failure));
        return false;
    }
    reader->position += size;
    return true;
}

static bool read_checked(UndoReader *reader, void *buffer, size_t size, GError **errp)
{
    if (!read_bytes(reader, buffer, size, errp)) {
        return false;
    }
    g_checksum_update(reader->checksum, buffer, size);
    return true;
}

/* Reads the digest that ends a record or the header, and compares it with that of what was read. */
static bool read_digest(UndoReader *reader, GError **errp)
{
    uint8_t stored[UNDO_DIGEST_SIZE];
    gsize size = sizeof(stored);

    if (!read_bytes(reader, stored, sizeof(stored), errp)) {
        return false;
    }
    g_checksum_get_digest(reader->checksum, reader->digest, &size);
    if (memcmp(stored, reader->digest, sizeof(stored)) != 0) {
        return refuse(errp, "It is damaged: a checksum is wrong");
    }
    g_checksum_reset(reader->checksum);
    g_checksum_update(reader->checksum, reader->digest, sizeof(reader->digest));
    return true;
}

static bool read_header(UndoReader *reader, GError **errp)
{
    UndoHeader header;

    if (!read_checked(reader, &header, G_STRUCT_OFFSET(UndoHeader, digest), errp)) {
        return false;
    }
    if (memcmp(header.magic, UNDO_MAGIC, sizeof(header.magic)) != 0) {
        return refuse(errp, "It is not an undo file");
    }
    if (!read_digest(reader, errp)) {
        return false;
    }
    if (GUINT32_FROM_BE(header.version) != UNDO_VERSION || header.reserved != 0) {
        return refuse(errp, "It is of a version that this program does not know");
    }
    memcpy(reader->contents->identity, header.identity, sizeof(header.identity));
    reader->contents->old_length = GUINT64_FROM_BE(header.image_length);
    reader->contents->new_length = reader->contents->old_length;
    return true;
}

/* Reads over @size bytes that are looked at later. */
static bool pass_over(UndoReader *reader, uint64_t size, GError **errp)
{
    char buffer[BUFFER_SIZE];

    if (size > reader->file->length - reader->position) {
        return refuse_unfinished(errp);
    }
    while (size > 0) {
        size_t n = MIN(size, sizeof(buffer));

        if (!read_checked(reader, buffer, n, errp)) {
            return false;
        }
        size -= n;
    }
    return true;
}

static bool read_range(UndoReader *reader, const UndoRecord *record, GError **errp)
{
    UndoContents *contents = reader->contents;
    UndoRange range = {
        .offset = record->offset,
        .size = record->size,
        .position = reader->position,
        .has_new = record->flags & UNDO_FLAG_NEW,
        .after_barrier = reader->barrier,
    };
    uint64_t end;

    if (record->size == 0 || (record->flags & ~UNDO_FLAG_NEW) != 0 || !add_u64(range.offset, range.size, &end) ||
        end > BLOCK_SOURCE_MAX_LENGTH) {
        return refuse(errp, "It names a range that no image has");
    }
    range.old_size = range.offset < contents->old_length ? MIN(range.size, contents->old_length - range.offset) : 0;
    reader->barrier = false;
    g_array_append_val(contents->ranges, range);
    return pass_over(reader, range.old_size, errp) && (!range.has_new || pass_over(reader, range.size, errp));
}

static bool read_name(UndoReader *reader, const UndoRecord *record, GError **errp)
{
    char name[UNDO_NAME_SIZE];

    if (record->size == 0 || record->size > sizeof(name) || record->flags != 0) {
        return refuse(errp, "It has a name that no image has");
    }
    if (!read_checked(reader, name, record->size, errp)) {
        return false;
    }
    g_free(reader->contents->name);
    reader->contents->name = text_escape(name, record->size);
    return true;
}

static bool read_record(UndoReader *reader, GError **errp)
{
    UndoRecord record;

    if (!read_checked(reader, &record, sizeof(record), errp)) {
        return false;
    }
    record = (UndoRecord){.type = GUINT32_FROM_BE(record.type),
                          .flags = GUINT32_FROM_BE(record.flags),
                          .offset = GUINT64_FROM_BE(record.offset),
                          .size = GUINT64_FROM_BE(record.size)};
    switch (record.type) {
    case UNDO_RECORD_RANGE:
        return read_range(reader, &record, errp);
    case UNDO_RECORD_LENGTH:
        reader->contents->new_length = record.offset;
        return true;
    case UNDO_RECORD_BARRIER:
        reader->barrier = true;
        return true;
    case UNDO_RECORD_NAME:
        return read_name(reader, &record, errp);
    case UNDO_RECORD_END:
        reader->ended = record.offset == reader->records;
        return reader->ended || refuse(errp, "It is damaged: the number of its records is wrong");
    default:
        return refuse(errp, "It has a record that this program does not know");
    }
}

static bool read_all(UndoReader *reader, GError **errp)
{
    if (!read_header(reader, errp)) {
        return false;
    }
    while (!reader->ended) {
        if (!read_record(reader, errp) || !read_digest(reader, errp)) {
            return false;
        }
        reader->records++;
    }
    return reader->position == reader->file->length || refuse(errp, "It is damaged: something follows its end");
}

bool undo_contents_read(UndoContents *contents, BlockSource *file, GError **errp)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    UndoReader reader = {.file = file, .contents = contents, .checksum = checksum};

    *contents = (UndoContents){.ranges = g_array_new(false, false, sizeof(UndoRange))};
    return read_all(&reader, errp);
}

void undo_contents_clear(UndoContents *contents)
{
    g_clear_pointer(&contents->ranges, g_array_unref);
    g_clear_pointer(&contents->name, g_free);
}
