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

/* Appends to @items, which are those of one thread. False ends everything: memory is short. */
typedef bool Qcow2CollectTable(void *opaque, GArray *items, const Qcow2TableRef *table, const uint8_t *bytes,
                               const Qcow2L2Result *contents);

typedef struct Qcow2Collect {
    Qcow2TableVisitor visitor;
    Qcow2CollectTable *collect;
    void *opaque;
    GArray *items[BLOCK_MAX_WORKERS];
} Qcow2Collect;

/* Begins collecting items of @item_size bytes. The visitor is for as long as @c does not move. @opaque is borrowed. */
void qcow2_collect_init(Qcow2Collect *c, Qcow2CollectTable *collect, size_t item_size, void *opaque);
void qcow2_collect_clear(Qcow2Collect *c);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Collect, qcow2_collect_clear)

/* Appends what all threads have collected to @items, in an order that depends on chance, and forgets it. */
void qcow2_collect_take(Qcow2Collect *c, GArray *items);

/* All of it: shows the tables of @walk to @collect, and appends what it has collected. False: memory is short. */
bool qcow2_walk_collect(Qcow2Walk *walk, Qcow2CollectTable *collect, void *opaque, GArray *items, GError **errp);

#endif
