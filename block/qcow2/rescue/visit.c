/*
 * Reading L2 tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/visit.h"

#include <pthread.h>

#include "block/qcow2/load/l2-result.h"
#include "qapi/util.h"
#include "util/number.h"
#include "util/search.h"

typedef struct Visiting {
    const Qcow2HeaderFields *header;
    const GArray *tables;
    Qcow2VisitTable *visit;
    void *opaque;
    pthread_mutex_t lock; /* held while the caller's function runs */
} Visiting;

static BlockRange table_range(const void *opaque, size_t i)
{
    const Visiting *v = opaque;

    return (BlockRange){g_array_index(v->tables, Qcow2TableToRead, i).offset, (uint32_t)v->header->cluster_size};
}

static bool visit_table(void *state, size_t i, const uint8_t *bytes, int error)
{
    Visiting *v = state;

    pthread_mutex_lock(&v->lock);
    v->visit(v->opaque, &g_array_index(v->tables, Qcow2TableToRead, i), error ? NULL : bytes);
    pthread_mutex_unlock(&v->lock);
    return true;
}

bool qcow2_visit_tables(BlockSource *source, const BlockReadOptions *options, const Qcow2HeaderFields *header,
                        GArray *tables, Qcow2VisitTable *visit, void *opaque, GError **errp)
{
    Visiting v = {.header = header, .tables = tables, .visit = visit, .opaque = opaque};
    BlockPrefetch prefetch = {
        .source = source,
        .options = *options,
        .n = tables->len,
        .range = table_range,
        .examine = visit_table,
        .opaque = &v,
    };
    bool ok;

    ARRAY_SORT(tables, Qcow2TableToRead, offset);
    pthread_mutex_init(&v.lock, NULL);
    ok = block_prefetch(&prefetch);
    pthread_mutex_destroy(&v.lock);
    return ok || qapi_set_out_of_memory(errp);
}

uint64_t qcow2_entry_host(const uint8_t *bytes, uint32_t i, const Qcow2HeaderFields *h)
{
    uint64_t entry = load_be64(bytes + (uint64_t)i * qcow2_l2_entry_size(h));

    return entry & QCOW2_OFLAG_COMPRESSED ? qcow2_l2_compressed_extent(h, entry, i).offset : entry & QCOW2_OFFSET_MASK;
}
