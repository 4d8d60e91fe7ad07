/*
 * A limit of messages changes how much is said, and nothing of what is counted, nor the order: images of random tables
 * that lie over one another are checked without a limit and with several, and by several threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "findings.h"
#include "random-image.h"

typedef struct Result {
    uint64_t counts[3];
    uint64_t end;
    int failure;
    char *messages;
} Result;

static Result check_bytes(const uint8_t *bytes, size_t length, uint64_t max_messages, bool findings, unsigned workers)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, length);
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, &error);
    Qcow2CheckResult result;
    Result found = {0};
    size_t size;
    Qcow2CheckOptions options = {.max_messages = max_messages, .findings = findings, .workers = workers};

    g_assert_no_error(error);
    options.messages = open_memstream(&found.messages, &size);
    qcow2_check(image, &options, &result, &error);
    g_assert_no_error(error);
    fclose(options.messages);
    found.counts[0] = result.check->corruptions;
    found.counts[1] = result.check->leaks;
    found.counts[2] = result.check->check_errors;
    found.end = result.check->image_end_offset;
    found.failure = result.failure;
    if (findings) {
        assert_findings_add_up(result.check);
    }
    qcow2_check_result_clear(&result);
    return found;
}

static Result check(const uint8_t *bytes, uint64_t max_messages, bool findings, unsigned workers)
{
    return check_bytes(bytes, AT(CLUSTERS), max_messages, findings, workers);
}

/* True where the lines of @some, up to @end, are among those of @all, in the same order. */
static bool are_among(const char *some, const char *end, const char *all)
{
    while (some < end) {
        size_t length = strchr(some, '\n') + 1 - some;

        while (*all && strncmp(all, some, length) != 0) {
            all = strchr(all, '\n') + 1;
        }
        if (!*all) {
            return false;
        }
        some += length;
        all += length;
    }
    return true;
}

static void compare(const Result *all, const Result *limited)
{
    const char *left_out = strstr(limited->messages, "Messages left out, which --all-messages shows: ");

    g_assert_cmpmem(limited->counts, sizeof(limited->counts), all->counts, sizeof(all->counts));
    g_assert_cmpuint(limited->end, ==, all->end);
    g_assert_cmpint(limited->failure, ==, all->failure);
    if (left_out) {
        g_assert_cmpstr(strchr(left_out, '\n'), ==, "\n");
        g_assert_true(are_among(limited->messages, left_out, all->messages));
    } else {
        g_assert_cmpstr(limited->messages, ==, all->messages);
    }
}

static void test_same_counts(void)
{
    static const uint64_t limits[] = {1, 5, 60, 700, 10000, 1000000};

    for (unsigned i = 0; i < 20; i++) {
        g_autofree uint8_t *bytes = random_image();
        Result all = check(bytes, 0, false, 1);

        g_assert_null(strstr(all.messages, "left out"));
        for (size_t k = 0; k < G_N_ELEMENTS(limits); k++) {
            /* a long list takes its time */
            for (unsigned findings = 0; findings <= (i == 0 && limits[k] <= 700); findings++) {
                Result limited = check(bytes, limits[k], findings, 1 + (unsigned)k % 3);

                compare(&all, &limited);
                free(limited.messages);
            }
        }
        free(all.messages);
    }
}

#define TABLES   272                   /* of 64 KiB: enough work for 16 threads */
#define LARGE(n) ((uint64_t)(n) << 16) /* where cluster n of this image is */
#define FIRST    4 /* cluster of the first of them; before them header, refcount table, refcount block, L1 table */

/*
 * Every 50th entry of each table has a reserved bit, points behind the end of the file, and is flagged as not shared,
 * which the counts do not say: three faults.
 */
static uint8_t *image_of_faulty_tables(void)
{
    uint8_t *bytes = g_malloc0(LARGE(FIRST + TABLES));

    put_header(bytes, 16);
    put_be64(bytes + AT_SIZE, (uint64_t)TABLES << 29);
    put_be32(bytes + AT_L1_SIZE, TABLES);
    put_be64(bytes + LARGE(1), LARGE(2));
    for (unsigned i = 0; i < FIRST + TABLES; i++) {
        put_be16(bytes + LARGE(2) + 2 * i, 1);
    }
    for (uint64_t t = 0; t < TABLES; t++) {
        put_be64(bytes + LARGE(3) + 8 * t, UINT64_C(1) << 63 | LARGE(FIRST + t));
        for (uint64_t i = 0; i < 8192; i += 50) {
            put_be64(bytes + LARGE(FIRST + t) + 8 * i,
                     UINT64_C(1) << 63 | UINT64_C(1) << 56 | LARGE(100000 + t * 8192 + i));
        }
    }
    return bytes;
}

/* Where there are more faults than messages, the messages are the first ones, whichever thread found what first. */
static void test_same_messages(void)
{
    static const unsigned workers[] = {1, 2, 8, 16};
    static const uint64_t limits[] = {1000, 100000};
    g_autofree uint8_t *bytes = image_of_faulty_tables();
    Result all = check_bytes(bytes, LARGE(FIRST + TABLES), 0, false, 1);

    g_assert_cmpuint(all.counts[0], ==, 3 * 164 * TABLES);
    for (size_t k = 0; k < G_N_ELEMENTS(limits); k++) {
        for (unsigned i = 0; i < 3 * G_N_ELEMENTS(workers); i++) {
            Result limited =
                check_bytes(bytes, LARGE(FIRST + TABLES), limits[k], false, workers[i % G_N_ELEMENTS(workers)]);
            char *left_out = strstr(limited.messages, "Messages left out");

            compare(&all, &limited);
            g_assert_nonnull(left_out);
            *left_out = 0;
            g_assert_true(g_str_has_prefix(all.messages, limited.messages));
            free(limited.messages);
        }
    }
    free(all.messages);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/limit/same-counts", test_same_counts);
    g_test_add_func("/limit/same-messages", test_same_messages);
    return g_test_run();
}
