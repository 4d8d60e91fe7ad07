/*
 * The pacer finds the pace of a device by its answers alone. Devices and their clock are simulated.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "block/io/pacer.h"

#define NEAR  (8u << 20)
#define FAR   (64u << 20)
#define PIECE (64u << 10)
#define TIB   2560 /* pieces of metadata of 1 TiB */

/* A device that takes each request for @latency, @servers of them at once, and sends the bytes through one line. */
typedef struct Device {
    int64_t latency;  /* microseconds */
    double bandwidth; /* bytes a microsecond */
    unsigned servers; /* at most PACER_MAX_DEPTH */
    int64_t free_at[PACER_MAX_DEPTH];
    int64_t line_free_at;
} Device;

typedef struct Flight {
    int64_t started;
    int64_t done;
} Flight;

typedef struct Run {
    Pacer pacer;
    Device *device;
    int64_t now;
    Flight flights[PACER_MAX_DEPTH]; /* in the order of their ends */
    unsigned n;
    unsigned most;
} Run;

static void start(Run *run, size_t size)
{
    Device *d = run->device;
    int64_t *server = &d->free_at[0];
    int64_t done;

    for (unsigned i = 1; i < d->servers; i++) {
        server = d->free_at[i] < *server ? &d->free_at[i] : server;
    }
    *server = MAX(*server, run->now) + d->latency;
    done = MAX(*server, d->line_free_at) + (int64_t)((double)size / d->bandwidth);
    d->line_free_at = done;
    if (d->servers == 1) {
        *server = done; /* a disk: it does not seek while it reads */
    }
    g_assert_cmpuint(run->n, <, PACER_MAX_DEPTH);
    run->flights[run->n++] = (Flight){.started = run->now, .done = done};
    run->most = MAX(run->most, run->n);
    pacer_started(&run->pacer, run->now);
}

static void finish(Run *run, size_t size)
{
    Flight first = run->flights[0];

    run->n--;
    for (unsigned i = 0; i < run->n; i++) {
        run->flights[i] = run->flights[i + 1];
    }
    run->now = MAX(run->now, first.done);
    pacer_completed(&run->pacer, first.started, run->now, size);
}

/* Reads @n pieces of @size; returns the time that it takes. */
static int64_t read_all(Run *run, unsigned n, size_t size)
{
    int64_t begin = run->now;

    while (n || run->n) {
        for (; n && run->n < pacer_depth(&run->pacer, size); n--) {
            start(run, size);
        }
        finish(run, size);
    }
    return run->now - begin;
}

static Run *run_new(Device *device, uint64_t latency)
{
    Run *run = g_new0(Run, 1);

    run->device = device;
    pacer_init(&run->pacer, latency, NEAR, FAR);
    return run;
}

/* What arrives through the line, and four round trips. */
static double mark(const Device *d)
{
    return 1.5 * ((double)TIB * PIECE / d->bandwidth + 4.0 * (double)d->latency);
}

/* Over a network, many reads are in flight at once, and 1 TiB takes few round trips. */
static void test_far(void)
{
    static const int64_t latencies[] = {20000, 150000};

    for (size_t i = 0; i < G_N_ELEMENTS(latencies); i++) {
        Device device = {.latency = latencies[i], .bandwidth = 1000, .servers = PACER_MAX_DEPTH};
        g_autofree Run *run = run_new(&device, latencies[i]);

        g_assert_cmpfloat((double)read_all(run, TIB, PIECE), <=, mark(&device));
        g_assert_cmpuint(run->most * PIECE, <=, FAR);
    }
}

/* Where nothing is known at first, the depth doubles with each round trip. */
static void test_unknown(void)
{
    Device device = {.latency = 20000, .bandwidth = 1000, .servers = PACER_MAX_DEPTH};
    g_autofree Run *run = run_new(&device, 0);

    /* 4, 8, 16 ... 512 are 1,020 requests in 8 round trips, and two more take the rest */
    g_assert_cmpint(read_all(run, TIB, PIECE), <=, 12 * 20000 + TIB * PIECE / 1000);
}

/* Nearby, little memory is enough. */
static void test_near(void)
{
    Device device = {.latency = 1000, .bandwidth = 1000, .servers = 64};
    g_autofree Run *run = run_new(&device, 1000);

    g_assert_cmpfloat((double)read_all(run, TIB, PIECE), <=, mark(&device));
    g_assert_cmpuint(run->most * PIECE, <=, NEAR);
}

/* A line that is slow has what it can carry in flight, and no more. */
static void test_slow_line(void)
{
    Device device = {.latency = 20000, .bandwidth = 10, .servers = PACER_MAX_DEPTH};
    g_autofree Run *run = run_new(&device, 20000);

    g_assert_cmpfloat((double)read_all(run, TIB, PIECE), <=, mark(&device));
    run->most = 0;
    read_all(run, 200, PIECE);
    g_assert_cmpuint(run->most, <=, 16); /* 200,000 bytes are under way on the line: 3 pieces */
}

/* A disk that serves one read after the other has few in its queue, whose order it is to keep. */
static void test_serial(void)
{
    Device device = {.latency = 8000, .bandwidth = 150, .servers = 1};
    g_autofree Run *run = run_new(&device, 0);

    read_all(run, 100, PIECE);
    g_assert_cmpuint(run->most, <=, 8);
}

/* A server that works on 16 requests at once gets twice as many. */
static void test_server_limit(void)
{
    Device device = {.latency = 20000, .bandwidth = 1000, .servers = 16};
    g_autofree Run *run = run_new(&device, 20000);

    read_all(run, TIB, PIECE);
    run->most = 0;
    read_all(run, 500, PIECE);
    g_assert_cmpuint(run->most, >=, 16);
    g_assert_cmpuint(run->most, <=, 48);
}

/* The memory that may be in flight is kept, whatever the size of a request; one is always allowed. */
static void test_budget(void)
{
    static const size_t sizes[] = {1, 4096, PIECE, 2u << 20, 1u << 30};

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        Pacer pacer;

        pacer_init(&pacer, 1000000, NEAR, FAR);
        g_assert_cmpuint(pacer_depth(&pacer, sizes[i]), ==, CLAMP(FAR / sizes[i], 1, PACER_MAX_DEPTH));
        g_assert_cmpuint(pacer_budget(&pacer), ==, FAR);
        pacer_init(&pacer, 100, NEAR, FAR);
        g_assert_cmpuint(pacer_budget(&pacer), ==, NEAR);
    }
}

static size_t gap_after(int64_t latency, double bandwidth, unsigned servers)
{
    Device device = {.latency = latency, .bandwidth = bandwidth, .servers = servers};
    g_autofree Run *run = run_new(&device, latency);

    for (unsigned i = 1; i <= 4; i++) {
        read_all(run, 200, PIECE * i);
    }
    return pacer_gap(&run->pacer);
}

/* A gap is worth reading where that takes less time than another request: for a disk, what passes during a seek. */
static void test_gap(void)
{
    /* 8 ms at 150 bytes a microsecond are 1.2 MB */
    size_t seek = gap_after(8000, 150, 1);
    size_t line = gap_after(1000, 100, PACER_MAX_DEPTH);

    g_assert_cmpuint(seek, >=, 900000);
    g_assert_cmpuint(seek, <=, 1500000);
    g_assert_cmpuint(line, <=, 4096); /* the line is busy all the time: what is not needed only delays the rest */
}

/* As long as all reads had one size, nothing is known but that a small gap cannot cost much. */
static void test_gap_unknown(void)
{
    Device device = {.latency = 8000, .bandwidth = 150, .servers = 1};
    g_autofree Run *run = run_new(&device, 0);

    g_assert_cmpuint(pacer_gap(&run->pacer), ==, 0);
    read_all(run, 100, PIECE);
    g_assert_cmpuint(pacer_gap(&run->pacer), ==, PIECE / 4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pacer/far", test_far);
    g_test_add_func("/pacer/unknown", test_unknown);
    g_test_add_func("/pacer/near", test_near);
    g_test_add_func("/pacer/slow-line", test_slow_line);
    g_test_add_func("/pacer/serial", test_serial);
    g_test_add_func("/pacer/server-limit", test_server_limit);
    g_test_add_func("/pacer/budget", test_budget);
    g_test_add_func("/pacer/gap", test_gap);
    g_test_add_func("/pacer/gap-unknown", test_gap_unknown);
    return g_test_run();
}
