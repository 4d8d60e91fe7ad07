/*
 * No decision is made on a byte that is then read again: between two reads every byte of the image changes, and the
 * result is that of an image that stays as it is.
 *
 * The images are the seeds of the fuzz targets, in the folder that is the argument, and what becomes of them if words
 * are broken. A list of findings, messages of faults and other lists may be made from a second look at tables; the
 * counts may not. Where nothing is wrong, nothing is read again at all, but for what allowed() names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "seed-images.h"
#include "ui/output/json.h"

#define CLUSTER_BITS 23 /* the byte of the header that has them */

#define BROKEN 200 /* times each image is broken */

static const char *folder;
static const Qcow2CheckOptions everything = {.viscera = true, .findings = true, .roles = true, .space = true};

/* A source over bytes in memory that are others in each read. */
typedef struct Changing {
    BlockSource base;
    const char *bytes;
    uint8_t *reads; /* of each byte */
    bool changing;
    /* Reads that begin in these two take along what follows them, and nobody looks at that. */
    uint64_t header_end;
    uint64_t snapshots, snapshots_end;
} Changing;

/* Where what a read that begins at @offset is for ends at the latest. */
static uint64_t end_of_use(const Changing *changing, uint64_t offset)
{
    bool in_snapshots = offset >= changing->snapshots && offset < changing->snapshots_end;

    return offset == 0 ? changing->header_end : in_snapshots ? changing->snapshots_end : UINT64_MAX;
}

static ssize_t changing_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    Changing *changing = (Changing *)source;
    uint64_t end = end_of_use(changing, offset);
    uint8_t *to = buffer;

    for (size_t i = 0; i < size; i++) {
        uint8_t *reads = &changing->reads[offset + i];

        to[i] = (uint8_t)(changing->bytes[offset + i] ^ (changing->changing ? *reads : 0));
        *reads = (uint8_t)MIN(*reads + (offset + i < end), UINT8_MAX);
    }
    return (ssize_t)size;
}

static const BlockSourceOps changing_ops = {.read_at = changing_read_at};

typedef struct Outcome {
    char *verdict; /* numbers of the check, or the message of an error */
    char *json;    /* all of it */
    bool clean;
} Outcome;

static void outcome_clear(Outcome *outcome)
{
    g_free(outcome->verdict);
    free(outcome->json);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)

static char *numbers(const ImageCheck *check)
{
    return g_strdup_printf("corruptions %d leaks %d errors %d total %d allocated %d fragmented %d compressed %d end %d",
                           (int)check->corruptions, (int)check->leaks, (int)check->check_errors,
                           (int)check->total_clusters, (int)check->allocated_clusters, (int)check->fragmented_clusters,
                           (int)check->compressed_clusters, (int)check->image_end_offset);
}

static void note_snapshots(Changing *changing, const ImageCheck *check)
{
    const Qcow2SnapshotsTable *table = check->viscera ? check->viscera->snapshot_table : NULL;

    if (table) {
        changing->snapshots = (uint64_t)table->location.offset;
        changing->snapshots_end = changing->snapshots + (uint64_t)table->location.size;
    }
}

/* What @options find, and where the snapshot table lies, if they ask for the viscera. */
static void check(Changing *changing, const Qcow2CheckOptions *how, Outcome *outcome)
{
    g_autoptr(GError) error = NULL;
    size_t size;
    FILE *out = open_memstream(&outcome->json, &size);
    Qcow2CheckOptions options = *how;
    Qcow2CheckResult result = {0};
    g_autoptr(Qcow2Image) opened = qcow2_open(&changing->base, out, &error);

    options.messages = out;
    options.workers = 1;
    if (opened && qcow2_check(opened, &options, &result, &error)) {
        result.check->filename = g_strdup("");
        result.check->format = g_strdup("qcow2");
        print_check_json(out, result.check, true, true);
        outcome->verdict = numbers(result.check);
        if (!changing->snapshots_end) {
            note_snapshots(changing, result.check);
        }
        outcome->clean = !result.check->corruptions && !result.check->leaks && !result.check->check_errors;
    } else {
        outcome->verdict = g_strdup(error->message);
    }
    qcow2_check_result_clear(&result);
    fclose(out);
}

static void report_reread(const char *name, const Changing *changing)
{
    for (uint64_t at = 0; at < changing->base.length;) {
        uint64_t from = at;

        while (at < changing->base.length && changing->reads[at] == changing->reads[from]) {
            at++;
        }
        if (changing->reads[from] > 1) {
            g_test_message("%s: %u reads of 0x%" G_GINT64_MODIFIER "x-0x%" G_GINT64_MODIFIER "x", name,
                           changing->reads[from], from, at - 1);
        }
    }
}

static char *load(const char *name, gsize *size)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    char *bytes;

    g_assert_true(g_file_get_contents(path, &bytes, size, NULL));
    return bytes;
}

/* @whole: the image before it was broken, which has the place of the snapshot table. */
static void compare(const char *name, char *whole, char *bytes, gsize size, const Qcow2CheckOptions *how)
{
    g_autofree uint8_t *reads = NULL;
    Changing source = {.base = {.ops = &changing_ops}};
    Outcome outcome[3] = {0};

    source.base.length = size;
    source.bytes = whole;
    source.reads = reads = g_malloc0(size);
    source.header_end = UINT64_C(1) << bytes[CLUSTER_BITS];
    check(&source, &(Qcow2CheckOptions){.viscera = true}, &outcome[2]);
    for (int changing = 0; changing < 2; changing++) {
        memset(reads, 0, size);
        source.bytes = bytes;
        source.changing = changing;
        check(&source, how, &outcome[changing]);
        report_reread(name, &source);
    }
    g_assert_cmpstr(outcome[0].verdict, ==, outcome[1].verdict);
    if (outcome[0].clean) {
        g_assert_cmpstr(outcome[0].json, ==, outcome[1].json);
    }
    outcome_clear(&outcome[0]);
    outcome_clear(&outcome[1]);
    outcome_clear(&outcome[2]);
}

static void try(const char *name, const Qcow2CheckOptions *how)
{
    gsize size;
    g_autofree char *bytes = load(name, &size);

    compare(name, bytes, bytes, size, how);
}

/* Changes a flag or a reserved bit of a word behind the header that is not 0: no structure comes to lie where another
 * one is. */
static void break_word(GRand *random, char *bytes, gsize size)
{
    static const uint8_t bits[][2] = {{0, 0x80}, {0, 0x40}, {0, 0x01}, {7, 0x01}, {7, 0x02}};
    static const char no_word[8];
    const uint8_t *bit = bits[g_rand_int_range(random, 0, G_N_ELEMENTS(bits))];
    gint32 word;

    do {
        word = g_rand_int_range(random, 13, (gint32)(size / 8));
    } while (memcmp(bytes + word * 8, no_word, sizeof(no_word)) == 0);

    bytes[word * 8 + bit[0]] = (char)(bytes[word * 8 + bit[0]] ^ bit[1]);
}

static void test_broken(const void *name)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    gsize size;
    g_autofree char *whole = load(name, &size);

    for (unsigned i = 0; i < BROKEN; i++) {
        g_autofree char *bytes = g_memdup2(whole, size);

        for (unsigned words = 0; words <= i % 4; words++) {
            break_word(random, bytes, size);
        }
        compare(name, whole, bytes, size, i % 2 ? &everything : &(Qcow2CheckOptions){0});
    }
}

static void test_plain(const void *name)
{
    try(name, &(Qcow2CheckOptions){0});
}

static void test_viscera(const void *name)
{
    try(name, &(Qcow2CheckOptions){.viscera = true});
}

static void test_findings(const void *name)
{
    try(name, &everything);
}

/* Called when all is reported: another program writes to the header. */
static bool write_header(void *opaque, Qcow2Image *image, bool right, GError **errp)
{
    char *bytes = opaque;

    bytes[(UINT64_C(1) << bytes[CLUSTER_BITS]) - 1] ^= 1;
    return true;
}

static void judge(char *bytes, gsize size, bool written)
{
    g_autofree uint8_t *reads = g_malloc0(size);
    Changing source = {.base = {.ops = &changing_ops, .length = size}, .bytes = bytes, .reads = reads};
    const Qcow2CheckOptions how = {
        .judgement = true, .detect_changes = true, .reported = written ? write_header : NULL, .opaque = bytes};
    g_auto(Outcome) outcome = {0};
    bool unknown;

    check(&source, &how, &outcome);
    unknown = written && !strstr(outcome.json, "\"data-lost\"");
    g_assert_true(!strstr(outcome.json, "\"unknown-because\": \"changed\"") == !unknown);
}

/* The judgement of an image that changes while it is checked is unknown for that, unless data is lost. */
static void test_changed(const void *name)
{
    gsize size;
    g_autofree char *bytes = load(name, &size);

    judge(bytes, size, false);
    judge(bytes, size, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 2);
    folder = argv[1];
    g_set_prgname("qemu-img");
    add_seed_tests(folder, "/read-once/plain", test_plain);
    add_seed_tests(folder, "/read-once/viscera", test_viscera);
    add_seed_tests(folder, "/read-once/findings", test_findings);
    add_seed_tests(folder, "/read-once/broken", test_broken);
    add_seed_tests(folder, "/read-once/changed", test_changed);
    return g_test_run();
}
