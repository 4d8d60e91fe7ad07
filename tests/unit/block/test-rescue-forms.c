/*
 * What a sector may be a part of, and what the votes of many sectors come to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/forms.h"

#include <glib.h>

#include "util/number.h"

#define COPIED     (UINT64_C(1) << 63)
#define COMPRESSED (UINT64_C(1) << 62)
#define LENGTH     (UINT64_C(1) << 30)

/* A sector whose word i is @first + i * @step. */
static void fill(uint8_t *sector, uint64_t first, uint64_t step)
{
    for (unsigned i = 0; i < 64; i++) {
        store_be64(sector + 8 * i, first + i * step);
    }
}

static void test_plain(void)
{
    uint8_t sector[512];

    fill(sector, COPIED | 0x50000, 0x10000);
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH) & QCOW2_FORM_PLAIN, ==, QCOW2_FORM_PLAIN);
    store_be64(sector + 80, 0); /* nothing is mapped there */
    store_be64(sector + 88, 1); /* zeros */
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH) & QCOW2_FORM_PLAIN, ==, QCOW2_FORM_PLAIN);
}

static void test_data(void)
{
    uint8_t sector[512] = {0};

    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH), ==, 0); /* zeros say nothing */
    fill(sector, 1, 0);                                          /* nor do zero flags */
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH), ==, 0);
    fill(sector, UINT64_C(0x2020202020202020), 0); /* text */
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH), ==, 0);
    fill(sector, COPIED | LENGTH, 0); /* behind the end of the file */
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH), ==, 0);
    fill(sector, COPIED | 0x50002, 0x10000); /* a reserved bit */
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH), ==, 0);
    fill(sector, COPIED | COMPRESSED | 0x50000, 0); /* no entry has both flags */
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH), ==, 0);
}

static void test_extended(void)
{
    uint8_t sector[512];

    for (unsigned i = 0; i < 64; i += 2) {
        store_be64(sector + 8 * i, COPIED | (0x50000 + i * UINT64_C(0x8000)));
        store_be64(sector + 8 * i + 8, 0xffffffff);
    }
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH), ==, QCOW2_FORM_EXTENDED);
    store_be64(sector + 8, UINT64_C(0x1ffffffff)); /* subcluster 0 both allocated and zeros */
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH), ==, 0);
}

/* Half of the offsets are odd multiples of the cluster size: nothing larger fits. */
static void test_cluster_size(void)
{
    for (unsigned wanted = 9; wanted <= 21; wanted++) {
        uint64_t size = UINT64_C(1) << wanted;
        Qcow2Votes votes = {0};
        unsigned bits[QCOW2_RESCUE_SIZES];
        uint8_t sector[512];

        fill(sector, COPIED | size * 5, size);
        qcow2_votes_add(&votes, sector, QCOW2_FORM_PLAIN);
        g_assert_cmpuint(qcow2_votes_order(&votes, bits), ==, 1);
        g_assert_cmpuint(bits[0], ==, wanted);
    }
}

/* A single offset fits all sizes that it is a multiple of; the largest is tried first. */
static void test_few_offsets(void)
{
    Qcow2Votes votes = {0};
    unsigned bits[QCOW2_RESCUE_SIZES];
    uint8_t sector[512] = {0};

    store_be64(sector, COPIED | 0x40000);
    qcow2_votes_add(&votes, sector, QCOW2_FORM_PLAIN);
    g_assert_cmpuint(qcow2_votes_order(&votes, bits), ==, 10); /* 2^18 to 2^9 */
    g_assert_cmpuint(bits[0], ==, 18);
    g_assert_cmpuint(bits[9], ==, 9);
}

/* Streams of 3000 bytes, each behind the last, have lengths only with the right cluster size. */
static void test_compressed(void)
{
    Qcow2Votes votes = {0};
    unsigned bits[QCOW2_RESCUE_SIZES], shift = 70 - 16;
    uint8_t sector[512];
    uint64_t offset = 0x50000;

    for (unsigned i = 0; i < 64; i++) {
        uint64_t sectors = (offset + 2999) / 512 - offset / 512;

        store_be64(sector + 8 * i, COMPRESSED | sectors << shift | offset);
        offset += 3000;
    }
    g_assert_cmpuint(qcow2_sector_forms(sector, LENGTH) & QCOW2_FORM_PLAIN, ==, QCOW2_FORM_PLAIN);
    qcow2_votes_add(&votes, sector, QCOW2_FORM_PLAIN);
    g_assert_cmpuint(qcow2_votes_order(&votes, bits), >=, 1);
    g_assert_cmpuint(bits[0], ==, 16);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rescue/forms/plain", test_plain);
    g_test_add_func("/rescue/forms/data", test_data);
    g_test_add_func("/rescue/forms/extended", test_extended);
    g_test_add_func("/rescue/votes/cluster-size", test_cluster_size);
    g_test_add_func("/rescue/votes/few-offsets", test_few_offsets);
    g_test_add_func("/rescue/votes/compressed", test_compressed);
    return g_test_run();
}
