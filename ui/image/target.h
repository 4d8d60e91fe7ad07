/*
 * The file, device or server that an image is read from.
 *
 * ui/image/resolve.h finds it by its name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_IMAGE_TARGET_H
#define UI_IMAGE_TARGET_H

#include <stdbool.h>

#include "block/remote.h"
#include "block/source.h"

typedef struct ImageTarget {
    char *path;   /* the path, or the whole name of an image on a server */
    char *format; /* "qcow2", "raw", or NULL: guess */
    char *driver; /* "file" or "host_device", which the path has to be; NULL: either */
    FileOptions file;
    BlockSourceOpenRemote *open_remote; /* NULL: a file or a device */
    RemoteOptions remote;
    bool is_window; /* the image is a part of the file */
    uint64_t window_start;
    uint64_t window_size; /* BLOCK_WINDOW_TO_END: all from window_start on */
    bool forbids_share;   /* the image options have force-share=off */
    bool read_only;       /* the image options have read-only=on */
} ImageTarget;

/* Frees the strings. */
void image_target_clear(ImageTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ImageTarget, image_target_clear)

/* Opens @target for reading. Returns NULL on failure; @errp is what follows "Could not open 'NAME': ". */
BlockSource *image_target_open(const ImageTarget *target, GError **errp);

/* Opens @target for reading and writing, with the locks of a repair. Fails as image_target_open() does. */
BlockSource *image_target_open_writable(const ImageTarget *target, GError **errp);

#endif
