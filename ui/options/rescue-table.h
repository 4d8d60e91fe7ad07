/*
 * The options of `qemu-img rescue`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_RESCUE_TABLE_H
#define UI_OPTIONS_RESCUE_TABLE_H

#include "ui/options/option.h"

/* Strings belong to argv. */
typedef struct RescueOptions {
    const char *source;
    const char *destination;
    const char *metadata; /* NULL: none */
    const char *map;      /* likewise */
    const char *workers;  /* likewise: as many as there are processors */
    bool overwrite;
    bool force_share;
    bool progress;
    bool quiet;
} RescueOptions;

/* Its rows act on a RescueOptions. */
extern const OptionTable rescue_option_table;

#endif
