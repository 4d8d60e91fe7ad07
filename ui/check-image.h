/*
 * The check or the repair of one image that is open: from its bytes to what is printed, and the exit status.
 *
 * Call these functions from one thread; they start threads of their own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_IMAGE_H
#define UI_CHECK_IMAGE_H

#include "block/decompress.h"
#include "ui/chain/chain.h"
#include "ui/check-files.h"
#include "ui/image/target.h"
#include "ui/progress/state.h"

typedef struct CheckCommand {
    CheckOptions options;
    char **argv;                     /* of the program, for the stock tool */
    ProgressState *progress;         /* of this image alone: one slot */
    const Chain *chain;              /* that the image is in, NULL: it was not asked for */
    size_t depth;                    /* of the image in it */
    const DecompressOps *decompress; /* for --verify-compressed and --explain; else NULL */
    bool shared;                     /* another program may write to the image: -U, or an option of the image */
} CheckCommand;

/*
 * Checks the qcow2 image in @source, or repairs it, and prints the result. Returns the exit status of the program;
 * errors are reported.
 */
int check_image(const CheckCommand *command, const ImageTarget *target, BlockSource *source);

/*
 * Takes from the process what it no longer needs, as --sandbox asks for: from here on the image is read, and its bytes
 * are not to be trusted. @files may still be written. Stores the layers that are in force in @layers; returns false,
 * having reported why, if the command must not go on.
 */
bool check_image_lock_in(const CheckOptions *options, const ImageTarget *target, CheckFiles *files, unsigned *layers);

/* check_image() in a process that is locked in already, by @layers; @files are prepared. */
int check_image_locked_in(const CheckCommand *command, BlockSource *source, CheckFiles *files, unsigned layers);

/*
 * Tells people, if the file in @source begins with zeros, of the rescue, and the table of many images. Elsewhere the
 * messages are the stock tool's. A raw disk may begin with zeros, too.
 */
void check_image_advise_on_zeros(const CheckOptions *options, BlockSource *source);

#endif
