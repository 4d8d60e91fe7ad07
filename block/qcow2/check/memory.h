/*
 * The memory that a check takes at least: a lower bound, known from the header alone.
 *
 * Most of what a check holds follows from what it finds in the image, and its allocations may fail. This refuses an
 * image that cannot be checked in any case, before anything of it is read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_MEMORY_H
#define BLOCK_QCOW2_CHECK_MEMORY_H

#include <glib.h>
#include <stdbool.h>

#include "block/qcow2/load/image.h"

/* Bytes that every check of @image takes: the list of refcount blocks, one table, and its decoded entries. */
uint64_t qcow2_memory_least(const Qcow2Image *image);

/* False and @errp set (ENOMEM) where that is more than the process may have, see memory_plan(). */
bool qcow2_memory_suffices(const Qcow2Image *image, GError **errp);

#endif
