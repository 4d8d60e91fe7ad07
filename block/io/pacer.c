/*
 * The pace of reading: see block/io/pacer.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/pacer.h"

#include <assert.h>
#include <glib.h>

#define MIN_DEPTH      4    /* so that there is something to measure */
#define NEAR_MIN_DEPTH 32   /* where latency is small: no disk is fast that has to seek, and a queue costs nothing */
#define GAIN           2    /* in flight, as a multiple of the product of bandwidth and latency */
#define FAR            2000 /* microseconds: from here on latency is large */
#define FIRST_PACE     1024 /* bytes a microsecond, which a source is taken to bring until it was measured */
#define BANDWIDTH_KEPT 0.9  /* of the most seen, from one round to the next */
#define SUMS_KEPT      0.98
#define KNOWN_SPREAD   0.01 /* of the sizes of reads, below which no line can be drawn through their times */

void pacer_init(Pacer *p, uint64_t latency, size_t near_budget, size_t far_budget)
{
    assert(near_budget >= 1 && near_budget <= far_budget);
    *p = (Pacer){.near_budget = near_budget, .far_budget = far_budget, .latency = latency};
}

void pacer_started(Pacer *p, int64_t now)
{
    if (p->in_flight++ == 0) {
        p->round_start = now;
        p->round_goal = p->round_done = 0;
        p->round_bytes = p->round_latency = 0;
    }
}

/* Takes a round into the sums; older ones fade, as the depth was another one then. */
static void add_to_sums(Pacer *p, double n, double bytes, double time)
{
    p->nn = SUMS_KEPT * p->nn + n * n;
    p->nb = SUMS_KEPT * p->nb + n * bytes;
    p->bb = SUMS_KEPT * p->bb + bytes * bytes;
    p->nt = SUMS_KEPT * p->nt + n * time;
    p->bt = SUMS_KEPT * p->bt + bytes * time;
}

static void end_round(Pacer *p, int64_t now)
{
    double time = (double)MAX(now - p->round_start, 1);
    double bytes = (double)p->round_bytes;
    uint64_t latency = MAX(p->round_latency / p->round_done, 1);

    p->latency = p->latency ? MIN(p->latency, latency) : latency;
    p->bandwidth = MAX(p->bandwidth * BANDWIDTH_KEPT, bytes / time);
    p->mean_size = bytes / p->round_done;
    add_to_sums(p, p->round_done, bytes, time);
    p->round_start = now;
    p->round_goal = MAX(p->in_flight, 1);
    p->round_done = 0;
    p->round_bytes = p->round_latency = 0;
}

void pacer_completed(Pacer *p, int64_t started, int64_t now, size_t bytes)
{
    assert(p->in_flight > 0);
    if (!p->round_goal) {
        p->round_goal = p->in_flight;
    }
    p->in_flight--;
    p->round_done++;
    p->round_bytes += bytes;
    p->round_latency += (uint64_t)MAX(now - started, 0);
    if (p->round_done >= p->round_goal && (uint64_t)MAX(now - p->round_start, 0) >= p->latency) {
        end_round(p, now);
    }
}

size_t pacer_budget(const Pacer *p)
{
    return p->latency >= FAR ? p->far_budget : p->near_budget;
}

unsigned pacer_depth(const Pacer *p, size_t size)
{
    double pace = p->bandwidth > 0 ? GAIN * p->bandwidth : FIRST_PACE;
    double product = pace * (double)p->latency / (p->mean_size > 0 ? p->mean_size : (double)size);
    unsigned least = p->latency == 0 || p->latency >= FAR ? MIN_DEPTH : NEAR_MIN_DEPTH;
    double most = (double)CLAMP((unsigned)MIN(pacer_budget(p) / size, PACER_MAX_DEPTH), 1, PACER_MAX_DEPTH);

    return (unsigned)CLAMP(product, MIN(least, most), most);
}

size_t pacer_gap(const Pacer *p)
{
    double spread = p->nn * p->bb - p->nb * p->nb;
    double request, byte;

    if (!(spread > KNOWN_SPREAD * p->nn * p->bb)) {
        /* reads had one size: some of a larger one are a cheap way to learn */
        return (size_t)(p->mean_size / 4);
    }
    request = p->nt * p->bb - p->bt * p->nb;
    byte = p->bt * p->nn - p->nt * p->nb;
    if (request <= 0) {
        return 0;
    }
    return byte * (double)p->far_budget > request ? (size_t)(request / byte) : p->far_budget;
}
