/*
 * Writes a consistent qcow2 image that is all metadata: the guest's data are holes of a sparse file.
 *
 * The metadata lie where they would after a guest had written to its disk: an L2 table before the first data
 * cluster that it maps, a block of refcounts at the beginning of the range that it counts. COPIED flags and
 * refcounts are right, so a checker finds nothing but the leaks that were asked for.
 *
 * For benchmarks and their tests: what fails ends the program with a message. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_BENCH_IMAGE_WRITER_H
#define TESTS_BENCH_IMAGE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ImageShape {
    uint64_t virtual_size; /* bytes */
    uint64_t allocated;    /* bytes from the start of the disk that have been written */
    unsigned cluster_bits;
    unsigned refcount_order;
    bool extended_l2;
    bool random;               /* the guest wrote its runs of clusters in random order */
    uint64_t run;              /* clusters of a run, at least 1 */
    uint64_t seed;             /* of everything random */
    unsigned own_snapshots;    /* after each of them the guest wrote once to what each L2 table maps */
    unsigned shared_snapshots; /* taken after those, and nothing was written since */
    uint64_t leaks;            /* clusters with refcount 1 that nothing uses, scattered over the file */
    bool counts_too_high;      /* each stored count is 1 more than it should be */
    bool full;                 /* the file is as long on disk as it is */
} ImageShape;

/* Writes an image of @shape to @path, replacing what is there. */
void image_write(const char *path, const ImageShape *shape);

#endif
