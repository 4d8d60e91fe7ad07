/*
 * Making a connection with libnbd: see block/io/nbd/handle.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/nbd/handle.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "block/io/nbd/name.h"
#include "block/source.h"

/* A server that says nothing of it must take requests of this size. */
#define DEFAULT_MAX_SIZE (32u << 20)
#define MAX_ALIGNMENT    (64u << 10)

const char *nbd_handle_last_error(void)
{
    const char *error = nbd_get_error();
    const char *colon = error ? strstr(error, ": ") : NULL;

    return colon ? colon + 2 : "unknown error";
}

static void set_connect_error(const char *uri, GError **errp)
{
    static const char connecting[] = "connect: ";
    static const char negotiating[] = "handshake: ";
    static const char hung_up[] = "external event "; /* as libnbd has it when that comes right after connecting */
    const char *text = nbd_handle_last_error();
    int error = nbd_get_errno();

    if (g_str_has_prefix(text, connecting) && error != 0) {
        g_autofree char *address = nbd_uri_address(uri);

        g_set_error(errp, BLOCK_ERROR, error, "Failed to connect to '%s': %s", address, g_strerror(error));
        return;
    }
    if (g_str_has_prefix(text, hung_up)) {
        text = "server disconnected unexpectedly";
    }
    g_set_error_literal(errp, BLOCK_ERROR, error ? error : EIO,
                        text + (g_str_has_prefix(text, negotiating) ? strlen(negotiating) : 0));
}

static bool await_ready(struct nbd_handle *nbd, const char *uri, unsigned timeout_ms, GError **errp)
{
    int64_t deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;

    while (nbd_aio_is_connecting(nbd) == 1) {
        int64_t left = (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;

        if (left <= 0) {
            g_autofree char *address = nbd_uri_address(uri);

            g_set_error(errp, BLOCK_ERROR, ETIMEDOUT,
                        "Failed to connect to '%s': the server did not answer in %g seconds; --timeout sets how long "
                        "to wait",
                        address, timeout_ms / 1000.0);
            return false;
        }
        if (nbd_poll(nbd, (int)MIN(left, G_MAXINT)) < 0 && nbd_get_errno() != EINTR) {
            set_connect_error(uri, errp);
            return false;
        }
    }
    if (nbd_aio_is_ready(nbd) != 1) {
        g_set_error_literal(errp, BLOCK_ERROR, ECONNRESET, "The server closed the connection during the negotiation");
        return false;
    }
    return true;
}

/* What the server says is checked, as later arithmetic relies on it. */
bool nbd_handle_limits(struct nbd_handle *nbd, NbdLimits *limits, GError **errp)
{
    int64_t length = nbd_get_size(nbd);
    int64_t alignment = nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM);
    int64_t max_size = nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM);

    if (length < 0) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Could not get image size: %s", nbd_handle_last_error());
        return false;
    }
    alignment = MAX(alignment, 1);
    max_size = max_size <= 0 ? DEFAULT_MAX_SIZE : MIN(max_size, DEFAULT_MAX_SIZE);
    if (alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)) != 0 || max_size < alignment) {
        g_set_error(errp, BLOCK_ERROR, EINVAL,
                    "The server wants requests of %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                    " bytes, which cannot be kept",
                    alignment, max_size);
        return false;
    }
    *limits = (NbdLimits){
        .length = length,
        .alignment = alignment,
        .max_size = max_size - max_size % alignment,
        .abilities = (nbd_is_read_only(nbd) == 0 ? NBD_CAN_WRITE : 0) | (nbd_can_flush(nbd) == 1 ? NBD_CAN_FLUSH : 0) |
                     (nbd_can_trim(nbd) == 1 ? NBD_CAN_TRIM : 0) | (nbd_can_fua(nbd) == 1 ? NBD_CAN_FUA : 0),
    };
    return true;
}

struct nbd_handle *nbd_handle_start(const char *uri, GError **errp)
{
    struct nbd_handle *nbd = nbd_create();

    if (!nbd) {
        g_set_error_literal(errp, BLOCK_ERROR, nbd_get_errno(), nbd_handle_last_error());
        return NULL;
    }
    /* The user wrote the URI, so it may name the user's own keys. */
    nbd_set_uri_allow_local_file(nbd, true);
    nbd_set_uri_allow_transports(nbd, LIBNBD_ALLOW_TRANSPORT_TCP | LIBNBD_ALLOW_TRANSPORT_UNIX);
    nbd_set_pread_initialize(nbd, false); /* no byte of a failed read is looked at */
    if (nbd_aio_connect_uri(nbd, uri) < 0) {
        set_connect_error(uri, errp);
        nbd_close(nbd);
        return NULL;
    }
    return nbd;
}

struct nbd_handle *nbd_handle_connect(const char *uri, unsigned timeout_ms, NbdLimits *limits, GError **errp)
{
    struct nbd_handle *nbd = nbd_handle_start(uri, errp);

    if (!nbd || (await_ready(nbd, uri, timeout_ms, errp) && nbd_handle_limits(nbd, limits, errp))) {
        return nbd;
    }
    nbd_close(nbd);
    return NULL;
}
