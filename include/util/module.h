/*
 * Parts of the program that are loaded when they are first needed.
 *
 * A linked library costs time at every start, and most checks are short. Code that needs a large library is a shared
 * module, beside the program or in the module folder of the installation.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_MODULE_H
#define UTIL_MODULE_H

#include <glib.h>

/*
 * Returns the function @symbol of the module @name, which stays loaded until the program ends. Returns NULL and sets
 * @errp if the module cannot be loaded or lacks the function.
 */
void *module_function(const char *name, const char *symbol, GError **errp);

#endif
