/*
 * Header extensions (docs/interop/check-behaviour.rst 2.3, docs/interop/qcow2-format.rst 3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/qcow2/load/parse-header.h"
#include "bytes.h"

#define CLUSTER 512

enum {
    END = 0,
    BACKING_FORMAT = 0xe2792aca,
    CRYPT_HEADER = 0x0537be77,
    DATA_FILE = 0x44415441,
};
#define BITMAPS 0x23852875u
#define UNKNOWN 0x12345678u

/* A cluster under construction: a header, and extensions one behind the other. */
typedef struct Area {
    uint8_t bytes[CLUSTER];
    unsigned at; /* of the next extension */
    Qcow2HeaderFields header;
} Area;

static void area_begin(Area *a)
{
    *a = (Area){
        .at = AT_EXTENSIONS,
        .header = {.version = 3,
                   .cluster_bits = 9,
                   .cluster_size = CLUSTER,
                   .header_length = AT_EXTENSIONS,
                   .autoclear_features = 1},
    };
}

/* Adds an extension whose payload is @words, of @length bytes as far as its header says; returns the payload. */
static uint8_t *area_add(Area *a, uint32_t type, uint32_t length)
{
    uint8_t *payload = a->bytes + a->at + 8;

    put_be32(a->bytes + a->at, type);
    put_be32(a->bytes + a->at + 4, length);
    a->at += 8 + (length + 7) / 8 * 8;
    return payload;
}

static void add_bitmaps(Area *a, uint32_t n, uint32_t reserved, uint64_t size, uint64_t offset)
{
    uint8_t *payload = area_add(a, BITMAPS, 24);

    put_be32(payload, n);
    put_be32(payload + 4, reserved);
    put_be64(payload + 8, size);
    put_be64(payload + 16, offset);
}

static void add_crypt(Area *a, uint64_t offset, uint64_t length)
{
    uint8_t *payload = area_add(a, CRYPT_HEADER, 16);

    put_be64(payload, offset);
    put_be64(payload + 8, length);
}

static void expect_accepted(const Area *a, Qcow2Extensions *e)
{
    g_autoptr(GError) error = NULL;
    bool more;

    qcow2_parse_extensions(a->bytes, CLUSTER, &a->header, e, &more, &error);
    g_assert_no_error(error);
    g_assert_false(more);
}

static void expect_refused(const Area *a, const char *message)
{
    g_autoptr(GError) error = NULL;
    Qcow2Extensions e;
    bool more;

    g_assert_false(qcow2_parse_extensions(a->bytes, CLUSTER, &a->header, &e, &more, &error));
    g_assert_nonnull(error);
    if (message) {
        g_assert_cmpstr(error->message, ==, message);
    }
}

/* No extensions at all are none. */
static void test_none(void)
{
    Qcow2Extensions e;
    Area a;

    area_begin(&a);
    expect_accepted(&a, &e);
    g_assert_false(e.has_bitmaps || e.stale_bitmaps || e.has_crypt_header);
}

/* What is unknown, or names something that a check does not open, is passed over. */
static void test_passed_over(void)
{
    Qcow2Extensions e;
    Area a;

    area_begin(&a);
    area_add(&a, UNKNOWN, 13);
    area_add(&a, DATA_FILE, 5);
    area_add(&a, UNKNOWN, 0);
    area_add(&a, BACKING_FORMAT, 15);
    add_bitmaps(&a, 2, 0, 0x40, 0x1000);
    expect_accepted(&a, &e);
    g_assert_true(e.has_bitmaps);
    g_assert_cmpuint(e.nb_bitmaps, ==, 2);
    g_assert_cmphex(e.bitmap_directory_size, ==, 0x40);
    g_assert_cmphex(e.bitmap_directory_offset, ==, 0x1000);
}

/* A record of type 0 ends the area: what follows it is nothing. */
static void test_end_marker(void)
{
    Qcow2Extensions e;
    Area a;

    area_begin(&a);
    area_add(&a, END, 0);
    add_bitmaps(&a, 0, 1, UINT64_MAX, 1);
    expect_accepted(&a, &e);
    g_assert_false(e.has_bitmaps);
}

/* The area ends at the backing file's name, or with the cluster; a record must fit, its padding need not. */
static void test_area_end(void)
{
    static const struct {
        uint64_t backing_offset; /* 0 = the area ends with the cluster */
        unsigned at;
        uint32_t length;
        bool fits;
    } cases[] = {
        {128, 112, 8, true},  {128, 112, 9, false}, {125, 112, 5, true},  /* padding to 128 */
        {125, 112, 6, false}, {120, 112, 0, true},  {112, 112, 99, true}, /* an empty area */
        {100, 112, 99, true}, {116, 112, 0, false}, {0, 112, CLUSTER - 120, true}, {0, 112, 393, false},
        {0, 504, 0, true},    {0, 504, 1, false},   {0, 112, 0xffffffff, false},   {0, 112, 0xfffffff8, false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Qcow2Extensions e;
        Area a;

        area_begin(&a);
        a.header.header_length = cases[i].at;
        a.header.backing_file_offset = cases[i].backing_offset;
        put_be32(a.bytes + cases[i].at, UNKNOWN);
        put_be32(a.bytes + cases[i].at + 4, cases[i].length);
        g_test_message("case %zu", i);
        if (cases[i].fits) {
            expect_accepted(&a, &e);
        } else {
            expect_refused(&a, "Header extension too large");
        }
    }
}

/* An area in which not even the head of a record fits is refused, as the stock tool does, not asked for more of. */
static void test_no_room_for_head(void)
{
    for (unsigned left = 1; left < 8; left++) {
        Area a;

        area_begin(&a);
        a.header.header_length = CLUSTER - left;
        expect_refused(&a, "Header extension too large");
    }
}

/* A backing format of 16 bytes or more is refused. */
static void test_backing_format(void)
{
    Area a;

    area_begin(&a);
    area_add(&a, BACKING_FORMAT, 16);
    expect_refused(&a, "ERROR: ext_backing_format: len=16 too large (>=16)");
    area_begin(&a);
    area_add(&a, BACKING_FORMAT, 300);
    expect_refused(&a, "ERROR: ext_backing_format: len=300 too large (>=16)");
}

/* The encryption header is taken as it is named; only its alignment matters. */
static void test_crypt(void)
{
    Qcow2Extensions e;
    Area a;

    area_begin(&a);
    a.header.crypt_method = 2;
    add_crypt(&a, 0x600, UINT64_C(0xfedcba9876543210));
    expect_accepted(&a, &e);
    g_assert_true(e.has_crypt_header);
    g_assert_cmphex(e.crypt_header_offset, ==, 0x600);
    g_assert_cmphex(e.crypt_header_length, ==, UINT64_C(0xfedcba9876543210));
}

/* It belongs to LUKS, has 16 bytes and begins with a cluster. */
static void test_crypt_refused(void)
{
    Area a;

    area_begin(&a);
    a.header.crypt_method = 1;
    add_crypt(&a, 0x600, 1);
    expect_refused(&a, "CRYPTO header extension only expected with LUKS encryption method");

    area_begin(&a);
    a.header.crypt_method = 2;
    area_add(&a, CRYPT_HEADER, 17);
    expect_refused(&a, "CRYPTO header extension size 17, but expected size 16");

    area_begin(&a);
    a.header.crypt_method = 2;
    add_crypt(&a, 1000, 1);
    expect_refused(&a, "Encryption header offset '1000' is not a multiple of cluster size '512'");
}

/* The bitmaps extension is refused for the faults listed in docs/interop/check-behaviour.rst 2.3, in this order. */
static void test_bitmaps_refused(void)
{
    static const struct {
        uint32_t n, reserved;
        uint64_t size, offset;
        const char *message;
    } cases[] = {
        {0, 1, 64, 0x1001, "bitmaps_ext: Reserved field is not zero"},
        {65536, 0, 64, 0x1001, "bitmaps_ext: Image has 65536 bitmaps, exceeding the QEMU supported maximum of 65535"},
        {0xffffffff, 0, 64, 0x1000,
         "bitmaps_ext: Image has 4294967295 bitmaps, exceeding the QEMU supported maximum of 65535"},
        {0, 0, 64, 0x1001, "found bitmaps extension with zero bitmaps"},
        {1, 0, UINT64_MAX, 0x1100, "bitmaps_ext: invalid bitmap directory offset"},
        {1, 0, 67107841, 0x1000,
         "bitmaps_ext: bitmap directory size (67107841) exceeds the maximum supported size (67107840)"},
        {1, 0, UINT64_MAX, 0x1000,
         "bitmaps_ext: bitmap directory size (18446744073709551615) exceeds the maximum supported size (67107840)"},
    };
    Qcow2Extensions e;
    Area a;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        area_begin(&a);
        add_bitmaps(&a, cases[i].n, cases[i].reserved, cases[i].size, cases[i].offset);
        expect_refused(&a, cases[i].message);
    }
    area_begin(&a);
    area_add(&a, BITMAPS, 23);
    expect_refused(&a, "bitmaps_ext: Invalid extension length");

    area_begin(&a);
    add_bitmaps(&a, 65535, 0, 67107840, 0x1000);
    expect_accepted(&a, &e);
}

/* Without the autoclear bit the extension is stale: nothing of it is looked at but its length. */
static void test_bitmaps_stale(void)
{
    Qcow2Extensions e;
    Area a;

    area_begin(&a);
    a.header.autoclear_features = 2;
    add_bitmaps(&a, 0, 1, UINT64_MAX, 1);
    expect_accepted(&a, &e);
    g_assert_true(e.stale_bitmaps);
    g_assert_false(e.has_bitmaps);

    area_begin(&a);
    a.header.autoclear_features = 0;
    area_add(&a, BITMAPS, 25);
    expect_refused(&a, "bitmaps_ext: Invalid extension length");
}

/* Of an extension that is there twice the last one wins. */
static void test_repeated(void)
{
    Qcow2Extensions e;
    Area a;

    area_begin(&a);
    a.header.crypt_method = 2;
    add_crypt(&a, 0x600, 1);
    add_bitmaps(&a, 1, 0, 32, 0x1000);
    add_crypt(&a, 0x800, 2);
    add_bitmaps(&a, 3, 0, 96, 0x2000);
    expect_accepted(&a, &e);
    g_assert_cmphex(e.crypt_header_offset, ==, 0x800);
    g_assert_cmpuint(e.crypt_header_length, ==, 2);
    g_assert_cmpuint(e.nb_bitmaps, ==, 3);
    g_assert_cmphex(e.bitmap_directory_offset, ==, 0x2000);
}

/* Where the bytes at hand end before the extensions do, more are asked for. */
static void test_more(void)
{
    g_autoptr(GError) error = NULL;
    Qcow2Extensions e;
    bool more;
    Area a;

    area_begin(&a);
    area_add(&a, UNKNOWN, 64);
    add_bitmaps(&a, 1, 0, 32, 0x1000);
    area_add(&a, END, 0);
    for (size_t size = AT_EXTENSIONS; size <= a.at; size++) {
        g_autofree uint8_t *start = g_memdup2(a.bytes, size);

        g_assert_true(qcow2_parse_extensions(start, size, &a.header, &e, &more, &error));
        g_assert_no_error(error);
        g_assert_true(more == (size < a.at));
    }
    g_assert_true(e.has_bitmaps);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/extensions/none", test_none);
    g_test_add_func("/extensions/passed-over", test_passed_over);
    g_test_add_func("/extensions/end-marker", test_end_marker);
    g_test_add_func("/extensions/area-end", test_area_end);
    g_test_add_func("/extensions/no-room-for-head", test_no_room_for_head);
    g_test_add_func("/extensions/backing-format", test_backing_format);
    g_test_add_func("/extensions/crypt", test_crypt);
    g_test_add_func("/extensions/crypt-refused", test_crypt_refused);
    g_test_add_func("/extensions/bitmaps-refused", test_bitmaps_refused);
    g_test_add_func("/extensions/bitmaps-stale", test_bitmaps_stale);
    g_test_add_func("/extensions/repeated", test_repeated);
    g_test_add_func("/extensions/more", test_more);
    return g_test_run();
}
