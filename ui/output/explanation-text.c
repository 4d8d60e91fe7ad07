/*
 * What is at an offset, in words: see ui/output/explanation-text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/explanation-text.h"

#include <glib.h>
#include <inttypes.h>

#include "ui/output/escape.h"
#include "ui/output/findings-text.h"
#include "ui/output/role-colours.h"

#define LABEL_COLUMNS 17
#define NAME_COLUMNS  30
#define USERS_SHOWN   64

static const char *const state_texts[IMAGE_CHECK_GUEST_STATE__MAX] = {
    [IMAGE_CHECK_GUEST_STATE_DATA] = "data",
    [IMAGE_CHECK_GUEST_STATE_COMPRESSED] = "data, compressed in the file",
    [IMAGE_CHECK_GUEST_STATE_ZERO] = "zeros",
    [IMAGE_CHECK_GUEST_STATE_UNALLOCATED] = "zeros, as nothing is stored",
    [IMAGE_CHECK_GUEST_STATE_DAMAGED] = "damaged: ",
};

static void begin_line(FILE *out, const char *label)
{
    fprintf(out, "%-*s ", LABEL_COLUMNS, label);
}

static void print_range(FILE *out, const char *what, const Qcow2Allocation *range)
{
    fprintf(out, "%s0x%" PRIx64 "-0x%" PRIx64, what, range->offset, range->offset + (range->size - 1));
}

static void print_snapshot(FILE *out, const char *before, const char *name)
{
    if (name) {
        fprintf(out, "%ssnapshot \"", before);
        print_escaped(out, name, NAME_COLUMNS);
        fputc('"', out);
    }
}

/* ---- an offset of the file ---- */

/* Two lines where it has a place on the guest's disk: names may be long. */
static void print_user(FILE *out, const ImageCheckUser *user)
{
    begin_line(out, "used as");
    fputs(ImageCheckStructure_str(user->structure), out);
    if (user->has_entry_offset) {
        fprintf(out, ", entry at 0x%" PRIx64, user->entry_offset);
    }
    fputc('\n', out);
    if (user->guest) {
        begin_line(out, "  of guest range");
        print_range(out, "", user->guest);
        fputc('\n', out);
    }
    if (user->snapshot) {
        begin_line(out, "  in the tree of");
        print_snapshot(out, "", user->snapshot);
        fputc('\n', out);
    }
}

static void print_users(FILE *out, const ImageCheckHostExplanation *host)
{
    size_t shown = MIN(host->users.len, USERS_SHOWN);

    for (size_t i = 0; i < shown; i++) {
        print_user(out, &host->users.items[i]);
    }
    if (shown < host->users.len || host->users_incomplete) {
        begin_line(out, "");
        fprintf(out, "and %s%zu more users\n", host->users_incomplete ? "at least " : "", host->users.len - shown);
    }
}

static void print_host(FILE *out, ImageCheckHostExplanation *host)
{
    QapiSequence findings = qapi_sequence_of_ImageCheckFindingList(&host->findings); /* and host keeps the list */

    fprintf(out, "\nOffset 0x%" PRIx64 " of the file is in cluster %" PRIu64, host->offset,
            host->cluster.offset / host->cluster.size);
    print_range(out, ", ", &host->cluster);
    fputc('\n', out);
    begin_line(out, "role");
    fprintf(out, "%s%s\n", role_style(host->role)->name, host->damaged ? "; damaged" : "");
    begin_line(out, "stored count");
    if (host->has_refcount) {
        fprintf(out, "%" PRIu64, host->refcount);
    } else {
        fputs("unknown", out);
    }
    if (host->has_refcount_offset) {
        fprintf(out, ", at 0x%" PRIx64, host->refcount_offset);
    }
    fputc('\n', out);
    begin_line(out, "references");
    fprintf(out, "%" PRIu64 "\n", host->reference);
    print_users(out, host);
    print_findings_text(out, &findings);
}

/* ---- an offset of the guest's disk ---- */

static void print_entry(FILE *out, const char *table, const ImageCheckTableEntry *e)
{
    g_autofree char *label = g_strdup_printf("%s entry %" PRIu64, table, e->index);

    begin_line(out, label);
    fprintf(out, "at 0x%" PRIx64 ": %s\n", e->entry_offset, e->value);
    begin_line(out, "");
    fprintf(out, "offset 0x%" PRIx64 "%s%s%s%s\n", e->offset, e->copied ? ", COPIED" : "",
            e->compressed ? ", compressed" : "", e->zero ? ", reads as zeros" : "",
            e->reserved ? ", reserved bits set" : "");
    if (e->subclusters) {
        uint64_t bits = g_ascii_strtoull(e->subclusters, NULL, 16);

        begin_line(out, "subclusters");
        fprintf(out, "stored 0x%08" PRIx32 ", zeros 0x%08" PRIx32 "\n", (uint32_t)bits, (uint32_t)(bits >> 32));
    }
}

static void print_guest(FILE *out, const ImageCheckGuestExplanation *guest)
{
    bool from_backing = guest->state == IMAGE_CHECK_GUEST_STATE_UNALLOCATED && guest->backing;

    fprintf(out, "\nOffset 0x%" PRIx64 " of the guest's disk", guest->offset);
    print_snapshot(out, ", ", guest->snapshot);
    fputc('\n', out);
    print_entry(out, "L1", &guest->l1);
    if (guest->l2) {
        print_entry(out, "L2", guest->l2);
    }
    begin_line(out, "the guest finds");
    fprintf(out, "%s%s%s\n", from_backing ? "what the backing file has" : state_texts[guest->state],
            guest->problem ? guest->problem : "", guest->has_decompresses ? "; it can be decompressed" : "");
    if (guest->host) {
        begin_line(out, guest->data_file ? "in the data file" : "in the file");
        print_range(out, "", guest->host);
        fputc('\n', out);
    }
}

void print_explanation_text(FILE *out, const ImageCheckExplanation *explanation)
{
    if (explanation->host) {
        print_host(out, explanation->host);
    } else {
        print_guest(out, explanation->guest);
    }
}
