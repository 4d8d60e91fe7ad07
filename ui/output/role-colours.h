/*
 * The names and colours of cluster roles, for pictures, reports and text.
 *
 * The colours are those of Okabe and Ito, which people of any colour vision distinguish; further roles differ in
 * lightness and stripes. They are made for a dark background. docs/interop/map.rst has the list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_ROLE_COLOURS_H
#define UI_OUTPUT_ROLE_COLOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "block/cluster-roles.h"

/* 0xRRGGBB */
#define ROLE_COLOUR_PAPER   0x14171cu /* the background */
#define ROLE_COLOUR_DAMAGE  0xd55e00u
#define ROLE_COLOUR_LEAK    0xf0e442u
#define ROLE_COLOUR_KEPT    0x9900ffu /* leaked, and perhaps the last copy of something */
#define ROLE_COLOUR_OUTLINE 0xffffffu /* around damage; around leaks it is the background */

typedef struct RoleStyle {
    const char *name;
    uint32_t colour;
    bool striped;
} RoleStyle;

/* Returns the style of @role, a static value. */
const RoleStyle *role_style(ClusterRole role);

#endif
