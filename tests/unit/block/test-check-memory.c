/*
 * Each allocation of a check that may fail does: there is an error and no verdict, or the verdict is as it always is.
 * The same is so of a check with all that can be asked of it, and of a copy of the metadata.
 *
 * The images are the seeds of the fuzz targets, in the folder that is the argument.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/qcow2/metadump/copy.h"
#include "block/qcow2.h"
#include "short-memory.h"
#include "seed-images.h"
#include "ui/output/json.h"

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

/* What is done with an image: it gives a text, or NULL and an error. */
typedef char *Work(const Bytes *image, GError **errp);

static void put_roles(const ClusterRoles *roles, FILE *out)
{
    uint64_t at = 0;
    ClusterRun run;

    while (cluster_roles_next(roles, &at, &run)) {
        fprintf(out, "%d %d %d\n", (int)run.first, (int)run.role, run.corrupt);
    }
}

/* Messages and JSON of a check, in one text. */
static char *check_with(const Bytes *image, const Qcow2CheckOptions *how, GError **errp)
{
    g_autoptr(BlockSource) source = block_source_new_memory(image->data, image->size);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    Qcow2CheckOptions options = *how;
    Qcow2CheckResult result = {0};
    g_autoptr(Qcow2Image) opened = qcow2_open(source, out, errp);
    bool checked;

    options.messages = out;
    options.workers = 1;
    checked = opened && qcow2_check(opened, &options, &result, errp);
    if (checked && result.roles) {
        put_roles(result.roles, out);
    }
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

static char *check_with_viscera(const Bytes *image, GError **errp)
{
    return check_with(image, &(Qcow2CheckOptions){.viscera = true}, errp);
}

static char *check_with_everything(const Bytes *image, GError **errp)
{
    static const Qcow2Question first_data = {.guest = true};

    return check_with(
        image,
        &(Qcow2CheckOptions){
            .viscera = true, .roles = true, .space = true, .findings = true, .layout = true, .question = &first_data},
        errp);
}

/* Who uses the header: its cluster may have other users, too. */
static char *explain(const Bytes *image, GError **errp)
{
    static const Qcow2Question header = {.offset = 0};

    return check_with(image, &(Qcow2CheckOptions){.question = &header}, errp);
}

static bool put_part(void *opaque, uint64_t offset, const void *bytes, size_t size, GError **errp)
{
    g_autofree char *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, size);

    fprintf(opaque, "%d %d %s\n", (int)offset, (int)size, digest);
    return true;
}

static void put_omitted(void *opaque, ImageCheckStructure structure, uint64_t offset, uint64_t size, const char *why)
{
    fprintf(opaque, "%d %d omitted: %s\n", (int)offset, (int)size, why);
}

static char *copy(const Bytes *image, GError **errp)
{
    g_autoptr(BlockSource) source = block_source_new_memory(image->data, image->size);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    Qcow2CheckOptions options = {.workers = 1};
    Qcow2CopySink sink = {.write = put_part, .omitted = put_omitted, .opaque = out};
    g_autoptr(Qcow2Image) opened = qcow2_open(source, NULL, errp);
    bool copied = opened && qcow2_copy_metadata(opened, &options, false, &sink, errp);

    fclose(out);
    if (!copied) {
        g_clear_pointer(&text, free);
    }
    return text;
}

/* Lets allocations fail from each one on in turn, until the work needs no more. Returns how many it needs. */
static int fail_each(Work *work, const Bytes *image, const char *expected, gboolean once)
{
    for (int n = 1;; n++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;

        short_memory_begin(n, once);
        text = work(image, &error);
        if (!short_memory_end()) {
            g_assert_cmpstr(text, ==, expected);
            return n - 1;
        }
        g_assert_true(!text == !!error);
        if (text && work == copy && strstr(text, g_strerror(ENOMEM))) {
            continue; /* says what it has left out */
        }
        if (text) {
            g_assert_cmpstr(text, ==, expected);
        } else {
            g_assert_cmpstr(error->message, !=, "");
        }
    }
}

static void test_image(gconstpointer name)
{
    static Work *const works[] = {check_with_viscera, check_with_everything, explain, copy};
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_auto(Bytes) image = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_get_contents(path, &image.data, &image.size, &error));
    for (size_t i = 0; i < G_N_ELEMENTS(works); i++) {
        g_autofree char *expected = works[i](&image, &error);

        g_assert_no_error(error);
        g_assert_cmpint(fail_each(works[i], &image, expected, TRUE), >, 0);
        fail_each(works[i], &image, expected, FALSE);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    folder = argv[1];
    add_seed_tests(folder, "/check-memory", test_image);
    return g_test_run();
}
