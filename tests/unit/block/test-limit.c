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

static Result check(const uint8_t *bytes, uint64_t max_messages, bool findings, unsigned workers)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, AT(CLUSTERS));
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
                Result limited = check(bytes, limits[k], findings, 1 + k % 3);

                compare(&all, &limited);
                free(limited.messages);
            }
        }
        free(all.messages);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/limit/same-counts", test_same_counts);
    return g_test_run();
}
