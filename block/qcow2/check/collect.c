/*
 * Collecting something over the threads of a walk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/collect.h"

void qcow2_collect_init(Qcow2Collect *c, Qcow2VisitTable *visit, size_t item_size, const void *opaque)
{
    c->visitor = (Qcow2TableVisitor){.visit = visit, .states = c->states};
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        c->parts[i] = (Qcow2CollectPart){.opaque = opaque, .items = g_array_new(FALSE, FALSE, (guint)item_size)};
        c->states[i] = &c->parts[i];
    }
}

void qcow2_collect_clear(Qcow2Collect *c)
{
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        g_clear_pointer(&c->parts[i].items, g_array_unref);
    }
}

void qcow2_collect_take(Qcow2Collect *c, GArray *items)
{
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        g_array_append_vals(items, c->parts[i].items->data, c->parts[i].items->len);
        g_array_set_size(c->parts[i].items, 0);
    }
}

bool qcow2_walk_collect(Qcow2Walk *walk, Qcow2VisitTable *visit, const void *opaque, GArray *items, GError **errp)
{
    g_auto(Qcow2Collect) c;
    bool ok;

    qcow2_collect_init(&c, visit, g_array_get_element_size(items), opaque);
    ok = qcow2_walk_visit(walk, &c.visitor, errp);
    qcow2_collect_take(&c, items);
    return ok;
}
