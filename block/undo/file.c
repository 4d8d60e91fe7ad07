/*
 * Writing an undo file: see block/undo/file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/undo/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "block/undo/format.h"
#include "util/number.h"
#include "util/text.h"

#define BUFFER_SIZE (256u << 10)

struct UndoFile {
    BlockSource *file;
    char *path; /* NULL: the file is another's */
    int folder; /* the one that it is in, -1: none; open from the beginning, as a sandbox may not let it be opened later
                 */
    char *name; /* fit to be shown */
    BlockSource *image;
    uint64_t image_length; /* before the repair */
    uint64_t new_length;   /* after it, as far as was said */
    uint64_t reach;        /* where the last byte of all ranges ends */
    uint64_t records;
    uint64_t written;                 /* bytes of the file, those in the buffer not counted */
    GChecksum *record;                /* of the record being written */
    uint8_t digest[UNDO_DIGEST_SIZE]; /* of what was written last: header or record */
    bool sealed;
    size_t buffered;
    char buffer[BUFFER_SIZE];
    char bytes[BUFFER_SIZE]; /* of the image, on their way */
};

static bool fail(const UndoFile *undo, int failure, GError **errp)
{
    g_set_error(errp, BLOCK_ERROR, -failure, "Could not write undo file '%s': %s", undo->name, g_strerror(-failure));
    return false;
}

static bool write_out(UndoFile *undo, GError **errp)
{
    int failure = block_source_write(undo->file, undo->buffer, undo->buffered, undo->written);

    if (failure != 0) {
        return fail(undo, failure, errp);
    }
    undo->written += undo->buffered;
    undo->buffered = 0;
    return true;
}

static bool put(UndoFile *undo, const void *bytes, size_t size, GError **errp)
{
    const char *from = bytes;

    while (size > 0) {
        size_t n = MIN(size, BUFFER_SIZE - undo->buffered);

        memcpy(undo->buffer + undo->buffered, from, n);
        undo->buffered += n;
        from += n;
        size -= n;
        if (undo->buffered == BUFFER_SIZE && !write_out(undo, errp)) {
            return false;
        }
    }
    return true;
}

/* ---- records ---- */

static bool put_checked(UndoFile *undo, const void *bytes, size_t size, GError **errp)
{
    g_checksum_update(undo->record, bytes, size);
    return put(undo, bytes, size, errp);
}

static bool begin_record(UndoFile *undo, UndoRecordType type, uint32_t flags, uint64_t offset, uint64_t size,
                         GError **errp)
{
    UndoRecord record = {.type = GUINT32_TO_BE(type),
                         .flags = GUINT32_TO_BE(flags),
                         .offset = GUINT64_TO_BE(offset),
                         .size = GUINT64_TO_BE(size)};

    if (undo->sealed) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Undo file '%s' is complete already", undo->name);
        return false;
    }
    g_checksum_reset(undo->record);
    g_checksum_update(undo->record, undo->digest, sizeof(undo->digest));
    return put_checked(undo, &record, sizeof(record), errp);
}

static bool end_record(UndoFile *undo, GError **errp)
{
    gsize size = sizeof(undo->digest);

    g_checksum_get_digest(undo->record, undo->digest, &size);
    undo->records++;
    return put(undo, undo->digest, sizeof(undo->digest), errp);
}

static bool put_empty_record(UndoFile *undo, UndoRecordType type, uint64_t offset, GError **errp)
{
    return begin_record(undo, type, 0, offset, 0, errp) && end_record(undo, errp);
}

static bool read_image(const UndoFile *undo, void *buffer, size_t size, uint64_t offset, GError **errp)
{
    int failure = block_source_read(undo->image, buffer, size, offset);

    if (failure != 0) {
        g_set_error(errp, BLOCK_ERROR, -failure,
                    "Could not read %zu bytes at offset %" PRIu64 " of the image for undo file '%s': %s", size, offset,
                    undo->name, g_strerror(-failure));
        return false;
    }
    return true;
}

static bool put_old_bytes(UndoFile *undo, uint64_t offset, uint64_t size, GError **errp)
{
    while (size > 0) {
        size_t n = MIN(size, sizeof(undo->bytes));

        if (!read_image(undo, undo->bytes, n, offset, errp) || !put_checked(undo, undo->bytes, n, errp)) {
            return false;
        }
        offset += n;
        size -= n;
    }
    return true;
}

static bool save(UndoFile *undo, uint64_t offset, const void *new_bytes, uint64_t size, GError **errp)
{
    uint64_t old_size = offset < undo->image_length ? MIN(size, undo->image_length - offset) : 0;
    uint64_t end;

    if (!add_u64(offset, size, &end) || end > BLOCK_SOURCE_MAX_LENGTH) {
        g_set_error(errp, BLOCK_ERROR, EFBIG, "No image reaches to offset %" PRIu64 ", which undo file '%s' is to save",
                    offset, undo->name);
        return false;
    }
    return begin_record(undo, UNDO_RECORD_RANGE, new_bytes ? UNDO_FLAG_NEW : 0, offset, size, errp) &&
           put_old_bytes(undo, offset, old_size, errp) && (!new_bytes || put_checked(undo, new_bytes, size, errp)) &&
           end_record(undo, errp);
}

bool undo_file_save(UndoFile *undo, uint64_t offset, const void *new_bytes, size_t size, GError **errp)
{
    g_assert(size > 0); /* a record without bytes is refused by a rollback */
    if (!save(undo, offset, new_bytes, size, errp)) {
        return false;
    }
    undo->reach = MAX(undo->reach, offset + size);
    return true;
}

bool undo_file_length(UndoFile *undo, uint64_t new_length, GError **errp)
{
    if (new_length < undo->image_length && !save(undo, new_length, NULL, undo->image_length - new_length, errp)) {
        return false;
    }
    undo->new_length = new_length;
    return put_empty_record(undo, UNDO_RECORD_LENGTH, new_length, errp);
}

bool undo_file_name_image(UndoFile *undo, const char *name, GError **errp)
{
    size_t size = MIN(strlen(name), UNDO_NAME_SIZE);

    return size == 0 || (begin_record(undo, UNDO_RECORD_NAME, 0, 0, size, errp) &&
                         put_checked(undo, name, size, errp) && end_record(undo, errp));
}

bool undo_file_barrier(UndoFile *undo, GError **errp)
{
    return put_empty_record(undo, UNDO_RECORD_BARRIER, 0, errp);
}

/* ---- the file ---- */

static void digest_of(uint8_t *digest, const void *bytes, size_t size)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    gsize digest_size = UNDO_DIGEST_SIZE;

    g_checksum_update(checksum, bytes, size);
    g_checksum_get_digest(checksum, digest, &digest_size);
}

static bool put_header(UndoFile *undo, GError **errp)
{
    UndoHeader header = {.version = GUINT32_TO_BE(UNDO_VERSION), .image_length = GUINT64_TO_BE(undo->image_length)};
    size_t size = MIN(undo->image_length, UNDO_IDENTITY_SIZE);

    if (!read_image(undo, undo->bytes, size, 0, errp)) {
        return false;
    }
    memcpy(header.magic, UNDO_MAGIC, sizeof(header.magic));
    digest_of(header.identity, undo->bytes, size);
    digest_of(header.digest, &header, G_STRUCT_OFFSET(UndoHeader, digest));
    memcpy(undo->digest, header.digest, sizeof(undo->digest));
    return put(undo, &header, sizeof(header), errp);
}

/* Where @path is not NULL, it and @file are the undo file's own from here on, whether it can be made or not. */
static int open_folder(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);

    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static UndoFile *make(BlockSource *file, const char *name, const char *path, BlockSource *image, GError **errp)
{
    g_autoptr(UndoFile) undo = g_new0(UndoFile, 1);

    assert(file && name && image);
    undo->file = file;
    undo->path = g_strdup(path);
    undo->folder = path ? open_folder(path) : -1;
    undo->name = text_escape(name, strlen(name));
    undo->image = image;
    undo->image_length = image->length;
    undo->new_length = image->length;
    undo->record = g_checksum_new(G_CHECKSUM_SHA256);
    return put_header(undo, errp) ? g_steal_pointer(&undo) : NULL;
}

UndoFile *undo_file_new(BlockSource *file, const char *name, BlockSource *image, GError **errp)
{
    return make(file, name, NULL, image, errp);
}

UndoFile *undo_file_create(const char *path, BlockSource *image, GError **errp)
{
    FileOptions options = {.writable = true, .create = true, .no_locking = true};
    g_autoptr(GError) error = NULL;
    BlockSource *file = block_source_open_file(path, &options, &error);

    if (!file) {
        g_autofree char *name = text_escape(path, strlen(path));

        g_set_error(errp, BLOCK_ERROR, error->code, "Could not create undo file '%s': %s%s", name,
                    g_strerror(error->code), error->code == EEXIST ? "; an undo file never replaces another file" : "");
        return NULL;
    }
    return make(file, path, path, image, errp);
}

bool undo_file_seal(UndoFile *undo, GError **errp)
{
    int failure;

    /* writing behind the end makes the image longer, whether that was said or not */
    if (undo->reach > MAX(undo->image_length, undo->new_length) && !undo_file_length(undo, undo->reach, errp)) {
        return false;
    }
    if (!put_empty_record(undo, UNDO_RECORD_END, undo->records, errp) || !write_out(undo, errp)) {
        return false;
    }
    failure = block_source_flush(undo->file);
    if (failure == 0 && undo->path) {
        /* has the name of the file on disk */
        failure = undo->folder < 0 ? -EIO : fsync(undo->folder) < 0 ? -errno : 0;
    }
    undo->sealed = failure == 0;
    return undo->sealed || fail(undo, failure, errp);
}

void undo_file_free(UndoFile *undo)
{
    if (undo->path) {
        block_source_close(undo->file);
        if (!undo->sealed) {
            unlink(undo->path);
        }
    }
    if (undo->folder >= 0) {
        close(undo->folder);
    }
    g_checksum_free(undo->record);
    g_free(undo->path);
    g_free(undo->name);
    g_free(undo);
}
