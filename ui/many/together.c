/*
 * Opening small images together: see ui/many/together.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/many/together.h"

#include <assert.h>

#include "block/probe.h"
#include "ui/image/resolve.h"

#define SMALL_FILE (UINT64_C(1) << 30) /* bytes */

size_t images_together(const CheckOptions *options)
{
    bool writes = options->repair || options->request.kind || options->rollback || options->map || options->report;
    bool more = options->verify_compressed || options->explain || options->foreign_object || options->debug_stats;

    return writes || more || options->sandbox == SANDBOX_ON ? 1 : MAX_TOGETHER;
}

static bool is_small_qcow2(const ImageTarget *target, BlockSource *source)
{
    char bytes[BLOCK_PROBE_SIZE];

    if (source->length > SMALL_FILE) {
        return false;
    }
    if (target->format) {
        return g_str_equal(target->format, "qcow2");
    }
    return block_source_read(source, bytes, sizeof(bytes), 0) == 0 &&
           g_str_equal(block_probe(target->path, bytes), "qcow2");
}

static bool open_image(const CheckOptions *options, const char *filename, OpenImage *image)
{
    CheckOptions one = *options;

    *image = (OpenImage){0};
    one.filename = filename;
    if (image_target_resolve(&one, &image->target, NULL) != IMAGE_TARGET_OURS || image->target.open_remote) {
        return false;
    }
    image->source = image_target_open(&image->target, NULL);
    return image->source && is_small_qcow2(&image->target, image->source);
}

size_t open_together(const CheckOptions *options, char *const *filenames, size_t number, OpenImage *images)
{
    size_t n = 0;

    assert(number <= MAX_TOGETHER);
    while (n < number && open_image(options, filenames[n], &images[n])) {
        n++;
    }
    if (n < number) {
        open_image_close(&images[n]);
    }
    return n;
}

void open_image_close(OpenImage *image)
{
    g_clear_pointer(&image->source, block_source_close);
    image_target_clear(&image->target);
}
