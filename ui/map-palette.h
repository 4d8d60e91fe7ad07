/*
 * The colours of a picture.
 *
 * They are those of Okabe and Ito, which people of any colour vision tell apart; what goes beyond these is told apart
 * by lightness and stripes. docs/interop/map.rst has the list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_PALETTE_H
#define UI_MAP_PALETTE_H

#include "ui/map-canvas.h"
#include "ui/map-cells.h"

#define MAP_COLOUR_PAPER   0x14171cu /* around everything */
#define MAP_COLOUR_TEXT    0xf2f2f2u
#define MAP_COLOUR_FAINT   0xa4abb6u /* text that says less */
#define MAP_COLOUR_DAMAGE  0xd55e00u
#define MAP_COLOUR_LEAK    0xf0e442u
#define MAP_COLOUR_OUTLINE 0xffffffu /* of damage; that of leaks is paper */

typedef struct MapRoleStyle {
    const char *name;
    MapColour colour;
    bool striped;
} MapRoleStyle;

const MapRoleStyle *map_role_style(ClusterRole role);

/* The darker, the fewer of its clusters are in use; of any mark at full strength. */
MapColour map_cell_colour(const MapCell *cell);

#endif
