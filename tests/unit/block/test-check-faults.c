/*
 * Whole checks of an image in memory, parts of which cannot be read: the rest is still checked, and the result
 * says what failed (contract 7, "an aborted check").
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "driver.h"
#include "faults.h"
#include "small-image.h"

typedef struct Image {
    uint8_t *bytes;
    bool findings; /* a list of them is wanted */
    Qcow2CheckResult result;
    char *text; /* messages */
    size_t size;
} Image;

static void image_begin(Image *image)
{
    image->bytes = small_image_new();
}

static void image_clear(Image *image)
{
    qcow2_check_result_clear(&image->result);
    free(image->text);
    g_free(image->bytes);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Image, image_clear)

/* Opens and checks the image, of which the @bad_size bytes at @bad cannot be read. */
static void check(Image *image, uint64_t bad, uint64_t bad_size)
{
    FaultySource source = faulty_source(image->bytes, AT(CLUSTERS), bad, bad_size);
    FILE *messages = open_memstream(&image->text, &image->size);
    Qcow2CheckOptions options = {.workers = 1};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) opened = qcow2_open(&source.base, messages, &error);

    g_assert_no_error(error);
    options.viscera = true;
    options.findings = image->findings;
    options.messages = messages;
    qcow2_check(opened, &options, &image->result, &error);
    g_assert_no_error(error);
    fclose(messages);
}

static void expect(const Image *image, const char *messages, int64_t corruptions, int64_t leaks, int64_t errors,
                   int failure)
{
    g_assert_cmpstr(image->text, ==, messages);
    g_assert_cmpint(image->result.check->corruptions, ==, corruptions);
    g_assert_cmpint(image->result.check->leaks, ==, leaks);
    g_assert_cmpint(image->result.check->check_errors, ==, errors);
    g_assert_cmpint(image->result.failure, ==, failure);
}

#define LEAKED(cluster) "Leaked cluster " #cluster " refcount=1 reference=0\n"

/* Where all can be read, the leak is what is found. */
static void test_none(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    check(&image, 0, 0);
    expect(&image, LEAKED(15), 0, 1, 0, 0);
    g_assert_cmpint(image.result.check->allocated_clusters, ==, 2);
    g_assert_cmpint(image.result.check->total_clusters, ==, 16384);
    g_assert_cmpint(image.result.check->image_end_offset, ==, AT(16));
}

/* Of guest data and bitmap data not a byte is read. */
static void test_data(void)
{
    static const unsigned clusters[] = {DATA_A, DATA_B, DATA_C, BITMAP_DATA, LEAK};

    for (size_t i = 0; i < G_N_ELEMENTS(clusters); i++) {
        g_auto(Image) image = {0};

        image_begin(&image);
        check(&image, AT(clusters[i]), CLUSTER);
        expect(&image, LEAKED(15), 0, 1, 0, 0);
    }
}

/* An unreadable L2 table leaves its neighbour, and what only it refers to appears as leaked. */
static void test_l2(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    check(&image, AT(L2_A) + 4096, 512);
    expect(&image, "ERROR: I/O error in check_refcounts_l2\n" LEAKED(6) LEAKED(15), 0, 2, 1, EIO);
    g_assert_cmpint(image.result.check->allocated_clusters, ==, 1);
}

/* An L2 table of a snapshot is read once, and its fault belongs to each reference. */
static void test_l2_referenced_twice(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    put_be64(image.bytes + AT(ACTIVE_L1) + 8, AT(L2_C));
    put_refcount(image.bytes, L2_B, 0);
    put_refcount(image.bytes, DATA_B, 0);
    put_refcount(image.bytes, L2_C, 2);
    check(&image, AT(L2_C), 512);
    expect(&image,
           "ERROR: I/O error in check_refcounts_l2\n"
           "ERROR: I/O error in check_refcounts_l2\n" LEAKED(11) LEAKED(15),
           0, 2, 2, EIO);
}

/* An unreadable L2 table is named once also where counts overflow, which makes for a second look at all tables. */
static void test_l2_with_overflow(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    put_be32(image.bytes + AT_REFCOUNT_ORDER, 0); /* one bit: a count of 1 at most */
    memset(image.bytes + AT(REFBLOCK), 0, CLUSTER);
    put_be16(image.bytes + AT(REFBLOCK), 0xffff); /* clusters 0 to 15 */
    put_be64(image.bytes + AT(L2_B) + 8, COPIED | AT(DATA_B));
    check(&image, AT(L2_A), 512);
    expect(&image,
           "ERROR: I/O error in check_refcounts_l2\n"
           "ERROR: overflow cluster offset=0x70000\n"
           "Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if "
           "the image cannot be opened for writing\n" LEAKED(6) LEAKED(15),
           1, 2, 1, EIO);
}

/* Without the active L1 table, its trees are unknown, and the snapshot's is not. */
static void test_active_l1(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    check(&image, AT(ACTIVE_L1), 8);
    expect(&image, "ERROR: I/O error in check_refcounts_l1\n" LEAKED(4) LEAKED(5) LEAKED(6) LEAKED(7) LEAKED(15), 0, 5,
           1, EIO);
    g_assert_cmpint(image.result.check->allocated_clusters, ==, 0);
}

/* Without a snapshot's L1 table, the active tree is there. */
static void test_snapshot_l1(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    check(&image, AT(SNAPSHOT_L1), 8);
    expect(&image, "ERROR: I/O error in check_refcounts_l1\n" LEAKED(10) LEAKED(11) LEAKED(15), 0, 3, 1, EIO);
    g_assert_cmpint(image.result.check->allocated_clusters, ==, 2);
}

/* Without the snapshot table, its clusters and the snapshot's are not known to be in use. */
static void test_snapshot_table(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    check(&image, AT(SNAPSHOTS), 512);
    expect(
        &image,
        "qemu-img: ERROR failed to read the snapshot table: Failed to read snapshot table: Input/output error\n" LEAKED(
            8) LEAKED(9) LEAKED(10) LEAKED(11) LEAKED(15),
        0, 5, 1, EIO);
}

/*
 * Counts that cannot be read are told for each cluster; the trees are still walked, and the check is not one that
 * was aborted (docs/interop/check-behaviour.rst 4.1).
 */
static void test_refcount_block(void)
{
    g_autoptr(GString) expected = g_string_new("");
    g_auto(Image) image = {0};

    image_begin(&image);
    for (unsigned i = 0; i < CLUSTERS; i++) {
        g_string_append_printf(expected, "Can't get refcount for cluster %u: Input/output error\n", i);
    }
    check(&image, AT(REFBLOCK) + CLUSTER - 512, 512);
    g_assert_cmpstr(image.text, ==, expected->str);
    g_assert_cmpint(image.result.check->check_errors, ==, CLUSTERS);
    g_assert_cmpint(image.result.check->corruptions, ==, 0);
    g_assert_cmpint(image.result.check->leaks, ==, 0);
    g_assert_cmpint(image.result.check->allocated_clusters, ==, 2);
}

/* Without the bitmap directory, the directory itself is known to be in use, and what it refers to is not. */
static void test_bitmap_directory(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    check(&image, AT(DIRECTORY), 32);
    g_assert_true(g_str_has_suffix(image.text, "\n" LEAKED(13) LEAKED(14) LEAKED(15)));
    g_assert_cmpint(image.result.check->check_errors, ==, 1);
    g_assert_cmpint(image.result.check->corruptions, ==, 0);
    g_assert_cmpint(image.result.check->leaks, ==, 3);
    g_assert_cmpint(image.result.failure, ==, EIO);
}

/* The same for a bitmap's table. */
static void test_bitmap_table(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    check(&image, AT(BITMAP_TABLE), 8);
    g_assert_true(g_str_has_suffix(image.text, "\n" LEAKED(14) LEAKED(15)));
    g_assert_cmpint(image.result.check->check_errors, ==, 1);
    g_assert_cmpint(image.result.check->leaks, ==, 2);
    g_assert_cmpint(image.result.failure, ==, EIO);
}

/* Whichever cluster fails, and from where on, the image is refused or checked, with a result and no crash. */
static void test_every_cluster(void)
{
    for (unsigned cluster = 0; cluster < CLUSTERS; cluster++) {
        for (unsigned n = 1; cluster + n <= CLUSTERS; n++) {
            g_auto(Image) image = {0};

            if (cluster == HEADER) {
                continue;
            }
            image_begin(&image);
            check(&image, AT(cluster), AT(n));
            g_assert_nonnull(image.result.check->viscera);
        }
    }
}

/* Faults of an image, and the clusters without one of which a fault cannot be found. */
static const struct {
    ImageCheckFindingKind kind;
    uint64_t entry;
    unsigned needs[4];
} faults[] = {
    {QCOW2_FINDING_L1_RESERVED_BITS, AT(ACTIVE_L1) + 8, {ACTIVE_L1}},
    {QCOW2_FINDING_L2_RESERVED_BITS, AT(L2_A) + 1024, {ACTIVE_L1, L2_A}},
    {QCOW2_FINDING_DATA_UNALIGNED, AT(L2_B) + 1024, {ACTIVE_L1, L2_B}},
    {QCOW2_FINDING_L2_RESERVED_BITS, AT(L2_C) + 1024, {SNAPSHOTS, SNAPSHOT_L1, L2_C}},
    {QCOW2_FINDING_BITMAP_TABLE_ENTRY, AT(BITMAP_TABLE), {DIRECTORY, BITMAP_TABLE}},
    {QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS, AT(REFTABLE) + 16, {REFTABLE}},
    {QCOW2_FINDING_REFCOUNT_TOO_LOW, 0, {REFTABLE, REFBLOCK, ACTIVE_L1, L2_A}},
    {QCOW2_FINDING_L2_COPIED_WRONG, AT(L2_A), {REFTABLE, REFBLOCK, ACTIVE_L1, L2_A}},
    {QCOW2_FINDING_LEAK, 0, {REFTABLE, REFBLOCK}},
};

static void spoil(uint8_t *bytes)
{
    put_be64(bytes + AT(ACTIVE_L1) + 8, COPIED | AT(L2_B) | 2);
    put_be64(bytes + AT(L2_A) + 1024, 2);
    put_be64(bytes + AT(L2_B) + 1024, COPIED | (AT(DATA_B) + 512));
    put_be64(bytes + AT(L2_C) + 1024, 2);
    put_be64(bytes + AT(BITMAP_TABLE), 2);
    put_be64(bytes + AT(REFTABLE) + 16, 2);
    put_refcount(bytes, DATA_A, 0);
}

static bool needs(size_t fault, unsigned cluster)
{
    for (size_t i = 0; i < G_N_ELEMENTS(faults[fault].needs); i++) {
        if (cluster != HEADER && faults[fault].needs[i] == cluster) {
            return true;
        }
    }
    return false;
}

static bool found(const Image *image, size_t fault)
{
    g_auto(QapiIterator) each = qapi_iterate(&image->result.check->findings);

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        if (f->kind == faults[fault].kind && (!faults[fault].entry || f->entry_offset == faults[fault].entry)) {
            return true;
        }
    }
    return false;
}

/* Nothing is found that is wrong but what is wrong: of corruptions, where @sector cannot be read. */
static void expect_no_others(const Image *image, unsigned sector)
{
    g_auto(QapiIterator) each = qapi_iterate(&image->result.check->findings);

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        bool known = f->severity != IMAGE_CHECK_SEVERITY_CORRUPTION;

        for (size_t k = 0; k < G_N_ELEMENTS(faults); k++) {
            known = known || f->kind == faults[k].kind;
        }
        if (!known) {
            g_error("sector %u unread, and %s", sector, f->message);
        }
    }
}

/* Whichever sector cannot be read, all faults are found that can be without it, and nothing else is called wrong. */
static void test_every_sector(void)
{
    /* how much of each cluster a check needs, in bytes */
    static const unsigned read[CLUSTERS] = {
        [REFTABLE] = CLUSTER, [REFBLOCK] = CLUSTER, [ACTIVE_L1] = 16, [L2_A] = CLUSTER, [L2_B] = CLUSTER,
        [SNAPSHOTS] = 58,     [SNAPSHOT_L1] = 8,    [L2_C] = CLUSTER, [DIRECTORY] = 32, [BITMAP_TABLE] = 8,
    };

    for (unsigned sector = 1; sector < AT(CLUSTERS) / 512; sector++) {
        unsigned cluster = sector / (CLUSTER / 512);
        g_auto(Image) image = {.findings = true};

        image_begin(&image);
        spoil(image.bytes);
        check(&image, (uint64_t)sector * 512, 512);
        for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
            if (!needs(i, cluster) && !found(&image, i)) {
                g_error("sector %u unread, and fault %zu not found", sector, i);
            }
        }
        expect_no_others(&image, sector);
        g_assert_cmpint(image.result.check->check_errors > 0, ==, sector * 512 - AT(cluster) < read[cluster]);
    }
}

/* Expects that a list of findings names what cannot be read, when the first bytes of cluster @bad cannot. */
static void expect_unreadable(unsigned bad, ImageCheckFindingKind kind, ImageCheckStructure structure, uint64_t entry,
                              uint64_t size)
{
    g_auto(Image) image = {0};
    g_auto(QapiIterator) each = {0};
    const ImageCheckFinding *f;

    image_begin(&image);
    image.findings = true;
    check(&image, AT(bad), 8);
    each = qapi_iterate(&image.result.check->findings);
    do {
        f = qapi_next(&each);
    } while (f && f->kind != kind);
    g_assert_nonnull(f);
    g_assert_cmpint(f->severity, ==, IMAGE_CHECK_SEVERITY_ERROR);
    g_assert_cmpint(f->structure, ==, structure);
    g_assert_cmpint(f->has_entry_offset, ==, entry != 0);
    g_assert_cmphex(f->entry_offset, ==, entry);
    g_assert_cmphex(f->cluster->offset, ==, AT(bad));
    g_assert_cmphex(f->cluster->size, ==, size);
}

/* What cannot be read is what a finding names, with the word that refers to it. */
static void test_findings(void)
{
    expect_unreadable(L2_B, QCOW2_FINDING_L2_UNREADABLE, IMAGE_CHECK_STRUCTURE_L2, AT(ACTIVE_L1) + 8, CLUSTER);
    expect_unreadable(ACTIVE_L1, QCOW2_FINDING_L1_UNREADABLE, IMAGE_CHECK_STRUCTURE_L1, AT_L1_OFFSET, 16);
    expect_unreadable(SNAPSHOTS, QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE, IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, 0, 40);
    expect_unreadable(DIRECTORY, QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE, IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY, 0,
                      32);
    expect_unreadable(REFTABLE, QCOW2_FINDING_REFCOUNT_TABLE_UNREADABLE, IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
                      AT_REFTABLE_OFFSET, 4096);
    expect_unreadable(BITMAP_TABLE, QCOW2_FINDING_BITMAP_TABLE_UNREADABLE, IMAGE_CHECK_STRUCTURE_BITMAP_TABLE,
                      AT(DIRECTORY), 8);
}

static void expect_refused(uint64_t bad, const char *message)
{
    g_auto(Image) image = {0};
    g_autoptr(GError) error = NULL;

    image_begin(&image);
    {
        FaultySource source = faulty_source(image.bytes, AT(CLUSTERS), bad, 512);

        g_assert_null(qcow2_open(&source.base, stderr, &error));
    }
    g_assert_error(error, BLOCK_ERROR, EIO);
    g_assert_cmpstr(error->message, ==, message);
}

/* Without the header itself there is no image to check (docs/interop/check-behaviour.rst 2.2, test 1). */
static void test_refused(void)
{
    expect_refused(0, "Could not read qcow2 header: Input/output error");
}

/*
 * Without the refcount table no count is known, so that none is wrong; what refers to what is checked all the same. As
 * no count vouches for it, the end of the image is left out.
 */
static void test_refcount_table(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    put_be64(image.bytes + AT(L2_B) + 8, 2);
    check(&image, AT(REFTABLE), 8);
    expect(&image,
           "ERROR found l2 entry with reserved bits set: 2\n"
           "ERROR refcount table at 0x10000: Input/output error; reference counts behind it are unknown\n",
           1, 0, 1, EIO);
    g_assert_cmpint(image.result.check->allocated_clusters, ==, 2);
    g_assert_cmpint(image.result.check->image_end_offset, ==, 0);
}

/* A page of it that has no entry hides nothing, but nobody knows that. */
static void test_refcount_table_end(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    check(&image, AT(REFTABLE) + 8192, 512);
    expect(&image,
           "ERROR refcount table at 0x12000: Input/output error; reference counts behind it are unknown\n" LEAKED(15),
           0, 1, 1, EIO);
}

/* Bytes of the header cluster that nothing is in are not missed. */
static void test_behind_extensions(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    check(&image, 512, 4096);
    expect(&image, LEAKED(15), 0, 1, 0, 0);
}

/* Where the extensions go on behind what can be read, it is said that something may be missing, and where. */
static void test_extensions(void)
{
    static const uint64_t places[] = {512, 1024, 4096, 8192};

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        g_auto(Image) image = {0};
        g_autofree char *expected =
            g_strdup_printf("ERROR header extensions from 0x%" G_GINT64_MODIFIER
                            "x on: Input/output error; bitmaps and an encryption header may be missing\n" LEAKED(12)
                                LEAKED(13) LEAKED(14) LEAKED(15),
                            places[i]);

        image_begin(&image);
        /* an unknown extension of 10000 bytes, and the bitmaps behind it */
        memmove(image.bytes + AT_EXTENSIONS + 10008, image.bytes + AT_EXTENSIONS, 32);
        put_be32(image.bytes + AT_EXTENSIONS, 0x12345678);
        put_be32(image.bytes + AT_EXTENSIONS + 4, 10000);
        check(&image, places[i], 512);
        expect(&image, expected, 0, 4, 1, EIO);
    }
}

/* An encrypted image whose encryption header is named where it cannot be read is no image without one. */
static void test_crypt_extension(void)
{
    g_auto(Image) image = {0};

    image_begin(&image);
    put_be32(image.bytes + AT_CRYPT_METHOD, 2);
    put_be32(image.bytes + AT_EXTENSIONS, 0x12345678);
    put_be32(image.bytes + AT_EXTENSIONS + 4, 1000);
    check(&image, 512, 512);
    g_assert_cmpint(image.result.check->check_errors, ==, 1);
    g_assert_cmpint(image.result.failure, ==, EIO);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_set_prgname("qemu-img");
    g_test_add_func("/check-faults/none", test_none);
    g_test_add_func("/check-faults/data", test_data);
    g_test_add_func("/check-faults/l2", test_l2);
    g_test_add_func("/check-faults/l2-referenced-twice", test_l2_referenced_twice);
    g_test_add_func("/check-faults/l2-with-overflow", test_l2_with_overflow);
    g_test_add_func("/check-faults/active-l1", test_active_l1);
    g_test_add_func("/check-faults/snapshot-l1", test_snapshot_l1);
    g_test_add_func("/check-faults/snapshot-table", test_snapshot_table);
    g_test_add_func("/check-faults/refcount-block", test_refcount_block);
    g_test_add_func("/check-faults/bitmap-directory", test_bitmap_directory);
    g_test_add_func("/check-faults/bitmap-table", test_bitmap_table);
    g_test_add_func("/check-faults/every-cluster", test_every_cluster);
    g_test_add_func("/check-faults/findings", test_findings);
    g_test_add_func("/check-faults/refused", test_refused);
    g_test_add_func("/check-faults/refcount-table", test_refcount_table);
    g_test_add_func("/check-faults/refcount-table-end", test_refcount_table_end);
    g_test_add_func("/check-faults/behind-extensions", test_behind_extensions);
    g_test_add_func("/check-faults/extensions", test_extensions);
    g_test_add_func("/check-faults/crypt-extension", test_crypt_extension);
    g_test_add_func("/check-faults/every-sector", test_every_sector);
    return g_test_run();
}
