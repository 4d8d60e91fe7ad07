/*
 * An undo file for an image of IMAGE_LENGTH bytes, as --rollback gets it.
 *
 * The image is tried as it was before the repair, and with all the new bytes that the file has. Where the rollback is
 * refused, the image stays as it is; else it has the old bytes, and a second rollback finds nothing to do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "block/undo/rollback.h"
#include "block/undo/verify.h"
#include "fuzz.h"
#include "output.h"
#include "undo-image.h"

#define MOST_BYTES ((size_t)1 << 20) /* that the image may grow to; it is full then */

static bool roll_back(BlockSource *file, BlockSource *image, Output *said)
{
    FILE *say = output_begin(said);
    g_autoptr(GError) error = NULL;
    bool done;

    limits_begin();
    done = undo_rollback_from(file, "u\x1b[1m", image, say, &error);
    limits_end("a rollback");
    if (error) {
        fprintf(say, "%s\n", error->message);
    }
    fclose(say);
    output_is_printable(said);
    g_assert_true(done == !error);
    return done;
}

/* Whether the file is one that gets so far as to change the image; what it says of it is right then. */
static bool is_accepted(BlockSource *file, BlockSource *image)
{
    g_auto(UndoContents) contents = {0};
    g_autoptr(GArray) differences = g_array_new(FALSE, FALSE, sizeof(UndoDifference));

    return undo_contents_read(&contents, file, NULL) && undo_verify(&contents, file, image, differences, NULL);
}

static void try_with(BlockSource *file, BlockSource *image)
{
    size_t length = image->length;
    g_autofree uint8_t *before = g_memdup2(block_source_memory_bytes(image), length);
    bool accepted = is_accepted(file, image);
    Output said;

    if (!roll_back(file, image, &said)) {
        if (!accepted) {
            g_assert_cmpmem(block_source_memory_bytes(image), (int)image->length, before, (int)length);
        }
        return;
    }
    g_assert_true(accepted);
    g_free(before);
    length = image->length;
    before = g_memdup2(block_source_memory_bytes(image), length);
    g_assert_true(roll_back(file, image, &said));
    g_assert_cmpmem(block_source_memory_bytes(image), (int)image->length, before, (int)length);
}

/* The image as the repair was to leave it. */
static void write_new_bytes(BlockSource *file, BlockSource *image)
{
    g_auto(UndoContents) contents = {0};

    if (!undo_contents_read(&contents, file, NULL)) {
        return;
    }
    for (guint i = 0; i < contents.ranges->len; i++) {
        const UndoRange *range = &g_array_index(contents.ranges, UndoRange, i);
        g_autofree uint8_t *bytes = range->has_new ? g_malloc(range->size) : NULL;

        if (bytes && block_source_read(file, bytes, range->size, range->position + range->old_size) == 0) {
            block_source_write(image, bytes, range->size, range->offset);
        }
    }
    block_source_truncate(image, MIN(contents.new_length, MOST_BYTES));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t original[IMAGE_LENGTH];
    g_autoptr(BlockSource) file = block_source_new_memory(bytes, size);
    g_autoptr(BlockSource) untouched = NULL, repaired = NULL;

    undo_image(original);
    untouched = block_source_new_writable_memory(original, sizeof(original), MOST_BYTES);
    try_with(file, untouched);
    repaired = block_source_new_writable_memory(original, sizeof(original), MOST_BYTES);
    write_new_bytes(file, repaired);
    try_with(file, repaired);
    return 0;
}
