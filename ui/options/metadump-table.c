/*
 * The options of `qemu-img metadump`: see ui/options/metadump-table.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/metadump-table.h"

#include <glib.h>

#define FLAG(member) OPTION_FLAG(MetadumpOptions, member)

G_STATIC_ASSERT(offsetof(MetadumpOptions, source) == 0); /* so that no row has an offset of 0 */

static const Option rows[] = {
    {"scramble-names", .help = "make names of backing and data file, snapshots and bitmaps unreadable",
     FLAG(scramble_names)},
    {"compress", 'z', .help = "make a stream that is compressed with zstd, to be sent", FLAG(compress)},
    {"force-share", 'U', .help = "SOURCE may be in use", FLAG(force_share)},
    {"quiet", 'q', .help = "print nothing when all went well", FLAG(quiet)},
    {"help", 'h', .help = "print this help"},
};

const OptionTable metadump_option_table = {
    .synopsis = "metadump [OPTIONS] SOURCE DESTINATION",
    .about =
        "Make a sparse qcow2 image with exactly the metadata of SOURCE, at the same offsets, and none of its data: "
        "a check of it prints what a check of SOURCE prints.",
    .epilogue = "DESTINATION - writes a stream to standard output; SOURCE - makes an image of\n"
                "such a stream. Of a compressed one: zstd -dc FILE | qemu-img metadump - IMAGE\n",
    .rows = rows,
    .n = G_N_ELEMENTS(rows),
};
