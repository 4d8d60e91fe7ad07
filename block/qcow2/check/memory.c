/*
 * The memory that a check takes at least.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/memory.h"

#include <errno.h>

#include "block/memory-plan.h"
#include "block/qcow2/load/l2-result.h"
#include "util/size.h"

uint64_t qcow2_memory_least(const Qcow2Image *image)
{
    /* all three are bounded: the first by the file, the others by the largest cluster */
    return (uint64_t)image->refcount_table.n * sizeof(void *) + image->header.cluster_size +
           (sizeof(Qcow2Run) << image->header.l2_bits);
}

bool qcow2_memory_suffices(const Qcow2Image *image, GError **errp)
{
    uint64_t least = qcow2_memory_least(image);
    uint64_t limit = memory_plan()->limit;
    g_autofree char *needed = NULL;
    g_autofree char *allowed = NULL;

    if (least <= limit) {
        return true;
    }
    needed = size_format(least);
    allowed = size_format(limit);
    g_set_error(errp, BLOCK_ERROR, ENOMEM,
                "a check of this image takes at least %s of memory, and the process may have %s", needed, allowed);
    return false;
}
