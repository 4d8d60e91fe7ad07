/*
 * Bitmaps whose bits are not to be trusted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/bitmaps.h"

#include "block/qcow2/format/format.h"

#define MAX_LOOKS (UINT64_C(4) << 20) /* at entries of tables: bitmaps may claim the same table thousands of times */

static void add_note(Qcow2Check *c, ImageCheckFindingKind kind, const Qcow2Bitmap *bitmap, Qcow2Location location)
{
    location.bitmap = bitmap->name;
    if (c->options->findings) {
        qcow2_collector_add(c->collector, &(Qcow2Finding){kind, .texts = {bitmap->name}, .location = location});
    }
}

/* Returns true if the cluster at @offset has more users than the bitmap. */
static bool is_shared(const Qcow2Check *c, uint64_t offset)
{
    uint64_t cluster = offset >> c->image->header.cluster_bits;

    return offset && cluster < refmap_clusters(c->counting.refs) && refmap_get(c->counting.refs, cluster) > 1;
}

/* Finds the next entry from *@index on whose cluster is shared, and sets *@offset to that. False where there is none.
 */
static bool next_shared(const Qcow2Check *c, const Qcow2Bitmap *bitmap, uint64_t *index, uint64_t *offset,
                        uint64_t *left)
{
    uint64_t n;
    const uint64_t *entries;

    while (*left && (n = qcow2_tables_part(c->regions.bitmap_tables, bitmap->table_offset, bitmap->table_size, index,
                                           &entries))) {
        for (uint64_t i = 0; i < n && *left; i++, --*left) {
            *offset = entries[i] & QCOW2_OFFSET_MASK;
            if (is_shared(c, *offset) && !qcow2_bitmap_table_entry_fault(entries[i], &c->image->header)) {
                *index += i;
                return true;
            }
        }
        *index += n;
    }
    return false;
}

bool qcow2_bitmap_bits_shared(const Qcow2Check *c, const Qcow2Bitmap *bitmap, uint64_t *examined)
{
    uint64_t index = 0, offset, left = MAX_LOOKS - MIN(*examined, MAX_LOOKS);
    bool shared = bitmap->table_valid && next_shared(c, bitmap, &index, &offset, &left);

    *examined = MAX_LOOKS - left;
    return shared;
}

static bool look_at_table(Qcow2Check *c, const Qcow2Bitmap *bitmap, uint64_t *left)
{
    uint64_t offset, index = 0;
    bool found = false;

    for (; next_shared(c, bitmap, &index, &offset, left); index++) {
        found = true;
        add_note(c, QCOW2_FINDING_BITMAP_DATA_SHARED, bitmap,
                 qcow2_location(IMAGE_CHECK_STRUCTURE_BITMAP_TABLE, bitmap->table_offset + index * 8, offset,
                                c->image->header.cluster_size));
    }
    return found;
}

bool qcow2_find_doubtful_bitmaps(Qcow2Check *c)
{
    uint64_t left = MAX_LOOKS;
    bool found = false;

    for (guint i = 0; c->bitmaps.items && i < c->bitmaps.items->len; i++) {
        const Qcow2Bitmap *bitmap = &g_array_index(c->bitmaps.items, Qcow2Bitmap, i);

        if (bitmap->in_use) {
            found = true;
            add_note(c, QCOW2_FINDING_BITMAP_IN_USE, bitmap,
                     qcow2_location(IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY,
                                    bitmap->entry_offset + offsetof(Qcow2DiskBitmapEntry, flags), 0, 0));
        }
        if (bitmap->table_valid) {
            found |= look_at_table(c, bitmap, &left);
        }
    }
    return found;
}

/* Returns true if the word that refers to @user is one of the directory entry, or of the table, of @b. */
static bool is_of(const Qcow2Bitmap *b, const Qcow2User *user)
{
    bool table = user->structure == IMAGE_CHECK_STRUCTURE_BITMAP_TABLE;
    uint64_t first = table ? b->entry_offset : b->table_offset;
    uint64_t size = table ? sizeof(Qcow2DiskBitmapEntry) : UINT64_C(8) * b->table_size;

    return b->table_valid && user->entry_offset >= first && user->entry_offset - first < size;
}

const char *qcow2_bitmap_name(const Qcow2Check *c, const Qcow2User *user, uint64_t *examined)
{
    if (user->structure != IMAGE_CHECK_STRUCTURE_BITMAP_TABLE && user->structure != IMAGE_CHECK_STRUCTURE_BITMAP_DATA) {
        return NULL;
    }
    for (guint i = 0; i < c->bitmaps.items->len && *examined < LIMIT_USERS_EXAMINED; i++, ++*examined) {
        const Qcow2Bitmap *b = &g_array_index(c->bitmaps.items, Qcow2Bitmap, i);

        if (is_of(b, user)) {
            return b->name;
        }
    }
    return NULL;
}
