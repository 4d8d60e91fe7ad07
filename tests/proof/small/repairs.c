/*
 * Repairs of a small image: see repairs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "repairs.h"

#include <glib.h>
#include <inttypes.h>

#include "../../crash/states.h"
#include "block/repair.h"
#include "guest-disk.h"
#include "program.h"
#include "reader.h"

#define GROWTH ((size_t)32 << 20) /* what a repair may need more, bytes */

typedef struct Counts {
    uint64_t corruptions, leaks, errors, flags, harmless;
    bool aborted; /* at the snapshot table: there may be more, and what it uses seems to leak */
} Counts;

typedef struct Repairs {
    const RepairsPlan *plan;
    RepairsDone *done;
    bool all;
    GByteArray *bytes; /* before */
    GuestDisk *guest;
    Counts before, after; /* by the reader */
    bool kept;            /* leaks, for the sake of a fault or of what was lost */
    GRand *random;
    char *why;
} Repairs;

typedef struct Outcome {
    bool refused; /* it did not begin, or said that it failed */
    bool kept;
} Outcome;

static ReaderResult reader;

static Counts counts_of(const uint8_t *bytes, uint64_t length)
{
    reader_check(bytes, length, &reader);
    return (Counts){reader.corruptions, reader.leaks,    reader.errors,
                    reader.flags,       reader.harmless, reader.kinds & 1u << SNAPSHOT_TABLE_ABORTS};
}

static Outcome repair(BlockSource *disk, bool all)
{
    Qcow2CheckOptions check = {.workers = 1};
    Qcow2RepairOptions options = {.all = all, .check = &check};
    g_autoptr(Qcow2Image) image = qcow2_open(disk, NULL, NULL);
    Qcow2RepairResult result = {0};
    Outcome outcome = {.refused = true};

    if (image && qcow2_repair(image, &options, &result, NULL)) {
        outcome = (Outcome){.kept = result.leaks_kept};
        qcow2_repair_result_clear(&result);
    }
    return outcome;
}

static bool fail(Repairs *r, const char *when, const char *what)
{
    if (!r->why) {
        r->why = g_strdup_printf("-r %s, %s: %s", r->all ? "all" : "leaks", when, what);
    }
    return false;
}

static bool guest_same(Repairs *r, const uint8_t *bytes, uint64_t length, const char *when)
{
    g_autoptr(GuestDisk) now = guest_disk_read(bytes, length);
    g_autofree char *difference = guest_disk_differs(r->guest, now);

    return difference ? fail(r, when, difference) : true;
}

/*
 * Something is mended, and flags come to be wrong by that: missing ones, or those that contradict a count set right in
 * a table that is another structure too, so that they must stay.
 */
static bool flags_may_be_wrong(const Repairs *r, const Counts *now, const Counts *than)
{
    uint64_t others = now->corruptions - now->flags, most = than->corruptions - than->flags;
    bool mended = others < most || (others == most && now->leaks < than->leaks);

    return mended && (now->flags - now->harmless <= than->flags - than->harmless ||
                      (others < most && guest_disk_overlapped(r->guest)));
}

/*
 * Leaks may be more where they are kept for the sake of what they may be. A repair of leaks that leaves corruptions
 * sets no COPIED flag where it has lowered a count to 1, as the stock tool doesn't.
 */
static bool no_worse(Repairs *r, const Counts *now, const Counts *than, bool kept, const char *when)
{
    uint64_t corruptions = now->corruptions - (r->all ? 0 : now->harmless);
    uint64_t most = than->corruptions - (r->all ? 0 : than->harmless);

    /* a snapshot that could not be examined may have had faults */
    bool unexamined = than->errors > now->errors || than->aborted;

    bool flags_left = flags_may_be_wrong(r, now, than);

    if ((corruptions > most && !unexamined && !flags_left) || now->errors > than->errors ||
        (now->leaks > than->leaks && !kept && !now->aborted)) {
        g_autofree char *text =
            g_strdup_printf("left are %" PRIu64 " corruptions, %" PRIu64 " leaks, %" PRIu64 " errors, and not %" PRIu64
                            ", %" PRIu64 ", %" PRIu64,
                            now->corruptions, now->leaks, now->errors, than->corruptions, than->leaks, than->errors);

        return fail(r, when, text);
    }
    return true;
}

static bool changes_nothing(Repairs *r, const uint8_t *bytes, uint64_t length)
{
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, 0, bytes, length, length + GROWTH);

    repair(disk, r->all);
    return journal->ops->len == 0 ? true : fail(r, "a second repair", "it changes something");
}

/* The check of the program says of the repaired image what the reader says. */
static bool check_agrees(Repairs *r, const uint8_t *bytes, uint64_t length)
{
    ProgramResult result;
    g_autofree char *difference = NULL;

    reader_check(bytes, length, &reader);
    program_check(bytes, length, &result);
    difference = program_differs(&result, &reader);
    program_result_clear(&result);
    return difference ? fail(r, "repaired", difference) : true;
}

static bool judge_state(const CrashState *state, void *opaque)
{
    Repairs *r = opaque;
    const GByteArray *bytes = state->disks[0];
    g_autofree char *when = g_strdup_printf("a crash after operation %u, sectors %s", state->done, state->parts);
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, 0, bytes->data, bytes->len, bytes->len + GROWTH);
    Outcome outcome;
    Counts left;

    if (bytes->len > READER_MAX_BYTES) {
        return true;
    }
    if (!guest_same(r, bytes->data, bytes->len, when)) {
        return false;
    }
    outcome = repair(disk, r->all);
    left = counts_of(crash_disk_bytes(disk), disk->length);
    return guest_same(r, crash_disk_bytes(disk), disk->length, when) &&
           no_worse(r, &left, &r->after, r->kept || outcome.kept, when);
}

/* Notes where a step has more unflushed sectors than all sets of which are tried. */
static void note_bound(Repairs *r, const CrashJournal *journal)
{
    uint64_t pending = 0;

    for (guint i = 0; i < journal->ops->len; i++) {
        const CrashOp *op = &g_array_index(journal->ops, CrashOp, i);

        if (op->kind == CRASH_FLUSH) {
            pending = 0;
        } else {
            pending += 1 + (op->size > 0 ? (op->offset % CRASH_SECTOR + op->size - 1) / CRASH_SECTOR : 0);
        }
        if (pending > r->plan->exhaustive) {
            r->done->bounded++;
            return;
        }
    }
}

static bool survives_crashes(Repairs *r, const CrashJournal *journal)
{
    CrashPlan plan = {.max_exhaustive = r->plan->exhaustive, .samples = 8, .random = r->random};
    const GByteArray *initial[CRASH_DISKS] = {r->bytes};
    bool ended;

    note_bound(r, journal);
    r->done->states += crash_states(journal, initial, &plan, judge_state, r, &ended);
    return !ended;
}

static bool run(Repairs *r)
{
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, 0, r->bytes->data, r->bytes->len, r->bytes->len + GROWTH);
    Outcome outcome = repair(disk, r->all);
    const uint8_t *now = crash_disk_bytes(disk);

    if (outcome.refused) {
        return journal->ops->len == 0 ? true : fail(r, "a repair that fails", "it has written");
    }
    if (journal->ops->len == 0) {
        return true;
    }
    r->done->repairs++;
    if (disk->length > READER_MAX_BYTES) { /* not small any more: of a refcount table of 8 MiB */
        return changes_nothing(r, now, disk->length);
    }
    r->kept = outcome.kept;
    r->after = counts_of(now, disk->length);
    return guest_same(r, now, disk->length, "repaired") && no_worse(r, &r->after, &r->before, r->kept, "repaired") &&
           check_agrees(r, now, disk->length) && changes_nothing(r, now, disk->length) &&
           (!r->plan->crashes || survives_crashes(r, journal));
}

char *repairs_fail(const uint8_t *bytes, uint64_t length, const RepairsPlan *plan, RepairsDone *done)
{
    Repairs r = {.plan = plan, .done = done, .before = counts_of(bytes, length)};

    if (reader.refusal) {
        return NULL;
    }
    r.guest = guest_disk_read(bytes, length);
    r.bytes = g_byte_array_new();
    g_byte_array_append(r.bytes, bytes, (guint)length);
    r.random = g_rand_new_with_seed(1);
    if (run(&r)) {
        r.all = true;
        run(&r);
    }
    g_rand_free(r.random);
    g_byte_array_unref(r.bytes);
    guest_disk_free(r.guest);
    return r.why;
}
