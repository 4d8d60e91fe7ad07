/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/qcow2/format/format.h"

#define MAX_HOST_CLUSTERS    INT32_MAX /* the stock tool refuses larger files */
#define ALL_SUBCLUSTERS      UINT64_C(0xffffffff)
#define SNAPSHOT_EXTRA_BYTES 24
#define SNAPSHOT_TEXT_BYTES  32

typedef struct L2Table {
    uint64_t host;   /* cluster; 0 = not yet allocated */
    uint8_t *bytes;  /* NULL before its first entry and after its last */
    uint64_t filled; /* entries */
} L2Table;

typedef struct ImageWriter {
    ImageShape shape;
    const char *path;
    int fd;
    uint64_t random_state;

    uint64_t cluster_size;
    unsigned l2_entry_size;
    uint64_t l2_entries;       /* of one table */
    uint64_t counts_per_block; /* clusters that one block of refcounts describes */
    uint64_t guest_clusters;   /* that have been written */
    uint64_t l1_entries;
    uint64_t l2_tables; /* of one version of the disk */
    uint64_t l1_clusters;
    uint64_t reftable_clusters;

    uint64_t next;    /* the first host cluster that is free */
    uint16_t *counts; /* of each host cluster */
    uint64_t *blocks; /* host clusters */
    uint64_t nb_blocks;
    L2Table *tables;       /* as the guest sees them now */
    uint64_t active_l1;    /* host cluster */
    uint64_t *snapshot_l1; /* host cluster of each snapshot */
    uint64_t leaks_left;
    uint64_t guest_clusters_left;
} ImageWriter;

static G_NORETURN G_GNUC_PRINTF(1, 2) void die(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static void write_at(ImageWriter *w, const void *bytes, size_t size, uint64_t offset)
{
    if (pwrite(w->fd, bytes, size, offset) != (ssize_t)size) {
        die("%s: cannot write %zu bytes at %" PRIu64 ": %s", w->path, size, offset, strerror(errno));
    }
}

static uint64_t random_below(ImageWriter *w, uint64_t limit)
{
    uint64_t z = w->random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % limit;
}

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/* ---- host clusters ---- */

/* Sees to it that the @n clusters from w->next on can be counted. A block stands before what needs it. */
static void provide_blocks(ImageWriter *w, uint64_t n)
{
    while (w->next + n > w->nb_blocks * w->counts_per_block) {
        w->blocks[w->nb_blocks++] = w->next;
        w->counts[w->next++] = 1;
    }
}

/* The first of @n neighbouring clusters that are used @references times from now on. */
static uint64_t allocate(ImageWriter *w, uint64_t n, uint16_t references)
{
    provide_blocks(w, n);
    for (uint64_t i = 0; i < n; i++) {
        w->counts[w->next + i] = references;
    }
    w->next += n;
    return w->next - n;
}

/* Lets a cluster leak now and then, so that all leaks are made when the last guest cluster has got its place. */
static void maybe_leak(ImageWriter *w)
{
    if (w->leaks_left && random_below(w, w->guest_clusters_left) < w->leaks_left) {
        allocate(w, 1, 1);
        w->leaks_left--;
    }
    w->guest_clusters_left--;
}

/* ---- the guest's clusters ---- */

static unsigned versions(const ImageWriter *w)
{
    return w->shape.own_snapshots + 1;
}

static uint16_t references_of_active_table(const ImageWriter *w)
{
    return (uint16_t)(1 + w->shape.shared_snapshots);
}

/*
 * How many tables use what stands in entry @index since version @since of them: all later ones, up to the
 * version whose snapshot was followed by a write to that entry.
 */
static uint16_t references_of_data(const ImageWriter *w, uint64_t index, unsigned since)
{
    if (since == 0 && index < w->shape.own_snapshots) {
        return (uint16_t)(index + 1);
    }
    return (uint16_t)(versions(w) - since + w->shape.shared_snapshots);
}

static void set_entry(ImageWriter *w, uint8_t *table, uint64_t index, uint64_t host, bool copied)
{
    uint64_t words[2] = {host * w->cluster_size | (copied ? QCOW2_OFLAG_COPIED : 0), ALL_SUBCLUSTERS};

    words[0] = GUINT64_TO_BE(words[0]);
    words[1] = GUINT64_TO_BE(words[1]);
    memcpy(table + index * w->l2_entry_size, words, w->l2_entry_size);
}

static uint64_t entries_to_fill(const ImageWriter *w, uint64_t table)
{
    return MIN(w->l2_entries, w->guest_clusters - table * w->l2_entries);
}

static void write_guest_cluster(ImageWriter *w, uint64_t guest)
{
    L2Table *table = &w->tables[guest / w->l2_entries];
    uint64_t index = guest % w->l2_entries;
    uint16_t references = references_of_data(w, index, 0);
    bool in_active = index >= w->shape.own_snapshots;

    if (!table->host) {
        table->host = allocate(w, 1, w->shape.own_snapshots ? 1 : references_of_active_table(w));
        table->bytes = g_malloc0(w->cluster_size);
    }
    maybe_leak(w);
    set_entry(w, table->bytes, index, allocate(w, 1, references), in_active && references == 1);
    if (++table->filled == entries_to_fill(w, guest / w->l2_entries)) {
        write_at(w, table->bytes, w->cluster_size, table->host * w->cluster_size);
        g_clear_pointer(&table->bytes, g_free);
    }
}

static uint32_t *random_order(ImageWriter *w, uint64_t n)
{
    uint32_t *order = g_new(uint32_t, n);

    for (uint64_t i = 0; i < n; i++) {
        uint64_t j = random_below(w, i + 1);

        order[i] = order[j];
        order[j] = (uint32_t)i;
    }
    return order;
}

static void write_guest_clusters(ImageWriter *w)
{
    uint64_t runs = divide_up(w->guest_clusters, w->shape.run);
    g_autofree uint32_t *order = w->shape.random ? random_order(w, runs) : NULL;

    for (uint64_t i = 0; i < runs; i++) {
        uint64_t first = (order ? order[i] : i) * w->shape.run;

        for (uint64_t guest = first; guest < MIN(first + w->shape.run, w->guest_clusters); guest++) {
            write_guest_cluster(w, guest);
        }
    }
}

/* What a write after a snapshot does to each table: version @version of it, with one more data cluster. */
static void rewrite_tables(ImageWriter *w, unsigned version)
{
    g_autofree uint8_t *bytes = g_malloc(w->cluster_size);
    uint64_t index = version - 1;
    bool active = version == w->shape.own_snapshots;

    for (uint64_t i = 0; i < w->l2_tables; i++) {
        L2Table *table = &w->tables[i];

        if (pread(w->fd, bytes, w->cluster_size, table->host * w->cluster_size) != (ssize_t)w->cluster_size) {
            die("%s: cannot read an L2 table back", w->path);
        }
        table->host = allocate(w, 1, active ? references_of_active_table(w) : 1);
        if (index < table->filled) {
            uint16_t references = references_of_data(w, index, version);

            set_entry(w, bytes, index, allocate(w, 1, references), references == 1);
        }
        write_at(w, bytes, w->cluster_size, table->host * w->cluster_size);
    }
}

/* ---- L1 tables and snapshots ---- */

static void write_l1(ImageWriter *w, uint64_t host, bool copied)
{
    g_autofree uint64_t *l1 = g_new0(uint64_t, w->l1_entries);

    for (uint64_t i = 0; i < w->l2_tables; i++) {
        l1[i] = GUINT64_TO_BE(w->tables[i].host * w->cluster_size | (copied ? QCOW2_OFLAG_COPIED : 0));
    }
    write_at(w, l1, w->l1_entries * sizeof(*l1), host * w->cluster_size);
}

static unsigned nb_snapshots(const ImageShape *shape)
{
    return shape->own_snapshots + shape->shared_snapshots;
}

static void take_snapshot(ImageWriter *w, unsigned number)
{
    w->snapshot_l1[number] = allocate(w, w->l1_clusters, 1);
    write_l1(w, w->snapshot_l1[number], false);
}

static void take_snapshots(ImageWriter *w)
{
    unsigned own = w->shape.own_snapshots;

    for (unsigned i = 0; i < nb_snapshots(&w->shape); i++) {
        take_snapshot(w, i);
        if (i < own) {
            rewrite_tables(w, i + 1);
        }
    }
}

static void append_snapshot(ImageWriter *w, GByteArray *table, unsigned number)
{
    char id[SNAPSHOT_TEXT_BYTES], name[SNAPSHOT_TEXT_BYTES];
    int id_size = snprintf(id, sizeof(id), "%u", number + 1);
    int name_size = snprintf(name, sizeof(name), "snapshot-%u", number + 1);
    Qcow2DiskSnapshot entry = {
        .l1_table_offset = GUINT64_TO_BE(w->snapshot_l1[number] * w->cluster_size),
        .l1_size = GUINT32_TO_BE(w->l1_entries),
        .id_size = GUINT16_TO_BE(id_size),
        .name_size = GUINT16_TO_BE(name_size),
        .extra_data_size = GUINT32_TO_BE(SNAPSHOT_EXTRA_BYTES),
    };
    /* state of the machine: none; size of the disk; instruction count: none */
    uint64_t extra[] = {0, GUINT64_TO_BE(w->shape.virtual_size), UINT64_MAX};

    static_assert(sizeof(extra) == SNAPSHOT_EXTRA_BYTES, "the size that the entry names");
    g_byte_array_set_size(table, table->len + (-table->len & (QCOW2_SNAPSHOT_ALIGNMENT - 1)));
    g_byte_array_append(table, (const guint8 *)&entry, sizeof(entry));
    g_byte_array_append(table, (const guint8 *)extra, sizeof(extra));
    g_byte_array_append(table, (const guint8 *)id, id_size);
    g_byte_array_append(table, (const guint8 *)name, name_size);
}

/* The host cluster of the table; 0 = there are no snapshots. */
static uint64_t write_snapshot_table(ImageWriter *w)
{
    g_autoptr(GByteArray) table = g_byte_array_new();
    uint64_t host = 0;

    for (unsigned i = 0; i < nb_snapshots(&w->shape); i++) {
        append_snapshot(w, table, i);
    }
    if (table->len) {
        host = allocate(w, divide_up(table->len, w->cluster_size), 1);
        write_at(w, table->data, table->len, host * w->cluster_size);
    }
    return host;
}

/* ---- refcounts and header ---- */

static void store_count(uint8_t *block, uint64_t i, unsigned order, unsigned count)
{
    if (order < 3) {
        unsigned per_byte = 8 >> order;

        block[i / per_byte] |= (uint8_t)(count << ((i % per_byte) << order));
    } else {
        unsigned bytes = 1u << (order - 3);
        uint8_t *last = block + i * bytes + bytes - 1;

        last[0] = (uint8_t)count;
        if (bytes > 1) {
            last[-1] = (uint8_t)(count >> 8);
        }
    }
}

static void write_refcounts(ImageWriter *w)
{
    g_autofree uint64_t *table = g_new0(uint64_t, w->reftable_clusters * w->cluster_size / sizeof(*table));
    g_autofree uint8_t *block = g_malloc(w->cluster_size);

    for (uint64_t b = 0; b < w->nb_blocks; b++) {
        uint64_t first = b * w->counts_per_block;
        uint64_t n = MIN(w->counts_per_block, w->next - first);

        memset(block, 0, w->cluster_size);
        for (uint64_t i = 0; i < n; i++) {
            unsigned count = w->counts[first + i];

            store_count(block, i, w->shape.refcount_order, count + (count && w->shape.counts_too_high));
        }
        write_at(w, block, w->cluster_size, w->blocks[b] * w->cluster_size);
        table[b] = GUINT64_TO_BE(w->blocks[b] * w->cluster_size);
    }
    write_at(w, table, w->reftable_clusters * w->cluster_size, w->cluster_size);
}

static void write_header(ImageWriter *w, uint64_t snapshot_table)
{
    Qcow2DiskHeader header = {
        .magic = GUINT32_TO_BE(QCOW2_MAGIC),
        .version = GUINT32_TO_BE(3),
        .cluster_bits = GUINT32_TO_BE(w->shape.cluster_bits),
        .size = GUINT64_TO_BE(w->shape.virtual_size),
        .l1_size = GUINT32_TO_BE(w->l1_entries),
        .l1_table_offset = GUINT64_TO_BE(w->active_l1 * w->cluster_size),
        .refcount_table_offset = GUINT64_TO_BE(w->cluster_size),
        .refcount_table_clusters = GUINT32_TO_BE(w->reftable_clusters),
        .nb_snapshots = GUINT32_TO_BE(nb_snapshots(&w->shape)),
        .snapshots_offset = GUINT64_TO_BE(snapshot_table * w->cluster_size),
        .incompatible_features = GUINT64_TO_BE(w->shape.extended_l2 ? QCOW2_INCOMPAT_EXTENDED_L2 : 0),
        .refcount_order = GUINT32_TO_BE(w->shape.refcount_order),
        .header_length = GUINT32_TO_BE(sizeof(header)),
    };

    write_at(w, &header, sizeof(header), 0);
}

/* ---- the whole ---- */

static void check_shape(const ImageShape *shape)
{
    unsigned bits = 1u << shape->refcount_order;
    uint64_t most = 1 + (uint64_t)nb_snapshots(shape);

    if (shape->cluster_bits < QCOW2_MIN_CLUSTER_BITS || shape->cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
        die("the cluster size must be a power of two from 512 to 2M");
    }
    if (shape->extended_l2 && shape->cluster_bits < 14) {
        die("extended L2 entries need clusters of at least 16K");
    }
    if (shape->refcount_order > QCOW2_MAX_REFCOUNT_ORDER) {
        die("refcounts are 1, 2, 4, 8, 16, 32 or 64 bits wide");
    }
    if (shape->virtual_size == 0 || shape->virtual_size % QCOW2_SECTOR_SIZE || shape->virtual_size >> 56) {
        die("the virtual size must be a multiple of 512 below 64P");
    }
    if (shape->run == 0 || shape->run > UINT32_MAX) {
        die("a run has at least one cluster");
    }
    if (shape->allocated > shape->virtual_size) {
        die("more is allocated than the disk has");
    }
    if (most > UINT16_MAX || (bits < 16 && most >> bits)) {
        die("refcounts of %u bits cannot count %u snapshots", bits, nb_snapshots(shape));
    }
}

/* All sizes that follow from the shape, and memory for the most host clusters that it can need. */
static void plan(ImageWriter *w)
{
    const ImageShape *shape = &w->shape;
    uint64_t clusters;

    w->cluster_size = UINT64_C(1) << shape->cluster_bits;
    w->l2_entry_size = shape->extended_l2 ? 16 : 8;
    w->l2_entries = w->cluster_size / w->l2_entry_size;
    w->counts_per_block = w->cluster_size * 8 >> shape->refcount_order;
    w->guest_clusters = divide_up(shape->allocated, w->cluster_size);
    w->l1_entries = divide_up(divide_up(shape->virtual_size, w->cluster_size), w->l2_entries);
    w->l2_tables = divide_up(w->guest_clusters, w->l2_entries);
    w->l1_clusters = divide_up(w->l1_entries * sizeof(uint64_t), w->cluster_size);
    if (w->l1_entries > QCOW2_MAX_L1_ENTRIES) {
        die("the L1 table would be larger than the format allows");
    }
    if (shape->leaks > w->guest_clusters) {
        die("there can be no more leaks than clusters of data");
    }

    clusters =
        1 + w->guest_clusters + shape->leaks + w->l2_tables * (1 + 2 * (uint64_t)shape->own_snapshots) +
        w->l1_clusters * (1 + (uint64_t)nb_snapshots(shape)) +
        divide_up(nb_snapshots(shape) * (sizeof(Qcow2DiskSnapshot) + SNAPSHOT_EXTRA_BYTES + 2 * SNAPSHOT_TEXT_BYTES),
                  w->cluster_size);
    /* A block counts at least 64 clusters, so an eighth more has room for blocks and their table. */
    clusters += clusters / 8 + 64;
    if (clusters > MAX_HOST_CLUSTERS) {
        die("the image would have too many clusters");
    }
    w->blocks = g_new(uint64_t, divide_up(clusters, w->counts_per_block));
    w->reftable_clusters = divide_up(divide_up(clusters, w->counts_per_block) * sizeof(uint64_t), w->cluster_size);
    if (w->reftable_clusters * w->cluster_size > QCOW2_MAX_REFTABLE_BYTES) {
        die("the refcount table would be larger than the format allows");
    }
    w->counts = g_new0(uint16_t, clusters);
    w->tables = g_new0(L2Table, w->l2_tables);
    w->snapshot_l1 = g_new(uint64_t, nb_snapshots(shape));
    w->leaks_left = shape->leaks;
    w->guest_clusters_left = w->guest_clusters;
    w->random_state = shape->seed;
}

static void write_all(ImageWriter *w)
{
    uint64_t snapshot_table;

    w->next = 1 + w->reftable_clusters;
    for (uint64_t i = 0; i < w->next; i++) {
        w->counts[i] = 1;
    }
    provide_blocks(w, 0);
    w->active_l1 = allocate(w, w->l1_clusters, 1);
    write_guest_clusters(w);
    take_snapshots(w);
    snapshot_table = write_snapshot_table(w);
    write_l1(w, w->active_l1, references_of_active_table(w) == 1);
    write_refcounts(w);
    write_header(w, snapshot_table);
}

void image_write(const char *path, const ImageShape *shape)
{
    ImageWriter w = {.shape = *shape, .path = path};

    check_shape(shape);
    plan(&w);
    w.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w.fd < 0) {
        die("%s: cannot create: %s", path, strerror(errno));
    }
    if (shape->full && fallocate(w.fd, 0, 0, w.guest_clusters * w.cluster_size) < 0) {
        die("%s: cannot allocate: %s", path, strerror(errno));
    }
    write_all(&w);
    /* Not yet written data must not disturb the first measurement. */
    if (ftruncate(w.fd, w.next * w.cluster_size) < 0 || fsync(w.fd) < 0 || close(w.fd) < 0) {
        die("%s: cannot finish: %s", path, strerror(errno));
    }
    g_free(w.blocks);
    g_free(w.counts);
    g_free(w.tables);
    g_free(w.snapshot_l1);
}
