/*
 * Each allocation of a check that may fail does: there is an error and no verdict, or the verdict is as it always is.
 *
 * The images are the seeds of the fuzz targets, in the folder that is the argument.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "block/qcow2.h"
#include "short-memory.h"
#include "ui/check-output.h"

static const char *folder;

typedef struct Bytes {
    char *data;
    gsize size;
} Bytes;

static void bytes_clear(Bytes *bytes)
{
    g_free(bytes->data);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bytes, bytes_clear)

/* A check with viscera: messages and JSON in one text, or an error. */
static char *check(const Bytes *image, GError **errp)
{
    g_autoptr(BlockSource) source = block_source_new_memory(image->data, image->size);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    Qcow2CheckOptions options = {.viscera = true, .messages = out, .workers = 1};
    Qcow2CheckResult result = {0};
    g_autoptr(Qcow2Image) opened = qcow2_open(source, out, errp);
    bool checked = opened && qcow2_check(opened, &options, &result, errp);

    if (checked) {
        result.check->filename = g_strdup("");
        result.check->format = g_strdup("qcow2");
        print_check_json(out, result.check, true, true);
    }
    qcow2_check_result_clear(&result);
    fclose(out);
    if (!checked) {
        g_clear_pointer(&text, free);
    }
    return text;
}

/* Lets allocations fail from each one on in turn, until the check needs no more. Returns how many it needs. */
static int fail_each(const Bytes *image, const char *expected, gboolean once)
{
    for (int n = 1;; n++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;

        short_memory_begin(n, once);
        text = check(image, &error);
        if (!short_memory_end()) {
            g_assert_cmpstr(text, ==, expected);
            return n - 1;
        }
        g_assert_true(!text == !!error);
        if (text) {
            g_assert_cmpstr(text, ==, expected);
        } else {
            g_assert_cmpstr(error->message, !=, "");
        }
    }
}

static void test_image(gconstpointer name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_auto(Bytes) image = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *expected = NULL;

    g_assert_true(g_file_get_contents(path, &image.data, &image.size, &error));
    expected = check(&image, &error);
    g_assert_no_error(error);
    g_assert_cmpint(fail_each(&image, expected, TRUE), >, 0);
    fail_each(&image, expected, FALSE);
}

int main(int argc, char **argv)
{
    g_autoptr(GDir) dir = NULL;
    const char *name;

    g_test_init(&argc, &argv, NULL);
    folder = argv[1];
    dir = g_dir_open(folder, 0, NULL);
    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_strdup_printf("/check-memory/%s", name);

        g_test_add_data_func_full(path, g_strdup(name), test_image, g_free);
    }
    return g_test_run();
}
