/*
 * Verifying compressed clusters: which data is read, how often, and where damage is found.
 *
 * In place of a decompressor stands one that finds what the first byte of the data says.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/compressed.h"

#include <errno.h>

#include "block/limits.h"
#include "config.h"
#include "driver.h"
#include "faults.h"
#include "small-image.h"

#define COMPRESSED  (UINT64_C(1) << 62)
#define SECTORS(n)  ((uint64_t)((n)-1) << 54)
#define ENTRY(i)    (8 * (uint64_t)(i))
#define MOST_TABLES (LIMIT_COMPRESSED / 8192 + 1) /* so that not all can be verified in one go */

enum { GOOD = 'g', SHORT = 's', OTHER = 'o' /* good in the other format */, BAD = 'b' };

/* ---- the decompressor ---- */

static gint calls;

static Decompressor *fake_create(size_t size)
{
    g_assert_cmpuint(size, ==, CLUSTER);
    return (Decompressor *)g_malloc(1);
}

static DecompressResult fake_decompress(Decompressor *d, CompressionFormat format, const uint8_t *data, size_t length)
{
    g_atomic_int_inc(&calls);
    g_assert_cmpuint(length, >=, 1);
    switch (data[0]) {
    case GOOD:
        return DECOMPRESS_WHOLE;
    case SHORT:
        return DECOMPRESS_SHORT;
    case OTHER:
        return format == COMPRESSION_ZSTD ? DECOMPRESS_WHOLE : DECOMPRESS_INVALID;
    default:
        return DECOMPRESS_INVALID;
    }
}

static void fake_free(Decompressor *d)
{
    g_free(d);
}

static const DecompressOps fake_ops = {.create = fake_create, .decompress = fake_decompress, .free = fake_free};

/* ---- the check ---- */

static void check(BlockSource *source, unsigned workers, Qcow2CheckResult *result)
{
    const Qcow2CheckOptions options = {
        .findings = true, .judgement = true, .verify_compressed = &fake_ops, .workers = workers};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, &error);

    g_assert_no_error(error);
    calls = 0;
    qcow2_check(image, &options, result, &error);
    g_assert_no_error(error);
}

/* The finding number @n of damaged data from @each on; NULL: there are not so many. */
static const ImageCheckFinding *damage(QapiIterator *each, unsigned n)
{
    for (const ImageCheckFinding *f; (f = qapi_next(each));) {
        if (f->kind == QCOW2_FINDING_COMPRESSED_DAMAGED && n-- == 0) {
            return f;
        }
    }
    return NULL;
}

static void assert_damage(const Qcow2CheckResult *result, unsigned n, const char *why, const char *snapshot,
                          uint64_t guest, uint64_t size)
{
    g_auto(QapiIterator) each = qapi_iterate(&result->check->findings);
    const ImageCheckFinding *f = damage(&each, n);
    g_autofree char *message = g_strdup_printf("This compressed data cannot be read: %s.", why);

    g_assert_nonnull(f);
    g_assert_cmpstr(f->message, ==, message);
    g_assert_cmpstr(f->snapshot, ==, snapshot);
    g_assert_cmpuint(f->guest->offset, ==, guest);
    g_assert_cmpuint(f->guest->size, ==, size);
    g_assert_cmpint(f->severity, ==, IMAGE_CHECK_SEVERITY_NOTE);
}

static void assert_no_damage(const Qcow2CheckResult *result, unsigned n)
{
    g_auto(QapiIterator) each = qapi_iterate(&result->check->findings);

    g_assert_null(damage(&each, n));
}

static void assert_numbers(const Qcow2CheckResult *result, uint64_t verified, uint64_t damaged)
{
    g_assert_cmpuint(result->check->compressed_verified, ==, verified);
    g_assert_cmpuint(result->check->compressed_damaged, ==, damaged);
}

static void put_entry(uint8_t *bytes, unsigned table, unsigned index, uint64_t offset, unsigned sectors)
{
    put_be64(bytes + AT(table) + ENTRY(index), COMPRESSED | SECTORS(sectors) | offset);
}

static void test_each_once(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, AT(CLUSTERS));
    Qcow2CheckResult result;

    bytes[AT(DATA_A)] = bytes[AT(DATA_A) + 700] = GOOD;
    put_entry(bytes, L2_A, 0, AT(DATA_A), 2);
    put_entry(bytes, L2_A, 5, AT(DATA_A) + 700, 1);
    put_entry(bytes, L2_B, 0, AT(DATA_A), 2);
    put_entry(bytes, L2_C, 0, AT(DATA_A), 2); /* of a snapshot */
    check(source, 1, &result);
    assert_numbers(&result, 2, 0);
    g_assert_cmpint(calls, ==, 2);
    assert_no_damage(&result, 0);
    qcow2_check_result_clear(&result);
}

static void test_damage_everywhere(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, AT(CLUSTERS));
    Qcow2CheckResult result;

    bytes[AT(DATA_A)] = BAD;
    put_entry(bytes, L2_A, 0, AT(DATA_A), 2);
    put_entry(bytes, L2_B, 1, AT(DATA_A), 2);
    put_entry(bytes, L2_B, 2, AT(DATA_A), 2);
    put_entry(bytes, L2_C, 7, AT(DATA_A), 2);
    check(source, 1, &result);
    assert_numbers(&result, 1, 1);
    assert_damage(&result, 0, "it is no valid zlib data", NULL, 0, CLUSTER);
    assert_damage(&result, 1, "it is no valid zlib data", NULL, (UINT64_C(1) << 29) + CLUSTER, 2 * CLUSTER);
    assert_damage(&result, 2, "it is no valid zlib data", "s", 7 * CLUSTER, CLUSTER);
    assert_no_damage(&result, 3);
    g_assert_cmpint(result.check->judgement, ==, IMAGE_CHECK_JUDGEMENT_DATA_LOST);
    g_assert_cmpuint(result.check->guest_bytes_lost, ==, 3 * CLUSTER);
    g_assert_cmpint(result.failure, ==, 0);
    qcow2_check_result_clear(&result);
}

static void test_reasons(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, AT(CLUSTERS));
    Qcow2CheckResult result;

    bytes[AT(DATA_A)] = SHORT;
    bytes[AT(DATA_A) + 512] = OTHER;
    put_entry(bytes, L2_A, 0, AT(DATA_A), 1);
    put_entry(bytes, L2_A, 2, AT(DATA_A) + 512, 1);
    put_entry(bytes, L2_A, 4, AT(DATA_A) + 1024, 1);
    put_entry(bytes, L2_A, 6, AT(CLUSTERS) - 512, 2); /* reaches over the end */
    put_entry(bytes, L2_A, 8, AT(CLUSTERS), 2);
    check(source, 1, &result);
    assert_numbers(&result, 5, 5);
    assert_damage(&result, 0, "it is less than a cluster", NULL, 0, CLUSTER);
    assert_damage(&result, 1, "it is zstd data, and the header says zlib", NULL, 2 * CLUSTER, CLUSTER);
    assert_damage(&result, 2, "there are zeros in its place", NULL, 4 * CLUSTER, CLUSTER);
    assert_no_damage(&result, 3); /* for the others there is a finding without reading */
    qcow2_check_result_clear(&result);
}

/* Of data that is read together, only what lies in the bad sector is lost, and the check has failed. */
static void test_read_fails(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    FaultySource source = faulty_source(bytes, AT(CLUSTERS), AT(DATA_A) + 512, 512);
    Qcow2CheckResult result;

    bytes[AT(DATA_A)] = bytes[AT(DATA_A) + 700] = bytes[AT(DATA_A) + 1024] = GOOD;
    put_entry(bytes, L2_A, 0, AT(DATA_A), 1);
    put_entry(bytes, L2_A, 1, AT(DATA_A) + 700, 1);
    put_entry(bytes, L2_A, 2, AT(DATA_A) + 1024, 1);
    check(&source.base, 1, &result);
    assert_numbers(&result, 3, 1);
    assert_damage(&result, 0, "the file cannot be read there", NULL, CLUSTER, CLUSTER);
    assert_no_damage(&result, 1);
    g_assert_cmpint(result.failure, ==, EIO);
    g_assert_cmpint(result.check->judgement, ==, IMAGE_CHECK_JUDGEMENT_UNKNOWN);
    g_assert_cmpuint(result.check->guest_bytes_lost, ==, 0);
    qcow2_check_result_clear(&result);
}

/* An image with more compressed clusters than are verified in one go, whose data begins at each byte. */
static uint8_t *many_new(size_t *size, uint64_t *data)
{
    uint64_t n = (uint64_t)MOST_TABLES * 8192;
    uint8_t *bytes;

    *data = AT(4 + MOST_TABLES);
    *size = *data + n + 512;
    bytes = g_malloc0(*size);
    put_header(bytes, 16);
    put_be64(bytes + AT_SIZE, n * CLUSTER);
    put_be32(bytes + AT_L1_SIZE, MOST_TABLES);
    put_be64(bytes + AT(REFTABLE), AT(REFBLOCK));
    for (unsigned i = 0; i < MOST_TABLES; i++) {
        put_be64(bytes + AT(ACTIVE_L1) + ENTRY(i), AT(4 + i));
    }
    /* against the order of the file */
    for (uint64_t i = 0; i < n; i++) {
        put_be64(bytes + AT(4) + ENTRY(i), COMPRESSED | (*data + n - 1 - i));
    }
    memset(bytes + *data, GOOD, n);
    return bytes;
}

static void test_many(void)
{
    size_t size;
    uint64_t data, n = (uint64_t)MOST_TABLES * 8192;
    g_autofree uint8_t *bytes = many_new(&size, &data);

    /* the guest clusters 0, 1, and the last */
    bytes[data + n - 1] = bytes[data + n - 2] = bytes[data] = BAD;
    for (unsigned workers = CONFIG_INSTRUMENTED ? 4 : 1; workers <= 4; workers += 3) {
        g_autoptr(BlockSource) source = block_source_new_memory(bytes, size);
        Qcow2CheckResult result;

        check(source, workers, &result);
        assert_numbers(&result, n, 3);
        g_assert_cmpint(calls, ==, (gint)n + 3); /* those that fail are tried in the other format */
        assert_damage(&result, 0, "it is no valid zlib data", NULL, 0, 2 * CLUSTER);
        assert_damage(&result, 1, "it is no valid zlib data", NULL, (n - 1) * CLUSTER, CLUSTER);
        assert_no_damage(&result, 2);
        qcow2_check_result_clear(&result);
    }
}

/* Damage on both sides of the border between what is verified in one go and in the next is one range. */
static void test_border(void)
{
    size_t size;
    uint64_t data, n = (uint64_t)MOST_TABLES * 8192, last = n - LIMIT_COMPRESSED;
    g_autofree uint8_t *bytes = many_new(&size, &data);
    g_autoptr(BlockSource) source = NULL;
    Qcow2CheckResult result;

    bytes[data + LIMIT_COMPRESSED - 1] = bytes[data + LIMIT_COMPRESSED] = BAD;
    /* both entries are to be in one table */
    put_be64(bytes + AT(4) + ENTRY(last - 1), 0);
    put_be64(bytes + AT(4) + ENTRY(last + 1), COMPRESSED | (data + LIMIT_COMPRESSED));
    source = block_source_new_memory(bytes, size);
    check(source, 1, &result);
    assert_damage(&result, 0, "it is no valid zlib data", NULL, last * CLUSTER, 2 * CLUSTER);
    assert_no_damage(&result, 1);
    qcow2_check_result_clear(&result);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/compressed/each-once", test_each_once);
    g_test_add_func("/compressed/damage-everywhere", test_damage_everywhere);
    g_test_add_func("/compressed/reasons", test_reasons);
    g_test_add_func("/compressed/read-fails", test_read_fails);
    g_test_add_func("/compressed/many", test_many);
    g_test_add_func("/compressed/border", test_border);
    return g_test_run();
}
