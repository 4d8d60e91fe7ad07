/*
 * Collecting something over the threads of a walk: each thread fills an array of its own, and when the walk is over
 * they are put together.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_COLLECT_H
#define BLOCK_QCOW2_CHECK_COLLECT_H

#include <glib.h>

#include "block/io/prefetch.h"
#include "block/qcow2/check/walk.h"

/* The state of one thread for Qcow2TableVisitor.visit. */
typedef struct Qcow2CollectPart {
    const void *opaque; /* as passed to qcow2_collect_init() */
    GArray *items;
} Qcow2CollectPart;

typedef struct Qcow2Collect {
    Qcow2TableVisitor visitor;
    Qcow2CollectPart parts[BLOCK_MAX_WORKERS];
    void *states[BLOCK_MAX_WORKERS];
} Qcow2Collect;

/*
 * Begins collecting items of @item_size bytes: @visit is called for each table, with a Qcow2CollectPart, and appends to
 * its items. @collect must not move. @opaque is borrowed.
 */
void qcow2_collect_init(Qcow2Collect *collect, Qcow2VisitTable *visit, size_t item_size, const void *opaque);
void qcow2_collect_clear(Qcow2Collect *collect);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Collect, qcow2_collect_clear)

/* Appends what all threads have collected to @items, in an order that depends on chance, and forgets it. */
void qcow2_collect_take(Qcow2Collect *collect, GArray *items);

/* All of it: shows the tables of @walk to @visit, and appends what it collects to @items. False: memory is short. */
bool qcow2_walk_collect(Qcow2Walk *walk, Qcow2VisitTable *visit, const void *opaque, GArray *items, GError **errp);

#endif
