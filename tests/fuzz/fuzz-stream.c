/*
 * A metadata stream, as `qemu-img metadump - IMAGE` gets it.
 *
 * A reader written after docs/interop/metadata-stream.rst says whether it is one, and what it has. An image is made of
 * it then, and only then, with just these bytes and no more room on the disk than they need; else there is no file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "stream-format.h"
#include "ui/image/metadata-file.h"

#define SURE_LENGTH (UINT64_C(1) << 40) /* a file may be so long on any file system */
#define ROOM        (64u << 10)         /* that a file system may take for a few bytes */

typedef struct Part {
    uint64_t offset;
    const uint8_t *bytes;
    uint32_t size;
} Part;

typedef struct Stream {
    uint64_t length;
    GArray *parts;  /* of Part, whose bytes are borrowed */
    uint64_t bytes; /* in them */
} Stream;

static void stream_clear(Stream *stream)
{
    g_clear_pointer(&stream->parts, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Stream, stream_clear)

static bool digest_fits(const uint8_t *bytes, size_t before, const uint8_t *digest)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t wanted[STREAM_DIGEST_SIZE];
    gsize size = sizeof(wanted);

    g_checksum_update(checksum, bytes, before);
    g_checksum_get_digest(checksum, wanted, &size);
    return memcmp(wanted, digest, size) == 0;
}

/* False where this is no whole stream. */
static bool read_stream(Stream *stream, const uint8_t *bytes, size_t size)
{
    size_t at = STREAM_HEADER_SIZE;

    stream->parts = g_array_new(FALSE, FALSE, sizeof(Part));
    if (size < at || memcmp(bytes, STREAM_MAGIC, STREAM_MAGIC_SIZE) != 0) {
        return false;
    }
    stream->length = stream_get(bytes + STREAM_MAGIC_SIZE, 8);
    while (stream->length <= STREAM_MAX_LENGTH && size - at >= STREAM_RECORD_SIZE) {
        const uint8_t *record = bytes + at;
        Part part = {.offset = stream_get(record, 8),
                     .bytes = record + STREAM_RECORD_SIZE,
                     .size = (uint32_t)stream_get(record + 8, 4)};

        at += STREAM_RECORD_SIZE;
        if (stream_get(record + 12, 4) != 0 || part.size == 0 || part.size > STREAM_MAX_PART || part.size > size - at) {
            return false;
        }
        if (part.offset == STREAM_LAST) {
            return part.size == STREAM_DIGEST_SIZE && digest_fits(bytes, at, part.bytes);
        }
        if (part.offset > stream->length || part.size > stream->length - part.offset) {
            return false;
        }
        g_array_append_val(stream->parts, part);
        stream->bytes += part.size;
        at += part.size;
    }
    return false;
}

static void same_bytes(int a, int b, const Part *part)
{
    g_autofree uint8_t *from_a = g_malloc(part->size), *from_b = g_malloc(part->size);

    g_assert_cmpint(pread(a, from_a, part->size, part->offset), ==, part->size);
    g_assert_cmpint(pread(b, from_b, part->size, part->offset), ==, part->size);
    g_assert_cmpmem(from_a, part->size, from_b, part->size);
}

/* All else are holes: the file has no room for more. */
static void image_has(int image, const Stream *stream)
{
    int wanted = memfd_create("wanted", MFD_CLOEXEC);
    struct stat st;

    g_assert_cmpint(fstat(image, &st), ==, 0);
    g_assert_cmpuint(st.st_size, ==, stream->length);
    g_assert_cmpuint(st.st_blocks * UINT64_C(512), <=, stream->bytes + (stream->parts->len + 1) * (uint64_t)ROOM);
    for (guint i = 0; i < stream->parts->len; i++) {
        const Part *part = &g_array_index(stream->parts, Part, i);

        g_assert_cmpint(pwrite(wanted, part->bytes, part->size, part->offset), ==, part->size);
    }
    for (guint i = 0; i < stream->parts->len; i++) {
        same_bytes(image, wanted, &g_array_index(stream->parts, Part, i));
    }
    close(wanted);
}

static bool restore(const uint8_t *bytes, size_t size, const char *path, uint64_t *written)
{
    FILE *in = fmemopen((void *)bytes, size, "r");
    g_autoptr(MetadataStream) stream = NULL;
    g_autoptr(GError) error = NULL;
    bool done;

    limits_begin();
    stream = metadata_stream_new(in, path, &error);
    done = stream && metadata_stream_restore(stream, written, &error);
    limits_end("making an image of a stream");
    fclose(in);
    g_assert_true(done == !error);
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    g_autofree char *folder = g_dir_make_tmp("fuzz-stream-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "t.qcow2", NULL);
    g_auto(Stream) stream = {0};
    bool is_stream = read_stream(&stream, bytes, size);
    uint64_t written;

    if (restore(bytes, size, path, &written)) {
        int image = open(path, O_RDONLY | O_CLOEXEC);

        g_assert_true(is_stream);
        g_assert_cmpuint(written, ==, stream.bytes);
        image_has(image, &stream);
        close(image);
        g_assert_cmpint(g_unlink(path), ==, 0);
    } else {
        g_assert_false(is_stream && stream.length <= SURE_LENGTH);
    }
    g_assert_cmpint(g_rmdir(folder), ==, 0); /* nothing else is in it */
    return 0;
}
