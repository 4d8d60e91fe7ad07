/*
 * The error domain of everything under block/.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/error.h"

GQuark block_error_quark(void)
{
    return g_quark_from_static_string("block-error");
}
