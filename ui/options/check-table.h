/*
 * The options of `qemu-img check`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_CHECK_TABLE_H
#define UI_OPTIONS_CHECK_TABLE_H

#include "ui/options/option.h"

/* Its rows act on a CheckOptions. */
extern const OptionTable check_option_table;

#endif
