/*
 * The floor below any check over NBD: the metadata read with many reads in flight, over one connection.
 *
 *     floor-nbd URI IN-FLIGHT < RANGES
 *
 * As floor-direct.c. The time is without that for making the connection.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <libnbd.h>
#include <stdbool.h>
#include <stdlib.h>

#include "ranges.h"

#define READ_SIZE (UINT64_C(256) << 10)

typedef struct Buffer {
    GQueue *idle;
    char bytes[READ_SIZE];
} Buffer;

static void fail(void)
{
    fprintf(stderr, "floor-nbd: %s\n", nbd_get_error());
    exit(EXIT_FAILURE);
}

static int read_done(void *opaque, int *error)
{
    Buffer *buffer = opaque;

    if (*error) {
        fprintf(stderr, "floor-nbd: a read failed\n");
        exit(EXIT_FAILURE);
    }
    g_queue_push_head(buffer->idle, buffer);
    return 1;
}

static uint64_t read_all(struct nbd_handle *nbd, const GArray *pieces, GQueue *idle, guint buffers)
{
    uint64_t bytes = 0;
    guint next = 0;

    while (next < pieces->len || idle->length < buffers) {
        while (next < pieces->len && idle->length) {
            Range piece = g_array_index(pieces, Range, next++);
            Buffer *buffer = g_queue_pop_head(idle);
            nbd_completion_callback done = {.callback = read_done, .user_data = buffer};

            if (nbd_aio_pread(nbd, buffer->bytes, piece.end - piece.start, piece.start, done, 0) < 0) {
                fail();
            }
            bytes += piece.end - piece.start;
        }
        if (nbd_poll(nbd, -1) < 0) {
            fail();
        }
    }
    return bytes;
}

int main(int argc, char **argv)
{
    struct nbd_handle *nbd = nbd_create();
    GQueue idle = G_QUEUE_INIT;
    g_autoptr(GArray) ranges = NULL;
    g_autoptr(GArray) pieces = NULL;
    guint in_flight = argc == 3 ? (guint)strtoul(argv[2], NULL, 10) : 0;
    uint64_t bytes;
    gint64 begin;

    if (!nbd || in_flight < 1) {
        fprintf(stderr, "usage: floor-nbd URI IN-FLIGHT < RANGES\n");
        return EXIT_FAILURE;
    }
    ranges = ranges_read(stdin);
    pieces = ranges_cut(ranges, READ_SIZE);
    if (nbd_connect_uri(nbd, argv[1]) < 0) {
        fail();
    }
    for (guint i = 0; i < in_flight; i++) {
        Buffer *buffer = g_new0(Buffer, 1);

        buffer->idle = &idle;
        g_queue_push_head(&idle, buffer);
    }
    begin = g_get_monotonic_time();
    bytes = read_all(nbd, pieces, &idle, in_flight);
    printf("{\"bytes\": %" PRIu64 ", \"reads\": %u, \"seconds\": %.6f}\n", bytes, pieces->len,
           (double)(g_get_monotonic_time() - begin) / 1e6);
    g_queue_clear_full(&idle, g_free);
    nbd_close(nbd);
    return EXIT_SUCCESS;
}
