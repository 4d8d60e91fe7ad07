/*
 * Undo files: what a repair has done is taken back to the byte, and nothing else is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib/gstdio.h>
#include <string.h>

#include "block/undo/file.h"
#include "block/undo/format.h"
#include "block/undo/rollback.h"
#include "faults.h"

#define LENGTH 10000u  /* of the image, no multiple of a sector */
#define LIMIT  1000000 /* of any source here, bytes */

typedef struct Fixture {
    uint8_t original[LENGTH];
    BlockSource *image;
    BlockSource *file;
    UndoFile *undo;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    for (size_t i = 0; i < LENGTH; i++) {
        f->original[i] = (uint8_t)(i * 7 + i / 256);
    }
    f->image = block_source_new_writable_memory(f->original, LENGTH, LIMIT);
    f->file = block_source_new_writable_memory(NULL, 0, LIMIT);
    f->undo = undo_file_new(f->file, "memory", f->image, NULL);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    undo_file_free(f->undo);
    block_source_close(f->image);
    block_source_close(f->file);
}

static void save(Fixture *f, uint64_t offset, char fill, size_t size)
{
    g_autofree char *bytes = g_malloc(size);

    memset(bytes, fill, size);
    g_assert_true(undo_file_save(f->undo, offset, bytes, size, NULL));
}

static void write_fill(Fixture *f, uint64_t offset, char fill, size_t size)
{
    g_autofree char *bytes = g_malloc(size);

    memset(bytes, fill, size);
    g_assert_cmpint(block_source_write(f->image, bytes, size, offset), ==, 0);
}

static void seal(Fixture *f)
{
    g_assert_true(undo_file_seal(f->undo, NULL));
}

static void assert_original(const Fixture *f)
{
    g_assert_cmpmem(block_source_memory_bytes(f->image), (int)f->image->length, f->original, LENGTH);
}

static void assert_rolls_back(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    undo_rollback_from(f->file, "memory", f->image, NULL, &error);
    g_assert_no_error(error);
    assert_original(f);
}

/* The rollback is refused with a text that matches @pattern, and leaves the image alone. */
static void assert_refused(Fixture *f, BlockSource *file, const char *pattern)
{
    g_autoptr(GError) error = NULL;
    g_autofree void *before = g_memdup2(block_source_memory_bytes(f->image), f->image->length);
    size_t length = f->image->length;

    g_assert_false(undo_rollback_from(file, "memory", f->image, NULL, &error));
    if (!g_pattern_match_simple(pattern, error->message)) {
        g_error("'%s' is not '%s'", error->message, pattern);
    }
    g_assert_cmpmem(block_source_memory_bytes(f->image), (int)f->image->length, before, (int)length);
}

/* What was overwritten is put back: in the header, across sectors, at the end. */
static void test_back(Fixture *f, gconstpointer data)
{
    save(f, 72, 'a', 8);
    save(f, 500, 'b', 3000);
    save(f, LENGTH - 5, 'c', 5);
    seal(f);
    write_fill(f, 72, 'a', 8);
    write_fill(f, 500, 'b', 3000);
    write_fill(f, LENGTH - 5, 'c', 5);
    assert_rolls_back(f);
    assert_rolls_back(f);
}

/* A repair that did nothing of what it was about to do is taken back too. */
static void test_not_begun(Fixture *f, gconstpointer data)
{
    save(f, 72, 'a', 8);
    seal(f);
    assert_rolls_back(f);
}

/* Any sectors of what was to be written may be there, and the others not. */
static void test_half_way(Fixture *f, gconstpointer data)
{
    save(f, 700, 'b', 1000);
    seal(f);
    write_fill(f, 1024, 'b', 512);
    assert_rolls_back(f);
    write_fill(f, 700, 'b', 324);
    write_fill(f, 1536, 'b', 164);
    assert_rolls_back(f);
}

/* A write that failed may have written the beginning of a sector; what is in the middle of one is another's. */
static void test_torn_sector(Fixture *f, gconstpointer data)
{
    save(f, 4096, 'b', 1024);
    seal(f);
    write_fill(f, 4096, 'b', 100);
    assert_rolls_back(f);
    write_fill(f, 4096, 'b', 1024);
    g_assert_cmpint(block_source_write(f->image, f->original + 4096, 100, 4096), ==, 0);
    assert_rolls_back(f);
    write_fill(f, 4106, 'b', 100);
    assert_refused(f, f->file, "*'memory': At offset 4106 the image is neither*");
}

/* A range that the repair writes twice, and differently, may be as either left it. */
static void test_twice(Fixture *f, gconstpointer data)
{
    save(f, 4096, 'a', 600);
    g_assert_true(undo_file_barrier(f->undo, NULL));
    save(f, 4100, 'b', 1000);
    seal(f);
    write_fill(f, 4096, 'a', 600);
    assert_rolls_back(f);
    write_fill(f, 4096, 'a', 600);
    write_fill(f, 4100, 'b', 1000);
    assert_rolls_back(f);
    write_fill(f, 4608, 'b', 492); /* the second write, and of the first nothing */
    assert_rolls_back(f);
    write_fill(f, 4500, 'c', 1);
    assert_refused(f, f->file, "*At offset 4500 the image is neither*");
}

/* Bytes that were not known beforehand may be anything. */
static void test_unknown(Fixture *f, gconstpointer data)
{
    g_assert_true(undo_file_save(f->undo, 5000, NULL, 100, NULL));
    seal(f);
    write_fill(f, 5000, 'x', 33);
    assert_rolls_back(f);
}

/* An image that became longer is cut again, whether it came to its new length or not. */
static void test_longer(Fixture *f, gconstpointer data)
{
    static const size_t lengths[] = {LENGTH, LENGTH + 1, LENGTH + 2000, LENGTH + 5000};

    save(f, LENGTH - 100, 'a', 2000);
    g_assert_true(undo_file_length(f->undo, LENGTH + 5000, NULL));
    seal(f);
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_assert_cmpint(block_source_truncate(f->image, lengths[i]), ==, 0);
        assert_rolls_back(f);
    }
    g_assert_cmpint(block_source_truncate(f->image, LENGTH + 5000), ==, 0);
    write_fill(f, LENGTH - 100, 'a', 2000);
    assert_rolls_back(f);
}

/* A rollback that was interrupted before it cut the image leaves the old bytes up to the old end, and new ones behind.
 */
static void test_longer_interrupted(Fixture *f, gconstpointer data)
{
    save(f, LENGTH - 100, 'a', 200);
    seal(f);
    write_fill(f, LENGTH - 100, 'a', 200);
    g_assert_cmpint(block_source_write(f->image, f->original + LENGTH - 100, 100, LENGTH - 100), ==, 0);
    assert_rolls_back(f);
}

/* Writing behind the end is enough: the length need not be told. */
static void test_longer_untold(Fixture *f, gconstpointer data)
{
    save(f, LENGTH + 50, 'a', 100);
    seal(f);
    write_fill(f, LENGTH + 50, 'a', 100);
    g_assert_cmpuint(f->image->length, ==, LENGTH + 150);
    assert_rolls_back(f);
}

/* An image that became shorter gets its end back. */
static void test_shorter(Fixture *f, gconstpointer data)
{
    g_assert_true(undo_file_length(f->undo, 4000, NULL));
    seal(f);
    g_assert_cmpint(block_source_truncate(f->image, 4000), ==, 0);
    assert_rolls_back(f);
    g_assert_cmpint(block_source_truncate(f->image, 7000), ==, 0);
    assert_rolls_back(f);
}

/* An image that somebody else made longer has something in it that the repair knows nothing of. */
static void test_grown_since(Fixture *f, gconstpointer data)
{
    save(f, 4096, 'a', 8);
    seal(f);
    g_assert_cmpint(block_source_truncate(f->image, LENGTH + 1), ==, 0);
    assert_refused(f, f->file, "*has 10001 bytes, but had 10000 before the repair and 10000 after it*");
}

/* What was written to the new end of an image by others is not cut off. */
static void test_new_end_used(Fixture *f, gconstpointer data)
{
    save(f, LENGTH, 'a', 3000);
    seal(f);
    write_fill(f, LENGTH, 'a', 3000);
    write_fill(f, LENGTH + 1000, 'g', 1);
    assert_refused(f, f->file, "*At offset 11000 the image is neither*");
}

/* Another image is not touched, though nothing of it that the repair changed differs. */
static void test_other_image(Fixture *f, gconstpointer data)
{
    save(f, 4096, 'a', 8);
    seal(f);
    write_fill(f, 100, 'o', 1);
    assert_refused(f, f->file, "*It belongs to another image*");
}

/* The image that was meant is named, with all that its name may have; a name of no length, or too long, is none. */
static void test_whose(Fixture *f, gconstpointer data)
{
    g_autofree char *longer = g_strnfill(5000, 'x');

    g_assert_true(undo_file_name_image(f->undo, "/vm/first", NULL));
    g_assert_true(undo_file_name_image(f->undo, "/vm/a\x1b[1m\n.qcow2", NULL));
    save(f, 4096, 'a', 8);
    seal(f);
    assert_rolls_back(f);
    write_fill(f, 100, 'o', 1);
    assert_refused(f, f->file, "*changed since the repair. It was made by a repair of '/vm/a\\x1b[1m\\x0a.qcow2'");
    undo_file_free(f->undo);
    g_assert_cmpint(block_source_truncate(f->file, 0), ==, 0);
    f->undo = undo_file_new(f->file, "memory", f->image, NULL);
    g_assert_true(undo_file_name_image(f->undo, "", NULL));
    g_assert_true(undo_file_name_image(f->undo, longer, NULL));
    seal(f);
    write_fill(f, 100, 'p', 1);
    longer[UNDO_NAME_SIZE] = '\0';
    g_autofree char *pattern = g_strdup_printf("*repair of '%s'", longer);
    assert_refused(f, f->file, pattern);
}

/* A file that was cut is refused, wherever. */
static void test_cut(Fixture *f, gconstpointer data)
{
    save(f, 4096, 'a', 40);
    g_assert_true(undo_file_barrier(f->undo, NULL));
    save(f, LENGTH - 10, 'b', 40);
    seal(f);
    write_fill(f, 4096, 'a', 40);
    for (size_t length = 0; length < f->file->length; length++) {
        g_autoptr(BlockSource) cut = block_source_new_memory(block_source_memory_bytes(f->file), length);

        assert_refused(f, cut, "Could not use undo file 'memory': It ends too early*");
    }
    assert_rolls_back(f);
}

/* A file in which a bit was turned is refused, wherever; so is one that goes on behind its end. */
static void test_flipped(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *bytes = NULL;

    save(f, 4096, 'a', 40);
    seal(f);
    write_fill(f, 4096, 'a', 40);
    bytes = g_malloc0(f->file->length + 1);
    memcpy(bytes, block_source_memory_bytes(f->file), f->file->length);
    for (size_t i = 0; i < f->file->length; i++) {
        g_autoptr(BlockSource) flipped = block_source_new_memory(bytes, f->file->length);

        bytes[i] ^= 1 << i % 8;
        assert_refused(f, flipped, "Could not use undo file 'memory': It *");
        bytes[i] ^= 1 << i % 8;
    }
    g_autoptr(BlockSource) longer = block_source_new_memory(bytes, f->file->length + 1);
    assert_refused(f, longer, "*It is damaged: something follows its end");
}

/* Where a part of the file cannot be read nothing is put back, whatever part that is. */
static void test_unreadable_file(Fixture *f, gconstpointer data)
{
    save(f, 4096, 'a', 3000);
    g_assert_true(undo_file_barrier(f->undo, NULL));
    save(f, 5000, 'b', 3000);
    g_assert_true(undo_file_length(f->undo, LENGTH - 100, NULL));
    seal(f);
    write_fill(f, 4096, 'a', 100);
    for (uint64_t bad = 0; bad < f->file->length; bad += 40) {
        FaultySource file = faulty_source(block_source_memory_bytes(f->file), f->file->length, bad, 1);

        assert_refused(f, &file.base, "*Input/output error*");
    }
    assert_rolls_back(f);
}

/* Nor where the image cannot be read: its beginning, by which it is known, and what the repair has changed. */
static void test_unreadable_image(Fixture *f, gconstpointer data)
{
    save(f, 6000, 'a', 500);
    seal(f);
    for (uint64_t bad = 0; bad < LENGTH; bad += 100) {
        FaultySource image = faulty_source(f->original, LENGTH, bad, 1);
        g_autoptr(GError) error = NULL;
        bool done = undo_rollback_from(f->file, "memory", &image.base, NULL, &error);
        bool wanted = bad < UNDO_IDENTITY_SIZE || (bad >= 6000 && bad < 6500);

        g_assert_true(!done || !wanted);
        g_assert_true(done || g_pattern_match_simple("*Input/output error*", error->message));
    }
}

/* What no image can have is not saved. */
static void test_beyond(Fixture *f, gconstpointer data)
{
    static const uint64_t offsets[] = {BLOCK_SOURCE_MAX_LENGTH, UINT64_MAX};

    for (size_t i = 0; i < G_N_ELEMENTS(offsets); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(undo_file_save(f->undo, offsets[i], "a", 1, &error));
        g_assert_error(error, BLOCK_ERROR, EFBIG);
    }
}

/* A file of another version is not taken for one that is damaged. */
static void test_version(Fixture *f, gconstpointer data)
{
    UndoHeader header;
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    gsize size = UNDO_DIGEST_SIZE;

    seal(f);
    memcpy(&header, block_source_memory_bytes(f->file), sizeof(header));
    header.version = GUINT32_TO_BE(UNDO_VERSION + 1);
    g_checksum_update(checksum, (const guchar *)&header, offsetof(UndoHeader, digest));
    g_checksum_get_digest(checksum, header.digest, &size);
    block_source_write(f->file, &header, sizeof(header), 0);
    assert_refused(f, f->file, "*It is of a version that this program does not know");
}

/* Writes a record with a right checksum over the end record of the file. */
static void forge(Fixture *f, UndoRecord record)
{
    size_t position = f->file->length - sizeof(UndoRecord) - UNDO_DIGEST_SIZE;
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t digest[UNDO_DIGEST_SIZE];
    gsize size = sizeof(digest);

    record = (UndoRecord){GUINT32_TO_BE(record.type), GUINT32_TO_BE(record.flags), GUINT64_TO_BE(record.offset),
                          GUINT64_TO_BE(record.size)};
    g_checksum_update(checksum, block_source_memory_bytes(f->file) + position - sizeof(digest), sizeof(digest));
    g_checksum_update(checksum, (const guchar *)&record, sizeof(record));
    g_checksum_get_digest(checksum, digest, &size);
    block_source_write(f->file, &record, sizeof(record), position);
    block_source_write(f->file, digest, sizeof(digest), position + sizeof(record));
}

/* Records that were made by hand claim what they like: neither memory nor time is spent on it. */
static void test_forged(Fixture *f, gconstpointer data)
{
    static const struct {
        UndoRecord record;
        const char *pattern;
    } cases[] = {
        {{UNDO_RECORD_RANGE, 0, 4096, 0}, "*It names a range that no image has"},
        {{UNDO_RECORD_RANGE, 0, 4096, UINT64_MAX}, "*It names a range that no image has"},
        {{UNDO_RECORD_RANGE, 0, UINT64_MAX, 1}, "*It names a range that no image has"},
        {{UNDO_RECORD_RANGE, 6, 4096, 1}, "*It names a range that no image has"},
        {{UNDO_RECORD_RANGE, 0, 0, LENGTH}, "*It ends too early*"},
        {{UNDO_RECORD_RANGE, UNDO_FLAG_NEW, LENGTH, UINT64_C(1) << 62}, "*It ends too early*"},
        {{UNDO_RECORD_RANGE, 0, LENGTH, UINT64_C(1) << 62}, "*It ends too early*"},
        {{UNDO_RECORD_LENGTH, 0, UINT64_MAX, 0}, "*It ends too early*"},
        {{UNDO_RECORD_END, 0, 7, 0}, "*the number of its records is wrong"},
        {{UNDO_RECORD_NAME, 0, 0, 0}, "*It has a name that no image has"},
        {{UNDO_RECORD_NAME, 0, 0, UNDO_NAME_SIZE + 1}, "*It has a name that no image has"},
        {{UNDO_RECORD_NAME, 1, 0, 1}, "*It has a name that no image has"},
        {{UNDO_RECORD_NAME, 0, 0, UNDO_NAME_SIZE}, "*It ends too early*"},
        {{99, 0, 0, 0}, "*It has a record that this program does not know"},
    };

    save(f, 4096, 'a', 40);
    seal(f);
    write_fill(f, 4096, 'a', 40);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        forge(f, cases[i].record);
        assert_refused(f, f->file, cases[i].pattern);
    }
}

/* What will be done is told before, in the order of the image. */
static void test_told(Fixture *f, gconstpointer data)
{
    g_autofree char *text = NULL;
    size_t size;
    FILE *say = open_memstream(&text, &size);

    save(f, 5000, 'b', 10);
    save(f, 4096, 'a', 40);
    save(f, LENGTH, 'c', 40);
    seal(f);
    write_fill(f, 4096, 'a', 40);
    write_fill(f, 5000, 'b', 10);
    write_fill(f, LENGTH, 'c', 40);
    g_assert_true(undo_rollback_from(f->file, "memory", f->image, say, NULL));
    g_assert_true(undo_rollback_from(f->file, "memory", f->image, say, NULL));
    fclose(say);
    g_assert_cmpstr(text, ==,
                    "Putting back 40 bytes at offset 4096\n"
                    "Putting back 10 bytes at offset 5000\n"
                    "Setting the length from 10040 to 10000 bytes\n"
                    "Bytes that differ from what was there before the repair: 50\n"
                    "The image is as it was before the repair; nothing is to be put back.\n");
}

/* A file of this name is never replaced; one that was not completed is removed. */
static void test_names(Fixture *f, gconstpointer data)
{
    g_autofree char *folder = g_dir_make_tmp("undo-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "odd\nname", NULL);
    g_autoptr(BlockSource) file = NULL;
    g_autoptr(GError) error = NULL;
    UndoFile *undo = undo_file_create(path, f->image, NULL);

    g_assert_nonnull(undo);
    undo_file_free(undo);
    g_assert_null(undo_rollback_open(path, &error));
    g_assert_true(g_pattern_match_simple("*odd\\x0aname': No such file or directory", error->message));
    g_clear_error(&error);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));

    undo = undo_file_create(path, f->image, NULL);
    g_assert_true(undo_file_save(undo, 4096, "new", 3, NULL));
    g_assert_true(undo_file_seal(undo, NULL));
    g_assert_false(undo_file_save(undo, 4096, "new", 3, NULL));
    undo_file_free(undo);
    g_assert_null(undo_file_create(path, f->image, &error));
    g_assert_true(g_pattern_match_simple("*odd\\x0aname': File exists; an undo file never replaces another file",
                                         error->message));
    write_fill(f, 4096, 'x', 1);
    g_clear_error(&error);
    file = undo_rollback_open(path, NULL);
    g_assert_nonnull(file);
    g_assert_false(undo_rollback_from(file, path, f->image, NULL, &error));
    g_assert_true(g_pattern_match_simple("*odd\\x0aname': At offset 4096*", error->message));
    g_assert_cmpint(block_source_write(f->image, "new", 3, 4096), ==, 0);
    g_assert_true(undo_rollback_from(file, path, f->image, NULL, NULL));
    assert_original(f);
    g_unlink(path);
    g_rmdir(folder);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"back", test_back},
        {"not-begun", test_not_begun},
        {"half-way", test_half_way},
        {"torn-sector", test_torn_sector},
        {"twice", test_twice},
        {"unknown", test_unknown},
        {"longer", test_longer},
        {"longer-interrupted", test_longer_interrupted},
        {"longer-untold", test_longer_untold},
        {"shorter", test_shorter},
        {"grown-since", test_grown_since},
        {"new-end-used", test_new_end_used},
        {"other-image", test_other_image},
        {"whose", test_whose},
        {"cut", test_cut},
        {"flipped", test_flipped},
        {"unreadable-file", test_unreadable_file},
        {"unreadable-image", test_unreadable_image},
        {"beyond", test_beyond},
        {"version", test_version},
        {"forged", test_forged},
        {"told", test_told},
        {"names", test_names},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/undo-file/", tests[i].name, NULL);

        g_test_add(path, Fixture, NULL, set_up, tests[i].test, tear_down);
    }
    return g_test_run();
}
