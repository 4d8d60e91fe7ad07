/*
 * From the file name of a command line to the file that is to be opened.
 *
 * A name is a path, a protocol with a colon ("file:x", "nbd://host/export"), "json:{...}" or, with --image-opts, an
 * option string. This program reads files, host devices, and the protocols that it has a module for; the stock tool
 * reads the others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_IMAGE_RESOLVE_H
#define UI_IMAGE_RESOLVE_H

#include "ui/image/target.h"
#include "ui/options/options.h"

typedef enum ImageTargetKind {
    IMAGE_TARGET_OURS,    /* this program checks it */
    IMAGE_TARGET_FOREIGN, /* the stock tool checks it; the error names what needs the stock tool */
    IMAGE_TARGET_UNKNOWN, /* the stock tool may check it; the error is the message if there is none */
    IMAGE_TARGET_REFUSED, /* nobody can check it; the error is the reason */
} ImageTargetKind;

/* Fills @target, which the caller clears in any case. Sets @errp, a complete message, for every kind but OURS. */
ImageTargetKind image_target_resolve(const CheckOptions *options, ImageTarget *target, GError **errp);

#endif
