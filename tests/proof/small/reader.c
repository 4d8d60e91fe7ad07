/*
 * The check of the independent reader: see reader.h. Section numbers are those of docs/interop/check-behaviour.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "reader.h"

#include <inttypes.h>
#include <string.h>

#include "reader-image.h"

#define MAX_SNAPSHOTS 65536u
#define MAX_EXTRA     1024u

const char *const reader_kind_names[READER_KINDS] = {
    [SNAPSHOT_TABLE_ABORTS] = "snapshot-table-aborts",
    [SNAPSHOT_INCOMPLETE] = "snapshot-incomplete",
    [SNAPSHOTS_WITH_DATA_FILE] = "snapshots-with-data-file",
    [SNAPSHOT_L1_UNALIGNED] = "snapshot-l1-unaligned",
    [SNAPSHOT_L1_TOO_LARGE] = "snapshot-l1-too-large",
    [BEYOND_END] = "beyond-end",
    [OVERFLOW_OF_COUNT] = "overflow",
    [L1_UNREADABLE] = "l1-unreadable",
    [L1_RESERVED_BITS] = "l1-reserved",
    [L2_UNALIGNED] = "l2-unaligned",
    [L2_RESERVED_BITS] = "l2-reserved",
    [COMPRESSED_COPIED] = "compressed-copied",
    [COMPRESSED_WITH_DATA_FILE] = "compressed-with-data-file",
    [COMPRESSED_WITH_SUBCLUSTERS] = "compressed-with-subclusters",
    [SUBCLUSTERS_CONTRADICT] = "subclusters-contradict",
    [DATA_UNALIGNED] = "data-unaligned",
    [PREALLOCATED_UNALIGNED] = "preallocated-unaligned",
    [UNALLOCATED_WITH_SUBCLUSTERS] = "unallocated-with-subclusters",
    [BITMAPS_STALE] = "bitmaps-stale",
    [BITMAPS_DAMAGED] = "bitmaps-damaged",
    [BLOCK_RESERVED] = "block-reserved",
    [BLOCK_UNALIGNED] = "block-unaligned",
    [BLOCK_OUTSIDE] = "block-outside",
    [BLOCK_SHARED] = "block-shared",
    [COUNT_UNREADABLE] = "count-unreadable",
    [COUNT_ZERO] = "count-zero",
    [COUNT_LOW] = "count-low",
    [COUNT_HIGH] = "count-high",
    [L1_COPIED] = "l1-copied",
    [L2_COPIED] = "l2-copied",
};

static bool aligned(const Reader *reader, uint64_t offset)
{
    return reader_aligned(&reader->image, offset);
}

/* ---- 3.1: snapshots ---- */

typedef struct Snapshot {
    uint64_t l1;
    uint32_t l1_size, extra_size;
    uint32_t id_size, name_size;
    uint64_t names; /* where the ID begins */
} Snapshot;

static Snapshot snapshot_at(const Reader *reader, uint64_t at)
{
    const ReaderImage *image = &reader->image;
    Snapshot snapshot = {
        .l1 = reader_get64(image, at),
        .l1_size = reader_get32(image, at + 8),
        .id_size = reader_get16(image, at + 12),
        .name_size = reader_get16(image, at + 14),
        .extra_size = reader_get32(image, at + 36),
    };

    snapshot.names = at + 40 + snapshot.extra_size;
    return snapshot;
}

static uint64_t snapshot_end(const Snapshot *snapshot)
{
    return snapshot->names + snapshot->id_size + snapshot->name_size;
}

static uint64_t next_snapshot(const Snapshot *snapshot)
{
    return (snapshot_end(snapshot) + 7) & ~UINT64_C(7);
}

static bool snapshots_abort(Reader *reader, const char *text)
{
    reader_found(reader, ERROR, SNAPSHOT_TABLE_ABORTS, "qemu-img: ERROR %s\n", text);
    reader->result->stock_aborts = true;
    reader->result->exact = false;
    return false;
}

/* The length of the snapshot table; false where the stock tool gives up. */
static bool examine_snapshots(Reader *reader, uint64_t *size)
{
    const ReaderImage *image = &reader->image;
    uint64_t at = image->snapshots_offset, end = at;

    if (image->n_snapshots > MAX_SNAPSHOTS) {
        return snapshots_abort(reader, "snapshot table too large");
    }
    if (!aligned(reader, at) || at > INT64_MAX || image->n_snapshots * UINT64_C(40) > INT64_MAX - at) {
        return snapshots_abort(reader, "snapshot table offset invalid");
    }
    for (uint32_t i = 0; i < image->n_snapshots; i++) {
        Snapshot snapshot = snapshot_at(reader, at);

        if (snapshot.extra_size > MAX_EXTRA) {
            return snapshots_abort(reader, "failed to read the snapshot table: Too much extra metadata");
        }
        end = snapshot_end(&snapshot);
        if (!reader_readable(at, end - at)) {
            return snapshots_abort(reader, "failed to read the snapshot table: Failed to read snapshot table");
        }
        at = next_snapshot(&snapshot);
    }
    at = image->snapshots_offset;
    for (uint32_t i = 0; i < image->n_snapshots; i++) {
        Snapshot snapshot = snapshot_at(reader, at);

        if (image->version >= 3 && snapshot.extra_size < 16) {
            reader_found(reader, CORRUPTION, SNAPSHOT_INCOMPLETE, "ERROR snapshot table entry %u is incomplete\n", i);
        }
        at = next_snapshot(&snapshot);
    }
    *size = end - image->snapshots_offset;
    return true;
}

static const char *string_at(const Reader *reader, uint64_t at, uint32_t size, char to[256])
{
    uint32_t length = size < 255 ? size : 255;

    reader_get(&reader->image, at, to, length);
    to[length] = '\0';
    for (uint32_t i = 0; i < length && to[i] != '\0'; i++) {
        if (to[i] < ' ' || to[i] > '~') {
            reader->result->text_cut = true; /* this program prints it otherwise */
        }
    }
    reader->result->text_cut |= size > length;
    return to;
}

static void walk_snapshot(Reader *reader, const Snapshot *snapshot)
{
    char id[256], name[256];

    if (aligned(reader, snapshot->l1) && snapshot->l1_size <= READER_MAX_L1_ENTRIES) {
        reader_walk_l1(reader, snapshot->l1, snapshot->l1_size, false);
        return;
    }
    string_at(reader, snapshot->names, snapshot->id_size, id);
    string_at(reader, snapshot->names + snapshot->id_size, snapshot->name_size, name);
    if (!aligned(reader, snapshot->l1)) {
        reader_found(reader, CORRUPTION, SNAPSHOT_L1_UNALIGNED,
                     "ERROR snapshot %s (%s) l1_offset=%#" PRIx64
                     ": L1 table is not cluster aligned; snapshot table entry "
                     "corrupted\n",
                     id, name, snapshot->l1);
    } else {
        reader_found(reader, CORRUPTION, SNAPSHOT_L1_TOO_LARGE,
                     "ERROR snapshot %s (%s) l1_size=%#" PRIx32
                     ": L1 table is too large; snapshot table entry corrupted\n",
                     id, name, snapshot->l1_size);
    }
}

static void walk_snapshots(Reader *reader)
{
    uint64_t at = reader->image.snapshots_offset;

    for (uint32_t i = 0; i < reader->image.n_snapshots; i++) {
        Snapshot snapshot = snapshot_at(reader, at);

        walk_snapshot(reader, &snapshot);
        at = next_snapshot(&snapshot);
    }
}

/* ---- 3.2, step 8: bitmaps ---- */

/* A bitmap with a fault is a corruption of this program's own, and what it would have named is not counted. */
static void count_bitmap(Reader *reader, const ReaderBitmap *bitmap)
{
    const ReaderImage *image = &reader->image;

    reader_count(reader, bitmap->table_offset, bitmap->table_size * UINT64_C(8));
    if (!reader_readable(bitmap->table_offset, bitmap->table_size * UINT64_C(8))) {
        reader_found(reader, ERROR, BITMAPS_DAMAGED, "%s", "");
        reader->result->stock_aborts = true;
        return;
    }
    for (uint64_t i = 0; i < bitmap->table_size; i++) {
        uint64_t at = bitmap->table_offset + i * 8;
        uint64_t entry = at < image->length ? reader_get64(image, at) : 0;

        if (reader_bad_bitmap_entry(image, entry)) {
            reader_found(reader, CORRUPTION, BITMAPS_DAMAGED, "%s", "");
            reader->result->stock_aborts = true;
        } else if (entry & READER_OFFSET_MASK) {
            reader_count(reader, entry & READER_OFFSET_MASK, image->cluster_size);
        }
    }
}

static void count_bitmaps(Reader *reader)
{
    const ReaderImage *image = &reader->image;
    uint64_t at = 0;
    uint32_t n = 0;
    bool whole = true;

    reader_count(reader, image->directory_offset, image->directory_size);
    if (!reader_readable(image->directory_offset, image->directory_size)) {
        reader_found(reader, ERROR, BITMAPS_DAMAGED, "%s", "");
        return;
    }
    while (at < image->directory_size && n < image->n_bitmaps) {
        ReaderBitmap bitmap;

        /* behind the end of the file there is no entry */
        if (image->directory_offset + at >= image->length || !reader_next_bitmap(image, &at, &bitmap)) {
            whole = false;
            break;
        }
        if (bitmap.fault || (!(bitmap.flags & 1) && !reader_bitmap_fits(image, &bitmap))) {
            reader_found(reader, CORRUPTION, BITMAPS_DAMAGED, "%s", "");
        }
        if (bitmap.has_table) {
            count_bitmap(reader, &bitmap);
        }
        n++;
    }
    if (!whole || n < image->n_bitmaps || at < image->directory_size) {
        reader_found(reader, CORRUPTION, BITMAPS_DAMAGED, "%s", "");
    }
}

/* ---- 3.5: refcount blocks ---- */

static uint64_t table_entries(const Reader *reader)
{
    return reader->image.table_clusters * reader->image.cluster_size / 8;
}

static uint64_t table_entry(const Reader *reader, uint64_t i)
{
    uint64_t at = reader->image.table_offset + i * 8;

    return at < reader->image.length ? reader_get64(&reader->image, at) : 0;
}

static void count_blocks(Reader *reader)
{
    uint64_t clusters = reader_file_length(reader);

    clusters = (clusters + reader->image.cluster_size - 1) >> reader->image.cluster_bits;
    if (reader->n < clusters) {
        reader->n = clusters;
    }
    for (uint64_t i = 0; i < table_entries(reader); i++) {
        uint64_t entry = table_entry(reader, i), block = entry & ~UINT64_C(0x1ff);
        uint64_t cluster = block >> reader->image.cluster_bits;

        if (entry & 0x1ff) {
            reader_found(reader, CORRUPTION, BLOCK_RESERVED,
                         "ERROR refcount table entry %" PRIu64 " has reserved bits set\n", i);
        } else if (!aligned(reader, block)) {
            reader_found(reader, CORRUPTION, BLOCK_UNALIGNED,
                         "ERROR refcount block %" PRIu64 " is not cluster aligned; refcount table entry corrupted\n",
                         i);
        } else if (cluster >= reader->n) {
            reader_found(reader, CORRUPTION, BLOCK_OUTSIDE, "ERROR refcount block %" PRIu64 " is outside image\n", i);
        } else if (block != 0) {
            reader_count(reader, block, reader->image.cluster_size);
            if (reader->references[cluster] != 1) {
                reader_found(reader, CORRUPTION, BLOCK_SHARED,
                             "ERROR refcount block %" PRIu64 " refcount=%" PRIu64 "\n", i, reader->references[cluster]);
            }
        }
    }
}

/* ---- section 4 ---- */

typedef enum Stored { KNOWN, UNREADABLE, UNALIGNED } Stored;

static uint64_t word_in_block(const ReaderImage *image, uint64_t block, uint64_t i)
{
    switch (image->order) {
    case 0:
        return reader_get8(image, block + i / 8) >> i % 8 & 1;
    case 1:
        return reader_get8(image, block + i / 4) >> 2 * (i % 4) & 3;
    case 2:
        return reader_get8(image, block + i / 2) >> 4 * (i % 2) & 15;
    case 3:
        return reader_get8(image, block + i);
    case 4:
        return reader_get16(image, block + 2 * i);
    case 5:
        return reader_get32(image, block + 4 * i);
    default:
        return reader_get64(image, block + 8 * i);
    }
}

static Stored stored_count(const Reader *reader, uint64_t cluster, uint64_t *stored)
{
    uint64_t per_block = reader->image.cluster_size * 8 >> reader->image.order;
    uint64_t i = cluster / per_block;
    uint64_t block = i < table_entries(reader) ? table_entry(reader, i) & ~UINT64_C(0x1ff) : 0;

    *stored = 0;
    if (block == 0) {
        return KNOWN;
    }
    if (!aligned(reader, block)) {
        return UNALIGNED;
    }
    if (!reader_readable(block, reader->image.cluster_size)) {
        return UNREADABLE;
    }
    *stored = word_in_block(&reader->image, block, cluster % per_block);
    return KNOWN;
}

static void tell_unreadable(Reader *reader, uint64_t cluster, Stored why)
{
    if (why == UNALIGNED && !reader->unaligned_block_told) {
        uint64_t i = cluster / (reader->image.cluster_size * 8 >> reader->image.order);

        reader_found(reader, NONE, COUNT_UNREADABLE,
                     "qcow2: Image is corrupt: Refblock offset %#" PRIx64 " unaligned (reftable index: %#" PRIx64
                     "); further non-fatal corruption events will be suppressed\n",
                     table_entry(reader, i) & ~UINT64_C(0x1ff), i);
        reader->unaligned_block_told = true;
    }
    reader_found(reader, ERROR, COUNT_UNREADABLE, "Can't get refcount for cluster %" PRIu64 ": Input/output error\n",
                 cluster);
}

static void compare_counts(Reader *reader)
{
    uint64_t highest = 0;

    for (uint64_t c = 0; c < reader->n; c++) {
        uint64_t stored, references = reader->references[c];
        Stored read = stored_count(reader, c, &stored);

        if (read != KNOWN) {
            tell_unreadable(reader, c, read);
            continue;
        }
        highest = stored != 0 || references != 0 ? c : highest;
        if (stored < references) {
            reader_found(reader, CORRUPTION, stored == 0 ? COUNT_ZERO : COUNT_LOW,
                         "ERROR cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64 "\n", c, stored,
                         references);
        } else if (stored > references) {
            reader_found(reader, LEAK, COUNT_HIGH,
                         "Leaked cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64 "\n", c, stored,
                         references);
        }
    }
    reader->result->end = (highest + 1) << reader->image.cluster_bits;
}

static void check_data_flags(Reader *reader, uint64_t table)
{
    const ReaderImage *image = &reader->image;
    unsigned entry_size = image->extended ? 16 : 8;

    for (unsigned i = 0; i < image->cluster_size / entry_size; i++) {
        uint64_t entry = reader_get64(image, table + i * entry_size);
        uint64_t stored = 1;

        if (reader_kind_of(image, entry) != ALLOCATED ||
            (!image->data_file &&
             stored_count(reader, (entry & READER_OFFSET_MASK) >> image->cluster_bits, &stored) != KNOWN)) {
            continue;
        }
        if ((stored == 1) != !!(entry & READER_COPIED)) {
            reader->result->flags++;
            reader->result->harmless += stored == 1;
            reader_found(reader, CORRUPTION, L2_COPIED,
                         "ERROR OFLAG_COPIED data cluster: l2_entry=%" PRIx64 " refcount=%" PRIu64 "\n", entry, stored);
        }
    }
}

static void check_flags(Reader *reader)
{
    const ReaderImage *image = &reader->image;

    for (uint32_t i = 0; i < image->l1_size && image->l1_offset + i * UINT64_C(8) < image->length; i++) {
        uint64_t entry = reader_get64(image, image->l1_offset + i * UINT64_C(8)), table = entry & READER_OFFSET_MASK;
        uint64_t stored;

        if (table == 0 || stored_count(reader, table >> image->cluster_bits, &stored) != KNOWN) {
            continue;
        }
        if ((stored == 1) != !!(entry & READER_COPIED)) {
            reader->result->flags++;
            reader->result->harmless += stored == 1;
            reader_found(reader, CORRUPTION, L1_COPIED,
                         "ERROR OFLAG_COPIED L2 cluster: l1_index=%" PRIu32 " l1_entry=%" PRIx64 " refcount=%" PRIu64
                         "\n",
                         i, entry, stored);
        }
        check_data_flags(reader, table);
    }
}

static void run_check(Reader *reader)
{
    const ReaderImage *image = &reader->image;
    uint64_t snapshot_table = 0;
    bool snapshots = examine_snapshots(reader, &snapshot_table);

    reader_count(reader, 0, image->cluster_size);
    reader_walk_l1(reader, image->l1_offset, image->l1_size, true);
    if (image->data_file && image->n_snapshots > 0) {
        reader_found(reader, CORRUPTION, SNAPSHOTS_WITH_DATA_FILE,
                     "ERROR %" PRIu32 " snapshots in image with data file\n", image->n_snapshots);
    }
    if (snapshots) {
        walk_snapshots(reader);
        reader_count(reader, image->snapshots_offset, snapshot_table);
    }
    reader_count(reader, image->table_offset, image->table_clusters * image->cluster_size);
    if (image->has_crypt_header) {
        reader_count(reader, image->crypt_offset, image->crypt_length);
    }
    if (image->bitmaps) {
        count_bitmaps(reader);
    }
    count_blocks(reader);
    compare_counts(reader);
    check_flags(reader);
    reader->result->total = ((image->size & ~UINT64_C(511)) + image->cluster_size - 1) >> image->cluster_bits;
}

static void warn_of_stale_bitmaps(Reader *reader)
{
    reader_found(
        reader, NONE, BITMAPS_STALE,
        "qemu-img: warning: %s\nSome clusters may be leaked, run 'qemu-img check -r' "
        "on the image file to fix.",
        reader->image.version >= 3
            ? "a program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent"
            : "This qcow2 v2 image contains bitmaps, but they may have been modified by a program without persistent "
              "bitmap support; so now they must all be considered inconsistent");
}

void reader_check(const uint8_t *bytes, uint64_t length, ReaderResult *result)
{
    static Reader reader;

    memset(&reader, 0, sizeof(reader));
    memset(result, 0, offsetof(ReaderResult, text) + 1);
    result->text_size = 0;
    result->text_cut = false;
    result->exact = true;
    reader.image.bytes = bytes;
    reader.image.length = length;
    reader.result = result;
    reader_open(&reader.image, result);
    if (result->refusal) {
        return;
    }
    if (result->kinds & 1u << BITMAPS_STALE) {
        warn_of_stale_bitmaps(&reader);
    }
    reader.max_count = reader.image.order == 6 ? UINT64_MAX : (UINT64_C(1) << (1u << reader.image.order)) - 1;
    run_check(&reader);
    if (result->kinds & 1u << BITMAPS_DAMAGED) {
        result->text_cut = true; /* this program's own lines */
    }
}
