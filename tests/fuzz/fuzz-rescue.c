/*
 * A rescue of an image that has lost some of its metadata, by itself and with an earlier copy of it.
 *
 * Input: an image, which is the earlier copy, too. Its last byte chooses what is lost. The new image can be opened, and
 * the map has all of the disk, range by range.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "block/qcow2.h"
#include "block/qcow2/rescue/rescue.h"
#include "fuzz.h"

#define ROOM (UINT64_C(32) << 20) /* bytes that a new image may have */
#define SIZE 512u

/* Loses the header, all, or a half of the file. */
static void lose(uint8_t *bytes, size_t size, unsigned how)
{
    switch (how % 4) {
    case 1:
        memset(bytes, 0, MIN(size, SIZE));
        break;
    case 2:
        memset(bytes + size / 2, 0, size / 2);
        break;
    case 3:
        memset(bytes + MIN(size, SIZE), 0, size / 2 - MIN(size / 2, SIZE));
        break;
    default:
        break;
    }
}

static void check_map(const ImageRescue *result)
{
    uint64_t at = 0;

    for (size_t i = 0; i < result->ranges.len; i++) {
        g_assert_cmpuint(result->ranges.items[i].start, ==, at);
        g_assert_cmpuint(result->ranges.items[i].length, >, 0);
        at += result->ranges.items[i].length;
    }
    g_assert_cmpuint(at, ==, result->size);
}

static void check_image(const Qcow2Rescue *rescue, const uint8_t *bytes, size_t size)
{
    g_autoptr(BlockSource) copy = NULL;
    g_autoptr(Qcow2Image) image = NULL;
    g_autoptr(GError) error = NULL;

    if (rescue->length > ROOM) {
        return;
    }
    copy = block_source_new_writable_memory(bytes, size, ROOM);
    qcow2_rescue_write(rescue, copy, &error);
    g_assert_no_error(error);
    image = qcow2_open(copy, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(image);
}

static void rescue(const uint8_t *bytes, size_t size, BlockSource *metadata)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, size);
    Qcow2RescueInput in = {.source = source, .metadata = metadata, .options = {.workers = 1}};
    Qcow2Rescue rescue = {0};
    g_autoptr(GError) error = NULL;
    bool ok;

    limits_begin();
    ok = qcow2_rescue_plan(&in, &rescue, &error);
    limits_end("a rescue");
    g_assert_true(ok || error);
    if (ok) {
        check_map(rescue.result);
        check_image(&rescue, bytes, size);
    }
    qcow2_rescue_clear(&rescue);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    g_autofree uint8_t *damaged = g_malloc(size + 1);
    g_autoptr(BlockSource) metadata = block_source_new_memory(bytes, size);

    if (size) {
        memcpy(damaged, bytes, size);
        lose(damaged, size, bytes[size - 1]);
        rescue(damaged, size, NULL);
        rescue(damaged, size, metadata);
    }
    return 0;
}
