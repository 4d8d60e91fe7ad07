/*
 * Advice on an option that does not exist.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_NEAREST_H
#define UI_OPTIONS_NEAREST_H

#include "ui/options/option.h"

/*
 * Returns a sentence on what @word, an option that @table lacks, may have been meant to be: the options that begin with
 * it, or the one that differs from it in few letters. NULL: nothing is near. The caller frees it.
 */
char *option_advice(const OptionTable *table, const char *word);

#endif
