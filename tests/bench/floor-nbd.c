/*
 * The floor below any check over NBD: floor-queue.h with one connection; TARGET is a URI.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <libnbd.h>
#include <string.h>

#include "floor-queue.h"

static struct nbd_handle *nbd;

static void connect_uri(const char *uri, unsigned in_flight)
{
    nbd = nbd_create();
    if (!nbd || nbd_connect_uri(nbd, uri) < 0) {
        floor_fail(uri, nbd_get_error());
    }
}

static int read_done(void *buffer, int *error)
{
    if (*error) {
        floor_fail("reading", strerror(*error));
    }
    floor_read_done(buffer);
    return 1;
}

static void start(Range piece, void *buffer)
{
    nbd_completion_callback done = {.callback = read_done, .user_data = buffer};

    if (nbd_aio_pread(nbd, buffer, piece.end - piece.start, piece.start, done, 0) < 0) {
        floor_fail("reading", nbd_get_error());
    }
}

static void wait_for_read(void)
{
    if (nbd_poll(nbd, -1) < 0) {
        floor_fail("reading", nbd_get_error());
    }
}

static void disconnect(void)
{
    nbd_close(nbd);
}

int main(int argc, char **argv)
{
    static const FloorDevice connection = {connect_uri, start, wait_for_read, disconnect};

    return floor_main(argc, argv, &connection);
}
