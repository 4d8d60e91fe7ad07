/*
 * What makes a sound image of the source.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/build.h"

#include <string.h>

#include "util/number.h"

#define ZSTD_MAGIC       UINT32_C(0x28b52ffd) /* in the order of the file */
#define LUKS_PAYLOAD_AT  104                  /* in a LUKS header: where the payload would begin, in sectors */
#define MAX_LUKS_SECTORS (UINT32_C(1) << 16)

typedef struct Building {
    const Qcow2Found *found;
    const Qcow2Trees *trees;
    const Qcow2Survey *survey;
    Edits *edits;
    uint64_t *end;
    GPtrArray *notes;
} Building;

/* Adds @bytes, which now belong to the edits. */
static void add_edit(Building *b, uint64_t offset, uint8_t *bytes, uint64_t size, ImageCheckStructure structure)
{
    Edit edit = {.offset = offset, .size = size, .structure = structure, .bytes = bytes};

    edits_add(b->edits, EDIT_PHASE_FREE_SPACE, &edit);
}

/* Room for @size bytes, in whole clusters. */
static uint64_t take_room(Building *b, uint64_t size)
{
    uint64_t offset = *b->end;

    align_up_u64(size, qcow2_found_header(b->found)->cluster_size, &size);
    *b->end += size;
    return offset;
}

/* ---- L1 tables ---- */

static uint64_t build_l1(Building *b, uint32_t *n)
{
    const Qcow2HeaderFields *h = qcow2_found_header(b->found);
    uint64_t needed = MAX(1, DIV_ROUND_UP(b->trees->size, qcow2_table_reach(h))), offset;
    uint8_t *bytes;

    *n = (uint32_t)MAX(needed, b->trees->slots->len);
    g_assert(*n <= QCOW2_MAX_L1_ENTRIES);
    offset = take_room(b, UINT64_C(8) * *n);
    bytes = g_malloc0(UINT64_C(8) * *n);
    for (guint i = 0; i < b->trees->slots->len; i++) {
        store_be64(bytes + UINT64_C(8) * i, g_array_index(b->trees->slots, Qcow2Slot, i).table);
    }
    add_edit(b, offset, bytes, UINT64_C(8) * *n, IMAGE_CHECK_STRUCTURE_L1);
    return offset;
}

static void build_snapshot_l1(Building *b, guint i)
{
    const Qcow2SnapshotL1 *l1 = &g_array_index(b->trees->snapshots, Qcow2SnapshotL1, i);
    uint64_t offset = g_array_index(b->found->snapshots, Qcow2FoundSnapshot, i).l1_offset, size = UINT64_C(8) * l1->n;
    g_autofree uint8_t *now = g_malloc(MAX(size, 1)), *then = g_malloc(MAX(size, 1));

    if (!size || block_source_read(b->found->in->source, now, size, offset)) {
        return;
    }
    for (uint32_t k = 0; k < l1->n; k++) {
        uint64_t table = l1->entries[k] & QCOW2_OFFSET_MASK;

        store_be64(then + UINT64_C(8) * k,
                   table && qcow2_found_referent(b->found, table) != QCOW2_REFERENT_OTHER ? l1->entries[k] : 0);
    }
    if (memcmp(now, then, size) != 0) {
        add_edit(b, offset, g_steal_pointer(&then), size, IMAGE_CHECK_STRUCTURE_L1);
        g_ptr_array_add(b->notes, g_strdup("some L2 tables of snapshots are gone"));
    }
}

/* ---- the header ---- */

static bool is_zstd(const Building *b)
{
    uint8_t magic[4];

    return b->survey->first_compressed < UINT64_MAX &&
           !block_source_read(b->found->in->source, magic, sizeof(magic), b->survey->first_compressed) &&
           load_be32(magic) == ZSTD_MAGIC;
}

static void set_tables(Building *b, Qcow2DiskHeader *d)
{
    const Qcow2HeaderFields *h = qcow2_found_header(b->found), *r = &b->found->remains.header;
    uint64_t clusters = h->refcount_table_clusters, offset = h->refcount_table_offset;
    uint32_t l1_size;

    d->l1_table_offset = GUINT64_TO_BE(build_l1(b, &l1_size));
    d->l1_size = GUINT32_TO_BE(l1_size);
    if (!offset) { /* without blocks, which the repair makes */
        clusters = 1;
        offset = take_room(b, h->cluster_size);
        add_edit(b, offset, g_malloc0(h->cluster_size), h->cluster_size, IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE);
        g_ptr_array_add(b->notes, g_strdup("the refcount table was lost: tables that were given up before may look "
                                           "like those in use"));
    } else if (r->refcount_table_offset == offset && r->refcount_table_clusters > clusters &&
               r->refcount_table_clusters <= QCOW2_MAX_REFTABLE_BYTES / h->cluster_size &&
               offset + r->refcount_table_clusters * h->cluster_size <= b->found->in->source->length) {
        clusters = r->refcount_table_clusters;
    }
    d->refcount_table_offset = GUINT64_TO_BE(offset);
    d->refcount_table_clusters = GUINT32_TO_BE((uint32_t)clusters);
    d->nb_snapshots = GUINT32_TO_BE(b->found->snapshots->len);
    d->snapshots_offset = GUINT64_TO_BE(b->found->snapshots_offset);
}

/* The header whose names are believed; NULL: none. */
static const Qcow2Remains *believed(const Building *b)
{
    if (b->trees->header_sound) {
        return &b->found->remains;
    }
    return b->found->metadata_remains.is_qcow2 ? &b->found->metadata_remains : NULL;
}

/* Adds an extension at *@at, and moves *@at behind it. False if there is no room before @most. */
static bool add_extension(uint8_t *cluster, uint64_t *at, uint64_t most, uint32_t type, const void *payload,
                          uint32_t size)
{
    uint64_t padded = (size + UINT64_C(7)) & ~UINT64_C(7);

    if (*at + 8 + padded > most) {
        return false;
    }
    store_be32(cluster + *at, type);
    store_be32(cluster + *at + 4, size);
    if (size) {
        memcpy(cluster + *at + 8, payload, size);
    }
    *at += 8 + padded;
    return true;
}

/* The length of the LUKS header at @offset, in bytes; 0: it is none. */
static uint64_t luks_length(const Building *b, uint64_t offset)
{
    uint8_t header[QCOW2_SECTOR_SIZE];
    uint32_t sectors;

    if (!offset || block_source_read(b->found->in->source, header, sizeof(header), offset) ||
        memcmp(header, "LUKS\xba\xbe", 6) != 0) {
        return 0;
    }
    sectors = load_be32(header + LUKS_PAYLOAD_AT);
    return sectors <= MAX_LUKS_SECTORS ? sectors * (uint64_t)QCOW2_SECTOR_SIZE : 0;
}

static void set_encryption(Building *b, Qcow2DiskHeader *d, Qcow2DiskCryptExtension *crypt)
{
    const Qcow2Remains *r = believed(b);
    uint64_t offset = b->survey->luks, length = luks_length(b, offset);

    if (r && r->has_crypt_header && luks_length(b, r->crypt_offset)) {
        offset = r->crypt_offset;
        length = r->crypt_length;
    }
    if (r && r->header.crypt_method == QCOW2_CRYPT_AES && !length) {
        d->crypt_method = GUINT32_TO_BE(QCOW2_CRYPT_AES);
    } else if (length) {
        d->crypt_method = GUINT32_TO_BE(QCOW2_CRYPT_LUKS);
        *crypt = (Qcow2DiskCryptExtension){GUINT64_TO_BE(offset), GUINT64_TO_BE(length)};
    }
}

/* The backing file's name comes behind the extensions. */
static void put_names(Building *b, uint8_t *cluster, Qcow2DiskHeader *d, const Qcow2DiskCryptExtension *crypt)
{
    const Qcow2Remains *r = believed(b);
    uint64_t at = sizeof(*d), most = qcow2_found_header(b->found)->cluster_size;
    size_t name = r && r->backing_name ? strlen(r->backing_name) : 0;

    if (crypt->offset) {
        add_extension(cluster, &at, most, QCOW2_EXT_CRYPT_HEADER, crypt, sizeof(*crypt));
    }
    if (name && r->backing_format) {
        add_extension(cluster, &at, most, QCOW2_EXT_BACKING_FORMAT, r->backing_format,
                      (uint32_t)strlen(r->backing_format));
    }
    if (name && at + 8 + name <= most) {
        add_extension(cluster, &at, most, QCOW2_EXT_END, NULL, 0);
        memcpy(cluster + at, r->backing_name, name);
        d->backing_file_offset = GUINT64_TO_BE(at);
        d->backing_file_size = GUINT32_TO_BE((uint32_t)name);
    }
    if (!r) {
        g_ptr_array_add(b->notes, g_strdup("the header is lost: if the image had a backing file, or AES encryption, "
                                           "nothing says so any more"));
    } else if (r->bitmaps.has_bitmaps) {
        g_ptr_array_add(b->notes, g_strdup("persistent bitmaps are given up: the next backup has to be a full one"));
    }
}

static void build_header(Building *b)
{
    const Qcow2HeaderFields *h = qcow2_found_header(b->found);
    uint8_t *cluster = g_malloc0(h->cluster_size);
    Qcow2DiskCryptExtension crypt = {0};
    bool zstd = is_zstd(b);
    Qcow2DiskHeader d = {
        .magic = GUINT32_TO_BE(QCOW2_MAGIC),
        .version = GUINT32_TO_BE(3),
        .cluster_bits = GUINT32_TO_BE(h->cluster_bits),
        .size = GUINT64_TO_BE(b->trees->size),
        .incompatible_features = GUINT64_TO_BE((h->incompatible_features & QCOW2_INCOMPAT_EXTENDED_L2) |
                                               (zstd ? QCOW2_INCOMPAT_COMPRESSION : 0)),
        .refcount_order = GUINT32_TO_BE(h->refcount_order),
        .header_length = GUINT32_TO_BE(sizeof(d)),
        .compression_type = zstd ? QCOW2_COMPRESSION_ZSTD : QCOW2_COMPRESSION_ZLIB,
    };

    set_tables(b, &d);
    set_encryption(b, &d, &crypt);
    put_names(b, cluster, &d, &crypt);
    memcpy(cluster, &d, sizeof(d));
    add_edit(b, 0, cluster, h->cluster_size, IMAGE_CHECK_STRUCTURE_HEADER);
}

void qcow2_build_image(const Qcow2Found *found, const Qcow2Trees *trees, const Qcow2Survey *survey, Edits *edits,
                       uint64_t *end, GPtrArray *notes)
{
    Building b = {found, trees, survey, edits, end, notes};

    for (guint i = 0; i < found->snapshots->len; i++) {
        build_snapshot_l1(&b, i);
    }
    build_header(&b);
}
