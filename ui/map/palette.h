/*
 * The colours of text and cells; ui/output/role-colours.h has those of roles.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_PALETTE_H
#define UI_MAP_PALETTE_H

#include "ui/map/canvas.h"
#include "ui/map/cells.h"
#include "ui/output/role-colours.h"

#define MAP_COLOUR_TEXT  0xf2f2f2u
#define MAP_COLOUR_FAINT 0xa4abb6u /* text of less importance */

/* Returns the colour of @cell: darker if fewer of its clusters are in use, at full strength if it has a mark. */
MapColour map_cell_colour(const MapCell *cell);

/* Returns the colour of the line between large cells like @cell and those that follow it. */
MapColour map_gap_colour(const MapCell *cell);

#endif
