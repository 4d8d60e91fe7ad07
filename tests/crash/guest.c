/*
 * What a guest reads from a qcow2 image: see guest.h. The numbers are those of the format's description.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#include <string.h>

/* What stands for a cluster that has no bytes to make a digest of. Zeros have the digest 0. */
enum { ZEROS = 0, UNREADABLE = 1, BACKING = 2, OVERLAPPED = 3, UNMAPPED = 4, FIRST_DIGEST = 16 };

#define OFFSET_MASK      UINT64_C(0x00fffffffffffe00)
#define REFTABLE_MASK    UINT64_C(0xfffffffffffffe00)
#define COPIED           (UINT64_C(1) << 63)
#define COMPRESSED       (UINT64_C(1) << 62)
#define MAX_L1_BYTES     (UINT64_C(32) << 20)
#define MAX_SNAPSHOTS    65536u
#define MAX_EXTRA        1024u
#define OVERLAPPED_CLAIM UINT64_MAX

/* What claims a cluster; the same offset may be said to be that of several. In the upper bits of a claim. */
typedef enum Claimant {
    HEADER = 1,
    REFTABLE,
    REFBLOCK,
    L1_TABLE,
    L2_TABLE,
    SNAPSHOT_TABLE,
    ENCRYPTION,
    BITMAPS
} Claimant;

typedef struct Table {
    uint64_t what;      /* of all clusters; FIRST_DIGEST: */
    uint64_t *contents; /* of each; the view's, as other trees may have the same table */
} Table;

typedef struct Tree {
    char *name;
    bool unreadable;
    uint64_t n;
    Table *tables;
    uint64_t whole; /* digest of a bitmap, which has no tables here */
} Tree;

struct GuestView {
    uint64_t cluster_size;
    uint64_t entries; /* of an L2 table */
    uint64_t size;    /* of the disk */
    uint64_t unallocated;
    bool cut;           /* there is more in the snapshot table, which cannot be read */
    GArray *trees;      /* of Tree */
    GHashTable *tables; /* offset to contents */
};

typedef struct Image {
    const uint8_t *bytes;
    uint64_t length;
    unsigned cluster_bits;
    bool extended, data_file, luks;
    uint64_t unallocated; /* what an unallocated cluster reads as */
    GHashTable *claims;   /* cluster to the structure that lies there */
    uint8_t *cluster;     /* room for one */
} Image;

/* ---- bytes ---- */

/* What lies beyond the end is zeros. */
static void get(const Image *image, uint64_t offset, void *to, uint64_t size)
{
    uint64_t there = offset < image->length ? MIN(size, image->length - offset) : 0;

    memcpy(to, image->bytes + offset, there);
    memset((char *)to + there, 0, size - there);
}

static uint64_t get64(const Image *image, uint64_t offset)
{
    uint64_t value;

    if (offset < image->length && image->length - offset >= sizeof(value)) {
        memcpy(&value, image->bytes + offset, sizeof(value)); /* of a known size, which takes a sanitizer a tenth */
    } else {
        get(image, offset, &value, sizeof(value));
    }
    return GUINT64_FROM_BE(value);
}

static uint32_t get32(const Image *image, uint64_t offset)
{
    uint32_t value;

    get(image, offset, &value, sizeof(value));
    return GUINT32_FROM_BE(value);
}

static unsigned get16(const Image *image, uint64_t offset)
{
    return get32(image, offset) >> 16;
}

static uint64_t mixed(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

uint64_t guest_digest(uint64_t seed, const uint8_t *bytes, uint64_t size)
{
    uint64_t hash = seed ^ size, any = 0, word, i = 0;

    for (; size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        any |= word;
        hash = mixed(hash, word);
    }
    if (i < size) {
        word = 0;
        memcpy(&word, bytes + i, size - i);
        any |= word;
        hash = mixed(hash, word);
    }
    return any == 0 && seed == 0 ? ZEROS : MAX(hash, FIRST_DIGEST);
}

static uint64_t digest_at(const Image *image, uint64_t seed, uint64_t offset, uint64_t size)
{
    if (offset < image->length && image->length - offset >= size) {
        return guest_digest(seed, image->bytes + offset, size);
    }
    get(image, offset, image->cluster, size);
    return guest_digest(seed, image->cluster, size);
}

/* ---- structures ---- */

/* Notes that a structure lies at @offset; @size is bounded by the file. */
static void claim(const Image *image, Claimant claimant, uint64_t offset, uint64_t size)
{
    uint64_t end = offset < image->length ? offset + MIN(size, image->length - offset) : 0;
    uint64_t what = (uint64_t)claimant << 60 | offset; /* no offset inside of the file has such bits */

    for (uint64_t c = offset >> image->cluster_bits; c << image->cluster_bits < end; c++) {
        uint64_t *there = g_hash_table_lookup(image->claims, &c);

        if (there) {
            *there = *there == what ? what : OVERLAPPED_CLAIM;
        } else {
            g_hash_table_insert(image->claims, g_memdup2(&c, sizeof(c)), g_memdup2(&what, sizeof(what)));
        }
    }
}

static uint64_t claim_at(const Image *image, uint64_t offset)
{
    uint64_t c = offset >> image->cluster_bits;
    const uint64_t *there = g_hash_table_lookup(image->claims, &c);

    return there ? *there : 0;
}

static bool any_overlapped(const Image *image, uint64_t offset, uint64_t size)
{
    for (uint64_t at = offset; at < offset + size && at < image->length; at += UINT64_C(1) << image->cluster_bits) {
        if (claim_at(image, at) == OVERLAPPED_CLAIM) {
            return true;
        }
    }
    return false;
}

static bool aligned(const Image *image, uint64_t offset)
{
    return (offset & ((UINT64_C(1) << image->cluster_bits) - 1)) == 0;
}

static void claim_refcounts(const Image *image)
{
    uint64_t table = get64(image, 48), size = (uint64_t)get32(image, 56) << image->cluster_bits;

    claim(image, REFTABLE, table, size);
    for (uint64_t i = 0; i < size && table + i < image->length; i += 8) {
        uint64_t block = get64(image, table + i) & REFTABLE_MASK;

        if (block != 0) {
            claim(image, REFBLOCK, block, UINT64_C(1) << image->cluster_bits);
        }
    }
}

/* Entries of an L1 table that the file can have. */
static uint64_t l1_there(const Image *image, uint64_t offset, uint64_t entries)
{
    return offset < image->length ? MIN(entries, (image->length - offset + 7) / 8) : 0;
}

static void claim_tree(const Image *image, uint64_t offset, uint64_t entries)
{
    claim(image, L1_TABLE, offset, entries * 8);
    for (uint64_t i = 0; i < l1_there(image, offset, entries); i++) {
        uint64_t table = get64(image, offset + i * 8) & OFFSET_MASK;

        if (table != 0) {
            claim(image, L2_TABLE, table, UINT64_C(1) << image->cluster_bits);
        }
    }
}

/* ---- trees ---- */

static uint64_t compressed_content(const Image *image, uint64_t entry)
{
    unsigned shift = 62 - (image->cluster_bits - 8);
    uint64_t offset = entry & ((UINT64_C(1) << shift) - 1);
    uint64_t sectors = ((entry & (COMPRESSED - 1)) >> shift) + 1;
    uint64_t size = MIN(sectors * 512 - offset % 512, UINT64_C(2) << image->cluster_bits);

    return digest_at(image, 1, offset, size);
}

/* One digest of all subclusters, each with what kind it is. */
static uint64_t subclusters_content(const Image *image, uint64_t offset, uint64_t bitmap)
{
    uint64_t size = UINT64_C(1) << image->cluster_bits >> 5;
    uint64_t parts[32];
    bool all_zeros = true, all_unallocated = true;

    if ((bitmap & (bitmap >> 32) & 0xffffffff) != 0 || (offset == 0 && (uint32_t)bitmap != 0 && !image->data_file)) {
        return UNREADABLE;
    }
    for (unsigned i = 0; i < 32; i++) {
        parts[i] = image->unallocated;
        if (bitmap >> (32 + i) & 1) {
            parts[i] = ZEROS;
        } else if (bitmap >> i & 1) {
            parts[i] = image->data_file ? MAX(offset, FIRST_DIGEST) : digest_at(image, 0, offset + i * size, size);
        }
        all_zeros &= parts[i] == ZEROS;
        all_unallocated &= parts[i] == image->unallocated;
    }
    if (all_zeros || all_unallocated) {
        return all_zeros ? ZEROS : image->unallocated;
    }
    return guest_digest(2, (const uint8_t *)parts, sizeof(parts));
}

static uint64_t cluster_content(const Image *image, uint64_t entry, uint64_t bitmap)
{
    uint64_t offset = entry & OFFSET_MASK;
    uint64_t size = UINT64_C(1) << image->cluster_bits;

    if (entry & COMPRESSED) {
        return image->data_file ? UNREADABLE : compressed_content(image, entry);
    }
    if (!aligned(image, offset)) {
        return UNREADABLE;
    }
    if (image->extended) {
        return subclusters_content(image, offset, bitmap);
    }
    if ((entry & 1) && get32(image, 4) >= 3) {
        return ZEROS;
    }
    if (offset == 0 && !(image->data_file && (entry & COPIED))) {
        return image->unallocated;
    }
    /* in a data file the same place has the same bytes; with LUKS what is read depends on the place too */
    return image->data_file ? MAX(offset, FIRST_DIGEST) : digest_at(image, image->luks ? offset : 0, offset, size);
}

static uint64_t *read_contents(const Image *image, const GuestView *view, uint64_t offset)
{
    unsigned entry_size = image->extended ? 16 : 8;
    uint64_t *contents = g_hash_table_lookup(view->tables, &offset);

    if (contents) {
        return contents;
    }
    contents = g_new(uint64_t, view->entries);
    for (uint64_t i = 0; i < view->entries; i++) {
        uint64_t entry = get64(image, offset + i * entry_size);
        uint64_t bitmap = image->extended ? get64(image, offset + i * entry_size + 8) : 0;

        contents[i] = (entry | bitmap) ? cluster_content(image, entry, bitmap) : image->unallocated;
    }
    g_hash_table_insert(view->tables, g_memdup2(&offset, sizeof(offset)), contents);
    return contents;
}

static void read_table(const Image *image, const GuestView *view, uint64_t offset, Table *table)
{
    if (offset == 0) {
        table->what = image->unallocated;
    } else if (!aligned(image, offset)) {
        table->what = UNREADABLE;
    } else if (claim_at(image, offset) == OVERLAPPED_CLAIM) {
        table->what = OVERLAPPED;
    } else {
        table->what = FIRST_DIGEST;
        table->contents = read_contents(image, view, offset);
    }
}

static void read_tree(const Image *image, GuestView *view, char *name, uint64_t offset, uint64_t entries)
{
    Tree tree = {.name = name, .n = l1_there(image, offset, entries)};

    tree.unreadable =
        !aligned(image, offset) || entries * 8 > MAX_L1_BYTES || any_overlapped(image, offset, entries * 8);
    tree.tables = g_new0(Table, tree.n);
    for (uint64_t i = 0; i < tree.n && !tree.unreadable; i++) {
        read_table(image, view, get64(image, offset + i * 8) & OFFSET_MASK, &tree.tables[i]);
    }
    g_array_append_val(view->trees, tree);
}

/* Goes through the snapshots: claims what they have, or, with @view, reads them. */
static void each_snapshot(const Image *image, GuestView *view)
{
    uint64_t offset = get64(image, 64), start = offset;
    uint32_t n = MIN(get32(image, 60), MAX_SNAPSHOTS);

    for (uint32_t i = 0; i < n && offset < image->length; i++) {
        uint64_t l1 = get64(image, offset), entries = get32(image, offset + 8);
        unsigned id_size = get16(image, offset + 12), name_size = get16(image, offset + 14);
        uint64_t extra = get32(image, offset + 36), names = offset + 40 + extra;

        if (extra > MAX_EXTRA || names + id_size + name_size > image->length) {
            if (view) {
                view->cut = true;
            }
            break; /* what follows cannot be found */
        }
        if (view) {
            read_tree(image, view, g_strndup((const char *)image->bytes + names, id_size + name_size), l1, entries);
        } else {
            claim_tree(image, l1, entries);
        }
        offset = (names + id_size + name_size + 7) & ~UINT64_C(7);
    }
    if (!view && n > 0) {
        claim(image, SNAPSHOT_TABLE, start, offset - start);
    }
}

/* ---- bitmaps ---- */

static void claim_bitmap(const Image *image, uint64_t table, uint32_t entries)
{
    claim(image, BITMAPS, table, entries * UINT64_C(8));
    for (uint64_t at = table; at < image->length && at < table + entries * UINT64_C(8); at += 8) {
        uint64_t offset = get64(image, at) & OFFSET_MASK;

        if (offset != 0) {
            claim(image, BITMAPS, offset, UINT64_C(1) << image->cluster_bits);
        }
    }
}

static uint64_t bitmap_content(const Image *image, uint64_t table, uint32_t entries)
{
    uint64_t size = UINT64_C(1) << image->cluster_bits, whole = FIRST_DIGEST;

    for (uint32_t i = 0; i < entries && table + i * UINT64_C(8) < image->length; i++) {
        uint64_t entry = get64(image, table + i * UINT64_C(8)), offset = entry & OFFSET_MASK;
        uint64_t pair[2] = {entry, offset ? digest_at(image, 0, offset, size) : 0};

        whole = guest_digest(whole, (const uint8_t *)pair, sizeof(pair));
    }
    return whole;
}

/* The bitmaps of the directory at @offset: claims what they have, or, with @view, reads them, each by name. */
static void each_bitmap(const Image *image, GuestView *view, uint64_t offset, uint32_t n)
{
    uint64_t start = offset;

    for (uint32_t i = 0; i < n && offset < image->length; i++) {
        unsigned name_size = get16(image, offset + 18);
        uint64_t names = offset + 24 + get32(image, offset + 20);
        uint64_t table = get64(image, offset);
        uint32_t entries = get32(image, offset + 8);
        Tree tree = {0};

        if (names + name_size > image->length) {
            break;
        }
        if (view) {
            tree.name = g_strdup_printf("bitmap %.*s", (int)name_size, (const char *)image->bytes + names);
            tree.whole = bitmap_content(image, table, entries);
            g_array_append_val(view->trees, tree);
        } else {
            claim_bitmap(image, table, entries);
        }
        offset = (names + name_size + 7) & ~UINT64_C(7);
    }
    if (!view) {
        claim(image, BITMAPS, start, offset - start);
    }
}

/* What the extensions of the header name: claims it, or, with @view, reads it. Bitmaps are valid if the header says so.
 */
static void each_extension(const Image *image, GuestView *view)
{
    uint64_t at = get32(image, 100), end = UINT64_C(1) << image->cluster_bits;
    bool bitmaps = get64(image, 88) & 1;

    while (get32(image, 4) >= 3 && at + 8 <= end && get32(image, at) != 0) {
        if (get32(image, at) == 0x23852875 && get32(image, at + 4) == 24 && bitmaps) {
            each_bitmap(image, view, get64(image, at + 24), get32(image, at + 8));
        }
        if (get32(image, at) == 0x0537be77 && get32(image, at + 4) == 16 && !view) {
            claim(image, ENCRYPTION, get64(image, at + 8), get64(image, at + 16));
        }
        at += 8 + ((get32(image, at + 4) + UINT64_C(7)) & ~UINT64_C(7));
    }
}

static bool read_header(Image *image)
{
    uint64_t incompatible;

    if (image->length < 72 || memcmp(image->bytes, "QFI\xfb", 4) != 0 || get32(image, 4) < 2 || get32(image, 4) > 3) {
        return false;
    }
    image->cluster_bits = get32(image, 20);
    if (image->cluster_bits < 9 || image->cluster_bits > 21) {
        return false;
    }
    incompatible = get32(image, 4) >= 3 ? get64(image, 72) : 0;
    image->data_file = incompatible & 4;
    image->extended = incompatible & 16;
    image->luks = get32(image, 32) == 2;
    image->unallocated = get64(image, 8) != 0 ? BACKING : ZEROS;
    return true;
}

GuestView *guest_view_new(const uint8_t *bytes, uint64_t length, bool mapped_only)
{
    Image image = {.bytes = bytes, .length = length};
    GuestView *view;

    if (!read_header(&image)) {
        return NULL;
    }
    image.unallocated = mapped_only ? UNMAPPED : image.unallocated;
    image.claims = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    image.cluster = g_malloc(UINT64_C(2) << image.cluster_bits);
    view = g_new0(GuestView, 1);
    view->cluster_size = UINT64_C(1) << image.cluster_bits;
    view->entries = view->cluster_size / (image.extended ? 16 : 8);
    view->size = get64(&image, 24);
    view->unallocated = image.unallocated;
    view->trees = g_array_new(false, false, sizeof(Tree));
    view->tables = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);

    claim(&image, HEADER, 0, view->cluster_size);
    claim_refcounts(&image);
    claim_tree(&image, get64(&image, 40), get32(&image, 36));
    each_snapshot(&image, NULL);
    each_extension(&image, NULL);
    read_tree(&image, view, g_strdup("the active disk"), get64(&image, 40), get32(&image, 36));
    each_snapshot(&image, view);
    each_extension(&image, view);

    g_hash_table_unref(image.claims);
    g_free(image.cluster);
    return view;
}

void guest_view_free(GuestView *view)
{
    if (!view) {
        return;
    }
    for (guint t = 0; t < view->trees->len; t++) {
        Tree *tree = &g_array_index(view->trees, Tree, t);

        g_free(tree->tables);
        g_free(tree->name);
    }
    g_array_unref(view->trees);
    g_hash_table_unref(view->tables);
    g_free(view);
}

/* ---- comparing ---- */

static uint64_t content_of(const Tree *tree, uint64_t table, uint64_t index, uint64_t beyond)
{
    if (table >= tree->n) {
        return beyond;
    }
    return tree->tables[table].contents ? tree->tables[table].contents[index] : tree->tables[table].what;
}

uint64_t guest_view_readable(const GuestView *view)
{
    uint64_t n = 0;

    for (guint t = 0; t < view->trees->len; t++) {
        const Tree *tree = &g_array_index(view->trees, Tree, t);

        for (uint64_t i = 0; i < tree->n; i++) {
            for (uint64_t j = 0; tree->tables[i].contents && j < view->entries; j++) {
                n += tree->tables[i].contents[j] >= FIRST_DIGEST;
            }
        }
    }
    return n;
}

static const Tree *find_tree(const GuestView *view, const char *name)
{
    for (guint t = 0; t < view->trees->len; t++) {
        const Tree *tree = &g_array_index(view->trees, Tree, t);

        if (g_str_equal(tree->name, name)) {
            return tree;
        }
    }
    return NULL;
}

/* Where both have the same table for all clusters, there is nothing to compare. */
static bool same_tables(const GuestView *view, const Tree *before, const Tree *after, uint64_t i, char **difference)
{
    uint64_t n = (i >= before->n || !before->tables[i].contents) && (i >= after->n || !after->tables[i].contents)
                     ? 1
                     : view->entries;

    for (uint64_t j = 0; j < n; j++) {
        uint64_t was = content_of(before, i, j, view->unallocated), is = content_of(after, i, j, view->unallocated);

        /* that the table lies on a structure was not known where the structure was not */
        if (was != is && was != UNREADABLE && was != UNMAPPED && was != OVERLAPPED &&
            !(is == OVERLAPPED && view->cut)) {
            *difference = g_strdup_printf("%s, guest offset 0x%" G_GINT64_MODIFIER "x: %s", before->name,
                                          (i * view->entries + j) * view->cluster_size,
                                          is == UNREADABLE ? "cannot be read any more" : "reads otherwise");
            return false;
        }
    }
    return true;
}

bool guest_view_same(const GuestView *before, const GuestView *after, char **difference)
{
    if (!after || after->cluster_size != before->cluster_size || after->size != before->size) {
        *difference = g_strdup("the header is another one");
        return false;
    }
    for (guint t = 0; t < before->trees->len; t++) {
        const Tree *was = &g_array_index(before->trees, Tree, t);
        const Tree *is = find_tree(after, was->name);

        if (was->unreadable || find_tree(before, was->name) != was) {
            continue; /* of two with the same name, the first is compared */
        }
        if (!is || is->unreadable || is->whole != was->whole) {
            *difference = g_strdup_printf("%s: is %s", was->name, !is || is->unreadable ? "gone" : "another one");
            return false;
        }
        for (uint64_t i = 0; i < MAX(was->n, is->n); i++) {
            if (!same_tables(before, was, is, i, difference)) {
                return false;
            }
        }
    }
    return true;
}
