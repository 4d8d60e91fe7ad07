/*
 * What looks like a table, and what does not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/plausible.h"

#include <glib.h>
#include <string.h>

#include "block/qcow2/format/format.h"

#define CLUSTER UINT64_C(4096)
#define LENGTH  (UINT64_C(1) << 30)
#define ENTRIES (CLUSTER / 8)

static const Qcow2HeaderFields header = {
    .version = 3, .cluster_bits = 12, .cluster_size = CLUSTER, .l2_bits = 9, .refcount_order = 4};

static bool l1_plausible(const uint64_t *entries, size_t n)
{
    return qcow2_plausible_table(entries, n, QCOW2_L1_RESERVED, QCOW2_OFFSET_MASK, &header, LENGTH, false);
}

static void fill(uint8_t *table, unsigned first, unsigned n, uint64_t entry)
{
    for (unsigned i = first; i < first + n; i++) {
        uint64_t stored = GUINT64_TO_BE(entry);

        memcpy(table + i * 8, &stored, 8);
    }
}

/* A table of zeros is a table; so is one of which a few entries are damaged, however small it is. */
static void test_damaged_entries(void)
{
    uint64_t entries[8] = {0};

    g_assert_true(l1_plausible(entries, 8));
    entries[0] = CLUSTER + 512;      /* not aligned */
    entries[1] = LENGTH;             /* beyond the end */
    entries[2] = 3 * CLUSTER | 0x10; /* a reserved bit */
    g_assert_true(l1_plausible(entries, 8));
    entries[3] = entries[1];
    g_assert_false(l1_plausible(entries, 8));
    for (int i = 4; i < 8; i++) {
        entries[i] = QCOW2_OFLAG_COPIED | i * CLUSTER;
    }
    g_assert_true(l1_plausible(entries, 8));
}

/* A cluster of text is no L2 table, and each of its words shows that. */
static void test_text(void)
{
    uint8_t text[CLUSTER];

    for (unsigned i = 0; i < sizeof(text); i++) {
        text[i] = "what a guest may have written into a file "[i % 42];
    }
    g_assert_false(qcow2_plausible_l2_table(text, &header, LENGTH, false));
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t word;

        memcpy(&word, text + i * 8, 8);
        g_assert_true(qcow2_implausible_l2_entry(GUINT64_FROM_BE(word), &header, LENGTH));
    }
}

/* Half of the entries damaged is still a table, and one more than half is none: standard and compressed ones. */
static void test_half(void)
{
    const uint64_t damaged[] = {CLUSTER / 2, LENGTH + CLUSTER, QCOW2_OFLAG_COMPRESSED | QCOW2_OFLAG_COPIED | CLUSTER,
                                QCOW2_OFLAG_COMPRESSED | LENGTH};
    const uint64_t sound[] = {QCOW2_OFLAG_COPIED | CLUSTER, QCOW2_OFLAG_ZERO, QCOW2_OFLAG_COMPRESSED | CLUSTER};
    uint8_t table[CLUSTER];

    for (unsigned d = 0; d < G_N_ELEMENTS(damaged); d++) {
        for (unsigned s = 0; s < G_N_ELEMENTS(sound); s++) {
            memset(table, 0, sizeof(table));
            fill(table, 0, 100, damaged[d]);
            fill(table, 100, 100, sound[s]);
            g_assert_true(qcow2_plausible_l2_table(table, &header, LENGTH, false));
            fill(table, 100, 1, damaged[d]);
            g_assert_false(qcow2_plausible_l2_table(table, &header, LENGTH, false));
        }
    }
}

/* Two flipped bits are an accident, three are not. */
static void test_implausible(void)
{
    g_assert_false(qcow2_implausible_entry(0x3 | CLUSTER, QCOW2_L1_RESERVED));
    g_assert_true(qcow2_implausible_entry(0x7 | CLUSTER, QCOW2_L1_RESERVED));
    g_assert_false(qcow2_implausible_entry(QCOW2_OFFSET_MASK | QCOW2_OFLAG_COPIED, QCOW2_L1_RESERVED));
}

/* Counts that are leaked, lost or right are those of a block; text is none. */
static void test_refcount_block(void)
{
    g_autoptr(RefMap) computed = refmap_new(10000);
    uint8_t block[CLUSTER] = {0};

    g_assert_true(refmap_add(computed, 2048, 1000, 1));
    g_assert_true(qcow2_plausible_refcount_block(block, &header, 2048, computed));
    for (unsigned i = 0; i < CLUSTER; i += 2) {
        block[i + 1] = 1;
    }
    g_assert_true(qcow2_plausible_refcount_block(block, &header, 2048, computed));
    memset(block, 'x', CLUSTER);
    g_assert_false(qcow2_plausible_refcount_block(block, &header, 2048, computed));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plausible/damaged-entries", test_damaged_entries);
    g_test_add_func("/plausible/text-is-no-table", test_text);
    g_test_add_func("/plausible/half-of-the-entries", test_half);
    g_test_add_func("/plausible/implausible-entries", test_implausible);
    g_test_add_func("/plausible/refcount-block", test_refcount_block);
    return g_test_run();
}
