/*
 * What options of `qemu-img check` demand of each other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_RULES_H
#define UI_OPTIONS_RULES_H

#include "ui/options/options.h"

/*
 * Judges @options once all options and file names are read, in the order in which the stock tool reports mistakes.
 * Returns false on a mistake, which it has reported.
 */
bool check_options_judge(CheckOptions *options);

#endif
