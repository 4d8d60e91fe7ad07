/*
 * The bitmap directory and bitmap tables (docs/interop/check-behaviour.rst 2.4, docs/interop/qcow2-format.rst 11). The
 * page defines the faults; the words are ours, so that a test only expects some.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/qcow2/load/bitmap-directory.h"
#include "bytes.h"
#include "faults.h"

#define DIRECTORY 0x90000 /* where the directory lies */

/* A disk of 1 GiB in clusters of 64 KiB. With 64 KiB a bit: 16384 bits, 2048 bytes, a table of one entry. */
static const Qcow2HeaderFields header = {
    .version = 3, .cluster_bits = 16, .cluster_size = 65536, .size = UINT64_C(1) << 30};

/* The fields of an entry, right where nothing else is said. */
typedef struct Entry {
    uint64_t table_offset;
    uint32_t table_size;
    uint32_t flags;
    uint8_t type;
    uint8_t granularity;
    uint16_t name_size;
    uint32_t extra;
} Entry;

static const Entry good = {.table_offset = 0xa0000, .table_size = 1, .type = 1, .granularity = 16, .name_size = 2};

static void put_entry(uint8_t *at, const Entry *e, const char *name)
{
    put_be64(at, e->table_offset);
    put_be32(at + 8, e->table_size);
    put_be32(at + 12, e->flags);
    at[16] = e->type;
    at[17] = e->granularity;
    put_be16(at + 18, e->name_size);
    put_be32(at + 20, e->extra);
    memcpy(at + 24 + e->extra, name, strlen(name));
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2BitmapDirectory, qcow2_bitmap_directory_clear)

static void parse(const uint8_t *bytes, uint64_t size, uint32_t n, Qcow2BitmapDirectory *directory)
{
    Qcow2Extensions e = {
        .has_bitmaps = true, .nb_bitmaps = n, .bitmap_directory_offset = DIRECTORY, .bitmap_directory_size = size};
    /* a copy of exactly this size, so that a sanitizer sees a read behind it */
    g_autofree uint8_t *copy = g_memdup2(bytes, size);

    qcow2_parse_bitmap_directory(copy, size, size, &header, &e, directory);
}

static const Qcow2Bitmap *bitmap(const Qcow2BitmapDirectory *directory, unsigned i)
{
    g_assert_cmpuint(i, <, directory->items->len);
    return &g_array_index(directory->items, Qcow2Bitmap, i);
}

/* Entries are padded to 8 bytes and have their names behind the fixed part; an empty name is one. */
static void test_entries(void)
{
    uint8_t bytes[32 + 24 + 40] = {0};
    Entry second = good, third = good;
    g_auto(Qcow2BitmapDirectory) d = {0};

    second.name_size = 0;
    second.table_offset = 0xb0000;
    second.flags = 2;
    third.name_size = 16;
    put_entry(bytes, &good, "b1");
    put_entry(bytes + 32, &second, "");
    put_entry(bytes + 56, &third, "0123456789abcdef");
    parse(bytes, sizeof(bytes), 3, &d);
    g_assert_null(d.fault);
    g_assert_cmpuint(d.items->len, ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpstr(bitmap(&d, i)->fault, ==, NULL);
        g_assert_true(bitmap(&d, i)->table_valid);
    }
    g_assert_cmpstr(bitmap(&d, 0)->name, ==, "b1");
    g_assert_cmphex(bitmap(&d, 0)->entry_offset, ==, DIRECTORY);
    g_assert_cmphex(bitmap(&d, 1)->entry_offset, ==, DIRECTORY + 32);
    g_assert_cmphex(bitmap(&d, 1)->table_offset, ==, 0xb0000);
    g_assert_cmpstr(bitmap(&d, 1)->name, ==, "");
    g_assert_cmphex(bitmap(&d, 2)->entry_offset, ==, DIRECTORY + 56);
    g_assert_cmpuint(bitmap(&d, 2)->table_size, ==, 1);
    g_assert_cmpstr(bitmap(&d, 2)->name, ==, "0123456789abcdef");
}

/* A directory that is empty, too short, or has another number of entries than the header says is damaged. */
static void test_directory_faults(void)
{
    static const struct {
        uint64_t size;
        uint32_t n;
        unsigned items;
        bool damaged;
    } cases[] = {
        {64, 2, 2, false}, {0, 1, 0, true},  /* of size 0 */
        {64, 1, 1, true},                    /* more than said */
        {64, 3, 2, true},                    /* fewer than said */
        {63, 2, 1, true},                    /* the last entry runs over the end, with its padding */
        {55, 2, 1, true},                    /* so does its fixed part */
        {23, 1, 0, true},  {33, 1, 1, true}, /* something is left */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t bytes[64] = {0};
        g_auto(Qcow2BitmapDirectory) d = {0};

        put_entry(bytes, &good, "b1");
        put_entry(bytes + 32, &good, "b2");
        parse(bytes, cases[i].size, cases[i].n, &d);
        g_test_message("case %zu", i);
        g_assert_true((d.fault != NULL) == cases[i].damaged);
        g_assert_cmpuint(d.items->len, ==, cases[i].items);
    }
}

/* Sizes in an entry that lead far out of the directory end it. */
static void test_huge_entry(void)
{
    uint8_t bytes[32] = {0};
    Entry e = good;
    g_auto(Qcow2BitmapDirectory) d = {0};

    e.name_size = 65535;
    put_entry(bytes, &e, "b1");
    put_be32(bytes + 20, UINT32_MAX);
    parse(bytes, sizeof(bytes), 1, &d);
    g_assert_nonnull(d.fault);
    g_assert_cmpuint(d.items->len, ==, 0);
}

/* What an entry must be: each case is one field away from a good one. */
static void test_entry_faults(void)
{
    static const struct {
        Entry entry;
        bool fault;
        bool table_valid;
    } cases[] = {
        {{0xa0000, 1, 0, 1, 16, 2, 0}, false, true},
        {{0, 1, 0, 1, 16, 2, 0}, true, false},                /* offset 0 */
        {{0xa0200, 1, 0, 1, 16, 2, 0}, true, false},          /* unaligned */
        {{0xa0000, 0, 0, 1, 16, 2, 0}, true, false},          /* table size 0 */
        {{0xa0000, 8193, 1, 1, 16, 2, 0}, true, false},       /* more than 512 MiB of bitmap */
        {{0xa0000, 8192, 1, 1, 16, 2, 0}, false, true},       /* 512 MiB, and in use */
        {{0xa0000, UINT32_MAX, 1, 1, 16, 2, 0}, true, false}, /* more than 0x8000000 entries */
        {{0xa0000, 2, 0, 1, 16, 2, 0}, true, true},           /* not what the disk asks for */
        {{0xa0000, 2, 1, 1, 16, 2, 0}, false, true},          /* the same, but in use */
        {{0xa0000, 1, 3, 1, 16, 2, 0}, false, true},          /* in use and automatic */
        {{0xa0000, 1, 4, 1, 16, 2, 0}, true, true},           /* unknown flags */
        {{0xa0000, 1, 0x80000000, 1, 16, 2, 0}, true, true},
        {{0xa0000, 1, 0, 0, 16, 2, 0}, true, true}, /* type */
        {{0xa0000, 1, 0, 2, 16, 2, 0}, true, true},
        {{0xa0000, 4, 0, 1, 9, 2, 0}, false, true},  /* 2^21 bits, 2^18 bytes, 4 clusters */
        {{0xa0000, 8, 0, 1, 8, 2, 0}, true, true},   /* granularity too fine */
        {{0xa0000, 1, 0, 1, 31, 2, 0}, false, true}, /* one bit, 8 bytes */
        {{0xa0000, 1, 0, 1, 32, 2, 0}, true, true},  /* too coarse */
        {{0xa0000, 1, 0, 1, 255, 2, 0}, true, true},
        {{0xa0000, 1, 0, 1, 16, 1023, 0}, false, true},
        {{0xa0000, 1, 0, 1, 16, 1024, 0}, true, true}, /* name too long */
        {{0xa0000, 1, 0, 1, 16, 2, 8}, true, true},    /* extra data */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t bytes[24 + 1024] = {0};
        const Entry *e = &cases[i].entry;
        g_auto(Qcow2BitmapDirectory) d = {0};

        put_entry(bytes, e, "b1");
        parse(bytes, (24 + e->extra + e->name_size + 7) / 8 * 8, 1, &d);
        g_test_message("case %zu", i);
        g_assert_null(d.fault);
        g_assert_true((bitmap(&d, 0)->fault != NULL) == cases[i].fault);
        g_assert_true(bitmap(&d, 0)->table_valid == cases[i].table_valid);
        g_assert_cmpstr(bitmap(&d, 0)->name, ==, "b1");
    }
}

/* A name that two bitmaps have is a fault of the second. */
static void test_name_twice(void)
{
    uint8_t bytes[96] = {0};
    g_auto(Qcow2BitmapDirectory) d = {0};

    put_entry(bytes, &good, "b1");
    put_entry(bytes + 32, &good, "b2");
    put_entry(bytes + 64, &good, "b1");
    parse(bytes, sizeof(bytes), 3, &d);
    g_assert_null(bitmap(&d, 0)->fault);
    g_assert_null(bitmap(&d, 1)->fault);
    g_assert_nonnull(bitmap(&d, 2)->fault);
    g_assert_true(bitmap(&d, 2)->table_valid);
}

/* Entries of a bitmap table: reserved bits, alignment, and bit 0 only without an offset. */
static void test_table_entries(void)
{
    static const struct {
        uint64_t entry;
        bool fault;
    } cases[] = {
        {0, false},
        {1, false},
        {0xb0000, false},
        {UINT64_C(0x00ffffffffff0000), false},
        {0xb0001, true},
        {0xb0200, true},
        {0x200, true},
        {2, true},
        {0x100, true},
        {UINT64_C(1) << 56, true},
        {UINT64_C(1) << 63, true},
        {UINT64_C(0x80000000000b0000), true},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true((qcow2_bitmap_table_entry_fault(cases[i].entry, &header) != NULL) == cases[i].fault);
    }
}

/* A directory of which the file holds only a part yields what is in that part. */
static void test_read_cut(void)
{
    uint8_t image[512 + 32] = {0};
    Qcow2Extensions e = {
        .has_bitmaps = true, .nb_bitmaps = 65535, .bitmap_directory_offset = 512, .bitmap_directory_size = 67107840};
    g_autoptr(BlockSource) source = block_source_new_memory(image, sizeof(image));
    g_auto(Qcow2BitmapDirectory) d = {0};

    put_entry(image + 512, &good, "b1");
    g_assert_true(qcow2_read_bitmap_directory(source, &header, &e, &d, NULL));
    g_assert_cmpstr(bitmap(&d, 0)->name, ==, "b1");
    g_assert_null(bitmap(&d, 0)->fault);
    g_assert_nonnull(d.fault);
    g_assert_cmpuint(d.items->len, ==, 1);
}

/* A directory that cannot be read is said to be so, and is empty. */
static void test_unreadable(void)
{
    static const uint8_t image[1024];
    FaultySource source = faulty_source(image, sizeof(image), 512, 32);
    Qcow2Extensions e = {
        .has_bitmaps = true, .nb_bitmaps = 1, .bitmap_directory_offset = 512, .bitmap_directory_size = 32};
    g_auto(Qcow2BitmapDirectory) d = {0};
    g_autoptr(GError) error = NULL;

    g_assert_false(qcow2_read_bitmap_directory(&source.base, &header, &e, &d, &error));
    g_assert_error(error, BLOCK_ERROR, EIO);
    g_assert_cmpuint(d.items->len, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bitmap/entries", test_entries);
    g_test_add_func("/bitmap/directory-faults", test_directory_faults);
    g_test_add_func("/bitmap/huge-entry", test_huge_entry);
    g_test_add_func("/bitmap/entry-faults", test_entry_faults);
    g_test_add_func("/bitmap/name-twice", test_name_twice);
    g_test_add_func("/bitmap/table-entries", test_table_entries);
    g_test_add_func("/bitmap/read-cut", test_read_cut);
    g_test_add_func("/bitmap/unreadable", test_unreadable);
    return g_test_run();
}
