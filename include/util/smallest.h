/*
 * The smallest items of many, whatever the order in which they arrive, and from whichever thread: a list with a limit
 * that has the same items for any number of threads.
 *
 * Items are bytes of one size, and are copied. Any thread may add them at any time. Memory: at most five quarters of
 * the limit, and no more than twice what was added.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SMALLEST_H
#define UTIL_SMALLEST_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Smallest {
    GArray *items;
    guint most;
    GCompareFunc compare; /* a total order: items that compare equal are the same in every byte that matters */
    GByteArray *bound;    /* the greatest item that is kept, once some were left out; empty: any may be kept */
    bool more;            /* more than @most were added; when all are */
    pthread_mutex_t lock; /* of all of it, one that ThreadSanitizer sees */
} Smallest;

/* Begins to collect the @most smallest items, of @item_size bytes each. Cleared by smallest_clear(). */
void smallest_init(Smallest *smallest, size_t item_size, guint most, GCompareFunc compare);
void smallest_clear(Smallest *smallest);

/* Adds a copy of @item. */
void smallest_add(Smallest *smallest, const void *item);

/* When all were added: cuts the list, and returns it, sorted. It belongs to @smallest until it is cleared. */
GArray *smallest_end(Smallest *smallest);

#endif
