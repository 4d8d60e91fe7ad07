/*
 * Tables that a scan has found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/tables.h"

#include <pthread.h>

#include "block/qcow2/load/l2-result.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "qapi/util.h"
#include "util/number.h"
#include "util/search.h"
#include "util/zeros.h"

#define CLUSTERS_EACH 65536u /* that are listed before they are read */

typedef struct Finding {
    const Qcow2HeaderFields *header;
    Qcow2HeaderFields plain, extended;
    uint64_t length;
    GArray *clusters; /* uint64_t offsets, to be read */
    GArray *tables;   /* Qcow2FoundTable */
    pthread_mutex_t lock;
} Finding;

/* ---- one cluster ---- */

static uint64_t host_of(uint64_t entry, const Qcow2HeaderFields *h)
{
    return entry & QCOW2_OFLAG_COMPRESSED ? qcow2_l2_compressed_extent(h, entry, 0).offset : entry & QCOW2_OFFSET_MASK;
}

/* False if too many entries refer to the same cluster as the one before, or to the table itself. */
static bool look_at_entries(const uint8_t *bytes, const Qcow2HeaderFields *h, Qcow2FoundTable *table)
{
    unsigned step = qcow2_l2_entry_size(h);
    uint32_t wrong = 0;

    for (uint32_t i = 0; i < h->cluster_size / step; i++) {
        uint64_t entry = load_be64(bytes + (uint64_t)i * step), host = host_of(entry, h);

        if (!host) {
            continue;
        }
        if (!table->entries++) {
            table->first_entry = i;
            table->first_host = host;
        }
        wrong += host == table->offset || (i > table->first_entry && host == table->last_host);
        table->last_entry = i;
        table->last_host = host;
        table->copied |= (entry & (QCOW2_OFLAG_COPIED | QCOW2_OFLAG_COMPRESSED)) != 0;
    }
    return table->entries && wrong <= qcow2_bearable_damage(table->entries);
}

static bool look_at_cluster(void *state, size_t i, const uint8_t *bytes, int error)
{
    Finding *f = state;
    Qcow2FoundTable table = {.offset = g_array_index(f->clusters, uint64_t, i)};
    size_t size = f->header->cluster_size;

    if (error || !bytes || is_zeros(bytes, size)) {
        return true;
    }
    table.may_be_plain = qcow2_may_be_l2(bytes, size, &f->plain, f->length);
    table.is_extended =
        !table.may_be_plain && f->extended.cluster_bits >= 14 && qcow2_may_be_l2(bytes, size, &f->extended, f->length);
    table.may_be_l1 = qcow2_may_be_l1(bytes, size, &f->plain, f->length);
    table.is_l2 =
        qcow2_has_extended_l2(f->header) ? qcow2_may_be_l2(bytes, size, &f->extended, f->length) : table.may_be_plain;
    if (!table.is_l2 && !table.is_extended && !table.may_be_plain && !table.may_be_l1) {
        return true;
    }
    if (look_at_entries(bytes, table.is_l2 ? f->header : table.is_extended ? &f->extended : &f->plain, &table)) {
        pthread_mutex_lock(&f->lock);
        g_array_append_val(f->tables, table);
        pthread_mutex_unlock(&f->lock);
    }
    return true;
}

/* ---- all of them ---- */

static BlockRange cluster_range(const void *opaque, size_t i)
{
    const Finding *f = opaque;

    return (BlockRange){g_array_index(f->clusters, uint64_t, i), (uint32_t)f->header->cluster_size};
}

static bool read_clusters(Finding *f, BlockSource *source, const BlockReadOptions *options,
                          bool (*examine)(void *state, size_t i, const uint8_t *bytes, int error))
{
    BlockPrefetch prefetch = {
        .source = source,
        .options = *options,
        .n = f->clusters->len,
        .range = cluster_range,
        .examine = examine,
        .opaque = f,
    };
    bool ok = block_prefetch(&prefetch);

    g_array_set_size(f->clusters, 0);
    return ok;
}

static bool read_ranges(Finding *f, BlockSource *source, const BlockReadOptions *options, const GArray *ranges)
{
    uint64_t size = f->header->cluster_size, next = size; /* the header is no table */

    for (guint i = 0; i < ranges->len; i++) {
        const Qcow2ByteRange *range = &g_array_index(ranges, Qcow2ByteRange, i);

        for (uint64_t at = MAX(next, range->offset / size * size); at < range->offset + range->size; at += size) {
            g_array_append_val(f->clusters, at);
            next = at + size;
            if (f->clusters->len == CLUSTERS_EACH && !read_clusters(f, source, options, look_at_cluster)) {
                return false;
            }
        }
    }
    return read_clusters(f, source, options, look_at_cluster);
}

const Qcow2FoundTable *qcow2_table_at(const GArray *tables, uint64_t offset)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(tables, Qcow2FoundTable, offset, offset);
    const Qcow2FoundTable *table = i < tables->len ? &g_array_index(tables, Qcow2FoundTable, i) : NULL;

    return table && table->offset == offset ? table : NULL;
}

/* ---- which of them are L1 tables ---- */

/* Most of what an L1 table refers to are tables. Those of zeros were not found, and say nothing. */
static bool look_at_l1(void *state, size_t i, const uint8_t *bytes, int error)
{
    Finding *f = state;
    uint64_t offset = g_array_index(f->clusters, uint64_t, i);
    Qcow2FoundTable *table = (Qcow2FoundTable *)qcow2_table_at(f->tables, offset);
    uint32_t entries = 0, tables = 0;

    for (size_t at = 0; !error && bytes && at < f->header->cluster_size; at += 8) {
        uint64_t host = load_be64(bytes + at) & QCOW2_OFFSET_MASK;

        entries += host != 0;
        tables += host && host != offset && qcow2_table_at(f->tables, host);
    }
    if (entries && tables * 4 >= entries * 3) {
        table->is_l1 = true;
    }
    return true;
}

/* A look at the ends of a table saves reading most L2 tables again. */
static bool find_l1_tables(Finding *f, BlockSource *source, const BlockReadOptions *options)
{
    for (guint i = 0; i < f->tables->len; i++) {
        const Qcow2FoundTable *t = &g_array_index(f->tables, Qcow2FoundTable, i);

        if (t->may_be_l1 && (qcow2_table_at(f->tables, t->first_host) || qcow2_table_at(f->tables, t->last_host))) {
            g_array_append_val(f->clusters, t->offset);
        }
    }
    if (!read_clusters(f, source, options, look_at_l1)) {
        return false;
    }
    for (guint i = 0; i < f->tables->len; i++) {
        Qcow2FoundTable *t = &g_array_index(f->tables, Qcow2FoundTable, i);

        t->is_l2 &= !t->is_l1;
    }
    return true;
}

GArray *qcow2_find_tables(BlockSource *source, const BlockReadOptions *options, const Qcow2HeaderFields *header,
                          const Qcow2Scan *scan, GError **errp)
{
    Finding f = {.header = header, .plain = *header, .extended = *header, .length = source->length};
    bool ok;

    f.plain.incompatible_features &= ~QCOW2_INCOMPAT_EXTENDED_L2;
    f.extended.incompatible_features |= QCOW2_INCOMPAT_EXTENDED_L2;
    f.clusters = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    f.tables = g_array_new(FALSE, FALSE, sizeof(Qcow2FoundTable));
    pthread_mutex_init(&f.lock, NULL);
    ok = read_ranges(&f, source, options, scan->tables);
    ARRAY_SORT(f.tables, Qcow2FoundTable, offset);
    ok = ok && find_l1_tables(&f, source, options);
    pthread_mutex_destroy(&f.lock);
    g_array_unref(f.clusters);
    if (!ok) {
        g_array_unref(f.tables);
        qapi_set_out_of_memory(errp);
        return NULL;
    }
    return f.tables;
}

/* Refcount tables look like plain tables, but have no flags. So does an L1 table whose L2 tables are lost. */
bool qcow2_tables_are_extended(const GArray *tables, const Qcow2HeaderFields *hint)
{
    uint64_t extended = 0, plain = 0;

    for (guint i = 0; i < tables->len; i++) {
        const Qcow2FoundTable *t = &g_array_index(tables, Qcow2FoundTable, i);

        extended += t->is_extended && !t->is_l1;
        plain += t->may_be_plain && !t->is_l1 && t->copied && !(hint && hint->l1_table_offset == t->offset);
    }
    return extended > plain || (extended == plain && hint && qcow2_has_extended_l2(hint));
}
