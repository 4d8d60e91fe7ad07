/*
 * Seams: see ui/map/seams.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/seams.h"

#include <stdlib.h>

/* What came so far: the cluster behind the last, and what has to be there for going on without a seam. */
typedef struct Behind {
    uint64_t end, guest;
} Behind;

static bool is_seam(const Behind *behind, const Mapping *m)
{
    return m->host == behind->end && m->guest != behind->guest;
}

/* Mappings come by host and then by tree: the first to reach the farthest is that of the disk that counts. */
static void pass(Behind *behind, const Mapping *m)
{
    if (m->host + m->n > behind->end) {
        *behind = (Behind){.end = m->host + m->n, .guest = m->guest + m->n};
    }
}

bool map_seams_find(const Mappings *mappings, MapSeams *seams)
{
    Behind behind = {0};

    *seams = (MapSeams){0};
    if (mappings->step > 1 || !mappings->n) {
        return true;
    }
    seams->clusters = malloc(mappings->n * sizeof(*seams->clusters));
    for (size_t i = 0; seams->clusters && i < mappings->n; i++) {
        const Mapping *m = &mappings->items[i];

        if (m->kind != MAPPING_DATA) {
            continue;
        }
        if (behind.end && is_seam(&behind, m)) {
            seams->clusters[seams->n++] = m->host;
        }
        pass(&behind, m);
    }
    return seams->clusters != NULL;
}

void map_seams_clear(MapSeams *seams)
{
    free(seams->clusters);
    *seams = (MapSeams){0};
}
