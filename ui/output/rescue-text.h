/*
 * What a rescue has found, in words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_RESCUE_TEXT_H
#define UI_OUTPUT_RESCUE_TEXT_H

#include <stdio.h>

#include "qapi/qapi-types.h"

/* Prints a summary of @result; @size_from says where the size of the disk comes from. */
void print_rescue_text(FILE *out, const ImageRescue *result, const char *size_from);

#endif
