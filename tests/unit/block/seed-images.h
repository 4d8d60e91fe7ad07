/*
 * Tests of what is in a folder, such as the images that the fuzz targets begin with.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_SEED_IMAGES_H
#define TESTS_UNIT_BLOCK_SEED_IMAGES_H

#include <glib.h>

/* Adds a @test for each file in @folder, named PREFIX/FILE; it gets the name of the file. */
static inline void add_seed_tests(const char *folder, const char *prefix, GTestDataFunc test)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_strdup_printf("%s/%s", prefix, name);

        g_test_add_data_func_full(path, g_strdup(name), test, g_free);
    }
}

#endif
