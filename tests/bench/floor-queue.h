/*
 * The floors that have many reads in flight: what floor-direct.c and floor-nbd.c have in common.
 *
 *     floor-... TARGET IN-FLIGHT < RANGES
 *
 * RANGES as for floor.c. Reads of at most 256 KiB are kept in flight, IN-FLIGHT of them, in the order of the ranges.
 * Prints a JSON object: bytes, reads, and seconds without those for opening.
 *
 * For the benchmark: what fails ends the program with a message. One thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_BENCH_FLOOR_QUEUE_H
#define TESTS_BENCH_FLOOR_QUEUE_H

#include "ranges.h"

#define FLOOR_READ_SIZE     (UINT64_C(256) << 10)
#define FLOOR_PAGE          UINT64_C(4096) /* what buffers are aligned to */
#define FLOOR_BUFFER_SIZE   (FLOOR_READ_SIZE + 2 * FLOOR_PAGE)
#define FLOOR_MAX_IN_FLIGHT 1024u

/* How to read from one kind of target. */
typedef struct FloorDevice {
    void (*open)(const char *target, unsigned in_flight);
    /* Starts reading @piece into @buffer, which has FLOOR_BUFFER_SIZE bytes. */
    void (*start)(Range piece, void *buffer);
    /* Waits until a read is complete, and calls floor_read_done() for each that is. */
    void (*wait)(void);
    void (*close)(void);
} FloorDevice;

/* The read into @buffer is complete. */
void floor_read_done(void *buffer);

/* Prints @what and @why on stderr, and exits. */
G_NORETURN void floor_fail(const char *what, const char *why);

/* main() of such a program; its exit status. */
int floor_main(int argc, char **argv, const FloorDevice *device);

#endif
