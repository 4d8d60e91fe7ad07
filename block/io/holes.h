/*
 * The holes of a file, asked for in the order of the file.
 *
 * The file system takes its time to find each one. So a thread may look for them in advance while something else is
 * done, for as many as fit into a MiB of memory; those behind are found when they are asked for.
 *
 * A Holes borrows the source, and belongs to one thread. Nothing fails: where there is no memory for a thread there is
 * none, and what the source does not know of its holes is no hole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_HOLES_H
#define BLOCK_IO_HOLES_H

#include <glib.h>
#include <stdbool.h>

#include "block/source.h"

typedef struct Holes {
    BlockSource *source; /* NULL: holes are not known */
    uint64_t from;       /* the hole under way, in bytes of the file */
    uint64_t to;
    GThread *thread; /* NULL: nothing is looked for in advance, or that is over */
    gint stop;       /* tells the thread that nobody waits */
    GArray *ahead;   /* what it found */
    guint passed;    /* of them */
} Holes;

/* Begins with the holes of @source; with @threads, and a file that may have many, a thread starts to look for them. */
void holes_init(Holes *holes, BlockSource *source, bool threads);
void holes_clear(Holes *holes);

/* The number of bytes in [@from, @to) that are holes. The range lies behind all that were asked for before. */
uint64_t holes_in(Holes *holes, uint64_t from, uint64_t to);

#endif
