/*
 * The names of NBD exports: URIs, and the older form with colons.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_NBD_NAME_H
#define BLOCK_IO_NBD_NAME_H

#include <glib.h>

/* The URI, in a form that libnbd takes, of the export that the user calls @name. NULL and @errp set if it is none. */
char *nbd_name_to_uri(const char *name, GError **errp);

/* Where @uri connects to, for people: "HOST:PORT", or the path of a socket. */
char *nbd_uri_address(const char *uri);

#endif
