/*
 * The colours of a picture that are no role's, and what a cell makes of that of its role (ui/output/role-colours.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_PALETTE_H
#define UI_MAP_PALETTE_H

#include "ui/map/canvas.h"
#include "ui/map/cells.h"
#include "ui/output/role-colours.h"

#define MAP_COLOUR_TEXT  0xf2f2f2u
#define MAP_COLOUR_FAINT 0xa4abb6u /* text that says less */

/* The darker, the fewer of its clusters are in use; of any mark at full strength. */
MapColour map_cell_colour(const MapCell *cell);

#endif
