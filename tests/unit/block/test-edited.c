/*
 * The view of a source with edits: at any time it reads as the source would if they had been made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/edited.h"

#include <string.h>

#include "block/qcow2/repair/write.h"

#define SIZE 4096

static BlockSource *base_new(void)
{
    uint8_t bytes[SIZE];

    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i / 16);
    }
    return block_source_new_writable_memory(bytes, SIZE, 4 * SIZE);
}

static void add_bytes(Edits *edits, EditPhase phase, uint64_t offset, size_t size, uint8_t value)
{
    Edit edit = {.offset = offset, .size = size, .bytes = g_malloc(size)};

    memset(edit.bytes, value, size);
    edits_add(edits, phase, &edit);
}

static bool add_key(const Edit *edit, uint8_t *bytes)
{
    for (uint64_t i = 0; i < edit->size; i++) {
        bytes[i] = (uint8_t)(bytes[i] + edit->key);
    }
    return true;
}

static void add_change(Edits *edits, EditPhase phase, uint64_t offset, uint64_t size, uint64_t key)
{
    edits_add(edits, phase, &(Edit){.offset = offset, .size = size, .change = add_key, .key = key});
}

static uint8_t byte_at(BlockSource *source, uint64_t offset)
{
    uint8_t byte;

    g_assert_cmpint(block_source_read(source, &byte, 1, offset), ==, 0);
    return byte;
}

/* Bytes, a copy, and a change of a part that is read in part only. */
static void test_kinds(void)
{
    g_autoptr(BlockSource) base = base_new();
    g_autoptr(Edits) edits = edits_new();
    g_autoptr(BlockSource) view = NULL;

    add_bytes(edits, EDIT_PHASE_RAISE, 100, 8, 0xee);
    edits_add(edits, EDIT_PHASE_FREE_SPACE, &(Edit){.offset = SIZE + 8, .size = 32, .copies = true, .from = 320});
    add_change(edits, EDIT_PHASE_SWITCH, 512, 512, 3);
    edits_end_pass(edits);
    view = block_source_new_edited(base, edits);
    g_assert_cmpuint(view->length, ==, SIZE + 40);
    g_assert_cmphex(byte_at(view, 99), ==, 6);
    g_assert_cmphex(byte_at(view, 100), ==, 0xee);
    g_assert_cmphex(byte_at(view, 108), ==, 6);
    g_assert_cmphex(byte_at(view, SIZE + 7), ==, 0);
    g_assert_cmphex(byte_at(view, SIZE + 8), ==, 20);
    g_assert_cmphex(byte_at(view, SIZE + 39), ==, 21);
    g_assert_cmphex(byte_at(view, 511), ==, 31);
    g_assert_cmphex(byte_at(view, 600), ==, 37 + 3);
    g_assert_cmphex(byte_at(view, 1024), ==, 64);
}

/* Edits of the same bytes are laid over one another in their order; a copy has those that were before it. */
static void test_order(void)
{
    g_autoptr(BlockSource) base = base_new();
    g_autoptr(Edits) edits = edits_new();
    g_autoptr(BlockSource) view = NULL;

    add_change(edits, EDIT_PHASE_LOWER, 0, 64, 1);
    add_bytes(edits, EDIT_PHASE_RAISE, 32, 64, 0x40);
    edits_end_pass(edits);
    edits_add(edits, EDIT_PHASE_FREE_SPACE, &(Edit){.offset = SIZE, .size = 64, .copies = true, .from = 16});
    add_change(edits, EDIT_PHASE_SWITCH, 16, 64, 2);
    edits_end_pass(edits);
    view = block_source_new_edited(base, edits);
    g_assert_cmphex(byte_at(view, 0), ==, 0 + 1);
    g_assert_cmphex(byte_at(view, 16), ==, 1 + 1 + 2);
    g_assert_cmphex(byte_at(view, 32), ==, 0x40 + 1 + 2);
    g_assert_cmphex(byte_at(view, 64), ==, 0x40 + 2);
    g_assert_cmphex(byte_at(view, 80), ==, 0x40);
    g_assert_cmphex(byte_at(view, SIZE), ==, 1 + 1);
    g_assert_cmphex(byte_at(view, SIZE + 16), ==, 0x40 + 1);
}

static bool set_one(const Edit *edit, uint8_t *bytes)
{
    bytes[edit->key] = 0xee;
    return true;
}

/* A change beyond the end of the file writes the sectors that differ, and the view ends where the file then does. */
static void test_length(void)
{
    static const struct {
        uint64_t offset, size, key, length;
    } cases[] = {
        {SIZE - 512, 2048, 0, SIZE},
        {SIZE - 512, 2048, 512, SIZE + 512},
        {SIZE - 512, 2048, 2047, SIZE + 1536},
        {SIZE - 100, 700, 699, SIZE + 600},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(BlockSource) base = base_new();
        g_autoptr(Edits) edits = edits_new();
        g_autoptr(BlockSource) view = NULL;

        edits_add(edits, EDIT_PHASE_RAISE,
                  &(Edit){.offset = cases[i].offset, .size = cases[i].size, .change = set_one, .key = cases[i].key});
        edits_end_pass(edits);
        view = block_source_new_edited(base, edits);
        g_assert_cmpuint(view->length, ==, cases[i].length);
        g_assert_true(edits_apply(edits, base, NULL));
        g_assert_cmpuint(base->length, ==, cases[i].length);
    }
}

/* Edits that come later are not seen. */
static void test_later(void)
{
    g_autoptr(BlockSource) base = base_new();
    g_autoptr(Edits) edits = edits_new();
    g_autoptr(BlockSource) view = NULL;

    add_bytes(edits, EDIT_PHASE_RAISE, 0, 8, 0xee);
    edits_end_pass(edits);
    view = block_source_new_edited(base, edits);
    for (unsigned i = 0; i < 1000; i++) {
        add_bytes(edits, EDIT_PHASE_RAISE, 8 * i, 8, 0x11);
    }
    edits_end_pass(edits);
    g_assert_cmphex(byte_at(view, 0), ==, 0xee);
    g_assert_cmphex(byte_at(view, 8), ==, 0);
    g_assert_cmpuint(view->length, ==, SIZE);
}

/* The bytes before and after an edit are those that are there when it is its turn. */
static void test_before_and_after(void)
{
    g_autoptr(BlockSource) base = base_new();
    g_autoptr(Edits) edits = edits_new();
    g_autoptr(BlockSource) view = NULL;
    uint8_t before[32], after[32];

    for (unsigned i = 0; i < 3; i++) {
        add_change(edits, EDIT_PHASE_RAISE, 16 * i, 32, 0x10);
    }
    edits_end_pass(edits);
    view = block_source_new_edited(base, edits);
    g_assert_cmpint(block_source_edited_bytes(view, 1, before, after), ==, 0);
    g_assert_cmphex(before[0], ==, 0x11);
    g_assert_cmphex(before[16], ==, 2);
    g_assert_cmphex(after[0], ==, 0x21);
    g_assert_cmphex(after[16], ==, 0x12);
}

/* Whatever the edits are, the view reads as the source does when they have been made. */
static void test_random(void)
{
    for (unsigned round = 0; round < 300; round++) {
        g_autoptr(BlockSource) base = base_new();
        g_autoptr(Edits) edits = edits_new();
        g_autoptr(BlockSource) view = NULL;
        g_autofree uint8_t *expected = g_malloc(2 * SIZE);

        for (unsigned i = 0, n = g_test_rand_int_range(1, 40); i < n; i++) {
            uint64_t offset = g_test_rand_int_range(0, SIZE), size = g_test_rand_int_range(1, 300);

            if (g_test_rand_bit()) {
                add_bytes(edits, EDIT_PHASE_RAISE + i % 3, offset, size, (uint8_t)i);
            } else {
                add_change(edits, EDIT_PHASE_RAISE + i % 3, offset, size, i + 1);
            }
            if (i % 5 == 0) {
                edits_end_pass(edits);
            }
        }
        edits_end_pass(edits);
        view = block_source_new_edited(base, edits);
        for (uint64_t at = 0; at < 2 * SIZE;) {
            uint64_t size = g_test_rand_int_range(1, 1000);

            size = MIN(size, 2 * SIZE - at);
            g_assert_cmpint(block_source_read(view, expected + at, size, at), ==, 0);
            at += size;
        }
        edits_apply(edits, base, NULL);
        g_assert_cmpuint(base->length, ==, view->length);
        g_assert_cmpmem(block_source_memory_bytes(base), (int)base->length, expected, (int)base->length);
    }
}

static uint64_t data_from(BlockSource *source, uint64_t offset)
{
    return offset < 1024 ? offset : source->length;
}

static uint64_t hole_from(BlockSource *source, uint64_t offset)
{
    return MAX(offset, 1024);
}

static ssize_t read_zeros(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    memset(buffer, 0, size);
    return size;
}

/* Where the source has a hole there is data once an edit writes there. */
static void test_holes(void)
{
    static const BlockSourceOps ops = {.read_at = read_zeros, .next_data = data_from, .next_hole = hole_from};
    BlockSource base = {.ops = &ops, .length = SIZE};
    g_autoptr(Edits) edits = edits_new();
    g_autoptr(BlockSource) view = NULL;

    add_bytes(edits, EDIT_PHASE_RAISE, 2000, 8, 1);
    add_bytes(edits, EDIT_PHASE_RAISE, 2008, 8, 1);
    add_bytes(edits, EDIT_PHASE_RAISE, SIZE + 100, 8, 1);
    edits_end_pass(edits);
    view = block_source_new_edited(&base, edits);
    g_assert_cmpuint(view->ops->next_data(view, 10), ==, 10);
    g_assert_cmpuint(view->ops->next_data(view, 1024), ==, 2000);
    g_assert_cmpuint(view->ops->next_data(view, 2004), ==, 2004);
    g_assert_cmpuint(view->ops->next_data(view, 2016), ==, SIZE + 100);
    g_assert_cmpuint(view->ops->next_hole(view, 0), ==, 1024);
    g_assert_cmpuint(view->ops->next_hole(view, 2000), ==, 2016);
    g_assert_cmpuint(view->ops->next_hole(view, SIZE + 100), ==, SIZE + 108);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add_func("/block/edited/" #name, test_##name)
    ADD(kinds);
    ADD(order);
    ADD(length);
    ADD(later);
    ADD(before_and_after);
    ADD(random);
    ADD(holes);
    return g_test_run();
}
