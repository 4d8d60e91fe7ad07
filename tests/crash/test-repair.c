/*
 * Repairs of broken images, interrupted and disturbed: nothing that a guest could read is lost.
 *
 *     test-crash-repair [--seed N] [--keep FOLDER] [--restore] IMAGE...
 *
 * Each image is repaired on a disk that keeps a journal (disk.h). Then
 * - what a guest reads, in all trees, is what it was (guest.h), and a second repair changes nothing;
 * - after a crash at any point it still is; a repair finishes there too, and leaves no more faults than the first did;
 * - when a single request or allocation fails, likewise;
 * - with an undo file, a rollback gives the original to the byte, after a crash of the repair or of the rollback too;
 * - where there is no room for the undo file, nothing is changed.
 *
 * With --keep some of the states that were repaired are put in FOLDER, for others to look at, and what failed. Prints
 * TAP. CRASH_SCALE=N tries N times as much.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/repair.h"
#include "block/undo/rollback.h"
#include "../unit/block/short-memory.h"
#include "guest.h"
#include "states.h"
#include "verdict.h"

#define IMAGE      0u /* the disks */
#define UNDO       1u
#define GROWTH     (32u << 20) /* what a repair may need more, bytes */
#define KEPT       2           /* crash states of each image for others to look at */
#define MAX_FAULTS 40          /* requests of each repair that fail, of each kind */

/* What begins the digest of an image that is repaired, and of an undo file and an image. */
enum { REPAIRED = 1, ROLLED_BACK = 2 };

static guint32 seed = 1;
static char *keep;
static gboolean restore; /* what is lost is put back by all repairs of all */
static char **images;

/* What is wrong with an image. */
typedef struct Counts {
    int64_t corruptions, leaks, errors;
    bool kept;     /* some of the leaks for the sake of a fault, or of what was lost */
    bool no_place; /* nothing was repaired, as there is no place for what must be written anew */
} Counts;

typedef struct Case {
    const char *name;
    bool all;
    GByteArray *bytes;
    GuestView *view;
    Counts left; /* by a repair that nothing disturbed */
    GRand *random;
    unsigned kept;
    char *why;  /* what failed first */
    char *note; /* why the image was not repaired */
    guint64 states;
    GHashTable *known; /* to be well: what a crash left, and that with an undo file */
} Case;

/* Returns false, having stored what failed. */
#define failed(c, ...) crash_failed(&(c)->why, __VA_ARGS__)

static bool failed_counts(Case *c, const char *when, const Counts *counts)
{
    return failed(c,
                  "%s: left are %" PRId64 " corruptions, %" PRId64 " leaks, %" PRId64 " errors; by the repair that "
                  "nothing disturbed %" PRId64 ", %" PRId64 ", %" PRId64,
                  when, counts->corruptions, counts->leaks, counts->errors, c->left.corruptions, c->left.leaks,
                  c->left.errors);
}

static void keep_bytes(const Case *c, const char *what, const uint8_t *bytes, uint64_t size)
{
    g_autofree char *name = g_strdup_printf("%s.%s", c->all ? "all" : "leaks", what);

    crash_keep(keep, c->name, name, bytes, size);
}

static Counts counts_of(const ImageCheck *check)
{
    return (Counts){.corruptions = check->corruptions, .leaks = check->leaks, .errors = check->check_errors};
}

/* False and @errp where the repair says that it failed. *@claim is what it says that is left, and whether it began. */
static bool repair(BlockSource *disk, bool all, UndoFile *undo, Counts *claim, GError **errp)
{
    Qcow2CheckOptions check = {.workers = 1};
    Qcow2RepairOptions options = {
        .all = all,
        .restore = restore && all,
        .min_evidence = IMAGE_CHECK_EVIDENCE_GUESSED,
        .undo = undo,
        .check = &check,
    };
    g_autoptr(Qcow2Image) image = qcow2_open(disk, NULL, errp);
    Qcow2RepairResult result = {0};

    if (!image || !qcow2_repair(image, &options, &result, errp)) {
        return false;
    }
    *claim = counts_of(result.check.check);
    claim->kept = result.leaks_kept;
    claim->no_place = g_error_matches(result.check.not_repaired, BLOCK_ERROR, ENOSPC);
    qcow2_repair_result_clear(&result);
    return true;
}

/* Where leaks are kept, then also those of clusters that a repair had taken when it was interrupted. */
static bool no_more(const Counts *a, const Counts *b)
{
    return a->corruptions <= b->corruptions && a->errors <= b->errors && (a->leaks <= b->leaks || a->kept);
}

/* A repair may say less good of an image than is true, as it counts what it could not do; but not better. */
static bool not_better(const Counts *claim, const Counts *truth)
{
    return truth->corruptions + truth->errors == 0 || claim->corruptions + claim->errors > 0;
}

static bool guest_unharmed(Case *c, const uint8_t *bytes, uint64_t size, const char *when)
{
    g_autoptr(GuestView) view = guest_view_new(bytes, size, restore);
    g_autofree char *difference = NULL;

    return guest_view_same(c->view, view, &difference) || failed(c, "%s: %s", when, difference);
}

static bool disk_unharmed(Case *c, const BlockSource *disk, const char *when)
{
    return guest_unharmed(c, crash_disk_bytes(disk), disk->length, when);
}

/* Repairs @disk, and finds out what is *@left. */
static bool repair_and_check(Case *c, BlockSource *disk, UndoFile *undo, Counts *left, const char *when)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ImageCheck) check = NULL;
    Counts claim;

    if (!repair(disk, c->all, undo, &claim, &error)) {
        return failed(c, "%s, the repair: %s", when, error->message);
    }
    check = crash_check(disk, &error);
    if (!check) {
        return failed(c, "%s, the check after the repair: %s", when, error->message);
    }
    *left = counts_of(check);
    if (!not_better(&claim, left)) {
        return failed(c, "%s: the repair says that all is well, a check does not", when);
    }
    left->kept = claim.kept;
    left->no_place = claim.no_place;
    return disk_unharmed(c, disk, when);
}

/*
 * A repair of what a crash or a failure left: it finishes, and leaves no more than the undisturbed one. Where something
 * is said to be not far behind the end, it may find no place, and changes nothing.
 */
static bool repairs_again(Case *c, const uint8_t *bytes, uint64_t size, const char *when)
{
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, IMAGE, bytes, size, c->bytes->len + 2 * GROWTH);
    g_autofree char *then = g_strdup_printf("%s, then a repair", when);
    Counts left;

    if (!repair_and_check(c, disk, NULL, &left, then)) {
        return false;
    }
    if (left.no_place && !c->left.no_place && size > c->bytes->len) {
        /* what was appended takes the place of what is to be: without it, as a rollback leaves the file, there is one
         */
        return repairs_again(c, bytes, c->bytes->len, then);
    }
    if (!no_more(&left, &c->left)) {
        return failed_counts(c, then, &left);
    }
    if (c->kept < KEPT && g_hash_table_size(c->known) % 10 == 4) {
        g_autofree char *what = g_strdup_printf("crashed%u", c->kept++);

        keep_bytes(c, what, crash_disk_bytes(disk), disk->length);
    }
    return true;
}

/* ---- the tests of an image ---- */

/* A repair that refuses to begin has nothing that could be interrupted: *@refused is true then. */
static bool test_whole(Case *c, CrashJournal *journal, bool *refused)
{
    g_autoptr(CrashJournal) second = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, IMAGE, c->bytes->data, c->bytes->len, c->bytes->len + GROWTH);
    g_autoptr(BlockSource) again = NULL;
    g_autoptr(GError) error = NULL;
    Counts claim;

    *refused = !repair(disk, c->all, NULL, &claim, &error);
    if (*refused) {
        c->note = g_strdup(error->message);
        return journal->ops->len == 0 || failed(c, "a repair that began: %s", error->message);
    }
    keep_bytes(c, "repaired", crash_disk_bytes(disk), disk->length);
    if (!disk_unharmed(c, disk, "repaired")) {
        return false;
    }
    again = crash_disk_new(second, IMAGE, crash_disk_bytes(disk), disk->length, disk->length + GROWTH);
    if (!repair_and_check(c, again, NULL, &c->left, "repaired once more")) {
        return false;
    }
    if (second->ops->len != 0) {
        return failed(c, "a second repair changes something (%u operations)", second->ops->len);
    }
    return not_better(&claim, &c->left) || failed_counts(c, "the repair says that all is well", &claim);
}

/* What a crash or a failure left, which many others have left too. */
static bool judge_image(Case *c, const uint8_t *bytes, uint64_t size, const char *when)
{
    uint64_t digest = guest_digest(REPAIRED, bytes, size);

    if (crash_known(c->known, digest)) {
        return true;
    }
    if (!guest_unharmed(c, bytes, size, when) || !repairs_again(c, bytes, size, when)) {
        return false;
    }
    crash_know(c->known, digest);
    return true;
}

static bool judge_crash(const CrashState *state, void *opaque)
{
    Case *c = opaque;
    const GByteArray *bytes = state->disks[IMAGE];
    g_autofree char *when = g_strdup_printf("a crash after operation %u, parts %.200s", state->done, state->parts);

    if (judge_image(c, bytes->data, bytes->len, when)) {
        return true;
    }
    keep_bytes(c, "crash-failed", bytes->data, bytes->len);
    return false;
}

static bool test_crashes(Case *c, const CrashJournal *journal)
{
    CrashPlan plan = {.max_exhaustive = 5, .samples = 6 * crash_scale(), .random = c->random};
    const GByteArray *initial[CRASH_DISKS] = {c->bytes};
    bool ended;

    c->states += crash_states(journal, initial, &plan, judge_crash, c, &ended);
    return !ended;
}

static bool test_fault(Case *c, const CrashFault *fault)
{
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, IMAGE, c->bytes->data, c->bytes->len, c->bytes->len + GROWTH);
    g_autofree char *when =
        g_strdup_printf("request %u fails (%s)", fault->at, fault->error ? g_strerror(-fault->error) : "a short write");
    g_autoptr(GError) error = NULL;
    Counts claim;

    journal->fault = *fault;
    if (!repair(disk, c->all, NULL, &claim, &error) && fault->error == 0) {
        return failed(c, "%s: %s", when, error->message);
    }
    if (judge_image(c, crash_disk_bytes(disk), disk->length, when)) {
        return true;
    }
    keep_bytes(c, "fault-failed", crash_disk_bytes(disk), disk->length);
    return false;
}

static bool test_faults(Case *c, guint requests)
{
    static const CrashFault faults[] = {{.error = -EIO}, {.error = -ENOSPC, .half_a_write = true}, {.error = 0}};
    guint step = MAX(requests / (MAX_FAULTS * crash_scale()), 1);

    for (size_t f = 0; f < G_N_ELEMENTS(faults); f++) {
        for (guint at = 1 + g_rand_int_range(c->random, 0, step); at <= requests; at += step) {
            CrashFault fault = faults[f];

            fault.at = at;
            if (!test_fault(c, &fault)) {
                return false;
            }
        }
    }
    return true;
}

static bool test_allocation(Case *c, guint at)
{
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, IMAGE, c->bytes->data, c->bytes->len, c->bytes->len + GROWTH);
    g_autofree char *when = g_strdup_printf("allocation %u fails", at);
    Counts claim;

    short_memory_begin(at, true);
    repair(disk, c->all, NULL, &claim, NULL);
    short_memory_end();
    if (judge_image(c, crash_disk_bytes(disk), disk->length, when)) {
        return true;
    }
    keep_bytes(c, "allocation-failed", crash_disk_bytes(disk), disk->length);
    return false;
}

static bool test_allocations(Case *c, guint allocations)
{
    guint step = MAX(allocations / (MAX_FAULTS * crash_scale()), 1);

    for (guint at = 1 + g_rand_int_range(c->random, 0, step); at <= allocations; at += step) {
        if (!test_allocation(c, at)) {
            return false;
        }
    }
    return true;
}

static bool is_original(const Case *c, const uint8_t *bytes, uint64_t size)
{
    return size == c->bytes->len && memcmp(bytes, c->bytes->data, size) == 0;
}

/* Rolls back on a disk that has @image, by an undo file that has @undo; what is done is put in @journal. */
static BlockSource *roll_back(CrashJournal *journal, const GByteArray *image, const GByteArray *undo, GError **errp)
{
    BlockSource *disk = crash_disk_new(journal, IMAGE, image->data, image->len, image->len + GROWTH);
    g_autoptr(BlockSource) file = block_source_new_memory(undo->data, undo->len);

    if (undo_rollback_from(file, "undo", disk, NULL, errp)) {
        return disk;
    }
    block_source_close(disk);
    return NULL;
}

typedef struct RollbackJudge {
    Case *c;
    const GByteArray *undo;
    uint64_t undo_digest;
    const char *when;
} RollbackJudge;

/* After a crash of a rollback: rolling back once more gives the original. */
static bool judge_second_rollback(const CrashState *state, void *opaque)
{
    const RollbackJudge *judge = opaque;
    const GByteArray *image = state->disks[IMAGE];
    uint64_t digest = guest_digest(judge->undo_digest, image->data, image->len);
    g_autoptr(CrashJournal) journal = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockSource) disk = NULL;

    if (crash_known(judge->c->known, digest)) {
        return true;
    }
    journal = crash_journal_new();
    disk = roll_back(journal, image, judge->undo, &error);
    if (disk && is_original(judge->c, crash_disk_bytes(disk), disk->length)) {
        crash_know(judge->c->known, digest);
        return true;
    }
    keep_bytes(judge->c, "rollback-failed", state->disks[IMAGE]->data, state->disks[IMAGE]->len);
    keep_bytes(judge->c, "undo", judge->undo->data, judge->undo->len);
    return failed(judge->c, "%s, a rollback, a crash of that after operation %u, parts %.200s, a rollback: %s",
                  judge->when, state->done, state->parts, error ? error->message : "not the original");
}

/* After a crash of a repair with an undo file: it can be taken back, a crash of that included, or has not begun. */
static bool judge_rollback(const CrashState *state, void *opaque)
{
    Case *c = opaque;
    const GByteArray *initial[CRASH_DISKS] = {state->disks[IMAGE]};
    CrashPlan plan = {.max_exhaustive = 2, .samples = 1, .random = c->random};
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockSource) disk = roll_back(journal, state->disks[IMAGE], state->disks[UNDO], &error);
    g_autofree char *when =
        g_strdup_printf("a crash with an undo file after operation %u, parts %.200s", state->done, state->parts);
    RollbackJudge judge = {.c = c, .undo = state->disks[UNDO], .when = when};
    bool ended = false;

    if (!disk || !is_original(c, crash_disk_bytes(disk), disk->length)) {
        if (!disk && is_original(c, state->disks[IMAGE]->data, state->disks[IMAGE]->len)) {
            return true;
        }
        keep_bytes(c, "rollback-failed", state->disks[IMAGE]->data, state->disks[IMAGE]->len);
        keep_bytes(c, "undo", state->disks[UNDO]->data, state->disks[UNDO]->len);
        return failed(c, "%s, a rollback: %s", when, disk ? "not the original" : error->message);
    }
    judge.undo_digest = guest_digest(ROLLED_BACK, judge.undo->data, judge.undo->len);
    c->states += crash_states(journal, initial, &plan, judge_second_rollback, &judge, &ended);
    return !ended;
}

/* The disk with the undo file is full at @limit bytes: nothing was written to the image. */
static bool test_full_disk(Case *c, size_t limit)
{
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, IMAGE, c->bytes->data, c->bytes->len, c->bytes->len + GROWTH);
    g_autoptr(BlockSource) file = crash_disk_new(journal, UNDO, NULL, 0, limit);
    g_autoptr(UndoFile) undo = undo_file_new(file, "undo", disk, NULL);
    g_autoptr(GError) error = NULL;
    Counts claim;

    if (repair(disk, c->all, undo, &claim, &error) || !g_error_matches(error, BLOCK_ERROR, ENOSPC)) {
        return failed(c, "room for %zu bytes of an undo file: %s", limit, error ? error->message : "no error");
    }
    return is_original(c, crash_disk_bytes(disk), disk->length) ||
           failed(c, "room for %zu bytes of an undo file: the image was changed", limit);
}

static bool test_undo(Case *c)
{
    CrashPlan plan = {.max_exhaustive = 5, .samples = 6 * crash_scale(), .random = c->random};
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, IMAGE, c->bytes->data, c->bytes->len, c->bytes->len + GROWTH);
    g_autoptr(BlockSource) file = crash_disk_new(journal, UNDO, NULL, 0, c->bytes->len + GROWTH);
    g_autoptr(UndoFile) undo = undo_file_new(file, "undo", disk, NULL);
    g_autoptr(GByteArray) nothing = g_byte_array_new();
    const GByteArray *initial[CRASH_DISKS] = {c->bytes, nothing};
    Counts left;
    bool ended;

    if (!repair_and_check(c, disk, undo, &left, "with an undo file")) {
        return false;
    }
    if (!no_more(&left, &c->left)) {
        return failed_counts(c, "with an undo file", &left);
    }
    c->states += crash_states(journal, initial, &plan, judge_rollback, c, &ended);
    return !ended && (file->length == 0 || (test_full_disk(c, 0) && test_full_disk(c, file->length - 1) &&
                                            test_full_disk(c, g_rand_int_range(c->random, 0, (int)file->length))));
}

/* A header that is not accepted is nothing to repair. */
static bool is_accepted(const Case *c)
{
    g_autoptr(BlockSource) source = block_source_new_memory(c->bytes->data, c->bytes->len);
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, NULL);

    return image && c->view;
}

static bool run_case(Case *c)
{
    g_autoptr(CrashJournal) journal = crash_journal_new();
    bool refused;
    guint allocations;

    if (!is_accepted(c)) {
        return true;
    }
    short_memory_begin(0, true);
    if (!test_whole(c, journal, &refused)) {
        return false;
    }
    allocations = short_memory.count; /* and some more, of the check afterwards */
    return refused || (test_crashes(c, journal) && test_faults(c, journal->requests) &&
                       test_allocations(c, allocations) && test_undo(c));
}

static bool test_image(unsigned number, const char *name, bool all)
{
    Case c = {.name = name, .all = all, .random = g_rand_new_with_seed(seed)};
    char *bytes;
    gsize size;
    bool well;

    g_assert_true(g_file_get_contents(name, &bytes, &size, NULL));
    c.bytes = g_byte_array_new_take((guint8 *)bytes, size);
    c.known = crash_known_new();
    c.view = guest_view_new(c.bytes->data, size, restore);
    well = run_case(&c);
    printf("%sok %u - %s, repair of %s, %" G_GUINT64_FORMAT " states\n", well ? "" : "not ", number, name,
           all ? "all" : "leaks", c.states);
    if (!well) {
        printf("# seed %u: %s\n", seed, c.why);
        keep_bytes(&c, "original", c.bytes->data, c.bytes->len);
    }
    if (c.note) {
        printf("# not repaired: %s\n", c.note);
    }
    fflush(stdout);
    g_free(c.note);
    g_free(c.why);
    g_byte_array_unref(c.bytes);
    g_hash_table_unref(c.known);
    guest_view_free(c.view);
    g_rand_free(c.random);
    return well;
}

int main(int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"seed", 0, 0, G_OPTION_ARG_INT, &seed, "begin random numbers with N", "N"},
        {"keep", 0, 0, G_OPTION_ARG_FILENAME, &keep, "put images in FOLDER", "FOLDER"},
        {"restore", 0, 0, G_OPTION_ARG_NONE, &restore, "put back what is lost, and only repair all", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &images, NULL, "IMAGE..."},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    unsigned number = 0;
    bool well = true;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || !images) {
        fprintf(stderr, "%s\n", error ? error->message : "no images");
        return 1;
    }
    printf("1..%u\n", (restore ? 1 : 2) * g_strv_length(images));
    for (char **image = images; *image; image++) {
        well &= test_image(++number, *image, true);
        well &= restore || test_image(++number, *image, false);
    }
    return !well;
}
