/*
 * Each pass of a repair alone, and what the chain adds to them: an image with some words changed, and the edits that
 * one call of the pass makes of it.
 *
 * What is expected is worked out by hand from the format (docs/interop/qcow2-format.rst), and from small-image.h:
 * cluster N begins at N * 0x10000, and its count is 2 bytes at 0x20000 + 2 * N. The clusters are 0 header, 1 refcount
 * table, 2 block, 3 L1, 4 and 5 L2, 6 and 7 their data, 8 snapshot table, 9 L1, a L2, b data of the snapshot, c
 * directory, d table, e data of the bitmap. Cluster f is free in these tables: the first place for something new;
 * cluster 0x10 behind the end is the next.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/io/edited.h"
#include "block/qcow2/repair/passes.h"
#include "block/qcow2/repair/plan.h"
#include "small-image.h"
#include "util/number.h"

#define ROOM ((size_t)8 << 20)

typedef enum Mode { ALL, LEAKS } Mode;

/* A word of the image that is changed. */
typedef struct Put {
    uint64_t at;
    unsigned size; /* bytes; 0 ends the list */
    uint64_t value;
} Put;

typedef struct Row {
    const char *sentence;
    Mode mode;
    Put put[6];
    /* for each word of 8 bytes that changes: phase, its offset, what it is and what it becomes; in the order of edits
     */
    const char *edits;
} Row;

typedef struct Table {
    const char *name;
    RepairPass *pass; /* NULL: the whole chain */
    const Row *rows;
    size_t n;
} Table;

static const char *const phases[EDIT_PHASE__MAX] = {"new", "autoclear", "raise", "switch", "lower"};

/* ---- what is expected ---- */

static const Row snapshots[] = {
    {"a sound table stays", ALL, {{0}}, ""},
    {"only the number is wrong: 4 bytes of the header",
     ALL,
     {{0x3c, 4, 65537}},
     "switch 38 0000000100010001 0000000100000001\n"},
    {"an entry without extra data gets that of today, in a new table",
     ALL,
     {{0x80024, 4, 0}, {0x80028, 2, 0x3173}, {0x80038, 2, 0}},
     /* L1 table at 0x90000; one entry of it, ID and name of 1 byte; 24 bytes of extra data: no VM state, 1 GiB, no
      * instruction count; ID and name */
     "new f0000 0000000000000000 0000000000090000\n"
     "new f0008 0000000000000000 0000000100010001\n"
     "new f0020 0000000000000000 0000000000000018\n"
     "new f0030 0000000000000000 0000000040000000\n"
     "new f0038 0000000000000000 ffffffffffffffff\n"
     "new f0040 0000000000000000 3173000000000000\n"
     "raise 20018 0001000100010000 0001000100010001\n"
     "switch 40 0000000000080000 00000000000f0000\n"},
    {"leaks alone: a table is not written", LEAKS, {{0x3c, 4, 65537}}, ""},
    {"a table at an offset that no file reaches", ALL, {{0x3c, 4, 65537}, {0x40, 8, UINT64_C(0x7fffffffffff0000)}}, ""},
    {"an entry behind the incomplete one, whose L1 table leaks, is a trace: the table stays",
     ALL,
     {{0x80024, 4, 0},
      {0x80028, 2, 0x3173},
      {0x80030, 8, 0xf0000}, /* entry 0 ends at 0x8002a */
      {0x80038, 8, UINT64_C(0x0000000100010000)},
      {0x80058, 1, '2'}, /* the ID, without extra data */
      {0x2001e, 2, 1}},
     ""},
};

static const Row entries[] = {
    {"nothing is unaligned", ALL, {{0}}, ""},
    {"an unaligned entry without data reads as zeros from then on",
     ALL,
     {{0x40010, 8, 0x60201}},
     "switch 40010 0000000000060201 0000000000000001\n"},
    {"two of them in two tables, by the place of the table",
     ALL,
     {{0x50018, 8, COPIED | 0x60401}, {0x40008, 8, 0x60201}},
     "switch 40008 0000000000060201 0000000000000001\n"
     "switch 50018 8000000000060401 0000000000000001\n"},
    {"an unaligned entry with data stays: it cannot be known where they are", ALL, {{0x40010, 8, 0x60200}}, ""},
    {"leaks alone: no entry changes", LEAKS, {{0x40010, 8, 0x60201}}, ""},
    {"an L2 table on the snapshot table has no entries of its own to be changed",
     ALL,
     {{0x30008, 8, COPIED | 0x80000}, {0x80100, 8, 0x60201}},
     ""},
};

static const Row blocks[] = {
    {"the table is sound", ALL, {{0}}, ""},
    {"an entry for a block behind the end, which no cluster needs, is cleared",
     ALL,
     {{0x10008, 8, 0x200000000}},
     "switch 10008 0000000200000000 0000000000000000\n"},
    {"an entry with a reserved bit: block and table are made anew, and cluster 2 is not used any more",
     ALL,
     {{0x10000, 8, 0x20001}},
     "new f0000 0000000000000000 0001000100000001\n"
     "new f0008 0000000000000000 0001000100010001\n"
     "new f0010 0000000000000000 0001000100010001\n"
     "new f0018 0000000000000000 0001000100010001\n"
     "new f0020 0000000000000000 0001000000000000\n"
     "new 100000 0000000000000000 00000000000f0000\n"
     "switch 30 0000000000010000 0000000000100000\n"},
    {"leaks alone: no block is made", LEAKS, {{0x10000, 8, 0x20001}}, ""},
    {"the table is said to be behind the end: nothing is known to be free in the file, and all goes behind it",
     ALL,
     {{0x30, 8, UINT64_C(0x7f0000000000)}},
     "new 100000 0000000000000000 0001000000000001\n"
     "new 100008 0000000000000000 0001000100010001\n"
     "new 100010 0000000000000000 0001000100010001\n"
     "new 100018 0000000000000000 0001000100010000\n"
     "new 100020 0000000000000000 0001000100000000\n"
     "new 110000 0000000000000000 0000000000100000\n"
     "switch 30 00007f0000000000 0000000000110000\n"},
};

static const Row moves[] = {
    {"nothing lies on metadata", ALL, {{0}}, ""},
    {"guest data on the L1 table of the snapshot gets a copy",
     ALL,
     {{0x40008, 8, COPIED | 0x90000}},
     "new f0000 0000000000000000 00000000000a0000\n"
     "raise 20018 0001000100010000 0001000100010001\n"
     "switch 40008 8000000000090000 80000000000f0000\n"},
    {"two entries for one cluster of data: it is no metadata", ALL, {{0x40008, 8, COPIED | 0x70000}}, ""},
    {"leaks alone: nothing moves", LEAKS, {{0x40008, 8, COPIED | 0x90000}}, ""},
    {"an entry for its own table is copied with it, as the guest reads it now",
     ALL,
     {{0x40008, 8, COPIED | 0x40000}},
     "new f0000 0000000000000000 8000000000060000\n"
     "new f0008 0000000000000000 8000000000040000\n"
     "raise 20018 0001000100010000 0001000100010001\n"
     "switch 40008 8000000000040000 80000000000f0000\n"},
    {"two tables with an entry for the other one each: the tables are copied, and their L1 entries switched",
     ALL,
     {{0x40008, 8, COPIED | 0x50000}, {0x50008, 8, COPIED | 0x40000}},
     "new f0000 0000000000000000 8000000000060000\n"
     "new f0008 0000000000000000 8000000000050000\n"
     "new 100000 0000000000000000 8000000000070000\n"
     "new 100008 0000000000000000 8000000000040000\n"
     "raise 20018 0001000100010000 0001000100010001\n"
     "raise 20020 0000000000000000 0001000000000000\n"
     "switch 30000 8000000000040000 80000000000f0000\n"
     "switch 30008 8000000000050000 8000000000100000\n"},
};

static const Row refcounts[] = {
    {"all counts are right", ALL, {{0}}, ""},
    {"a leak", LEAKS, {{0x2001e, 2, 1}}, "lower 20018 0001000100010001 0001000100010000\n"},
    {"a count of 0 of a cluster in use", ALL, {{0x2000c, 2, 0}}, "raise 20008 0001000100000001 0001000100010001\n"},
    {"both in one block: what is too low rises first",
     ALL,
     {{0x2000c, 2, 0}, {0x2001e, 2, 7}},
     "raise 20008 0001000100000001 0001000100010001\n"
     "lower 20018 0001000100010007 0001000100010000\n"},
    {"leaks alone: what is too low stays, and leaks are freed beside it",
     LEAKS,
     {{0x2000c, 2, 0}, {0x2001e, 2, 7}},
     "lower 20018 0001000100010007 0001000100010000\n"},
    {"a leak beside a damaged pointer stays", ALL, {{0x2001e, 2, 1}, {0x40010, 8, COPIED | (UINT64_C(1) << 40)}}, ""},
    {"guest data on the block: nothing is written there", ALL, {{0x2001e, 2, 1}, {0x40008, 8, COPIED | 0x20000}}, ""},
};

static const Row flags[] = {
    {"all flags are right", ALL, {{0}}, ""},
    {"an L1 entry lacks it", LEAKS, {{0x30000, 8, 0x40000}}, "switch 30000 0000000000040000 8000000000040000\n"},
    {"an L2 entry lacks it, and the count is 1",
     ALL,
     {{0x50000, 8, 0x70000}},
     "switch 50000 0000000000070000 8000000000070000\n"},
    {"an L2 entry has it, and the count is 2",
     ALL,
     {{0x2000c, 2, 2}},
     "switch 40000 8000000000060000 0000000000060000\n"},
    {"leaks alone, and another fault: it stays", LEAKS, {{0x50000, 8, 0x70000}, {0x40010, 8, 2}}, ""},
    {"compressed clusters have none", ALL, {{0x40008, 8, (UINT64_C(1) << 62) | 0xb0000}, {0x20016, 2, 2}}, ""},
    {"an L2 table on the snapshot table: its words are not changed", ALL, {{0x30008, 8, COPIED | 0x80000}}, ""},
};

static const Row header_flags[] = {
    {"nothing is set", ALL, {{0}}, ""},
    {"the dirty bit, and nothing is wrong", LEAKS, {{0x48, 8, 1}}, "lower 48 0000000000000001 0000000000000000\n"},
    {"both bits go behind all else",
     ALL,
     {{0x48, 8, 3}, {0x2001e, 2, 1}},
     "lower 20018 0001000100010001 0001000100010000\n"
     "lower 48 0000000000000003 0000000000000000\n"},
    {"they stay while a fault remains", ALL, {{0x48, 8, 3}, {0x40010, 8, 2}}, ""},
    {"features unknown here, bit 7, are switched off before anything else changes",
     ALL,
     {{0x58, 8, 0x81}, {0x2001e, 2, 1}},
     "autoclear 58 0000000000000081 0000000000000001\n"
     "lower 20018 0001000100010001 0001000100010000\n"},
    {"an L1 table on the header: nothing is changed", ALL, {{0x48, 8, 1}, {0x80000, 8, 0}, {0x2001e, 2, 1}}, ""},
};

static const Table tables[] = {
    {"snapshots", repair_snapshots, snapshots, G_N_ELEMENTS(snapshots)},
    {"entries", repair_entries, entries, G_N_ELEMENTS(entries)},
    {"blocks", repair_blocks, blocks, G_N_ELEMENTS(blocks)},
    {"moves", repair_moves, moves, G_N_ELEMENTS(moves)},
    {"refcounts", repair_refcounts, refcounts, G_N_ELEMENTS(refcounts)},
    {"flags", repair_flags, flags, G_N_ELEMENTS(flags)},
    {"header-flags", NULL, header_flags, G_N_ELEMENTS(header_flags)},
};

/* ---- what happens ---- */

static BlockSource *source_of(const Row *row)
{
    g_autofree uint8_t *bytes = small_image_new();

    put_refcount(bytes, LEAK, 0);
    for (const Put *put = row->put; put < row->put + G_N_ELEMENTS(row->put) && put->size; put++) {
        put_be(bytes + put->at, put->size, put->value);
    }
    return block_source_new_writable_memory(bytes, AT(CLUSTERS), ROOM);
}

/* Appends the words that edit @i changes. */
static void append_words(BlockSource *view, const Edits *edits, size_t i, GString *text)
{
    const Edit *edit = edits_at(edits, i);
    uint64_t skip = edit->offset % 8, size = DIV_ROUND_UP(skip + edit->size, 8) * 8;
    g_autofree uint8_t *before = g_malloc0(size), *after = g_malloc0(size);
    uint64_t begin = edit->offset - skip;

    g_assert_cmpint(block_source_read(view, before, size, begin), ==, 0);
    memcpy(after, before, size);
    g_assert_cmpint(block_source_edited_bytes(view, i, before + skip, after + skip), ==, 0);
    for (uint64_t at = 0; at < size; at += 8) {
        uint64_t was = load_be64(before + at), is = load_be64(after + at);

        if (was != is) {
            g_string_append_printf(text, "%s %" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n", phases[edit->phase],
                                   begin + at, was, is);
        }
    }
}

static void assert_edits(const Row *row, BlockSource *source, const Edits *edits)
{
    g_autoptr(GString) text = g_string_new(NULL);
    BlockSource *view = block_source_new_edited(source, edits);

    for (size_t i = 0; i < edits_n(edits); i++) {
        append_words(view, edits, i, text);
    }
    block_source_close(view);
    g_assert_cmpstr(text->str, ==, row->edits);
}

static void run_pass(const Row *row, RepairPass *pass, Qcow2Image *image, const Qcow2RepairOptions *options)
{
    g_autoptr(GHashTable) said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(Edits) edits = edits_new();
    g_autoptr(GError) error = NULL;
    Stage *stage = stage_new_first(image, options, said, &error);
    Reserved reserved = {0};

    g_assert_no_error(error);
    qcow2_check_report_counts(&stage->check, stage->in.report);
    g_assert_true(stage_set_targets(stage, NULL, &reserved, &error));
    reserved.clusters = refmap_new(stage->layout.file_clusters);
    g_assert_true(pass(&stage->in, &stage->layout, &stage->alloc, edits, &error));
    edits_end_pass(edits);
    assert_edits(row, image->source, edits);
    stage_free(stage);
    refmap_free(reserved.clusters);
}

static void run_chain(const Row *row, Qcow2Image *image, const Qcow2RepairOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(RepairPlan) plan = repair_plan_new(image, options, &error);

    g_assert_no_error(error);
    assert_edits(row, image->source, plan->edits);
}

typedef struct Case {
    const Table *table;
    const Row *row;
} Case;

static void test_row(gconstpointer opaque)
{
    const Case *c = opaque;
    g_autoptr(BlockSource) source = source_of(c->row);
    Qcow2CheckOptions check = {.workers = 1};
    Qcow2RepairOptions options = {.all = c->row->mode == ALL, .check = &check};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, &error);

    g_assert_no_error(error);
    if (c->table->pass) {
        run_pass(c->row, c->table->pass, image, &options);
    } else {
        run_chain(c->row, image, &options);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t t = 0; t < G_N_ELEMENTS(tables); t++) {
        for (size_t i = 0; i < tables[t].n; i++) {
            Case c = {&tables[t], &tables[t].rows[i]};
            g_autofree char *path = g_strdup_printf("/passes/%s/%zu: %s", c.table->name, i, c.row->sentence);

            g_test_add_data_func_full(path, g_memdup2(&c, sizeof(c)), test_row, g_free);
        }
    }
    return g_test_run();
}
