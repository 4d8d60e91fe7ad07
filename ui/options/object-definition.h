/*
 * What an --object argument defines: "secret,id=s0,data=..." or a JSON object.
 *
 * This is the interface of a module (util/module.h), since the JSON parser behind it is a large library.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_OBJECT_DEFINITION_H
#define UI_OPTIONS_OBJECT_DEFINITION_H

#include <glib.h>
#include <stdbool.h>

#define OBJECT_DEFINITION_MODULE   "qemu-img-options"
#define OBJECT_DEFINITION_FUNCTION "object_definition_read"

/* Sets *@type and *@id, to be freed, to NULL where @text has none. False and @errp set if it cannot be read. */
typedef bool ObjectDefinitionRead(const char *text, char **type, char **id, GError **errp);
ObjectDefinitionRead object_definition_read;

#endif
