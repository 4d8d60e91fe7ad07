/*
 * The names of NBD exports: see block/io/nbd/name.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/nbd/name.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "block/source.h"

#define OLD_PREFIX   "nbd:"
#define OLD_UNIX     "unix:"
#define OLD_EXPORT   ":exportname="
#define DEFAULT_PORT 10809

static char *unix_uri(const char *path, const char *export)
{
    g_autofree char *socket = g_uri_escape_string(path, NULL, FALSE);
    g_autofree char *name = g_uri_escape_string(export, NULL, FALSE);

    return g_strdup_printf("nbd+unix:///%s?socket=%s", name, socket);
}

/* @address is "HOST:PORT"; HOST may be an IPv6 address in brackets. */
static char *tcp_uri(const char *address, const char *export, GError **errp)
{
    const char *colon = strrchr(address, ':');
    g_autofree char *name = g_uri_escape_string(export, NULL, FALSE);
    guint64 port;

    if (!colon || colon == address) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "error parsing address '%s'", address);
        return NULL;
    }
    if (!g_ascii_string_to_unsigned(colon + 1, 10, 1, G_MAXUINT16, &port, NULL)) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "error parsing address '%s': the port is a number from 1 to %u", address,
                    G_MAXUINT16);
        return NULL;
    }
    return g_strdup_printf("nbd://%s/%s", address, name);
}

/* @rest is what follows "nbd:". */
static char *old_form_to_uri(const char *rest, GError **errp)
{
    const char *export = strstr(rest, OLD_EXPORT);
    g_autofree char *address = export ? g_strndup(rest, export - rest) : g_strdup(rest);

    if (*address == '\0') {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, "NBD server address missing");
        return NULL;
    }
    export = export ? export + strlen(OLD_EXPORT) : "";
    if (g_str_has_prefix(address, OLD_UNIX)) {
        return unix_uri(address + strlen(OLD_UNIX), export);
    }
    return tcp_uri(address, export, errp);
}

/* The value of a parameter behind the question mark, or NULL. */
static char *parameter_of(GUri *uri, const char *key)
{
    const char *query = g_uri_get_query(uri);
    g_autoptr(GHashTable) values = query ? g_uri_parse_params(query, -1, "&;", G_URI_PARAMS_NONE, NULL) : NULL;

    return values ? g_strdup(g_hash_table_lookup(values, key)) : NULL;
}

/*
 * libnbd 1.14 accepts any certificate of a server unless it was told where the user's own authorities are, so a
 * name has to tell it that (CVE-2024-7383).
 */
static bool is_verifiable(GUri *uri, GError **errp)
{
    g_autofree char *certificates = parameter_of(uri, "tls-certificates");
    g_autofree char *keys = parameter_of(uri, "tls-psk-file");

    if (!g_str_has_prefix(g_uri_get_scheme(uri), "nbds") || certificates || keys) {
        return true;
    }
    g_set_error_literal(errp, BLOCK_ERROR, EINVAL,
                        "TLS needs something to verify the server with: ?tls-certificates=FOLDER, where ca-cert.pem "
                        "is, or ?tls-psk-file=FILE");
    return false;
}

char *nbd_name_to_uri(const char *name, GError **errp)
{
    static const char long_scheme[] = "nbd+tcp://";
    g_autoptr(GUri) uri = NULL;
    bool on_socket = g_str_has_prefix(name, "nbd+unix:") || g_str_has_prefix(name, "nbds+unix:");

    if (g_str_has_prefix(name, OLD_PREFIX) && !g_str_has_prefix(name, OLD_PREFIX "//")) {
        return old_form_to_uri(name + strlen(OLD_PREFIX), errp);
    }
    uri = g_uri_parse(name, G_URI_FLAGS_ENCODED, NULL);
    if (!uri || (!on_socket && (!g_uri_get_host(uri) || *g_uri_get_host(uri) == '\0'))) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, "No valid URL specified");
        return NULL;
    }
    if (!is_verifiable(uri, errp)) {
        return NULL;
    }
    return g_str_has_prefix(name, long_scheme) ? g_strconcat("nbd://", name + strlen(long_scheme), NULL)
                                               : g_strdup(name);
}

char *nbd_uri_address(const char *text)
{
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_ENCODED, NULL);
    char *socket = uri ? parameter_of(uri, "socket") : NULL;

    if (socket || !uri || !g_uri_get_host(uri) || *g_uri_get_host(uri) == '\0') {
        return socket ? socket : g_strdup(text);
    }
    return g_strdup_printf("%s:%d", g_uri_get_host(uri), g_uri_get_port(uri) > 0 ? g_uri_get_port(uri) : DEFAULT_PORT);
}
