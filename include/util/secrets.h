/*
 * Secrets in names: messages go to logs, and reports and pictures from hand to hand: more people read them than may
 * open the image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SECRETS_H
#define UTIL_SECRETS_H

/*
 * Returns a copy of @text in which each http or https URL is without what grants access: "..." stands for a password
 * before the host, and for the query if one of its keys is named as signatures, tokens and keys are. A URL ends before
 * a blank, a double quote, and a quote or a colon that no other character of a URL follows. The caller frees it.
 */
char *secrets_hide(const char *text);

#endif
