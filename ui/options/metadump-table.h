/*
 * The options of `qemu-img metadump`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_METADUMP_TABLE_H
#define UI_OPTIONS_METADUMP_TABLE_H

#include "ui/options/option.h"

/* Strings belong to argv. */
typedef struct MetadumpOptions {
    const char *source;
    const char *destination;
    bool scramble_names;
    bool compress;
    bool force_share;
    bool quiet;
} MetadumpOptions;

/* Its rows act on a MetadumpOptions. */
extern const OptionTable metadump_option_table;

#endif
