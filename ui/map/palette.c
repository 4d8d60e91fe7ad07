/*
 * The colours of a picture: see ui/map/palette.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/palette.h"

/* A cell with one cluster in use among many is to be told from one that has none. */
#define FILL_LEAST 80u /* of 255 */

/* What a line between cells has of their colour: it is to be seen, and to be quieter than they are. */
#define GAP_SHARE 150u /* of 255 */

/* @share of 255 parts of @to, the rest of @from. */
static MapColour blend(MapColour from, MapColour to, unsigned share)
{
    MapColour colour = 0;

    for (unsigned shift = 0; shift <= 16; shift += 8) {
        unsigned part = (from >> shift & 0xff) * (255 - share) + (to >> shift & 0xff) * share;

        colour |= (part + 127) / 255 << shift;
    }
    return colour;
}

MapColour map_cell_colour(const MapCell *cell)
{
    MapColour free = role_style(CLUSTER_ROLE_FREE)->colour;

    if (cell->mark == MAP_MARK_LEAK) {
        return ROLE_COLOUR_LEAK;
    }
    if (cell->mark == MAP_MARK_KEPT) {
        return ROLE_COLOUR_KEPT;
    }
    if (cell->fill == 0) {
        return free;
    }
    return blend(free, role_style(cell->role)->colour, FILL_LEAST + (255 - FILL_LEAST) * cell->fill / MAP_FILL_ALL);
}

MapColour map_gap_colour(const MapCell *cell)
{
    return blend(ROLE_COLOUR_PAPER, map_cell_colour(cell), GAP_SHARE);
}
