/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "floor-queue.h"

#include <inttypes.h>
#include <stdlib.h>

static GQueue idle = G_QUEUE_INIT;

void floor_read_done(void *buffer)
{
    g_queue_push_head(&idle, buffer);
}

void floor_fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", g_get_prgname(), what, why);
    exit(EXIT_FAILURE);
}

static uint64_t read_all(const FloorDevice *device, const GArray *pieces, guint buffers)
{
    uint64_t bytes = 0;
    guint next = 0;

    while (next < pieces->len || idle.length < buffers) {
        while (next < pieces->len && idle.length) {
            Range piece = g_array_index(pieces, Range, next++);

            device->start(piece, g_queue_pop_head(&idle));
            bytes += piece.end - piece.start;
        }
        if (idle.length < buffers) {
            device->wait();
        }
    }
    return bytes;
}

int floor_main(int argc, char **argv, const FloorDevice *device)
{
    g_autofree char *name = g_path_get_basename(argv[0]);
    g_autoptr(GArray) ranges = NULL;
    g_autoptr(GArray) pieces = NULL;
    unsigned in_flight = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    uint64_t bytes;
    gint64 begin;

    g_set_prgname(name);
    if (in_flight < 1 || in_flight > FLOOR_MAX_IN_FLIGHT) {
        fprintf(stderr, "usage: %s TARGET IN-FLIGHT < RANGES\n", name);
        return EXIT_FAILURE;
    }
    ranges = ranges_read(stdin);
    pieces = ranges_cut(ranges, FLOOR_READ_SIZE);
    device->open(argv[1], in_flight);
    for (unsigned i = 0; i < in_flight; i++) {
        floor_read_done(g_aligned_alloc0(1, FLOOR_BUFFER_SIZE, FLOOR_PAGE));
    }
    begin = g_get_monotonic_time();
    bytes = read_all(device, pieces, in_flight);
    printf("{\"bytes\": %" PRIu64 ", \"reads\": %u, \"seconds\": %.6f}\n", bytes, pieces->len,
           (double)(g_get_monotonic_time() - begin) / 1e6);
    g_queue_clear_full(&idle, g_aligned_free);
    device->close();
    return EXIT_SUCCESS;
}
