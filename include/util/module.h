/*
 * Parts of the program that are loaded when they are first needed.
 *
 * A library that is linked is paid for at every start, and most checks are short. What needs a large library
 * is therefore built as a shared module, and lies beside the program or in the module folder of the installation.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_MODULE_H
#define UTIL_MODULE_H

#include <glib.h>

/*
 * The function @symbol of the module @name, which stays loaded until the program ends. NULL and @errp set when
 * the module cannot be loaded or has no such function.
 */
void *module_function(const char *name, const char *symbol, GError **errp);

#endif
