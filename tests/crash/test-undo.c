/*
 * An undo file takes a repair back, wherever the repair, the writing of the undo file or the rollback was interrupted.
 *
 * The repair is a stand-in: random edits of random bytes, in groups with a flush behind each, that may overlap and may
 * make the image longer or shorter. CRASH_SCALE=N tries N times as much; a seed that failed is tried again with
 * --seed of the GLib test programs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "block/undo/file.h"
#include "block/undo/rollback.h"
#include "guest.h"
#include "states.h"
#include "verdict.h"

#define IMAGE     0u /* the disks */
#define UNDO      1u
#define MAX_BYTES 20000 /* of an image */
#define LIMIT     (1u << 20)
#define GROUPS    3
#define MAX_EDITS 4 /* in a group */

typedef struct StandIn {
    CrashJournal *journal;
    GByteArray *original;
    GByteArray *nothing;
    BlockSource *image;
    BlockSource *file; /* of the undo file */
    GRand *random;
    GHashTable *known; /* images that are well after a rollback, by an undo file */

    /* the edits of the repair */
    struct {
        uint64_t offset;
        size_t size;
        bool unknown; /* to the undo file */
        uint8_t bytes[3000];
    } edits[GROUPS][MAX_EDITS];
    unsigned n[GROUPS];
    uint64_t new_length;
} StandIn;

static void fill(GRand *random, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)g_rand_int(random);
    }
}

static size_t below(StandIn *s, size_t limit)
{
    return g_rand_int_range(s->random, 0, (int)limit);
}

static void invent_edits(StandIn *s)
{
    size_t length = s->original->len;

    s->new_length = length;
    for (unsigned g = 0; g < GROUPS; g++) {
        s->n[g] = 1 + (unsigned)below(s, MAX_EDITS);
        for (unsigned i = 0; i < s->n[g]; i++) {
            size_t size = 1 + (below(s, 3) ? below(s, 40) : below(s, sizeof(s->edits[g][i].bytes)));

            s->edits[g][i].offset = below(s, 4) ? below(s, length) : below(s, 200);
            s->edits[g][i].size = size;
            s->edits[g][i].unknown = below(s, 6) == 0;
            fill(s->random, s->edits[g][i].bytes, size);
            s->new_length = MAX(s->new_length, s->edits[g][i].offset + size);
        }
    }
    if (s->new_length == length && below(s, 3) == 0) {
        s->new_length = length - below(s, length / 2);
    }
}

static StandIn *stand_in_new(guint32 seed)
{
    StandIn *s = g_new0(StandIn, 1);
    size_t length;

    s->random = g_rand_new_with_seed(seed);
    length = 1000 + below(s, MAX_BYTES);
    s->original = g_byte_array_new();
    g_byte_array_set_size(s->original, (guint)length);
    fill(s->random, s->original->data, length);
    s->nothing = g_byte_array_new();
    s->known = crash_known_new();
    s->journal = crash_journal_new();
    s->image = crash_disk_new(s->journal, IMAGE, s->original->data, length, LIMIT);
    s->file = crash_disk_new(s->journal, UNDO, NULL, 0, LIMIT);
    invent_edits(s);
    return s;
}

static void stand_in_free(StandIn *s)
{
    block_source_close(s->image);
    block_source_close(s->file);
    crash_journal_free(s->journal);
    g_byte_array_unref(s->original);
    g_byte_array_unref(s->nothing);
    g_hash_table_unref(s->known);
    g_rand_free(s->random);
    g_free(s);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StandIn, stand_in_free)

static bool save_edits(const StandIn *s, UndoFile *undo)
{
    for (unsigned g = 0; g < GROUPS; g++) {
        for (unsigned i = 0; i < s->n[g]; i++) {
            if (!undo_file_save(undo, s->edits[g][i].offset, s->edits[g][i].unknown ? NULL : s->edits[g][i].bytes,
                                s->edits[g][i].size, NULL)) {
                return false;
            }
        }
        if (!undo_file_barrier(undo, NULL)) {
            return false;
        }
    }
    return s->new_length == s->original->len || undo_file_length(undo, s->new_length, NULL);
}

/* Writes the undo file, and then makes the edits. False where something failed. */
static bool repair(StandIn *s)
{
    g_autoptr(UndoFile) undo = undo_file_new(s->file, "undo", s->image, NULL);

    if (!undo || !save_edits(s, undo) || !undo_file_seal(undo, NULL)) {
        return false;
    }
    for (unsigned g = 0; g < GROUPS; g++) {
        for (unsigned i = 0; i < s->n[g]; i++) {
            if (block_source_write(s->image, s->edits[g][i].bytes, s->edits[g][i].size, s->edits[g][i].offset) != 0) {
                return false;
            }
        }
        if (block_source_flush(s->image) != 0) {
            return false;
        }
    }
    return block_source_truncate(s->image, s->new_length) == 0 && block_source_flush(s->image) == 0;
}

static bool is_original(const StandIn *s, const uint8_t *bytes, uint64_t length)
{
    return length == s->original->len && memcmp(bytes, s->original->data, length) == 0;
}

/* Rolls back on a disk that has @image, by an undo file that has @undo. What is done is put in @journal. */
static BlockSource *roll_back(CrashJournal *journal, const GByteArray *image, const uint8_t *undo, size_t undo_size,
                              GError **errp)
{
    BlockSource *disk = crash_disk_new(journal, IMAGE, image->data, image->len, LIMIT);
    g_autoptr(BlockSource) file = block_source_new_memory(undo, undo_size);

    if (undo_rollback_from(file, "undo", disk, NULL, errp)) {
        return disk;
    }
    block_source_close(disk);
    return NULL;
}

typedef struct Judge {
    StandIn *s;
    const GByteArray *undo; /* NULL: that of the state */
    uint64_t undo_digest;
    guint32 seed;
    const CrashPlan *nested; /* crashes of the rollback itself; NULL: they are not tried */
} Judge;

/* A state while a rollback was made: rolling back again gives the original. */
static bool judge_again(const CrashState *state, void *opaque)
{
    const Judge *judge = opaque;
    const GByteArray *before = state->disks[IMAGE];
    uint64_t digest = guest_digest(judge->undo_digest, before->data, before->len);
    g_autoptr(CrashJournal) journal = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockSource) image = NULL;

    if (crash_known(judge->s->known, digest)) {
        return true;
    }
    journal = crash_journal_new();
    image = roll_back(journal, before, judge->undo->data, judge->undo->len, &error);
    if (!image || !is_original(judge->s, crash_disk_bytes(image), (guint)image->length)) {
        g_test_message("seed %u, a second rollback after operation %u, parts %s: %s", judge->seed, state->done,
                       state->parts, error ? error->message : "not the original");
        return false;
    }
    crash_know(judge->s->known, digest);
    return true;
}

static bool judge_crashes_of_rollback(const Judge *judge, const CrashJournal *journal, const GByteArray *before,
                                      const GByteArray *undo)
{
    const GByteArray *initial[CRASH_DISKS] = {before};
    Judge again = {
        .s = judge->s, .undo = undo, .undo_digest = guest_digest(1, undo->data, undo->len), .seed = judge->seed};
    bool ended;

    crash_states(journal, initial, judge->nested, judge_again, &again, &ended);
    return !ended;
}

/*
 * A state while the undo file was written, or the repair was made: a rollback gives the original, or the undo file is
 * not complete and the image has not been touched.
 */
static bool judge_state(const CrashState *state, void *opaque)
{
    const Judge *judge = opaque;
    const GByteArray *before = state->disks[IMAGE];
    const GByteArray *undo = state->disks[UNDO];
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockSource) image = roll_back(journal, before, undo->data, undo->len, &error);
    bool well = image ? is_original(judge->s, crash_disk_bytes(image), (guint)image->length)
                      : is_original(judge->s, before->data, before->len);

    if (!well) {
        g_test_message("seed %u, after operation %u, parts %s: %s", judge->seed, state->done, state->parts,
                       error ? error->message : "not the original");
        return false;
    }
    return !image || !judge->nested || journal->ops->len == 0 ||
           judge_crashes_of_rollback(judge, journal, before, undo);
}

/* Two ranges reach beyond the old end of the image, and of one it is not known what will be there. */
static const guint32 found_seeds[] = {1921879116, 3799994971};

/* Crashes of the undo file, of the repair, and of its rollback; what was found once, and what chance has. */
static void test_crashes(void)
{
    unsigned rounds = G_N_ELEMENTS(found_seeds) + 5 * crash_scale();
    guint64 states = 0;

    for (unsigned round = 0; round < rounds; round++) {
        guint32 seed = round < G_N_ELEMENTS(found_seeds) ? found_seeds[round] : (guint32)g_test_rand_int();
        g_autoptr(StandIn) s = stand_in_new(seed);
        CrashPlan nested = {.max_exhaustive = 3, .samples = 2, .random = s->random};
        CrashPlan plan = {.max_exhaustive = 8, .samples = 20, .random = s->random};
        Judge judge = {.s = s, .seed = seed, .nested = &nested};
        const GByteArray *initial[CRASH_DISKS] = {s->original, s->nothing};
        bool ended;

        g_assert_true(repair(s));
        states += crash_states(s->journal, initial, &plan, judge_state, &judge, &ended);
        g_assert_false(ended);
    }
    g_test_message("%" G_GUINT64_FORMAT " states", states);
}

/* Nothing is written to the image before the undo file is complete and flushed. */
static void test_order(void)
{
    g_autoptr(StandIn) s = stand_in_new(1);
    bool pending = false;

    g_assert_true(repair(s));
    for (guint i = 0; i < s->journal->ops->len; i++) {
        const CrashOp *op = &g_array_index(s->journal->ops, CrashOp, i);

        if (op->disk == UNDO) {
            pending = op->kind != CRASH_FLUSH;
        } else {
            g_assert_false(pending);
        }
    }
}

static const CrashFault faults[] = {
    {.error = -EIO}, {.error = -ENOSPC, .half_a_write = true}, {.error = 0} /* a short write */};

/* Rolls back what a repair left that failed, without any fault now. */
static void assert_taken_back(const StandIn *s)
{
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(GByteArray) image = g_byte_array_new();
    g_autoptr(BlockSource) after = NULL;

    g_byte_array_append(image, crash_disk_bytes(s->image), (guint)s->image->length);
    if (is_original(s, image->data, image->len)) {
        return;
    }
    after = roll_back(journal, image, crash_disk_bytes(s->file), s->file->length, NULL);
    g_assert_nonnull(after);
    g_assert_true(is_original(s, crash_disk_bytes(after), after->length));
}

/* Each request of the undo file and of the repair fails once: what was done can be taken back. */
static void test_faults(void)
{
    guint32 seed = g_test_rand_int();
    g_autoptr(StandIn) whole = stand_in_new(seed);

    g_assert_true(repair(whole));
    for (size_t f = 0; f < G_N_ELEMENTS(faults); f++) {
        for (guint at = 1; at <= whole->journal->requests; at++) {
            g_autoptr(StandIn) s = stand_in_new(seed);
            bool repaired;

            s->journal->fault = faults[f];
            s->journal->fault.at = at;
            repaired = repair(s);
            g_assert_true(repaired == (faults[f].error == 0));
            assert_taken_back(s);
        }
    }
}

/* Each request of a rollback fails once: it says so, and is done again. */
static void test_faults_of_rollback(void)
{
    guint32 seed = g_test_rand_int();
    g_autoptr(StandIn) s = stand_in_new(seed);
    g_autoptr(CrashJournal) whole = crash_journal_new();
    g_autoptr(GByteArray) repaired = g_byte_array_new();
    const uint8_t *undo;

    g_assert_true(repair(s));
    g_byte_array_append(repaired, crash_disk_bytes(s->image), (guint)s->image->length);
    undo = crash_disk_bytes(s->file);
    block_source_close(roll_back(whole, repaired, undo, s->file->length, NULL));
    for (size_t f = 0; f < G_N_ELEMENTS(faults); f++) {
        for (guint at = 1; at <= whole->requests; at++) {
            g_autoptr(CrashJournal) journal = crash_journal_new();
            g_autoptr(BlockSource) image = crash_disk_new(journal, IMAGE, repaired->data, repaired->len, LIMIT);
            g_autoptr(BlockSource) file = block_source_new_memory(undo, s->file->length);
            g_autoptr(BlockSource) again = NULL;
            g_autoptr(GByteArray) left = g_byte_array_new();
            g_autoptr(GError) error = NULL;

            journal->fault = faults[f];
            journal->fault.at = at;
            undo_rollback_from(file, "undo", image, NULL, &error);
            g_assert_true((error == NULL) == (faults[f].error == 0));
            g_assert_true(error == NULL || error->code == -faults[f].error);
            journal->fault.at = 0;
            g_byte_array_append(left, crash_disk_bytes(image), (guint)image->length);
            again = roll_back(journal, left, undo, s->file->length, NULL);
            g_assert_nonnull(again);
            g_assert_true(is_original(s, crash_disk_bytes(again), again->length));
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crash/undo/order", test_order);
    g_test_add_func("/crash/undo/crashes", test_crashes);
    g_test_add_func("/crash/undo/faults", test_faults);
    g_test_add_func("/crash/undo/faults-of-rollback", test_faults_of_rollback);
    return g_test_run();
}
