/*
 * Seams: where clusters that follow one another in a picture do not follow one another in the other order, that of the
 * guest's disk in a picture of the file, and the other way round.
 *
 * Both clusters have data that is not compressed. Of a cluster that several disks have, the active one counts, or else
 * the first snapshot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_SEAMS_H
#define UI_MAP_SEAMS_H

#include "block/mappings.h"

/* A plain value; map_seams_clear() frees it. */
typedef struct MapSeams {
    uint64_t *clusters; /* before which a seam lies, in ascending order; NULL: there is none */
    size_t n;
} MapSeams;

/*
 * Finds the seams of @mappings, along their hosts; there are none where @mappings are not all there. Returns false when
 * memory is short: there are at most as many as mappings.
 */
bool map_seams_find(const Mappings *mappings, MapSeams *seams);
void map_seams_clear(MapSeams *seams);

#endif
