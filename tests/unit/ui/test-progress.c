/*
 * How far a check has come, in numbers and as a bar.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/progress/bar.h"
#include "ui/progress/state.h"

#include <string.h>

#define MIB (UINT64_C(1) << 20)

/* One of four images is finished, one half done, one at a quarter: (1 + 1/2 + 1/4) / 4. */
static void test_fraction_of_several_images(void)
{
    CheckProgress slots[] = {
        {.phase = CHECK_PHASE_TABLES, .bytes_done = 50, .bytes_known = 100},
        {.phase = CHECK_PHASE_OPENING, .bytes_done = 1, .bytes_known = 4},
        {0},
    };
    ProgressState state = {.images = 4, .finished = 1, .finished_bytes = 1000, .slots = 3, .slot = slots};
    ImageCheckProgress progress = progress_read(&state, 7);

    g_assert_cmpfloat(progress_fraction(&state), ==, 0.4375);
    g_assert_cmpint(progress.images, ==, 4);
    g_assert_cmpint(progress.images_done, ==, 1);
    g_assert_false(progress.has_phase);
    g_assert_cmpuint(progress.bytes_done, ==, 1051);
    g_assert_cmpuint(progress.bytes_known, ==, 1104);
    g_assert_cmpfloat(progress.percent, ==, 43.75);
    g_assert_cmpuint(progress.rate, ==, 150); /* 1051 / 7, rounded down */
    g_assert_true(progress.has_remaining);
    g_assert_cmpfloat(progress.remaining, ==, 9); /* 7 s for 7/16 */
}

static void test_nothing_is_known_yet(void)
{
    CheckProgress slot = {0};
    ProgressState state = {.images = 1, .slots = 1, .slot = &slot};
    ImageCheckProgress progress = progress_read(&state, 0);

    g_assert_cmpfloat(progress.percent, ==, 0);
    g_assert_true(progress.has_phase);
    g_assert_cmpint(progress.phase, ==, IMAGE_CHECK_PHASE_OPENING);
    g_assert_false(progress.has_remaining);
    g_assert_cmpuint(progress.rate, ==, 0);
}

/* The numbers of a slot are read one by one, so done may be ahead of known. */
static void test_more_done_than_known(void)
{
    CheckProgress slot = {.bytes_done = 200, .bytes_known = 100};
    ProgressState state = {.images = 1, .slots = 1, .slot = &slot};

    g_assert_cmpfloat(progress_fraction(&state), ==, 1);
}

static void assert_bar(const ImageCheckProgress *progress, unsigned columns, const char *expected)
{
    g_autofree char *bar = progress_bar(progress, columns);

    g_assert_cmpstr(bar, ==, expected);
}

static void test_bar_of_one_image(void)
{
    ImageCheckProgress progress = {
        .images = 1,
        .has_phase = true,
        .phase = IMAGE_CHECK_PHASE_TABLES,
        .percent = 50,
        .rate = 812 * MIB + MIB / 2,
        .has_remaining = true,
        .remaining = 71.6,
    };

    assert_bar(&progress, 60, "tables    [########........]  50.0%  812.5 MiB/s  1:12 left");
    assert_bar(&progress, 40, "tables    [###....]  50.0%  812.5 MiB/s");
    progress.remaining = 3725;
    assert_bar(&progress, 60, "tables    [######.......]  50.0%  812.5 MiB/s  1:02:05 left");
    progress.has_remaining = false;
    assert_bar(&progress, 48, "tables    [#######........]  50.0%  812.5 MiB/s");
}

static void test_bar_of_several_images(void)
{
    ImageCheckProgress progress = {.images = 1000, .images_done = 12, .percent = 100};

    assert_bar(&progress, 49, "12/1000 images [#############] 100.0%  0.0 MiB/s");
}

/* Whatever the width, the bar leaves the last column free, so that the cursor stays in its line. */
static void test_bar_fits(void)
{
    ImageCheckProgress progress = {
        .images = 1000000,
        .images_done = 999999,
        .percent = 99.99,
        .rate = 123456 * MIB,
        .has_remaining = true,
        .remaining = 1e30,
    };

    for (unsigned columns = 0; columns <= 200; columns++) {
        g_autofree char *bar = progress_bar(&progress, columns);

        g_assert_cmpuint(strlen(bar), <=, columns ? columns - 1 : 0);
        if (columns >= 100) {
            g_assert_cmpuint(strlen(bar), ==, columns - 1);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/progress/several-images", test_fraction_of_several_images);
    g_test_add_func("/progress/nothing-known", test_nothing_is_known_yet);
    g_test_add_func("/progress/more-done-than-known", test_more_done_than_known);
    g_test_add_func("/progress/bar/one-image", test_bar_of_one_image);
    g_test_add_func("/progress/bar/several-images", test_bar_of_several_images);
    g_test_add_func("/progress/bar/fits", test_bar_fits);
    return g_test_run();
}
