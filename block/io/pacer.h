/*
 * The pace of reading: how many reads to have in flight, and how large a gap between two ranges may be read through.
 *
 * A pacer sees when reads start and complete, and nothing else, so it is the same for disks and servers. What it goes
 * by is the product of bandwidth and latency: as much as arrives in the time that one read takes is to be in flight,
 * and as much again, so that bandwidth that is there is found. Where more in flight brings no more, a disk that serves
 * one read after the other for instance, that product is one read.
 *
 * Times are microseconds of any clock that does not go back. A pacer belongs to one thread, or to a lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_PACER_H
#define BLOCK_IO_PACER_H

#include <stddef.h>
#include <stdint.h>

#define PACER_MAX_DEPTH 1024 /* requests in flight, all threads together */

/* A read that takes longer than this, microseconds, had to wait for a device. */
#define PACER_WAITED 100

typedef struct Pacer {
    /* Bytes that may be in flight: where latency is small, and where it is large. */
    size_t near_budget;
    size_t far_budget;

    uint64_t latency;   /* of a read that waits for no other, microseconds; 0: not known */
    double bandwidth;   /* the most seen of late, bytes a microsecond; 0: not known */
    double mean_size;   /* of reads, bytes */
    unsigned in_flight; /* requests */

    /*
     * The round under way. It ends when as many requests are complete as were in flight when it began, and one could
     * have been started and completed.
     */
    int64_t round_start;
    uint64_t round_bytes;
    uint64_t round_latency; /* the sum of all requests */
    unsigned round_done;
    unsigned round_goal; /* 0: set when the first request is complete */

    /* Sums over the rounds for a line through their times: requests * cost of one + bytes * cost of one. */
    double nn, nb, bb, nt, bt;
} Pacer;

/* A pacer for a source whose reads take @latency, 0 where that is not known. The near budget is not the larger one. */
void pacer_init(Pacer *pacer, uint64_t latency, size_t near_budget, size_t far_budget);

/* A request was handed over at @now, and is not complete. */
void pacer_started(Pacer *pacer, int64_t now);

/* One that was handed over at @started is complete at @now. */
void pacer_completed(Pacer *pacer, int64_t started, int64_t now, size_t bytes);

/* Requests to have in flight, 1 .. PACER_MAX_DEPTH, if the next ones have @size bytes (at least 1). */
unsigned pacer_depth(const Pacer *pacer, size_t size);

/* Bytes that may be in flight. */
size_t pacer_budget(const Pacer *pacer);

/* A gap of so many bytes costs as much as another request does. */
size_t pacer_gap(const Pacer *pacer);

#endif
