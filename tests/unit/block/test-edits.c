/*
 * A repair as a list of edits: in which order they are made, and what is saved before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/write.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/undo/reader.h"
#include "block/undo/rollback.h"

#define SIZE  4096
#define LIMIT 8192

/* A source that writes down what is done to it. */
typedef struct Recorder {
    BlockSource base;
    BlockSource *below;
    GString *log;
    int fail_at; /* the write that fails, counted from 1; 0: none */
    int writes;
} Recorder;

static ssize_t recorder_read(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    Recorder *r = (Recorder *)source;

    return block_source_read(r->below, buffer, size, offset) ? -EIO : (ssize_t)size;
}

static ssize_t recorder_write(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    Recorder *r = (Recorder *)source;

    if (++r->writes == r->fail_at) {
        return -ENOSPC;
    }
    g_string_append_printf(r->log, "write %" PRIu64 "+%zu;", offset, size);
    return block_source_write(r->below, buffer, size, offset) ? -EIO : (ssize_t)size;
}

static int recorder_flush(BlockSource *source)
{
    g_string_append(((Recorder *)source)->log, "flush;");
    return 0;
}

static const BlockSourceOps recorder_ops = {
    .read_at = recorder_read,
    .write_at = recorder_write,
    .flush = recorder_flush,
};

typedef struct Fixture {
    Recorder recorder;
    Edits *edits;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    uint8_t bytes[SIZE];

    memset(bytes, 0xaa, sizeof(bytes));
    f->recorder = (Recorder){
        .base = {.ops = &recorder_ops, .length = SIZE, .writable = true},
        .below = block_source_new_writable_memory(bytes, sizeof(bytes), LIMIT),
        .log = g_string_new(NULL),
    };
    f->edits = edits_new();
}

static void tear_down(Fixture *f, gconstpointer data)
{
    edits_free(f->edits);
    block_source_close(f->recorder.below);
    g_string_free(f->recorder.log, TRUE);
}

static void add_write(Fixture *f, EditPhase phase, uint64_t offset, uint8_t value)
{
    Edit edit = {.offset = offset, .size = 8, .bytes = g_malloc(8)};

    memset(edit.bytes, value, 8);
    edits_add(f->edits, phase, &edit);
}

static void apply(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    edits_end_pass(f->edits);
    g_assert_true(edits_fill_free_space(f->edits, &f->recorder.base, &error));
    edits_apply(f->edits, &f->recorder.base, &error);
    g_assert_no_error(error);
}

static uint8_t byte_at(const Fixture *f, uint64_t offset)
{
    return block_source_memory_bytes(f->recorder.below)[offset];
}

/* Edits are made phase by phase, however they were added, with a flush behind each phase that has any. */
static void test_phases(Fixture *f, gconstpointer data)
{
    add_write(f, EDIT_PHASE_LOWER, 8, 1);
    add_write(f, EDIT_PHASE_RAISE, 16, 2);
    add_write(f, EDIT_PHASE_RAISE, 32, 3);
    add_write(f, EDIT_PHASE_FREE_SPACE, 64, 4);
    apply(f);
    g_assert_cmpstr(f->recorder.log->str, ==, "write 64+8;flush;write 16+8;write 32+8;flush;write 8+8;flush;");
    g_assert_cmpuint(byte_at(f, 8), ==, 1);
    g_assert_cmpuint(byte_at(f, 39), ==, 3);
    g_assert_cmpuint(byte_at(f, 40), ==, 0xaa);
}

/* Passes are made one after the other; but what is new, of all of them, is written before all else. */
static void test_passes(Fixture *f, gconstpointer data)
{
    add_write(f, EDIT_PHASE_LOWER, 8, 1);
    edits_end_pass(f->edits);
    add_write(f, EDIT_PHASE_SWITCH, 32, 2);
    add_write(f, EDIT_PHASE_FREE_SPACE, 64, 4);
    edits_end_pass(f->edits);
    edits_end_pass(f->edits);
    add_write(f, EDIT_PHASE_RAISE, 8, 3);
    apply(f);
    g_assert_cmpstr(f->recorder.log->str, ==, "write 64+8;flush;write 8+8;flush;write 32+8;flush;write 8+8;flush;");
    g_assert_cmpuint(byte_at(f, 8), ==, 3);
}

/* Two words of a header that passes change one after the other, one before the other in a sector, change at once. */
static void test_joined(Fixture *f, gconstpointer data)
{
    add_write(f, EDIT_PHASE_SWITCH, 520, 1);
    edits_end_pass(f->edits);
    add_write(f, EDIT_PHASE_FREE_SPACE, 64, 4);
    add_write(f, EDIT_PHASE_SWITCH, 512, 2);
    edits_end_pass(f->edits);
    add_write(f, EDIT_PHASE_SWITCH, 504, 3);
    edits_end_pass(f->edits);
    apply(f);
    g_assert_cmpstr(f->recorder.log->str, ==, "write 64+8;flush;write 512+16;flush;write 504+8;flush;");
    g_assert_cmpuint(byte_at(f, 519), ==, 2);
    g_assert_cmpuint(byte_at(f, 520), ==, 1);
}

/* Nothing to do: no flush either. */
static void test_none(Fixture *f, gconstpointer data)
{
    g_assert_cmpuint(edits_n(f->edits), ==, 0);
    apply(f);
    g_assert_cmpstr(f->recorder.log->str, ==, "");
}

static bool change_two(const Edit *edit, uint8_t *bytes)
{
    g_assert_cmpuint(bytes[600], ==, 0xaa);
    bytes[600] = 1;
    bytes[1535] = 2;
    return true;
}

/* Of a range that a function changes, only the sectors that differ are written, neighbours at once. */
static void test_change(Fixture *f, gconstpointer data)
{
    edits_add(f->edits, EDIT_PHASE_LOWER, &(Edit){.offset = 1024, .size = 2048, .change = change_two});
    apply(f);
    g_assert_cmpstr(f->recorder.log->str, ==, "write 1536+1024;flush;");
    g_assert_cmpuint(byte_at(f, 1624), ==, 1);
    g_assert_cmpuint(byte_at(f, 2559), ==, 2);
}

/* A copy has what earlier passes make of its bytes, though it is written before they are made. */
static void test_copy(Fixture *f, gconstpointer data)
{
    add_write(f, EDIT_PHASE_SWITCH, 0, 7);
    edits_end_pass(f->edits);
    edits_add(f->edits, EDIT_PHASE_FREE_SPACE, &(Edit){.offset = 2048, .size = 16, .copies = true, .from = 4});
    apply(f);
    g_assert_true(g_str_has_prefix(f->recorder.log->str, "write 2048+16;flush;write 0+8;"));
    g_assert_cmpuint(byte_at(f, 2048), ==, 7);
    g_assert_cmpuint(byte_at(f, 2051), ==, 7);
    g_assert_cmpuint(byte_at(f, 2052), ==, 0xaa);
}

/* A write that fails ends it: later edits are not touched, and the error says where. */
static void test_failure(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->recorder.fail_at = 2;
    add_write(f, EDIT_PHASE_RAISE, 8, 1);
    add_write(f, EDIT_PHASE_RAISE, 0x200, 1);
    add_write(f, EDIT_PHASE_LOWER, 16, 1);
    edits_end_pass(f->edits);
    g_assert_false(edits_apply(f->edits, &f->recorder.base, &error));
    g_assert_error(error, BLOCK_ERROR, ENOSPC);
    g_assert_nonnull(strstr(error->message, "0x200"));
    g_assert_cmpstr(f->recorder.log->str, ==, "write 8+8;");
}

/* Where what is new cannot be written, nothing else is, and the file is as long as before. */
static void test_no_room(Fixture *f, gconstpointer data)
{
    g_autoptr(BlockSource) disk = block_source_new_writable_memory(NULL, 0, SIZE);
    g_autoptr(GError) error = NULL;

    add_write(f, EDIT_PHASE_SWITCH, 0, 1);
    add_write(f, EDIT_PHASE_FREE_SPACE, SIZE - 8, 2);
    add_write(f, EDIT_PHASE_FREE_SPACE, SIZE, 3);
    edits_end_pass(f->edits);
    g_assert_false(edits_fill_free_space(f->edits, disk, &error));
    g_assert_error(error, BLOCK_ERROR, ENOSPC);
    g_assert_cmpuint(disk->length, ==, 0);
}

/* What edits of every kind write is saved before, and a rollback takes it back. */
static void test_saved(Fixture *f, gconstpointer data)
{
    g_autoptr(BlockSource) file = block_source_new_writable_memory(NULL, 0, 100000);
    g_autoptr(UndoFile) undo = undo_file_new(file, "undo", &f->recorder.base, NULL);
    g_autofree uint8_t *before = g_memdup2(block_source_memory_bytes(f->recorder.below), SIZE);

    add_write(f, EDIT_PHASE_FREE_SPACE, SIZE - 16, 7);
    edits_add(f->edits, EDIT_PHASE_FREE_SPACE, &(Edit){.offset = 0, .size = 16, .copies = true, .from = 512});
    edits_add(f->edits, EDIT_PHASE_LOWER, &(Edit){.offset = 1024, .size = 2048, .change = change_two});
    edits_end_pass(f->edits);
    g_assert_true(edits_save(f->edits, &f->recorder.base, undo, NULL));
    apply(f);
    g_assert_cmpuint(byte_at(f, 1624), ==, 1);
    g_assert_true(undo_rollback_from(file, "undo", f->recorder.below, NULL, NULL));
    g_assert_cmpmem(block_source_memory_bytes(f->recorder.below), (int)f->recorder.below->length, before, SIZE);
}

static bool add_one(const Edit *edit, uint8_t *bytes)
{
    for (uint64_t i = 0; i < edit->size; i++) {
        bytes[i]++;
    }
    return true;
}

/* What the last of @n ranges that were saved is said to become is what is there when all is done. */
static void assert_last_known(const Fixture *f, BlockSource *file, guint n)
{
    g_auto(UndoContents) contents = {0};
    g_autoptr(GError) error = NULL;
    const UndoRange *last;
    uint8_t new[100];

    undo_contents_read(&contents, file, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(contents.ranges->len, ==, n);
    for (guint i = 0; i < n; i++) {
        g_assert_true(g_array_index(contents.ranges, UndoRange, i).has_new);
    }
    last = &g_array_index(contents.ranges, UndoRange, n - 1);
    g_assert_cmpint(block_source_read(file, new, last->size, last->position + last->old_size), ==, 0);
    g_assert_cmpmem(new, (int)last->size, block_source_memory_bytes(f->recorder.below) + last->offset, (int)last->size);
}

/* An undo file knows beforehand what edits make of the same bytes one after the other. */
static void test_foreseen(Fixture *f, gconstpointer data)
{
    g_autoptr(BlockSource) file = block_source_new_writable_memory(NULL, 0, 1 << 20);
    UndoFile *undo = undo_file_new(file, "undo", &f->recorder.base, NULL);
    g_autoptr(GError) error = NULL;

    add_write(f, EDIT_PHASE_FREE_SPACE, 20, 5);
    edits_add(f->edits, EDIT_PHASE_RAISE, &(Edit){.offset = 0, .size = 24, .change = add_one});
    edits_add(f->edits, EDIT_PHASE_RAISE, &(Edit){.offset = 1000, .size = 50, .change = add_one});
    edits_add(f->edits, EDIT_PHASE_LOWER, &(Edit){.offset = 16, .size = 100, .change = add_one});
    edits_end_pass(f->edits);
    edits_save(f->edits, &f->recorder.base, undo, &error);
    g_assert_no_error(error);
    undo_file_free(undo);
    g_assert_cmpstr(f->recorder.log->str, ==, "");
    apply(f);
    assert_last_known(f, file, 4);
    g_assert_cmpuint(byte_at(f, 20), ==, 7);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add("/block/edits/" #name, Fixture, NULL, set_up, test_##name, tear_down)
    ADD(phases);
    ADD(passes);
    ADD(joined);
    ADD(none);
    ADD(change);
    ADD(copy);
    ADD(failure);
    ADD(no_room);
    ADD(saved);
    ADD(foreseen);
    return g_test_run();
}
