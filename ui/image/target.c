/*
 * The file or server that an image is read from: see ui/image/target.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/image/target.h"

#include <errno.h>
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

BlockSource *image_target_open(const ImageTarget *target, GError **errp)
{
    if (target->open_remote) {
        signal(SIGPIPE, SIG_IGN); /* a lost connection is an error of a read */
        return target->open_remote(target->path, &target->remote, errp);
    }
    return is_right_kind(target, errp) ? block_source_open_file(target->path, &target->file, errp) : NULL;
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
