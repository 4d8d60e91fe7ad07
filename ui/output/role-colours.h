/*
 * How the roles of clusters are shown, in pictures and reports alike.
 *
 * The colours are those of Okabe and Ito, which people of any colour vision tell apart; what goes beyond these is told
 * apart by lightness and stripes. They are made for dark paper. docs/interop/map.rst has the list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_ROLE_COLOURS_H
#define UI_OUTPUT_ROLE_COLOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "block/cluster-roles.h"

/* 0xRRGGBB */
#define ROLE_COLOUR_PAPER   0x14171cu /* around everything */
#define ROLE_COLOUR_DAMAGE  0xd55e00u
#define ROLE_COLOUR_LEAK    0xf0e442u
#define ROLE_COLOUR_OUTLINE 0xffffffu /* of damage; that of leaks is paper */

typedef struct RoleStyle {
    const char *name;
    uint32_t colour;
    bool striped;
} RoleStyle;

const RoleStyle *role_style(ClusterRole role);

#endif
