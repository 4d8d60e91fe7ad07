/*
 * One thing that a person asks for, and nothing else: a table is attached, a snapshot is dropped, entries become zeros.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/request.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "block/qcow2/repair/passes.h"
#include "util/text.h"

bool request_refuse(GError **errp, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    g_set_error(errp, BLOCK_ERROR, EINVAL, "%s", text);
    return false;
}

bool request_find_snapshot(const RepairInput *in, const char *name, guint *index, GError **errp)
{
    const GArray *snapshots = in->check->snapshots.items;
    g_autofree char *safe = text_escape(name, strlen(name));
    guint n = 0;

    for (unsigned by_name = 0; by_name < 2 && !n; by_name++) {
        for (guint i = 0; i < snapshots->len; i++) {
            const Qcow2Snapshot *s = &g_array_index(snapshots, Qcow2Snapshot, i);

            if (g_strcmp0(by_name ? s->name : s->id, name) == 0) {
                *index = i;
                n++;
            }
        }
    }
    if (n > 1) {
        return request_refuse(errp, "There are %u snapshots '%s'", n, safe);
    }
    return n || request_refuse(errp, "There is no snapshot '%s'", safe);
}

static bool drop_snapshot(Restore *r)
{
    const Qcow2Snapshots *s = &r->in->check->snapshots;
    g_autoptr(GByteArray) table = g_byte_array_new();
    Edit like = {.why = QCOW2_FINDING__MAX};
    guint dropped = 0;

    if (!request_find_snapshot(r->in, r->in->options->request->name, &dropped, r->errp)) {
        return false;
    }
    if (!s->complete || !s->there || r->in->header->nb_snapshots != s->items->len) {
        return request_refuse(r->errp, "The snapshot table has faults, and a new one would lack other snapshots");
    }
    if (!allocator_header_writable(r->alloc)) {
        return request_refuse(r->errp, "A guest reads the header as its data");
    }
    return snapshots_append_others(r->in, table, dropped, r->errp) &&
           snapshots_place_table(r->in, r->alloc, r->edits, table, s->items->len - 1, &like, r->errp) &&
           (edits_n(r->edits) || request_refuse(r->errp, "There is no place for a new snapshot table"));
}

static bool run(Restore *r)
{
    switch (r->in->options->request->kind) {
    case QCOW2_REQUEST_DROP_SNAPSHOT:
        return drop_snapshot(r);
    case QCOW2_REQUEST_DROP_BITMAP:
        return request_drop_bitmap(r);
    case QCOW2_REQUEST_ZERO:
        return request_zero(r);
    default:
        return request_attach(r) && restore_finish(r, QCOW2_FINDING__MAX);
    }
}

bool repair_request(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits, GError **errp)
{
    Restore r = {.in = in, .layout = layout, .alloc = alloc, .edits = edits, .errp = errp};

    return restore_run(&r, run);
}
