/*
 * A chain of images, for people.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHAIN_TEXT_H
#define UI_CHAIN_TEXT_H

#include <stdio.h>

#include "ui/chain/chain.h"

/* Prints the members of @chain, what a commit of each takes, and what to know of the links. */
void print_chain_text(FILE *out, const Chain *chain);

#endif
