/*
 * A check in passes says what a check in one pass says, byte for byte: messages in their order, JSON with the viscera,
 * failure. Windows are made tiny, so that there are many passes over the seeds of the fuzz targets, whole, spoiled at
 * random and partly unreadable, and over random tables that lie over one another. What happens when memory is short is
 * tested by tests/attacks/memory.
 *
 * The seeds are in the folder that is the argument.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "block/qcow2.h"
#include "faults.h"
#include "random-image.h"
#include "seed-images.h"
#include "ui/output/json.h"

static const char *folder;

typedef struct Said {
    char *text;
    unsigned passes;
} Said;

static void said_clear(Said *said)
{
    free(said->text);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Said, said_clear)

/* All that a check says, in one text; NULL where the image cannot be opened. */
static Said check(const uint8_t *bytes, size_t size, uint64_t bad, Qcow2CheckOptions options)
{
    FaultySource source = faulty_source(bytes, size, bad, 512);
    g_autoptr(Qcow2Image) image = qcow2_open(&source.base, NULL, NULL);
    g_autoptr(GError) error = NULL;
    Qcow2CheckResult result = {0};
    Said said = {0};
    size_t length;

    if (!image) {
        return said;
    }
    options.messages = open_memstream(&said.text, &length);
    options.viscera = true;
    qcow2_check(image, &options, &result, &error);
    g_assert_no_error(error);
    result.check->filename = g_strdup("");
    result.check->format = g_strdup("qcow2");
    print_check_json(options.messages, result.check, true, true);
    fprintf(options.messages, "failure %d\n", result.failure);
    for (char **note = result.notes; *note; note++) {
        fprintf(options.messages, "%s\n", *note);
    }
    fclose(options.messages);
    said.passes = result.passes;
    qcow2_check_result_clear(&result);
    return said;
}

/* Windows of one cluster and more; by several threads, too. The 512 bytes at @bad cannot be read. */
static void compare(const uint8_t *bytes, size_t size, uint64_t bad)
{
    g_auto(Said) whole = check(bytes, size, bad, (Qcow2CheckOptions){.workers = 1});
    uint64_t clusters = size >> bytes[23]; /* the lowest byte of cluster_bits */

    for (uint64_t window = 1 + upto(2); whole.text && window < clusters; window = window * 4 + upto(7)) {
        g_auto(Said) said = check(bytes, size, bad, (Qcow2CheckOptions){.workers = 1 + upto(1), .window = window});

        g_assert_cmpstr(said.text, ==, whole.text);
        g_assert_cmpuint(said.passes, >=, clusters / window);
    }
}

/* What may refer to something is overwritten with something like a reference. */
static void spoil(uint8_t *bytes, size_t size)
{
    for (unsigned n = 1 + upto(5); n > 0; n--) {
        uint64_t at = g_test_rand_int_range(8, (int)(size / 8)) * UINT64_C(8);
        uint64_t value = g_test_rand_int_range(0, (int)(size / 512) + 8) * UINT64_C(512);

        put_be64(bytes + at, value | (uint64_t)upto(1) << 63 | (uint64_t)!upto(5) << 62);
    }
}

static void test_seed(gconstpointer name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *seed = NULL;
    g_autoptr(GError) error = NULL;
    gsize size;

    g_file_get_contents(path, &seed, &size, &error);
    g_assert_no_error(error);
    compare((const uint8_t *)seed, size, size);
    for (unsigned n = 0; n < 4; n++) {
        g_autofree uint8_t *bytes = g_memdup2(seed, size);

        spoil(bytes, size);
        compare(bytes, size, size);
        compare((const uint8_t *)seed, size, g_test_rand_int_range(1, (int)(size / 512)) * UINT64_C(512));
    }
}

static void test_random_tables(void)
{
    for (unsigned i = 0; i < 20; i++) {
        g_autofree uint8_t *bytes = random_image();

        compare(bytes, AT(CLUSTERS), AT(upto(CLUSTERS)));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    folder = argv[1];
    add_seed_tests(folder, "/passes/seed", test_seed);
    g_test_add_func("/passes/random-tables", test_random_tables);
    return g_test_run();
}
