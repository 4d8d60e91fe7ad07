/*
 * Breaking qcow2 images: see mutate-image.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "mutate-image.h"

#include <stdbool.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "random.h"

#define MAX_LISTED 8 /* extensions, snapshots and bitmaps that are looked at */

typedef struct Image {
    uint8_t *bytes;
    size_t size;
    size_t max_size;
    unsigned cluster_bits; /* a usable one, whatever the header says */
    size_t cluster_size;
    Random random;
} Image;

/* A number or an offset with flags, somewhere in the image. */
typedef struct Word {
    size_t offset;
    unsigned size; /* bytes: 1, 2, 4 or 8 */
} Word;

static uint64_t any_number(Image *image)
{
    return random_number(&image->random);
}

static uint64_t below(Image *image, uint64_t n)
{
    return random_below(&image->random, n);
}

static bool one_in(Image *image, unsigned n)
{
    return random_one_in(&image->random, n);
}

/* ---- bytes ---- */

/* Whether @size bytes at @offset are there. */
static bool inside(const Image *image, uint64_t offset, uint64_t size)
{
    return offset <= image->size && size <= image->size - offset;
}

/* The word there, 0 beyond the end. */
static uint64_t get(const Image *image, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; inside(image, offset, size) && i < size; i++) {
        value = value << 8 | image->bytes[offset + i];
    }
    return value;
}

static void put(Image *image, Word word, uint64_t value)
{
    for (unsigned i = word.size; inside(image, word.offset, word.size) && i > 0; i--, value >>= 8) {
        image->bytes[word.offset + i - 1] = value & 0xff;
    }
}

#define HEADER(image, field) get(image, offsetof(Qcow2DiskHeader, field), sizeof(((Qcow2DiskHeader *)0)->field))

static bool is_extended(const Image *image)
{
    return HEADER(image, version) >= 3 && (HEADER(image, incompatible_features) & QCOW2_INCOMPAT_EXTENDED_L2);
}

static unsigned refcount_order(const Image *image)
{
    unsigned order = HEADER(image, version) >= 3 ? (unsigned)HEADER(image, refcount_order) : 4;

    return order > QCOW2_MAX_REFCOUNT_ORDER ? 4 : order;
}

static void look_at_header(Image *image)
{
    unsigned bits = (unsigned)HEADER(image, cluster_bits);

    image->cluster_bits = bits < QCOW2_MIN_CLUSTER_BITS || bits > 16 ? QCOW2_MIN_CLUSTER_BITS : bits;
    image->cluster_size = (size_t)1 << image->cluster_bits;
}

/* ---- where structures are ---- */

typedef struct Table {
    uint64_t offset;
    uint64_t entries;
} Table;

typedef struct Field {
    uint8_t offset;
    uint8_t size;
} Field;

#define FIELD(type, name)                                                                                              \
    {                                                                                                                  \
        offsetof(type, name), sizeof(((type *)0)->name)                                                                \
    }

static const Field header_fields[] = {
    FIELD(Qcow2DiskHeader, version),
    FIELD(Qcow2DiskHeader, backing_file_offset),
    FIELD(Qcow2DiskHeader, backing_file_size),
    FIELD(Qcow2DiskHeader, cluster_bits),
    FIELD(Qcow2DiskHeader, size),
    FIELD(Qcow2DiskHeader, crypt_method),
    FIELD(Qcow2DiskHeader, l1_size),
    FIELD(Qcow2DiskHeader, l1_table_offset),
    FIELD(Qcow2DiskHeader, refcount_table_offset),
    FIELD(Qcow2DiskHeader, refcount_table_clusters),
    FIELD(Qcow2DiskHeader, nb_snapshots),
    FIELD(Qcow2DiskHeader, snapshots_offset),
    FIELD(Qcow2DiskHeader, incompatible_features),
    FIELD(Qcow2DiskHeader, compatible_features),
    FIELD(Qcow2DiskHeader, autoclear_features),
    FIELD(Qcow2DiskHeader, refcount_order),
    FIELD(Qcow2DiskHeader, header_length),
    FIELD(Qcow2DiskHeader, compression_type),
};

static const Field snapshot_fields[] = {
    FIELD(Qcow2DiskSnapshot, l1_table_offset), FIELD(Qcow2DiskSnapshot, l1_size),
    FIELD(Qcow2DiskSnapshot, id_size),         FIELD(Qcow2DiskSnapshot, name_size),
    FIELD(Qcow2DiskSnapshot, vm_state_size),   FIELD(Qcow2DiskSnapshot, extra_data_size),
};

static const Field bitmap_fields[] = {
    FIELD(Qcow2DiskBitmapEntry, table_offset),
    FIELD(Qcow2DiskBitmapEntry, table_size),
    FIELD(Qcow2DiskBitmapEntry, flags),
    FIELD(Qcow2DiskBitmapEntry, type),
    FIELD(Qcow2DiskBitmapEntry, granularity_bits),
    FIELD(Qcow2DiskBitmapEntry, name_size),
    FIELD(Qcow2DiskBitmapEntry, extra_data_size),
};

#define ANY_FIELD(image, fields, base) any_field(image, fields, sizeof(fields) / sizeof((fields)[0]), base)

static Word any_field(Image *image, const Field *fields, size_t n, uint64_t base)
{
    const Field *field = &fields[below(image, n)];

    return (Word){base + field->offset, field->size};
}

/* The offset of one of the header extensions, or of that called @type; 0 when there is none. */
static uint64_t any_extension(Image *image, uint32_t type)
{
    uint64_t at = HEADER(image, version) >= 3 ? HEADER(image, header_length) : QCOW2_V2_HEADER_LENGTH;
    uint64_t wanted = below(image, MAX_LISTED);

    for (unsigned i = 0; i < MAX_LISTED && inside(image, at, sizeof(Qcow2DiskExtension)); i++) {
        uint64_t found = get(image, at, 4);

        if (type ? found == type : i == wanted || found == QCOW2_EXT_END) {
            return at;
        }
        at += sizeof(Qcow2DiskExtension) + (get(image, at + 4, 4) + 7) / 8 * 8;
    }
    return 0;
}

/* The offset of one of the snapshot table's entries; 0 when there is none. */
static uint64_t any_snapshot(Image *image)
{
    uint64_t at = HEADER(image, snapshots_offset), n = HEADER(image, nb_snapshots);
    uint64_t wanted = below(image, n < MAX_LISTED ? n : MAX_LISTED);

    for (unsigned i = 0; i < wanted && inside(image, at, sizeof(Qcow2DiskSnapshot)); i++) {
        at += sizeof(Qcow2DiskSnapshot) + get(image, at + offsetof(Qcow2DiskSnapshot, extra_data_size), 4) +
              get(image, at + offsetof(Qcow2DiskSnapshot, id_size), 2) +
              get(image, at + offsetof(Qcow2DiskSnapshot, name_size), 2);
        at = (at + 7) / 8 * 8;
    }
    return n && inside(image, at, sizeof(Qcow2DiskSnapshot)) ? at : 0;
}

/* The offset of one of the bitmap directory's entries; 0 when there is none. */
static uint64_t any_bitmap(Image *image)
{
    uint64_t extension = any_extension(image, QCOW2_EXT_BITMAPS);
    uint64_t fields = extension + sizeof(Qcow2DiskExtension);
    uint64_t at = get(image, fields + offsetof(Qcow2DiskBitmapsExtension, directory_offset), 8);
    uint64_t n = get(image, fields + offsetof(Qcow2DiskBitmapsExtension, nb_bitmaps), 4);
    uint64_t wanted = below(image, n < MAX_LISTED ? n : MAX_LISTED);

    for (unsigned i = 0; i < wanted && inside(image, at, sizeof(Qcow2DiskBitmapEntry)); i++) {
        at += sizeof(Qcow2DiskBitmapEntry) + get(image, at + offsetof(Qcow2DiskBitmapEntry, extra_data_size), 4) +
              get(image, at + offsetof(Qcow2DiskBitmapEntry, name_size), 2);
        at = (at + 7) / 8 * 8;
    }
    return extension && inside(image, at, sizeof(Qcow2DiskBitmapEntry)) ? at : 0;
}

/* The active L1 table, or that of a snapshot. */
static Table any_l1(Image *image)
{
    uint64_t snapshot = one_in(image, 2) ? any_snapshot(image) : 0;

    if (snapshot) {
        return (Table){get(image, snapshot + offsetof(Qcow2DiskSnapshot, l1_table_offset), 8),
                       get(image, snapshot + offsetof(Qcow2DiskSnapshot, l1_size), 4)};
    }
    return (Table){HEADER(image, l1_table_offset), HEADER(image, l1_size)};
}

static Table any_bitmap_table(Image *image)
{
    uint64_t bitmap = any_bitmap(image);

    return bitmap ? (Table){get(image, bitmap + offsetof(Qcow2DiskBitmapEntry, table_offset), 8),
                            get(image, bitmap + offsetof(Qcow2DiskBitmapEntry, table_size), 4)}
                  : (Table){0};
}

static Table refcount_table(const Image *image)
{
    return (Table){HEADER(image, refcount_table_offset),
                   HEADER(image, refcount_table_clusters) << image->cluster_bits >> 3};
}

/* An entry of @table, as far as the file has it; rather one that is not 0. Its size is 0 when there is none. */
static Word any_entry(Image *image, Table table)
{
    uint64_t there = table.offset < image->size ? (image->size - table.offset) / 8 : 0;
    uint64_t n = table.entries < there ? table.entries : there;
    uint64_t start = below(image, one_in(image, 2) && n > 16 ? 16 : n);

    if (n == 0) {
        return (Word){0};
    }
    for (uint64_t i = 0; i < n && i < 64 && !one_in(image, 16); i++) {
        uint64_t at = table.offset + (start + i) % n * 8;

        if (get(image, at, 8)) {
            return (Word){at, 8};
        }
    }
    return (Word){table.offset + start * 8, 8};
}

/* An L2 table, a refcount block: what an entry of @table points to. No entries when there is none. */
static Table behind(Image *image, Table table)
{
    Word entry = any_entry(image, table);
    uint64_t offset = get(image, entry.offset, 8) & QCOW2_OFFSET_MASK;

    return entry.size && offset ? (Table){offset, image->cluster_size / 8} : (Table){0};
}

/* The count of a cluster that the file has, as bytes. */
static Word count_of(const Image *image, uint64_t cluster)
{
    unsigned order = refcount_order(image);
    uint64_t per_block = (uint64_t)image->cluster_size * 8 >> order;
    uint64_t block = get(image, HEADER(image, refcount_table_offset) + cluster / per_block * 8, 8);

    block &= QCOW2_REFTABLE_OFFSET_MASK;
    return block ? (Word){block + ((cluster % per_block << order) >> 3), order < 3 ? 1 : 1u << (order - 3)} : (Word){0};
}

static Word any_count(Image *image)
{
    return count_of(image, below(image, (image->size >> image->cluster_bits) + 2));
}

static Word any_extension_word(Image *image)
{
    uint64_t at = any_extension(image, 0);
    uint64_t length = get(image, at + 4, 4);

    switch (at ? below(image, 4) : 4) {
    case 0:
        return (Word){at, 4};
    case 1:
        return (Word){at + 4, 4};
    case 2:
        return (Word){at + sizeof(Qcow2DiskExtension), 4};
    case 3:
        return (Word){at + sizeof(Qcow2DiskExtension) + below(image, length / 8) * 8, 8};
    default:
        return (Word){0};
    }
}

/* A word of any structure. Its size is 0 where the image has no such structure. */
static Word any_word(Image *image)
{
    uint64_t at;

    switch (below(image, 16)) {
    case 0:
    case 1:
        return ANY_FIELD(image, header_fields, 0);
    case 2:
        return any_extension_word(image);
    case 3:
    case 4:
        return any_entry(image, any_l1(image));
    case 5:
        return any_entry(image, refcount_table(image));
    case 6:
    case 7:
        return any_count(image);
    case 8:
        at = any_snapshot(image);
        return at ? ANY_FIELD(image, snapshot_fields, at) : (Word){0};
    case 9:
        at = any_bitmap(image);
        return at ? ANY_FIELD(image, bitmap_fields, at) : (Word){0};
    case 10:
        return any_entry(image, any_bitmap_table(image));
    case 11:
        return (Word){below(image, image->size / 8) * 8, 8};
    default:
        return any_entry(image, behind(image, any_l1(image)));
    }
}

/* An offset that has a structure, or is just outside or far away. */
static uint64_t any_offset(Image *image)
{
    uint64_t clusters = image->size >> image->cluster_bits;

    switch (below(image, 12)) {
    case 0:
        return any_l1(image).offset;
    case 1:
        return behind(image, any_l1(image)).offset;
    case 2:
        return refcount_table(image).offset;
    case 3:
        return behind(image, refcount_table(image)).offset;
    case 4:
        return any_snapshot(image);
    case 5:
        return any_bitmap(image);
    case 6:
        return any_bitmap_table(image).offset;
    case 7:
        return (clusters + below(image, 4)) << image->cluster_bits;
    case 8:
        return (any_number(image) & (QCOW2_OFFSET_MASK | QCOW2_REFTABLE_OFFSET_MASK)) >> below(image, 40);
    default:
        return below(image, clusters) << image->cluster_bits;
    }
}

/* ---- values that hurt ---- */

static uint64_t some_flags(Image *image)
{
    switch (below(image, 10)) {
    case 0:
        return QCOW2_OFLAG_ZERO;
    case 1:
        return QCOW2_OFLAG_COPIED | QCOW2_OFLAG_ZERO;
    case 2:
        return QCOW2_OFLAG_COMPRESSED | below(image, 256) << (70 - image->cluster_bits);
    case 3:
        return UINT64_C(1) << below(image, 64);
    case 4:
    case 5:
        return 0;
    default:
        return QCOW2_OFLAG_COPIED;
    }
}

static uint64_t some_pointer(Image *image)
{
    uint64_t offset = any_offset(image);

    if (one_in(image, 12)) {
        offset += one_in(image, 2) ? QCOW2_SECTOR_SIZE : below(image, image->cluster_size);
    }
    return offset | some_flags(image);
}

/* ---- changes ---- */

static void overwrite_word(Image *image)
{
    Word word = any_word(image);
    uint64_t old = get(image, word.offset, word.size);

    put(image, word,
        word.size == 8 && !one_in(image, 4) ? some_pointer(image)
                                            : random_instead_of(&image->random, old, word.size ? word.size * 8 : 8));
}

static void copy_word(Image *image)
{
    Word from = any_word(image), to = any_word(image);

    put(image, to, get(image, from.offset, from.size));
}

/* The entries of a table from one on become a row of clusters, as writing in order makes them. */
static void write_row(Image *image)
{
    Word entry = any_entry(image, one_in(image, 4) ? any_l1(image) : behind(image, any_l1(image)));
    uint64_t value = some_pointer(image), n = 1 + below(image, 40);
    unsigned step = is_extended(image) ? 16 : 8;

    for (uint64_t i = 0; entry.size && i < n; i++) {
        put(image, (Word){entry.offset + i * step, 8}, value);
        if (step == 16 && one_in(image, 2)) {
            put(image, (Word){entry.offset + i * step + 8, 8}, one_in(image, 2) ? UINT32_MAX : any_number(image));
        }
        value += one_in(image, 10) ? 0 : image->cluster_size;
    }
}

/* A word points somewhere, and the count of the cluster there agrees, or nearly. */
static void point_and_count(Image *image)
{
    Word word = any_word(image);
    uint64_t offset = below(image, image->size >> image->cluster_bits) << image->cluster_bits;

    put(image, word, offset | (one_in(image, 2) ? QCOW2_OFLAG_COPIED : 0));
    put(image, count_of(image, offset >> image->cluster_bits), 1 + below(image, 3));
}

static void copy_cluster(Image *image)
{
    uint64_t clusters = image->size >> image->cluster_bits;
    uint64_t from = below(image, clusters) << image->cluster_bits, to = below(image, clusters) << image->cluster_bits;

    if (clusters > 0) {
        memmove(image->bytes + to, image->bytes + from, image->cluster_size);
    }
}

static void clear_cluster(Image *image)
{
    uint64_t clusters = image->size >> image->cluster_bits;

    if (clusters > 1) {
        memset(image->bytes + ((1 + below(image, clusters - 1)) << image->cluster_bits), 0, image->cluster_size);
    }
}

static void set_size(Image *image, uint64_t size)
{
    if (size > image->max_size) {
        size = image->max_size;
    }
    if (size > image->size) {
        memset(image->bytes + image->size, 0, size - image->size);
    }
    image->size = size;
}

/* A copy of a cluster at the end of the file, and a word that points to it. */
static void append_structure(Image *image)
{
    uint64_t end = (image->size + image->cluster_size - 1) >> image->cluster_bits << image->cluster_bits;
    uint64_t from = below(image, end >> image->cluster_bits) << image->cluster_bits;

    if (end == 0 || end + image->cluster_size > image->max_size) {
        return;
    }
    set_size(image, end + image->cluster_size);
    memmove(image->bytes + end, image->bytes + from, image->cluster_size);
    put(image, any_word(image), end | (one_in(image, 2) ? QCOW2_OFLAG_COPIED : 0));
}

static void resize(Image *image)
{
    switch (below(image, 4)) {
    case 0:
        set_size(image, below(image, image->size + 1));
        break;
    case 1:
        set_size(image, below(image, (image->size >> image->cluster_bits) + 1) << image->cluster_bits);
        break;
    case 2:
        set_size(image, image->size + 1 + below(image, image->cluster_size));
        break;
    default:
        set_size(image, image->size + image->cluster_size * below(image, 64));
        break;
    }
}

/* What libFuzzer finds to do with a few bytes, such as a name. */
static void mutate_bytes(Image *image)
{
    uint64_t at = below(image, image->size), room = image->size - at;

    if (room > 0) {
        room = room < 64 ? room : 64;
        LLVMFuzzerMutate(image->bytes + at, room, room);
    }
}

static void change(Image *image)
{
    static void (*const changes[])(Image *) = {
        overwrite_word, overwrite_word,  overwrite_word,  overwrite_word,   overwrite_word,   copy_word,
        copy_word,      write_row,       write_row,       copy_cluster,     clear_cluster,    resize,
        mutate_bytes,   point_and_count, point_and_count, append_structure, append_structure,
    };

    look_at_header(image);
    changes[below(image, sizeof(changes) / sizeof(changes[0]))](image);
}

static Image image_at(uint8_t *bytes, size_t size, size_t max_size, unsigned seed)
{
    return (Image){
        .bytes = bytes, .size = size < max_size ? size : max_size, .max_size = max_size, .random = random_from(seed)};
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned int seed)
{
    Image image = image_at(bytes, size, max_size, seed);

    do {
        change(&image);
    } while (!one_in(&image, 3));
    return image.size;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
                                 uint8_t *out, size_t max_size, unsigned int seed)
{
    Image image = image_at(out, first_size, max_size, seed);
    unsigned rounds;

    memcpy(out, first, image.size);
    look_at_header(&image);
    rounds = 1 + (unsigned)below(&image, 4);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t at = below(&image, second_size >> image.cluster_bits) << image.cluster_bits;
        uint64_t n = (1 + below(&image, 4)) << image.cluster_bits;

        if (inside(&image, at, n) && at + n <= second_size) {
            memcpy(out + at, second + at, n);
        }
    }
    return image.size;
}
