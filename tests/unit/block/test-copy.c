/*
 * The copy of the metadata of an image, parts of which cannot be read: all else is there, and what is not is told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/metadump/copy.h"

#include "faults.h"
#include "small-image.h"

typedef struct Copy {
    uint8_t *bytes;
    bool omitted[IMAGE_CHECK_STRUCTURE__MAX];
    unsigned n_omitted;
    uint64_t from, to; /* around what was omitted, in one piece or several */
} Copy;

static bool take_part(void *opaque, uint64_t offset, const void *bytes, size_t size, GError **errp)
{
    Copy *copy = opaque;

    memcpy(copy->bytes + offset, bytes, size);
    return true;
}

static void take_omitted(void *opaque, ImageCheckStructure structure, uint64_t offset, uint64_t size, const char *why)
{
    Copy *copy = opaque;

    copy->from = copy->n_omitted ? MIN(copy->from, offset) : offset;
    copy->to = MAX(copy->to, offset + size);
    copy->omitted[structure] = true;
    copy->n_omitted++;
}

static void copy_without(Copy *copy, uint8_t *bytes, unsigned cluster)
{
    FaultySource source = faulty_source(bytes, AT(CLUSTERS), AT(cluster), CLUSTER);
    Qcow2CheckOptions options = {.workers = 1};
    Qcow2CopySink sink = {.write = take_part, .omitted = take_omitted, .opaque = copy};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(&source.base, NULL, &error);

    g_assert_no_error(error);
    copy->bytes = g_malloc0(AT(CLUSTERS));
    qcow2_copy_metadata(image, &options, false, &sink, &error);
    g_assert_no_error(error);
}

/* All that is metadata of the original and not in @cluster. */
static void assert_rest_is_there(const Copy *copy, const uint8_t *bytes, unsigned cluster)
{
    static const unsigned tables[] = {HEADER,    REFTABLE,    REFBLOCK, ACTIVE_L1, L2_A,        L2_B,
                                      SNAPSHOTS, SNAPSHOT_L1, L2_C,     DIRECTORY, BITMAP_TABLE};

    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
        bool behind = (cluster == REFTABLE && tables[i] == REFBLOCK) ||
                      (cluster == ACTIVE_L1 && (tables[i] == L2_A || tables[i] == L2_B)) ||
                      (cluster == SNAPSHOT_L1 && tables[i] == L2_C) ||
                      (cluster == SNAPSHOTS && (tables[i] == SNAPSHOT_L1 || tables[i] == L2_C)) ||
                      (cluster == DIRECTORY && tables[i] == BITMAP_TABLE);

        if (tables[i] != cluster && !behind) {
            g_assert_cmpmem(copy->bytes + AT(tables[i]), CLUSTER, bytes + AT(tables[i]), CLUSTER);
        }
    }
}

static void test_unreadable(void)
{
    static const struct {
        unsigned cluster;
        ImageCheckStructure structure;
    } cases[] = {
        {REFTABLE, IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE},
        {REFBLOCK, IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK},
        {ACTIVE_L1, IMAGE_CHECK_STRUCTURE_L1},
        {L2_A, IMAGE_CHECK_STRUCTURE_L2},
        {L2_B, IMAGE_CHECK_STRUCTURE_L2},
        {SNAPSHOTS, IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE},
        {SNAPSHOT_L1, IMAGE_CHECK_STRUCTURE_L1},
        {L2_C, IMAGE_CHECK_STRUCTURE_L2},
        {DIRECTORY, IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY},
        {BITMAP_TABLE, IMAGE_CHECK_STRUCTURE_BITMAP_TABLE},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree uint8_t *bytes = small_image_new();
        Copy copy = {0};

        copy_without(&copy, bytes, cases[i].cluster);
        for (unsigned k = 0; k < IMAGE_CHECK_STRUCTURE__MAX; k++) {
            g_assert_cmpint(copy.omitted[k], ==, k == cases[i].structure);
        }
        g_assert_cmpuint(copy.from, ==, AT(cases[i].cluster));
        g_assert_cmpuint(copy.to, <=, AT(cases[i].cluster + 1));
        assert_rest_is_there(&copy, bytes, cases[i].cluster);
        g_free(copy.bytes);
    }
}

/* Data are not read: that they cannot be is no news. */
static void test_data(void)
{
    static const unsigned clusters[] = {DATA_A, DATA_B, DATA_C, BITMAP_DATA, LEAK};

    for (size_t i = 0; i < G_N_ELEMENTS(clusters); i++) {
        g_autofree uint8_t *bytes = small_image_new();
        Copy copy = {0};

        copy_without(&copy, bytes, clusters[i]);
        g_assert_cmpuint(copy.n_omitted, ==, 0);
        assert_rest_is_there(&copy, bytes, clusters[i]);
        g_free(copy.bytes);
    }
}

typedef struct FullDisk {
    unsigned room; /* parts that it can take */
} FullDisk;

static bool take_if_room(void *opaque, uint64_t offset, const void *bytes, size_t size, GError **errp)
{
    FullDisk *disk = opaque;

    if (!disk->room) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOSPC, "full");
        return false;
    }
    disk->room--;
    return true;
}

/* Whichever part cannot be written, the error is that of the writing. */
static void test_full(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    bool done = false;

    for (unsigned room = 0; !done; room++) {
        g_autoptr(BlockSource) source = block_source_new_memory(bytes, AT(CLUSTERS));
        g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, NULL);
        Qcow2CheckOptions options = {.workers = 1};
        FullDisk disk = {.room = room};
        Qcow2CopySink sink = {.write = take_if_room, .omitted = take_omitted, .opaque = &disk};
        g_autoptr(GError) error = NULL;

        done = qcow2_copy_metadata(image, &options, false, &sink, &error);
        g_assert_true(done || g_error_matches(error, BLOCK_ERROR, ENOSPC));
        g_assert_cmpint(done, ==, room >= 11); /* as many tables as there are, each of which has a byte */
    }
}

/* A table that lies over the header is not there as a whole, and that is told. */
static void test_over_header(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    Copy copy = {0};

    put_be64(bytes + AT(ACTIVE_L1), CLUSTER / 2);
    put_be64(bytes + CLUSTER / 2, AT(DATA_A));
    copy_without(&copy, bytes, LEAK);
    g_assert_cmpuint(copy.n_omitted, ==, 1);
    g_assert_true(copy.omitted[IMAGE_CHECK_STRUCTURE_HEADER]);
    g_free(copy.bytes);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/copy/unreadable", test_unreadable);
    g_test_add_func("/copy/data", test_data);
    g_test_add_func("/copy/full", test_full);
    g_test_add_func("/copy/over-header", test_over_header);
    return g_test_run();
}
