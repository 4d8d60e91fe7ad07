/*
 * The metadata of an image as a tree that a person can read: see ui/output/viscera-text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/viscera-text.h"

#include <glib.h>
#include <inttypes.h>
#include <stdarg.h>

#include "ui/output/escape.h"

/* A folded tree shows lists up to this length in full, and this much of a name: lines stay below 80 columns. */
#define FOLDED_LIST 4
#define FOLDED_NAME 20

typedef struct Tree {
    FILE *out;
    bool unfolded;
} Tree;

static void print_columns(const Tree *tree, const char *offset, const char *size, int depth)
{
    fprintf(tree->out, "%16s %12s  %*s", offset, size, 2 * depth, "");
}

/* Begins the line of what lies at @where; the caller says what it is. */
static void begin_line(const Tree *tree, const Qcow2Allocation *where, int depth)
{
    char offset[24];
    char size[24];

    g_snprintf(offset, sizeof(offset), "0x%" PRIx64, where->offset);
    g_snprintf(size, sizeof(size), "%" PRIu64, where->size);
    print_columns(tree, offset, size, depth);
}

static void print_line(const Tree *tree, const Qcow2Allocation *where, int depth, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static void print_line(const Tree *tree, const Qcow2Allocation *where, int depth, const char *format, ...)
{
    va_list arguments;

    begin_line(tree, where, depth);
    va_start(arguments, format);
    vfprintf(tree->out, format, arguments);
    va_end(arguments);
    fputc('\n', tree->out);
}

static void print_named_line(const Tree *tree, const Qcow2Allocation *where, int depth, const char *what,
                             const char *name)
{
    begin_line(tree, where, depth);
    fprintf(tree->out, "%s \"", what);
    print_escaped(tree->out, name, tree->unfolded ? 0 : FOLDED_NAME);
    fputs("\"\n", tree->out);
}

/* A number of things of one kind that lie apart: where the first begins, where the last ends, their sizes' sum. */
typedef struct Extent {
    size_t count;
    uint64_t begin;
    uint64_t end;
    uint64_t size;
} Extent;

static void extent_add(Extent *extent, const Qcow2Allocation *where)
{
    uint64_t end = where->size > UINT64_MAX - where->offset ? UINT64_MAX : where->offset + where->size;

    extent->begin = extent->count == 0 ? where->offset : MIN(extent->begin, where->offset);
    extent->end = MAX(extent->end, end);
    extent->size += where->size;
    extent->count++;
}

static void print_extent(const Tree *tree, const Extent *extent, int depth, const char *plural)
{
    Qcow2Allocation all = {.offset = extent->begin, .size = extent->size};

    print_line(tree, &all, depth, "%zu %s, up to 0x%" PRIx64, extent->count, plural, extent->end);
}

static void print_allocations(const Tree *tree, const Qcow2AllocationList *list, int depth, const char *singular,
                              const char *plural)
{
    Extent extent = {0};

    for (size_t i = 0; i < list->len; i++) {
        if (tree->unfolded || list->len <= FOLDED_LIST) {
            print_line(tree, &list->items[i], depth, "%s", singular);
        } else {
            extent_add(&extent, &list->items[i]);
        }
    }
    if (extent.count > 0) {
        print_extent(tree, &extent, depth, plural);
    }
}

static void print_l1_table(const Tree *tree, const Qcow2L1Table *l1, int depth, const char *what)
{
    print_named_line(tree, &l1->location, depth, what, l1->name);
    print_allocations(tree, &l1->l2_list, depth + 1, "L2 table", "L2 tables");
}

static void print_snapshots(const Tree *tree, const Qcow2SnapshotsTable *table)
{
    print_line(tree, &table->location, 0, "snapshot table, number of snapshots: %zu", table->l1_list.len);
    for (size_t i = 0; i < table->l1_list.len; i++) {
        print_l1_table(tree, &table->l1_list.items[i], 1, "L1 table of snapshot");
    }
}

/* The bits of these entries take no place in the file. */
static void print_without_place(const Tree *tree, size_t count, const char *bits)
{
    if (count > 0) {
        print_columns(tree, "-", "-", 2);
        fprintf(tree->out, "bitmap entries of %s: %zu\n", bits, count);
    }
}

/* Entries one by one as they come; otherwise one line for each type. */
static void print_bitmap_entries(const Tree *tree, const Qcow2BitmapTblEntryList *entries)
{
    bool each = tree->unfolded || entries->len <= FOLDED_LIST;
    Extent serialized = {0};
    size_t zeros = 0;
    size_t ones = 0;

    for (size_t i = 0; i < entries->len; i++) {
        const Qcow2BitmapTblEntry *entry = &entries->items[i];

        if (entry->cluster && each) {
            print_line(tree, entry->cluster, 2, "bitmap data");
        } else if (entry->cluster) {
            extent_add(&serialized, entry->cluster);
        } else if (each) {
            print_columns(tree, "-", "-", 2);
            fprintf(tree->out, "%s\n", Qcow2BitmapTblEntryType_str(entry->type));
        } else if (entry->type == QCOW2_BITMAP_TBL_ENTRY_TYPE_ALL_ONES) {
            ones++;
        } else {
            zeros++;
        }
    }
    print_without_place(tree, zeros, "zeros");
    print_without_place(tree, ones, "ones");
    if (serialized.count > 0) {
        print_extent(tree, &serialized, 2, "bitmap data clusters");
    }
}

static void print_bitmaps(const Tree *tree, const Qcow2Bitmaps *bitmaps)
{
    const Qcow2BitmapDirectoryEntryList *entries = &bitmaps->bitmap_dir.dir_entries;

    print_line(tree, &bitmaps->bitmap_dir.location, 0, "bitmap directory, number of bitmaps: %" PRId64,
               bitmaps->nb_bitmaps);
    for (size_t i = 0; i < entries->len; i++) {
        const Qcow2BitmapTbl *table = &entries->items[i].bitmap_table;

        print_named_line(tree, &table->location, 1, "table of bitmap", entries->items[i].bitmap_name);
        print_bitmap_entries(tree, &table->table_entries);
    }
}

void print_viscera_text(FILE *out, const Qcow2Metadata *viscera, bool unfolded)
{
    Tree tree = {.out = out, .unfolded = unfolded};

    fprintf(out, "\n%16s %12s  %s\n", "offset", "size", "metadata");
    print_line(&tree, &viscera->qcow2_header.location, 0, "header, version %" PRId64, viscera->qcow2_header.version);
    print_line(&tree, &viscera->refcount_table.location, 0, "refcount table");
    print_allocations(&tree, &viscera->refcount_table.refcount_blocks, 1, "refcount block", "refcount blocks");
    print_l1_table(&tree, &viscera->active_l1, 0, "L1 table");
    if (viscera->crypt_header) {
        print_line(&tree, &viscera->crypt_header->location, 0, "encryption header");
    }
    if (viscera->bitmaps) {
        print_bitmaps(&tree, viscera->bitmaps);
    }
    if (viscera->snapshot_table) {
        print_snapshots(&tree, viscera->snapshot_table);
    }
}
