/*
 * The image options of --image-opts and json:{...}, read by the generated input visitor.
 *
 * The JSON parser is a large library, so this is a module (util/module.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_IMAGE_OPTIONS_H
#define UI_IMAGE_OPTIONS_H

#include <stdbool.h>

#include "ui/image/target.h"

#define IMAGE_OPTIONS_MODULE   "qemu-img-options"
#define IMAGE_OPTIONS_FUNCTION "image_options_read"

/*
 * Reads @text, a JSON object or an option string ("driver=qcow2,file.filename=x"), into @target. Options of the command
 * line that are in target->file stay set. Returns false and sets @errp for anything but an image in a file or on a host
 * device.
 */
typedef bool ImageOptionsRead(const char *text, bool json, ImageTarget *target, GError **errp);
ImageOptionsRead image_options_read;

#endif
