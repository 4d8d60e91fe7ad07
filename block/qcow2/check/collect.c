/*
 * Collecting something over the threads of a walk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/collect.h"

static bool visit_table(void *opaque, unsigned worker, const Qcow2TableRef *table, const uint8_t *bytes,
                        const Qcow2L2Result *contents)
{
    const Qcow2Collect *c = opaque;

    return c->collect(c->opaque, c->items[worker], table, bytes, contents);
}

void qcow2_collect_init(Qcow2Collect *c, Qcow2CollectTable *collect, size_t item_size, void *opaque)
{
    *c = (Qcow2Collect){.visitor = {visit_table, c}, .collect = collect, .opaque = opaque};
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        c->items[i] = g_array_new(FALSE, FALSE, (guint)item_size);
    }
}

void qcow2_collect_clear(Qcow2Collect *c)
{
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        g_clear_pointer(&c->items[i], g_array_unref);
    }
}

void qcow2_collect_take(Qcow2Collect *c, GArray *items)
{
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        g_array_append_vals(items, c->items[i]->data, c->items[i]->len);
        g_array_set_size(c->items[i], 0);
    }
}

bool qcow2_walk_collect(Qcow2Walk *walk, Qcow2CollectTable *collect, void *opaque, GArray *items, GError **errp)
{
    g_auto(Qcow2Collect) c;
    bool ok;

    qcow2_collect_init(&c, collect, g_array_get_element_size(items), opaque);
    ok = qcow2_walk_visit(walk, &c.visitor, errp);
    qcow2_collect_take(&c, items);
    return ok;
}
