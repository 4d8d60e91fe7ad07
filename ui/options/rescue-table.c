/*
 * The options of `qemu-img rescue`: see ui/options/rescue-table.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/rescue-table.h"

#include <glib.h>

#define FLAG(member) OPTION_FLAG(RescueOptions, member)
#define TEXT(member) OPTION_TEXT(RescueOptions, member)

G_STATIC_ASSERT(offsetof(RescueOptions, source) == 0); /* so that no row has an offset of 0 */

static const Option rows[] = {
    {"metadata", .argument = "FILE", .file = "*",
     .help = "an earlier copy of the metadata of SOURCE, made by qemu-img metadump", TEXT(metadata)},
    {"map", .argument = "FILE", .file = "json",
     .help = "write to FILE, as JSON, how sure each range of the guest's disk is", TEXT(map)},
    {"overwrite", .help = "replace DESTINATION if it exists", FLAG(overwrite)},
    {"force-share", 'U', .help = "SOURCE may be in use", FLAG(force_share)},
    {.letter = 'm',
     .argument = "N",
     .help = "read on N threads, 1 to 16; as many as there are processors without it",
     TEXT(workers)},
    {"progress", 'p', .help = "show a progress bar on a terminal", FLAG(progress)},
    {"quiet", 'q', .help = "print no summary", FLAG(quiet)},
    {"help", 'h', .help = "print this help"},
};

const OptionTable rescue_option_table = {
    .synopsis = "rescue [OPTIONS] SOURCE DESTINATION",
    .about =
        "Make a sound qcow2 image of SOURCE, whose header or L1 table is lost or damaged. SOURCE is only read: its "
        "tables are found by their bytes.",
    .epilogue = "Exit status: 0 if all of the disk is in its place; 2 if DESTINATION was made, but some\n"
                "of it is guessed or missing; 1 if it was not made.\n",
    .rows = rows,
    .n = G_N_ELEMENTS(rows),
};
