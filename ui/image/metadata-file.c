/*
 * The two forms of a metadata image: see ui/image/metadata-file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/image/metadata-file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/source.h"
#include "util/number.h"
#include "util/output-file.h"

#define STREAM_MAGIC "qcow2-metadump\r\n" /* a transfer that changes line ends shows at once */
#define MAGIC_SIZE   (sizeof(STREAM_MAGIC) - 1)
#define STREAM_END   UINT64_MAX /* as the offset of the last record, which has the digest */
#define DIGEST_SIZE  32         /* SHA-256 */
#define MAX_PART     (1u << 21)

/* Before the bytes of each record; all numbers are big-endian. */
typedef struct RecordHeader {
    uint64_t offset;
    uint32_t size;
    uint32_t zero;
} RecordHeader;

struct MetadataFile {
    uint64_t length;
    OutputFile *file;  /* NULL: standard output */
    FILE *stream;      /* NULL: it is an image */
    GChecksum *digest; /* of the stream so far */
    const CompressorOps *ops;
    Compressor *compressor; /* of the stream; NULL: it is not compressed */
};

static bool fail(GError **errp, int error, const char *text)
{
    g_set_error_literal(errp, BLOCK_ERROR, error, text);
    return false;
}

/* ---- the file ---- */

static bool refuse_existing(const char *path, GError **errp)
{
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        return true;
    }
    g_set_error(errp, BLOCK_ERROR, EEXIST, "Will not overwrite '%s': remove it, or give another name", path);
    return false;
}

static bool write_at(const MetadataFile *file, uint64_t offset, const uint8_t *bytes, size_t size, GError **errp)
{
    while (size) {
        ssize_t n = pwrite(output_file_descriptor(file->file), bytes, size, offset);

        if (n < 0 && errno != EINTR) {
            g_set_error(errp, BLOCK_ERROR, errno, "Could not write the metadata image: %s", g_strerror(errno));
            return false;
        }
        n = MAX(n, 0);
        bytes += n;
        offset += n;
        size -= n;
    }
    return true;
}

static bool begin_file(MetadataFile *file, const char *path, GError **errp)
{
    file->file = refuse_existing(path, errp) ? output_file_new(path, NULL, errp) : NULL;
    return file->file != NULL;
}

static bool begin_image(MetadataFile *file, const char *path, GError **errp)
{
    if (!begin_file(file, path, errp)) {
        return false;
    }
    if (ftruncate(output_file_descriptor(file->file), file->length) < 0) {
        g_set_error(errp, BLOCK_ERROR, errno, "Could not give '%s' the length of the image, %" PRIu64 " bytes: %s",
                    path, file->length, g_strerror(errno));
        return false;
    }
    return true;
}

/* ---- the stream ---- */

/* Writes bytes of the stream, compressed if it is; all that is left with the @last of them. */
static bool put_bytes(MetadataFile *file, const void *bytes, size_t size, bool last, GError **errp)
{
    bool ok = file->compressor ? file->ops->write(file->compressor, bytes, size, last, file->stream)
                               : fwrite(bytes, 1, size, file->stream) == size;

    if (!ok || (last && fflush(file->stream) != 0)) {
        g_set_error(errp, BLOCK_ERROR, errno, "Could not write the stream: %s", g_strerror(errno));
        return false;
    }
    return true;
}

static bool put(MetadataFile *file, const void *bytes, size_t size, GError **errp)
{
    g_checksum_update(file->digest, bytes, size);
    return put_bytes(file, bytes, size, false, errp);
}

static bool begin_stream(MetadataFile *file, const char *path, GError **errp)
{
    uint64_t length = GUINT64_TO_BE(file->length);

    if (!g_str_equal(path, "-")) {
        if (!begin_file(file, path, errp)) {
            return false;
        }
        file->stream = output_file_stream(file->file);
    } else if (isatty(STDOUT_FILENO)) {
        return fail(errp, EINVAL, "The stream is not for a terminal: redirect it to a file or a pipe");
    } else {
        file->stream = stdout;
    }
    if (file->ops) {
        file->compressor = file->ops->create();
        if (!file->compressor) {
            return fail(errp, ENOMEM, "No memory for compressing");
        }
    }
    file->digest = g_checksum_new(G_CHECKSUM_SHA256);
    return put(file, STREAM_MAGIC, MAGIC_SIZE, errp) && put(file, &length, sizeof(length), errp);
}

static bool put_record(MetadataFile *file, uint64_t offset, const void *bytes, size_t size, GError **errp)
{
    RecordHeader header = {.offset = GUINT64_TO_BE(offset), .size = GUINT32_TO_BE((uint32_t)size)};

    g_assert(size <= UINT32_MAX);
    return put(file, &header, sizeof(header), errp) && put(file, bytes, size, errp);
}

static bool end_stream(MetadataFile *file, GError **errp)
{
    RecordHeader header = {.offset = GUINT64_TO_BE(STREAM_END), .size = GUINT32_TO_BE(DIGEST_SIZE)};
    uint8_t digest[DIGEST_SIZE];
    gsize size = sizeof(digest);

    if (!put(file, &header, sizeof(header), errp)) {
        return false;
    }
    g_checksum_get_digest(file->digest, digest, &size);
    return put_bytes(file, digest, size, true, errp);
}

/* ---- either ---- */

MetadataFile *metadata_file_new(const char *path, uint64_t length, const CompressorOps *compress, GError **errp)
{
    g_autoptr(MetadataFile) file = g_new0(MetadataFile, 1);
    bool ok;

    file->length = length;
    file->ops = compress;
    ok = compress || g_str_equal(path, "-") ? begin_stream(file, path, errp) : begin_image(file, path, errp);
    return ok ? g_steal_pointer(&file) : NULL;
}

bool metadata_file_write(MetadataFile *file, uint64_t offset, const void *bytes, size_t size, GError **errp)
{
    return file->stream ? put_record(file, offset, bytes, size, errp) : write_at(file, offset, bytes, size, errp);
}

bool metadata_file_commit(MetadataFile *file, GError **errp)
{
    return (!file->stream || end_stream(file, errp)) && (!file->file || output_file_commit(file->file, errp));
}

void metadata_file_free(MetadataFile *file)
{
    g_clear_pointer(&file->file, output_file_free);
    if (file->compressor) {
        file->ops->free(file->compressor);
    }
    g_clear_pointer(&file->digest, g_checksum_free);
    g_free(file);
}

/* ---- reading a stream ---- */

struct MetadataStream {
    FILE *in;
    GChecksum *digest;
    MetadataFile *file;
    uint64_t length; /* of the image */
    uint64_t written;
    uint8_t part[MAX_PART];
};

static bool get(MetadataStream *r, void *bytes, size_t size, GError **errp)
{
    if (fread(bytes, 1, size, r->in) != size) {
        return ferror(r->in) ? fail(errp, EIO, "The stream cannot be read")
                             : fail(errp, EINVAL, "The stream ends before its end: it was cut short");
    }
    g_checksum_update(r->digest, bytes, size);
    return true;
}

static bool check_digest(MetadataStream *r, GError **errp)
{
    uint8_t wanted[DIGEST_SIZE], found[DIGEST_SIZE];
    gsize size = sizeof(wanted);

    g_checksum_get_digest(r->digest, wanted, &size); /* ends it, too */
    if (fread(found, 1, sizeof(found), r->in) != sizeof(found)) {
        return fail(errp, EINVAL, "The stream ends before its end: it was cut short");
    }
    return memcmp(wanted, found, size) == 0 || fail(errp, EINVAL, "The stream is damaged: its digest does not fit");
}

/* Reads one record; *end is set at the last. */
static bool restore_record(MetadataStream *r, bool *end, GError **errp)
{
    RecordHeader header;
    uint64_t offset, size;

    if (!get(r, &header, sizeof(header), errp)) {
        return false;
    }
    offset = GUINT64_FROM_BE(header.offset);
    size = GUINT32_FROM_BE(header.size);
    *end = offset == STREAM_END && size == DIGEST_SIZE && !header.zero;
    if (*end) {
        return check_digest(r, errp);
    }
    if (header.zero || size == 0 || size > MAX_PART || offset > r->length || size > r->length - offset) {
        return fail(errp, EINVAL, "The stream is damaged: a record does not lie within the image");
    }
    r->written += size;
    return get(r, r->part, size, errp) && metadata_file_write(r->file, offset, r->part, size, errp);
}

static bool restore_begin(MetadataStream *r, const char *path, GError **errp)
{
    char magic[MAGIC_SIZE];
    uint64_t length;

    if (fread(magic, 1, sizeof(magic), r->in) != sizeof(magic) || memcmp(magic, STREAM_MAGIC, sizeof(magic)) != 0) {
        return fail(errp, EINVAL, "What comes in is not a metadata stream (the output of 'qemu-img metadump IMAGE -')");
    }
    g_checksum_update(r->digest, (const guchar *)magic, sizeof(magic));
    if (!get(r, &length, sizeof(length), errp)) {
        return false;
    }
    r->length = GUINT64_FROM_BE(length);
    if (r->length > BLOCK_SOURCE_MAX_LENGTH) {
        return fail(errp, EINVAL, "The stream is damaged: the image would be too long");
    }
    r->file = metadata_file_new(path, r->length, NULL, errp);
    return r->file != NULL;
}

MetadataStream *metadata_stream_new(FILE *in, const char *path, GError **errp)
{
    g_autoptr(MetadataStream) r = g_new0(MetadataStream, 1);

    r->in = in;
    r->digest = g_checksum_new(G_CHECKSUM_SHA256);
    return restore_begin(r, path, errp) ? g_steal_pointer(&r) : NULL;
}

bool metadata_stream_restore(MetadataStream *r, uint64_t *written, GError **errp)
{
    bool end = false;

    while (!end) {
        if (!restore_record(r, &end, errp)) {
            return false;
        }
    }
    *written = r->written;
    return metadata_file_commit(r->file, errp);
}

void metadata_stream_free(MetadataStream *r)
{
    if (r) {
        g_clear_pointer(&r->file, metadata_file_free);
        g_checksum_free(r->digest);
        g_free(r);
    }
}
