/*
 * Classes of outcome: whether an image opens, what kinds of findings it has, and how many, roughly.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_SMALL_CLASSES_H
#define TESTS_PROOF_SMALL_CLASSES_H

#include <glib.h>
#include <stdint.h>
#include <stdio.h>

#include "reader.h"

typedef GHashTable Classes; /* of a class's name to the number of images */

Classes *classes_new(void);

/* Adds an image; how many of its class there were before. */
uint64_t classes_add(Classes *classes, const ReaderResult *result);

/* A line for each, the largest first; at most @most lines, and one for all others. */
void classes_print(Classes *classes, unsigned most, FILE *out);

#endif
