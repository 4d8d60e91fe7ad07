/*
 * Small images that one process checks, one after the other.
 *
 * A process costs more than the check of a small image. What one of them leads to can concern those that are checked
 * after it in the same process, and no others; --sandbox=on has each checked in a process of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_TOGETHER_H
#define UI_MANY_TOGETHER_H

#include "ui/image/target.h"
#include "ui/options/options.h"

#define MAX_TOGETHER 32u /* images of one process */

typedef struct OpenImage {
    ImageTarget target;
    BlockSource *source;
} OpenImage;

/* How many images one process may check with these @options: 1 where each needs its own. */
size_t images_together(const CheckOptions *options);

/*
 * Opens the first of @number images, at most MAX_TOGETHER, and those that follow it, up to one that is no small qcow2
 * file or cannot be opened. Returns how many are open; the caller closes them. Says nothing of the others.
 */
size_t open_together(const CheckOptions *options, char *const *filenames, size_t number, OpenImage *images);

void open_image_close(OpenImage *image);

#endif
