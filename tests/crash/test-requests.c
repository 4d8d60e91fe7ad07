/*
 * What a person asks for by hand, interrupted and disturbed: nothing else that a guest could read is lost.
 *
 *     test-crash-requests [--seed N] [--keep FOLDER] IMAGE drop|attach|zero ARGUMENT ...
 *
 * Each request is done to its image on a disk that keeps a journal (disk.h). Then, after a crash at any point, and when
 * a single request to the disk fails:
 * - what is attached, or zeroed, changes nothing that could be read before; so it has to be damage that is zeroed;
 * - what is dropped is gone, or all there still; the rest is as it was;
 * - the request can be made again, or was done, and then the image has no more faults than the first time.
 *
 * Prints TAP. CRASH_SCALE=N tries N times as much.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/repair.h"
#include "guest.h"
#include "states.h"
#include "ui/options/requests.h"
#include "verdict.h"

#define IMAGE      0u         /* the disk */
#define GROWTH     (4u << 20) /* bytes that a request may need more */
#define MAX_FAULTS 40

static guint32 seed = 1;
static char *keep;
static char **words;

typedef struct Case {
    const char *name;
    Qcow2Request request;
    GByteArray *bytes;
    GuestView *view; /* what must be there always */
    int64_t corrupt; /* corruptions that are left by the request that nothing disturbed */
    GRand *random;
    GHashTable *known; /* to be well */
    guint64 states;
    char *why; /* what failed first */
} Case;

/* Returns false, having stored what failed. */
#define failed(c, ...) crash_failed(&(c)->why, __VA_ARGS__)

static void keep_bytes(const Case *c, const char *what, const uint8_t *bytes, uint64_t size)
{
    crash_keep(keep, c->name, what, bytes, size);
}

/* Does the request; *corrupt gets what a check finds then. */
static bool ask(const Case *c, BlockSource *disk, int64_t *corrupt, GError **errp)
{
    Qcow2CheckOptions check = {.workers = 1};
    Qcow2RepairOptions options = {.all = true, .request = &c->request, .check = &check};
    Qcow2RepairResult result = {0};
    g_autoptr(Qcow2Image) image = NULL;

    if (qcow2_request_is_for_header(&c->request)) {
        if (!qcow2_drop_from_header(disk, &options, &result, errp)) {
            return false;
        }
    } else {
        image = qcow2_open(disk, NULL, errp);
        if (!image || !qcow2_repair(image, &options, &result, errp)) {
            return false;
        }
    }
    *corrupt = result.check.check->corruptions + result.check.check->check_errors;
    if (result.check.not_repaired) {
        g_propagate_error(errp, g_steal_pointer(&result.check.not_repaired));
    }
    qcow2_repair_result_clear(&result);
    return !*errp;
}

/* A check of a disk on which the request was done before. */
static bool check(BlockSource *disk, int64_t *corrupt, GError **errp)
{
    g_autoptr(ImageCheck) check = crash_check(disk, errp);

    if (check) {
        *corrupt = check->corruptions + check->check_errors;
    }
    return check;
}

static GuestView *view_of(const uint8_t *bytes, uint64_t size)
{
    return guest_view_new(bytes, size, true);
}

static bool unharmed(Case *c, const uint8_t *bytes, uint64_t size, const char *when)
{
    g_autoptr(GuestView) view = view_of(bytes, size);
    g_autofree char *difference = NULL;

    return guest_view_same(c->view, view, &difference) || failed(c, "%s: %s", when, difference);
}

/* Of what a crash or a failure left: nothing is harmed, and the request can be made again, or was done. */
static bool examine(Case *c, const uint8_t *bytes, uint64_t size, const char *when)
{
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, IMAGE, bytes, size, c->bytes->len + 2 * GROWTH);
    g_autoptr(GError) refused = NULL, error = NULL;
    int64_t corrupt;

    if (!unharmed(c, bytes, size, when)) {
        return false;
    }
    if (!ask(c, disk, &corrupt, &refused) && !check(disk, &corrupt, &error)) {
        return failed(c, "%s: neither done (%s) nor sound (%s)", when, refused->message, error->message);
    }
    if (corrupt > c->corrupt) {
        return failed(c, "%s, and once more: %" PRId64 " faults, not %" PRId64 " (%s)", when, corrupt, c->corrupt,
                      refused ? refused->message : "done");
    }
    return unharmed(c, crash_disk_bytes(disk), disk->length, "once more");
}

static bool judge(Case *c, const uint8_t *bytes, uint64_t size, const char *when)
{
    uint64_t digest = guest_digest(1, bytes, size);

    if (!crash_known(c->known, digest)) {
        if (!examine(c, bytes, size, when)) {
            return false;
        }
        crash_know(c->known, digest);
    }
    return true;
}

static bool judge_crash(const CrashState *state, void *opaque)
{
    Case *c = opaque;
    const GByteArray *bytes = state->disks[IMAGE];
    g_autofree char *when = g_strdup_printf("a crash after operation %u, parts %.200s", state->done, state->parts);

    if (!judge(c, bytes->data, bytes->len, when)) {
        keep_bytes(c, "crash-failed", bytes->data, bytes->len);
        return false;
    }
    return true;
}

static bool test_faults(Case *c, guint requests)
{
    static const CrashFault faults[] = {{.error = -EIO}, {.error = -ENOSPC, .half_a_write = true}, {.error = 0}};
    guint step = MAX(requests / (MAX_FAULTS * crash_scale()), 1);

    for (size_t f = 0; f < G_N_ELEMENTS(faults); f++) {
        for (guint at = 1; at <= requests; at += step) {
            g_autoptr(CrashJournal) journal = crash_journal_new();
            g_autoptr(BlockSource) disk =
                crash_disk_new(journal, IMAGE, c->bytes->data, c->bytes->len, c->bytes->len + GROWTH);
            g_autofree char *when = g_strdup_printf("request %u fails (%zu)", at, f);
            g_autoptr(GError) error = NULL;
            int64_t corrupt;

            journal->fault = faults[f];
            journal->fault.at = at;
            ask(c, disk, &corrupt, &error);
            if (!judge(c, crash_disk_bytes(disk), disk->length, when)) {
                return false;
            }
        }
    }
    return true;
}

/* Sets what must be there always: of what is dropped, the rest, and that must have been there before. */
static bool take_view(Case *c, const BlockSource *disk)
{
    g_autoptr(GuestView) before = view_of(c->bytes->data, c->bytes->len);
    g_autofree char *difference = NULL;

    if (c->request.kind >= QCOW2_REQUEST_ATTACH_L2) {
        c->view = g_steal_pointer(&before);
        return unharmed(c, crash_disk_bytes(disk), disk->length, "done");
    }
    c->view = view_of(crash_disk_bytes(disk), disk->length);
    return (c->view && before && guest_view_same(c->view, before, &difference)) || failed(c, "done: %s", difference);
}

static bool run_case(Case *c)
{
    CrashPlan plan = {.max_exhaustive = 6, .samples = 10 * crash_scale(), .random = c->random};
    g_autoptr(CrashJournal) journal = crash_journal_new();
    g_autoptr(BlockSource) disk = crash_disk_new(journal, IMAGE, c->bytes->data, c->bytes->len, c->bytes->len + GROWTH);
    const GByteArray *initial[CRASH_DISKS] = {c->bytes};
    g_autoptr(GError) error = NULL;
    bool ended;

    if (!ask(c, disk, &c->corrupt, &error)) {
        return failed(c, "%s", error->message);
    }
    keep_bytes(c, "done", crash_disk_bytes(disk), disk->length);
    if (!take_view(c, disk) || !guest_view_readable(c->view)) {
        return failed(c, "nothing can be read");
    }
    c->states = crash_states(journal, initial, &plan, judge_crash, c, &ended);
    return !ended && test_faults(c, journal->requests);
}

static bool parse(const char *option, const char *text, Qcow2Request *request)
{
    return strcmp(option, "drop") == 0     ? request_parse_drop(text, request)
           : strcmp(option, "attach") == 0 ? request_parse_attach(text, request)
                                           : request_parse_zero(text, request);
}

static bool test_request(unsigned number, const char *name, const char *option, const char *text)
{
    Case c = {.name = name, .random = g_rand_new_with_seed(seed), .known = crash_known_new()};
    char *bytes;
    gsize size;
    bool well;

    g_assert_true(parse(option, text, &c.request));
    g_assert_true(g_file_get_contents(name, &bytes, &size, NULL));
    c.bytes = g_byte_array_new_take((guint8 *)bytes, size);
    well = run_case(&c);
    printf("%sok %u - %s, %s %s, %" G_GUINT64_FORMAT " states\n", well ? "" : "not ", number, name, option, text,
           c.states);
    if (!well) {
        printf("# seed %u: %s\n", seed, c.why);
        keep_bytes(&c, "original", c.bytes->data, c.bytes->len);
    }
    fflush(stdout);
    g_free(c.why);
    g_free(c.request.name);
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
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &words, NULL, "IMAGE drop|attach|zero ARGUMENT..."},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    bool well = true;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || !words || g_strv_length(words) % 3) {
        fprintf(stderr, "%s\n", error ? error->message : "expecting images, each with a request");
        return 1;
    }
    printf("1..%u\n", g_strv_length(words) / 3);
    for (unsigned i = 0; words[i]; i += 3) {
        well &= test_request(i / 3 + 1, words[i], words[i + 1], words[i + 2]);
    }
    return !well;
}
