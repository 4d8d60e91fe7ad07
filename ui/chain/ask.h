/*
 * Asking an image about the chain that it is in, in a process of its own.
 *
 * The process opens the files, gives up its rights (util/sandbox.h), and reads what is hostile until it is checked. Its
 * answer is of a fixed size. Fork only while the program has a single thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHAIN_ASK_H
#define UI_CHAIN_ASK_H

#include "block/qcow2-backing.h"
#include "ui/image/target.h"
#include "ui/options/options.h"

#define CHAIN_FORMAT_SIZE 16

typedef struct ChainLink {
    char format[CHAIN_FORMAT_SIZE]; /* of the image, as given or guessed */
    Qcow2Backing backing;           /* of a qcow2 image; of another one the size, if the image is raw */
} ChainLink;

typedef struct ChainCommit {
    Qcow2Commit commit;
    bool has_free; /* free space in the file system of the image below is known */
    uint64_t free; /* bytes that this user may fill */
} ChainCommit;

/* What @target is and stands on. Returns false if it cannot be read; a check of it tells why. */
bool chain_ask_link(const CheckOptions *options, const ImageTarget *target, ChainLink *link);

/* What a commit of @overlay into @below, of the format @format, would take. Returns false if that cannot be known. */
bool chain_ask_commit(const CheckOptions *options, const ImageTarget *overlay, const ImageTarget *below,
                      const char *format, ChainCommit *commit);

#endif
