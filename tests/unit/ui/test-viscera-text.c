/*
 * The tree of the metadata that -M prints: offset, size and what is there, long lists folded.
 *
 * Columns may move; so a line is compared with its blanks squeezed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "ui/output/viscera-text.h"

static Qcow2Allocation allocation(uint64_t offset, uint64_t size)
{
    return (Qcow2Allocation){.offset = offset, .size = size};
}

/* The metadata of an image whose active L1 table has @n L2 tables from 0x40000 on, every other cluster one. */
static Qcow2Metadata *metadata(unsigned n)
{
    Qcow2Metadata *m = g_new0(Qcow2Metadata, 1);

    m->qcow2_header.version = 3;
    m->qcow2_header.location = allocation(0, 0x10000);
    m->refcount_table.location = allocation(0x10000, 0x10000);
    m->refcount_table.has_refcount_blocks = true;
    *qapi_append_Qcow2Allocation(&m->refcount_table.refcount_blocks) = allocation(0x20000, 0x10000);
    m->active_l1.name = g_strdup("L1 active table");
    m->active_l1.location = allocation(0x30000, n * 8);
    for (unsigned i = 0; i < n; i++) {
        *qapi_append_Qcow2Allocation(&m->active_l1.l2_list) = allocation(0x40000 + i * 0x20000, 0x10000);
    }
    return m;
}

static char *squeezed(const char *line)
{
    g_auto(GStrv) words = g_strsplit_set(line, " ", -1);
    g_autoptr(GString) text = g_string_new(NULL);

    for (char **word = words; *word; word++) {
        if (**word) {
            g_string_append_printf(text, "%s%s", text->len ? " " : "", *word);
        }
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The lines that are printed for @m, blanks squeezed; every one fits 80 columns unless @unfolded. */
static GStrv printed_lines(const Qcow2Metadata *m, bool unfolded)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    GStrv lines;

    print_viscera_text(out, m, unfolded);
    fclose(out);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        char *short_line = squeezed(*line);

        g_assert_true(unfolded || g_utf8_strlen(*line, -1) <= 80);
        g_free(*line);
        *line = short_line;
    }
    free(text);
    return lines;
}

static unsigned lines_with(char **lines, const char *part)
{
    unsigned n = 0;

    for (char **line = lines; *line; line++) {
        n += strstr(*line, part) != NULL;
    }
    return n;
}

static void expect_line(char **lines, const char *expected)
{
    g_test_message("line '%s'", expected);
    g_assert_true(g_strv_contains((const char *const *)lines, expected));
}

/* Header, refcount structures and active tree are always there. */
static void test_plain(void)
{
    g_autoptr(Qcow2Metadata) m = metadata(2);
    g_auto(GStrv) lines = printed_lines(m, false);

    expect_line(lines, "0x0 65536 header, version 3");
    expect_line(lines, "0x10000 65536 refcount table");
    expect_line(lines, "0x20000 65536 refcount block");
    expect_line(lines, "0x30000 16 L1 table \"L1 active table\"");
    expect_line(lines, "0x40000 65536 L2 table");
    expect_line(lines, "0x60000 65536 L2 table");
}

/* A long list is one line with its number, its first offset, its bytes and its end; unfolded it is all lines. */
static void test_folding(void)
{
    g_autoptr(Qcow2Metadata) m = metadata(1000);
    g_auto(GStrv) folded = printed_lines(m, false);
    g_auto(GStrv) unfolded = printed_lines(m, true);

    g_assert_cmpuint(lines_with(folded, "L2 table"), ==, 1);
    /* the last one begins at 0x40000 + 999 * 0x20000 = 0x7d20000 */
    expect_line(folded, "0x40000 65536000 1000 L2 tables, up to 0x7d30000");
    g_assert_cmpuint(lines_with(unfolded, "L2 table"), ==, 1000);
    expect_line(unfolded, "0x7d20000 65536 L2 table");
}

/* What is damaged may name any offset: the end of a list does not wrap. */
static void test_hostile_offsets(void)
{
    g_autoptr(Qcow2Metadata) m = metadata(10);
    m->active_l1.l2_list.items[3].offset = UINT64_MAX - 511;
    g_auto(GStrv) lines = printed_lines(m, false);

    expect_line(lines, "0x40000 655360 10 L2 tables, up to 0xffffffffffffffff");
}

/* Snapshots have their names, from which nothing reaches the terminal that could steer it. */
static void test_snapshots(void)
{
    g_autoptr(Qcow2Metadata) m = metadata(0);
    Qcow2L1Table *l1;

    m->snapshot_table = g_new0(Qcow2SnapshotsTable, 1);
    m->snapshot_table->location = allocation(0x90000, 100);
    l1 = qapi_append_Qcow2L1Table(&m->snapshot_table->l1_list);
    l1->name = g_strdup("a\x1b[2J\"");
    l1->location = allocation(0xa0000, 8);
    g_auto(GStrv) lines = printed_lines(m, true);

    expect_line(lines, "0x90000 100 snapshot table, number of snapshots: 1");
    expect_line(lines, "0xa0000 8 L1 table of snapshot \"a\\x1b[2J\\\"\"");
}

/* Bitmaps show their tables, and where the data lies. */
static void test_bitmaps(void)
{
    g_autoptr(Qcow2Metadata) m = metadata(0);
    Qcow2BitmapDirectoryEntry *entry;
    Qcow2BitmapTblEntry *slot;

    m->bitmaps = g_new0(Qcow2Bitmaps, 1);
    m->bitmaps->nb_bitmaps = 1;
    m->bitmaps->bitmap_dir.location = allocation(0x90000, 32);
    entry = qapi_append_Qcow2BitmapDirectoryEntry(&m->bitmaps->bitmap_dir.dir_entries);
    entry->bitmap_name = g_strdup("b");
    entry->bitmap_table.location = allocation(0xa0000, 16);
    slot = qapi_append_Qcow2BitmapTblEntry(&entry->bitmap_table.table_entries);
    slot->type = QCOW2_BITMAP_TBL_ENTRY_TYPE_SERIALIZED;
    slot->cluster = g_new(Qcow2Allocation, 1);
    *slot->cluster = allocation(0xb0000, 0x10000);
    slot = qapi_append_Qcow2BitmapTblEntry(&entry->bitmap_table.table_entries);
    slot->type = QCOW2_BITMAP_TBL_ENTRY_TYPE_ALL_ONES;
    g_auto(GStrv) lines = printed_lines(m, false);

    expect_line(lines, "0x90000 32 bitmap directory, number of bitmaps: 1");
    expect_line(lines, "0xa0000 16 table of bitmap \"b\"");
    expect_line(lines, "0xb0000 65536 bitmap data");
    g_assert_cmpuint(lines_with(lines, "all-ones"), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/viscera-text/plain", test_plain);
    g_test_add_func("/viscera-text/folding", test_folding);
    g_test_add_func("/viscera-text/hostile-offsets", test_hostile_offsets);
    g_test_add_func("/viscera-text/snapshots", test_snapshots);
    g_test_add_func("/viscera-text/bitmaps", test_bitmaps);
    return g_test_run();
}
