/*
 * The sound small images and their words: see layouts.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "layouts.h"

#include <assert.h>
#include <string.h>

#define COPIED     (UINT64_C(1) << 63)
#define COMPRESSED (UINT64_C(1) << 62)
#define BITMAPS    0x23852875

uint64_t small_get(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

void small_put(uint8_t *bytes, unsigned size, uint64_t value)
{
    for (unsigned i = size; i > 0; i--) {
        bytes[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

static uint64_t at(unsigned cluster)
{
    return (uint64_t)cluster * SMALL_CLUSTER;
}

/* ---- making an image ---- */

static void put32(SmallLayout *layout, uint64_t offset, uint64_t value)
{
    small_put(layout->bytes + offset, 4, value);
}

static void put64(SmallLayout *layout, uint64_t offset, uint64_t value)
{
    small_put(layout->bytes + offset, 8, value);
}

static void set_count(SmallLayout *layout, unsigned cluster, unsigned count)
{
    uint8_t *block = layout->bytes + at(2);

    switch (layout->order) {
    case 0:
        block[cluster / 8] = (uint8_t)((block[cluster / 8] & ~(1u << cluster % 8)) | count << cluster % 8);
        break;
    case 4:
        small_put(block + 2 * cluster, 2, count);
        break;
    default:
        assert(layout->order == 6);
        small_put(block + 8 * cluster, 8, count);
        break;
    }
}

/* Version 3: the refcount table in cluster 1, its block in cluster 2, each cluster counted once. */
static void begin(SmallLayout *layout, const char *name, unsigned clusters, unsigned order)
{
    memset(layout, 0, sizeof(*layout));
    layout->name = name;
    layout->clusters = clusters;
    layout->order = order;
    put32(layout, 0, 0x514649fb);
    put32(layout, 4, 3);
    put32(layout, 20, 9);
    put64(layout, 48, at(1));
    put32(layout, 56, 1);
    put32(layout, 96, order);
    put32(layout, 100, 112);
    put64(layout, at(1), at(2));
    for (unsigned c = 0; c < clusters; c++) {
        set_count(layout, c, 1);
    }
}

static void add_disk(SmallLayout *layout, uint64_t size, unsigned l1, unsigned l1_size)
{
    put64(layout, 24, size);
    put32(layout, 36, l1_size);
    put64(layout, 40, at(l1));
}

static void fill(SmallLayout *layout, unsigned cluster)
{
    for (unsigned i = 0; i < SMALL_CLUSTER; i++) {
        layout->bytes[at(cluster) + i] = (uint8_t)(0x11 + i % 7);
    }
}

static void add_snapshot(SmallLayout *layout, unsigned table, unsigned l1, uint64_t size)
{
    uint64_t entry = at(table);

    put32(layout, 60, 1);
    put64(layout, 64, entry);
    put64(layout, entry, at(l1));
    put32(layout, entry + 8, 1);
    put32(layout, entry + 12, 0x00010001); /* an ID and a name of one byte */
    put32(layout, entry + 16, 1600000000);
    put32(layout, entry + 36, 24);
    put64(layout, entry + 48, size);
    put64(layout, entry + 56, UINT64_MAX);
    memcpy(layout->bytes + entry + 64, "1s", 2);
}

/* The extension is behind the header; another record of no meaning stands in its place where there is no bitmap. */
static void add_bitmap(SmallLayout *layout, unsigned directory, unsigned table, uint32_t flags)
{
    uint64_t entry = at(directory);

    put64(layout, 88, 1);
    put32(layout, 112, BITMAPS);
    put32(layout, 116, 24);
    put32(layout, 120, 1);
    put64(layout, 128, 32);
    put64(layout, 136, entry);
    put64(layout, entry, at(table));
    put32(layout, entry + 8, 1);
    put32(layout, entry + 12, flags);
    put32(layout, entry + 16, 0x01090001); /* dirty tracking, 512 bytes a bit, a name of one byte */
    layout->bytes[entry + 24] = 'b';
}

/* ---- the words of an image ---- */

static SmallWord *add_word(SmallLayout *layout, const char *name, SmallWordKind kind, uint64_t offset, unsigned size)
{
    SmallWord *word = &layout->words[layout->n_words++];

    assert(layout->n_words <= SMALL_MAX_WORDS);
    *word = (SmallWord){.name = name, .kind = kind, .offset = (unsigned)offset, .size = size};
    return word;
}

/* Of all but the first @apart entries and the last one, the second stands for the others. */
static void add_table(SmallLayout *layout, const char *name, SmallWordKind kind, unsigned cluster, unsigned size,
                      unsigned apart)
{
    unsigned n = SMALL_CLUSTER / size;

    for (unsigned i = 0; i < n; i++) {
        SmallWord *word = add_word(layout, name, kind, at(cluster) + i * size, size);

        word->index = i;
        word->alike = i >= apart && i != n - 1;
    }
}

static void add_field(SmallLayout *layout, const char *name, uint64_t offset, unsigned size, const uint64_t *values,
                      unsigned n)
{
    SmallWord *word = add_word(layout, name, SMALL_FIELD, offset, size);

    word->values = values;
    word->n_values = n;
}

#define FIELD(layout, name, offset, size, ...)                                                                         \
    do {                                                                                                               \
        static const uint64_t values[] = {__VA_ARGS__};                                                                \
        add_field(layout, name, offset, size, values, sizeof(values) / sizeof(values[0]));                             \
    } while (0)

static void add_header_words(SmallLayout *layout)
{
    FIELD(layout, "version", 4, 4, 0, 1, 2, 4, UINT32_MAX);
    add_word(layout, "backing_file_offset", SMALL_OFFSET, 8, 8);
    FIELD(layout, "backing_file_size", 16, 4, 1, 8, 1023, 1024, UINT32_MAX);
    FIELD(layout, "cluster_bits", 20, 4, 0, 8, 10, 11, 12, 14, 16, 21, 22, UINT32_MAX);
    FIELD(layout, "size", 24, 8, 0, 1, 511, 512, 0x7fff, 0x8000, 0x8001, 0x10000, 0x18000, UINT64_C(1) << 46,
          UINT64_C(1) << 62, UINT64_C(1) << 63, UINT64_MAX);
    FIELD(layout, "crypt_method", 32, 4, 1, 2, 3, UINT32_MAX);
    FIELD(layout, "l1_size", 36, 4, 0, 1, 2, 3, 64, 65, 128, 129, 4194304, 4194305, UINT32_MAX);
    add_word(layout, "l1_table_offset", SMALL_OFFSET, 40, 8);
    add_word(layout, "refcount_table_offset", SMALL_OFFSET, 48, 8);
    FIELD(layout, "refcount_table_clusters", 56, 4, 0, 2, 3, 5, 6, 7, 16384, 16385, UINT32_MAX);
    FIELD(layout, "nb_snapshots", 60, 4, 0, 1, 2, 3, 65536, 65537, UINT32_MAX);
    add_word(layout, "snapshots_offset", SMALL_OFFSET, 64, 8);
    FIELD(layout, "incompatible_features", 72, 8, 1, 2, 4, 8, 16, 20, 32, COPIED, UINT64_MAX);
    FIELD(layout, "compatible_features", 80, 8, 1, 2, COPIED, UINT64_MAX);
    FIELD(layout, "autoclear_features", 88, 8, 0, 1, 2, 3, 4, COPIED, UINT64_MAX);
    FIELD(layout, "refcount_order", 96, 4, 0, 1, 2, 3, 4, 5, 6, 7, UINT32_MAX);
    FIELD(layout, "header_length", 100, 4, 0, 72, 96, 103, 104, 105, 113, 120, 144, 504, 512, 513, UINT32_MAX);
    FIELD(layout, "compression_type", 104, 1, 1, 2, 255);
}

static void add_extension_words(SmallLayout *layout)
{
    FIELD(layout, "extension type", 112, 4, 0, BITMAPS, 0x0537be77, 0xe2792aca, 0x6803f857, 0x44415441, 1, UINT32_MAX);
    FIELD(layout, "extension length", 116, 4, 0, 8, 16, 23, 24, 25, 48, 384, 392, 393, 400, UINT32_MAX);
    FIELD(layout, "nb_bitmaps", 120, 4, 0, 1, 2, 65535, 65536, UINT32_MAX);
    FIELD(layout, "bitmaps reserved", 124, 4, 1, UINT32_MAX);
    FIELD(layout, "bitmap_directory_size", 128, 8, 0, 1, 24, 31, 33, 64, 512, 1024, 67107840, 67107841, COPIED,
          UINT64_MAX);
    add_word(layout, "bitmap_directory_offset", SMALL_OFFSET, 136, 8);
    FIELD(layout, "second extension type", 144, 4, 1, BITMAPS, 0xe2792aca, UINT32_MAX);
    FIELD(layout, "second extension length", 148, 4, 8, 24, 360, 361, UINT32_MAX);
}

static void add_snapshot_words(SmallLayout *layout, unsigned table)
{
    uint64_t entry = at(table);

    add_word(layout, "snapshot L1 offset", SMALL_OFFSET, entry, 8);
    FIELD(layout, "snapshot L1 size", entry + 8, 4, 0, 2, 64, 65, 128, 129, 4194304, 4194305, UINT32_MAX);
    FIELD(layout, "snapshot ID length", entry + 12, 2, 0, 2, 446, 447, 958, 959, 0xffff);
    FIELD(layout, "snapshot name length", entry + 14, 2, 0, 2, 447, 448, 959, 960, 0xffff);
    FIELD(layout, "snapshot extra size", entry + 36, 4, 0, 8, 15, 16, 23, 32, 1024, 1025, UINT32_MAX);
    FIELD(layout, "snapshot VM state size", entry + 40, 8, 1, UINT64_MAX);
    FIELD(layout, "snapshot disk size", entry + 48, 8, 0, 1, 0x10000, UINT64_MAX);
}

static void add_bitmap_words(SmallLayout *layout, unsigned directory)
{
    uint64_t entry = at(directory);

    add_word(layout, "bitmap table offset", SMALL_OFFSET, entry, 8);
    FIELD(layout, "bitmap table size", entry + 8, 4, 0, 2, 64, 65, 128, 1048576, 1048577, 0x8000000, 0x8000001,
          UINT32_MAX);
    FIELD(layout, "bitmap flags", entry + 12, 4, 0, 1, 2, 3, 4, COPIED >> 32);
    FIELD(layout, "bitmap type", entry + 16, 1, 0, 2, 255);
    FIELD(layout, "bitmap granularity", entry + 17, 1, 0, 8, 10, 16, 31, 32, 255);
    FIELD(layout, "bitmap name length", entry + 18, 2, 0, 8, 9, 1023, 1024, 0xffff);
    FIELD(layout, "bitmap extra size", entry + 20, 4, 1, 8, UINT32_MAX);
}

static void add_common_words(SmallLayout *layout)
{
    unsigned count_size = layout->order == 6 ? 8 : layout->order == 4 ? 2 : 1;
    SmallWord *length = add_word(layout, "file length", SMALL_LENGTH, 0, 8);

    assert(length->size == 8);
    add_header_words(layout);
    add_extension_words(layout);
    add_table(layout, "refcount table", SMALL_TABLE_ENTRY, 1, 8, 2);
    add_table(layout, "refcount block", SMALL_COUNT, 2, count_size, layout->order == 0 ? 2 : layout->clusters + 2);
}

/* ---- the layouts ---- */

/* Two L1 entries, one L2 table, one cluster of data. */
static void make_data(SmallLayout *layout, const char *name, unsigned order)
{
    begin(layout, name, 6, order);
    add_disk(layout, 0x10000, 3, 2);
    put64(layout, at(3), at(4) | COPIED);
    put64(layout, at(4), at(5) | COPIED);
    put64(layout, at(4) + 8, 1);
    fill(layout, 5);
    add_common_words(layout);
    add_table(layout, "L1", SMALL_L1_ENTRY, 3, 8, 3);
    add_table(layout, "L2", SMALL_L2_ENTRY, 4, 8, 3);
}

/* Two compressed clusters in one. */
static void make_compressed(SmallLayout *layout)
{
    begin(layout, "compressed", 6, 4);
    add_disk(layout, 0x8000, 3, 1);
    put64(layout, at(3), at(4) | COPIED);
    put64(layout, at(4), at(5) | COMPRESSED);
    put64(layout, at(4) + 8, (at(5) + 200) | COMPRESSED);
    fill(layout, 5);
    set_count(layout, 5, 2);
    add_common_words(layout);
    add_table(layout, "L1", SMALL_L1_ENTRY, 3, 8, 2);
    add_table(layout, "L2", SMALL_L2_ENTRY, 4, 8, 3);
}

/* A snapshot with an L1 table of its own, and nothing mapped. */
static void make_snapshot(SmallLayout *layout)
{
    begin(layout, "snapshot", 6, 4);
    add_disk(layout, 0x8000, 3, 1);
    add_snapshot(layout, 4, 5, 0x8000);
    add_common_words(layout);
    add_snapshot_words(layout, 4);
    add_table(layout, "L1", SMALL_L1_ENTRY, 3, 8, 2);
    add_table(layout, "snapshot L1", SMALL_L1_ENTRY, 5, 8, 2);
}

/* No disk but that of a snapshot, with an L2 table that has zeros only. */
static void make_snapshot_table(SmallLayout *layout)
{
    begin(layout, "snapshot-table", 6, 4);
    add_snapshot(layout, 3, 4, 0x8000);
    put64(layout, at(4), at(5));
    put64(layout, at(5), 1);
    add_common_words(layout);
    add_snapshot_words(layout, 3);
    add_table(layout, "snapshot L1", SMALL_L1_ENTRY, 4, 8, 2);
    add_table(layout, "L2", SMALL_L2_ENTRY, 5, 8, 3);
}

/* A bitmap that is all ones. */
static void make_bitmap(SmallLayout *layout)
{
    begin(layout, "bitmap", 6, 4);
    add_disk(layout, 0x8000, 3, 1);
    add_bitmap(layout, 4, 5, 2);
    put64(layout, at(5), 1);
    add_common_words(layout);
    add_bitmap_words(layout, 4);
    add_table(layout, "L1", SMALL_L1_ENTRY, 3, 8, 2);
    add_table(layout, "bitmap table", SMALL_BITMAP_ENTRY, 5, 8, 2);
}

/* No disk, and a bitmap in use that has bits. */
static void make_bitmap_data(SmallLayout *layout)
{
    begin(layout, "bitmap-data", 6, 4);
    add_bitmap(layout, 3, 4, 1);
    put64(layout, at(4), at(5));
    fill(layout, 5);
    add_common_words(layout);
    add_bitmap_words(layout, 3);
    add_table(layout, "bitmap table", SMALL_BITMAP_ENTRY, 4, 8, 2);
}

/* All of it, in more than six clusters. */
static void make_everything(SmallLayout *layout)
{
    begin(layout, "everything", 11, 4);
    add_disk(layout, 0x8000, 3, 1);
    put64(layout, at(3), at(4));
    put64(layout, at(4), at(5));
    put64(layout, at(4) + 8, 1);
    fill(layout, 5);
    add_snapshot(layout, 6, 7, 0x8000);
    put64(layout, at(7), at(4));
    set_count(layout, 4, 2);
    set_count(layout, 5, 2);
    add_bitmap(layout, 8, 9, 2);
    put64(layout, at(9), at(10));
    fill(layout, 10);
    add_common_words(layout);
    add_snapshot_words(layout, 6);
    add_bitmap_words(layout, 8);
    add_table(layout, "L1", SMALL_L1_ENTRY, 3, 8, 2);
    add_table(layout, "L2", SMALL_L2_ENTRY, 4, 8, 3);
    add_table(layout, "snapshot L1", SMALL_L1_ENTRY, 7, 8, 2);
    add_table(layout, "bitmap table", SMALL_BITMAP_ENTRY, 9, 8, 2);
}

bool small_layout(unsigned number, SmallLayout *layout)
{
    switch (number) {
    case 0:
        make_data(layout, "data", 4);
        return true;
    case 1:
        make_compressed(layout);
        return true;
    case 2:
        make_snapshot(layout);
        return true;
    case 3:
        make_snapshot_table(layout);
        return true;
    case 4:
        make_bitmap(layout);
        return true;
    case 5:
        make_bitmap_data(layout);
        return true;
    case 6:
        make_data(layout, "one-bit-counts", 0);
        return true;
    case 7:
        make_data(layout, "wide-counts", 6);
        return true;
    case 8:
        make_everything(layout);
        return true;
    default:
        return false;
    }
}
