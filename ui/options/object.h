/*
 * The argument of --object: an object that the stock tool creates for use by a block driver.
 *
 * A check needs none of them, as it reads no guest data. They are accepted and not used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_OBJECT_H
#define UI_OPTIONS_OBJECT_H

#include <glib.h>

typedef enum UserObject {
    USER_OBJECT_ACCEPTED,
    USER_OBJECT_FOREIGN, /* a request for help: the stock tool's business */
    USER_OBJECT_REFUSED,
} UserObject;

/* Judges @definition ("secret,id=s0,data=..."). @ids holds the ids seen so far, and gets this one's. @errp set when
 * refused. */
UserObject user_object_add(GHashTable *ids, const char *definition, GError **errp);

#endif
