/*
 * Goes through all images that differ from a layout in so many words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_SMALL_ENUMERATE_H
#define TESTS_PROOF_SMALL_ENUMERATE_H

#include "layouts.h"

#define SMALL_MAX_CHANGES 3u

typedef struct SmallChange {
    const SmallWord *word;
    uint64_t value;
} SmallChange;

typedef struct SmallImage {
    const SmallLayout *layout;
    const uint8_t *bytes; /* SMALL_ROOM of them */
    uint64_t length;      /* of the file */
    SmallChange changes[SMALL_MAX_CHANGES];
    unsigned n_changes;
} SmallImage;

typedef struct SmallRange {
    unsigned words;       /* how many change, 0 to SMALL_MAX_CHANGES */
    bool few;             /* those values only of which most differs */
    unsigned part, parts; /* images whose number leaves the remainder @part, when divided by @parts */
} SmallRange;

typedef bool SmallVisitor(const SmallImage *image, void *opaque);

/*
 * Calls @visit for each image of @range, until it returns false. Where several words change, those of a table that play
 * the same part are stood for by one of them. Returns how many there were.
 */
uint64_t small_enumerate(const SmallLayout *layout, const SmallRange *range, SmallVisitor *visit, void *opaque);

#endif
