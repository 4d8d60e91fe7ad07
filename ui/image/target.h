/*
 * From the file name of a command line to the file that is to be opened.
 *
 * A name is a path, a protocol with a colon ("file:x", "nbd://host/export"), "json:{...}" or, with --image-opts, an
 * option string. Files, host devices, and what there is a module for are read by this program; anything else is
 * the stock tool's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_IMAGE_TARGET_H
#define UI_IMAGE_TARGET_H

#include <stdbool.h>

#include "block/remote.h"
#include "block/source.h"
#include "ui/options/options.h"

typedef struct ImageTarget {
    char *path;   /* or the whole name, of an image on a server */
    char *format; /* "qcow2", "raw", or NULL: guess */
    char *driver; /* "file", "host_device", or NULL: whichever the path is */
    FileOptions file;
    BlockSourceOpenRemote *open_remote; /* NULL: it is a file or a device */
    RemoteOptions remote;
    bool forbids_share; /* the image options say force-share=off */
    bool read_only;     /* they say read-only=on */
} ImageTarget;

typedef enum ImageTargetKind {
    IMAGE_TARGET_OURS,    /* @target is filled */
    IMAGE_TARGET_FOREIGN, /* known to the stock tool; the error names what it is needed for */
    IMAGE_TARGET_UNKNOWN, /* the stock tool may know it; the error is what to say if there is none */
    IMAGE_TARGET_REFUSED, /* nobody can do this; the error says why */
} ImageTargetKind;

/* Fills @target, to be cleared in any case. The error, set for all kinds but OURS, is the whole message. */
ImageTargetKind image_target_resolve(const CheckOptions *options, ImageTarget *target, GError **errp);
void image_target_clear(ImageTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ImageTarget, image_target_clear)

/* Opens the file of @target; the error is what follows "Could not open 'NAME': ". */
BlockSource *image_target_open(const ImageTarget *target, GError **errp);

/* The same for reading and writing, with the locks of a repair. */
BlockSource *image_target_open_writable(const ImageTarget *target, GError **errp);

#endif
