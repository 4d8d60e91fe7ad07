/*
 * The parser of the argument of --object: "secret,id=s0,data=..." or a JSON object.
 *
 * The JSON parser is a large library, so this is a module (util/module.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_OBJECT_DEFINITION_H
#define UI_OPTIONS_OBJECT_DEFINITION_H

#include <glib.h>
#include <stdbool.h>

#define OBJECT_DEFINITION_MODULE   "qemu-img-options"
#define OBJECT_DEFINITION_FUNCTION "object_definition_read"

/*
 * Sets *@type and *@id, which the caller frees, to those in @text, or to NULL if it has none. Returns false and sets
 * @errp if it cannot be read.
 */
typedef bool ObjectDefinitionRead(const char *text, char **type, char **id, GError **errp);
ObjectDefinitionRead object_definition_read;

#endif
