/*
 * A rescue of a small image in memory, whole, damaged and hostile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/rescue.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/qcow2/rescue/free-places.h"
#include "small-image.h"

static Qcow2Rescue plan(const void *bytes, size_t size, bool *ok)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, size);
    Qcow2RescueInput in = {.source = source, .options = {.workers = 1}};
    Qcow2Rescue rescue = {0};
    g_autoptr(GError) error = NULL;

    *ok = qcow2_rescue_plan(&in, &rescue, &error);
    g_assert_true(*ok || error);
    return rescue;
}

/* The small image has tables of one entry each: the least that there can be. */
static void check_loss(uint64_t offset, size_t size, ImageRescueClass worst)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Qcow2Rescue) rescue = {0};
    bool ok;

    memset(bytes + offset, 0, size);
    rescue = plan(bytes, AT(CLUSTERS), &ok);
    g_assert_true(ok);
    g_assert_cmpuint(rescue.result->cluster_size, ==, CLUSTER);
    g_assert_cmpuint(rescue.result->refcount_bits, ==, 16);
    g_assert_cmpuint(rescue.result->snapshots, ==, 1);
    g_assert_cmpuint(rescue.result->ranges.len, >, 0);
    g_assert_cmpuint(rescue.result->ranges.items[0].class, <=, worst);
}

static void test_losses(void)
{
    check_loss(0, 0, IMAGE_RESCUE_CLASS_PROVED);
    check_loss(0, 8, IMAGE_RESCUE_CLASS_PROVED);
    check_loss(0, CLUSTER, IMAGE_RESCUE_CLASS_INFERRED);
}

static void test_nothing(void)
{
    static const uint8_t zeros[CLUSTER];

    for (size_t size = 0; size <= CLUSTER; size += CLUSTER) {
        g_auto(Qcow2Rescue) rescue = {0};
        bool ok;

        rescue = plan(zeros, size, &ok);
        g_assert_false(ok);
    }
}

typedef struct OnceFaulty {
    BlockSource base;
    const uint8_t *bytes;
    unsigned reads, bad; /* which read fails, 1 the first; 0 = none */
} OnceFaulty;

static ssize_t once_faulty_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    OnceFaulty *s = (OnceFaulty *)source;

    if (++s->reads == s->bad) {
        return -EIO;
    }
    memcpy(buffer, s->bytes + offset, size);
    return (ssize_t)size;
}

static char *classes_and_notes(const ImageRescue *result)
{
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < result->ranges.len; i++) {
        const ImageRescueRange *r = &result->ranges.items[i];

        g_string_append_printf(text, "%" PRIu64 " %" PRIu64 " %d;", (uint64_t)r->start, (uint64_t)r->length, r->class);
    }
    for (size_t i = 0; i < result->notes.len; i++) {
        g_string_append_printf(text, " %s;", result->notes.items[i]);
    }
    return g_string_free(text, FALSE);
}

/* Whichever read fails, that is said, or makes no difference. */
static void test_each_read_fails(void)
{
    static const BlockSourceOps ops = {.read_at = once_faulty_read_at};
    g_autofree uint8_t *bytes = small_image_new();
    g_autofree char *expected = NULL;
    unsigned said = 0, n = 1;

    for (unsigned bad = 0; bad <= n; bad++) {
        OnceFaulty source = {.base = {.ops = &ops, .length = AT(CLUSTERS)}, .bytes = bytes, .bad = bad};
        Qcow2RescueInput in = {.source = &source.base, .options = {.workers = 1}};
        g_auto(Qcow2Rescue) rescue = {0};
        g_autoptr(GError) error = NULL;
        g_autofree char *found = NULL;

        if (!qcow2_rescue_plan(&in, &rescue, &error)) {
            g_assert_nonnull(error);
            continue;
        }
        found = classes_and_notes(rescue.result);
        n = bad ? n : source.reads;
        expected = bad ? expected : g_strdup(found);
        if (strstr(found, "could not be read")) {
            said++;
        } else {
            g_assert_cmpstr(found, ==, expected);
        }
    }
    g_assert_cmpuint(n, >, 10);
    g_assert_cmpuint(said, >, 1);
}

/* Entries at random, with and without the header. */
static void test_damage(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);

    for (unsigned i = 0; i < 200; i++) {
        g_autofree uint8_t *bytes = small_image_new();
        g_auto(Qcow2Rescue) rescue = {0};
        bool ok;

        small_image_spoil(bytes, random);
        if (i % 2) {
            memset(bytes, 0, CLUSTER);
        }
        rescue = plan(bytes, AT(CLUSTERS), &ok);
        g_assert_true(!ok || edits_n(rescue.edits) >= 2); /* header and L1 table */
    }
}

/* Tables that all refer to one cluster, or each to the next, are no tables or end somewhere. */
static void test_pointers(void)
{
    enum { WORDS = 1 << 16 };
    g_autofree uint8_t *bytes = g_malloc(8 * WORDS);

    for (uint64_t step = 0; step <= 1024; step += 512) {
        g_auto(Qcow2Rescue) rescue = {0};
        bool ok;

        for (unsigned i = 0; i < WORDS; i++) {
            put_be64(bytes + 8 * i, COPIED | (512 + i * step % (8 * WORDS - 1024)));
        }
        rescue = plan(bytes, 8 * WORDS, &ok);
    }
}

/* ---- free places ---- */

#define PLACES 1000u
#define MANY   (1u << 20) /* looked for one by one from the first, it would take hours */

static void test_free_places(void)
{
    g_autoptr(GArray) places = qcow2_free_places_new();
    bool taken[PLACES + 1] = {false};

    for (unsigned k = 0; k < PLACES; k++) {
        uint64_t from = k * UINT64_C(619) % PLACES, expected = from;

        while (taken[expected]) {
            expected++;
        }
        g_assert_cmpuint(qcow2_free_place(places, from), ==, expected);
        if (expected < PLACES && k % 3) {
            qcow2_take_place(places, expected);
            taken[expected] = true;
        }
    }
}

static void test_many_places(void)
{
    g_autoptr(GArray) places = qcow2_free_places_new();

    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t place = qcow2_free_place(places, 0);

        g_assert_cmpuint(place, ==, i);
        qcow2_take_place(places, place);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rescue/losses", test_losses);
    g_test_add_func("/rescue/nothing", test_nothing);
    g_test_add_func("/rescue/each-read-fails", test_each_read_fails);
    g_test_add_func("/rescue/damage", test_damage);
    g_test_add_func("/rescue/pointers", test_pointers);
    g_test_add_func("/rescue/free-places", test_free_places);
    g_test_add_func("/rescue/many-places", test_many_places);
    return g_test_run();
}
