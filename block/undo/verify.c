/*
 * Whether an image is one that a repair may have left: see block/undo/verify.h.
 *
 * Ranges may overlap. So the image is gone through in windows, and each is cut into segments at the edges of the ranges
 * and of the sectors. A segment must be as one of the ranges that cover it says it was or would be; or begin as one
 * says and end as another does, since a write that fails may have written a part.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/undo/verify.h"

#include <errno.h>
#include <string.h>

#include "util/number.h"
#include "util/search.h"

#define WINDOW (32u << 10) /* bytes, a multiple of the sector */

typedef struct Window {
    const UndoContents *contents;
    BlockSource *file;
    BlockSource *image;
    GArray *sorted;  /* of UndoRange, by offset */
    guint next;      /* the first of these that begins behind the window */
    GArray *active;  /* of UndoRange: those that touch the window */
    uint64_t offset; /* of the window in the image */

    /* for each byte of the window */
    char now[WINDOW];
    char then[WINDOW];
    bool cut[WINDOW + 1]; /* a segment begins here */
    bool covered[WINDOW];
    uint16_t head[WINDOW]; /* where a segment begins: so many of its first bytes are as one range says */
    uint16_t tail[WINDOW]; /* likewise, of its last bytes */
    bool differs[WINDOW];  /* from what it was */
} Window;

static bool read_source(BlockSource *source, const char *what, void *buffer, size_t size, uint64_t offset,
                        GError **errp)
{
    int failure = block_source_read(source, buffer, size, offset);

    if (failure != 0) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not read %zu bytes at offset %" PRIu64 " of the %s: %s", size,
                    offset, what, g_strerror(-failure));
    }
    return failure == 0;
}

static uint64_t range_end(const UndoRange *range)
{
    return range->offset + range->size;
}

/* Where the bytes end that the undo file has for the range; any content will do for the rest. */
static uint64_t bytes_end(const UndoRange *range)
{
    return range->offset + (range->has_new ? range->size : range->old_size);
}

static void drop_passed(Window *window, uint64_t end)
{
    for (guint i = window->active->len; i-- > 0;) {
        if (range_end(&g_array_index(window->active, UndoRange, i)) <= end) {
            g_array_remove_index_fast(window->active, i);
        }
    }
}

/* A range may be of any size where the undo file has no bytes for it, so that alone is no reason for a window. */
static bool has_bytes_behind(const Window *window, uint64_t offset)
{
    for (guint i = 0; i < window->active->len; i++) {
        if (bytes_end(&g_array_index(window->active, UndoRange, i)) > offset) {
            return true;
        }
    }
    return false;
}

/* Goes on to the next window that has bytes to compare in it; false when there is none. */
static bool window_next(Window *window)
{
    const UndoRange *range;

    drop_passed(window, window->offset + WINDOW);
    if (has_bytes_behind(window, window->offset + WINDOW)) {
        window->offset += WINDOW;
    } else if (window->next < window->sorted->len) {
        range = &g_array_index(window->sorted, UndoRange, window->next);
        window->offset = range->offset - range->offset % WINDOW;
    } else {
        return false;
    }
    for (; window->next < window->sorted->len; window->next++) {
        range = &g_array_index(window->sorted, UndoRange, window->next);
        if (range->offset >= window->offset + WINDOW) {
            break;
        }
        g_array_append_val(window->active, *range);
    }
    return true;
}

/* The part of @range that is in the window, from @a to before @b, counted from the start of the window. */
static void part_of(const Window *window, const UndoRange *range, size_t *a, size_t *b)
{
    uint64_t end = range_end(range);

    *a = range->offset > window->offset ? MIN(range->offset - window->offset, WINDOW) : 0;
    *b = end > window->offset ? MIN(end - window->offset, WINDOW) : 0;
    *b = MAX(*a, *b);
}

static void mark_segments(Window *window)
{
    uint64_t old_length = window->contents->old_length;

    memset(window->cut, 0, sizeof(window->cut));
    memset(window->covered, 0, sizeof(window->covered));
    memset(window->head, 0, sizeof(window->head));
    memset(window->tail, 0, sizeof(window->tail));
    memset(window->differs, 0, sizeof(window->differs));
    for (size_t i = 0; i <= WINDOW; i += UNDO_SECTOR) {
        window->cut[i] = true;
    }
    /* a rollback writes up to there, whatever is behind */
    if (old_length >= window->offset && old_length - window->offset < WINDOW) {
        window->cut[old_length - window->offset] = true;
    }
    for (guint i = 0; i < window->active->len; i++) {
        size_t a, b;

        part_of(window, &g_array_index(window->active, UndoRange, i), &a, &b);
        window->cut[a] = window->cut[b] = true;
        memset(window->covered + a, true, b - a);
    }
}

static size_t segment_end(const Window *window, size_t start)
{
    size_t end = start + 1;

    while (!window->cut[end]) {
        end++;
    }
    return end;
}

/* Compares the segments from @a to @b with @then; or, if any content will do, not. */
static void compare_segments(Window *window, size_t a, size_t b, bool any)
{
    for (size_t end; a < b; a = end) {
        size_t head = 0, tail = 0;

        end = segment_end(window, a);
        while (head < end - a && (any || window->now[a + head] == window->then[a + head])) {
            head++;
        }
        while (head < end - a && window->now[end - 1 - tail] == window->then[end - 1 - tail]) {
            tail++;
        }
        window->head[a] = (uint16_t)MAX(window->head[a], head);
        window->tail[a] = (uint16_t)MAX(window->tail[a], tail);
    }
}

/* What the image had below its old end, and zeros behind it: it may have been made longer, and not yet written to. */
static bool load_old(Window *window, const UndoRange *range, size_t a, size_t b, GError **errp)
{
    uint64_t skip = window->offset + a - range->offset;
    size_t stored = skip < range->old_size ? MIN(b - a, range->old_size - skip) : 0;

    memset(window->then + a + stored, 0, b - a - stored);
    return read_source(window->file, "undo file", window->then + a, stored, range->position + skip, errp);
}

static void note_differing(Window *window, size_t a, size_t b)
{
    uint64_t old_length = window->contents->old_length;

    b = MIN(b, old_length > window->offset ? old_length - window->offset : 0);
    for (size_t i = a; i < b; i++) {
        window->differs[i] = window->now[i] != window->then[i];
    }
}

static bool examine_range(Window *window, const UndoRange *range, GError **errp)
{
    size_t a, b;

    part_of(window, range, &a, &b);
    if (!load_old(window, range, a, b, errp)) {
        return false;
    }
    compare_segments(window, a, b, !range->has_new);
    note_differing(window, a, b);
    if (!range->has_new) {
        return true;
    }
    if (!read_source(window->file, "undo file", window->then + a, b - a,
                     range->position + range->old_size + (window->offset + a - range->offset), errp)) {
        return false;
    }
    compare_segments(window, a, b, false);
    return true;
}

static void collect_differences(const Window *window, GArray *differences)
{
    UndoDifference *last = differences->len ? &g_array_index(differences, UndoDifference, differences->len - 1) : NULL;

    for (size_t i = 0; i < WINDOW; i++) {
        if (!window->differs[i]) {
            continue;
        }
        if (!last || last->offset + last->size != window->offset + i) {
            g_array_append_val(differences, ((UndoDifference){.offset = window->offset + i}));
            last = &g_array_index(differences, UndoDifference, differences->len - 1);
        }
        last->size++;
    }
}

static bool judge_segments(const Window *window, GError **errp)
{
    for (size_t i = 0, end; i < WINDOW; i = end) {
        end = segment_end(window, i);
        if (window->covered[i] && window->head[i] + window->tail[i] < (int)(end - i)) {
            g_set_error(errp, BLOCK_ERROR, EINVAL,
                        "At offset %" PRIu64 " the image is neither as it was before the repair nor as the repair left "
                        "it: it was changed since, or it is another image",
                        window->offset + i + window->head[i]);
            return false;
        }
    }
    return true;
}

static bool examine_window(Window *window, GArray *differences, GError **errp)
{
    mark_segments(window);
    if (!read_source(window->image, "image", window->now, WINDOW, window->offset, errp)) {
        return false;
    }
    for (guint i = 0; i < window->active->len; i++) {
        if (!examine_range(window, &g_array_index(window->active, UndoRange, i), errp)) {
            return false;
        }
    }
    collect_differences(window, differences);
    return judge_segments(window, errp);
}

static bool verify_ranges(const UndoContents *contents, BlockSource *file, BlockSource *image, GArray *differences,
                          GError **errp)
{
    g_autofree Window *window = g_new0(Window, 1);
    g_autoptr(GArray) sorted = g_array_copy(contents->ranges);
    g_autoptr(GArray) active = g_array_new(false, false, sizeof(UndoRange));

    window->contents = contents;
    window->file = file;
    window->image = image;
    window->sorted = sorted;
    window->active = active;
    ARRAY_SORT(sorted, UndoRange, offset);
    while (window_next(window)) {
        if (!examine_window(window, differences, errp)) {
            return false;
        }
    }
    return true;
}

/* Puts the old bytes of @range over @start, which has @size bytes of the image from its beginning. */
static bool overlay(const UndoRange *range, BlockSource *file, char *start, size_t size, GError **errp)
{
    if (range->offset >= size) {
        return true;
    }
    return read_source(file, "undo file", start + range->offset, MIN(range->old_size, size - range->offset),
                       range->position, errp);
}

/* Compares the digest of the beginning of the image, as it would be after the rollback. */
static bool verify_identity(const UndoContents *contents, BlockSource *file, BlockSource *image, GError **errp)
{
    size_t size = MIN(contents->old_length, UNDO_IDENTITY_SIZE);
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t digest[UNDO_DIGEST_SIZE];
    gsize digest_size = sizeof(digest);
    char start[UNDO_IDENTITY_SIZE];

    if (!read_source(image, "image", start, size, 0, errp)) {
        return false;
    }
    for (guint i = contents->ranges->len; i-- > 0;) {
        if (!overlay(&g_array_index(contents->ranges, UndoRange, i), file, start, size, errp)) {
            return false;
        }
    }
    g_checksum_update(checksum, (const guchar *)start, size);
    g_checksum_get_digest(checksum, digest, &digest_size);
    if (memcmp(digest, contents->identity, sizeof(digest)) != 0) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL,
                            "It belongs to another image, or the header of the image was changed since the repair");
        return false;
    }
    return true;
}

static bool verify_length(const UndoContents *contents, const BlockSource *image, GError **errp)
{
    uint64_t least = MIN(contents->old_length, contents->new_length);
    uint64_t most = MAX(contents->old_length, contents->new_length);

    if (image->length < least || image->length > most) {
        g_set_error(errp, BLOCK_ERROR, EINVAL,
                    "The image has %" PRIu64 " bytes, but had %" PRIu64 " before the repair and %" PRIu64
                    " after it: it was changed since, or it is another image",
                    image->length, contents->old_length, contents->new_length);
        return false;
    }
    return true;
}

bool undo_verify(const UndoContents *contents, BlockSource *file, BlockSource *image, GArray *differences,
                 GError **errp)
{
    return verify_length(contents, image, errp) && verify_identity(contents, file, image, errp) &&
           verify_ranges(contents, file, image, differences, errp);
}
