/*
 * `qemu-img check --map`: the picture of an image, made of the result of a check.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_MAP_H
#define UI_CHECK_MAP_H

#include <glib.h>
#include <stdbool.h>

#include "block/qcow2.h"
#include "ui/check-options.h"

/*
 * Writes the picture that @options ask for, of an image of @length bytes. @result has roles and findings. False and
 * @errp set, with a message that says all, when it cannot be drawn or written.
 */
bool check_map_write(const CheckOptions *options, const Qcow2CheckResult *result, uint64_t length, GError **errp);

#endif
