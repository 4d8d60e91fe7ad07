/*
 * The file or server that an image is read from: see ui/image/target.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/image/target.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>

void image_target_clear(ImageTarget *target)
{
    g_free(target->path);
    g_free(target->format);
    g_free(target->driver);
    *target = (ImageTarget){0};
}

/* Whether the path is of the kind that a driver named by the user is for. What cannot be examined passes. */
static bool is_right_kind(const ImageTarget *target, GError **errp)
{
    struct stat st;
    bool device;

    if (!target->driver || stat(target->path, &st) < 0) {
        return true;
    }
    device = S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode);
    if (device == g_str_equal(target->driver, "host_device")) {
        return true;
    }
    g_set_error(errp, BLOCK_ERROR, EINVAL, "'%s' driver requires '%s' to be %s", target->driver, target->path,
                device ? "a regular file" : "either a character or block device");
    return false;
}

/* The part of @whole that is the image, in the stock tool's words where there is no such part. Takes @whole. */
static BlockSource *open_window(const ImageTarget *target, BlockSource *whole, GError **errp)
{
    uint64_t start = target->window_start, size = target->window_size;

    if (start > whole->length) {
        g_set_error(errp, BLOCK_ERROR, EINVAL,
                    "Offset (%" PRIu64 ") cannot be greater than size of the containing file (%" PRIu64 ")", start,
                    whole->length);
    } else if (size != BLOCK_WINDOW_TO_END && size > whole->length - start) {
        g_set_error(errp, BLOCK_ERROR, EINVAL,
                    "The sum of offset (%" PRIu64 ") and size (%" PRIu64
                    ") has to be smaller or equal to the  actual size of the containing file (%" PRIu64 ")",
                    start, size, whole->length);
    } else {
        return block_source_new_window(whole, start, size);
    }
    block_source_close(whole);
    return NULL;
}

static BlockSource *open_local(const ImageTarget *target, GError **errp)
{
    BlockSource *whole = is_right_kind(target, errp) ? block_source_open_file(target->path, &target->file, errp) : NULL;

    return whole && target->is_window ? open_window(target, whole, errp) : whole;
}

BlockSource *image_target_open(const ImageTarget *target, GError **errp)
{
    if (target->open_remote) {
        signal(SIGPIPE, SIG_IGN); /* a lost connection is an error of a read */
        return target->open_remote(target->path, &target->remote, errp);
    }
    return open_local(target, errp);
}

BlockSource *image_target_open_writable(const ImageTarget *target, GError **errp)
{
    ImageTarget writable = *target; /* borrows the strings */

    if (target->read_only) {
        g_set_error_literal(errp, BLOCK_ERROR, EROFS, "Block node is read-only");
        return NULL;
    }
    writable.file.writable = true;
    writable.remote.writable = true;
    return image_target_open(&writable, errp);
}
