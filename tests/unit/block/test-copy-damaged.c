/*
 * The copy of the metadata of damaged images: nothing of the guest's data is in it, and a check of it finds what a
 * check of the image finds, to the letter, unless something was left out.
 *
 * Most of each cluster of the guest is zeros, since text and numbers are like a damaged table then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/metadump/copy.h"

#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "config.h"
#include "small-image.h"

#define IMAGES    (CONFIG_INSTRUMENTED ? 75u : 300u)
#define PART_SIZE 6 /* bytes of the secret that must not be found: of each fourth one on */

static const char secret[] = "PIN 4711 hunter2";

typedef struct Copy {
    uint8_t *bytes;
    unsigned omitted;
} Copy;

static bool take_part(void *opaque, uint64_t offset, const void *bytes, size_t size, GError **errp)
{
    Copy *copy = opaque;

    g_assert_cmpuint(offset + size, <=, AT(CLUSTERS));
    memcpy(copy->bytes + offset, bytes, size);
    return true;
}

static void count_omitted(void *opaque, ImageCheckStructure structure, uint64_t offset, uint64_t size, const char *why)
{
    ((Copy *)opaque)->omitted++;
}

static bool copy_metadata(const uint8_t *bytes, Copy *copy)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, AT(CLUSTERS));
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, NULL);
    Qcow2CheckOptions options = {.workers = 1};
    Qcow2CopySink sink = {.write = take_part, .omitted = count_omitted, .opaque = copy};
    g_autoptr(GError) error = NULL;

    *copy = (Copy){.bytes = g_malloc0(AT(CLUSTERS))};
    if (image) {
        qcow2_copy_metadata(image, &options, false, &sink, &error);
        g_assert_no_error(error);
    }
    return image;
}

/* Messages and counts of a check; g_free() it. */
static char *check(const uint8_t *bytes)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, AT(CLUSTERS));
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, NULL);
    char *messages = NULL, *text;
    size_t size;
    FILE *file = open_memstream(&messages, &size);
    Qcow2CheckOptions options = {.workers = 1, .messages = file};
    Qcow2CheckResult result = {0};
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(image);
    qcow2_check(image, &options, &result, &error);
    g_assert_no_error(error);
    fclose(file);
    text = g_strdup_printf("%s%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %d", messages,
                           result.check->corruptions, result.check->leaks, result.check->check_errors, result.failure);
    qcow2_check_result_clear(&result);
    free(messages);
    return text;
}

static void assert_private(const uint8_t *bytes, unsigned seed)
{
    for (size_t i = 0; i + PART_SIZE < sizeof(secret); i += 4) {
        if (memmem(bytes, AT(CLUSTERS), secret + i, PART_SIZE)) {
            g_error("image %u: '%.*s' is in the copy", seed, PART_SIZE, secret + i);
        }
    }
}

/* The secret once in each cluster of the guest, of a bitmap's bits, and of nobody. */
static void put_secrets(uint8_t *bytes, GRand *random)
{
    static const unsigned clusters[] = {DATA_A, DATA_B, DATA_C, BITMAP_DATA, LEAK};

    for (unsigned i = 0; i < G_N_ELEMENTS(clusters); i++) {
        unsigned at = g_rand_boolean(random) ? 0 : g_rand_int_range(random, 0, CLUSTER - sizeof(secret));

        memcpy(bytes + AT(clusters[i]) + at, secret, sizeof(secret) - 1);
    }
}

/* A pointer of the header into somewhere. */
static void spoil_header(uint8_t *bytes, GRand *random)
{
    static const unsigned words[] = {AT_L1_OFFSET, AT_REFTABLE_OFFSET, AT_SNAPSHOTS_OFFSET, AT_EXTENSIONS + 24};

    put_be64(bytes + words[g_rand_int_range(random, 0, G_N_ELEMENTS(words))],
             AT(g_rand_int_range(random, 1, CLUSTERS)));
}

/* One entry of the refcount table, of an L1 table or of a bitmap's table names a cluster of data. */
static void misdirect(uint8_t *bytes, GRand *random)
{
    static const unsigned tables[] = {REFTABLE, ACTIVE_L1, SNAPSHOT_L1, DIRECTORY};
    static const unsigned targets[] = {DATA_A, DATA_B, DATA_C, LEAK, BITMAP_DATA};
    unsigned table = tables[g_rand_int_range(random, 0, G_N_ELEMENTS(tables))];
    unsigned index = table == DIRECTORY ? 0 : g_rand_int_range(random, 0, 2);

    put_be64(bytes + AT(table) + 8 * index, AT(targets[g_rand_int_range(random, 0, G_N_ELEMENTS(targets))]));
}

static void test_damaged(void)
{
    unsigned compared = 0, copied = 0;

    for (unsigned seed = 0; seed < IMAGES; seed++) {
        g_autoptr(GRand) random = g_rand_new_with_seed(seed);
        g_autofree uint8_t *bytes = small_image_new();
        g_autofree char *before = NULL, *after = NULL;
        Copy copy;

        put_secrets(bytes, random);
        switch (seed % 3) {
        case 0:
            small_image_spoil(bytes, random);
            break;
        case 1:
            misdirect(bytes, random);
            break;
        default:
            spoil_header(bytes, random);
        }
        if (copy_metadata(bytes, &copy)) {
            copied++;
            assert_private(copy.bytes, seed);
            if (!copy.omitted) {
                before = check(bytes);
                after = check(copy.bytes);
                g_assert_cmpstr(before, ==, after);
                compared++;
            }
        }
        g_free(copy.bytes);
    }
    g_test_message("%u of %u copied, %u of them without omissions", copied, IMAGES, compared);
    g_assert_cmpuint(copied, >=, IMAGES / 4 * 3);
    g_assert_cmpuint(compared, >=, IMAGES / 4);
}

/* A refcount table entry that names mostly-zero data: the counts of everything are lost then, which is no sign of any.
 */
static void test_data_as_refcount_block(void)
{
    for (unsigned target = DATA_A; target <= LEAK; target += LEAK - DATA_A) {
        g_autofree uint8_t *bytes = small_image_new();
        Copy copy;

        memcpy(bytes + AT(target) + 100, "secret", 6);
        put_be64(bytes + AT(REFTABLE), AT(target));
        g_assert_true(copy_metadata(bytes, &copy));
        g_assert_null(memmem(copy.bytes, AT(CLUSTERS), "secret", 6));
        g_assert_cmpuint(copy.omitted, ==, 1);
        g_free(copy.bytes);
    }
}

/* An L1 entry that names mostly-zero data which has an owner, and numbers like offsets in it. */
static void test_data_as_l2_table(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    Copy copy;

    put_be64(bytes + AT(DATA_A) + 80, 6);
    put_be64(bytes + AT(DATA_A) + 88, CLUSTER / 2);
    put_be64(bytes + AT(ACTIVE_L1) + 8, AT(DATA_A));
    g_assert_true(copy_metadata(bytes, &copy));
    g_assert_cmpuint(copy.bytes[AT(DATA_A) + 87], ==, 0);
    g_assert_cmpuint(copy.omitted, ==, 1);
    g_free(copy.bytes);
}

/* Tables with a damaged entry are copied with it, however small they are, so that the check stays the same. */
static void test_one_damaged_entry(void)
{
    static const uint64_t damages[] = {COPIED | (AT(DATA_A) + 512), AT(DATA_A) | UINT64_C(1) << 60, AT(CLUSTERS + 5),
                                       UINT64_C(1) << 62 | AT(DATA_A), AT(DATA_A) | 2};
    static const unsigned tables[] = {ACTIVE_L1, L2_A, L2_C, SNAPSHOT_L1};

    for (unsigned t = 0; t < G_N_ELEMENTS(tables); t++) {
        for (unsigned d = 0; d < G_N_ELEMENTS(damages); d++) {
            g_autofree uint8_t *bytes = small_image_new();
            g_autofree char *before = NULL, *after = NULL;
            Copy copy;

            put_be64(bytes + AT(tables[t]), damages[d]);
            g_assert_true(copy_metadata(bytes, &copy));
            g_assert_cmpuint(copy.omitted, ==, 0);
            before = check(bytes);
            after = check(copy.bytes);
            g_assert_cmpstr(before, ==, after);
            g_free(copy.bytes);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/copy-damaged/random", test_damaged);
    g_test_add_func("/copy-damaged/data-as-refcount-block", test_data_as_refcount_block);
    g_test_add_func("/copy-damaged/data-as-l2-table", test_data_as_l2_table);
    g_test_add_func("/copy-damaged/one-damaged-entry", test_one_damaged_entry);
    return g_test_run();
}
