/*
 * The metadata of an image, copied as `qemu-img metadump` does.
 *
 * A check of the copy says what a check of the image says, to the letter, unless something was left out; with names
 * made unreadable it finds as much. Bytes that no structure has are not copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "block/qcow2.h"
#include "block/qcow2/metadump/copy.h"
#include "fuzz.h"
#include "output.h"
#include "ui/output/json.h"

typedef struct Copy {
    uint8_t *bytes;
    size_t size;
    unsigned omitted;
} Copy;

static bool take_part(void *opaque, uint64_t offset, const void *bytes, size_t size, GError **errp)
{
    Copy *copy = opaque;

    g_assert_cmpuint(size, >, 0);
    g_assert_cmpuint(offset, <=, copy->size);
    g_assert_cmpuint(size, <=, copy->size - offset);
    memcpy(copy->bytes + offset, bytes, size);
    return true;
}

static void count_omitted(void *opaque, ImageCheckStructure structure, uint64_t offset, uint64_t size, const char *why)
{
    Copy *copy = opaque;

    g_assert_true(why[0]);
    copy->omitted++;
}

typedef struct Said {
    Output output;
    int64_t corruptions;
    int64_t leaks;
} Said;

/* What a check says: messages, or why there is no check, and JSON. */
static Said check(const uint8_t *bytes, size_t size)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, size);
    Said said = {0};
    FILE *out = output_begin(&said.output);
    Qcow2CheckOptions options = {.viscera = true, .messages = out, .workers = 1};
    Qcow2CheckResult result = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(source, out, &error);

    if (image && qcow2_check(image, &options, &result, &error)) {
        result.check->filename = g_strdup("t.qcow2");
        result.check->format = g_strdup("qcow2");
        said.corruptions = result.check->corruptions;
        said.leaks = result.check->leaks;
        print_check_json(out, result.check, true, false);
    } else {
        fputs(error->message, out);
    }
    qcow2_check_result_clear(&result);
    fclose(out);
    return said;
}

/* False where the image cannot be opened. */
static bool copy_image(const uint8_t *bytes, Copy *copy, bool scramble)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, copy->size);
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, NULL);
    Qcow2CheckOptions options = {.workers = 1};
    Qcow2CopySink sink = {.write = take_part, .omitted = count_omitted, .opaque = copy};
    g_autoptr(GError) error = NULL;

    if (image) {
        limits_begin();
        qcow2_copy_metadata(image, &options, scramble, &sink, &error);
        limits_end("copying metadata");
        g_assert_no_error(error);
    }
    return image;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    g_autofree uint8_t *room = g_malloc0(size);
    Copy copy = {.bytes = room, .size = size};
    Said original, copied;

    if (!copy_image(bytes, &copy, false)) {
        return 0;
    }
    original = check(bytes, size);
    copied = check(room, size);
    if (!copy.omitted) {
        g_assert_cmpuint(copied.output.size, ==, original.output.size);
        g_assert_cmphex(copied.output.hash, ==, original.output.hash);
    }
    memset(room, 0, size);
    copy.omitted = 0;
    copy_image(bytes, &copy, true);
    copied = check(room, size);
    if (!copy.omitted) {
        g_assert_cmpint(copied.corruptions, ==, original.corruptions);
        g_assert_cmpint(copied.leaks, ==, original.leaks);
    }
    return 0;
}
