/*
 * What a guest reads: see guest-disk.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest-disk.h"

#include <inttypes.h>
#include <string.h>

#include "reader-image.h"

#define MAX_SNAPSHOTS    16u   /* of which trees are read */
#define MAX_EXTRA        1024u /* bytes of an entry of the snapshot table; with more nobody reads it */
#define OVERLAPPED_OWNER UINT64_MAX

/* What stands for a cluster that has no bytes of its own. */
enum { ZEROS, BACKING, NOT_COMPARED, FIRST_DIGEST };

typedef enum Owner { HEADER = 1, REFCOUNT_TABLE, REFCOUNT_BLOCK, L1, L2, SNAPSHOT_TABLE, CRYPT, BITMAPS } Owner;

typedef struct Tree {
    char *name;
    bool unreadable;
    uint64_t n_tables;
    uint64_t **tables; /* contents of each cluster; NULL: all are @absent */
    uint64_t *absent;
} Tree;

struct GuestDisk {
    ReaderImage image;
    uint64_t owners[READER_MAX_CLUSTERS];
    uint64_t n_entries; /* of an L2 table */
    Tree trees[1 + MAX_SNAPSHOTS];
    unsigned n_trees;
};

/* ---- what lies where ---- */

static void own(GuestDisk *disk, Owner owner, uint64_t offset, uint64_t size)
{
    uint64_t length = disk->image.length;
    uint64_t end = offset < length ? offset + MIN(size, length - offset) : 0;
    uint64_t what = (uint64_t)owner << 56 | offset;

    for (uint64_t c = offset >> disk->image.cluster_bits; c << disk->image.cluster_bits < end; c++) {
        disk->owners[c] = disk->owners[c] == 0 || disk->owners[c] == what ? what : OVERLAPPED_OWNER;
    }
}

static bool overlapped(const GuestDisk *disk, uint64_t offset, uint64_t size)
{
    for (uint64_t at = offset & ~(disk->image.cluster_size - 1); at < offset + size && at < disk->image.length;
         at += disk->image.cluster_size) {
        if (disk->owners[at >> disk->image.cluster_bits] == OVERLAPPED_OWNER) {
            return true;
        }
    }
    return false;
}

bool guest_disk_overlapped(const GuestDisk *disk)
{
    return overlapped(disk, 0, disk->image.length);
}

/* How many entries of 8 bytes the file can have. */
static uint64_t entries_there(const GuestDisk *disk, uint64_t offset, uint64_t n)
{
    return offset < disk->image.length ? MIN(n, (disk->image.length - offset + 7) / 8) : 0;
}

static void own_tree(GuestDisk *disk, uint64_t l1, uint64_t n)
{
    own(disk, L1, l1, n * 8);
    for (uint64_t i = 0; i < entries_there(disk, l1, n); i++) {
        uint64_t table = reader_get64(&disk->image, l1 + i * 8) & READER_OFFSET_MASK;

        if (table != 0) {
            own(disk, L2, table, disk->image.cluster_size);
        }
    }
}

static void own_refcounts(GuestDisk *disk)
{
    const ReaderImage *image = &disk->image;
    uint64_t size = image->table_clusters * image->cluster_size;

    own(disk, REFCOUNT_TABLE, image->table_offset, size);
    for (uint64_t i = 0; i < entries_there(disk, image->table_offset, size / 8); i++) {
        uint64_t block = reader_get64(image, image->table_offset + i * 8) & ~UINT64_C(511);

        if (block != 0) {
            own(disk, REFCOUNT_BLOCK, block, image->cluster_size);
        }
    }
}

static void own_bitmaps(GuestDisk *disk)
{
    const ReaderImage *image = &disk->image;
    ReaderBitmap bitmap;
    uint64_t at = 0;

    own(disk, BITMAPS, image->directory_offset, image->directory_size);
    for (uint32_t n = 0; n < image->n_bitmaps && reader_next_bitmap(image, &at, &bitmap); n++) {
        own(disk, BITMAPS, bitmap.table_offset, bitmap.table_size * UINT64_C(8));
        for (uint64_t i = 0; i < entries_there(disk, bitmap.table_offset, bitmap.table_size); i++) {
            uint64_t entry = reader_get64(image, bitmap.table_offset + i * 8) & READER_OFFSET_MASK;

            if (entry != 0) {
                own(disk, BITMAPS, entry, image->cluster_size);
            }
        }
    }
}

/* ---- reading ---- */

static uint64_t digest(const GuestDisk *disk, uint64_t seed, uint64_t offset, uint64_t size)
{
    uint64_t hash = seed, any = seed;

    for (uint64_t i = 0; i < size; i++) {
        uint8_t byte = offset + i < disk->image.length ? disk->image.bytes[offset + i] : 0;

        any |= byte;
        hash = (hash ^ byte) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 31;
    }
    return any == 0 ? ZEROS : MAX(hash, FIRST_DIGEST);
}

static uint64_t content(const GuestDisk *disk, uint64_t entry)
{
    const ReaderImage *image = &disk->image;
    uint64_t offset = entry & READER_OFFSET_MASK;
    unsigned bits = 70 - image->cluster_bits;
    uint64_t at, sectors;

    switch (reader_kind_of(image, entry)) {
    case UNALLOCATED:
        return image->backing_offset != 0 ? BACKING : ZEROS;
    case PLAIN_ZERO:
        return ZEROS;
    case COMPRESSED:
        if (image->data_file) {
            return NOT_COMPARED;
        }
        at = entry & ((UINT64_C(1) << bits) - 1);
        sectors = ((entry & (READER_COMPRESSED - 1)) >> bits) + 1;
        return digest(disk, 1, at, sectors * 512 - at % 512);
    default:
        if (!reader_aligned(image, offset)) {
            return NOT_COMPARED;
        }
        if (entry & 1) {
            return ZEROS;
        }
        /* in a data file the same place has the same bytes */
        return image->data_file ? FIRST_DIGEST + offset : digest(disk, 0, offset, image->cluster_size);
    }
}

static void read_table(GuestDisk *disk, Tree *tree, uint64_t i, uint64_t table)
{
    tree->absent[i] = disk->image.backing_offset != 0 ? BACKING : ZEROS;
    if (table == 0) {
        return;
    }
    if (!reader_aligned(&disk->image, table) || overlapped(disk, table, disk->image.cluster_size)) {
        tree->absent[i] = NOT_COMPARED;
        return;
    }
    tree->tables[i] = g_new(uint64_t, disk->n_entries);
    for (uint64_t j = 0; j < disk->n_entries; j++) {
        tree->tables[i][j] =
            disk->image.extended ? NOT_COMPARED : content(disk, reader_get64(&disk->image, table + j * 8));
    }
}

static void read_tree(GuestDisk *disk, char *name, uint64_t l1, uint64_t n)
{
    Tree *tree = &disk->trees[disk->n_trees++];

    tree->name = name;
    tree->n_tables = entries_there(disk, l1, n);
    tree->tables = g_new0(uint64_t *, tree->n_tables);
    tree->absent = g_new0(uint64_t, tree->n_tables);
    tree->unreadable = !reader_aligned(&disk->image, l1) || n > READER_MAX_L1_ENTRIES || overlapped(disk, l1, n * 8);
    for (uint64_t i = 0; i < tree->n_tables && !tree->unreadable; i++) {
        read_table(disk, tree, i, reader_get64(&disk->image, l1 + i * 8) & READER_OFFSET_MASK);
    }
}

/* Goes through the snapshots: notes where they are, or reads them. */
static void each_snapshot(GuestDisk *disk, bool read)
{
    const ReaderImage *image = &disk->image;
    uint64_t at = image->snapshots_offset;

    for (uint32_t i = 0; i < MIN(image->n_snapshots, MAX_SNAPSHOTS) && reader_aligned(image, image->snapshots_offset) &&
                         at < image->length;
         i++) {
        uint64_t l1 = reader_get64(image, at), n = reader_get32(image, at + 8), extra = reader_get32(image, at + 36);
        uint64_t names = at + 40 + extra;
        uint64_t names_size = reader_get16(image, at + 12) + (uint64_t)reader_get16(image, at + 14);

        if (!read && n <= READER_MAX_L1_ENTRIES && reader_aligned(image, l1)) {
            own_tree(disk, l1, n);
        }
        if (extra > MAX_EXTRA || names + names_size > image->length) {
            break;
        }
        if (read) {
            read_tree(disk, g_strdup_printf("snapshot %.*s", (int)names_size, (const char *)image->bytes + names), l1,
                      n);
        }
        at = (names + names_size + 7) & ~UINT64_C(7);
    }
    if (!read && image->n_snapshots > 0) {
        /* of an entry that cannot be read, its beginning */
        own(disk, SNAPSHOT_TABLE, image->snapshots_offset, MAX(at - image->snapshots_offset, 40));
    }
}

GuestDisk *guest_disk_read(const uint8_t *bytes, uint64_t length)
{
    static ReaderResult result;
    g_autoptr(GuestDisk) disk = g_new0(GuestDisk, 1);

    result.refusal = NULL;
    disk->image.bytes = bytes;
    disk->image.length = length;
    reader_open(&disk->image, &result);
    if (result.refusal) {
        return NULL;
    }
    disk->n_entries = disk->image.cluster_size / (disk->image.extended ? 16 : 8);
    own(disk, HEADER, 0, disk->image.cluster_size);
    own_refcounts(disk);
    own_tree(disk, disk->image.l1_offset, disk->image.l1_size);
    each_snapshot(disk, false);
    own(disk, CRYPT, disk->image.crypt_offset, disk->image.has_crypt_header ? disk->image.crypt_length : 0);
    if (disk->image.bitmaps) {
        own_bitmaps(disk);
    }
    read_tree(disk, g_strdup("the disk"), disk->image.l1_offset, disk->image.l1_size);
    each_snapshot(disk, true);
    return g_steal_pointer(&disk);
}

void guest_disk_free(GuestDisk *disk)
{
    for (unsigned t = 0; disk && t < disk->n_trees; t++) {
        for (uint64_t i = 0; i < disk->trees[t].n_tables; i++) {
            g_free(disk->trees[t].tables[i]);
        }
        g_free(disk->trees[t].tables);
        g_free(disk->trees[t].absent);
        g_free(disk->trees[t].name);
    }
    g_free(disk);
}

/* ---- comparing ---- */

static uint64_t content_at(const GuestDisk *disk, const Tree *tree, uint64_t i, uint64_t j)
{
    if (i >= tree->n_tables) {
        return disk->image.backing_offset != 0 ? BACKING : ZEROS;
    }
    return tree->tables[i] ? tree->tables[i][j] : tree->absent[i];
}

static bool has_tables(const Tree *tree, uint64_t i)
{
    return i < tree->n_tables && tree->tables[i];
}

static char *table_differs(const GuestDisk *before, const Tree *was, const GuestDisk *after, const Tree *is, uint64_t i)
{
    uint64_t n = has_tables(was, i) || has_tables(is, i) ? before->n_entries : 1;

    for (uint64_t j = 0; j < n; j++) {
        uint64_t old = content_at(before, was, i, j), new = content_at(after, is, i, j);

        if (old != NOT_COMPARED && old != new) {
            return g_strdup_printf("%s, guest offset 0x%" PRIx64 ": reads %s", was->name,
                                   (i * before->n_entries + j) << before->image.cluster_bits,
                                   new == NOT_COMPARED ? "no more" : "otherwise");
        }
    }
    return NULL;
}

static const Tree *find_tree(const GuestDisk *disk, const char *name)
{
    for (unsigned t = 0; t < disk->n_trees; t++) {
        if (g_str_equal(disk->trees[t].name, name)) {
            return &disk->trees[t];
        }
    }
    return NULL;
}

static char *tree_differs(const GuestDisk *before, const Tree *was, const GuestDisk *after)
{
    const Tree *is = find_tree(after, was->name);

    if (was->n_tables == 0) {
        return NULL; /* an entry of nothing, such as one that is read behind the table */
    }
    if (!is || is->unreadable) {
        return g_strdup_printf("%s is %s", was->name, is ? "unreadable" : "gone");
    }
    for (uint64_t i = 0; i < MAX(was->n_tables, is->n_tables); i++) {
        char *difference = table_differs(before, was, after, is, i);

        if (difference) {
            return difference;
        }
    }
    return NULL;
}

/* Of two snapshots with one name, the first is compared. */
char *guest_disk_differs(const GuestDisk *before, const GuestDisk *after)
{
    if (!before) {
        return NULL;
    }
    if (!after || after->image.cluster_bits != before->image.cluster_bits || after->image.size != before->image.size) {
        return g_strdup("the header is another one");
    }
    for (unsigned t = 0; t < before->n_trees; t++) {
        const Tree *was = &before->trees[t];
        char *difference =
            was->unreadable || find_tree(before, was->name) != was ? NULL : tree_differs(before, was, after);

        if (difference) {
            return difference;
        }
    }
    return NULL;
}
