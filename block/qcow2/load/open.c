/*
 * Opening a qcow2 image for a check.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/load/image.h"
#include "block/qcow2/load/parse-header.h"
#include "util/number.h"

#define HEADER_READ_AHEAD 4096 /* bytes; header and extensions of nearly every image */

bool qcow2_probe(const void *bytes, size_t size)
{
    return size >= 8 && load_be32(bytes) == QCOW2_MAGIC && load_be32((const uint8_t *)bytes + 4) >= 2;
}

static bool refuse(GError **errp, int error, const char *text)
{
    g_set_error(errp, BLOCK_ERROR, error, "%s", text);
    return false;
}

/* The first bytes of an image. */
typedef struct HeaderBytes {
    uint8_t *bytes;
    size_t size; /* how many could be read */
    int error;   /* why the next one could not, a positive errno value; 0 = all that were asked for are there */
} HeaderBytes;

static void header_bytes_clear(HeaderBytes *start)
{
    g_clear_pointer(&start->bytes, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HeaderBytes, header_bytes_clear)

/* Reads @size bytes, zeros behind the end of the file. False where there is not even the header itself. */
static bool read_header_bytes(BlockSource *source, size_t size, HeaderBytes *start)
{
    int error;

    g_free(start->bytes);
    *start = (HeaderBytes){.bytes = g_malloc(size), .size = size};
    error = block_source_read(source, start->bytes, size, 0);
    if (error) {
        start->error = -error;
        start->size = 0;
        while (start->size < size &&
               !block_source_read(source, start->bytes + start->size, QCOW2_SECTOR_SIZE, start->size)) {
            start->size += QCOW2_SECTOR_SIZE;
        }
        start->error = start->size < size ? -error : 0;
    }
    return start->size > 0;
}

static void warn_of_stale_bitmaps(const Qcow2Image *image, FILE *warn)
{
    if (!image->extensions.stale_bitmaps || !warn) {
        return;
    }
    /* no line end at the end: so has it the stock tool (X155), and scripts compare */
    fprintf(
        warn,
        "%s: warning: %s\n"
        "Some clusters may be leaked, run 'qemu-img check -r' on the image file to fix.",
        g_get_prgname() ? g_get_prgname() : "qemu-img",
        image->header.version < 3
            ? "This qcow2 v2 image contains bitmaps, but they may have been modified by a program without persistent "
              "bitmap support; so now they must all be considered inconsistent"
            : "a program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent");
}

static bool refuse_unread(const HeaderBytes *start, GError **errp)
{
    g_set_error(errp, BLOCK_ERROR, start->error, "Could not read qcow2 header: %s", g_strerror(start->error));
    return false;
}

static bool read_extensions(Qcow2Image *image, HeaderBytes *start, GError **errp)
{
    const Qcow2HeaderFields *h = &image->header;
    Qcow2Extensions *e = &image->extensions;
    bool more;

    if (!qcow2_parse_extensions(start->bytes, start->size, h, e, &more, errp)) {
        return false;
    }
    if (more && !start->error && start->size < h->cluster_size) {
        if (!read_header_bytes(image->source, h->cluster_size, start)) {
            return refuse_unread(start, errp);
        }
        if (!qcow2_parse_extensions(start->bytes, start->size, h, e, &more, errp)) {
            return false;
        }
    }
    if (more && start->error) {
        image->header_unread_from = start->size;
        image->header_error = start->error;
    }
    return true;
}

static bool read_header(Qcow2Image *image, HeaderBytes *start, GError **errp)
{
    g_autoptr(GError) error = NULL;

    if (!read_header_bytes(image->source, HEADER_READ_AHEAD, start)) {
        return refuse_unread(start, errp);
    }
    if (qcow2_parse_header(start->bytes, start->size, &image->header, &error)) {
        return true;
    }
    /* names of unknown features may lie behind what was read */
    if (image->header.cluster_size > start->size && !start->error &&
        read_header_bytes(image->source, image->header.cluster_size, start)) {
        return qcow2_parse_header(start->bytes, start->size, &image->header, errp);
    }
    g_propagate_error(errp, g_steal_pointer(&error));
    return false;
}

static bool read_refcount_table(Qcow2Image *image, GError **errp)
{
    int error = qcow2_read_refcount_table(image->source, &image->header, &image->refcount_table);

    if (error) {
        g_set_error(errp, BLOCK_ERROR, -error, "Could not initialize refcount handling: %s", g_strerror(-error));
        return false;
    }
    return true;
}

/* docs/interop/check-behaviour.rst 2.2, tests 21 to 23. */
static bool check_l1_and_crypt(const Qcow2HeaderFields *h, GError **errp)
{
    if (h->l1_size && h->l1_table_offset + UINT64_C(8) * h->l1_size > BLOCK_SOURCE_MAX_LENGTH) {
        return refuse(errp, EIO, "Could not read L1 table: Input/output error");
    }
    if (h->crypt_method > QCOW2_CRYPT_LUKS) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Unsupported encryption method %" PRId32, (int32_t)h->crypt_method);
        return false;
    }
    return true;
}

/* Tests 25 to 30, as far as they are about the image itself. */
static bool check_rest(const Qcow2Image *image, GError **errp)
{
    const Qcow2HeaderFields *h = &image->header;
    const Qcow2Extensions *e = &image->extensions;

    if ((h->autoclear_features & QCOW2_AUTOCLEAR_DATA_FILE_RAW) && !qcow2_has_data_file(h)) {
        return refuse(errp, EINVAL, "data-file-raw requires a data file");
    }
    if (h->crypt_method == QCOW2_CRYPT_LUKS && !e->has_crypt_header && !image->header_unread_from) {
        return refuse(errp, EINVAL, "Missing CRYPTO header for crypt method 2");
    }
    if (h->backing_file_offset &&
        h->backing_file_size > MIN(QCOW2_MAX_BACKING_NAME, h->cluster_size - h->backing_file_offset)) {
        return refuse(errp, EINVAL, "Backing file name too long");
    }
    if (h->size > INT64_MAX) {
        return refuse(errp, EFBIG, "Could not refresh total sector count: File too large");
    }
    return true;
}

Qcow2Image *qcow2_open(BlockSource *source, FILE *warn, GError **errp)
{
    g_autoptr(Qcow2Image) image = g_new0(Qcow2Image, 1);
    g_auto(HeaderBytes) start = {0};

    image->source = source;
    image->opened = block_source_state(source);
    if (!read_header(image, &start, errp) || !check_l1_and_crypt(&image->header, errp) ||
        !read_refcount_table(image, errp) || !read_extensions(image, &start, errp)) {
        return NULL;
    }
    warn_of_stale_bitmaps(image, warn);
    if (!check_rest(image, errp)) {
        return NULL;
    }
    return g_steal_pointer(&image);
}

void qcow2_close(Qcow2Image *image)
{
    if (image) {
        qcow2_refcount_table_clear(&image->refcount_table);
        g_free(image);
    }
}

uint64_t qcow2_file_clusters(const Qcow2Image *image)
{
    return DIV_ROUND_UP(image->source->length, image->header.cluster_size);
}
