/*
 * Words of a command that is shown to be typed or copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_SHELL_WORD_H
#define UI_OUTPUT_SHELL_WORD_H

/*
 * Returns @text as one word for bash: as it is, in single quotes, or, with bytes that a terminal cannot show, as $'...'
 * of printable ASCII. The caller frees it.
 */
char *shell_word(const char *text);

#endif
