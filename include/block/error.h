/*
 * The error domain of everything under block/. Codes are errno values, positive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_ERROR_H
#define BLOCK_ERROR_H

#include <glib.h>

#define BLOCK_ERROR (block_error_quark())
GQuark block_error_quark(void);

#endif
