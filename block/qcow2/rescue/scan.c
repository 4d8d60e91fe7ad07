/*
 * The scan of a rescue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/scan.h"

#include <pthread.h>
#include <string.h>

#include "block/qcow2/inspect/evidence-forms.h"
#include "qapi/util.h"
#include "util/number.h"
#include "util/search.h"
#include "util/zeros.h"

#define READ_SIZE   (256u << 10)
#define READS_EACH  4096u       /* that are listed before the next are looked for */
#define JOIN_SIZE   (64u << 10) /* ranges with less between them become one */
#define MAX_OFFSETS (1u << 16)  /* snapshot tables, LUKS headers: only hostile files have more */
#define LUKS_MAGIC  "LUKS\xba\xbe"

typedef struct Scanning {
    Qcow2Scan *scan;
    uint64_t length;
    Qcow2HeaderFields smallest; /* a header with the smallest clusters, whose alignment all others have too */
    GArray *reads;              /* BlockRange */
    pthread_mutex_t lock;       /* of the scan */
} Scanning;

/* What is found in one read. */
typedef struct Found {
    Qcow2Votes votes;
    GArray *tables;
} Found;

static void add_range(GArray *ranges, uint64_t offset, uint64_t size)
{
    Qcow2ByteRange *last = ranges->len ? &g_array_index(ranges, Qcow2ByteRange, ranges->len - 1) : NULL;
    Qcow2ByteRange range = {offset, size};

    if (last && offset >= last->offset && offset - last->offset < last->size + JOIN_SIZE) {
        last->size = MAX(last->size, offset + size - last->offset);
    } else {
        g_array_append_val(ranges, range);
    }
}

static void add_offset(Scanning *s, GArray *offsets, uint64_t offset)
{
    pthread_mutex_lock(&s->lock);
    if (offsets->len < MAX_OFFSETS) {
        g_array_append_val(offsets, offset);
    }
    pthread_mutex_unlock(&s->lock);
}

static void look_at_sector(Scanning *s, const uint8_t *sector, uint64_t offset, Found *found)
{
    unsigned forms;

    if (is_zeros(sector, QCOW2_SECTOR_SIZE)) {
        return;
    }
    forms = qcow2_sector_forms(sector, s->length);
    if (forms && offset) {
        add_range(found->tables, offset, QCOW2_SECTOR_SIZE);
        qcow2_votes_add(&found->votes, sector, forms);
    }
    if (memcmp(sector, LUKS_MAGIC, sizeof(LUKS_MAGIC) - 1) == 0) {
        add_offset(s, s->scan->luks, offset);
    } else if (qcow2_may_be_snapshot_table(sector, QCOW2_SECTOR_SIZE, &s->smallest, s->length)) {
        add_offset(s, s->scan->snapshots, offset);
    }
}

static void keep_found(Scanning *s, const Found *found, uint64_t size)
{
    pthread_mutex_lock(&s->lock);
    s->scan->data += size;
    qcow2_votes_merge(&s->scan->votes, &found->votes);
    for (guint i = 0; i < found->tables->len; i++) {
        g_array_append_val(s->scan->tables, g_array_index(found->tables, Qcow2ByteRange, i));
    }
    pthread_mutex_unlock(&s->lock);
}

static bool look_at_read(void *state, size_t i, const uint8_t *bytes, int error)
{
    Scanning *s = state;
    BlockRange read = g_array_index(s->reads, BlockRange, i);
    Found found = {.tables = NULL};

    if (error) {
        Qcow2ByteRange unread = {read.offset, read.size};

        pthread_mutex_lock(&s->lock);
        g_array_append_val(s->scan->unread, unread);
        pthread_mutex_unlock(&s->lock);
        return true;
    }
    if (!bytes || is_zeros(bytes, read.size)) {
        return true;
    }
    found.tables = g_array_new(FALSE, FALSE, sizeof(Qcow2ByteRange));
    for (uint32_t at = 0; at + QCOW2_SECTOR_SIZE <= read.size; at += QCOW2_SECTOR_SIZE) {
        look_at_sector(s, bytes + at, read.offset + at, &found);
    }
    keep_found(s, &found, read.size);
    g_array_unref(found.tables);
    return true;
}

/* ---- which parts of the file ---- */

static BlockRange read_range(const void *opaque, size_t i)
{
    return g_array_index(((const Scanning *)opaque)->reads, BlockRange, i);
}

static bool scan_reads(Scanning *s, BlockSource *source, const BlockReadOptions *options)
{
    BlockPrefetch prefetch = {
        .source = source,
        .options = *options,
        .n = s->reads->len,
        .range = read_range,
        .examine = look_at_read,
        .opaque = s,
    };
    bool ok = block_prefetch(&prefetch);

    g_array_set_size(s->reads, 0);
    return ok;
}

/* The first byte at or behind @at that is no hole, by whole reads. */
static uint64_t next_data(BlockSource *source, uint64_t at)
{
    return MAX(at, block_source_next_data(source, at) / READ_SIZE * READ_SIZE);
}

static bool scan_all(Scanning *s, BlockSource *source, const BlockReadOptions *options)
{
    uint64_t hole = 0;

    for (uint64_t at = 0; at < source->length;) {
        BlockRange read;

        if (at >= hole) {
            at = next_data(source, at);
            hole = at < source->length ? block_source_next_hole(source, at) : source->length;
            hole = MAX(hole, at + 1); /* a file that another program changes */
            if (at >= source->length) {
                break;
            }
        }
        read = (BlockRange){at, READ_SIZE}; /* zeros behind the end */
        g_array_append_val(s->reads, read);
        if (s->reads->len == READS_EACH && !scan_reads(s, source, options)) {
            return false;
        }
        at += READ_SIZE;
    }
    return scan_reads(s, source, options);
}

/* ---- all of it ---- */

static void sort_and_join(GArray **ranges)
{
    GArray *joined = g_array_new(FALSE, FALSE, sizeof(Qcow2ByteRange));

    ARRAY_SORT(*ranges, Qcow2ByteRange, offset);
    for (guint i = 0; i < (*ranges)->len; i++) {
        const Qcow2ByteRange *range = &g_array_index(*ranges, Qcow2ByteRange, i);

        add_range(joined, range->offset, range->size);
    }
    g_array_unref(*ranges);
    *ranges = joined;
}

bool qcow2_scan(BlockSource *source, const BlockReadOptions *options, Qcow2Scan *scan, GError **errp)
{
    Scanning s = {.scan = scan, .length = source->length, .smallest = {.cluster_bits = QCOW2_MIN_CLUSTER_BITS}};
    bool ok;

    s.smallest.cluster_size = UINT64_C(1) << QCOW2_MIN_CLUSTER_BITS;
    *scan = (Qcow2Scan){.tables = g_array_new(FALSE, FALSE, sizeof(Qcow2ByteRange)),
                        .snapshots = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                        .luks = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                        .unread = g_array_new(FALSE, FALSE, sizeof(Qcow2ByteRange))};
    s.reads = g_array_new(FALSE, FALSE, sizeof(BlockRange));
    pthread_mutex_init(&s.lock, NULL);
    ok = scan_all(&s, source, options);
    pthread_mutex_destroy(&s.lock);
    g_array_unref(s.reads);
    sort_and_join(&scan->tables);
    sort_and_join(&scan->unread);
    ARRAY_SORT_U64(scan->snapshots);
    ARRAY_SORT_U64(scan->luks);
    return ok || qapi_set_out_of_memory(errp);
}

void qcow2_scan_clear(Qcow2Scan *scan)
{
    g_clear_pointer(&scan->tables, g_array_unref);
    g_clear_pointer(&scan->snapshots, g_array_unref);
    g_clear_pointer(&scan->luks, g_array_unref);
    g_clear_pointer(&scan->unread, g_array_unref);
}
