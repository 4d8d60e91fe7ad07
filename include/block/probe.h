/*
 * Guessing the format of an image whose format the user did not name.
 *
 * Only qcow2 and raw are ours; the others are recognised so that an image of theirs is not taken for raw. The
 * signatures are generous: a doubtful image is left to the stock tool, which has the last word on it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_PROBE_H
#define BLOCK_PROBE_H

#include <stddef.h>

/* How many bytes of an image are examined; a shorter image counts as filled up with zeros. */
#define BLOCK_PROBE_SIZE 512

/*
 * The format of the image called @name that begins with the BLOCK_PROBE_SIZE bytes at @bytes: "qcow2", "raw",
 * or the name of another format. The string is static.
 */
const char *block_probe(const char *name, const void *bytes);

#endif
