/*
 * Image options, as --image-opts and json:{...} have them: read by the generated input visitor.
 *
 * This is the interface of a module (util/module.h), since the JSON parser behind it is a large library.
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
 * Fills @target from @text, a JSON object or an option string ("driver=qcow2,file.filename=x"). What the command
 * line has put in target->file stays in force. False and @errp set for anything that is not a qcow2 image in a
 * file or on a host device.
 */
typedef bool ImageOptionsRead(const char *text, bool json, ImageTarget *target, GError **errp);
ImageOptionsRead image_options_read;

#endif
