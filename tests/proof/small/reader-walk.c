/*
 * References of the trees: see reader-image.h. Section numbers are those of docs/interop/check-behaviour.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "reader-image.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define L1_RESERVED UINT64_C(0x7f000000000001ff)
#define L2_RESERVED UINT64_C(0x3f000000000001fe)

void reader_found(Reader *reader, ReaderCounter counter, ReaderKind kind, const char *format, ...)
{
    ReaderResult *result = reader->result;
    size_t left = READER_MAX_TEXT - result->text_size;
    va_list ap;
    int size;

    result->corruptions += counter == CORRUPTION;
    result->leaks += counter == LEAK;
    result->errors += counter == ERROR;
    result->kinds |= 1u << kind;
    va_start(ap, format);
    size = vsnprintf(result->text + result->text_size, left, format, ap);
    va_end(ap);
    if (size < 0 || (size_t)size >= left) {
        result->text_cut = true;
        result->text[result->text_size] = '\0';
    } else {
        result->text_size += (size_t)size;
    }
}

static bool aligned(const Reader *reader, uint64_t offset)
{
    return reader_aligned(&reader->image, offset);
}

uint64_t reader_file_length(const Reader *reader)
{
    return (reader->image.length + 511) & ~UINT64_C(511);
}

/* ---- 3.2: counting ---- */

static void count_cluster(Reader *reader, uint64_t cluster)
{
    if (reader->references[cluster] == reader->max_count) {
        reader_found(
            reader, CORRUPTION, OVERFLOW_OF_COUNT,
            "ERROR: overflow cluster offset=0x%" PRIx64 "\n"
            "Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if "
            "the image cannot be opened for writing\n",
            cluster << reader->image.cluster_bits);
    } else {
        reader->references[cluster]++;
    }
}

void reader_count(Reader *reader, uint64_t offset, uint64_t size)
{
    uint64_t end = offset + size, length = reader_file_length(reader);
    uint64_t last;

    if (size == 0) {
        return;
    }
    if (end < offset || (end > length && end - length >= reader->image.cluster_size)) {
        reader_found(
            reader, CORRUPTION, BEYOND_END,
            "ERROR: counting reference for region exceeding the end of the file by one cluster or more: offset "
            "0x%" PRIx64 " size 0x%" PRIx64 "\n",
            offset, size);
        return;
    }
    last = (end - 1) >> reader->image.cluster_bits;
    for (uint64_t c = offset >> reader->image.cluster_bits; c <= last; c++) {
        if (c >= reader->n) {
            reader->n = c + 1;
        }
        count_cluster(reader, c);
    }
}

/* ---- 3.4: L2 tables ---- */

static void count_compressed(Reader *reader, unsigned i, uint64_t entry, uint64_t bitmap, bool active)
{
    unsigned bits = 70 - reader->image.cluster_bits;
    uint64_t offset = entry & ((UINT64_C(1) << bits) - 1);
    uint64_t sectors = ((entry & (READER_COMPRESSED - 1)) >> bits) + 1;

    if (entry & READER_COPIED) {
        reader_found(reader, CORRUPTION, COMPRESSED_COPIED,
                     "ERROR: coffset=0x%" PRIx64 ": copied flag must never be set for compressed clusters\n", offset);
        entry &= ~READER_COPIED;
    }
    if (reader->image.data_file) {
        reader_found(reader, CORRUPTION, COMPRESSED_WITH_DATA_FILE,
                     "ERROR compressed cluster %u with data file, entry=0x%" PRIx64 "\n", i, entry);
        return;
    }
    if (bitmap != 0) {
        reader_found(reader, CORRUPTION, COMPRESSED_WITH_SUBCLUSTERS,
                     "ERROR compressed cluster %u with non-zero subcluster allocation bitmap, entry=0x%" PRIx64 "\n", i,
                     entry);
        return;
    }
    reader_count(reader, offset, sectors * 512 - offset % 512);
    if (active) {
        reader->result->allocated++;
        reader->result->compressed++;
        reader->result->fragmented++;
    }
}

static void count_data(Reader *reader, uint64_t entry, uint64_t bitmap, bool active, uint64_t *next)
{
    const ReaderImage *image = &reader->image;
    uint64_t offset = entry & READER_OFFSET_MASK;
    bool has_data = image->extended ? (uint32_t)bitmap != 0 : !(entry & 1);

    if (image->extended && (bitmap & bitmap >> 32 & UINT32_MAX)) {
        reader_found(reader, CORRUPTION, SUBCLUSTERS_CONTRADICT,
                     "ERROR offset=%" PRIx64 ": Allocated cluster has corrupted subcluster allocation bitmap\n",
                     offset);
    }
    if (!aligned(reader, offset)) {
        reader_found(reader, CORRUPTION, has_data ? DATA_UNALIGNED : PREALLOCATED_UNALIGNED,
                     "ERROR offset=%" PRIx64 ": %s cluster is not properly aligned; L2 entry corrupted.\n", offset,
                     has_data ? "Data" : "Preallocated");
    }
    if (active) {
        reader->result->allocated++;
        reader->result->fragmented += *next != 0 && offset != *next;
        *next = offset + image->cluster_size;
    }
    if (!image->data_file) {
        reader_count(reader, offset, image->cluster_size);
    }
}

ReaderEntryKind reader_kind_of(const ReaderImage *image, uint64_t entry)
{
    uint64_t offset = entry & READER_OFFSET_MASK;

    if (entry & READER_COMPRESSED) {
        return COMPRESSED;
    }
    if ((entry & 1) && !image->extended) {
        return offset != 0 ? ALLOCATED : PLAIN_ZERO;
    }
    if (offset == 0) {
        return image->data_file && (entry & READER_COPIED) ? ALLOCATED : UNALLOCATED;
    }
    return ALLOCATED;
}

static void walk_l2(Reader *reader, uint64_t table, bool active)
{
    const ReaderImage *image = &reader->image;
    unsigned entry_size = image->extended ? 16 : 8;
    uint64_t next = 0;

    for (unsigned i = 0; i < image->cluster_size / entry_size; i++) {
        uint64_t entry = reader_get64(image, table + i * entry_size);
        uint64_t bitmap = image->extended ? reader_get64(image, table + i * entry_size + 8) : 0;
        ReaderEntryKind kind = reader_kind_of(image, entry);

        if (kind != COMPRESSED && (entry & L2_RESERVED)) {
            reader_found(reader, CORRUPTION, L2_RESERVED_BITS,
                         "ERROR found l2 entry with reserved bits set: %" PRIx64 "\n", entry);
        }
        if (kind == COMPRESSED) {
            count_compressed(reader, i, entry, bitmap, active);
        } else if (kind == ALLOCATED) {
            count_data(reader, entry, bitmap, active, &next);
        } else if (kind == UNALLOCATED && (uint32_t)bitmap != 0) {
            reader_found(reader, CORRUPTION, UNALLOCATED_WITH_SUBCLUSTERS,
                         "ERROR: Unallocated cluster has non-zero subcluster allocation map\n");
        }
    }
}

/* ---- 3.3: L1 tables ---- */

void reader_walk_l1(Reader *reader, uint64_t l1, uint32_t entries, bool active)
{
    const ReaderImage *image = &reader->image;

    if (entries == 0) {
        return;
    }
    reader_count(reader, l1, entries * UINT64_C(8));
    if (!reader_readable(l1, entries * UINT64_C(8))) {
        reader_found(reader, ERROR, L1_UNREADABLE, "ERROR: I/O error in check_refcounts_l1\n");
        reader->result->stock_aborts = true;
        return;
    }
    for (uint32_t i = 0; i < entries && l1 + i * UINT64_C(8) < image->length; i++) {
        uint64_t entry = reader_get64(image, l1 + i * UINT64_C(8)), table = entry & READER_OFFSET_MASK;

        if (entry == 0) {
            continue;
        }
        if (entry & L1_RESERVED) {
            reader_found(reader, CORRUPTION, L1_RESERVED_BITS,
                         "ERROR found L1 entry with reserved bits set: %" PRIx64 "\n", entry);
        }
        reader_count(reader, table, image->cluster_size);
        if (!aligned(reader, table)) {
            reader_found(reader, CORRUPTION, L2_UNALIGNED,
                         "ERROR l2_offset=%" PRIx64 ": Table is not cluster aligned; L1 entry corrupted\n", table);
        }
        walk_l2(reader, table, active);
    }
}
