/*
 * The argument of --object: an object that the stock tool creates for use by a block driver.
 *
 * A check reads no guest data, so it accepts objects and does not use them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_OBJECT_H
#define UI_OPTIONS_OBJECT_H

#include <glib.h>

typedef enum UserObject {
    USER_OBJECT_ACCEPTED,
    USER_OBJECT_FOREIGN, /* a request for help, which only the stock tool answers */
    USER_OBJECT_REFUSED,
} UserObject;

/*
 * Judges @definition ("secret,id=s0,data=..."), and adds its id to @ids, those of the objects before it. Sets @errp if
 * it refuses the object.
 */
UserObject user_object_add(GHashTable *ids, const char *definition, GError **errp);

#endif
